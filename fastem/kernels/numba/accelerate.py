"""Quasi-Newton steps between iterations of EM: as in `accelerate.pxi`, which says what the rows of memory are."""
import math

import numpy as np

from fastem.kernels.numba.constants import NO_CHANGE
from fastem.kernels.numba.jit import once, pointwise

SMALLEST_WEIGHT = 1e-300  # as weights.SMALLEST_WEIGHT
UNIT = 2.0**-53           # as stats.UNIT
MOST_PAIRS = 30           # as base.PAIRS
CURVATURE = 1e-12         # as those of acceleration.py
WIDER, SHORTER = 4.0, 0.25

LOGLIK, Q, AITKEN, GRADIENT = range(4)           # as base.STOP_RULES
START, PLAIN, ACCELERATED, REJECTED = range(4)   # as result.STEPS
NOT_FINITE, MADE, UNUSUAL = range(3)             # what an extrapolation is
# the Run of `iterate.pxi`
(CODE, TOL, TOTAL, BASE, CRITERION, KNOWN, BEFORE, PREVIOUS, FALL, FELL_AT, STEP, PENDING, DISTANCE, IS_ACCELERATED,
 TRUST_RADIUS, SIZE, LIMITED, GAINS, GAIN_0, GAIN_1, GAIN_2, SEEN, PAIRS, OLDEST) = range(24)


@pointwise
def is_fixed(m, which, c):
    return len(m.fixed) > 0 and m.fixed[which, c] != 0


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
def propose(run, memory, loglik):
    """x and the direction, within the trust radius, in row 2 of memory.  -> is it one to follow?"""
    x, f, g, direction = memory[1, 0], memory[1, 1], memory[1, 2], memory[2, 1]
    if run[SEEN] != 0.0:
        remember(run, memory)
    along, length, found = 0.0, math.sqrt(inner(f, f)), run[PAIRS] > 0.0
    if found:
        newton_step(run, memory)
        along = inner(direction, g)
    if (found and not all_finite(direction)) or not along > 0.0 or not length > 0.0:
        if abs(inner(f, g)) <= NO_CHANGE * abs(loglik):
            add_gain(run, 0.0)
        elif found:
            add_gain(run, math.inf)
        return False
    add_gain(run, along / 2)
    if run[LIMITED] != 0.0:
        run[TRUST_RADIUS] *= WIDER
    run[SIZE] = math.sqrt(inner(direction, direction)) / length
    run[LIMITED] = 1.0 if run[SIZE] > run[TRUST_RADIUS] else 0.0
    share = run[TRUST_RADIUS] / run[SIZE] if run[LIMITED] != 0.0 else 1.0
    for i in range(len(x)):
        direction[i] = x[i] + direction[i] * share
    return True


@once
def fall_back(run):
    """As Extrapolation.fall_back; the memory stays as it is."""
    run[TRUST_RADIUS] = max(SHORTER * min(run[SIZE], run[TRUST_RADIUS]), 1.0)
    run[LIMITED] = 0.0


@once
def add_gain(run, gain):
    run[GAIN_0], run[GAIN_1], run[GAIN_2] = run[GAIN_1], run[GAIN_2], gain
    run[GAINS] = min(run[GAINS] + 1.0, 3.0)


@pointwise
def largest_gain(run):
    """As Extrapolation.gain."""
    return max(run[GAIN_0], max(run[GAIN_1], run[GAIN_2])) if run[GAINS] == 3.0 else math.inf


@once
def place_of(run, i):
    """The row of memory of pair i, the oldest being 0"""
    return 3 + (int(run[OLDEST]) + i) % (MOST_PAIRS + 1)


@once
def remember(run, memory):
    """Another pair, unless it tells rounding; the oldest goes where there are too many."""
    at = place_of(run, int(run[PAIRS]))
    s, y, z = memory[at, 0], memory[at, 1], memory[at, 2]
    for i in range(len(s)):
        s[i] = memory[1, 0, i] - memory[0, 0, i]
        y[i] = memory[0, 2, i] - memory[1, 2, i]
        z[i] = memory[0, 1, i] - memory[1, 1, i]
    if not inner(s, y) > CURVATURE * math.sqrt(inner(s, s)) * math.sqrt(inner(y, y)):
        return
    if run[PAIRS] == MOST_PAIRS:
        run[OLDEST] = (run[OLDEST] + 1.0) % (MOST_PAIRS + 1)
    else:
        run[PAIRS] += 1.0


@once
def newton_step(run, memory):
    """The direction, in row 2 of memory.  Nocedal's two loops (1980), of which QuasiNewton has the compact form: f = H
    g and z = H y give H times what is left of g."""
    pairs, rest, direction = int(run[PAIRS]), memory[2, 0], memory[2, 1]
    shares, curvatures = np.empty(MOST_PAIRS), np.empty(MOST_PAIRS)
    copy(memory[1, 2], rest)
    copy(memory[1, 1], direction)
    for i in range(pairs - 1, -1, -1):
        at = place_of(run, i)
        s, y, z = memory[at, 0], memory[at, 1], memory[at, 2]
        curvatures[i] = inner(s, y)
        shares[i] = inner(s, rest) / curvatures[i]
        add_multiple(-shares[i], y, rest)
        add_multiple(-shares[i], z, direction)
    for i in range(pairs):
        at = place_of(run, i)
        s, y = memory[at, 0], memory[at, 1]
        add_multiple(shares[i] - inner(y, direction) / curvatures[i], s, direction)


@once
def add_multiple(factor, a, b):
    for i in range(len(a)):
        b[i] += factor * a[i]


@once
def inner(a, b):
    """In four sums, so that an addition need not wait for the last."""
    whole, sum_0, sum_1, sum_2, sum_3 = len(a) - len(a) % 4, 0.0, 0.0, 0.0, 0.0
    for i in range(0, whole, 4):
        sum_0 += a[i] * b[i]
        sum_1 += a[i + 1] * b[i + 1]
        sum_2 += a[i + 2] * b[i + 2]
        sum_3 += a[i + 3] * b[i + 3]
    for i in range(whole, len(a)):
        sum_0 += a[i] * b[i]
    return (sum_0 + sum_1) + (sum_2 + sum_3)


# ------------------------------------------------------------------------------------------------------------ weights

@once
def weights_to_vector(m, params, vector):
    """As weights.log_weights.  -> how many are free"""
    free = 0
    for c in range(len(m.log_norm)):
        if not is_fixed(m, 0, c):
            vector[free] = np.log(max(params[c], SMALLEST_WEIGHT))
            free += 1
    return free


@once
def weights_left(m):
    """By those that are fixed, to the others"""
    left = 1.0
    for c in range(len(m.log_norm)):
        if is_fixed(m, 0, c):
            left -= m.params[c]
    return max(0.0, left)


@once
def weight_slopes(m, slopes):
    """As weights.weight_slopes.  -> how many are free"""
    free, total, left = 0, 0.0, weights_left(m)
    for c in range(len(m.log_norm)):
        if not is_fixed(m, 0, c):
            total += m.counts[0, c]
    for c in range(len(m.log_norm)):
        if not is_fixed(m, 0, c):
            slopes[free] = m.counts[0, c] - total * m.params[c] / (left if left > 0.0 else 1.0)
            free += 1
    return free


@once
def weights_from_vector(m, vector):
    """As weights.softmax.  -> how many are free"""
    free, highest, total, weights = 0, -math.inf, 0.0, m.proposal
    for c in range(len(m.log_norm)):
        weights[c] = m.params[c]
        if not is_fixed(m, 0, c):
            highest = max(highest, vector[free])
            free += 1
    free = 0
    for c in range(len(m.log_norm)):
        if not is_fixed(m, 0, c):
            weights[c] = np.exp(vector[free] - highest)
            total += weights[c]
            free += 1
    for c in range(len(m.log_norm)):
        if not is_fixed(m, 0, c):
            weights[c] *= weights_left(m) / total
    return free


@once
def log_dirichlet(m, excess):
    """Of the weights, but for a constant; excess is the concentration - 1, and is added to the counts."""
    found = 0.0
    for c in range(len(m.log_norm)):
        m.counts[0, c] += excess
        found += np.log(max(m.params[c], SMALLEST_WEIGHT))
    return excess * found
