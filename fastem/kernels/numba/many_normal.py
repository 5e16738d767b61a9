"""Many small fits of normal values."""
import math

import numpy as np
from numba import float64, int64, prange

from fastem.kernels.numba.constants import LOG2_2PI, LOG2E
from fastem.kernels.numba.elementary import log2_
from fastem.kernels.numba.jit import pointwise, rows, tiles_scratch, weights
from fastem.kernels.numba.many_em import maximize_weights, sweep_of
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
from fastem.kernels.numba.many_start import (
    ADDED,
    ALL_MASS,
    BY_GAIN,
    EXCESS,
    FEWEST,
    HIGHEST,
    LOWEST,
    MIDDLE,
    PER_ROW,
    VARIANCE,
    forget,
    nothing_given,
    part_sum,
    search_of,
    sort_rows,
)
from fastem.kernels.numba.tile import edge
from fastem.kernels.numba.vectors import borrowed, larger

LARGEST = 1e140             # as arrays.LARGEST_MAGNITUDE
LARGEST_SUM = 1e305         # as arrays.LARGEST_SUM
RESOLUTION = 2.0**-50       # as gaussian.RESOLUTION
SMALLEST_VARIANCE = 1e-200  # as gaussian.SMALLEST_VARIANCE
NARROW, WIDE = 0.35, 2.0    # variances of two components of one mean, to that of all
FEW, NEAR, FAR = 0.1, 0.5, 6.0  # share of the wide one, where it is small, and such variances then
HEAVY = 2.5                 # excess kurtosis of such rows


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


@pointwise
def normal_part(facts, mass, moment, square):
    """log2 of weight^mass times the density of the rows of a part, whose variance is drawn to that of all."""
    variance = (square - moment * moment / mass + facts[FEWEST] * facts[VARIANCE]) / (mass + facts[FEWEST])
    return mass * (log2_(mass) - 0.5 * log2_(larger(variance, SMALLEST_VARIANCE)))


@pointwise
def normal_precision(facts, params, c):
    return 1.0 / params[2][c]


@pointwise
def parts_of_values(edges, before, facts, params):
    (shares, means, variances), (zeroth, moment, square, _) = params, before
    smallest = smallest_variance(facts[VARIANCE] + facts[MIDDLE] * facts[MIDDLE])
    for c in range(len(shares)):
        mass = part_sum(zeroth, edges, c)
        delta = part_sum(moment, edges, c) / mass
        shares[c], means[c] = mass / facts[ALL_MASS], facts[MIDDLE] + delta
        within = part_sum(square, edges, c) - mass * delta * delta + facts[FEWEST] * facts[VARIANCE]
        variances[c] = max(within / (mass + facts[FEWEST]) + facts[ADDED], smallest)


@pointwise
def blocks_of_values(n, pairs, found, facts, params):
    forget(params)
    start_normal(n, facts[ADDED], pairs, found, *params)


@pointwise
def spreads_of_values(facts, params):
    """One mean, a narrow component and a wide one: as many rows of both or, where tails are heavy, few of the wide."""
    shares, means, variances = params
    few = facts[EXCESS] > HEAVY
    smallest = smallest_variance(facts[VARIANCE] + facts[MIDDLE] * facts[MIDDLE])
    for c in range(len(shares)):
        means[c], shares[c] = facts[MIDDLE], (FEW if c else 1.0 - FEW) if few else 0.5
        spread_of = (FAR if c else NEAR) if few else (WIDE if c else NARROW)
        variances[c] = max(facts[VARIANCE] * spread_of + facts[ADDED], smallest)


search_normal, finish_normal = search_of(
    sweep_of(normal_density, normal_moments), normal_tables, maximize_normal, normal_precision, normal_part,
    parts_of_values, blocks_of_values, spreads_of_values, True)


@pointwise
def fit_normals(share, tiles, X, sample_weight, offsets, edges, settings, reg_covar, relative,
                weights, means, variances, loglik, n_iter, status):
    """The groups of a share, one after the other."""
    k, shares = weights.shape[1], len(edges) - 1
    group, pairs, before, lanes, tables, found, sums, kept, parts, _, facts = cut_tile(
        borrowed(tiles[share].ravel()), k)
    tol, max_iter, stopping, accelerated, searched = settings
    rules = tol, stopping == BY_GAIN, accelerated != 0
    facts[LOWEST], facts[HIGHEST], facts[PER_ROW], facts[ADDED] = -math.inf, math.inf, 1.0, 0.0
    for i in range(edges[edge(share, len(tiles), shares)], edges[edge(share + 1, len(tiles), shares)]):
        params = borrowed(weights[i]), borrowed(means[i]), borrowed(variances[i])
        state, n, total = load_values(X, sample_weight, offsets[i], offsets[i + 1], group, pairs)
        status[i] = enough(state, n, k)
        if status[i] != CONVERGED:
            weights[i], means[i], variances[i], loglik[i] = math.nan, math.nan, math.nan, math.nan
            continue
        facts[ADDED] = reg_covar + (relative * own_variance(n, total, group[0], group[2]) if relative > 0.0 else 0.0)
        if searched and nothing_given(params):
            sort_rows(n, pairs, before)
            status[i], loglik[i], n_iter[i] = search_normal(n, total, rules, max_iter, group, pairs, before, tables,
                                                            found, sums, lanes, kept, parts, facts, params)
            continue
        if incomplete(means[i]) or incomplete(variances[i]):
            sort_rows(n, pairs, before)
        start_normal(n, facts[ADDED], pairs, found, *params)
        status[i], loglik[i], n_iter[i] = finish_normal(n, total, rules, max_iter, 0, False, group, tables, sums, lanes,
                                                        kept, facts, params)


@groups_kernel
def fit_many_normal(X: rows,                   # IN     (n, 1)
                    sample_weight: weights,    # IN     (n,)
                    offsets: indices,          # IN     (m + 1,)  group g is rows offsets[g] : offsets[g + 1]
                    edges: indices,            # IN     (s + 1,)  share i is groups edges[i] : edges[i + 1]
                    tol: float64,              # IN               of the mean log likelihood
                    max_iter: int64,           # IN
                    stopping: int64,           # IN               tol: 0 change of mean, 1 gain of total
                    accelerated: int64,        # IN               by SQUAREM
                    searched: int64,           # IN               for the best start, where none is given
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
    settings = tol, max_iter, stopping, accelerated, searched
    for share in prange(len(tiles)):
        fit_normals(int64(share), tiles, X, sample_weight, offsets, edges, settings, reg_covar, relative, weights,
                    means, variances, loglik, n_iter, status)
