"""Many small fits of binomial counts."""
import math

import numpy as np
from numba import float64, int64, prange

from fastem.kernels.numba.jit import pointwise, rows, tiles_scratch, vector, weights
from fastem.kernels.numba.many_em import LOG2E, LOWEST_LOGLIK, maximize_weights, sweep
from fastem.kernels.numba.many_group import (
    CONVERGED,
    EMPTY,
    MAX_ITER,
    NOT_COUNTS,
    NOT_FINITE,
    blocks,
    cut_tile,
    enough,
    fill,
    fill_up,
    groups_kernel,
    incomplete,
    indices,
    iterations_out,
    loglik_out,
    params_inout,
    spread,
    status_out,
)
from fastem.kernels.numba.tile import edge
from fastem.kernels.numba.vectors import borrowed

LOG_2PI = 1.8378770664093453
LARGEST_COUNT = 2.0**53   # as inputs.LARGEST_COUNT
SMALLEST_PROB = 2.0**-53  # as binomial.SMALLEST_PROB
LOG_ZERO = -1e290         # as binomial.LOG_ZERO


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
def log_factorial(n, table):
    """log n!: a table, then Stirling's series, as binomial.log_factorial."""
    if n < 256.0:
        return table[int(n)]
    return (n + 0.5) * math.log(n) - n + 0.5 * LOG_2PI + (1.0 / 12.0 - 1.0 / (360.0 * n * n)) / n


@pointwise
def start_binomial(n, pairs, found, shares, probs):
    """What has not been given, by blocks of the rates of success; even probs where no row has trials."""
    k = found.shape[0]
    for c in range(k):
        fill(shares, c, 1.0 / k)
    if not incomplete(probs):
        return
    key, mass = pairs
    blocks(n, key, mass, found)
    low, high = key[0], key[n - 1]
    spread(found, low if high > low else 0.0, high if high > low else 1.0)
    for c in range(k):
        fill(probs, c, found[c])


@pointwise
def binomial_tables(shares, probs, tables):
    log_norm, log_p, log_q = tables
    for c in range(probs.shape[0]):
        log_norm[c], log_p[c] = np.log2(shares[c]), max(np.log2(probs[c]), LOG_ZERO)
        log_q[c] = max(np.log1p(-probs[c]) * LOG2E, LOG_ZERO)


@pointwise
def maximize_binomial(sums, shares, probs):
    """As BinomialStats.maximize: a component without trials keeps its prob; a failure seen leaves no prob of 1."""
    maximize_weights(sums, shares)
    nothing = 0.0
    for c in range(probs.shape[0]):
        nothing += EMPTY * (sums[3 * c + 1] + sums[3 * c + 2])
    for c in range(probs.shape[0]):
        successes, failures = sums[3 * c + 1], sums[3 * c + 2]
        if successes + failures > nothing:
            prob = successes / (successes + failures)
            probs[c] = min(prob, 1.0 - SMALLEST_PROB) if failures > nothing else prob


@pointwise
def em_binomial(n, total, tol, max_iter, group, tables, sums, lanes, shares, probs):
    """As em_normal; the log likelihood is without the base measure."""
    criterion, distance, n_iter = -math.inf, math.inf, 0
    while True:
        binomial_tables(shares, probs, tables)
        loglik = sweep(n, True, group, tables, sums, lanes)
        if distance < tol or n_iter == max_iter:
            return CONVERGED if distance < tol else MAX_ITER, loglik, n_iter
        maximize_binomial(sums, shares, probs)
        distance, criterion = abs(loglik / total - criterion), loglik / total
        n_iter += 1


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
        start_binomial(n, pairs, found, *params)
        status[i], varying, n_iter[i] = em_binomial(n, total, tol, max_iter, group, tables, sums, lanes, *params)
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
