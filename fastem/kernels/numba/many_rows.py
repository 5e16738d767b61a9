"""A group of rows of several columns: its arrays, and how it comes in; as in `many_rows.pxi`."""
import math
from typing import NamedTuple

import numpy as np

from fastem.kernels.numba.jit import once, pointwise
from fastem.kernels.numba.many_group import CONVERGED, LARGEST_COUNT, NOT_COUNTS, NOT_FINITE, enough
from fastem.kernels.numba.many_normal import LARGEST, LARGEST_SUM
from fastem.kernels.numba.tables_gaussian import ISOTROPIC, SHARED
from fastem.kernels.numba.vectors import LANES

PAIR = 2 * LANES  # rows that a sweep has at hand
FULL, DIAGONAL, BINOMIAL, POISSON = range(4)  # kinds of rows


class Mixture(NamedTuple):
    """What sweeps and M-steps read of a Model of `iterate.py`."""

    params: np.ndarray    # weights (k,), location (k d,), spread as the family has it: to be swept
    made: np.ndarray      # likewise, by the M-step at hand
    fixed: np.ndarray     # (0, k)  nothing is
    added: np.ndarray     # (d,)    to variances
    structure: int        # of the spread
    prior: np.ndarray     # (0,)    there is none
    log_norm: np.ndarray  # (k,)    tables of the sweep
    center: np.ndarray    # (k, d)
    scaling: np.ndarray   # (k d,) or (k d d,)
    factors: np.ndarray   # (k d,) or (k d d,)
    sums: np.ndarray      # of the rows
    counts: np.ndarray    # (3, k)  behind weights, first and second moments
    delta: np.ndarray     # (k d,)  how far means go
    middle: np.ndarray    # (d,)    NaN: rows are whitened for each component
    floors: np.ndarray    # (d,)    variances that are rounding
    matrices: np.ndarray  # (2, d d) scratch, where factors are matrices


class Group(NamedTuple):
    """Arrays by column are (d s,): column j is from j s on, where s is the length of the longest group, padded."""

    kind: int
    model: Mixture
    x: np.ndarray         # (d s,)  rows of positive weight, by column
    trials: np.ndarray    # (d s,)  binomial only
    column: np.ndarray    # (d s,)  as k-means has them: rates, roots of counts, over their standard deviations
    weight: np.ndarray    # (s,)    0 behind the last row
    distance: np.ndarray  # (s,)    squared, to the center at hand
    nearest: np.ndarray   # (s,)    to the nearest
    label: np.ndarray     # (s,)    which that is
    before: np.ndarray    # (s,)    a step before
    lanes: np.ndarray     # of the rows at hand, as `many_rows_sweep.py` cuts them
    center: np.ndarray    # (k, d)  of k-means
    mass: np.ndarray      # (k,)    weight of the rows of a center; then trials of a column
    pooled: np.ndarray    # (d, d)  within centers
    kept: np.ndarray      # (4, p)  parameters, one set behind the other
    state: np.ndarray     # (1,)    of the draws


# ------------------------------------------------------------------------------------------------------- its arrays

def spread_length(kind, structure, k, d):
    """How many numbers the spread of a mixture is."""
    if kind >= BINOMIAL:
        return 0
    if kind == FULL:
        return d * d if structure == SHARED else k * d * d
    return k if structure == ISOTROPIC else k * d


def second_length(kind, k, d):
    """How many second moments a sweep sums."""
    return 0 if kind == POISSON else k * d * d if kind == FULL else k * d


def group_length(kind, structure, longest, k, d):
    """How many numbers `cut_group` cuts, for groups of so many rows."""
    size, second = k * d, second_length(kind, k, d)
    params, factors, sums = k + size + spread_length(kind, structure, k, d), max(size, second), k + size + second + 2
    by_row, by_lane = (longest + PAIR) * (3 * d + 5), PAIR * (sums + k + size)
    return by_row + by_lane + 6 * params + 2 * factors + sums + 3 * size + 5 * k + 3 * d * d + 3 * d + 1


@pointwise
def pairs_of(n):
    """Pairs of vectors, for so many rows."""
    return (n + PAIR - 1) // PAIR


spread_of, second_of = pointwise(spread_length), pointwise(second_length)


@pointwise
def cut(numbers, length):
    """-> the first of them, the others"""
    return numbers[:length], numbers[length:]


@once
def cut_group(numbers, kind, structure, longest, k, d, fixed):
    """The arrays of a group, one behind the other, those that hold vectors first."""
    size, second, s = k * d, second_of(kind, k, d), PAIR * pairs_of(longest)
    p, factors_length, length = k + size + spread_of(kind, structure, k, d), max(size, second), k + size + second + 2
    x, rest = cut(numbers, d * s)
    trials, rest = cut(rest, d * s)
    column, rest = cut(rest, d * s)
    weight, rest = cut(rest, s)
    distance, rest = cut(rest, s)
    nearest, rest = cut(rest, s)
    label, rest = cut(rest, s)
    before, rest = cut(rest, s)
    lanes, rest = cut(rest, PAIR * (length + k + size))
    kept, rest = cut(rest, 4 * p)
    params, rest = cut(rest, p)
    made, rest = cut(rest, p)
    factors, rest = cut(rest, factors_length)
    scaling, rest = cut(rest, factors_length)
    sums, rest = cut(rest, length)
    center, rest = cut(rest, size)
    location, rest = cut(rest, size)
    delta, rest = cut(rest, size)
    counts, rest = cut(rest, 3 * k)
    log_norm, rest = cut(rest, k)
    mass, rest = cut(rest, k)
    matrices, rest = cut(rest, 2 * d * d)
    pooled, rest = cut(rest, d * d)
    floors, rest = cut(rest, d)
    middle, rest = cut(rest, d)
    middle[:] = np.nan
    added, rest = cut(rest, d)
    model = Mixture(params, made, fixed, added, structure, rest[:0], log_norm, location.reshape(k, d), scaling,
                    factors, sums, counts.reshape(3, k), delta, middle, floors, matrices.reshape(2, d * d))
    return Group(kind, model, x, trials, column, weight, distance, nearest, label, before, lanes, center.reshape(k, d),
                 mass, pooled.reshape(d, d), kept.reshape(4, p), rest[:1].view(np.uint64))


@pointwise
def place(g, c, j, p):
    """Where the spread of a component in columns j and p is, among those of all."""
    d = g.center.shape[1]
    if g.kind == FULL:
        return ((0 if g.model.structure == SHARED else c * d) + j) * d + p
    return c if g.model.structure == ISOTROPIC else c * d + j


# -------------------------------------------------------------------------------------------------------------- rows

@pointwise
def is_count(x, trials):
    return 0.0 <= x <= trials <= LARGEST_COUNT and x == math.floor(x) and trials == math.floor(trials)


@pointwise
def transformed(kind, x, trials):
    """As k-means has it."""
    if kind == BINOMIAL:
        return (x + 0.5) / (trials + 1.0)
    return math.sqrt(x + 0.5) if kind == POISSON else x


@once
def load_group(g, X, trials, sample_weight, begin, end):
    """-> status, rows of positive weight, their weight"""
    (k, d), s = g.center.shape, len(g.weight)
    n, total, largest = 0, 0.0, 0.0
    for row in range(begin, end):
        w = sample_weight[row]
        if w == 0.0:
            continue
        for j in range(d):
            x = X[row, j]
            tosses = trials[row, j] if g.kind == BINOMIAL else x
            if not (abs(x) <= LARGEST and abs(tosses) <= LARGEST):
                return NOT_FINITE, 0, 0.0
            if g.kind >= BINOMIAL and not is_count(x, tosses):
                return NOT_COUNTS, 0, 0.0
            largest = max(largest, abs(x))
            at = j * s + n
            g.x[at], g.trials[at], g.column[at] = x, tosses, transformed(g.kind, x, tosses)
        g.weight[n] = w
        n, total = n + 1, total + w
    if total * largest * largest * d > LARGEST_SUM:
        return NOT_FINITE, 0, 0.0
    fill_up(g, n, s)
    return enough(CONVERGED, n, k), n, total


@pointwise
def fill_up(g, n, s):
    """The last pair, with copies of the first row."""
    for i in range(n, PAIR * pairs_of(n)):
        g.weight[i] = 0.0
        for at in range(0, len(g.x), s):
            g.x[at + i], g.trials[at + i] = g.x[at], g.trials[at]
