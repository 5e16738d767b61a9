"""EM of one Gaussian mixture on few rows: its tables and its M-step, as GaussianParams and GaussianStats have them."""
import math

import numpy as np
from numba import int64

from fastem.kernels.numba.cholesky import decompose, invert_transposed
from fastem.kernels.numba.iterate import (
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
from fastem.kernels.numba.jit import once, pointwise, rows, sums_out, tiles_scratch, vector, weights
from fastem.kernels.numba.many_normal import LOG2_2PI, RESOLUTION, SMALLEST_VARIANCE
from fastem.kernels.numba.mvnormal_diag import diag_share
from fastem.kernels.numba.mvnormal_full import full_share, mirror

ROOT_OF_HALF_LOG2E = 0.8493218002880191
EPS = 2.0**-52
SHARED, ISOTROPIC = 1, 2  # structures


# ----------------------------------------------------------------------------------------------------------- tables

@pointwise
def fill_tables(m, size, step):
    """Factors of a component are `size` numbers, of which every so many is on the diagonal."""
    k, d = len(m.log_norm), len(m.floors)
    for c in range(k):
        log_norm = np.log2(m.params[c]) - 0.5 * d * LOG2_2PI
        for j in range(d):
            log_norm += np.log2(m.factors[c * size + j * step])
        m.log_norm[c] = log_norm
        for j in range(d):
            m.center[c, j] = m.params[k + c * d + j]
    for i in range(k * size):
        m.scaling[i] = m.factors[i] * ROOT_OF_HALF_LOG2E


@once
def diag_tables(m):
    fill_tables(m, len(m.floors), 1)


@once
def full_tables(m):
    fill_tables(m, len(m.floors) * len(m.floors), len(m.floors) + 1)


# --------------------------------------------------------------------------------------------------------- variances

@pointwise
def first_spread(m):
    """Where variances or matrices begin among the parameters."""
    return len(m.log_norm) + len(m.delta)


@once
def begin_diag(m):
    """Factors and tables of the params."""
    k, d = len(m.log_norm), len(m.floors)
    for c in range(k):
        for j in range(d):
            own = 0 if m.structure == SHARED else c if m.structure == ISOTROPIC else c * d + j
            m.factors[c * d + j] = 1.0 / math.sqrt(m.params[k + k * d + own])
    diag_tables(m)
    return True


@once
def maximize_means(m, sums):
    """-> has every component rows?"""
    k, d = len(m.log_norm), len(m.floors)
    if not maximize_weights(m, sums):
        return False
    for c in range(k):
        for j in range(d):
            at = c * d + j
            m.delta[at] = 0.0 if is_fixed(m, 1, c) else sums[k + at] / sums[c]
            m.reached[k + at] = m.params[k + at] + m.delta[at]
    return True


@once
def fill_floors(m, sums, second, size, step):
    """The variances that are rounding: as rounding_variances, and what delta^2 has been taken from."""
    k, d = len(m.log_norm), len(m.floors)
    for j in range(d):
        total = square = lost = 0.0
        for c in range(k):
            total += sums[c]
        for c in range(k):
            share, mean, delta = sums[c] / total, m.reached[k + c * d + j], m.delta[c * d + j]
            square += share * (second[c * size + j * step] / sums[c] - delta * delta + mean * mean)
            lost += share * RESOLUTION * delta * delta
        square = max(RESOLUTION * RESOLUTION * square, SMALLEST_VARIANCE)
        m.floors[j] = max(square, lost) if m.structure == SHARED else square


@pointwise
def own_floor(m, c, j):
    """The variance of a component that is rounding."""
    delta = m.delta[c * len(m.floors) + j]
    return m.floors[j] if m.structure == SHARED else max(m.floors[j], RESOLUTION * delta * delta)


@once
def maximize_diag(m, sums):
    """As GaussianStats.maximize, where no variance is at its floor."""
    if not maximize_means(m, sums):
        return False
    second = sums[len(m.log_norm) + len(m.delta):]
    fill_floors(m, sums, second, len(m.floors), 1)
    if m.structure == SHARED:
        return maximize_shared_variance(m, sums, second)
    for c in range(len(m.log_norm)):
        if is_fixed(m, 2, c):
            keep_variances(m, c)
        elif m.structure == ISOTROPIC:
            if not maximize_isotropic(m, sums, second, c):
                return False
        elif not maximize_variances(m, sums, second, c):
            return False
    return True


@pointwise
def keep_variances(m, c):
    """Those of the params, of one component."""
    size = 1 if m.structure == ISOTROPIC else len(m.floors)
    begin = first_spread(m) + c * size
    copy(m.params[begin:begin + size], m.reached[begin:begin + size])


@pointwise
def variance_of(m, sums, second, c, j):
    """second / counts - delta^2 + added"""
    at = c * len(m.floors) + j
    return second[at] / sums[c] - m.delta[at] * m.delta[at] + m.added[j]


@pointwise
def maximize_variances(m, sums, second, c):
    d = len(m.floors)
    for j in range(d):
        variance = variance_of(m, sums, second, c, j)
        if not variance >= own_floor(m, c, j):
            return False
        m.reached[first_spread(m) + c * d + j] = variance
        m.factors[c * d + j] = 1.0 / math.sqrt(variance)
    return True


@pointwise
def maximize_isotropic(m, sums, second, c):
    """One variance of all features: their mean."""
    d = len(m.floors)
    mean = highest = 0.0
    for j in range(d):
        mean, highest = mean + variance_of(m, sums, second, c, j) / d, max(highest, own_floor(m, c, j))
    if not mean >= highest:
        return False
    m.reached[first_spread(m) + c] = mean
    for j in range(d):
        m.factors[c * d + j] = 1.0 / math.sqrt(mean)
    return True


@pointwise
def maximize_shared_variance(m, sums, second):
    """One variance of one feature, for all components."""
    k, total, variance = len(m.log_norm), 0.0, m.added[0]
    if is_fixed(m, 2, 0):
        m.reached[first_spread(m)] = m.params[first_spread(m)]
        return True
    for c in range(k):
        total += sums[c]
    for c in range(k):
        variance += sums[c] / total * (second[c] / sums[c] - m.delta[c] * m.delta[c])
    if not variance >= m.floors[0]:
        return False
    m.reached[first_spread(m)] = variance
    for c in range(k):
        m.factors[c] = 1.0 / math.sqrt(variance)
    return True


# ---------------------------------------------------------------------------------------------------------- matrices

@once
def begin_full(m):
    """Factors and tables of the params: -> are they definite?"""
    size = len(m.floors) * len(m.floors)
    m.floors[:], m.delta[:] = 0.0, 0.0
    for c in range(len(m.log_norm)):
        begin = first_spread(m) + (0 if m.structure == SHARED else c * size)
        if not factorise(m, m.params[begin:begin + size], c):
            return False
    full_tables(m)
    return True


@once
def maximize_full(m, sums):
    """As GaussianStats.maximize, where no pivot is at its floor: second / counts - delta delta^T + added."""
    k, d = len(m.log_norm), len(m.floors)
    second = sums[k + k * d:]
    mirror(second, k, d)
    if not maximize_means(m, sums):
        return False
    fill_floors(m, sums, second, d * d, d + 1)
    if m.structure == SHARED:
        return maximize_shared_matrix(m, sums, second)
    for c in range(k):
        begin = first_spread(m) + c * d * d
        matrix = m.reached[begin:begin + d * d]
        if is_fixed(m, 2, c):
            copy(m.params[begin:begin + d * d], matrix)
            continue
        matrix[:] = 0.0
        add_scatter(m, sums, second, c, 1.0, matrix)
        add_to_diagonal(m, matrix)
        if not factorise(m, matrix, c):
            return False
    return True


@pointwise
def maximize_shared_matrix(m, sums, second):
    """One matrix for all components."""
    size, total, matrix = len(m.floors) * len(m.floors), 0.0, m.reached[first_spread(m):]
    if is_fixed(m, 2, 0):
        copy(m.params[first_spread(m):], matrix)
        return True
    for c in range(len(m.log_norm)):
        total += sums[c]
    matrix[:] = 0.0
    for c in range(len(m.log_norm)):
        add_scatter(m, sums, second, c, sums[c] / total, matrix)
    add_to_diagonal(m, matrix)
    if not factorise(m, matrix, 0):
        return False
    for c in range(1, len(m.log_norm)):
        copy(m.factors[:size], m.factors[c * size:(c + 1) * size])
    return True


@once
def add_scatter(m, sums, second, c, share, matrix):
    d = len(m.floors)
    for i in range(d):
        for j in range(d):
            scatter = second[(c * d + i) * d + j] / sums[c] - m.delta[c * d + i] * m.delta[c * d + j]
            matrix[i * d + j] += share * scatter


@pointwise
def add_to_diagonal(m, matrix):
    d = len(m.floors)
    for i in range(d):
        matrix[i * d + i] += m.added[i]


@once
def factorise(m, matrix, c):
    """factors[c] <- L, lower, L^T L = the inverse.  -> is every pivot above its floor?"""
    d = len(m.floors)
    A = m.factors[c * d * d:(c + 1) * d * d]
    copy(matrix, A)
    if not decompose(d, A, m.pivots):
        return False
    for i in range(d):
        if not m.pivots[i] >= max(d * EPS * matrix[i * d + i], own_floor(m, c, i)):
            return False
    invert_transposed(d, A)
    return True


# ----------------------------------------------------------------------------------------------------------- kernels

advance_diag = advance_of(diag_tables, maximize_diag)
advance_full = advance_of(full_tables, maximize_full)


@iterate_kernel
def iterate_normal(X: rows,                  # IN     (n, 1)
                   sample_weight: weights,   # IN     (n,)
                   slot_rows: int64,         # IN             rows of a slot
                   weights: state_inout,     # IN/OUT (k,)    to be swept next
                   means: location_inout,    # IN/OUT (k, 1)
                   variances: state_inout,   # IN/OUT (k,) or, shared, (1,)
                   last: state_inout,        # OUT    (3 k,)  weights, means and variances of the last iteration
                   added: vector,            # IN     (1,)    to variances
                   fixed: fixed_in,          # IN     (3, k)  or (0, k)
                   structure: int64,         # IN             0; 1 shared; 2 isotropic
                   sums: sums_out,           # OUT    (2 + s, 3 k + 2)  row 0: those of the last iteration
                   trace: sums_out,          # OUT    (m, 2)  log likelihood and entropy of each iteration
                   rule: state_inout,        # IN/OUT (10,)   a StopRule
                   tiles: tiles_scratch      # SCRATCH
                   ) -> int64:
    # -> iterations, m at the most
    m = model_of(tiles, weights, means, variances, last, added, fixed, structure, sums)
    goes_on, done = len(trace) > 0 and begin_diag(m), int64(0)
    while goes_on:
        diag_share(int64(0), tiles[:1], slot_rows, X, X[:, :0], sample_weight, m.log_norm, m.center,
                   m.scaling.reshape(means.shape), sums[2:])
        goes_on, done = advance_diag(m, done, sums, trace, rule)
    put_params(m, weights, means, variances)
    return done


@iterate_kernel
def iterate_mvnormal_diag(X: rows,                 # IN     (n, d)
                          sample_weight: weights,  # IN     (n,)
                          slot_rows: int64,        # IN
                          weights: state_inout,    # IN/OUT (k,)
                          means: location_inout,   # IN/OUT (k, d)
                          variances: state_inout,  # IN/OUT (k d,) or, isotropic, (k,)
                          last: state_inout,       # OUT    as for iterate_normal
                          added: vector,           # IN     (d,)
                          fixed: fixed_in,         # IN     (3, k)  or (0, k)
                          structure: int64,        # IN             0; 2 isotropic
                          sums: sums_out,          # OUT    (2 + s, k + 2 k d + 2)
                          trace: sums_out,         # OUT    (m, 2)
                          rule: state_inout,       # IN/OUT (10,)
                          tiles: tiles_scratch     # SCRATCH
                          ) -> int64:
    # -> iterations, m at the most
    m = model_of(tiles, weights, means, variances, last, added, fixed, structure, sums)
    goes_on, done = len(trace) > 0 and begin_diag(m), int64(0)
    while goes_on:
        diag_share(int64(0), tiles[:1], slot_rows, X, X[:, :0], sample_weight, m.log_norm, m.center,
                   m.scaling.reshape(means.shape), sums[2:])
        goes_on, done = advance_diag(m, done, sums, trace, rule)
    put_params(m, weights, means, variances)
    return done


@iterate_kernel
def iterate_mvnormal_full(X: rows,                  # IN     (n, d)
                          sample_weight: weights,   # IN     (n,)
                          slot_rows: int64,         # IN
                          weights: state_inout,     # IN/OUT (k,)
                          means: location_inout,    # IN/OUT (k, d)
                          covariances: state_inout, # IN/OUT (k d d,) or, shared, (d d,)
                          last: state_inout,        # OUT    as for iterate_normal
                          added: vector,            # IN     (d,)
                          fixed: fixed_in,          # IN     (3, k)  or (0, k)
                          structure: int64,         # IN             0; 1 shared
                          sums: sums_out,           # OUT    (2 + s, k + k d + k d d + 2)
                          trace: sums_out,          # OUT    (m, 2)
                          rule: state_inout,        # IN/OUT (10,)
                          tiles: tiles_scratch      # SCRATCH
                          ) -> int64:
    # -> iterations, m at the most
    k, d = means.shape
    m = model_of(tiles, weights, means, covariances, last, added, fixed, structure, sums)
    goes_on, done = len(trace) > 0 and begin_full(m), int64(0)
    while goes_on:
        full_share(int64(0), tiles[:1], slot_rows, X, X[:, :0], sample_weight, m.log_norm, m.center,
                   m.scaling.reshape(k, d, d), sums[2:])
        goes_on, done = advance_full(m, done, sums, trace, rule)
    put_params(m, weights, means, covariances)
    return done
