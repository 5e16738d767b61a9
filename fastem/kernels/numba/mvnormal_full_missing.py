"""Multivariate normal, full covariance, values missing: the design note is that of `marginals.pxi`.

Other than there, the tables of a pattern are made for each slot, and a tile is as wide for few rows as for many.
"""
import math

from numba import int64, prange

from fastem.kernels.numba.constants import LN2, LOG2_2PI, ROOT_OF_HALF_LOG2E
from fastem.kernels.numba.elementary import log2_
from fastem.kernels.numba.jit import (
    kernel,
    labels_out,
    matrices,
    matrix,
    matrix_out,
    once,
    pointwise,
    reals_out,
    rows,
    sums_out,
    tile_rows,
    tiles_scratch,
    vector,
    weights,
)
from fastem.kernels.numba.mvnormal_full import full_densities, full_moments, mirror
from fastem.kernels.numba.patterns import cut_patterns, length_of_patterns, order_by_pattern, split_features
from fastem.kernels.numba.slots import LARGEST_PRODUCT_K, add_logs, normalise, responsibilities
from fastem.kernels.numba.tile import all_unit, cut_tile, edge
from fastem.kernels.numba.vectors import PAIRS, ROW, TILE, borrowed

SORTED_ROWS = 4096  # rows of a posterior whose missing values are looked at together


def marginals_kernel(function):
    """A kernel whose tiles have room for the patterns of a slot and for their tables."""
    location = list(function.__annotations__).index("means")

    def height(*args):
        (k, d), n = args[location].shape, len(args[0])
        m = min(n, args[2] if "slot_rows" in function.__annotations__ else SORTED_ROWS)
        return tile_rows(k, d, 1) - (-(length_of_patterns(m, d) + length_of_tables(k, d)) // ROW)

    return kernel(function, height)


def length_of_tables(k, d):
    """-> floats that the tables of a pattern, and the sums of its rows, take"""
    return d + 3 * k * d * d + k + k * d + 2 * d * d + k * (1 + d + d * d)


@pointwise
def cut_marginals(tile, k, d, m):
    """-> rows of the tile, patterns, tables"""
    flat, height = tile.reshape(tile.size), tile_rows_of(k, d)
    scratch = flat[height * ROW:]
    patterns = cut_patterns(scratch, m, d)
    length = patterns[0].size + patterns[1].size + 5 * m + 1
    return tile[:height], patterns, scratch[length:]


@pointwise
def tile_rows_of(k, d):
    """As tile_rows, of one source."""
    return 9 + k + 2 * d


@pointwise
def cut_tables(tables, k, d):
    square = k * d * d
    rest = tables[d + 3 * square:]
    return (tables[:d],                              # features     observed, then missing
            tables[d:d + square],                    # marginal     (k, e, e)  A, of e features; m are missing
            tables[d + square:d + 2 * square],       # regression   (k, m, e)  -H^-1 G
            tables[d + 2 * square:d + 3 * square],   # conditional  (k, m, m)  H^-1 H^-T, a covariance
            rest[:k],                                # norm         (k,)       log_norm of what is observed
            rest[k:k + k * d],                       # location     (k, e)
            rest[k + k * d:k + k * d + d * d],       # rotated      (d, d)     L of the component at hand
            rest[k + k * d + d * d:k + k * d + 2 * d * d],  # cross    (m, e), and H^-1 until V is known
            rest[k + k * d + 2 * d * d:])            # reduced      sums of a run, as of complete rows


# ------------------------------------------------------------------------------------------------ tables of a pattern

@once
def make_tables(e, log_norm, means, factor, features, marginal, regression, conditional, norm, location, rotated,
                cross):
    """Of a pattern, for all components."""
    k, d = means.shape
    m = d - e
    for c in range(k):
        for i in range(e):
            location[c * e + i] = means[c, int64(features[i])]
        if factor[c, 0, 0] < 0:
            marginal[c * e * e:(c + 1) * e * e] = 0.0
            regression[c * m * e:(c + 1) * m * e] = 0.0
            conditional[c * m * m:(c + 1) * m * m] = 0.0
            norm[c] = log_norm_of_uniform(log_norm[c], factor[c], features, e)
            continue
        move_missing_last(factor[c], features, e, rotated)
        norm[c] = log_norm[c] + 0.5 * m * LOG2_2PI
        for q in range(m):
            norm[c] -= log2_(abs(rotated[(e + q) * d + int64(features[e + q])]) / ROOT_OF_HALF_LOG2E)
        for i in range(e):
            for j in range(e):
                marginal[(c * e + i) * e + j] = rotated[i * d + int64(features[j])] if j <= i else 0.0
        take_regression(rotated, features, e, d, regression[c * m * e:])
        take_conditional(rotated, features, e, d, cross, conditional[c * m * m:])


@pointwise
def log_norm_of_uniform(log_norm, densities, features, e):
    """That of the first e of the features."""
    for q in range(e, len(densities)):
        at = int64(features[q])
        log_norm -= log2_(-densities[at, at])
    return log_norm


@pointwise
def move_missing_last(L, features, e, rotated):
    """The rows of L, so that it is lower triangular when the missing features come last."""
    d = len(L)
    for i in range(d):
        for j in range(d):
            rotated[i * d + j] = L[i, j]
    for q in range(d - e - 1, -1, -1):
        feature = int64(features[e + q])
        for i in range(feature, e + q):
            rotate_rows(rotated, i, feature, d)


@pointwise
def rotate_rows(rotated, i, at, d):
    """Rotate rows i and i + 1 so that the first has 0 at this place."""
    a, b = i * d, (i + 1) * d
    radius = math.sqrt(rotated[a + at] * rotated[a + at] + rotated[b + at] * rotated[b + at])
    cosine, sine = rotated[b + at] / radius, rotated[a + at] / radius
    for j in range(d):
        upper, lower = rotated[a + j], rotated[b + j]
        rotated[a + j] = cosine * upper - sine * lower
        rotated[b + j] = sine * upper + cosine * lower
    rotated[a + at], rotated[b + at] = 0.0, radius


@pointwise
def take_regression(rotated, features, e, d, regression):
    """-H^-1 G, row by row of H."""
    for i in range(d - e):
        row = (e + i) * d
        own = rotated[row + int64(features[e + i])]
        for j in range(e):
            found = -rotated[row + int64(features[j])]
            for p in range(i):
                found -= rotated[row + int64(features[e + p])] * regression[p * e + j]
            regression[i * e + j] = found / own


@pointwise
def take_conditional(rotated, features, e, d, inverse, conditional):
    """H^-1 H^-T in units of squares of X."""
    m = d - e
    for i in range(m):
        row = (e + i) * d
        own = rotated[row + int64(features[e + i])]
        for j in range(m):
            found = 1.0 if i == j else 0.0
            for p in range(j, i):
                found -= rotated[row + int64(features[e + p])] * inverse[p * m + j]
            inverse[i * m + j] = found / own if j <= i else 0.0
    for i in range(m):
        for j in range(m):
            found = 0.0
            for p in range(min(i, j) + 1):
                found += inverse[i * m + p] * inverse[j * m + p]
            conditional[i * m + j] = ROOT_OF_HALF_LOG2E * ROOT_OF_HALF_LOG2E * found


# --------------------------------------------------------------------------------------------------- rows of a pattern

@pointwise
def gather_columns(X, row, order, begin, count, features, x):
    """What the rows order[begin : begin + count] of a slot have, as columns, filled up with the first."""
    for i in range(TILE):
        at = row + int64(order[begin + (i if i < count else 0)])
        for j in range(x.shape[0]):
            x[j, i] = X[at, int64(features[j])]


@pointwise
def gather_weights(sample_weight, row, order, begin, count, weight):
    for i in range(TILE):
        weight[i] = sample_weight[row + int64(order[begin + i])] if i < count else 0.0


@pointwise
def add_expected(k, d, e, features, regression, conditional, reduced, cross, own):
    """Add what the sums of a run say of all features; with z of the observed ones, the others are expected at B z."""
    m = d - e
    for c in range(k):
        own[c] += reduced[c]
        first, second = reduced[k + c * e:], reduced[k * (1 + e) + c * e * e:]
        B, V = regression[c * m * e:], conditional[c * m * m:]
        add_expected_first(e, m, features, first, B, own[k + c * d:])
        add_expected_second(e, m, features, reduced[c], second, B, V, cross, own[k * (1 + d) + c * d * d:])


@pointwise
def add_expected_first(e, m, features, first, B, out):
    for j in range(e):
        out[int64(features[j])] += first[j]
    for i in range(m):
        for j in range(e):
            out[int64(features[e + i])] += B[i * e + j] * first[j]


@pointwise
def add_expected_second(e, m, features, count, M, B, V, cross, out):
    """M of the observed features, B M with the others, B M B^T + count V of these."""
    d = e + m
    for i in range(e):
        for j in range(e):
            out[int64(features[i]) * d + int64(features[j])] += M[i * e + j]
    for i in range(m):
        at = int64(features[e + i])
        for j in range(e):
            found = 0.0
            for p in range(e):
                found += B[i * e + p] * M[p * e + j]
            cross[i * e + j] = found
            out[at * d + int64(features[j])] += found
            out[int64(features[j]) * d + at] += found
    for i in range(m):
        for j in range(i + 1):
            found = count * V[i * m + j]
            for p in range(e):
                found += cross[i * e + p] * B[j * e + p]
            out[int64(features[e + i]) * d + int64(features[e + j])] += found
            if j < i:
                out[int64(features[e + j]) * d + int64(features[e + i])] += found


# ---------------------------------------------------------------------------------------------------------- the kernels

@pointwise
def accumulate_run(rows_of_tile, X, sample_weight, row, begin, end, order, k, e, unit, tables, logs):
    """reduced <- the sums of the rows of a run, as of complete rows of fewer features."""
    features, marginal, _, _, norm, location, _, _, reduced = tables
    x, tries, weight, density, top, total, slope, scale, residual, weighted = cut_tile(rows_of_tile, k, e)
    means, factor = location[:k * e].reshape((k, e)), marginal[:k * e * e].reshape((k, e, e))
    reduced[:k * (1 + e + e * e)] = 0.0
    counts, first, second = reduced[:k], reduced[k:k * (1 + e)], reduced[k * (1 + e):k * (1 + e + e * e)]
    for at in range(begin, end, TILE):
        count = min(TILE, end - at)
        gather_columns(X, row, order, at, count, features, x)
        gather_weights(sample_weight, row, order, at, count, weight)
        full_densities(x, tries, norm, means, factor, residual, density, PAIRS)
        normalise(weight, density, top, total, slope, scale)
        add_logs(weight, top, total, slope, scale, unit and count == TILE and k <= LARGEST_PRODUCT_K, logs)
        responsibilities(density, scale, counts)
        full_moments(x, tries, means, factor, density, residual, weighted, first, second)
    mirror(second, k, e)


@pointwise
def marginals_share(share, tiles, slot_rows, X, sample_weight, log_norm, means, factor, sums):
    k, d = means.shape
    m = min(slot_rows, X.shape[0])
    rows_of_tile, patterns, scratch = cut_marginals(borrowed(tiles[share]), k, d, m)
    masks, table, run_of, first, begin, count, order = patterns
    tables = cut_tables(scratch, k, d)
    features, marginal, regression, conditional, norm, location, rotated, cross, reduced = tables
    log_norm, means, factor, unit = borrowed(log_norm), borrowed(means), borrowed(factor), all_unit(sample_weight)
    for slot in range(edge(share, len(tiles), len(sums)), edge(share + 1, len(tiles), len(sums))):
        own, row = borrowed(sums[slot]), slot * slot_rows
        own[:] = 0.0
        n_runs = order_by_pattern(X, row, min(X.shape[0] - row, slot_rows), masks, table, run_of, first, begin, count,
                                  order)
        for run in range(n_runs):
            e = split_features(masks[int64(first[run])], d, features)
            if e:  # else the rows have weight 0
                make_tables(e, log_norm, means, factor, features, marginal, regression, conditional, norm, location,
                            rotated, cross)
                accumulate_run(rows_of_tile, X, sample_weight, row, int64(begin[run]), int64(begin[run + 1]), order,
                               k, e, unit, tables, own[-2:])
                add_expected(k, d, e, features, regression, conditional, reduced, cross, own)


@pointwise
def marginals_posterior(share, tiles, X, log_norm, means, factor, log_prob, resp, labels):
    k, d = means.shape
    m = min(SORTED_ROWS, X.shape[0])
    rows_of_tile, patterns, scratch = cut_marginals(borrowed(tiles[share]), k, d, m)
    masks, table, run_of, first, begin, count, order = patterns
    features, marginal, regression, conditional, norm, location, rotated, cross, _ = cut_tables(scratch, k, d)
    log_norm, means, factor = borrowed(log_norm), borrowed(means), borrowed(factor)
    blocks = -(-X.shape[0] // m)
    for block in range(edge(share, len(tiles), blocks), edge(share + 1, len(tiles), blocks)):
        row = block * m
        n_runs = order_by_pattern(X, row, min(X.shape[0] - row, m), masks, table, run_of, first, begin, count, order)
        for run in range(n_runs):
            e = split_features(masks[int64(first[run])], d, features)
            make_tables(e, log_norm, means, factor, features, marginal, regression, conditional, norm, location,
                        rotated, cross)
            x, tries, weight, density, top, total, slope, scale, residual, _ = cut_tile(rows_of_tile, k, e)
            centers, factors = location[:k * e].reshape((k, e)), marginal[:k * e * e].reshape((k, e, e))
            weight[:] = 1.0
            for at in range(int64(begin[run]), int64(begin[run + 1]), TILE):
                found = min(TILE, int64(begin[run + 1]) - at)
                gather_columns(X, row, order, at, found, features, x)
                full_densities(x, tries, norm, centers, factors, residual, density, PAIRS)
                normalise(weight, density, top, total, slope, scale)
                for i in range(found):
                    put_row(i, row + int64(order[at + i]), density, top, total, scale, log_prob, resp, labels)


@pointwise
def put_row(i, row, density, top, total, scale, log_prob, resp, labels):
    """Row i of the tile -> what is wanted of it."""
    if log_prob.shape[0]:
        log_prob[row] = LN2 * (top[i] + log2_(total[i]))
    if resp.shape[0]:
        for c in range(density.shape[0]):
            resp[row, c] = density[c, i] * scale[i]
    if labels.shape[0]:
        for c in range(density.shape[0] - 1, -1, -1):
            if density[c, i] == 1.0:  # 2^0: the largest; of equals, the first
                labels[row] = c


@marginals_kernel
def accumulate_mvnormal_full_missing(X: rows,                 # IN   (n, d)  NaN where a value is missing
                                     sample_weight: weights,  # IN   (n,)
                                     slot_rows: int64,        # IN              rows of a slot
                                     log_norm: vector,        # IN   (k,)       as for accumulate_mvnormal_full
                                     means: matrix,           # IN   (k, d)
                                     factor: matrices,        # IN   (k, d, d)
                                     sums: sums_out,          # OUT  (s, k + k d + k d d + 2)
                                     tiles: tiles_scratch):  # SCRATCH
    # -> per slot: as accumulate_mvnormal_full, expected given the values that are observed
    for share in prange(len(tiles)):
        marginals_share(int64(share), tiles, slot_rows, X, sample_weight, log_norm, means, factor, sums)


@marginals_kernel
def posterior_mvnormal_full_missing(X: rows,                # IN   (n, d)  NaN where a value is missing
                                    log_norm: vector,       # IN   (k,)    as for accumulate_mvnormal_full
                                    means: matrix,          # IN   (k, d)
                                    factor: matrices,       # IN   (k, d, d)
                                    log_prob: reals_out,    # OUT  (n,)    or (0,)
                                    resp: matrix_out,       # OUT  (n, k)  or (0, k)
                                    labels: labels_out,     # OUT  (n,)    or (0,)
                                    tiles: tiles_scratch): # SCRATCH
    # -> log density of what is observed, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        marginals_posterior(int64(share), tiles, X, log_norm, means, factor, log_prob, resp, labels)
