"""Poisson counts, some missing: a count that a row lacks is left out of its density."""
import math

from numba import int64, prange

from fastem.kernels.numba.constants import LN2, LOG2E
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
def poisson_missing_densities(x, observed, log_norm, log_rates, scaling, part, density, pairs):
    """Those of the counts that are observed: each adds its part of log_norm."""
    k, d = log_rates.shape
    for c in range(k):
        log_weight = log_norm[c]
        for j in range(d):
            part[j, 0] = -LOG2E * math.exp(LN2 * log_rates[c, j])  # log2 of exp(-rate)
            log_weight -= part[j, 0]
        for i in range(pairs):
            log_density = broadcast_pair(log_weight)
            for j in range(d):
                log_density = log_density + load_pair(x, j, i) * log_rates[c, j]
                log_density = log_density + load_pair(observed, j, i) * part[j, 0]
            store(density, c, i, log_density)


@pointwise
def poisson_missing_moments(x, observed, log_rates, scaling, resp, residual, weighted, first, second):
    """A missing count is expected to be the rate."""
    k, d = log_rates.shape
    for c in range(k):
        for j in range(d):
            rate = math.exp(LN2 * log_rates[c, j])
            events = lost = broadcast_pair(0.0)
            for i in range(PAIRS):
                r = load_pair(resp, c, i)
                events = events + r * load_pair(x, j, i)
                lost = lost + (r - r * load_pair(observed, j, i))
            add_lane_sums(first, c * d + j, events + lost * rate)


poisson_missing_share, poisson_missing_posterior = family(
    poisson_missing_densities, poisson_missing_moments, has_gaps=True
)


@gap_kernel
def accumulate_poisson_missing(X: rows,                 # IN   (n, d)  counts, NaN where one is missing
                               sample_weight: weights,  # IN   (n,)
                               slot_rows: int64,        # IN           rows of a slot
                               log_norm: vector,        # IN   (k,)    as for accumulate_poisson
                               log_rates: matrix,       # IN   (k, d)
                               sums: sums_out,          # OUT  (s, k + k d + 2)
                               tiles: tiles_scratch):  # SCRATCH
    # -> per slot: as accumulate_poisson, expected given the counts that are observed
    for share in prange(len(tiles)):
        poisson_missing_share(int64(share), tiles, slot_rows, X, X, sample_weight, log_norm, log_rates, log_rates, sums)


@gap_kernel
def posterior_poisson_missing(X: rows,                # IN   (n, d)  counts, NaN where one is missing
                              log_norm: vector,       # IN   (k,)    as for accumulate_poisson
                              log_rates: matrix,      # IN   (k, d)
                              log_prob: reals_out,    # OUT  (n,)    or (0,)
                              resp: matrix_out,       # OUT  (n, k)  or (0, k)
                              labels: labels_out,     # OUT  (n,)    or (0,)
                              tiles: tiles_scratch): # SCRATCH
    # -> log density of what is observed, without the factorials, responsibilities and most probable component
    for share in prange(len(tiles)):
        poisson_missing_posterior(int64(share), tiles, X, X, log_norm, log_rates, log_rates, log_prob, resp, labels)
