"""EM of one mixture on few rows: iterations one after the other, on the thread that calls.

As in `iterate.pxi`, which says what the loop leaves to the driver in Python.
"""
import math
from typing import NamedTuple

import numpy as np
from numba import types

from fastem.kernels.numba.jit import once, pointwise, rows, serial_kernel, tile_rows
from fastem.kernels.numba.vectors import ROW, borrowed

EMPTY = 2.0**-850         # as weights.EMPTY
SMALLEST_WEIGHT = 1e-300  # as weights.SMALLEST_WEIGHT
UNIT = 2.0**-53           # as stats.UNIT
NO_CHANGE = 1e-12         # as acceleration.ROUNDING

LOGLIK, Q, AITKEN = range(3)  # as base.STOP_RULES
CODE, TOL, TOTAL, BASE, CRITERION, KNOWN, BEFORE, PREVIOUS, FALL, FELL_AT = range(10)  # the StopRule of `iterate.pxi`

state_inout = types.Array(types.float64, 1, "C")
location_inout = types.Array(types.float64, 2, "C")
fixed_in = types.Array(types.int8, 2, "C", readonly=True)


class Model(NamedTuple):
    params: np.ndarray     # weights (k,), location (k d,), spread as the family has it: to be swept
    reached: np.ndarray    # likewise, by the M-step
    last: np.ndarray       # likewise, of the last iteration
    fixed: np.ndarray      # (3, k)  weights, location, spread of each component; (0, k) where nothing is
    added: np.ndarray      # (d,)    to variances
    structure: int         # of the spread: 0 each component has its own, 1 all have one, 2 all features have one
    log_norm: np.ndarray   # (k,)    tables of the sweep
    center: np.ndarray     # (k, d)
    scaling: np.ndarray    # (k d,) or (k d d,)
    factors: np.ndarray    # (k d,) or (k d d,)  of the params, as the tables have them but for a constant
    delta: np.ndarray      # (k d,)  how far means go
    floors: np.ndarray     # (d,)    variances that are rounding
    pivots: np.ndarray     # (d,)    of a matrix at hand


def iterate_kernel(function):
    """A kernel that runs on the thread that calls; of its two tiles one is for sweeps, the other is scratch."""
    declared = function.__annotations__
    sources, (first, sums) = list(declared.values()).count(rows), map(list(declared).index, ("weights", "sums"))

    def height(*args):
        (_, location, spread), length = args[first:first + 3], args[sums].shape[1]
        k, d = location.shape
        return max(tile_rows(k, d, sources), -(-scratch_length(k, d, len(spread), length) // ROW))

    return serial_kernel(function, height, n_tiles=2)


def scratch_length(k, d, spread_length, sums_length):
    """Numbers of the scratch, as `model_of` cuts them."""
    return 2 * (k + k * d + spread_length) + k + 2 * k * d + 2 * (sums_length - 2 - k - k * d) + 2 * d


@once
def model_of(tiles, weights, location, spread, last, added, fixed, structure, sums):
    """A copy of the parameters, and scratch."""
    (k, d), length, scratch = location.shape, len(last), borrowed(tiles[1].ravel())
    size, factors_length = k * d, sums.shape[1] - 2 - k - k * d
    a = 2 * length + k
    b = a + size
    c = b + 2 * factors_length
    copy(weights, scratch[:k])
    copy(location.ravel(), scratch[k:k + size])
    copy(spread, scratch[k + size:length])
    return Model(scratch[:length], scratch[length:2 * length], borrowed(last), borrowed(fixed), borrowed(added),
                 structure, scratch[2 * length:a], scratch[a:b].reshape(k, d), scratch[b:b + factors_length],
                 scratch[b + factors_length:c], scratch[c:c + size], scratch[c + size:c + size + d],
                 scratch[c + size + d:c + size + 2 * d])


@once
def put_params(m, weights, location, spread):
    k, end = len(weights), len(weights) + location.size
    copy(m.params[:k], weights)
    copy(m.params[k:end], location.ravel())
    copy(m.params[end:], spread)


def advance_of(make_tables, maximize):
    """Return what EM does between two sweeps, of a family that is these functions:

    make_tables(model), of params
    maximize(model, sums) -> is it an M-step as any other?  Then it has filled model.reached
    """

    @once
    def advance(m, done, sums, trace, rule):
        """-> whether to go on, iterations.  Row 0 of sums is OUT, those of the last iteration; row 1 is at hand."""
        kept, at_hand, length = borrowed(sums[0]), borrowed(sums[1]), sums.shape[1]
        fold_slots(borrowed(sums[2:]), at_hand)
        at_hand[length - 2] += rule[BASE]
        loglik, entropy = at_hand[length - 2], at_hand[length - 1]
        fall = rule[PREVIOUS] - loglik if rule[KNOWN] > 0.0 else 0.0
        if not all_finite(at_hand) or fall > UNIT * (len(m.log_norm) + 10) * rule[TOTAL]:  # a part of Stats.rounding
            return False, done
        if not maximize(m, at_hand):
            return False, done
        if fall > rule[FALL]:
            rule[FALL], rule[FELL_AT] = fall, done
        copy(at_hand, kept)
        copy(m.params, m.last)
        copy(m.reached, m.params)
        trace[done, 0], trace[done, 1] = loglik, entropy
        make_tables(m)
        distance = distance_of(rule, loglik, entropy)
        return done + 1 < len(trace) and not distance < rule[TOL], done + 1

    return advance


@once
def fold_slots(slots, total):
    copy(slots[0], total)
    for s in range(1, len(slots)):
        for i in range(len(total)):
            total[i] += slots[s, i]


@pointwise
def all_finite(values):
    nothing = 0.0
    for i in range(len(values)):
        nothing += 0.0 * values[i]
    return nothing == 0.0


@once
def copy(source, target):
    for i in range(len(source)):
        target[i] = source[i]


@once
def distance_of(rule, loglik, entropy):
    """What tol is compared with, as Run.advance has it."""
    criterion = loglik - entropy if rule[CODE] == Q else loglik / rule[TOTAL]
    found = abs(criterion - rule[CRITERION])
    if rule[CODE] == AITKEN:
        found = still_to_gain(rule, loglik) / rule[TOTAL]
    rule[CRITERION], rule[BEFORE], rule[PREVIOUS] = criterion, rule[PREVIOUS], loglik
    rule[KNOWN] = min(rule[KNOWN] + 1.0, 2.0)
    return found


@pointwise
def still_to_gain(rule, loglik):
    """As driver.still_to_gain."""
    before, last = rule[PREVIOUS] - rule[BEFORE], loglik - rule[PREVIOUS]
    if rule[KNOWN] < 2.0:
        return math.inf
    if abs(last) <= NO_CHANGE * abs(loglik):
        return 0.0
    if last < 0.0 or not last < before:
        return math.inf
    return last * last / (before - last)


@pointwise
def is_fixed(m, which, c):
    return len(m.fixed) > 0 and m.fixed[which, c] != 0


@once
def maximize_weights(m, counts):
    """As Stats.mixing_weights.  -> has every component rows?"""
    total, free, left = 0.0, 0.0, 1.0
    k = len(m.log_norm)
    for c in range(k):
        total += counts[c]
    for c in range(k):
        if not counts[c] > EMPTY * total:
            return False
        if is_fixed(m, 0, c):
            left -= m.params[c]
        else:
            free += counts[c]
    for c in range(k):
        if is_fixed(m, 0, c):
            m.reached[c] = m.params[c]
        elif len(m.fixed) == 0:
            m.reached[c] = counts[c] / total
        else:
            m.reached[c] = counts[c] / free * max(0.0, left)
    return True
