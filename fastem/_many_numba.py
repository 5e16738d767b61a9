"""Numba kernels of many small fits: the same names, arguments and results as the Cython twin `_many.pyx`.

Its design note holds here too; jit policy, vectors, exp2 and log2 are those of `_kernels_numba.py`, and so are its
notes: shares of groups are run by `prange`, or one after the other in `kernel.serial`.
"""
import math
import os

import numpy as np
from numba import float64, int64, prange, types

from fastem import _kernels_numba
from fastem._kernels_numba import (
    FAR_OUT,
    LANES,
    LN2,
    LOWEST,
    ROW,
    add_lane_sums,
    borrowed,
    broadcast,
    edge,
    exp2_,
    kernel,
    larger,
    load,
    log2_,
    pointwise,
    rows,
    store,
    tiles_scratch,
    vector,
    weights,
)

LOG2E = 1.4426950408889634
LOG2_2PI = 2.651496129472319
LOG_2PI = 1.8378770664093453
LARGEST = 1e140             # as inputs.LARGEST
LARGEST_SUM = 1e305         # as inputs.LARGEST_SUM
LARGEST_COUNT = 2.0**53     # as inputs.LARGEST_COUNT
EMPTY = 2.0**-850           # as stats.EMPTY
RESOLUTION = 2.0**-50       # as gaussian.RESOLUTION
SMALLEST_VARIANCE = 1e-200  # as gaussian.SMALLEST_VARIANCE
SMALLEST_PROB = 2.0**-53    # as binomial.SMALLEST_PROB
LOG_ZERO = -1e290           # as binomial.LOG_ZERO
LOWEST_LOGLIK = -1e307      # as sweep.LOWEST_LOGLIK
TIE = 1e-9                  # share of the range by which means of blocks differ, or they are one
PER_COMPONENT = 4 * LANES + 7  # numbers of a tile for each component, as cut_tile cuts them

CONVERGED, MAX_ITER, NO_ROWS, FEW_ROWS, NOT_FINITE, NOT_COUNTS = range(6)  # as many.FitStatus

indices = types.Array(types.int64, 1, "C", readonly=True)
params_inout = types.Array(types.float64, 2, "C")
reals_out = types.Array(types.float64, 1, "C")
iterations_out = types.Array(types.int32, 1, "C")
status_out = types.Array(types.int8, 1, "C")


def groups_kernel(function):
    """A kernel whose tiles hold the longest of its groups.

    Numba's cache looks for changes in this file alone, and at the qualified name: that tells of `_kernels_numba.py`.
    """
    stamp = os.stat(_kernels_numba.__file__)
    function.__qualname__ += f"_{stamp.st_mtime_ns:x}_{stamp.st_size:x}"
    declared = list(function.__annotations__.values())
    begin, out = declared.index(indices), declared.index(params_inout)

    def height(*args):
        offsets, edges, k = args[begin], args[begin + 1], args[out].shape[1]
        longest = int(np.diff(offsets[edges[0]:edges[-1] + 1]).max())
        return -(-(5 * (longest + LANES) + PER_COMPONENT * k + 1) // ROW)

    return kernel(function, height)


# --------------------------------------------------------------------------------------------------------- a group

@pointwise
def padded(length):
    """Raised to a multiple of LANES."""
    return (length + LANES - 1) // LANES * LANES


@pointwise
def cut_tile(tile, k):
    """As many rows as there is room for, a multiple of LANES."""
    n = (len(tile) - PER_COMPONENT * k - 1) // 5 // LANES * LANES
    lanes, columns, rest = tile[:4 * k * LANES], tile[4 * k * LANES:4 * k * LANES + 5 * n], tile[4 * k * LANES + 5 * n:]
    return ((columns[:n], columns[n:2 * n], columns[2 * n:3 * n]),  # group   x, failures and weight
            (columns[3 * n:4 * n], columns[4 * n:]),                # pairs   key and mass, which a start sorts
            lanes,                                                  # lanes   densities of the vector at hand, and sums
            (rest[:k], rest[k:2 * k], rest[2 * k:3 * k]),           # tables  log_norm, center and scaling
            rest[3 * k:4 * k],                                      # found   means of a start
            rest[4 * k:7 * k + 1])                                  # sums    counts, first and second of a component,
                                                                    #         then of the next; last the log likelihood


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
def load_counts(X, trials, sample_weight, log_factorials, begin, end, group, pairs):
    """-> status, rows of positive weight, their weight, base measure.  A start sorts rates that are never 0 or 1."""
    (x, failures, weight), (key, mass) = group, pairs
    n, total, base_measure = 0, 0.0, 0.0
    for row in range(begin, end):
        count, tosses, w = float64(X[row, 0]), float64(trials[row, 0]), sample_weight[row]
        if w == 0.0:
            continue
        if not (abs(count) < math.inf and abs(tosses) < math.inf):
            return NOT_FINITE, 0, 0.0, 0.0
        if not (0.0 <= count <= tosses <= LARGEST_COUNT and count == math.floor(count)
                and tosses == math.floor(tosses)):
            return NOT_COUNTS, 0, 0.0, 0.0
        x[n], failures[n], weight[n] = count, tosses - count, w
        key[n], mass[n] = (count + 0.5) / (tosses + 1.0), w * tosses
        base_measure += w * (log_factorial(tosses, log_factorials) - log_factorial(count, log_factorials)
                             - log_factorial(tosses - count, log_factorials))
        n, total = n + 1, total + w
    fill_up(n, group)
    return CONVERGED, n, total, base_measure


@pointwise
def fill_up(n, group):
    """The last vector."""
    x, failures, weight = group
    for i in range(n, padded(n)):
        x[i], failures[i], weight[i] = x[0], failures[0], 0.0


@pointwise
def enough(status, n, k):
    """The status, or that there are no rows for k components."""
    if status != CONVERGED or n >= k > 0:
        return status
    return FEW_ROWS if n else NO_ROWS


@pointwise
def log_factorial(n, table):
    """log n!: a table, then Stirling's series, as binomial.log_factorial."""
    if n < 256.0:
        return table[int(n)]
    return (n + 0.5) * math.log(n) - n + 0.5 * LOG_2PI + (1.0 / 12.0 - 1.0 / (360.0 * n * n)) / n


# ---------------------------------------------------------------------------------------------------------- starts

@pointwise
def sort_pairs(key, mass, n):
    """By key, each with its mass: Shell's sort with the gaps of Tokuda (1992)."""
    gap = 1
    while gap < n:
        gap = 9 * gap // 4 + 1
    while gap > 1:
        gap = (4 * (gap - 1) + 8) // 9
        for i in range(gap, n):
            smallest, its_mass = key[i], mass[i]
            j = i
            while j >= gap and key[j - gap] > smallest:
                key[j], mass[j] = key[j - gap], mass[j - gap]
                j -= gap
            key[j], mass[j] = smallest, its_mass


@pointwise
def blocks(n, key, mass, found):
    """found <- means of k blocks of equal mass of the sorted keys; -> the variance within blocks.

    A row on an edge is shared, so that a row of weight w is w equal rows.  Moments of a block are about its first key.
    """
    sort_pairs(key, mass, n)
    all_mass = 0.0
    for i in range(n):
        all_mass += mass[i]
    k = found.shape[0]
    width = room = all_mass / k
    c, origin, first, second, within = 0, key[0], 0.0, 0.0, 0.0
    for i in range(n):
        left = mass[i]
        while left > room and c < k - 1:
            delta = key[i] - origin
            within += close_block(c, origin, first + room * delta, second + room * delta * delta, width, found)
            left, room, origin, first, second, c = left - room, width, key[i], 0.0, 0.0, c + 1
        delta = key[i] - origin
        first, second, room = first + left * delta, second + left * delta * delta, room - left
    within += close_block(c, origin, first, second, width, found)
    for i in range(c + 1, k):  # where there is no mass at all
        found[i] = key[n - 1]
    return max(within, 0.0) / all_mass if all_mass > 0.0 else 0.0


@pointwise
def close_block(c, origin, first, second, width, found):
    """found[c]; -> sum of squares about it."""
    delta = first / width if width > 0.0 else 0.0
    found[c] = origin + delta
    return second - first * delta


@pointwise
def spread(found, low, high):
    """Where means tie they are moved apart, half way to even ones: EM cannot separate equal components."""
    k, tied = found.shape[0], False
    for c in range(1, k):
        tied = tied or not found[c] - found[c - 1] > TIE * (high - low)
    for c in range(k if tied else 0):
        found[c] = 0.5 * (found[c] + low + (high - low) * (c + 0.5) / k)


@pointwise
def incomplete(values):
    """Is any to be found?"""
    return np.isnan(values).any()


@pointwise
def fill(values, c, value):
    if math.isnan(values[c]):
        values[c] = value


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
def start_binomial(n, pairs, found, shares, probs):
    """What has not been given, by blocks of the rates of success; even probs where no row has trials."""
    k = found.shape[0]
    for c in range(k):
        fill(shares, c, 1.0 / k)
    if not incomplete(probs):
        return
    key, mass = pairs
    blocks(n, key, mass, found)
    low, high = key[0], key[n - 1]
    spread(found, low if high > low else 0.0, high if high > low else 1.0)
    for c in range(k):
        fill(probs, c, found[c])


# ------------------------------------------------------------------------------------------------------ E and M-step

@pointwise
def normal_tables(shares, means, variances, tables):
    log_norm, center, scaling = tables
    for c in range(means.shape[0]):
        log_norm[c] = np.log2(shares[c]) - 0.5 * (LOG2_2PI + np.log2(variances[c]))
        center[c], scaling[c] = means[c], np.sqrt(0.5 * LOG2E / variances[c])


@pointwise
def binomial_tables(shares, probs, tables):
    log_norm, log_p, log_q = tables
    for c in range(probs.shape[0]):
        log_norm[c], log_p[c] = np.log2(shares[c]), max(np.log2(probs[c]), LOG_ZERO)
        log_q[c] = max(np.log1p(-probs[c]) * LOG2E, LOG_ZERO)


@pointwise
def sweep(n, counted, group, tables, sums, lanes):
    """sums <- counts, first and second of each component; -> log likelihood without the base measure."""
    x, failures, weight = group
    k, loglik = tables[0].shape[0], broadcast(0.0)
    lanes[:], sums[:] = 0.0, 0.0
    for i in range(padded(n) // LANES):
        a, b, w = load(x, i), load(failures, i), load(weight, i)
        top = log_densities(a, b, counted, tables, lanes)
        total = broadcast(0.0)
        for c in range(k):
            e = exp2_(larger(load(lanes, c) - top, LOWEST))
            store(lanes, c, e)
            total = total + e
        loglik = loglik + w * (top + log2_(total))
        add_moments(a, b, w / total, counted, tables, lanes)
    for c in range(k):
        add_lane_sums(sums, 3 * c, load(lanes, k + c), load(lanes, 2 * k + c), load(lanes, 3 * k + c))
    add_lane_sums(sums, 3 * k, loglik)
    return max(LN2 * sums[3 * k], LOWEST_LOGLIK)


@pointwise
def log_densities(a, b, counted, tables, lanes):
    """log2 (weight N(x; mean, sd^2)) = log_norm - ((x - mean) scaling)^2, or log2 (weight p^x q^y); -> the largest."""
    log_norm, center, scaling = tables
    top = broadcast(FAR_OUT)
    for c in range(log_norm.shape[0]):
        if counted:
            u = log_norm[c] + (a * center[c] + b * scaling[c])
        else:
            z = (a - center[c]) * scaling[c]
            u = log_norm[c] - z * z
        u = larger(u, FAR_OUT)
        store(lanes, c, u)
        top = larger(u, top)
    return top


@pointwise
def add_moments(a, b, scale, counted, tables, lanes):
    k, center = tables[1].shape[0], tables[1]
    for c in range(k):
        r = load(lanes, c) * scale
        z = a if counted else a - center[c]
        store(lanes, k + c, load(lanes, k + c) + r)
        store(lanes, 2 * k + c, load(lanes, 2 * k + c) + r * z)
        store(lanes, 3 * k + c, load(lanes, 3 * k + c) + r * (b if counted else z * z))


@pointwise
def maximize_weights(sums, shares):
    """As Stats.mixing_weights: 0 for an empty component."""
    total = 0.0
    for c in range(shares.shape[0]):
        total += sums[3 * c]
    for c in range(shares.shape[0]):
        shares[c] = sums[3 * c] / total if sums[3 * c] > EMPTY * total else 0.0


@pointwise
def maximize_normal(sums, reg_covar, shares, means, variances):
    """As GaussianStats.maximize: an empty component keeps its mean and variance."""
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
def maximize_binomial(sums, shares, probs):
    """As BinomialStats.maximize: a component without tosses keeps its prob; a failure seen leaves no prob of 1."""
    maximize_weights(sums, shares)
    nothing = 0.0
    for c in range(probs.shape[0]):
        nothing += EMPTY * (sums[3 * c + 1] + sums[3 * c + 2])
    for c in range(probs.shape[0]):
        successes, failures = sums[3 * c + 1], sums[3 * c + 2]
        if successes + failures > nothing:
            prob = successes / (successes + failures)
            probs[c] = min(prob, 1.0 - SMALLEST_PROB) if failures > nothing else prob


# --------------------------------------------------------------------------------------------------------------- EM

@pointwise
def em_normal(n, total, tol, max_iter, reg_covar, group, tables, sums, lanes, shares, means, variances):
    """As fit.em; the last sweep is at the parameters it leaves.  -> status, log likelihood, iterations"""
    criterion, distance, n_iter = -math.inf, math.inf, 0
    while True:
        normal_tables(shares, means, variances, tables)
        loglik = sweep(n, False, group, tables, sums, lanes)
        if distance < tol or n_iter == max_iter:
            return CONVERGED if distance < tol else MAX_ITER, loglik, n_iter
        maximize_normal(sums, reg_covar, shares, means, variances)
        distance, criterion = abs(loglik / total - criterion), loglik / total
        n_iter += 1


@pointwise
def em_binomial(n, total, tol, max_iter, group, tables, sums, lanes, shares, probs):
    """As em_normal; the log likelihood is without the base measure."""
    criterion, distance, n_iter = -math.inf, math.inf, 0
    while True:
        binomial_tables(shares, probs, tables)
        loglik = sweep(n, True, group, tables, sums, lanes)
        if distance < tol or n_iter == max_iter:
            return CONVERGED if distance < tol else MAX_ITER, loglik, n_iter
        maximize_binomial(sums, shares, probs)
        distance, criterion = abs(loglik / total - criterion), loglik / total
        n_iter += 1


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
        status[i], loglik[i], n_iter[i] = em_normal(n, total, tol, max_iter, added, group, tables, sums, lanes, *params)


@pointwise
def fit_binomials(share, tiles, X, trials, sample_weight, offsets, edges, tol, max_iter, log_factorials, weights, probs,
                  loglik, n_iter, status):
    """The groups of a share, one after the other."""
    k, shares = weights.shape[1], len(edges) - 1
    group, pairs, lanes, tables, found, sums = cut_tile(borrowed(tiles[share].ravel()), k)
    for i in range(edges[edge(share, len(tiles), shares)], edges[edge(share + 1, len(tiles), shares)]):
        params = borrowed(weights[i]), borrowed(probs[i])
        state, n, total, base_measure = load_counts(X, trials, sample_weight, log_factorials, offsets[i],
                                                    offsets[i + 1], group, pairs)
        status[i] = enough(state, n, k)
        if status[i] != CONVERGED:
            weights[i], probs[i], loglik[i] = math.nan, math.nan, math.nan
            continue
        start_binomial(n, pairs, found, *params)
        status[i], varying, n_iter[i] = em_binomial(n, total, tol, max_iter, group, tables, sums, lanes, *params)
        loglik[i] = max(varying + base_measure, LOWEST_LOGLIK)


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
                    loglik: reals_out,         # OUT    (m,)
                    n_iter: iterations_out,    # OUT    (m,)      comes as 0
                    status: status_out,        # OUT    (m,)
                    tiles: tiles_scratch):     # SCRATCH
    # -> the mixture of each group of these shares
    for share in prange(len(tiles)):
        fit_normals(int64(share), tiles, X, sample_weight, offsets, edges, tol, max_iter, reg_covar, relative, weights,
                    means, variances, loglik, n_iter, status)


@groups_kernel
def fit_many_binomial(X: rows,                   # IN     (n, 1)    successes
                      trials: rows,              # IN     (n, 1)
                      sample_weight: weights,    # IN     (n,)
                      offsets: indices,          # IN     (m + 1,)  as for fit_many_normal
                      edges: indices,            # IN     (s + 1,)
                      tol: float64,              # IN
                      max_iter: int64,           # IN
                      log_factorials: vector,    # IN     (256,)    log n!
                      weights: params_inout,     # IN/OUT (m, k)    the start; NaN is found from the rows
                      probs: params_inout,       # IN/OUT (m, k)
                      loglik: reals_out,         # OUT    (m,)
                      n_iter: iterations_out,    # OUT    (m,)      comes as 0
                      status: status_out,        # OUT    (m,)
                      tiles: tiles_scratch):     # SCRATCH
    # -> the mixture of each group of these shares
    for share in prange(len(tiles)):
        fit_binomials(int64(share), tiles, X, trials, sample_weight, offsets, edges, tol, max_iter, log_factorials,
                      weights, probs, loglik, n_iter, status)
