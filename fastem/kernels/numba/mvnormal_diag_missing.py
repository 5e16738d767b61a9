"""Multivariate normal, diagonal covariance, values missing: a feature that a row lacks is left out of its density.

A component may be uniform, as a background is: its scales are then the densities of its features, times -1.
"""
from numba import int64, prange

from fastem.kernels.numba.constants import LOG2_2PI, ROOT_OF_HALF_LOG2E
from fastem.kernels.numba.elementary import log2_
from fastem.kernels.numba.jit import (
    gap_kernel,
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
def diag_missing_densities(x, observed, log_norm, means, scale, part, density, pairs):
    """Those of the features that are observed: each adds its residual and its part of log_norm.

    x is 0 where it is missing, and so is x - observed * mean.
    """
    k, d = means.shape
    for c in range(k):
        log_weight = log_norm[c]
        for j in range(d):
            if scale[c, j] < 0:
                part[j, 0] = log2_(-scale[c, j])
            else:
                part[j, 0] = log2_(scale[c, j] / ROOT_OF_HALF_LOG2E) - 0.5 * LOG2_2PI  # log2 of 1 / (sd sqrt(2 pi))
            log_weight -= part[j, 0]
        if scale[c, 0] < 0:
            uniform_missing_densities(c, observed, log_weight, part, density, pairs)
            continue
        for i in range(pairs):
            log_density = broadcast_pair(log_weight)
            for j in range(d):
                o = load_pair(observed, j, i)
                z = (load_pair(x, j, i) - o * means[c, j]) * scale[c, j]
                log_density = log_density + o * part[j, 0] - z * z
            store(density, c, i, log_density)


@pointwise
def uniform_missing_densities(c, observed, log_weight, part, density, pairs):
    for i in range(pairs):
        log_density = broadcast_pair(log_weight)
        for j in range(len(observed)):
            log_density = log_density + load_pair(observed, j, i) * part[j, 0]
        store(density, c, i, log_density)


@pointwise
def diag_missing_moments(x, observed, means, scale, resp, residual, weighted, first, second):
    """A missing value is expected at the mean, with the variance of its feature; of a uniform component, no moment."""
    k, d = means.shape
    for c in range(k):
        if scale[c, 0] < 0:
            continue
        for j in range(d):
            sd = ROOT_OF_HALF_LOG2E / scale[c, j]
            s1 = s2 = lost = broadcast_pair(0.0)
            for i in range(PAIRS):
                r, o = load_pair(resp, c, i), load_pair(observed, j, i)
                z = load_pair(x, j, i) - o * means[c, j]
                rz = r * z
                s1 = s1 + rz
                s2 = s2 + rz * z
                lost = lost + (r - r * o)
            add_lane_sums(first, c * d + j, s1)
            add_lane_sums(second, c * d + j, s2 + lost * (sd * sd))


diag_missing_share, diag_missing_posterior = family(diag_missing_densities, diag_missing_moments, has_gaps=True)


@gap_kernel
def accumulate_mvnormal_diag_missing(X: rows,                 # IN   (n, d)  NaN where a value is missing
                                     sample_weight: weights,  # IN   (n,)
                                     slot_rows: int64,        # IN           rows of a slot
                                     log_norm: vector,        # IN   (k,)    as for accumulate_mvnormal_diag
                                     means: matrix,           # IN   (k, d)
                                     scale: matrix,           # IN   (k, d)
                                     sums: sums_out,          # OUT  (s, k + 2 k d + 2)
                                     tiles: tiles_scratch):  # SCRATCH
    # -> per slot: as accumulate_mvnormal_diag, expected given the values that are observed
    for share in prange(len(tiles)):
        diag_missing_share(int64(share), tiles, slot_rows, X, X, sample_weight, log_norm, means, scale, sums)


@gap_kernel
def posterior_mvnormal_diag_missing(X: rows,                # IN   (n, d)  NaN where a value is missing
                                    log_norm: vector,       # IN   (k,)    as for accumulate_mvnormal_diag
                                    means: matrix,          # IN   (k, d)
                                    scale: matrix,          # IN   (k, d)
                                    log_prob: reals_out,    # OUT  (n,)    or (0,)
                                    resp: matrix_out,       # OUT  (n, k)  or (0, k)
                                    labels: labels_out,     # OUT  (n,)    or (0,)
                                    tiles: tiles_scratch): # SCRATCH
    # -> log density of what is observed, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        diag_missing_posterior(int64(share), tiles, X, X, log_norm, means, scale, log_prob, resp, labels)
