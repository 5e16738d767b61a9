"""Poisson counts."""
import numpy as np
from numba import int64, prange

from fastem.kernels.numba.iterate import (
    EMPTY,
    SMALLEST_WEIGHT,
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
def poisson_densities(x, trials, log_norm, log_rates, scaling, residual, density, pairs):
    """log2 (weight prod_j exp(-rate_j) rate_j^x_j), without the factorials."""
    for c in range(log_rates.shape[0]):
        for i in range(pairs):
            log_density = broadcast_pair(log_norm[c])
            for j in range(log_rates.shape[1]):
                log_density = log_density + load_pair(x, j, i) * log_rates[c, j]
            store(density, c, i, log_density)


@pointwise
def poisson_moments(x, trials, log_rates, resp, residual, weighted, first, second):
    k, d = log_rates.shape
    for c in range(k):
        for j in range(d):
            events = broadcast_pair(0.0)
            for i in range(PAIRS):
                events = events + load_pair(resp, c, i) * load_pair(x, j, i)
            add_lane_sums(first, c * d + j, events)


poisson_share, poisson_posterior = family(poisson_densities, poisson_moments)


@kernel
def accumulate_poisson(X: rows,                 # IN   (n, d)  counts
                       sample_weight: weights,  # IN   (n,)
                       slot_rows: int64,        # IN           rows of a slot
                       log_norm: vector,        # IN   (k,)    log2 of weight prod_j exp(-rate_j)
                       log_rates: matrix,       # IN   (k, d)  log2 of rates, finite
                       sums: sums_out,          # OUT  (s, k + k d + 2)
                       tiles: tiles_scratch):  # SCRATCH
    # -> per slot: sum w r, sum w r x, sum w log p(x), -sum w sum_k r log r; log p(x) without the factorials
    for share in prange(len(tiles)):
        poisson_share(int64(share), tiles, slot_rows, X, X[:, :0], sample_weight, log_norm, log_rates, log_rates, sums)


@kernel
def posterior_poisson(X: rows,                # IN   (n, d)  counts
                      log_norm: vector,       # IN   (k,)    tables as for accumulate_poisson
                      log_rates: matrix,      # IN   (k, d)
                      log_prob: reals_out,    # OUT  (n,)    or (0,)
                      resp: matrix_out,       # OUT  (n, k)  or (0, k)
                      labels: labels_out,     # OUT  (n,)    or (0,)
                      tiles: tiles_scratch): # SCRATCH
    # -> log density without the factorials, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        poisson_posterior(int64(share), tiles, X, X[:, :0], log_norm, log_rates, log_rates, log_prob, resp, labels)


@once
def poisson_tables(m):
    """As PoissonParams.tables; the sweep reads no scaling."""
    k, d = m.center.shape
    for c in range(k):
        expected = 0.0
        for j in range(d):
            rate = m.params[k + c * d + j]
            expected += rate
            m.center[c, j] = max(np.log2(rate), LOG_ZERO)
        m.log_norm[c] = np.log2(m.params[c]) - expected * LOG2E


@once
def maximize_poisson(m, sums):
    """As PoissonStats.maximize."""
    k, d = len(m.log_norm), len(m.floors)
    events = sums[k:]
    if not maximize_weights(m, sums):
        return False
    copy(m.params[k:], m.reached[k:])
    for j in range(d):
        nothing = 0.0
        for c in range(k):
            nothing += EMPTY * events[c * d + j]
        for c in range(k):
            at = c * d + j
            if not is_fixed(m, 1, c):
                rate = events[at] / sums[c]
                m.reached[k + at] = max(rate, SMALLEST_WEIGHT) if events[at] > nothing else rate
    return True


advance_poisson = advance_of(poisson_tables, maximize_poisson)


@iterate_kernel
def iterate_poisson(X: rows,                 # IN     (n, d)  counts
                    sample_weight: weights,  # IN     (n,)
                    slot_rows: int64,        # IN
                    weights: state_inout,    # IN/OUT (k,)
                    rates: location_inout,   # IN/OUT (k, d)
                    spread: state_inout,     # IN     (0,)
                    last: state_inout,       # OUT    (k + k d,)  weights and rates of the last iteration
                    added: vector,           # IN     (0,)
                    fixed: fixed_in,         # IN     (2, k)  or (0, k)
                    structure: int64,        # IN             0
                    sums: sums_out,          # OUT    (2 + s, k + k d + 2)
                    trace: sums_out,         # OUT    (m, 2)  as for iterate_normal
                    rule: state_inout,       # IN/OUT (10,)
                    tiles: tiles_scratch     # SCRATCH
                    ) -> int64:
    # -> iterations, m at the most
    m = model_of(tiles, weights, rates, spread, last, added, fixed, structure, sums)
    poisson_tables(m)
    goes_on, done = len(trace) > 0, int64(0)
    while goes_on:
        poisson_share(int64(0), tiles[:1], slot_rows, X, X[:, :0], sample_weight, m.log_norm, m.center, m.center,
                      sums[2:])
        goes_on, done = advance_poisson(m, done, sums, trace, rule)
    put_params(m, weights, rates, spread)
    return done
