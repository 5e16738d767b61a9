"""Where fits of a group of rows of several columns start: k-means++ and Lloyd's algorithm; as in `many_rows.pxi`."""
import math

import numpy as np
from numba import float64, int64

from fastem.kernels.numba.accelerate import UNIT
from fastem.kernels.numba.jit import once, pointwise
from fastem.kernels.numba.many_normal import RESOLUTION
from fastem.kernels.numba.many_rows import BINOMIAL, FULL, place
from fastem.kernels.numba.tables_gaussian import ISOTROPIC, SHARED

SEED = np.uint64(0x9E3779B97F4A7C15)  # of the draws of every group
MULTIPLIER = np.uint64(0x2545F4914F6CDD1D)
LLOYD_STEPS = 3                       # of k-means


# ------------------------------------------------------------------------------------------------------------ k-means

@pointwise
def draw(g):
    """From 0 to 1: xorshift64* (Vigna 2016)."""
    state = g.state[0]
    state ^= state >> np.uint64(12)
    state ^= state << np.uint64(25)
    state ^= state >> np.uint64(27)
    g.state[0] = state
    return float64((state * MULTIPLIER) >> np.uint64(11)) * UNIT


@once
def scale_columns(g, n, total, reg_covar, relative):
    """Columns about their means, in units of standard deviations; also what is added to their variances."""
    s, share = len(g.weight), 1.0 / total
    for j in range(len(g.model.added)):
        x = g.column[j * s:j * s + n]
        mean, square, first = 0.0, 0.0, x[0]
        for i in range(n):
            x[i] -= first
            mean += share * g.weight[i] * x[i]
        for i in range(n):
            x[i] -= mean
            square += share * g.weight[i] * x[i] * x[i]
        if not math.sqrt(square) > RESOLUTION * abs(first):  # a constant column
            square = 1.0
        g.model.added[j] = reg_covar + relative * square
        for i in range(n):
            x[i] *= 1.0 / math.sqrt(square)


@once
def find_distances(g, c, n):
    """distance <- from center c"""
    s = len(g.weight)
    for j in range(g.center.shape[1]):
        x, center = g.column[j * s:j * s + n], g.center[c, j]
        for i in range(n):
            z = x[i] - center
            g.distance[i] = z * z if j == 0 else g.distance[i] + z * z


@once
def potential(g, c, row, n):
    """What a row leaves as center c; distance <- from it."""
    s, found = len(g.weight), 0.0
    for j in range(g.center.shape[1]):
        g.center[c, j] = g.column[j * s + row]
    find_distances(g, c, n)
    for i in range(n):
        found += g.weight[i] * min(g.nearest[i], g.distance[i])
    return found


@pointwise
def drawn_row(g, total, n):
    """One of them, by weight and squared distance, which have this total."""
    left, i = draw(g) * total, 0
    while i < n - 1 and not left < g.weight[i] * g.nearest[i]:
        left -= g.weight[i] * g.nearest[i]
        i += 1
    return i


@once
def spread_centers(g, n):
    """Greedy k-means++ (Arthur and Vassilvitskii 2007): of two draws that which leaves less."""
    g.nearest[:n] = 1.0
    for c in range(g.center.shape[0]):
        chosen, best, total = int64(0), math.inf, 0.0
        for i in range(n):
            total += g.weight[i] * g.nearest[i]
        for _ in range(2 if c else 1):
            row = drawn_row(g, total, n)
            found = potential(g, c, row, n) if c else 0.0
            if found < best:
                chosen, best = row, found
        potential(g, c, chosen, n)
        for i in range(n):
            g.nearest[i] = min(g.nearest[i], g.distance[i]) if c else g.distance[i]


@once
def relabel(g, n):
    """label <- the nearest of the centers; mass <- the weight of their rows.  -> has a label changed?"""
    changed = False
    g.nearest[:n], g.mass[:] = math.inf, 0.0
    for c in range(g.center.shape[0]):
        find_distances(g, c, n)
        for i in range(n):
            g.label[i] = c if g.distance[i] < g.nearest[i] else g.label[i]
            g.nearest[i] = min(g.nearest[i], g.distance[i])
    for i in range(n):
        changed = changed or g.label[i] != g.before[i]
        g.before[i] = g.label[i]
        g.mass[int(g.label[i])] += g.weight[i]
    return changed


@once
def lloyd(g, n):
    """Centers move to the means of their rows."""
    g.before[:n] = -1.0
    for _ in range(LLOYD_STEPS):
        if not relabel(g, n):
            return
        move_centers(g, n)
    relabel(g, n)


@pointwise
def move_centers(g, n):
    (k, d), s = g.center.shape, len(g.weight)
    for c in range(k):
        for j in range(d):
            g.center[c, j] = 0.0 if g.mass[c] > 0.0 else g.center[c, j]
    for j in range(d):
        for i in range(n):
            g.center[int(g.label[i]), j] += g.weight[i] * g.column[j * s + i]
    for c in range(k):
        for j in range(d):
            g.center[c, j] /= g.mass[c] if g.mass[c] > 0.0 else 1.0


# ------------------------------------------------------------------------------------------------------------- starts

@once
def start_from_labels(g, n, total):
    """Parameters of the rows of each center; of few rows they are drawn to those of all."""
    k, few = len(g.mass), min(1.0, 0.25 * total)
    for c in range(k):
        g.model.params[c] = (g.mass[c] + few / k) / (total + few)
    if g.kind >= BINOMIAL:
        rates_of_labels(g, n, total, few)
    else:
        means_of_labels(g, n)
        pool_scatter(g, n, total)
        scatter_of_labels(g, n, total)


@pointwise
def means_of_labels(g, n):
    (k, d), s, location = g.center.shape, len(g.weight), g.model.params[len(g.mass):]
    for c in range(k):
        for j in range(d):
            location[c * d + j] = 0.0 if g.mass[c] > 0.0 else g.x[j * s + c]
    for j in range(d):
        for i in range(n):
            c = int(g.label[i])
            location[c * d + j] += g.weight[i] / g.mass[c] * g.x[j * s + i]


@pointwise
def product(g, i, c, j, p):
    """Of what a row is from the mean of its center, in columns j and p."""
    (k, d), s, params = g.center.shape, len(g.weight), g.model.params
    return (g.x[j * s + i] - params[k + c * d + j]) * (g.x[p * s + i] - params[k + c * d + p])


@once
def pool_scatter(g, n, total):
    """pooled <- the spread within all centers."""
    for j in range(g.center.shape[1]):
        for p in range(0 if g.kind == FULL else j, j + 1):
            found = 0.0
            for i in range(n):
                found += g.weight[i] / total * product(g, i, int(g.label[i]), j, p)
            g.pooled[j, p] = found


@once
def scatter_of_labels(g, n, total):
    """Spread: that of the rows of a center, and d + 1 rows of the spread within all."""
    (k, d), spread = g.center.shape, g.model.params[len(g.mass) + g.center.size:]
    few, shared = min(d + 1.0, 0.25 * total), g.model.structure == SHARED
    columns = float64(d) if g.model.structure == ISOTROPIC else 1.0  # that have one variance
    spread[:] = 0.0
    for j in range(d):
        for p in range(0 if g.kind == FULL else j, j + 1):
            for i in range(0 if shared else n):
                c = int(g.label[i])
                spread[place(g, c, j, p)] += g.weight[i] / (g.mass[c] + few) * product(g, i, c, j, p) / columns
            for c in range(1 if shared else k):
                share = 1.0 if shared else few / (g.mass[c] + few)
                more = share * g.pooled[j, p] + (g.model.added[j] if p == j else 0.0)
                spread[place(g, c, j, p)] += more / columns
                spread[place(g, c, p, j)] = spread[place(g, c, j, p)]


@once
def rates_of_labels(g, n, total, few):
    """Probs or rates of the rows of each center, with a row of the mean of all, so that none is 0."""
    (k, d), s, location = g.center.shape, len(g.weight), g.model.params[len(g.mass):]
    for j in range(d):
        events = tosses = 0.0
        for i in range(n):
            events += g.weight[i] * g.x[j * s + i]
            tosses += g.weight[i] * exposure(g, j * s + i)
        mean, room = (events + 0.5 * few) / (tosses + few), few * (tosses / total + 1.0)
        for c in range(k):
            g.mass[c], location[c * d + j] = room, room * mean
        for i in range(n):
            c = int(g.label[i])
            location[c * d + j] += g.weight[i] * g.x[j * s + i]
            g.mass[c] += g.weight[i] * exposure(g, j * s + i)
        for c in range(k):
            location[c * d + j] /= g.mass[c]


@pointwise
def exposure(g, at):
    """What a count is of."""
    return g.trials[at] if g.kind == BINOMIAL else 1.0
