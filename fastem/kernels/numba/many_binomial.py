"""Many small fits of binomial counts."""
import math

import numpy as np
from numba import float64, int64, prange

from fastem.kernels.numba.constants import EMPTY, LOG2E
from fastem.kernels.numba.elementary import log2_
from fastem.kernels.numba.jit import pointwise, rows, tiles_scratch, vector, weights
from fastem.kernels.numba.many_em import LOWEST_LOGLIK, maximize_weights, sweep_of
from fastem.kernels.numba.many_group import (
    CONVERGED,
    LARGEST_COUNT,
    LOG_ZERO,
    NOT_COUNTS,
    NOT_FINITE,
    cut_tile,
    enough,
    fill_up,
    groups_kernel,
    incomplete,
    indices,
    iterations_out,
    log_factorial,
    loglik_out,
    params_inout,
    start_rates,
    status_out,
)
from fastem.kernels.numba.many_start import (
    ADDED,
    BY_GAIN,
    HIGHEST,
    LOWEST,
    MIDDLE,
    PER_ROW,
    UNSEEN,
    forget,
    no_spreads,
    nothing_given,
    parts_of_rates,
    search_of,
    sort_rows,
)
from fastem.kernels.numba.tile import edge
from fastem.kernels.numba.vectors import borrowed, broadcast

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
def mean_trials(n, mass, total):
    """Of a row."""
    trials = 0.0
    for i in range(n):
        trials += mass[i]
    return trials / total


@pointwise
def binomial_tables(params, tables):
    (shares, probs, _), (log_norm, log_p, log_q) = params, tables
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
    shares, probs, _ = params
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
def binomial_part(facts, mass, moment, square):
    """log2 of weight^rows times the probability of a part, whose mass is its trials."""
    successes = moment + facts[MIDDLE] * mass
    failures = mass - successes
    of_rows = mass * (broadcast(1.0 / facts[PER_ROW]) * log2_(mass))
    return (successes * log2_(successes / mass) + failures * log2_(failures / mass)) + of_rows


@pointwise
def binomial_precision(facts, params, c):
    return facts[PER_ROW] / max(params[1][c] * (1.0 - params[1][c]), UNSEEN)


@pointwise
def blocks_of_probs(n, pairs, found, facts, params):
    shares, probs, _ = params
    forget((shares, probs))
    start_rates(n, pairs, found, 1.0, shares, probs)


search_binomial, finish_binomial = search_of(
    sweep_of(binomial_density, binomial_moments), binomial_tables, maximize_binomial, binomial_precision, binomial_part,
    parts_of_rates, blocks_of_probs, no_spreads, False)


@pointwise
def fit_binomials(share, tiles, X, trials, sample_weight, offsets, edges, settings, log_factorials, weights, probs,
                  loglik, n_iter, status):
    """The groups of a share, one after the other."""
    k, shares = weights.shape[1], len(edges) - 1
    group, pairs, before, lanes, tables, found, sums, kept, parts, ones, facts = cut_tile(
        borrowed(tiles[share].ravel()), k)
    tol, max_iter, stopping, accelerated, searched = settings
    rules = tol, stopping == BY_GAIN, accelerated != 0
    facts[LOWEST], facts[HIGHEST], facts[PER_ROW], facts[ADDED] = 0.0, 1.0, 1.0, 0.0
    ones[:] = 1.0
    for i in range(edges[edge(share, len(tiles), shares)], edges[edge(share + 1, len(tiles), shares)]):
        params = borrowed(weights[i]), borrowed(probs[i]), ones
        state, n, total, base_measure = load_counts(X, trials, sample_weight, log_factorials, offsets[i],
                                                    offsets[i + 1], group, pairs)
        status[i] = enough(state, n, k)
        if status[i] != CONVERGED:
            weights[i], probs[i], loglik[i] = math.nan, math.nan, math.nan
            continue
        facts[PER_ROW] = mean_trials(n, pairs[1], total)
        if searched and facts[PER_ROW] > 0.0 and nothing_given(params[:2]):
            sort_rows(n, pairs, before)
            status[i], varying, n_iter[i] = search_binomial(n, total, rules, max_iter, group, pairs, before, tables,
                                                            found, sums, lanes, kept, parts, facts, params)
        else:
            if incomplete(probs[i]):
                sort_rows(n, pairs, before)
            start_rates(n, pairs, found, 1.0, params[0], params[1])
            status[i], varying, n_iter[i] = finish_binomial(
                n, total, rules, max_iter, 0, False, group, tables, sums, lanes, kept, facts, params)
        loglik[i] = max(varying + base_measure, LOWEST_LOGLIK)


@groups_kernel
def fit_many_binomial(X: rows,                   # IN     (n, 1)    successes
                      trials: rows,              # IN     (n, 1)
                      sample_weight: weights,    # IN     (n,)
                      offsets: indices,          # IN     (m + 1,)  as for fit_many_normal
                      edges: indices,            # IN     (s + 1,)
                      tol: float64,              # IN
                      max_iter: int64,           # IN
                      stopping: int64,           # IN               tol: 0 change of mean, 1 gain of total
                      accelerated: int64,        # IN               by SQUAREM
                      searched: int64,           # IN               for the best start, where none is given
                      log_factorials: vector,    # IN     (256,)    log n!
                      weights: params_inout,     # IN/OUT (m, k)    the start; NaN is found from the rows
                      probs: params_inout,       # IN/OUT (m, k)
                      loglik: loglik_out,         # OUT    (m,)
                      n_iter: iterations_out,    # OUT    (m,)      comes as 0
                      status: status_out,        # OUT    (m,)
                      tiles: tiles_scratch):     # SCRATCH
    # -> the mixture of each group of these shares
    settings = tol, max_iter, stopping, accelerated, searched
    for share in prange(len(tiles)):
        fit_binomials(int64(share), tiles, X, trials, sample_weight, offsets, edges, settings, log_factorials,
                      weights, probs, loglik, n_iter, status)
