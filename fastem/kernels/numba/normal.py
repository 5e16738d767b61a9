"""Univariate normal: the diagonal one with d = 1."""
from numba import int64, prange

from fastem.kernels.numba.jit import (
    kernel,
    labels_out,
    matrix,
    matrix_out,
    reals_out,
    rows,
    sums_out,
    tiles_scratch,
    vector,
    weights,
)
from fastem.kernels.numba.mvnormal_diag import diag_posterior, diag_share


@kernel
def accumulate_normal(X: rows,                 # IN   (n, 1)
                      sample_weight: weights,  # IN   (n,)
                      slot_rows: int64,        # IN           rows of a slot
                      log_norm: vector,        # IN   (k,)    log2 of weight / (sd sqrt(2 pi))
                      means: matrix,           # IN   (k, 1)
                      scale: matrix,           # IN   (k, 1)  sqrt(log2(e) / 2) / sd
                      sums: sums_out,          # OUT  (s, 3 k + 2)
                      tiles: tiles_scratch):  # SCRATCH
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)^2, sum w log p(x), -sum w sum_k r log r
    for share in prange(len(tiles)):
        diag_share(int64(share), tiles, slot_rows, X, X[:, :0], sample_weight, log_norm, means, scale, sums)


@kernel
def posterior_normal(X: rows,                # IN   (n, 1)
                     log_norm: vector,       # IN   (k,)    tables as for accumulate_normal
                     means: matrix,          # IN   (k, 1)
                     scale: matrix,          # IN   (k, 1)
                     log_prob: reals_out,    # OUT  (n,)    or (0,)
                     resp: matrix_out,       # OUT  (n, k)  or (0, k)
                     labels: labels_out,     # OUT  (n,)    or (0,)
                     tiles: tiles_scratch): # SCRATCH
    # -> log density, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        diag_posterior(int64(share), tiles, X, X[:, :0], log_norm, means, scale, log_prob, resp, labels)
