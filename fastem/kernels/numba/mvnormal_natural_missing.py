"""Multivariate normal without correlations, by natural parameters, values missing: see mvnormal_natural_missing.pxi."""
from numba import int64, prange

from fastem.kernels.numba.constants import LOG2_2PI, ROOT_OF_HALF_LOG2E
from fastem.kernels.numba.elementary import log2_
from fastem.kernels.numba.jit import (
    kernel,
    labels_out,
    matrix,
    matrix_out,
    pointwise,
    reals_out,
    rows,
    sums_out,
    tiles_scratch,
    vector,
    weights,
)
from fastem.kernels.numba.mvnormal_natural import add_squares, cut_natural
from fastem.kernels.numba.mvnormal_tied import compare_all, moments_of_terms, padded, take_middle
from fastem.kernels.numba.slots import add_logs, normalise, put_posterior, responsibilities
from fastem.kernels.numba.tile import (
    drop_rows_without_values,
    edge,
    load_columns,
    load_weights,
    mark_observed,
    natural_rows,
)
from fastem.kernels.numba.vectors import LANES, PAIRS, ROW, TILE, borrowed, broadcast_pair


def natural_gap_kernel(function):
    """A kernel whose tiles hold squares, what is observed, sums and tables."""
    natural, middle = (list(function.__annotations__).index(name) for name in ("natural", "middle"))

    def height(*args):
        k, given = args[natural].shape
        terms = given + len(args[middle])
        return natural_rows(k, terms) + -(-k * (1 + terms) // ROW)

    return kernel(function, height)


@pointwise
def cut_natural_missing(tile, k, terms):
    """-> as cut_natural, and tables: log_norm (k,) and natural parameters (k, terms)"""
    tables = tile[len(tile) - -(-k * (1 + terms) // ROW):].ravel()
    by_point, x, density, sums = cut_natural(tile, k, terms)
    return by_point, x, density, sums, tables[:k], tables[k:k + k * terms].reshape((k, terms))


@pointwise
def part_log_norm(log_norm, natural, d, to_log_norm, to_natural):
    """Take out of log_norm the part of each feature, log2 of 1 / (sd sqrt(2 pi)) less u^2: a term of its own."""
    k, given = natural.shape
    for c in range(k):
        to_log_norm[c] = log_norm[c]
        for j in range(given):
            to_natural[c, j] = natural[c, j]
        for j in range(d):
            square = -natural[c, d + j] if given == 2 * d else -natural[c, d]
            part = 0.5 * log2_(square) - log2_(ROOT_OF_HALF_LOG2E) - 0.5 * LOG2_2PI
            part -= 0.25 * natural[c, j] * natural[c, j] / square
            to_natural[c, given + j] = part
            to_log_norm[c] -= part


@pointwise
def natural_missing_densities(x, d, log_norm, natural, density, pairs):
    for i in range(pairs):
        add_squares(x, d, natural.shape[1] - d, i)
        compare_all(x, broadcast_pair(0.0), log_norm, natural, i, density)


@pointwise
def fold_natural_missing(terms, natural, means, middle, own):
    """Moments about the middle -> about the means, where a missing value is expected, with its feature's variance."""
    (k, d), given = means.shape, natural.shape[1] - means.shape[1]
    a, has_all = padded(natural.shape[1]), given == 2 * d
    first, second = own[k:k + k * d], own[k + k * d:-2]
    for c in range(k):
        total = 0.0 if has_all else terms[c * a + d]
        for j in range(d):
            offset, observed = means[c, j] - middle[j], terms[c * a + given + j]
            moved = terms[c * a + j] - observed * offset
            square = terms[c * a + d + j] if has_all else 0.0
            square -= offset * (terms[c * a + j] + moved)
            quadratic = natural[c, d + j] if has_all else natural[c, d]
            square -= (own[c] - observed) * (ROOT_OF_HALF_LOG2E * ROOT_OF_HALF_LOG2E) / quadratic
            first[c * d + j], second[c * d + j] = moved, square
            total += square
        if not has_all:
            second[c * d:(c + 1) * d] = total / d


@pointwise
def natural_missing_share(share, tiles, slot_rows, X, sample_weight, log_norm, natural, means, middle, sums):
    (k, given), d = natural.shape, len(middle)
    by_point, x, density, terms, norms, slopes = cut_natural_missing(borrowed(tiles[share]), k, given + d)
    weight, top, total, slope, scale = by_point[0], by_point[1], by_point[2], by_point[3], by_point[4]
    means, middle = borrowed(means), borrowed(middle)
    part_log_norm(borrowed(log_norm), borrowed(natural), d, norms, slopes)
    x[given + d:], density[k:] = 0.0, 0.0
    for slot in range(edge(share, len(tiles), len(sums)), edge(share + 1, len(tiles), len(sums))):
        own = borrowed(sums[slot])
        own[:], weight[:], terms[:] = 0.0, 1.0, 0.0
        end = min(X.shape[0], (slot + 1) * slot_rows)
        for row in range(slot * slot_rows, end, TILE):
            count = min(TILE, end - row)
            load_columns(X, row, count, TILE, x[:d])
            take_middle(x, middle, PAIRS)
            load_weights(sample_weight, row, count, weight)
            mark_observed(x[:d], x[given:given + d])
            drop_rows_without_values(x[given:given + d], weight)
            natural_missing_densities(x, d, norms, slopes, density, PAIRS)
            normalise(weight, density[:k], top, total, slope, scale)
            add_logs(weight, top, total, slope, scale, False, own[-2:])
            responsibilities(density[:k], scale, own[:k])
            moments_of_terms(x, density, terms)
        fold_natural_missing(terms, slopes, means, middle, own)


@pointwise
def natural_missing_posterior(share, tiles, X, log_norm, natural, middle, log_prob, resp, labels):
    (k, given), d = natural.shape, len(middle)
    by_point, x, density, _, norms, slopes = cut_natural_missing(borrowed(tiles[share]), k, given + d)
    weight, top, total, slope, scale = by_point[0], by_point[1], by_point[2], by_point[3], by_point[4]
    middle = borrowed(middle)
    part_log_norm(borrowed(log_norm), borrowed(natural), d, norms, slopes)
    weight[:], tiles_of_rows = 1.0, -(-X.shape[0] // TILE)
    end = min(X.shape[0], edge(share + 1, len(tiles), tiles_of_rows) * TILE)
    for row in range(edge(share, len(tiles), tiles_of_rows) * TILE, end, TILE):
        count = min(TILE, end - row)
        pairs = -(-count // (2 * LANES))  # that hold rows
        load_columns(X, row, count, pairs * 2 * LANES, x[:d])
        take_middle(x, middle, pairs)
        mark_observed(x[:d], x[given:given + d])
        natural_missing_densities(x, d, norms, slopes, density, pairs)
        put_posterior(weight, density[:k], top, total, slope, scale, row, count, log_prob, resp, labels)


@natural_gap_kernel
def accumulate_mvnormal_natural_missing(X: rows,                 # IN   (n, d)  NaN where a value is missing
                                        sample_weight: weights,  # IN   (n,)
                                        slot_rows: int64,        # IN           rows of a slot
                                        log_norm: vector,        # IN   (k,)    as for accumulate_mvnormal_natural
                                        natural: matrix,         # IN   (k, 2 d) or (k, d + 1)
                                        means: matrix,           # IN   (k, d)
                                        middle: vector,          # IN   (d,)
                                        sums: sums_out,          # OUT  (s, k + 2 k d + 2)
                                        tiles: tiles_scratch):   # SCRATCH
    # -> per slot: as accumulate_mvnormal_natural, expected given the values that are observed
    for share in prange(len(tiles)):
        natural_missing_share(int64(share), tiles, slot_rows, X, sample_weight, log_norm, natural, means, middle, sums)


@natural_gap_kernel
def posterior_mvnormal_natural_missing(X: rows,                # IN   (n, d)  NaN where a value is missing
                                       log_norm: vector,       # IN   (k,)    as for accumulate_mvnormal_natural
                                       natural: matrix,        # IN   (k, 2 d) or (k, d + 1)
                                       means: matrix,          # IN   (k, d)
                                       middle: vector,         # IN   (d,)
                                       log_prob: reals_out,    # OUT  (n,)    or (0,)
                                       resp: matrix_out,       # OUT  (n, k)  or (0, k)
                                       labels: labels_out,     # OUT  (n,)    or (0,)
                                       tiles: tiles_scratch):  # SCRATCH
    # -> log density of what is observed, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        natural_missing_posterior(int64(share), tiles, X, log_norm, natural, middle, log_prob, resp, labels)
