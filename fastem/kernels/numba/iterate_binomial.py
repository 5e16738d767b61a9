"""EM of one binomial mixture on few rows."""
import numpy as np
from numba import int64

from fastem.kernels.numba.accelerate import (
    MADE,
    NOT_FINITE,
    SMALLEST_WEIGHT,
    UNIT,
    all_finite,
    copy,
    is_fixed,
    log_dirichlet,
    weight_slopes,
    weights_from_vector,
    weights_to_vector,
)
from fastem.kernels.numba.binomial import binomial_share
from fastem.kernels.numba.constants import EMPTY, LOG2E
from fastem.kernels.numba.iterate import (
    advance_of,
    fixed_in,
    iterate_kernel,
    location_inout,
    maximize_weights,
    memory_inout,
    model_of,
    no_factors,
    put_params,
    state_inout,
)
from fastem.kernels.numba.jit import (
    doubles,
    matrix,
    once,
    pointwise,
    sums_out,
    tiles_scratch,
    vector,
    weights,
)
from fastem.kernels.numba.many_group import LOG_ZERO


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
def maximize_binomial(m):
    """As BinomialStats.maximize."""
    k, d = len(m.log_norm), len(m.floors)
    successes, failures = m.sums[k:k + k * d], m.sums[k + k * d:]
    maximize_weights(m)
    copy(m.params[k:], m.made[k:])
    for j in range(d):
        nothing = 0.0
        for c in range(k):
            nothing += EMPTY * (successes[c * d + j] + failures[c * d + j])
        for c in range(k):
            at = c * d + j
            if is_fixed(m, 1, c) or not successes[at] + failures[at] > nothing:
                continue
            m.made[k + at] = prob_of(successes[at], failures[at], nothing)
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


@pointwise
def inside(prob):
    """0 and 1 have no logit."""
    return min(max(prob, UNIT), 1.0 - UNIT)


@once
def binomial_to_vector(m, params, vector):
    """As BinomialParams.to_vector: log weights and logits."""
    k, d = m.center.shape
    at = weights_to_vector(m, params, vector)
    for c in range(k):
        if not is_fixed(m, 1, c):
            for j in range(d):
                prob = inside(params[k + c * d + j])
                vector[at + j] = np.log(prob) - np.log1p(-prob)
            at += d


@once
def binomial_gradient(m, slopes):
    """As BinomialStats.gradient."""
    k, d = m.center.shape
    at = weight_slopes(m, slopes)
    for c in range(k):
        if not is_fixed(m, 1, c):
            for i in range(k + c * d, k + c * d + d):
                slopes[at] = (m.sums[i] + m.sums[i + k * d]) * (m.made[i] - m.params[i])
                at += 1


@once
def binomial_from_vector(m, vector):
    """As BinomialParams.from_vector."""
    k, d = m.center.shape
    at = weights_from_vector(m, vector)
    copy(m.params[k:], m.proposal[k:])
    for c in range(k):
        if not is_fixed(m, 1, c):
            for i in range(k + c * d, k + c * d + d):
                m.proposal[i] = 1.0 / (1.0 + np.exp(-min(max(vector[at], -700.0), 700.0)))
                at += 1
    return MADE if all_finite(m.proposal) else NOT_FINITE


@once
def add_binomial_prior(m):
    """As BinomialPrior.stats; the prior is concentration - 1, a constant of its log density, successes - 1 and
    failures - 1."""
    k, size, found = len(m.log_norm), len(m.delta), 0.0
    for i in range(k, k + size):
        prob = inside(m.params[i])
        found += m.prior[2] * np.log(prob) + m.prior[3] * np.log1p(-prob)
        m.sums[i] += m.prior[2]
        m.sums[i + size] += m.prior[3]
    return m.prior[1] + found + log_dirichlet(m, m.prior[0])


advance_binomial = advance_of(binomial_tables, no_factors, add_binomial_prior, maximize_binomial, binomial_to_vector,
                              binomial_gradient, binomial_from_vector)


@iterate_kernel
def iterate_binomial(X: doubles,              # IN     (n, d)  successes
                     trials: doubles,         # IN     (n, d)
                     sample_weight: weights,  # IN     (n,)
                     slot_rows: int64,        # IN
                     weights: state_inout,    # IN/OUT (k,)
                     probs: location_inout,   # IN/OUT (k, d)
                     spread: state_inout,     # IN     (0,)
                     others: location_inout,  # OUT    (2, k + k d)  as for iterate_normal
                     added: vector,           # IN     (0,)
                     fixed: fixed_in,         # IN     (2, k)  or (0, k)
                     structure: int64,        # IN             0
                     units: matrix,           # IN     (0, 0)
                     prior: vector,           # IN     (4,)    or (0,)
                     sums: sums_out,          # OUT    (2 + s, k + 2 k d + 2)
                     trace: sums_out,         # OUT    (m, 3)  as for iterate_normal
                     memory: memory_inout,    # IN/OUT as for iterate_normal
                     state: state_inout,      # IN/OUT (24,)
                     tiles: tiles_scratch     # SCRATCH
                     ) -> int64:
    # -> iterations, m at the most
    m = model_of(tiles, weights, probs, spread, others, added, fixed, structure, units, prior, sums)
    binomial_tables(m)
    goes_on, done = len(trace) > 0, int64(0)
    while goes_on:
        binomial_share(int64(0), tiles[:1], slot_rows, X, trials, sample_weight, m.log_norm, m.center,
                       m.scaling.reshape(probs.shape), sums[2:])
        goes_on, done = advance_binomial(m, done, sums, trace, memory, state)
    put_params(m, weights, probs, spread)
    return done
