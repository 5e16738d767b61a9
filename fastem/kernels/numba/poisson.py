"""Poisson counts."""
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
def poisson_densities(x, trials, log_norm, log_rates, scaling, residual, density, pairs):
    """log2 (weight prod_j exp(-rate_j) rate_j^x_j), without the factorials."""
    for c in range(log_rates.shape[0]):
        for i in range(pairs):
            log_density = broadcast_pair(log_norm[c])
            for j in range(log_rates.shape[1]):
                log_density = log_density + load_pair(x, j, i) * log_rates[c, j]
            store(density, c, i, log_density)


@pointwise
def poisson_moments(x, trials, log_rates, scaling, resp, residual, weighted, first, second):
    k, d = log_rates.shape
    for c in range(k):
        for j in range(d):
            events = broadcast_pair(0.0)
            for i in range(PAIRS):
                events = events + load_pair(resp, c, i) * load_pair(x, j, i)
            add_lane_sums(first, c * d + j, events)


poisson_share, poisson_posterior = family(poisson_densities, poisson_moments)


@kernel
def accumulate_poisson(X: rows,                 # IN   (n, d)  counts
                       sample_weight: weights,  # IN   (n,)
                       slot_rows: int64,        # IN           rows of a slot
                       log_norm: vector,        # IN   (k,)    log2 of weight prod_j exp(-rate_j)
                       log_rates: matrix,       # IN   (k, d)  log2 of rates, finite
                       sums: sums_out,          # OUT  (s, k + k d + 2)
                       tiles: tiles_scratch):  # SCRATCH
    # -> per slot: sum w r, sum w r x, sum w log p(x), -sum w sum_k r log r; log p(x) without the factorials
    for share in prange(len(tiles)):
        poisson_share(int64(share), tiles, slot_rows, X, X[:, :0], sample_weight, log_norm, log_rates, log_rates, sums)


@kernel
def posterior_poisson(X: rows,                # IN   (n, d)  counts
                      log_norm: vector,       # IN   (k,)    tables as for accumulate_poisson
                      log_rates: matrix,      # IN   (k, d)
                      log_prob: reals_out,    # OUT  (n,)    or (0,)
                      resp: matrix_out,       # OUT  (n, k)  or (0, k)
                      labels: labels_out,     # OUT  (n,)    or (0,)
                      tiles: tiles_scratch): # SCRATCH
    # -> log density without the factorials, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        poisson_posterior(int64(share), tiles, X, X[:, :0], log_norm, log_rates, log_rates, log_prob, resp, labels)
