"""Binomial counts."""
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
def binomial_densities(x, trials, log_norm, log_p, log_q, residual, density, pairs):
    """log2 (weight prod_j p_j^x_j q_j^(trials_j - x_j)), without the binomial coefficients.

    From here on trials are the failures.
    """
    k, d = log_p.shape
    for j in range(d):
        for i in range(pairs):
            store(trials, j, i, load_pair(trials, j, i) - load_pair(x, j, i))
    for i in range(pairs):
        for c in range(k):
            successes, failures = broadcast_pair(log_norm[c]), broadcast_pair(0.0)
            for j in range(d):
                successes = successes + log_p[c, j] * load_pair(x, j, i)
                failures = failures + log_q[c, j] * load_pair(trials, j, i)
            store(density, c, i, successes + failures)


@pointwise
def binomial_moments(x, trials, log_p, log_q, resp, residual, weighted, first, second):
    k, d = log_p.shape
    for j in range(d):
        for c in range(k):
            successes = failures = broadcast_pair(0.0)
            for i in range(PAIRS):
                r = load_pair(resp, c, i)
                successes = successes + r * load_pair(x, j, i)
                failures = failures + r * load_pair(trials, j, i)
            add_lane_sums(first, c * d + j, successes)
            add_lane_sums(second, c * d + j, failures)


binomial_share, binomial_posterior = family(binomial_densities, binomial_moments)


@kernel
def accumulate_binomial(X: rows,                 # IN   (n, d)  successes
                        trials: rows,            # IN   (n, d)
                        sample_weight: weights,  # IN   (n,)
                        slot_rows: int64,        # IN           rows of a slot
                        log_norm: vector,        # IN   (k,)    log2 of weight
                        log_p: matrix,           # IN   (k, d)  log2 of p, finite
                        log_q: matrix,           # IN   (k, d)  log2 of 1 - p, finite
                        sums: sums_out,          # OUT  (s, k + 2 k d + 2)
                        tiles: tiles_scratch):  # SCRATCH
    # -> per slot: sum w r, sum w r x, sum w r (trials - x), sum w log p(x), -sum w sum_k r log r;
    #    log p(x) without the binomial coefficients
    for share in prange(len(tiles)):
        binomial_share(int64(share), tiles, slot_rows, X, trials, sample_weight, log_norm, log_p, log_q, sums)


@kernel
def posterior_binomial(X: rows,                # IN   (n, d)  successes
                       trials: rows,           # IN   (n, d)
                       log_norm: vector,       # IN   (k,)    tables as for accumulate_binomial
                       log_p: matrix,          # IN   (k, d)
                       log_q: matrix,          # IN   (k, d)
                       log_prob: reals_out,    # OUT  (n,)    or (0,)
                       resp: matrix_out,       # OUT  (n, k)  or (0, k)
                       labels: labels_out,     # OUT  (n,)    or (0,)
                       tiles: tiles_scratch): # SCRATCH
    # -> log density without the binomial coefficients, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        binomial_posterior(int64(share), tiles, X, trials, log_norm, log_p, log_q, log_prob, resp, labels)
