"""EM of one mixture on few rows: iterations one after the other, on the thread that calls.

As in `iterate.pxi`, which says what the loop leaves to the driver in Python.
"""
import math
from typing import NamedTuple

import numpy as np
from numba import types

from fastem.kernels.numba.accelerate import (
    ACCELERATED,
    AITKEN,
    BASE,
    BEFORE,
    CODE,
    CRITERION,
    DISTANCE,
    FALL,
    FELL_AT,
    GRADIENT,
    IS_ACCELERATED,
    KNOWN,
    MADE,
    NOT_FINITE,
    PENDING,
    PLAIN,
    PREVIOUS,
    REJECTED,
    SEEN,
    STEP,
    TOL,
    TOTAL,
    UNIT,
    UNUSUAL,
    Q,
    all_finite,
    copy,
    fall_back,
    inner,
    is_fixed,
    largest_gain,
    propose,
    weights_left,
)
from fastem.kernels.numba.constants import EMPTY, NO_CHANGE
from fastem.kernels.numba.jit import doubles, once, pointwise, serial_kernel, tile_rows
from fastem.kernels.numba.tile import natural_rows, tied_rows
from fastem.kernels.numba.vectors import ROW, borrowed

state_inout = types.Array(types.float64, 1, "C")
location_inout = types.Array(types.float64, 2, "C")
memory_inout = types.Array(types.float64, 3, "C")
fixed_in = types.Array(types.int8, 2, "C", readonly=True)


class Model(NamedTuple):
    params: np.ndarray         # weights (k,), location (k d,), spread as the family has it: to be swept
    made: np.ndarray           # likewise, by the M-step at hand
    proposal: np.ndarray       # likewise, an extrapolation
    others: np.ndarray         # (2, .)  likewise, of the last iteration, and by its M-step
    fixed: np.ndarray          # (3, k)  weights, location, spread of each component; (0, k) where nothing is
    added: np.ndarray          # (d,)    to variances
    structure: int             # of the spread: 0 each component has its own, 1 all have one, 2 all features have one
    units: np.ndarray          # (2, d)  of coordinates: those of means, and of standard deviations
    prior: np.ndarray          # as add_prior reads it; (0,) where there is none
    log_norm: np.ndarray       # (k,)    tables of the sweep
    center: np.ndarray         # (k, d)
    scaling: np.ndarray        # (k d,) or (k d d,)
    natural: np.ndarray        # (2 k d,) in the place of both, where rows are swept by natural parameters
    factors: np.ndarray        # (k d,) or (k d d,)  of the params, as the tables have them but for a constant
    swept_factors: np.ndarray  # likewise, of the params that have been swept
    sums: np.ndarray           # of the rows and of the prior
    counts: np.ndarray         # (3, k)  behind weights, first and second moments
    delta: np.ndarray          # (k d,)  how far means go
    middle: np.ndarray         # (d,)    of the means, if rows are taken from it once for all components; else NaN
    floors: np.ndarray         # (d,)    variances that are rounding
    matrices: np.ndarray       # (2, d d) scratch, where factors are matrices


def iterate_kernel(function):
    """A kernel that runs on the thread that calls; of its two tiles one is for sweeps, the other is scratch."""
    declared = function.__annotations__
    sources, (first, sums) = list(declared.values()).count(doubles), map(list(declared).index, ("weights", "sums"))
    structure = list(declared).index("structure") if "structure" in declared else None

    def height(*args):
        (_, location, spread), length = args[first:first + 3], args[sums].shape[1]
        k, d = location.shape
        factors = factors_length_of(k, d, 0 if structure is None else args[structure], length)
        scratch = -(-scratch_length(k, d, len(spread), factors, length) // ROW)
        return max(tile_rows(k, d, sources), tied_rows(k, d), natural_rows(k, 2 * d), scratch)

    return serial_kernel(function, height, n_tiles=2)


def factors_length(k, d, structure, sums_length):
    """As many as second moments, of which components that share a matrix have one."""
    second = sums_length - 2 - k - k * d
    return k * second if structure == 1 and d > 1 else second


factors_length_of, shared_factors = factors_length, pointwise(factors_length)


def scratch_length(k, d, spread_length, factors_length, sums_length):
    """Numbers of the scratch, as `model_of` cuts them."""
    states, tables = 3 * (k + k * d + spread_length), 4 * k + 2 * k * d + 3 * factors_length
    return states + tables + sums_length + 2 * d + 2 * (factors_length // k)


@once
def model_of(tiles, weights, location, spread, others, added, fixed, structure, units, prior, sums):
    """A copy of the parameters, and scratch."""
    (k, d), length, scratch = location.shape, others.shape[1], borrowed(tiles[1].ravel())
    size, factors_length = k * d, shared_factors(k, d, structure, sums.shape[1])
    a = 3 * length + k
    b = a + size
    c = b + 3 * factors_length
    e = c + sums.shape[1]
    f = e + 3 * k
    g = f + size
    h = g + 2 * d
    copy(weights, scratch[:k])
    copy(location.ravel(), scratch[k:k + size])
    copy(spread, scratch[k + size:length])
    return Model(scratch[:length], scratch[length:2 * length], scratch[2 * length:3 * length],
                 borrowed(others), borrowed(fixed), borrowed(added), structure,
                 borrowed(units), borrowed(prior), scratch[3 * length:a], scratch[a:b].reshape(k, d),
                 scratch[b:b + factors_length], scratch[a:a + 2 * size],
                 scratch[b + factors_length:b + 2 * factors_length],
                 scratch[b + 2 * factors_length:c], scratch[c:e], scratch[e:f].reshape(3, k), scratch[f:g],
                 scratch[g:g + d], scratch[g + d:h], scratch[h:h + 2 * (factors_length // k)].reshape(2, -1))


@once
def put_params(m, weights, location, spread):
    k, end = len(weights), len(weights) + location.size
    copy(m.params[:k], weights)
    copy(m.params[k:end], location.ravel())
    copy(m.params[end:], spread)


def advance_of(make_tables, find_factors, add_prior, maximize, to_vector, gradient, from_vector):
    """Return what EM does between two sweeps, of a family that is these functions:

    make_tables(model), of params
    find_factors(model), of params -> are they definite?
    add_prior(model) -> log density of the prior; it adds to model.sums and model.counts
    maximize(model) -> is it an M-step as any other?  Then it has filled model.made, and its factors
    to_vector(model, params, vector); the factors are those of these params
    gradient(model, slopes), of the log likelihood at the params, after the M-step
    from_vector(model, vector) -> MADE, NOT_FINITE or UNUSUAL; fills model.proposal and its factors
    """

    @once
    def advance(m, done, sums, trace, memory, run):
        """-> whether to go on, iterations.  Row 0 of sums is OUT, those of the last iteration; row 1 is at hand."""
        loglik = fold_slots(m, sums, run[BASE])
        if len(m.prior) > 0:
            loglik += add_prior(m)
        if not all_finite(m.sums):
            loglik = math.nan
        if run[STEP] == ACCELERATED and not loglik >= run[PREVIOUS] - NO_CHANGE * abs(run[PREVIOUS]):
            fall_back(run)
            copy(m.others[1], m.params)
            run[STEP] = REJECTED
            if not find_factors(m):
                return False, done
            make_tables(m)
            return True, done
        run[PENDING] = 1.0 if loglik - loglik == 0.0 else 0.0
        if run[PENDING] == 0.0 or is_a_fall(m, run, loglik):
            return False, done
        if len(memory) > 0:
            to_vector(m, m.params, memory[1, 0])
            copy(m.factors, m.swept_factors)
        if not maximize(m):
            return False, done
        slope, found = 0.0, NOT_FINITE
        if len(memory) > 0:
            slope = look_ahead(m, memory)
        changed = run.copy()
        if run[IS_ACCELERATED] != 0.0:
            found = extrapolate(m, changed, memory, loglik)
            if found == UNUSUAL:
                return False, done
            copy(memory[1].ravel(), memory[0].ravel())
            changed[SEEN] = 1.0
        note_fall(changed, loglik, done)
        trace[done, 0], trace[done, 1], trace[done, 2] = loglik, sums[1, sums.shape[1] - 1], run[STEP]
        changed[STEP], changed[PENDING] = ACCELERATED if found == MADE else PLAIN, 0.0
        copy(changed, run)
        go_on(m, found == MADE)
        copy(sums[1], sums[0])
        make_tables(m)
        run[DISTANCE] = distance_of(run, loglik, trace[done, 1], slope)
        return done + 1 < len(trace) and not run[DISTANCE] < run[TOL], done + 1

    @once
    def look_ahead(m, memory):
        """Row 1 of memory <- x, which is there, the EM step f and the gradient g.  -> length of g"""
        x, f, g = memory[1, 0], memory[1, 1], memory[1, 2]
        to_vector(m, m.made, f)
        for i in range(len(f)):
            f[i] -= x[i]
        gradient(m, g)
        return math.sqrt(inner(g, g))

    @once
    def extrapolate(m, run, memory, loglik):
        """As Extrapolation.after.  -> MADE: the proposal is to be swept next; NOT_FINITE: what the M-step has made is;
        or UNUSUAL"""
        proposal = memory[2, 1]
        if not propose(run, memory, loglik):
            return NOT_FINITE
        found = from_vector(m, proposal)
        if found == NOT_FINITE:
            fall_back(run)
        return found

    return advance


@once
def fold_slots(m, sums, base):
    """Row 1 of sums <- those of the slots.  -> log likelihood"""
    total = borrowed(sums[1])
    copy(sums[2], total)
    for s in range(3, len(sums)):
        for i in range(len(total)):
            total[i] += sums[s, i]
    total[len(total) - 2] += base
    copy(total, m.sums)
    for i in range(len(m.log_norm)):
        m.counts[0, i] = m.counts[1, i] = m.counts[2, i] = total[i]
    return total[len(total) - 2]


@once
def is_a_fall(m, run, loglik):
    """Has the log likelihood fallen by more than the part of `Stats.rounding` that is certain?"""
    bound = UNIT * (len(m.log_norm) + 10) * run[TOTAL]
    if run[STEP] == ACCELERATED:
        bound = max(bound, NO_CHANGE * abs(run[PREVIOUS]))
    return run[KNOWN] > 0.0 and run[PREVIOUS] - loglik > bound


@once
def note_fall(run, loglik, done):
    fall = run[PREVIOUS] - loglik if run[KNOWN] > 0.0 else 0.0
    if fall > run[FALL]:
        run[FALL], run[FELL_AT] = fall, done


@once
def go_on(m, is_accelerated):
    """To the parameters of the next sweep"""
    copy(m.params, m.others[0])
    copy(m.made, m.others[1])
    copy(m.proposal if is_accelerated else m.made, m.params)


@once
def distance_of(run, loglik, entropy, slope):
    """What tol is compared with, as Run.advance has it."""
    criterion = loglik - entropy if run[CODE] == Q else loglik / run[TOTAL]
    found = abs(criterion - run[CRITERION])
    if run[CODE] == AITKEN:
        found = (largest_gain(run) if run[IS_ACCELERATED] != 0.0 else still_to_gain(run, loglik)) / run[TOTAL]
    elif run[CODE] == GRADIENT:
        found = slope / run[TOTAL]
    run[CRITERION], run[BEFORE], run[PREVIOUS] = criterion, run[PREVIOUS], loglik
    run[KNOWN] = min(run[KNOWN] + 1.0, 2.0)
    return found


@pointwise
def still_to_gain(run, loglik):
    """As aitken.still_to_gain."""
    before, last = run[PREVIOUS] - run[BEFORE], loglik - run[PREVIOUS]
    if run[KNOWN] < 2.0:
        return math.inf
    if abs(last) <= NO_CHANGE * abs(loglik):
        return 0.0
    if last < 0.0 or not last < before:
        return math.inf
    return last * last / (before - last)


@once
def no_factors(m):
    """Counts have none."""
    return True


@pointwise
def least_counts(m):
    """Counts of a component without rows"""
    observed = 0.0
    for c in range(len(m.log_norm)):
        observed += m.sums[c]
    return EMPTY * observed


@pointwise
def is_kept(m, which, least, c):
    """Does a parameter stay: of a component without rows, or fixed?"""
    return not m.counts[which, c] > least or is_fixed(m, which, c)


@once
def maximize_weights(m):
    """As Stats.mixing_weights.  -> counts of a component without rows"""
    total, free, least = 0.0, 0.0, least_counts(m)
    k = len(m.log_norm)
    for c in range(k):
        total += m.counts[0, c]
        if not is_kept(m, 0, least, c):
            free += m.counts[0, c]
    for c in range(k):
        m.made[c] = m.params[c]
        if len(m.fixed) == 0:
            m.made[c] = m.counts[0, c] / total if m.counts[0, c] > least else 0.0
        elif free > 0.0 and not is_fixed(m, 0, c):
            m.made[c] = m.counts[0, c] / free * weights_left(m) if m.counts[0, c] > least else 0.0
    return least
