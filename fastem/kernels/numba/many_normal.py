"""Many small fits of normal values."""
import math

import numpy as np
from numba import float64, int64, prange

from fastem.kernels.numba.jit import pointwise, rows, tiles_scratch, weights
from fastem.kernels.numba.many_em import LOG2E, em_of, maximize_weights
from fastem.kernels.numba.many_group import (
    CONVERGED,
    NOT_FINITE,
    blocks,
    cut_tile,
    enough,
    fill,
    fill_up,
    groups_kernel,
    incomplete,
    indices,
    iterations_out,
    loglik_out,
    params_inout,
    spread,
    status_out,
)
from fastem.kernels.numba.tile import edge
from fastem.kernels.numba.vectors import borrowed

LOG2_2PI = 2.651496129472319
LARGEST = 1e140             # as arrays.LARGEST_MAGNITUDE
LARGEST_SUM = 1e305         # as arrays.LARGEST_SUM
RESOLUTION = 2.0**-50       # as gaussian.RESOLUTION
SMALLEST_VARIANCE = 1e-200  # as gaussian.SMALLEST_VARIANCE


@pointwise
def load_values(X, sample_weight, begin, end, group, pairs):
    """-> status, rows of positive weight, their weight"""
    (x, _, weight), (key, mass) = group, pairs
    n, total, largest = 0, 0.0, 0.0
    for row in range(begin, end):
        value, w = float64(X[row, 0]), sample_weight[row]
        if w == 0.0:
            continue
        if not abs(value) <= LARGEST:
            return NOT_FINITE, 0, 0.0
        largest = max(largest, abs(value))
        x[n] = key[n] = value
        weight[n] = mass[n] = w
        n, total = n + 1, total + w
    if total * largest * largest > LARGEST_SUM:
        return NOT_FINITE, 0, 0.0
    fill_up(n, group)
    return CONVERGED, n, total


@pointwise
def start_normal(n, reg_covar, pairs, found, shares, means, variances):
    """What has not been given, by blocks of the values; reg_covar is added to what is found."""
    k = found.shape[0]
    for c in range(k):
        fill(shares, c, 1.0 / k)
    if not (incomplete(means) or incomplete(variances)):
        return
    key, mass = pairs
    variance, square = blocks(n, key, mass, found), 0.0
    spread(found, key[0], key[n - 1])
    for c in range(k):
        square += found[c] * found[c] / k
    variance = max(variance + reg_covar, smallest_variance(variance + square))
    for c in range(k):
        fill(means, c, found[c])
        fill(variances, c, variance)


@pointwise
def own_variance(n, total, x, weight):
    """Of the rows, about their first; 1 where they are constant."""
    mean = square = 0.0
    for i in range(n):
        mean += weight[i] * (x[i] - x[0]) / total
    for i in range(n):
        delta = x[i] - x[0] - mean
        square += weight[i] * delta * delta / total
    return square if np.sqrt(square) > RESOLUTION * abs(x[0]) else 1.0


@pointwise
def smallest_variance(mean_square):
    """Below it a variance is rounding."""
    return max(RESOLUTION * RESOLUTION * mean_square, SMALLEST_VARIANCE)


@pointwise
def normal_tables(params, tables):
    (shares, means, variances), (log_norm, center, scaling) = params, tables
    for c in range(means.shape[0]):
        log_norm[c] = np.log2(shares[c]) - 0.5 * (LOG2_2PI + np.log2(variances[c]))
        center[c], scaling[c] = means[c], np.sqrt(0.5 * LOG2E / variances[c])


@pointwise
def normal_density(x, y, log_norm, center, scaling):
    """log2 (weight N(x; mean, sd^2)) = log_norm - ((x - mean) scaling)^2"""
    z = (x - center) * scaling
    return log_norm - z * z


@pointwise
def normal_moments(x, y, center):
    z = x - center
    return z, z * z


@pointwise
def maximize_normal(sums, params, reg_covar):
    """As GaussianStats.maximize: an empty component keeps its mean and variance."""
    shares, means, variances = params
    maximize_weights(sums, shares)
    mean_square = 0.0
    for c in range(means.shape[0]):
        if shares[c] > 0.0:
            count, first, second = sums[3 * c], sums[3 * c + 1], sums[3 * c + 2]
            delta = first / count
            means[c] += delta
            variances[c] = second / count - delta * delta
            mean_square += shares[c] * (variances[c] + means[c] * means[c])
    smallest = smallest_variance(mean_square)
    for c in range(means.shape[0]):
        if shares[c] > 0.0:
            variances[c] = max(variances[c] + reg_covar, smallest)


em_normal = em_of(normal_tables, normal_density, normal_moments, maximize_normal)


@pointwise
def fit_normals(share, tiles, X, sample_weight, offsets, edges, tol, max_iter, reg_covar, relative, weights, means,
                variances, loglik, n_iter, status):
    """The groups of a share, one after the other."""
    k, shares = weights.shape[1], len(edges) - 1
    group, pairs, lanes, tables, found, sums = cut_tile(borrowed(tiles[share].ravel()), k)
    for i in range(edges[edge(share, len(tiles), shares)], edges[edge(share + 1, len(tiles), shares)]):
        params = borrowed(weights[i]), borrowed(means[i]), borrowed(variances[i])
        state, n, total = load_values(X, sample_weight, offsets[i], offsets[i + 1], group, pairs)
        status[i] = enough(state, n, k)
        if status[i] != CONVERGED:
            weights[i], means[i], variances[i], loglik[i] = math.nan, math.nan, math.nan, math.nan
            continue
        added = reg_covar + (relative * own_variance(n, total, group[0], group[2]) if relative > 0.0 else 0.0)
        start_normal(n, added, pairs, found, *params)
        status[i], loglik[i], n_iter[i] = em_normal(n, total, tol, max_iter, added, group, tables, sums, lanes, params)


@groups_kernel
def fit_many_normal(X: rows,                   # IN     (n, 1)
                    sample_weight: weights,    # IN     (n,)
                    offsets: indices,          # IN     (m + 1,)  group g is rows offsets[g] : offsets[g + 1]
                    edges: indices,            # IN     (s + 1,)  share i is groups edges[i] : edges[i + 1]
                    tol: float64,              # IN               of the mean log likelihood
                    max_iter: int64,           # IN
                    reg_covar: float64,        # IN               added to variances
                    relative: float64,         # IN               share of the group's variance that is added
                    weights: params_inout,     # IN/OUT (m, k)    the start; NaN is found from the rows
                    means: params_inout,       # IN/OUT (m, k)
                    variances: params_inout,   # IN/OUT (m, k)
                    loglik: loglik_out,         # OUT    (m,)
                    n_iter: iterations_out,    # OUT    (m,)      comes as 0
                    status: status_out,        # OUT    (m,)
                    tiles: tiles_scratch):     # SCRATCH
    # -> the mixture of each group of these shares
    for share in prange(len(tiles)):
        fit_normals(int64(share), tiles, X, sample_weight, offsets, edges, tol, max_iter, reg_covar, relative, weights,
                    means, variances, loglik, n_iter, status)
