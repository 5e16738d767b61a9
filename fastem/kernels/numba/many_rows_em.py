"""EM of one group of rows of several columns, and the loop over the groups; as in `many_rows_em.pxi`."""
import math

import numpy as np
from numba import float64, int64

from fastem.kernels.numba.accelerate import all_finite, copy
from fastem.kernels.numba.constants import NO_CHANGE
from fastem.kernels.numba.iterate_binomial import binomial_tables, maximize_binomial
from fastem.kernels.numba.iterate_poisson import maximize_poisson, poisson_tables
from fastem.kernels.numba.jit import doubles, once, pointwise, serial_kernel, spliced, tiles_scratch, weights
from fastem.kernels.numba.many_group import (
    CONVERGED,
    MAX_ITER,
    NOT_FINITE,
    indices,
    iterations_out,
    loglik_out,
    params_inout,
    status_out,
)
from fastem.kernels.numba.many_rows import BINOMIAL, DIAGONAL, FULL, cut_group, group_length, load_group, place
from fastem.kernels.numba.many_rows_start import SEED, lloyd, scale_columns, spread_centers, start_from_labels
from fastem.kernels.numba.many_rows_sweep import sweep_group
from fastem.kernels.numba.many_start import UNSEEN
from fastem.kernels.numba.maximize_gaussian import (
    find_matrix_factors,
    find_variance_factors,
    maximize_diag,
    maximize_full,
)
from fastem.kernels.numba.tables_gaussian import ISOTROPIC, diag_tables, full_tables
from fastem.kernels.numba.vectors import ROW, borrowed

STARTS = 3            # of a group
TRIAL_ITERATIONS = 5  # of each, before the best goes on
REACHED, BEST = 2, 3  # sets of parameters that are kept: 0 and 1 are those before two iterations


# ------------------------------------------------------------------------------------------------- what a family does

@spliced
def find_factors(g):
    """Of the params: -> are they definite?"""
    if g.kind == FULL:
        return find_matrix_factors(g.model)
    return g.kind >= BINOMIAL or find_variance_factors(g.model)


@spliced
def sweep(g, n):
    """-> log likelihood at the params, with the sums."""
    if g.kind == FULL:
        full_tables(g.model)
    elif g.kind == DIAGONAL:
        diag_tables(g.model)
    elif g.kind == BINOMIAL:
        binomial_tables(g.model)
    else:
        poisson_tables(g.model)
    return sweep_group(g, n)


@spliced
def maximize(g):
    """params <- those of the M-step, unless it is not as any other."""
    if not all_finite(g.model.sums):
        return False
    if g.kind == FULL:
        found = maximize_full(g.model)
    elif g.kind == DIAGONAL:
        found = maximize_diag(g.model)
    elif g.kind == BINOMIAL:
        found = maximize_binomial(g.model)
    else:
        found = maximize_poisson(g.model)
    if found:
        copy(g.model.made, g.model.params)
    return found


@spliced
def keep(g, which):
    copy(g.model.params, g.kept[which])


@spliced
def restore(g, which):
    """-> are they definite?"""
    copy(g.kept[which], g.model.params)
    return find_factors(g)


# -------------------------------------------------------------------------------------------------------- acceleration

@pointwise
def precision(g, c, j):
    """Information of one row about a location."""
    (k, d), params = g.center.shape, g.model.params
    at = params[k + c * d + j]
    if g.kind >= BINOMIAL:
        return 1.0 / max(at * (1.0 - at) if g.kind == BINOMIAL else at, UNSEEN)
    return 1.0 / params[k + k * d + place(g, c, j, j)]


@pointwise
def between(g, a, b, e, at):
    return a * g.kept[0, at] + b * g.kept[1, at] + e * g.model.params[at]


@once
def length(g, a, b, e):
    """Squared, of a kept[0] + b kept[1] + e params, about by the information of the classified rows."""
    (k, d), found = g.center.shape, 0.0
    for c in range(k):
        weight = g.model.params[c]
        if weight > 0.0:
            found += between(g, a, b, e, c) ** 2 / weight
            for j in range(d):
                found += weight * precision(g, c, j) * between(g, a, b, e, k + c * d + j) ** 2
            if g.kind < BINOMIAL:
                found += 0.5 * weight * length_of_spread(g, a, b, e, c)
    return found


@once
def length_of_spread(g, a, b, e, c):
    """Squared, of the spread of a component."""
    (k, d), found = g.center.shape, 0.0
    if g.model.structure == ISOTROPIC:
        z = precision(g, c, 0) * between(g, a, b, e, k + k * d + c)
        return d * z * z
    for j in range(d):
        for p in range(0 if g.kind == FULL else j, d if g.kind == FULL else j + 1):
            z = between(g, a, b, e, k + k * d + place(g, c, j, p))
            found += precision(g, c, j) * precision(g, c, p) * z * z
    return found


@spliced
def left_to_gain(g, gain, loglik):
    """As of a geometric series: steps fall by a factor, gains by its square."""
    if abs(gain) <= NO_CHANGE * abs(loglik):
        return 0.0
    last, before = length(g, 0.0, -1.0, 1.0), length(g, -1.0, 1.0, 0.0)
    return abs(gain) * last / (before - last) if last < before else math.inf


@spliced
def extrapolate(g):
    """params <- kept[0] + 2 step r + step^2 v, with r the first difference and v the second; -> have they moved?"""
    step = math.sqrt(length(g, -1.0, 1.0, 0.0) / length(g, 1.0, -2.0, 1.0))
    for _ in range(6):
        if not 1.01 < step < math.inf:
            break
        for i in range(len(g.model.params)):
            first, second, now = g.kept[0, i], g.kept[1, i], g.kept[REACHED, i]
            g.model.params[i] = first + 2.0 * step * (second - first) + step * step * (now - 2.0 * second + first)
        if within_range(g):
            return True
        step = 0.5 * (step + 1.0)
    restore(g, REACHED)
    return False


@spliced
def within_range(g):
    """Are the params such as a mixture has?  Weights then have the sum 1."""
    params, reached, total, k = g.model.params, g.kept[REACHED], 0.0, len(g.mass)
    for i in range(k):
        if not params[i] > 0.1 * reached[i]:
            return False
        total += params[i]
    for i in range(k):
        params[i] /= total
    for i in range(k, len(params)):
        if not is_possible(g, i, params[i], reached[i]):
            return False
    return find_factors(g)


@pointwise
def is_possible(g, i, value, reached):
    """Is this parameter, behind the weights?  Of matrices their factors tell."""
    if g.kind >= BINOMIAL:
        return value == reached or 0.0 < value < (1.0 if g.kind == BINOMIAL else math.inf)
    return g.kind == FULL or i < len(g.mass) + g.center.size or value > 0.1 * reached


# ------------------------------------------------------------------------------------------------------------------ EM

@once
def climb(g, n, tol, most):
    """EM until what is left to gain is below tol, `most` iterations at the most.

    -> the last log likelihood known, has it converged, iterations
    """
    done, phase, previous, extrapolated, converged = 0, 0, -math.inf, False, False
    while done < most and not converged:
        loglik = sweep(g, n)
        if extrapolated and not loglik >= previous - NO_CHANGE * abs(previous):
            restore(g, REACHED)
            phase, extrapolated = 0, False
            continue
        keep(g, phase)
        if not maximize(g):
            restore(g, phase)
            break
        done += 1
        converged = phase == 1 and left_to_gain(g, loglik - previous, loglik) < tol
        previous, extrapolated = loglik, False
        if phase == 1 and done < most and not converged:
            keep(g, REACHED)
            extrapolated = extrapolate(g)
        phase = 1 - phase
    return previous, converged, done


@spliced
def start(g, n, total):
    """-> are the params of the next start definite?"""
    spread_centers(g, n)
    lloyd(g, n)
    start_from_labels(g, n, total)
    return find_factors(g)


@spliced
def fit_group(g, n, total, tol, max_iter, reg_covar, relative):
    """From the best of several starts.  -> status, log likelihood, iterations"""
    few, best, n_iter, converged = min(TRIAL_ITERATIONS, max_iter), -math.inf, 0, False
    g.state[0] = SEED
    scale_columns(g, n, total, reg_covar, relative)
    for _ in range(STARTS if len(g.mass) > 1 else 1):
        if not start(g, n, total):
            continue
        found, there, done = climb(g, n, tol, few) if few > 0 else (sweep(g, n), False, 0)
        if found > best or not best > -math.inf:
            best, n_iter, converged = found, done, there
            keep(g, BEST)
    if not restore(g, BEST):
        return NOT_FINITE, math.nan, 0
    if not converged:
        _, converged, done = climb(g, n, tol, max_iter - n_iter)
        n_iter += done
    return CONVERGED if converged else MAX_ITER, sweep(g, n), n_iter


# -------------------------------------------------------------------------------------------------------------- groups

def rows_kernel(function):
    """A kernel whose tile holds the longest of its groups; the caller has threads, and hands each a share."""
    def height(X, trials, sample_weight, offsets, edges, kind, structure, *others):
        longest, k = int(np.diff(offsets[edges[0]:edges[-1] + 1]).max()), others[-1]
        return -(-group_length(kind, structure, longest, k, X.shape[1]) // ROW)

    return serial_kernel(function, height, n_tiles=1)


@rows_kernel
def fit_groups(X: doubles,                # IN   (n, d)
               trials: doubles,           # IN   (n, d)    X where there are none
               sample_weight: weights,    # IN   (n,)
               offsets: indices,          # IN   (m + 1,)  group g is rows offsets[g] : offsets[g + 1]
               edges: indices,            # IN   (s + 1,)  share i is groups edges[i] : edges[i + 1]
               kind: int64,               # IN             0 full, 1 diagonal, 2 binomial, 3 Poisson
               structure: int64,          # IN             of the spread: 0; 1 shared; 2 isotropic
               tol: float64,              # IN             of what the log likelihood has left to gain
               max_iter: int64,           # IN
               reg_covar: float64,        # IN             added to variances
               relative: float64,         # IN             share of the group's variances that is added
               params: params_inout,      # OUT  (m, p)    weights, location and spread, one behind the other
               loglik: loglik_out,        # OUT  (m,)      without the base measure
               n_iter: iterations_out,    # OUT  (m,)      comes as 0
               status: status_out,        # OUT  (m,)
               k: int64,                  # IN             components
               tiles: tiles_scratch):     # SCRATCH
    # -> the mixture of each group of these shares
    begin, end, longest = edges[0], edges[len(edges) - 1], int64(0)
    for i in range(begin, end):
        longest = max(longest, offsets[i + 1] - offsets[i])
    g = cut_group(borrowed(tiles.ravel()), kind, structure, longest, k, X.shape[1],
                  borrowed(status)[:0].reshape(0, k))
    for i in range(begin, end):
        status[i], n, total = load_group(g, X, trials, sample_weight, offsets[i], offsets[i + 1])
        if status[i] == CONVERGED:
            status[i], loglik[i], n_iter[i] = fit_group(g, n, total, tol, max_iter, reg_covar, relative)
        if status[i] <= MAX_ITER:
            copy(g.model.params, params[i])
        else:
            params[i], loglik[i] = math.nan, math.nan
