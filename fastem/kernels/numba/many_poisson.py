"""Many small fits of Poisson counts."""
import math

import numpy as np
from numba import float64, int64, prange

from fastem.kernels.numba.constants import LOG2E
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
from fastem.kernels.numba.vectors import borrowed


@pointwise
def load_events(X, sample_weight, log_factorials, begin, end, group, pairs):
    """-> status, rows of positive weight, their weight, base measure.  A start sorts rates that are never 0."""
    (x, failures, weight), (key, mass) = group, pairs
    n, total, base_measure = 0, 0.0, 0.0
    for row in range(begin, end):
        count, w = float64(X[row, 0]), sample_weight[row]
        if w == 0.0:
            continue
        if not abs(count) < math.inf:
            return NOT_FINITE, 0, 0.0, 0.0
        if not (0.0 <= count <= LARGEST_COUNT and count == math.floor(count)):
            return NOT_COUNTS, 0, 0.0, 0.0
        x[n], failures[n], weight[n] = count, 0.0, w
        key[n], mass[n] = count + 0.5, w
        base_measure -= w * log_factorial(count, log_factorials)
        n, total = n + 1, total + w
    fill_up(n, group)
    return CONVERGED, n, total, base_measure


@pointwise
def poisson_tables(params, tables):
    (shares, rates, _), (log_norm, log_rates, _) = params, tables
    for c in range(rates.shape[0]):
        log_norm[c] = np.log2(shares[c]) - rates[c] * LOG2E
        log_rates[c] = max(np.log2(rates[c]), LOG_ZERO)


@pointwise
def poisson_density(x, y, log_norm, log_rate, scaling):
    """log2 (weight exp(-rate) rate^x)"""
    return log_norm + x * log_rate


@pointwise
def poisson_terms(x, y, log_rate):
    return x, y  # which is 0


@pointwise
def maximize_poisson(sums, params, _):
    """As PoissonStats.maximize: an empty component keeps its rate."""
    shares, rates, _ = params
    maximize_weights(sums, shares)
    for c in range(rates.shape[0]):
        if shares[c] > 0.0:
            rates[c] = sums[3 * c + 1] / sums[3 * c]


@pointwise
def poisson_part(facts, mass, moment, square):
    """log2 of weight^rows times the probability of a part, but for what all cuts have in common."""
    events = moment + facts[MIDDLE] * mass
    return events * log2_(events / mass) + mass * log2_(mass)


@pointwise
def poisson_precision(facts, params, c):
    return 1.0 / max(params[1][c], UNSEEN)


@pointwise
def blocks_of_events(n, pairs, found, facts, params):
    shares, rates, _ = params
    forget((shares, rates))
    start_rates(n, pairs, found, min(2.0 * pairs[0][0], LARGEST_COUNT), shares, rates)


search_poisson, finish_poisson = search_of(
    sweep_of(poisson_density, poisson_terms), poisson_tables, maximize_poisson, poisson_precision, poisson_part,
    parts_of_rates, blocks_of_events, no_spreads, False)


@pointwise
def fit_poissons(share, tiles, X, sample_weight, offsets, edges, settings, log_factorials, weights, rates, loglik,
                 n_iter, status):
    """The groups of a share, one after the other."""
    k, shares = weights.shape[1], len(edges) - 1
    group, pairs, before, lanes, tables, found, sums, kept, parts, ones, facts = cut_tile(
        borrowed(tiles[share].ravel()), k)
    tol, max_iter, stopping, accelerated, searched = settings
    rules = tol, stopping == BY_GAIN, accelerated != 0
    facts[LOWEST], facts[HIGHEST], facts[PER_ROW], facts[ADDED] = 0.0, math.inf, 1.0, 0.0
    ones[:] = 1.0
    for i in range(edges[edge(share, len(tiles), shares)], edges[edge(share + 1, len(tiles), shares)]):
        params = borrowed(weights[i]), borrowed(rates[i]), ones
        state, n, total, base_measure = load_events(X, sample_weight, log_factorials, offsets[i], offsets[i + 1], group,
                                                    pairs)
        status[i] = enough(state, n, k)
        if status[i] != CONVERGED:
            weights[i], rates[i], loglik[i] = math.nan, math.nan, math.nan
            continue
        if searched and nothing_given(params[:2]):
            sort_rows(n, pairs, before)
            status[i], varying, n_iter[i] = search_poisson(n, total, rules, max_iter, group, pairs, before, tables,
                                                           found, sums, lanes, kept, parts, facts, params)
        else:
            if incomplete(rates[i]):
                sort_rows(n, pairs, before)
            start_rates(n, pairs, found, min(2.0 * pairs[0][0], LARGEST_COUNT), params[0], params[1])
            status[i], varying, n_iter[i] = finish_poisson(
                n, total, rules, max_iter, 0, False, group, tables, sums, lanes, kept, facts, params)
        loglik[i] = max(varying + base_measure, LOWEST_LOGLIK)


@groups_kernel
def fit_many_poisson(X: rows,                   # IN     (n, 1)    counts
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
                     rates: params_inout,       # IN/OUT (m, k)
                     loglik: loglik_out,        # OUT    (m,)
                     n_iter: iterations_out,    # OUT    (m,)      comes as 0
                     status: status_out,        # OUT    (m,)
                     tiles: tiles_scratch):     # SCRATCH
    # -> the mixture of each group of these shares
    settings = tol, max_iter, stopping, accelerated, searched
    for share in prange(len(tiles)):
        fit_poissons(int64(share), tiles, X, sample_weight, offsets, edges, settings, log_factorials, weights,
                     rates, loglik, n_iter, status)
