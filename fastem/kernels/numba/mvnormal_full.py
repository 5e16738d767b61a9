"""Multivariate normal, full covariance."""
from numba import int64, prange

from fastem.kernels.numba.jit import (
    kernel,
    labels_out,
    matrices,
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
from fastem.kernels.numba.slots import family
from fastem.kernels.numba.vectors import VECTORS, add_lane_sums, broadcast, broadcast_pair, load, load_pair, store


@pointwise
def full_densities(x, trials, log_norm, means, factor, residual, density, pairs):
    """log2 (weight N(x; mean, S)) = log_norm - |L (x - mean)|^2, L^T L = log2(e) / 2 S^-1, L lower triangular."""
    for c in range(means.shape[0]):
        for i in range(pairs):
            store(density, c, i, log_norm[c] - squared_norm(x, means, factor, c, i, residual))


@pointwise
def squared_norm(x, means, L, c, i, residual):
    """|L (x - mean)|^2 of a pair of vectors; rows of L by fours, so that a residual is read once for four of them."""
    d = means.shape[1]
    square = broadcast_pair(0.0)
    for row in range(0, d - d % 4, 4):  # so that LLVM sees that no index is negative: 7 % at d = 8
        square = square + whiten(x, means, L, c, i, row, 4, residual)
    if d % 4 == 1:
        square = square + whiten(x, means, L, c, i, d - 1, 1, residual)
    elif d % 4 == 2:
        square = square + whiten(x, means, L, c, i, d - 2, 2, residual)
    elif d % 4 == 3:
        square = square + whiten(x, means, L, c, i, d - 3, 3, residual)
    return square


@pointwise
def whiten(x, means, L, c, i, p, height, residual):
    """Rows p : p + height of L (x - mean) -> the sum of their squares: first the triangle on the diagonal, then what
    is left of it.  `height` is a constant to LLVM, and every `if` a decision it makes."""
    z0 = keep_residual(x, means, c, p, i, residual)
    y0 = L[c, p, p] * z0
    if height > 1:
        z1 = keep_residual(x, means, c, p + 1, i, residual)
        y1 = L[c, p + 1, p] * z0 + L[c, p + 1, p + 1] * z1
    if height > 2:
        z2 = keep_residual(x, means, c, p + 2, i, residual)
        y2 = L[c, p + 2, p] * z0 + L[c, p + 2, p + 1] * z1 + L[c, p + 2, p + 2] * z2
    if height > 3:
        z3 = keep_residual(x, means, c, p + 3, i, residual)
        y3 = L[c, p + 3, p] * z0 + L[c, p + 3, p + 1] * z1 + L[c, p + 3, p + 2] * z2 + L[c, p + 3, p + 3] * z3
    for j in range(p):
        z = load_pair(residual, j, i)
        y0 = y0 + L[c, p, j] * z
        if height > 1:
            y1 = y1 + L[c, p + 1, j] * z
        if height > 2:
            y2 = y2 + L[c, p + 2, j] * z
        if height > 3:
            y3 = y3 + L[c, p + 3, j] * z
    square = y0 * y0
    if height > 1:
        square = square + y1 * y1
    if height > 2:
        square = square + y2 * y2
    if height > 3:
        square = square + y3 * y3
    return square


@pointwise
def keep_residual(x, means, c, j, i, residual):
    """x_j - mean_j, kept for the rows of L that follow."""
    z = load_pair(x, j, i) - means[c, j]
    store(residual, j, i, z)
    return z


@pointwise
def full_moments(x, trials, means, factor, resp, residual, weighted, first, second):
    """Lower triangles in 4 x 4 blocks, row by row of blocks; the last row of blocks is as high as what is left."""
    d = means.shape[1]
    for c in range(means.shape[0]):
        for row in range(0, d - d % 4, 4):
            row_of_blocks(x, means, resp, c, row, 4, residual, weighted, first, second)
        if d % 4 == 1:
            row_of_blocks(x, means, resp, c, d - 1, 1, residual, weighted, first, second)
        elif d % 4 == 2:
            row_of_blocks(x, means, resp, c, d - 2, 2, residual, weighted, first, second)
        elif d % 4 == 3:
            row_of_blocks(x, means, resp, c, d - 3, 3, residual, weighted, first, second)


@pointwise
def row_of_blocks(x, means, resp, c, p, height, residual, weighted, first, second):
    """Features p : p + height with all before them; `weighted` holds what they have of responsibility * residual."""
    d = means.shape[1]
    at = ((c if len(second) > d * d else 0) * d + p) * d  # of components that share a covariance there is one
    diagonal_block(x, means, resp, c, p, height, residual, weighted, first, second, at + p)
    for j in range(0, p, 4):
        outer_block(weighted, height, residual, j, second, at + j, d)


@pointwise
def diagonal_block(x, means, resp, c, p, height, residual, weighted, first, second, at):
    """Residuals, weighted residuals and first moments of up to four features, and the triangle of their second ones."""
    d = means.shape[1]
    f0 = f1 = f2 = f3 = s00 = s10 = s11 = s20 = s21 = s22 = s30 = s31 = s32 = s33 = broadcast(0.0)
    for i in range(VECTORS):
        r = load(resp, c, i)
        z0 = load(x, p, i) - means[c, p]
        a0 = r * z0
        f0, s00 = f0 + a0, s00 + a0 * z0
        keep_both(residual, weighted, p, 0, i, z0, a0)
        if height > 1:
            z1 = load(x, p + 1, i) - means[c, p + 1]
            a1 = r * z1
            f1, s10, s11 = f1 + a1, s10 + a1 * z0, s11 + a1 * z1
            keep_both(residual, weighted, p, 1, i, z1, a1)
        if height > 2:
            z2 = load(x, p + 2, i) - means[c, p + 2]
            a2 = r * z2
            f2, s20, s21, s22 = f2 + a2, s20 + a2 * z0, s21 + a2 * z1, s22 + a2 * z2
            keep_both(residual, weighted, p, 2, i, z2, a2)
        if height > 3:
            z3 = load(x, p + 3, i) - means[c, p + 3]
            a3 = r * z3
            f3, s30, s31, s32, s33 = f3 + a3, s30 + a3 * z0, s31 + a3 * z1, s32 + a3 * z2, s33 + a3 * z3
            keep_both(residual, weighted, p, 3, i, z3, a3)
    add_lane_sums(first, c * d + p, f0)
    add_lane_sums(second, at, s00)
    if height > 1:
        add_lane_sums(first, c * d + p + 1, f1)
        add_lane_sums(second, at + d, s10, s11)
    if height > 2:
        add_lane_sums(first, c * d + p + 2, f2)
        add_lane_sums(second, at + 2 * d, s20, s21, s22)
    if height > 3:
        add_lane_sums(first, c * d + p + 3, f3)
        add_lane_sums(second, at + 3 * d, s30, s31, s32, s33)


@pointwise
def keep_both(residual, weighted, p, j, i, z, a):
    store(residual, p + j, i, z)
    store(weighted, j, i, a)


@pointwise
def outer_block(a, height, b, q, second, at, d):
    """a[:height] b[q : q + 4]^T, into the matrix at `at`: 16 sums in registers, 8 loads for 16 products."""
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = broadcast(0.0)
    for i in range(VECTORS):
        a0, a1, a2, a3 = load(a, 0, i), load(a, 1, i), load(a, 2, i), load(a, 3, i)
        b0, b1, b2, b3 = load(b, q, i), load(b, q + 1, i), load(b, q + 2, i), load(b, q + 3, i)
        s00, s01, s02, s03 = s00 + a0 * b0, s01 + a0 * b1, s02 + a0 * b2, s03 + a0 * b3
        if height > 1:
            s10, s11, s12, s13 = s10 + a1 * b0, s11 + a1 * b1, s12 + a1 * b2, s13 + a1 * b3
        if height > 2:
            s20, s21, s22, s23 = s20 + a2 * b0, s21 + a2 * b1, s22 + a2 * b2, s23 + a2 * b3
        if height > 3:
            s30, s31, s32, s33 = s30 + a3 * b0, s31 + a3 * b1, s32 + a3 * b2, s33 + a3 * b3
    add_lane_sums(second, at, s00, s01, s02, s03)
    if height > 1:
        add_lane_sums(second, at + d, s10, s11, s12, s13)
    if height > 2:
        add_lane_sums(second, at + 2 * d, s20, s21, s22, s23)
    if height > 3:
        add_lane_sums(second, at + 3 * d, s30, s31, s32, s33)


@pointwise
def mirror(second, k, d):
    """(k, d, d) lower triangles -> symmetric matrices."""
    for c in range(k):
        for i in range(d):
            for j in range(i):
                second[(c * d + j) * d + i] = second[(c * d + i) * d + j]


@pointwise
def mirror_slots(slots, k, d):
    """The second moments of each slot: lower triangles -> symmetric matrices, one or k."""
    begin = k + k * d
    for s in range(len(slots)):
        mirror(slots[s, begin:], (slots.shape[1] - 2 - begin) // (d * d), d)


full_share, full_posterior = family(full_densities, full_moments)


@kernel
def accumulate_mvnormal_full(X: rows,                 # IN   (n, d)
                             sample_weight: weights,  # IN   (n,)
                             slot_rows: int64,        # IN              rows of a slot
                             log_norm: vector,        # IN   (k,)       log2 of weight / sqrt(det(2 pi S))
                             means: matrix,           # IN   (k, d)
                             factor: matrices,        # IN   (k, d, d)  lower L, L^T L = log2(e) / 2 S^-1
                             sums: sums_out,          # OUT  (s, k + k d + k d d + 2), or d d: their sum
                             tiles: tiles_scratch):  # SCRATCH
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)(x - mean)^T, sum w log p(x), -sum w sum_k r log r
    for share in prange(len(tiles)):
        full_share(int64(share), tiles, slot_rows, X, X[:, :0], sample_weight, log_norm, means, factor, sums)
    mirror_slots(sums, means.shape[0], means.shape[1])


@kernel
def posterior_mvnormal_full(X: rows,                # IN   (n, d)
                            log_norm: vector,       # IN   (k,)       tables as for accumulate_mvnormal_full
                            means: matrix,          # IN   (k, d)
                            factor: matrices,       # IN   (k, d, d)
                            log_prob: reals_out,    # OUT  (n,)       or (0,)
                            resp: matrix_out,       # OUT  (n, k)     or (0, k)
                            labels: labels_out,     # OUT  (n,)       or (0,)
                            tiles: tiles_scratch): # SCRATCH
    # -> log density, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        full_posterior(int64(share), tiles, X, X[:, :0], log_norm, means, factor, log_prob, resp, labels)
