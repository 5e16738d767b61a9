"""Multivariate normal, diagonal covariance."""
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
from fastem.kernels.numba.slots import family
from fastem.kernels.numba.vectors import PAIRS, add_lane_sums, broadcast_pair, load_pair, store


@pointwise
def diag_densities(x, trials, log_norm, means, scale, residual, density, pairs):
    """log2 (weight N(x; mean, diag(sd^2))) = log_norm - sum_j ((x_j - mean_j) scale_j)^2."""
    for c in range(means.shape[0]):
        for i in range(pairs):
            log_density = broadcast_pair(log_norm[c])
            for j in range(means.shape[1]):
                z = (load_pair(x, j, i) - means[c, j]) * scale[c, j]
                log_density = log_density - z * z
            store(density, c, i, log_density)


@pointwise
def diag_moments(x, trials, means, scale, resp, residual, weighted, first, second):
    k, d = means.shape
    for c in range(k):
        for j in range(d):
            s1 = s2 = broadcast_pair(0.0)
            for i in range(PAIRS):
                z = load_pair(x, j, i) - means[c, j]
                rz = load_pair(resp, c, i) * z
                s1 = s1 + rz
                s2 = s2 + rz * z
            add_lane_sums(first, c * d + j, s1)
            add_lane_sums(second, c * d + j, s2)


diag_share, diag_posterior = family(diag_densities, diag_moments)


@kernel
def accumulate_mvnormal_diag(X: rows,                 # IN   (n, d)
                             sample_weight: weights,  # IN   (n,)
                             slot_rows: int64,        # IN           rows of a slot
                             log_norm: vector,        # IN   (k,)    log2 of weight / prod_j (sd_j sqrt(2 pi))
                             means: matrix,           # IN   (k, d)
                             scale: matrix,           # IN   (k, d)  sqrt(log2(e) / 2) / sd
                             sums: sums_out,          # OUT  (s, k + 2 k d + 2)
                             tiles: tiles_scratch):  # SCRATCH
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)^2, sum w log p(x), -sum w sum_k r log r
    for share in prange(len(tiles)):
        diag_share(int64(share), tiles, slot_rows, X, X[:, :0], sample_weight, log_norm, means, scale, sums)


@kernel
def posterior_mvnormal_diag(X: rows,                # IN   (n, d)
                            log_norm: vector,       # IN   (k,)    tables as for accumulate_mvnormal_diag
                            means: matrix,          # IN   (k, d)
                            scale: matrix,          # IN   (k, d)
                            log_prob: reals_out,    # OUT  (n,)    or (0,)
                            resp: matrix_out,       # OUT  (n, k)  or (0, k)
                            labels: labels_out,     # OUT  (n,)    or (0,)
                            tiles: tiles_scratch): # SCRATCH
    # -> log density, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        diag_posterior(int64(share), tiles, X, X[:, :0], log_norm, means, scale, log_prob, resp, labels)
