"""Multivariate normal, full covariance, values missing: the design note is that of `mvnormal_completed.pxi`.

Other than there, components are completed one by one, for densities and for moments, and the inverse of a pattern's
part of the precision is made each time: a tile keeps no tables.
"""
from numba import int64, prange

from fastem.kernels.numba.constants import LOG2_2PI, ROOT_OF_HALF_LOG2E
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
from fastem.kernels.numba.mvnormal_full_missing import (
    SORTED_ROWS,
    gather_weights,
    put_row,
    tile_rows_of,
)
from fastem.kernels.numba.patterns import cut_patterns, length_of_patterns, order_by_pattern, split_features
from fastem.kernels.numba.slots import add_logs, normalise, responsibilities
from fastem.kernels.numba.tile import cut_tile, edge
from fastem.kernels.numba.vectors import PAIRS, ROW, TILE, borrowed


def completed_kernel(function):
    """A kernel whose tiles have room for the patterns of a slot, and for what completes a row."""
    location = list(function.__annotations__).index("means")

    def height(*args):
        (k, d), n = args[location].shape, len(args[0])
        m = min(n, args[2] if "slot_rows" in function.__annotations__ else SORTED_ROWS)
        return tile_rows(k, d, 1) - (-(length_of_patterns(m, d) + d * d + 3 * d) // ROW)

    return kernel(function, height)


@pointwise
def cut_completion(tile, k, d, m):
    """-> rows of the tile, patterns, scratch: features, zeros, products, and the inverse of P_MM"""
    flat, height = tile.reshape(tile.size), tile_rows_of(k, d)
    patterns = cut_patterns(flat[height * ROW:], m, d)
    rest = flat[height * ROW + patterns[0].size + patterns[1].size + 5 * m + 1:]
    return tile[:height], patterns, (rest[:d], rest[d:2 * d], rest[2 * d:3 * d], rest[3 * d:3 * d + d * d])


# ---------------------------------------------------------------------------------------------- rows of any pattern

@pointwise
def gather_rows(X, row, order, begin, count, x):
    """The rows order[begin : begin + count] of a slot as columns, filled up with the last; NaN where one is missing."""
    for i in range(TILE):
        at = row + int64(order[begin + min(i, count - 1)])
        for j in range(x.shape[0]):
            x[j, i] = X[at, j]


@pointwise
def run_at(begin, place, run):
    """-> the run that has this place in the order of rows, from a run on that is not behind it"""
    while begin[run + 1] <= place:
        run += 1
    return run


@once
def invert(P, features, e, V):
    """V <- P_MM^-1 by Gauss-Jordan elimination -> log2 of the determinant of P_MM"""
    m, found = len(P) - e, 0.0
    for i in range(m):
        for j in range(m):
            V[i * m + j] = P[int64(features[e + i]), int64(features[e + j])]
    for p in range(m):
        pivot = V[p * m + p]
        found += log2_(pivot)
        V[p * m + p] = 1.0
        for j in range(m):
            V[p * m + j] /= pivot
        for i in range(m):
            if i != p:
                multiple = V[i * m + p]
                V[i * m + p] = 0.0
                for j in range(m):
                    V[i * m + j] -= multiple * V[p * m + j]
    return found


@once
def complete_segment(P, V, features, e, first, end, products, z):
    """z_M <- -P_MM^-1 P_MO z_O of these points."""
    m = len(P) - e
    for i in range(first, end):
        for q in range(m):
            found, row = 0.0, int64(features[e + q])
            for j in range(e):
                found += P[row, int64(features[j])] * z[int64(features[j]), i]
            products[q] = found
        for q in range(m):
            found = 0.0
            for j in range(m):
                found -= V[q * m + j] * products[j]
            z[int64(features[e + q]), i] = found


@pointwise
def subtract_mean(x, mean, z):
    """x - mean, 0 where a value is missing."""
    for j in range(x.shape[0]):
        for i in range(TILE):
            value = x[j, i] - mean[j]
            z[j, i] = value if value == value else 0.0


@once
def complete_component(c, at, count, run, masks, first, begin, log_norm, means, factor, precision, x, scratch, z,
                       resp, norm, expected):
    """z <- the residuals of a component, completed.

    norm (TILE,) <- log_norm of what is observed of each row; or expected (d, d) += the covariance of what is missing,
    times the responsibilities (TILE,): what is not wanted has length 0.
    """
    d = len(x)
    features, _, products, V = scratch
    subtract_mean(x, means[c], z)
    place = 0
    while place < count:
        run = run_at(begin, at + place, run)
        e = split_features(masks[int64(first[run])], d, features)
        end = min(count, int64(begin[run + 1]) - at)
        segment_norm = log_norm[c]
        if e < d:
            segment_norm += (d - e) * (log2_(ROOT_OF_HALF_LOG2E) + 0.5 * LOG2_2PI)
            if e:
                segment_norm -= 0.5 * invert(precision[c], features, e, V)
                complete_segment(precision[c], V, features, e, place, end, products, z)
            else:
                for i in range(d):
                    segment_norm -= log2_(factor[c, i, i])
                V[:] = 0.0  # rows without any value have no weight
            if len(expected):
                add_covariance(V, features, e, resp, place, end, expected)
        if len(norm):
            for i in range(place, TILE if end == count else end):
                norm[i] = segment_norm
        place = end
    for j in range(d):
        for i in range(count, TILE):
            z[j, i] = 0.0


@pointwise
def add_covariance(V, features, e, resp, first, end, expected):
    d, total = len(features), 0.0
    m = d - e
    for i in range(first, end):
        total += resp[i]
    total *= ROOT_OF_HALF_LOG2E * ROOT_OF_HALF_LOG2E
    for i in range(m):
        for j in range(i + 1):  # the lower triangle
            expected[int64(features[e + i]) * d + int64(features[e + j])] += total * V[i * m + j]


@pointwise
def completed_densities(at, count, run, masks, first, begin, log_norm, means, factor, precision, x, scratch, residual,
                        density, norm):
    d = len(x)
    zeros = scratch[1]
    zeros[:] = 0.0
    for c in range(len(density)):
        complete_component(c, at, count, run, masks, first, begin, log_norm, means, factor, precision, x, scratch,
                           residual, norm[:0], norm, zeros[:0])
        full_densities(residual, x, zeros, zeros.reshape((1, d)), factor[c:c + 1], residual, density[c:c + 1], PAIRS)
        for i in range(TILE):
            density[c, i] += norm[i]


@pointwise
def drop_empty_rows(at, count, run, masks, first, begin, features, weight):
    """Rows of which every value is missing have weight 0."""
    place = 0
    while place < count:
        run = run_at(begin, at + place, run)
        end = min(count, int64(begin[run + 1]) - at)
        if split_features(masks[int64(first[run])], len(features), features) == 0:
            weight[place:end] = 0.0
        place = end


# ---------------------------------------------------------------------------------------------------------- the kernels

@pointwise
def completed_share(share, tiles, slot_rows, X, sample_weight, log_norm, means, factor, precision, sums):
    k, d = means.shape
    m = min(slot_rows, X.shape[0])
    rows_of_tile, patterns, scratch = cut_completion(borrowed(tiles[share]), k, d, m)
    masks, table, run_of, first, begin, n_rows, order = patterns
    x, _, weight, density, top, total, slope, scale, residual, weighted = cut_tile(rows_of_tile, k, d)
    log_norm, means, factor, precision = borrowed(log_norm), borrowed(means), borrowed(factor), borrowed(precision)
    features, zeros, _, _ = scratch
    for slot in range(edge(share, len(tiles), len(sums)), edge(share + 1, len(tiles), len(sums))):
        own, row = borrowed(sums[slot]), slot * slot_rows
        own[:] = 0.0
        moments = own[k + k * d:-2]
        size = min(X.shape[0] - row, slot_rows)
        order_by_pattern(X, row, size, masks, table, run_of, first, begin, n_rows, order)
        run = 0
        for at in range(0, size, TILE):
            count = min(TILE, size - at)
            run = run_at(begin, at, run)
            gather_rows(X, row, order, at, count, x)
            gather_weights(sample_weight, row, order, at, count, weight)
            drop_empty_rows(at, count, run, masks, first, begin, features, weight)
            completed_densities(at, count, run, masks, first, begin, log_norm, means, factor, precision, x, scratch,
                                residual, density, total)
            normalise(weight, density, top, total, slope, scale)
            add_logs(weight, top, total, slope, scale, False, own[-2:])
            responsibilities(density, scale, own[:k])
            for c in range(k):
                expected = moments[c * d * d:(c + 1) * d * d]
                complete_component(c, at, count, run, masks, first, begin, log_norm, means, factor, precision, x,
                                   scratch, residual, density[c], zeros[:0], expected)
                full_moments(residual, x, zeros.reshape((1, d)), factor, density[c:c + 1], residual, weighted,
                             own[k + c * d:k + (c + 1) * d], expected)
        mirror(moments, k, d)


@pointwise
def completed_posterior(share, tiles, X, log_norm, means, factor, precision, log_prob, resp, labels):
    k, d = means.shape
    m = min(SORTED_ROWS, X.shape[0])
    rows_of_tile, patterns, scratch = cut_completion(borrowed(tiles[share]), k, d, m)
    masks, table, run_of, first, begin, n_rows, order = patterns
    x, _, weight, density, top, total, slope, scale, residual, _ = cut_tile(rows_of_tile, k, d)
    log_norm, means, factor, precision = borrowed(log_norm), borrowed(means), borrowed(factor), borrowed(precision)
    weight[:], blocks = 1.0, -(-X.shape[0] // m)
    for block in range(edge(share, len(tiles), blocks), edge(share + 1, len(tiles), blocks)):
        row, run = block * m, 0
        size = min(X.shape[0] - row, m)
        order_by_pattern(X, row, size, masks, table, run_of, first, begin, n_rows, order)
        for at in range(0, size, TILE):
            count = min(TILE, size - at)
            run = run_at(begin, at, run)
            gather_rows(X, row, order, at, count, x)
            completed_densities(at, count, run, masks, first, begin, log_norm, means, factor, precision, x, scratch,
                                residual, density, total)
            normalise(weight, density, top, total, slope, scale)
            for i in range(count):
                put_row(i, row + int64(order[at + i]), density, top, total, scale, log_prob, resp, labels)


@completed_kernel
def accumulate_mvnormal_completed(X: rows,                 # IN   (n, d)  NaN where a value is missing
                                  sample_weight: weights,  # IN   (n,)
                                  slot_rows: int64,        # IN              rows of a slot
                                  log_norm: vector,        # IN   (k,)       as for accumulate_mvnormal_full
                                  means: matrix,           # IN   (k, d)
                                  factor: matrices,        # IN   (k, d, d)
                                  precision: matrices,     # IN   (k, d, p)  L^T L, rows raised by zeros
                                  sums: sums_out,          # OUT  (s, k + k d + k d d + 2)
                                  tiles: tiles_scratch):   # SCRATCH
    # -> per slot: as accumulate_mvnormal_full, expected given the values that are observed
    for share in prange(len(tiles)):
        completed_share(int64(share), tiles, slot_rows, X, sample_weight, log_norm, means, factor, precision, sums)


@completed_kernel
def posterior_mvnormal_completed(X: rows,                # IN   (n, d)  NaN where a value is missing
                                 log_norm: vector,       # IN   (k,)    as for accumulate_mvnormal_full
                                 means: matrix,          # IN   (k, d)
                                 factor: matrices,       # IN   (k, d, d)
                                 precision: matrices,    # IN   (k, d, p)
                                 log_prob: reals_out,    # OUT  (n,)    or (0,)
                                 resp: matrix_out,       # OUT  (n, k)  or (0, k)
                                 labels: labels_out,     # OUT  (n,)    or (0,)
                                 tiles: tiles_scratch):  # SCRATCH
    # -> log density of what is observed, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        completed_posterior(int64(share), tiles, X, log_norm, means, factor, precision, log_prob, resp, labels)
