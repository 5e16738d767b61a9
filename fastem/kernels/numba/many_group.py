"""A group of rows of a small fit: its arrays, and blocks of its sorted values, from which fits start."""
import math

import numpy as np
from numba import types

from fastem.kernels.numba.constants import LOG_2PI
from fastem.kernels.numba.jit import kernel, pointwise
from fastem.kernels.numba.vectors import LANES, ROW

LOG_ZERO = -1e290  # as counts.LOG_ZERO
LARGEST_COUNT = 2.0**53  # as arrays.LARGEST_COUNT
TIE = 1e-9         # share of the range by which means of blocks differ, or they are one
COLUMNS = 9                     # of a group: x, failures, ..., gain
PER_COMPONENT = 4 * LANES + 23  # numbers of a tile for each component, as cut_tile cuts them
OTHERS = 16

CONVERGED, MAX_ITER, NO_ROWS, FEW_ROWS, NOT_FINITE, NOT_COUNTS = range(6)  # as many_fits.FitStatus

indices = types.Array(types.int64, 1, "C", readonly=True)
params_inout = types.Array(types.float64, 2, "C")
loglik_out = types.Array(types.float64, 1, "C")
iterations_out = types.Array(types.int32, 1, "C")
status_out = types.Array(types.int8, 1, "C")


def groups_kernel(function):
    """A kernel whose tiles hold the longest of its groups."""
    declared = list(function.__annotations__.values())
    begin, out = declared.index(indices), declared.index(params_inout)

    def height(*args):
        offsets, edges, k = args[begin], args[begin + 1], args[out].shape[1]
        longest = int(np.diff(offsets[edges[0]:edges[-1] + 1]).max())
        return -(-(COLUMNS * (longest + 2 * LANES) + PER_COMPONENT * k + OTHERS) // ROW)

    return kernel(function, height)


# --------------------------------------------------------------------------------------------------------- a group

@pointwise
def padded(length):
    """Raised to a multiple of LANES."""
    return (length + LANES - 1) // LANES * LANES


@pointwise
def cut_tile(tile, k):
    """As many rows as there is room for, a multiple of LANES."""
    n = (len(tile) - PER_COMPONENT * k - OTHERS) // COLUMNS // LANES * LANES
    end = 4 * k * LANES + COLUMNS * n
    lanes, columns, rest = tile[:4 * k * LANES], tile[4 * k * LANES:end], tile[end:]
    return ((columns[:n], columns[n:2 * n], columns[2 * n:3 * n]),  # group   x, failures and weight
            (columns[3 * n:4 * n], columns[4 * n:5 * n]),           # pairs   key and mass, which a start sorts
            (columns[5 * n:6 * n], columns[6 * n:7 * n],            # before  sums over the sorted rows, and what a cut
             columns[7 * n:8 * n], columns[8 * n:9 * n]),           #         before a row gains
            lanes,                                                  # lanes   densities of the vector at hand, and sums
            (rest[:k], rest[k:2 * k], rest[2 * k:3 * k]),           # tables  log_norm, center and scaling
            rest[3 * k:4 * k],                                      # found   means of a start
            rest[4 * k:7 * k + 1],                                  # sums    counts, first and second of a component,
                                                                    #         then of the next; last the log likelihood
            rest[7 * k + 1:19 * k + 1].reshape(4, 3 * k),           # kept    parameters
            (rest[19 * k + 1:20 * k + 2], rest[20 * k + 2:21 * k + 2],  # parts   where parts of the sorted rows begin,
             rest[21 * k + 2:22 * k + 2]),                          #         the best cut of each, and its gain
            rest[22 * k + 2:23 * k + 2],                            # ones    for the spread of what has none
            rest[23 * k + 2:23 * k + 16])                           # facts   of the group


@pointwise
def fill_up(n, group):
    """The last vector."""
    x, failures, weight = group
    for i in range(n, padded(n)):
        x[i], failures[i], weight[i] = x[0], failures[0], 0.0


@pointwise
def enough(status, n, k):
    """The status, or that there are no rows for k components."""
    if status != CONVERGED or n >= k > 0:
        return status
    return FEW_ROWS if n else NO_ROWS


@pointwise
def sort_pairs(key, mass, n):
    """By key, each with its mass: Shell's sort with the gaps of Tokuda (1992)."""
    gap = 1
    while gap < n:
        gap = 9 * gap // 4 + 1
    while gap > 1:
        gap = (4 * (gap - 1) + 8) // 9
        for i in range(gap, n):
            smallest, its_mass = key[i], mass[i]
            j = i
            while j >= gap and key[j - gap] > smallest:
                key[j], mass[j] = key[j - gap], mass[j - gap]
                j -= gap
            key[j], mass[j] = smallest, its_mass


@pointwise
def blocks(n, key, mass, found):
    """found <- means of k blocks of equal mass of the sorted rows; -> the variance within blocks.

    A row on an edge is shared, so that a row of weight w is w equal rows.  Moments of a block are about its first key.
    """
    all_mass = 0.0
    for i in range(n):
        all_mass += mass[i]
    k = found.shape[0]
    width = room = all_mass / k
    c, origin, first, second, within = 0, key[0], 0.0, 0.0, 0.0
    for i in range(n):
        left = mass[i]
        while left > room and c < k - 1:
            delta = key[i] - origin
            within += close_block(c, origin, first + room * delta, second + room * delta * delta, width, found)
            left, room, origin, first, second, c = left - room, width, key[i], 0.0, 0.0, c + 1
        delta = key[i] - origin
        first, second, room = first + left * delta, second + left * delta * delta, room - left
    within += close_block(c, origin, first, second, width, found)
    for i in range(c + 1, k):  # where there is no mass at all
        found[i] = key[n - 1]
    return max(within, 0.0) / all_mass if all_mass > 0.0 else 0.0


@pointwise
def close_block(c, origin, first, second, width, found):
    """found[c]; -> sum of squares about it."""
    delta = first / width if width > 0.0 else 0.0
    found[c] = origin + delta
    return second - first * delta


@pointwise
def spread(found, low, high):
    """Where means tie they are moved apart, half way to even ones: EM cannot separate equal components."""
    k, tied = found.shape[0], False
    for c in range(1, k):
        tied = tied or not found[c] - found[c - 1] > TIE * (high - low)
    for c in range(k if tied else 0):
        found[c] = 0.5 * (found[c] + low + (high - low) * (c + 0.5) / k)


@pointwise
def incomplete(values):
    """Is any to be found?"""
    return np.isnan(values).any()


@pointwise
def fill(values, c, value):
    if math.isnan(values[c]):
        values[c] = value


# ------------------------------------------------------------------------------------------ what counts share

@pointwise
def log_factorial(n, table):
    """log n!: a table, then Stirling's series, as counts.log_factorial."""
    if n < 256.0:
        return table[int(n)]
    return (n + 0.5) * math.log(n) - n + 0.5 * LOG_2PI + (1.0 / 12.0 - 1.0 / (360.0 * n * n)) / n


@pointwise
def start_rates(n, pairs, found, highest, shares, rates):
    """What has not been given, by blocks of the rates; where all rows have one rate even ones up to the highest."""
    k = found.shape[0]
    for c in range(k):
        fill(shares, c, 1.0 / k)
    if not incomplete(rates):
        return
    key, mass = pairs
    blocks(n, key, mass, found)
    low, high = key[0], key[n - 1]
    spread(found, low if high > low else 0.0, high if high > low else highest)
    for c in range(k):
        fill(rates, c, found[c])
