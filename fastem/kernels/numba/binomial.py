"""Binomial counts."""
import numpy as np
from numba import int64, prange

from fastem.kernels.numba.iterate import (
    EMPTY,
    SMALLEST_WEIGHT,
    UNIT,
    advance_of,
    copy,
    fixed_in,
    is_fixed,
    iterate_kernel,
    location_inout,
    maximize_weights,
    model_of,
    put_params,
    state_inout,
)
from fastem.kernels.numba.jit import (
    kernel,
    labels_out,
    matrix,
    matrix_out,
    once,
    pointwise,
    reals_out,
    rows,
    sums_out,
    tiles_scratch,
    vector,
    weights,
)
from fastem.kernels.numba.many_em import LOG2E
from fastem.kernels.numba.many_group import LOG_ZERO
from fastem.kernels.numba.slots import family
from fastem.kernels.numba.vectors import PAIRS, add_lane_sums, broadcast_pair, load_pair, store


@pointwise
def binomial_densities(x, trials, log_norm, log_p, log_q, residual, density, pairs):
    """log2 (weight prod_j p_j^x_j q_j^(trials_j - x_j)), without the binomial coefficients."""
    for c in range(log_p.shape[0]):
        for i in range(pairs):
            log_density = broadcast_pair(log_norm[c])
            for j in range(log_p.shape[1]):
                successes = load_pair(x, j, i)
                failures = load_pair(trials, j, i) - successes
                log_density = log_density + (successes * log_p[c, j] + failures * log_q[c, j])
            store(density, c, i, log_density)


@pointwise
def binomial_moments(x, trials, log_p, resp, residual, weighted, first, second):
    k, d = log_p.shape
    for c in range(k):
        for j in range(d):
            successes = failures = broadcast_pair(0.0)
            for i in range(PAIRS):
                r, observed = load_pair(resp, c, i), load_pair(x, j, i)
                successes = successes + r * observed
                failures = failures + r * (load_pair(trials, j, i) - observed)
            add_lane_sums(first, c * d + j, successes)
            add_lane_sums(second, c * d + j, failures)


binomial_share, binomial_posterior = family(binomial_densities, binomial_moments)


@kernel
def accumulate_binomial(X: rows,                 # IN   (n, d)  successes
                        trials: rows,            # IN   (n, d)
                        sample_weight: weights,  # IN   (n,)
                        slot_rows: int64,        # IN           rows of a slot
                        log_norm: vector,        # IN   (k,)    log2 of weight
                        log_p: matrix,           # IN   (k, d)  log2 of p, finite
                        log_q: matrix,           # IN   (k, d)  log2 of 1 - p, finite
                        sums: sums_out,          # OUT  (s, k + 2 k d + 2)
                        tiles: tiles_scratch):  # SCRATCH
    # -> per slot: sum w r, sum w r x, sum w r (trials - x), sum w log p(x), -sum w sum_k r log r;
    #    log p(x) without the binomial coefficients
    for share in prange(len(tiles)):
        binomial_share(int64(share), tiles, slot_rows, X, trials, sample_weight, log_norm, log_p, log_q, sums)


@kernel
def posterior_binomial(X: rows,                # IN   (n, d)  successes
                       trials: rows,           # IN   (n, d)
                       log_norm: vector,       # IN   (k,)    tables as for accumulate_binomial
                       log_p: matrix,          # IN   (k, d)
                       log_q: matrix,          # IN   (k, d)
                       log_prob: reals_out,    # OUT  (n,)    or (0,)
                       resp: matrix_out,       # OUT  (n, k)  or (0, k)
                       labels: labels_out,     # OUT  (n,)    or (0,)
                       tiles: tiles_scratch): # SCRATCH
    # -> log density without the binomial coefficients, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        binomial_posterior(int64(share), tiles, X, trials, log_norm, log_p, log_q, log_prob, resp, labels)


@once
def binomial_tables(m):
    """As BinomialParams.tables."""
    k, d = m.center.shape
    for c in range(k):
        m.log_norm[c] = np.log2(m.params[c])
        for j in range(d):
            prob = m.params[k + c * d + j]
            m.center[c, j] = max(np.log2(prob), LOG_ZERO)
            m.scaling[c * d + j] = max(np.log1p(-prob) * LOG2E, LOG_ZERO)


@once
def maximize_binomial(m, sums):
    """As BinomialStats.maximize, where every component has trials in every column."""
    k, d = len(m.log_norm), len(m.floors)
    successes, failures = sums[k:k + k * d], sums[k + k * d:]
    if not maximize_weights(m, sums):
        return False
    copy(m.params[k:], m.reached[k:])
    for j in range(d):
        nothing = 0.0
        for c in range(k):
            nothing += EMPTY * (successes[c * d + j] + failures[c * d + j])
        for c in range(k):
            at = c * d + j
            if is_fixed(m, 1, c):
                continue
            if not successes[at] + failures[at] > nothing:
                return False
            m.reached[k + at] = prob_of(successes[at], failures[at], nothing)
    return True


@pointwise
def prob_of(successes, failures, nothing):
    """What has been seen does not get probability 0."""
    prob = successes / (successes + failures)
    if successes > nothing:
        prob = max(prob, SMALLEST_WEIGHT)
    if failures > nothing:
        prob = min(prob, 1.0 - UNIT)
    return prob


advance_binomial = advance_of(binomial_tables, maximize_binomial)


@iterate_kernel
def iterate_binomial(X: rows,                 # IN     (n, d)  successes
                     trials: rows,            # IN     (n, d)
                     sample_weight: weights,  # IN     (n,)
                     slot_rows: int64,        # IN
                     weights: state_inout,    # IN/OUT (k,)
                     probs: location_inout,   # IN/OUT (k, d)
                     spread: state_inout,     # IN     (0,)
                     last: state_inout,       # OUT    (k + k d,)  weights and probs of the last iteration
                     added: vector,           # IN     (0,)
                     fixed: fixed_in,         # IN     (2, k)  or (0, k)
                     structure: int64,        # IN             0
                     sums: sums_out,          # OUT    (2 + s, k + 2 k d + 2)
                     trace: sums_out,         # OUT    (m, 2)  as for iterate_normal
                     rule: state_inout,       # IN/OUT (10,)
                     tiles: tiles_scratch     # SCRATCH
                     ) -> int64:
    # -> iterations, m at the most
    m = model_of(tiles, weights, probs, spread, last, added, fixed, structure, sums)
    binomial_tables(m)
    goes_on, done = len(trace) > 0, int64(0)
    while goes_on:
        binomial_share(int64(0), tiles[:1], slot_rows, X, trials, sample_weight, m.log_norm, m.center,
                       m.scaling.reshape(probs.shape), sums[2:])
        goes_on, done = advance_binomial(m, done, sums, trace, rule)
    put_params(m, weights, probs, spread)
    return done
