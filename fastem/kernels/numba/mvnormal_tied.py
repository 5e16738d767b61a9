"""Multivariate normal, one covariance for all components: as mvnormal_tied.pxi, whose note holds here too."""
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
from fastem.kernels.numba.mvnormal_full import mirror, outer_block
from fastem.kernels.numba.slots import (
    LARGEST_PRODUCT_K,
    add_logs,
    normalise,
    put_posterior,
    responsibilities,
)
from fastem.kernels.numba.tile import all_unit, edge, load_columns, load_weights, raised, tied_rows
from fastem.kernels.numba.vectors import (
    LANES,
    PAIRS,
    TILE,
    VECTORS,
    borrowed,
    broadcast_pair,
    load,
    load_pair,
    store,
)

padded = pointwise(raised)


def tied_kernel(function):
    """A kernel whose tiles hold sums as well."""
    slopes = list(function.__annotations__).index("slopes")
    return kernel(function, lambda *args: tied_rows(*args[slopes].shape))


@pointwise
def cut_tied(tile, k, d):
    """-> five rows by point, weighted features, x - middle, rows whitened, density, first and second moments"""
    by_point, weighted, rest = tile[:5], tile[5:9], tile[9:]
    a, b = padded(d), padded(k)
    sums = rest[2 * a + b:].ravel()
    return by_point, weighted, rest[:a], rest[a:2 * a], rest[2 * a:2 * a + b], sums[:b * a], sums[b * a:(b + a) * a]


@pointwise
def take_middle(x, middle, pairs):
    for j in range(len(middle)):
        for i in range(pairs):
            store(x, j, i, load_pair(x, j, i) - middle[j])


# ------------------------------------------------------------------------------------------------------------ densities

@pointwise
def tied_densities(x, log_norm, slopes, factor, z, square, density, pairs):
    """log2 (weight N(x; mean, S)) = log_norm + slope . z - |z|^2,  z = L (x - middle)."""
    for i in range(pairs):
        whiten_pair(x, factor, i, z, square)
        compare_all(z, load_pair(square, i), log_norm, slopes, i, density)


@pointwise
def whiten_pair(x, L, i, z, square):
    d, total = len(L), broadcast_pair(0.0)
    for row in range(0, d - d % 4, 4):
        total = total + whiten_rows(x, L, row, 4, i, z)
    if d % 4 == 1:
        total = total + whiten_rows(x, L, d - 1, 1, i, z)
    elif d % 4 == 2:
        total = total + whiten_rows(x, L, d - 2, 2, i, z)
    elif d % 4 == 3:
        total = total + whiten_rows(x, L, d - 3, 3, i, z)
    store(square, i, total)


@pointwise
def whiten_rows(x, L, p, count, i, z):
    """Rows p : p + count of L x -> the sum of their squares; `count` is a constant to LLVM."""
    y0 = y1 = y2 = y3 = broadcast_pair(0.0)
    for j in range(p + count):
        v = load_pair(x, j, i)
        y0 = y0 + L[p, j] * v
        if count > 1:
            y1 = y1 + L[p + 1, j] * v
        if count > 2:
            y2 = y2 + L[p + 2, j] * v
        if count > 3:
            y3 = y3 + L[p + 3, j] * v
    store(z, p, i, y0)
    if count > 1:
        store(z, p + 1, i, y1)
    if count > 2:
        store(z, p + 2, i, y2)
    if count > 3:
        store(z, p + 3, i, y3)
    return (y0 * y0 + y1 * y1) + (y2 * y2 + y3 * y3)


@pointwise
def compare_all(z, less, log_norm, slopes, i, density):
    """Log densities of a pair: linear in the rows of z, less a pair."""
    k = len(slopes)
    for c in range(0, k - k % 4, 4):
        compare(z, less, log_norm, slopes, c, 4, i, density)
    if k % 4 == 1:
        compare(z, less, log_norm, slopes, k - 1, 1, i, density)
    elif k % 4 == 2:
        compare(z, less, log_norm, slopes, k - 2, 2, i, density)
    elif k % 4 == 3:
        compare(z, less, log_norm, slopes, k - 3, 3, i, density)


@pointwise
def compare(z, less, log_norm, slopes, c, count, i, density):
    """Those under components c : c + count; `count` is a constant to LLVM."""
    y0 = y1 = y2 = y3 = broadcast_pair(0.0)
    for j in range(slopes.shape[1]):
        v = load_pair(z, j, i)
        y0 = y0 + slopes[c, j] * v
        if count > 1:
            y1 = y1 + slopes[c + 1, j] * v
        if count > 2:
            y2 = y2 + slopes[c + 2, j] * v
        if count > 3:
            y3 = y3 + slopes[c + 3, j] * v
    store(density, c, i, (log_norm[c] + y0) - less)
    if count > 1:
        store(density, c + 1, i, (log_norm[c + 1] + y1) - less)
    if count > 2:
        store(density, c + 2, i, (log_norm[c + 2] + y2) - less)
    if count > 3:
        store(density, c + 3, i, (log_norm[c + 3] + y3) - less)


# -------------------------------------------------------------------------------------------------------------- moments

@pointwise
def tied_moments(x, weight, resp, weighted, first, second):
    """In 4 x 4 blocks: responsibilities by features, and features by features, of which triangles are read."""
    d = len(x)
    moments_of_terms(x, resp, first)
    for p in range(0, d, 4):
        for j in range(4):
            for i in range(VECTORS):
                store(weighted, j, i, load(weight, i) * load(x, p + j, i))
        for j in range(0, p + 4, 4):
            outer_block(weighted, 4, x, j, second, p * d + j, d)


@pointwise
def moments_of_terms(x, resp, first):
    """Sums of responsibilities times the rows of x."""
    d = len(x)
    for c in range(0, len(resp), 4):
        for j in range(0, d, 4):
            outer_block(resp[c:c + 4], 4, x, j, first, c * d + j, d)


@pointwise
def fold_tied(first, second, means, middle, own):
    """Moments about the middle -> about the means, in the slot's row of `sums`."""
    k, d = means.shape
    to_first, to_second, a = own[k:k + k * d], own[k + k * d:-2], padded(d)
    for i in range(d):
        for j in range(i + 1):
            to_second[i * d + j] = second[i * a + j]
    for c in range(k):
        for i in range(d):
            offset = means[c, i] - middle[i]
            moved = first[c * a + i] - own[c] * offset
            to_first[c * d + i] = moved
            for j in range(i + 1):
                to_second[i * d + j] -= offset * first[c * a + j] + moved * (means[c, j] - middle[j])
    mirror(to_second, 1, d)


# -------------------------------------------------------------------------------------------------------- slots of rows

@pointwise
def tied_share(share, tiles, slot_rows, X, sample_weight, log_norm, slopes, factor, means, middle, sums):
    k, d = slopes.shape
    by_point, weighted, x, z, density, first, second = cut_tied(borrowed(tiles[share]), k, d)
    weight, top, total, slope, scale = by_point[0], by_point[1], by_point[2], by_point[3], by_point[4]
    log_norm, slopes, factor = borrowed(log_norm), borrowed(slopes), borrowed(factor)
    means, middle = borrowed(means), borrowed(middle)
    unit = all_unit(sample_weight)
    x[d:], density[k:] = 0.0, 0.0
    for slot in range(edge(share, len(tiles), len(sums)), edge(share + 1, len(tiles), len(sums))):
        own = borrowed(sums[slot])
        own[:], weight[:], first[:], second[:] = 0.0, 1.0, 0.0, 0.0
        end = min(X.shape[0], (slot + 1) * slot_rows)
        for row in range(slot * slot_rows, end, TILE):
            count = min(TILE, end - row)
            load_columns(X, row, count, TILE, x[:d])
            take_middle(x, middle, PAIRS)
            if not (unit and count == TILE):
                load_weights(sample_weight, row, count, weight)
            tied_densities(x, log_norm, slopes, factor, z, total, density, PAIRS)
            normalise(weight, density[:k], top, total, slope, scale)
            add_logs(weight, top, total, slope, scale, unit and count == TILE and k <= LARGEST_PRODUCT_K, own[-2:])
            responsibilities(density[:k], scale, own[:k])
            tied_moments(x, weight, density, weighted, first, second)
        fold_tied(first, second, means, middle, own)


@pointwise
def tied_posterior(share, tiles, X, log_norm, slopes, factor, middle, log_prob, resp, labels):
    k, d = slopes.shape
    by_point, _, x, z, density, _, _ = cut_tied(borrowed(tiles[share]), k, d)
    weight, top, total, slope, scale = by_point[0], by_point[1], by_point[2], by_point[3], by_point[4]
    log_norm, slopes, factor, middle = borrowed(log_norm), borrowed(slopes), borrowed(factor), borrowed(middle)
    weight[:], tiles_of_rows = 1.0, -(-X.shape[0] // TILE)
    end = min(X.shape[0], edge(share + 1, len(tiles), tiles_of_rows) * TILE)
    for row in range(edge(share, len(tiles), tiles_of_rows) * TILE, end, TILE):
        count = min(TILE, end - row)
        pairs = -(-count // (2 * LANES))  # that hold rows
        load_columns(X, row, count, pairs * 2 * LANES, x[:d])
        take_middle(x, middle, pairs)
        tied_densities(x, log_norm, slopes, factor, z, total, density, pairs)
        put_posterior(weight, density[:k], top, total, slope, scale, row, count, log_prob, resp, labels)


@tied_kernel
def accumulate_mvnormal_tied(X: rows,                 # IN   (n, d)
                             sample_weight: weights,  # IN   (n,)
                             slot_rows: int64,        # IN           rows of a slot
                             log_norm: vector,        # IN   (k,)    log2 of weight / sqrt(det(2 pi S)), - |u|^2
                             slopes: matrix,          # IN   (k, d)  2 u, u = L (mean - middle)
                             factor: matrix,          # IN   (d, d)  lower L, L^T L = log2(e) / 2 S^-1
                             means: matrix,           # IN   (k, d)
                             middle: vector,          # IN   (d,)
                             sums: sums_out,          # OUT  (s, k + k d + d d + 2)
                             tiles: tiles_scratch):   # SCRATCH
    # -> as accumulate_mvnormal_full, the second moments of all components in one
    for share in prange(len(tiles)):
        tied_share(int64(share), tiles, slot_rows, X, sample_weight, log_norm, slopes, factor, means, middle, sums)


@tied_kernel
def posterior_mvnormal_tied(X: rows,                # IN   (n, d)
                            log_norm: vector,       # IN   (k,)    tables as for accumulate_mvnormal_tied
                            slopes: matrix,         # IN   (k, d)
                            factor: matrix,         # IN   (d, d)
                            means: matrix,          # IN   (k, d)
                            middle: vector,         # IN   (d,)
                            log_prob: reals_out,    # OUT  (n,)    or (0,)
                            resp: matrix_out,       # OUT  (n, k)  or (0, k)
                            labels: labels_out,     # OUT  (n,)    or (0,)
                            tiles: tiles_scratch):  # SCRATCH
    # -> log density, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        tied_posterior(int64(share), tiles, X, log_norm, slopes, factor, middle, log_prob, resp, labels)
