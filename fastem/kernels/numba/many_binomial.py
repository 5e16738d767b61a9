"""Many small fits of binomial counts."""
import math

import numpy as np
from numba import float64, int64, prange

from fastem.kernels.numba.jit import pointwise, rows, tiles_scratch, vector, weights
from fastem.kernels.numba.many_em import LOG2E, LOWEST_LOGLIK, em_of, maximize_weights
from fastem.kernels.numba.many_group import (
    CONVERGED,
    EMPTY,
    LARGEST_COUNT,
    LOG_ZERO,
    NOT_COUNTS,
    NOT_FINITE,
    cut_tile,
    enough,
    fill_up,
    groups_kernel,
    indices,
    iterations_out,
    log_factorial,
    loglik_out,
    params_inout,
    start_rates,
    status_out,
)
from fastem.kernels.numba.tile import edge
from fastem.kernels.numba.vectors import borrowed

SMALLEST_PROB = 2.0**-53  # as binomial.SMALLEST_PROB


@pointwise
def load_counts(X, trials, sample_weight, log_factorials, begin, end, group, pairs):
    """-> status, rows of positive weight, their weight, base measure.  A start sorts rates that are never 0 or 1."""
    (x, failures, weight), (key, mass) = group, pairs
    n, total, base_measure = 0, 0.0, 0.0
    for row in range(begin, end):
        count, row_trials, w = float64(X[row, 0]), float64(trials[row, 0]), sample_weight[row]
        if w == 0.0:
            continue
        if not (abs(count) < math.inf and abs(row_trials) < math.inf):
            return NOT_FINITE, 0, 0.0, 0.0
        if not (0.0 <= count <= row_trials <= LARGEST_COUNT and count == math.floor(count)
                and row_trials == math.floor(row_trials)):
            return NOT_COUNTS, 0, 0.0, 0.0
        x[n], failures[n], weight[n] = count, row_trials - count, w
        key[n], mass[n] = (count + 0.5) / (row_trials + 1.0), w * row_trials
        base_measure += w * (log_factorial(row_trials, log_factorials) - log_factorial(count, log_factorials)
                             - log_factorial(row_trials - count, log_factorials))
        n, total = n + 1, total + w
    fill_up(n, group)
    return CONVERGED, n, total, base_measure


@pointwise
def binomial_tables(params, tables):
    (shares, probs), (log_norm, log_p, log_q) = params, tables
    for c in range(probs.shape[0]):
        log_norm[c], log_p[c] = np.log2(shares[c]), max(np.log2(probs[c]), LOG_ZERO)
        log_q[c] = max(np.log1p(-probs[c]) * LOG2E, LOG_ZERO)


@pointwise
def binomial_density(x, y, log_norm, log_p, log_q):
    """log2 (weight p^x q^y)"""
    return log_norm + (x * log_p + y * log_q)


@pointwise
def binomial_moments(x, y, log_p):
    return x, y


@pointwise
def maximize_binomial(sums, params, _):
    """As BinomialStats.maximize: a component without trials keeps its prob; a failure seen leaves no prob of 1."""
    shares, probs = params
    maximize_weights(sums, shares)
    nothing = 0.0
    for c in range(probs.shape[0]):
        nothing += EMPTY * (sums[3 * c + 1] + sums[3 * c + 2])
    for c in range(probs.shape[0]):
        successes, failures = sums[3 * c + 1], sums[3 * c + 2]
        if successes + failures > nothing:
            prob = successes / (successes + failures)
            probs[c] = min(prob, 1.0 - SMALLEST_PROB) if failures > nothing else prob


em_binomial = em_of(binomial_tables, binomial_density, binomial_moments, maximize_binomial)


@pointwise
def fit_binomials(share, tiles, X, trials, sample_weight, offsets, edges, tol, max_iter, log_factorials, weights, probs,
                  loglik, n_iter, status):
    """The groups of a share, one after the other."""
    k, shares = weights.shape[1], len(edges) - 1
    group, pairs, lanes, tables, found, sums = cut_tile(borrowed(tiles[share].ravel()), k)
    for i in range(edges[edge(share, len(tiles), shares)], edges[edge(share + 1, len(tiles), shares)]):
        params = borrowed(weights[i]), borrowed(probs[i])
        state, n, total, base_measure = load_counts(X, trials, sample_weight, log_factorials, offsets[i],
                                                    offsets[i + 1], group, pairs)
        status[i] = enough(state, n, k)
        if status[i] != CONVERGED:
            weights[i], probs[i], loglik[i] = math.nan, math.nan, math.nan
            continue
        start_rates(n, pairs, found, 1.0, *params)
        status[i], varying, n_iter[i] = em_binomial(n, total, tol, max_iter, 0.0, group, tables, sums, lanes, params)
        loglik[i] = max(varying + base_measure, LOWEST_LOGLIK)


@groups_kernel
def fit_many_binomial(X: rows,                   # IN     (n, 1)    successes
                      trials: rows,              # IN     (n, 1)
                      sample_weight: weights,    # IN     (n,)
                      offsets: indices,          # IN     (m + 1,)  as for fit_many_normal
                      edges: indices,            # IN     (s + 1,)
                      tol: float64,              # IN
                      max_iter: int64,           # IN
                      log_factorials: vector,    # IN     (256,)    log n!
                      weights: params_inout,     # IN/OUT (m, k)    the start; NaN is found from the rows
                      probs: params_inout,       # IN/OUT (m, k)
                      loglik: loglik_out,         # OUT    (m,)
                      n_iter: iterations_out,    # OUT    (m,)      comes as 0
                      status: status_out,        # OUT    (m,)
                      tiles: tiles_scratch):     # SCRATCH
    # -> the mixture of each group of these shares
    for share in prange(len(tiles)):
        fit_binomials(int64(share), tiles, X, trials, sample_weight, offsets, edges, tol, max_iter, log_factorials,
                      weights, probs, loglik, n_iter, status)
