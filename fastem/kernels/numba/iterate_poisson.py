"""EM of one Poisson mixture on few rows."""
import numpy as np
from numba import int64

from fastem.kernels.numba.accelerate import (
    MADE,
    NOT_FINITE,
    SMALLEST_WEIGHT,
    all_finite,
    copy,
    is_fixed,
    log_dirichlet,
    weight_slopes,
    weights_from_vector,
    weights_to_vector,
)
from fastem.kernels.numba.constants import EMPTY, LOG2E
from fastem.kernels.numba.iterate import (
    advance_of,
    fixed_in,
    is_kept,
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
    sums_out,
    tiles_scratch,
    vector,
    weights,
)
from fastem.kernels.numba.many_group import LARGEST_COUNT, LOG_ZERO
from fastem.kernels.numba.poisson import poisson_share


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
def maximize_poisson(m):
    """As PoissonStats.maximize."""
    k, d = len(m.log_norm), len(m.floors)
    events = m.sums[k:]
    least = maximize_weights(m)
    copy(m.params[k:], m.made[k:])
    for j in range(d):
        nothing = 0.0
        for c in range(k):
            nothing += EMPTY * events[c * d + j]
        for c in range(k):
            at = c * d + j
            if not is_kept(m, 1, least, c):
                rate = events[at] / m.counts[1, c]
                m.made[k + at] = max(rate, SMALLEST_WEIGHT) if events[at] > nothing else rate
    return True


@once
def poisson_to_vector(m, params, vector):
    """As PoissonParams.to_vector: log weights and log rates."""
    k, d = m.center.shape
    at = weights_to_vector(m, params, vector)
    for c in range(k):
        if not is_fixed(m, 1, c):
            for j in range(d):
                vector[at + j] = np.log(max(params[k + c * d + j], SMALLEST_WEIGHT))
            at += d


@once
def poisson_gradient(m, slopes):
    """As PoissonStats.gradient."""
    k, d = m.center.shape
    at = weight_slopes(m, slopes)
    for c in range(k):
        if not is_fixed(m, 1, c):
            for i in range(k + c * d, k + c * d + d):
                slopes[at] = m.counts[1, c] * (m.made[i] - m.params[i])
                at += 1


@once
def poisson_from_vector(m, vector):
    """As PoissonParams.from_vector."""
    k, d = m.center.shape
    at = weights_from_vector(m, vector)
    copy(m.params[k:], m.proposal[k:])
    for c in range(k):
        if not is_fixed(m, 1, c):
            for i in range(k + c * d, k + c * d + d):
                m.proposal[i] = np.exp(min(max(vector[at], np.log(SMALLEST_WEIGHT)), np.log(LARGEST_COUNT)))
                at += 1
    return MADE if all_finite(m.proposal) else NOT_FINITE


@once
def add_poisson_prior(m):
    """As PoissonPrior.stats; the prior is concentration - 1, a constant of its log density, shape - 1 and rate."""
    (k, d), found = m.center.shape, 0.0
    for c in range(k):
        m.counts[1, c] += m.prior[3]
        for i in range(k + c * d, k + c * d + d):
            m.sums[i] += m.prior[2]
            found += m.prior[2] * np.log(max(m.params[i], SMALLEST_WEIGHT)) - m.prior[3] * m.params[i]
    return m.prior[1] + found + log_dirichlet(m, m.prior[0])


advance_poisson = advance_of(poisson_tables, no_factors, add_poisson_prior, maximize_poisson, poisson_to_vector,
                             poisson_gradient, poisson_from_vector)


@iterate_kernel
def iterate_poisson(X: doubles,              # IN     (n, d)  counts
                    sample_weight: weights,  # IN     (n,)
                    slot_rows: int64,        # IN
                    weights: state_inout,    # IN/OUT (k,)
                    rates: location_inout,   # IN/OUT (k, d)
                    spread: state_inout,     # IN     (0,)
                    others: location_inout,  # OUT    (2, k + k d)  as for iterate_normal
                    added: vector,           # IN     (0,)
                    fixed: fixed_in,         # IN     (2, k)  or (0, k)
                    structure: int64,        # IN             0
                    units: matrix,           # IN     (0, 0)
                    prior: vector,           # IN     (4,)    or (0,)
                    sums: sums_out,          # OUT    (2 + s, k + k d + 2)
                    trace: sums_out,         # OUT    (m, 3)  as for iterate_normal
                    memory: memory_inout,    # IN/OUT as for iterate_normal
                    state: state_inout,      # IN/OUT (24,)
                    tiles: tiles_scratch     # SCRATCH
                    ) -> int64:
    # -> iterations, m at the most
    m = model_of(tiles, weights, rates, spread, others, added, fixed, structure, units, prior, sums)
    poisson_tables(m)
    goes_on, done = len(trace) > 0, int64(0)
    while goes_on:
        poisson_share(int64(0), tiles[:1], slot_rows, X, X[:, :0], sample_weight, m.log_norm, m.center, m.center,
                      sums[2:])
        goes_on, done = advance_poisson(m, done, sums, trace, memory, state)
    put_params(m, weights, rates, spread)
    return done
