"""What accelerates EM of a Gaussian mixture, and its prior: coordinates of parameters, the gradient by them, and back.

As GaussianParams, GaussianStats and GaussianPrior have them.
"""
import math

import numpy as np

from fastem.kernels.numba.accelerate import (
    MADE,
    NOT_FINITE,
    UNUSUAL,
    all_finite,
    copy,
    is_fixed,
    log_dirichlet,
    weight_slopes,
    weights_from_vector,
    weights_to_vector,
)
from fastem.kernels.numba.jacobi import MOST_ROTATED, smallest_eigenvalue
from fastem.kernels.numba.jit import once, pointwise
from fastem.kernels.numba.many_normal import RESOLUTION, SMALLEST_VARIANCE
from fastem.kernels.numba.maximize_gaussian import (
    factorise,
    factorise_matrices,
    factorise_shared,
    factorise_variances,
    first_spread,
    own_variance,
)
from fastem.kernels.numba.tables_gaussian import ISOTROPIC, SHARED


@pointwise
def n_spreads(m):
    return 1 if m.structure == SHARED else len(m.log_norm)


@pointwise
def own_features(m):
    """Variances of a component."""
    return 1 if m.structure == ISOTROPIC else len(m.floors)


# --------------------------------------------------------------------------------------------------------- coordinates

@once
def location_to_vector(m, params, vector):
    """Log weights and means.  -> where the spread begins"""
    k, d = m.center.shape
    at = weights_to_vector(m, params, vector)
    for c in range(k):
        if not is_fixed(m, 1, c):
            for j in range(d):
                vector[at + j] = params[k + c * d + j] / m.units[0, j]
            at += d
    return at


@once
def diag_to_vector(m, params, vector):
    """As GaussianParams.to_vector: logarithms of standard deviations."""
    d, at = len(m.floors), location_to_vector(m, params, vector)
    for c in range(n_spreads(m)):
        if not is_fixed(m, 2, c):
            for j in range(own_features(m)):
                vector[at] = -np.log(m.factors[c * d + j] * m.units[1, j])
                at += 1


@once
def full_to_vector(m, params, vector):
    """As GaussianParams.to_vector: factors of Cholesky."""
    d, at, C = len(m.floors), location_to_vector(m, params, vector), m.matrices[0]
    for c in range(n_spreads(m)):
        if is_fixed(m, 2, c):
            continue
        invert_lower(d, m.factors[c * d * d:(c + 1) * d * d], C)
        for i in range(d):
            for j in range(i):
                vector[at + j] = C[i * d + j] / m.units[1, i]
            vector[at + i] = np.log(C[i * d + i] / m.units[1, i])
            at += i + 1


@once
def invert_lower(d, L, C):
    """C <- L^-1, lower triangles, row by row."""
    C[:] = 0.0
    for i in range(d):
        C[i * d + i] = 1.0 / L[i * d + i]
        for p in range(i):
            for j in range(p + 1):
                C[i * d + j] -= L[i * d + p] * C[p * d + j]
        for j in range(i):
            C[i * d + j] *= C[i * d + i]


@once
def location_from_vector(m, vector):
    """Weights and means of the proposal, and the spread that the params have.  -> where the spread begins"""
    k, d = m.center.shape
    at = weights_from_vector(m, vector)
    copy(m.params[k:], m.proposal[k:])
    for c in range(k):
        if not is_fixed(m, 1, c):
            for j in range(d):
                m.proposal[k + c * d + j] = vector[at + j] * m.units[0, j]
            at += d
    return at


@once
def diag_from_vector(m, vector):
    """As GaussianParams.from_vector and above_floor."""
    k, at, features = len(m.log_norm), location_from_vector(m, vector), own_features(m)
    for c in range(n_spreads(m)):
        if not is_fixed(m, 2, c):
            for j in range(features):
                sd = np.exp(vector[at]) * m.units[1, j]
                m.proposal[own_variance(m, c, j)] = max(sd * sd, SMALLEST_VARIANCE)
                at += 1
    if not all_finite(m.proposal):
        return NOT_FINITE
    for j in range(len(m.floors)):
        square = 0.0
        for c in range(k):
            square = add_square(m, c, j, own_variance(m, c, j), square)
        m.floors[j] = max(RESOLUTION * RESOLUTION * square, SMALLEST_VARIANCE)
    for c in range(n_spreads(m)):
        if not is_fixed(m, 2, c):
            for j in range(features):
                own = own_variance(m, c, j)
                m.proposal[own] = max(m.proposal[own], least_variance(m, j))
    factorise_variances(m, m.proposal)
    return MADE


@pointwise
def add_square(m, c, j, own, square):
    """The mean square of feature j, of what the M-step has made: of component c, and those before it."""
    mean = m.made[len(m.log_norm) + c * len(m.floors) + j]
    return square + m.made[c] * (m.made[own] + mean * mean)


@pointwise
def least_variance(m, j):
    """What an M-step leaves a variance."""
    if m.structure != ISOTROPIC:
        return m.floors[j] + m.added[j]
    highest = mean = 0.0
    for i in range(len(m.floors)):
        highest, mean = max(highest, m.floors[i]), mean + m.added[i] / len(m.floors)
    return highest + mean


@once
def full_from_vector(m, vector):
    """As GaussianParams.from_vector and above_floor."""
    k, d, at = len(m.log_norm), len(m.floors), location_from_vector(m, vector)
    for c in range(n_spreads(m)):
        if not is_fixed(m, 2, c):
            begin = first_spread(m) + c * d * d
            matrix_from_vector(m, vector[at:], m.proposal[begin:begin + d * d])
            at += d * (d + 1) // 2
    if not all_finite(m.proposal):
        return NOT_FINITE
    for j in range(d):
        square = 0.0
        for c in range(k):
            own = first_spread(m) + (0 if m.structure == SHARED else c * d * d) + j * d + j
            square = add_square(m, c, j, own, square)
        m.floors[j] = max(RESOLUTION * RESOLUTION * square, SMALLEST_VARIANCE)
    m.delta[:] = 0.0
    if not factorise_matrices(m, m.proposal):
        return UNUSUAL
    for c in range(n_spreads(m)):
        suspect = not is_fixed(m, 2, c) and is_suspect(m, m.factors[c * d * d:(c + 1) * d * d])
        if suspect and (d > MOST_ROTATED or not raise_matrix(m, c)):
            return UNUSUAL
    return MADE


@once
def raise_matrix(m, c):
    """Raise its eigenvalues, each feature in units of the root of what is added, to 1.  -> is every pivot above its
    floor?"""
    d, begin, A = len(m.floors), first_spread(m) + c * len(m.floors) * len(m.floors), m.matrices[0]
    matrix = m.proposal[begin:begin + d * d]
    for i in range(d):
        for j in range(d):
            A[i * d + j] = matrix[i * d + j] / (math.sqrt(m.added[i]) * math.sqrt(m.added[j]))
    rise = max(1.0 - smallest_eigenvalue(d, A), 0.0)
    for j in range(d):
        matrix[j * d + j] += rise * m.added[j]
    return factorise_shared(m, matrix) if m.structure == SHARED else factorise(m, matrix, c)


@once
def matrix_from_vector(m, vector, matrix):
    """C C^T of the factor C."""
    d, at, C = len(m.floors), 0, m.matrices[0]
    for i in range(d):
        for j in range(i):
            C[i * d + j] = vector[at + j] * m.units[1, i]
        C[i * d + i] = max(np.exp(vector[at + i]) * m.units[1, i], math.sqrt(SMALLEST_VARIANCE))
        at += i + 1
        for j in range(i + 1):
            total = 0.0
            for p in range(j + 1):
                total += C[i * d + p] * C[j * d + p]
            matrix[i * d + j] = matrix[j * d + i] = total


@once
def is_suspect(m, L):
    """May an eigenvalue be below 1, each feature in units of the root of what is added?"""
    d, trace = len(m.floors), 0.0
    for j in range(d):
        if not m.added[j] > 0.0:
            return False
        for i in range(j, d):
            trace += L[i * d + j] * L[i * d + j] * m.added[j]
    return trace > 1.0


# ------------------------------------------------------------------------------------------------------------ gradient

@once
def diag_gradient(m, slopes):
    """As GaussianStats.gradient: (counts made + counts delta^2) / swept - counts, of variances."""
    k, d = m.center.shape
    at = weight_slopes(m, slopes)
    for c in range(k):
        if not is_fixed(m, 1, c):
            for i in range(c * d, (c + 1) * d):
                whitened = m.swept_factors[i] * m.swept_factors[i] * m.delta[i]
                slopes[at] = m.counts[1, c] * whitened * m.units[0, i - c * d]
                at += 1
    slopes[at:] = 0.0
    for c in range(k):
        if is_fixed(m, 2, c):
            continue
        for j in range(d):
            i = c * d + j
            made = m.counts[2, c] * m.made[own_variance(m, c, j)] + m.counts[1, c] * m.delta[i] * m.delta[i]
            slopes[at] += made * m.swept_factors[i] * m.swept_factors[i] - m.counts[2, c]
            if m.structure != ISOTROPIC and m.structure != SHARED:
                at += 1
        if m.structure == ISOTROPIC:
            at += 1


@once
def full_gradient(m, slopes):
    """As GaussianStats.gradient: L^T (L B L^T - counts), with B the sums about the swept means as the M-step left
    them."""
    k, d = m.center.shape
    B, counts, at = m.matrices[0], 0.0, weight_slopes(m, slopes)
    for c in range(k):
        if not is_fixed(m, 1, c):
            whiten(m, c, m.delta[c * d:(c + 1) * d], slopes[at:at + d])
            for j in range(d):
                slopes[at + j] *= m.counts[1, c] * m.units[0, j]
            at += d
    B[:] = 0.0
    for c in range(k):
        if is_fixed(m, 2, c):
            continue
        made = m.made[first_spread(m) + (0 if m.structure == SHARED else c * d * d):]
        counts += m.counts[2, c]
        for i in range(d):
            for j in range(d):
                moved = m.counts[1, c] * m.delta[c * d + i] * m.delta[c * d + j]
                B[i * d + j] += m.counts[2, c] * made[i * d + j] + moved
        if m.structure != SHARED or c == k - 1:
            slopes_of_matrix(m, m.swept_factors[c * d * d:(c + 1) * d * d], counts, slopes[at:])
            at += d * (d + 1) // 2
            B[:] = 0.0
            counts = 0.0


@once
def whiten(m, c, residual, whitened):
    """L^T L times it, with L the factor of what has been swept."""
    d = len(residual)
    L = m.swept_factors[c * d * d:(c + 1) * d * d]
    whitened[:] = 0.0
    for i in range(d):
        z = 0.0
        for j in range(i + 1):
            z += L[i * d + j] * residual[j]
        for j in range(i + 1):
            whitened[j] += L[i * d + j] * z


@once
def slopes_of_matrix(m, L, counts, slopes):
    """B is in the first of the matrices."""
    d, at, B, W = len(m.floors), 0, m.matrices[0], m.matrices[1]
    W[:] = 0.0
    for i in range(d):  # W = L B
        for p in range(i + 1):
            for j in range(d):
                W[i * d + j] += L[i * d + p] * B[p * d + j]
    for i in range(d):  # B = W L^T - counts
        for j in range(d):
            total = -counts if i == j else 0.0
            for p in range(j + 1):
                total += W[i * d + p] * L[j * d + p]
            B[i * d + j] = total
    W[:] = 0.0
    for p in range(d):  # W = L^T B
        for i in range(p + 1):
            for j in range(d):
                W[i * d + j] += L[p * d + i] * B[p * d + j]
    for i in range(d):
        for j in range(i):
            slopes[at + j] = W[i * d + j] * m.units[1, i]
        slopes[at + i] = W[i * d + i] / L[i * d + i]
        at += i + 1


# --------------------------------------------------------------------------------------------------------------- prior
# It is concentration - 1, a constant of its log density, mean_precision, the counts behind second, the mean of each
# component (k, d), and the scale (d, d), or its diagonal, of all.

@once
def add_mean_prior(m, c):
    """To the first moments and the counts of a component."""
    k, d = m.center.shape
    m.counts[1, c] += m.prior[2]
    m.counts[2, c] += m.prior[3]
    for j in range(d):
        m.sums[k + c * d + j] += m.prior[2] * offset(m, c, j)


@pointwise
def offset(m, c, j):
    """Of the mean of the prior from that of a component"""
    (k, d) = m.center.shape
    return m.prior[4 + c * d + j] - m.params[k + c * d + j]


@once
def add_diag_prior(m):
    """As GaussianPrior.stats.  -> log density"""
    (k, d), found = m.center.shape, 0.0
    for c in range(k):
        add_mean_prior(m, c)
        for j in range(d):
            L, scale = m.factors[c * d + j], m.prior[4 + k * d + j]
            second = scale + m.prior[2] * offset(m, c, j) * offset(m, c, j)
            m.sums[first_spread(m) + c * d + j] += second
            found -= 0.5 * (second * L * L - 2.0 * m.prior[3] * np.log(L))
    return m.prior[1] + found + log_dirichlet(m, m.prior[0])


@once
def add_full_prior(m):
    """As GaussianPrior.stats.  -> log density"""
    (k, d), found = m.center.shape, 0.0
    for c in range(k):
        add_mean_prior(m, c)
        L, second = m.factors[c * d * d:(c + 1) * d * d], m.matrices[0]
        for i in range(d):
            found += m.prior[3] * np.log(L[i * d + i])
            for j in range(d):
                second[i * d + j] = m.prior[4 + k * d + i * d + j] + m.prior[2] * offset(m, c, i) * offset(m, c, j)
                own = 0 if m.structure == SHARED else c
                m.sums[first_spread(m) + (own * d + i) * d + j] += second[i * d + j]
        found -= 0.5 * trace_of(d, L, second)
    return m.prior[1] + found + log_dirichlet(m, m.prior[0])


@once
def trace_of(d, L, second):
    """Of the inverse covariance times it: sum_ij (L second)_ij L_ij"""
    found = 0.0
    for i in range(d):
        for j in range(i + 1):
            element = 0.0
            for p in range(i + 1):
                element += L[i * d + p] * second[p * d + j]
            found += element * L[i * d + j]
    return found
