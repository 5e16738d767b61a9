"""Multivariate normal without correlations, by natural parameters: see the note of mvnormal_natural.pxi."""
from numba import int64, prange

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
from fastem.kernels.numba.mvnormal_tied import compare_all, moments_of_terms, padded, take_middle
from fastem.kernels.numba.slots import (
    LARGEST_PRODUCT_K,
    add_logs,
    normalise,
    put_posterior,
    responsibilities,
)
from fastem.kernels.numba.tile import all_unit, edge, load_columns, load_weights, natural_rows
from fastem.kernels.numba.vectors import LANES, PAIRS, TILE, borrowed, broadcast_pair, load_pair, store


def natural_kernel(function):
    """A kernel whose tiles hold squares and sums as well."""
    natural = list(function.__annotations__).index("natural")
    return kernel(function, lambda *args: natural_rows(*args[natural].shape))


@pointwise
def cut_natural(tile, k, terms):
    """-> five rows by point, x - middle and its squares, density, moments"""
    a, b = padded(terms), padded(k)
    rest = tile[5:]
    return tile[:5], rest[:a], rest[a:a + b], rest[a + b:].ravel()[:a * b]


@pointwise
def natural_densities(x, d, log_norm, natural, density, pairs):
    """log2 (weight N(x; mean, diag(sd^2))) = log_norm + natural . (x - middle, squares)."""
    for i in range(pairs):
        add_squares(x, d, natural.shape[1], i)
        compare_all(x, broadcast_pair(0.0), log_norm, natural, i, density)


@pointwise
def add_squares(x, d, terms, i):
    """Of each feature or, as one term, of all."""
    total = broadcast_pair(0.0)
    for j in range(d):
        v = load_pair(x, j, i)
        if terms == 2 * d:
            store(x, d + j, i, v * v)
        else:
            total = total + v * v
    if terms != 2 * d:
        store(x, d, i, total)


@pointwise
def fold_natural(terms, natural, means, middle, own):
    """Moments about the middle -> about the means; of one sum of squares each feature has the mean."""
    k, d = means.shape
    a, has_all = padded(natural.shape[1]), natural.shape[1] == 2 * d
    first, second = own[k:k + k * d], own[k + k * d:-2]
    for c in range(k):
        total = 0.0 if has_all else terms[c * a + d]
        for j in range(d):
            offset = means[c, j] - middle[j]
            moved = terms[c * a + j] - own[c] * offset
            square = terms[c * a + d + j] if has_all else 0.0
            square -= offset * (terms[c * a + j] + moved)
            first[c * d + j], second[c * d + j] = moved, square
            total += square
        if not has_all:
            second[c * d:(c + 1) * d] = total / d


@pointwise
def natural_share(share, tiles, slot_rows, X, sample_weight, log_norm, natural, means, middle, sums):
    k, d = means.shape
    by_point, x, density, terms = cut_natural(borrowed(tiles[share]), k, natural.shape[1])
    weight, top, total, slope, scale = by_point[0], by_point[1], by_point[2], by_point[3], by_point[4]
    log_norm, natural, means, middle = borrowed(log_norm), borrowed(natural), borrowed(means), borrowed(middle)
    unit = all_unit(sample_weight)
    x[natural.shape[1]:], density[k:] = 0.0, 0.0
    for slot in range(edge(share, len(tiles), len(sums)), edge(share + 1, len(tiles), len(sums))):
        own = borrowed(sums[slot])
        own[:], weight[:], terms[:] = 0.0, 1.0, 0.0
        end = min(X.shape[0], (slot + 1) * slot_rows)
        for row in range(slot * slot_rows, end, TILE):
            count = min(TILE, end - row)
            load_columns(X, row, count, TILE, x[:d])
            take_middle(x, middle, PAIRS)
            if not (unit and count == TILE):
                load_weights(sample_weight, row, count, weight)
            natural_densities(x, d, log_norm, natural, density, PAIRS)
            normalise(weight, density[:k], top, total, slope, scale)
            add_logs(weight, top, total, slope, scale, unit and count == TILE and k <= LARGEST_PRODUCT_K, own[-2:])
            responsibilities(density[:k], scale, own[:k])
            moments_of_terms(x, density, terms)
        fold_natural(terms, natural, means, middle, own)


@pointwise
def natural_posterior(share, tiles, X, log_norm, natural, middle, log_prob, resp, labels):
    k, d = len(natural), len(middle)
    by_point, x, density, _ = cut_natural(borrowed(tiles[share]), k, natural.shape[1])
    weight, top, total, slope, scale = by_point[0], by_point[1], by_point[2], by_point[3], by_point[4]
    log_norm, natural, middle = borrowed(log_norm), borrowed(natural), borrowed(middle)
    weight[:], tiles_of_rows = 1.0, -(-X.shape[0] // TILE)
    end = min(X.shape[0], edge(share + 1, len(tiles), tiles_of_rows) * TILE)
    for row in range(edge(share, len(tiles), tiles_of_rows) * TILE, end, TILE):
        count = min(TILE, end - row)
        pairs = -(-count // (2 * LANES))  # that hold rows
        load_columns(X, row, count, pairs * 2 * LANES, x[:d])
        take_middle(x, middle, pairs)
        natural_densities(x, d, log_norm, natural, density, pairs)
        put_posterior(weight, density[:k], top, total, slope, scale, row, count, log_prob, resp, labels)


@natural_kernel
def accumulate_mvnormal_natural(X: rows,                 # IN   (n, d)
                                sample_weight: weights,  # IN   (n,)
                                slot_rows: int64,        # IN            rows of a slot
                                log_norm: vector,        # IN   (k,)     as for accumulate_mvnormal_diag, - |u|^2
                                natural: matrix,         # IN   (k, 2 d) of x - middle and its squares, or
                                                         #      (k, d + 1) of the sum of these
                                means: matrix,           # IN   (k, d)
                                middle: vector,          # IN   (d,)
                                sums: sums_out,          # OUT  (s, k + 2 k d + 2)
                                tiles: tiles_scratch):   # SCRATCH
    # -> as accumulate_mvnormal_diag; of (k, d + 1) the second moments of a component are all their mean
    for share in prange(len(tiles)):
        natural_share(int64(share), tiles, slot_rows, X, sample_weight, log_norm, natural, means, middle, sums)


@natural_kernel
def posterior_mvnormal_natural(X: rows,                # IN   (n, d)
                               log_norm: vector,       # IN   (k,)     tables as for accumulate_mvnormal_natural
                               natural: matrix,        # IN   (k, 2 d) or (k, d + 1)
                               means: matrix,          # IN   (k, d)
                               middle: vector,         # IN   (d,)
                               log_prob: reals_out,    # OUT  (n,)     or (0,)
                               resp: matrix_out,       # OUT  (n, k)   or (0, k)
                               labels: labels_out,     # OUT  (n,)     or (0,)
                               tiles: tiles_scratch):  # SCRATCH
    # -> log density, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        natural_posterior(int64(share), tiles, X, log_norm, natural, middle, log_prob, resp, labels)
