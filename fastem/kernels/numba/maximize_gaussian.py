"""The M-step of one Gaussian mixture on few rows, as GaussianStats has it."""
import math

import numpy as np

from fastem.kernels.numba.accelerate import copy, is_fixed
from fastem.kernels.numba.cholesky import decompose, invert_transposed
from fastem.kernels.numba.iterate import is_kept, maximize_weights
from fastem.kernels.numba.jit import once, pointwise
from fastem.kernels.numba.many_normal import RESOLUTION, SMALLEST_VARIANCE
from fastem.kernels.numba.tables_gaussian import ISOTROPIC, SHARED, is_about_middle

EPS = 2.0**-52


@pointwise
def gone_from(m, c, j):
    """How far a mean is, after the M-step, from what its moments were taken about."""
    at = c * len(m.floors) + j
    return m.made[len(m.log_norm) + at] - m.middle[j] if is_about_middle(m) else m.delta[at]


# --------------------------------------------------------------------------------------------------------- variances

@pointwise
def first_spread(m):
    """Where variances or matrices begin among the parameters."""
    return len(m.log_norm) + len(m.delta)


@once
def find_variance_factors(m):
    """Of the params: variances are definite."""
    return factorise_variances(m, m.params)


@once
def factorise_variances(m, params):
    """factors <- those of these variances."""
    k, d = len(m.log_norm), len(m.floors)
    for c in range(k):
        for j in range(d):
            m.factors[c * d + j] = 1.0 / math.sqrt(params[own_variance(m, c, j)])
    return True


@pointwise
def own_variance(m, c, j):
    """Where it is among the parameters."""
    own = 0 if m.structure == SHARED else c if m.structure == ISOTROPIC else c * len(m.floors) + j
    return first_spread(m) + own


@once
def maximize_means(m):
    """-> counts of a component without rows"""
    k, d = len(m.log_norm), len(m.floors)
    least = maximize_weights(m)
    for c in range(k):
        for j in range(d):
            at = c * d + j
            m.delta[at] = 0.0 if is_kept(m, 1, least, c) else m.sums[k + at] / m.counts[1, c]
            m.made[k + at] = m.params[k + at] + m.delta[at]
    return least


@pointwise
def scatter(m, least, c, i, j, at):
    """second / counts - delta delta^T of features i and j; of a prior there are other counts behind delta."""
    d, moved = len(m.floors), m.delta[c * len(m.floors) + i]
    if not m.counts[2, c] > least:
        return 0.0
    if len(m.prior) > 0:
        moved *= m.counts[1, c] / m.counts[2, c]
    return m.sums[first_spread(m) + at] / m.counts[2, c] - moved * m.delta[c * d + j]


@once
def fill_floors(m, least, size, step):
    """The variances that are rounding: as rounding_variances, and what delta^2 has been taken from."""
    k, d = len(m.log_norm), len(m.floors)
    for j in range(d):
        total = square = lost = 0.0
        for c in range(k):
            total += m.counts[2, c]
        for c in range(k):
            share, mean, delta = m.counts[2, c] / total, m.made[k + c * d + j], m.delta[c * d + j]
            square += share * (scatter(m, least, c, j, j, c * size + j * step) + mean * mean)
            lost += share * RESOLUTION * delta * delta
        square = max(RESOLUTION * RESOLUTION * square, SMALLEST_VARIANCE)
        m.floors[j] = max(square, lost) if m.structure == SHARED else square


@pointwise
def own_floor(m, c, j):
    """The variance of a component that is rounding."""
    taken = gone_from(m, c, j)
    return m.floors[j] if m.structure == SHARED else max(m.floors[j], RESOLUTION * taken * taken)


@once
def maximize_diag(m):
    """As GaussianStats.maximize, where no variance is at its floor."""
    least = maximize_means(m)
    fill_floors(m, least, len(m.floors), 1)
    if m.structure == SHARED:
        return maximize_shared_variance(m, least)
    for c in range(len(m.log_norm)):
        if is_kept(m, 2, least, c):
            keep_variances(m, c)
        elif m.structure == ISOTROPIC:
            if not maximize_isotropic(m, least, c):
                return False
        elif not maximize_variances(m, least, c):
            return False
    return True


@pointwise
def keep_variances(m, c):
    """Those of the params, of one component."""
    size = 1 if m.structure == ISOTROPIC else len(m.floors)
    begin = first_spread(m) + c * size
    copy(m.params[begin:begin + size], m.made[begin:begin + size])


@pointwise
def variance_of(m, least, c, j):
    """scatter + added"""
    return scatter(m, least, c, j, j, c * len(m.floors) + j) + m.added[j]


@pointwise
def maximize_variances(m, least, c):
    d = len(m.floors)
    for j in range(d):
        variance = variance_of(m, least, c, j)
        if not variance >= own_floor(m, c, j):
            return False
        m.made[first_spread(m) + c * d + j] = variance
        m.factors[c * d + j] = 1.0 / math.sqrt(variance)
    return True


@pointwise
def maximize_isotropic(m, least, c):
    """One variance of all features: their mean."""
    d = len(m.floors)
    mean = highest = 0.0
    for j in range(d):
        mean, highest = mean + variance_of(m, least, c, j) / d, max(highest, own_floor(m, c, j))
    if not mean >= highest:
        return False
    m.made[first_spread(m) + c] = mean
    for j in range(d):
        m.factors[c * d + j] = 1.0 / math.sqrt(mean)
    return True


@pointwise
def maximize_shared_variance(m, least):
    """One variance of one feature, for all components."""
    k, total, variance = len(m.log_norm), 0.0, m.added[0]
    if is_fixed(m, 2, 0):
        m.made[first_spread(m)] = m.params[first_spread(m)]
        return True
    for c in range(k):
        total += m.counts[2, c]
    for c in range(k):
        variance += m.counts[2, c] / total * scatter(m, least, c, 0, 0, c)
    if not variance >= m.floors[0]:
        return False
    m.made[first_spread(m)] = variance
    for c in range(k):
        m.factors[c] = 1.0 / math.sqrt(variance)
    return True


# ---------------------------------------------------------------------------------------------------------- matrices

@once
def find_matrix_factors(m):
    """Of the params: -> are they definite?"""
    m.floors[:], m.delta[:], m.middle[:] = 0.0, 0.0, np.nan
    return factorise_matrices(m, m.params)


@once
def factorise_matrices(m, params):
    """factors <- those of these matrices.  -> is every pivot above its floor?"""
    size, begin = len(m.floors) * len(m.floors), first_spread(m)
    if m.structure == SHARED:
        return factorise_shared(m, params[begin:])
    definite = True
    for c in range(len(m.log_norm)):
        definite = definite and factorise(m, params[begin + c * size:begin + (c + 1) * size], c)
    return definite


@once
def factorise_shared(m, matrix):
    """factors of all components <- those of their matrix."""
    size = len(m.floors) * len(m.floors)
    if not factorise(m, matrix, 0):
        return False
    for c in range(1, len(m.log_norm)):
        copy(m.factors[:size], m.factors[c * size:(c + 1) * size])
    return True


@once
def maximize_full(m):
    """As GaussianStats.maximize, where no pivot is at its floor: scatter + added."""
    k, d = len(m.log_norm), len(m.floors)
    least = maximize_means(m)
    if m.structure == SHARED:
        fill_shared_floors(m)
        return maximize_shared_matrix(m)
    fill_floors(m, least, d * d, d + 1)
    for c in range(k):
        begin = first_spread(m) + c * d * d
        matrix = m.made[begin:begin + d * d]
        if is_kept(m, 2, least, c):
            copy(m.params[begin:begin + d * d], matrix)
            continue
        matrix[:] = 0.0
        add_scatter(m, least, c, 1.0, matrix)
        add_to_diagonal(m, matrix)
        if not factorise(m, matrix, c):
            return False
    return True


@once
def maximize_shared_matrix(m):
    """One matrix for all components."""
    total, d, matrix = 0.0, len(m.floors), m.made[first_spread(m):]
    if is_fixed(m, 2, 0):
        copy(m.params[first_spread(m):], matrix)
        return True
    for c in range(len(m.log_norm)):
        total += m.counts[2, c]
    for i in range(d):
        for j in range(i + 1):
            matrix[i * d + j] = matrix[j * d + i] = shared_scatter(m, i, j) / total
    add_to_diagonal(m, matrix)
    return factorise_shared(m, matrix)


@pointwise
def shared_scatter(m, i, j):
    """second - sum of counts delta delta^T, of all components."""
    d = len(m.floors)
    found = m.sums[first_spread(m) + i * d + j]
    for c in range(len(m.log_norm)):
        found -= m.counts[1, c] * m.delta[c * d + i] * m.delta[c * d + j]
    return found


@once
def fill_shared_floors(m):
    """As fill_floors; of the tied kernel, scatter is what the offsets of the means have left."""
    k, d = len(m.log_norm), len(m.floors)
    for j in range(d):
        square, total, lost = shared_scatter(m, j, j), 0.0, 0.0
        for c in range(k):
            mean = m.made[k + c * d + j]
            taken = gone_from(m, c, j)
            total += m.counts[2, c]
            square += m.counts[2, c] * mean * mean
            lost += m.counts[2, c] * RESOLUTION * taken * taken
        m.floors[j] = max(RESOLUTION * RESOLUTION * square / total, SMALLEST_VARIANCE, lost / total)


@once
def add_scatter(m, least, c, share, matrix):
    d = len(m.floors)
    for i in range(d):
        for j in range(d):
            matrix[i * d + j] += share * scatter(m, least, c, i, j, (c * d + i) * d + j)


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
    pivots = m.matrices[1]
    if not decompose(d, A, pivots):
        return False
    for i in range(d):
        if not pivots[i] >= max(d * EPS * matrix[i * d + i], own_floor(m, c, i)):
            return False
    invert_transposed(d, A)
    return True
