"""A sweep of a group of rows of several columns: two vectors of rows at a time, from densities to moments.

Groups are short: a tile of 256 rows, as sweeps of one mixture have it, would hold more copies than rows of most.
"""
from fastem.kernels.numba.constants import LN2
from fastem.kernels.numba.elementary import exp2_, log2_
from fastem.kernels.numba.jit import once, pointwise
from fastem.kernels.numba.many_rows import BINOMIAL, DIAGONAL, FULL, PAIR, pairs_of
from fastem.kernels.numba.mvnormal_full import mirror
from fastem.kernels.numba.slots import FAR_OUT, LOWEST
from fastem.kernels.numba.tables_gaussian import SHARED
from fastem.kernels.numba.vectors import LANES, add_lane_sums, broadcast_pair, larger, load, load_pair, store


@once
def sweep_group(g, n):
    """sums <- those of the rows, without the entropy; -> log likelihood without the base measure."""
    m = g.model
    (k, d), length, loglik = m.center.shape, len(m.sums), broadcast_pair(0.0)
    density, rest = g.lanes[:k * PAIR], g.lanes[k * PAIR:]
    residual, sums = rest[:k * d * PAIR], rest[k * d * PAIR:]
    sums[:], m.sums[:] = 0.0, 0.0
    for i in range(pairs_of(n)):
        find_densities(g, i, density, residual)
        loglik = loglik + normalise(load_pair(g.weight, i), density)
        add_moments(g, i, density, residual, sums)
    for at in range(length - 2):
        add_lane_sums(m.sums, at, load(sums, at))
    add_lane_sums(m.sums, length - 2, LN2 * loglik)
    if g.kind == FULL:
        mirror(m.sums[k + k * d:], k, d)
    if g.kind == FULL and m.structure == SHARED:
        pool_second(m.sums[k + k * d:], k, d * d)
    for c in range(k):
        m.counts[0, c] = m.counts[1, c] = m.counts[2, c] = m.sums[c]
    return m.sums[length - 2]


@pointwise
def pool_second(second, k, size):
    """The first of k matrices <- their sum."""
    for i in range(size, k * size):
        second[i % size] += second[i]


@pointwise
def normalise(weight, density):
    """density <- weighted responsibilities; -> weight * log2 of the density of the mixture."""
    top, total = broadcast_pair(FAR_OUT), broadcast_pair(0.0)
    for c in range(len(density) // PAIR):
        top = larger(load_pair(density, c), top)
    for c in range(len(density) // PAIR):
        e = exp2_(larger(larger(load_pair(density, c), FAR_OUT) - top, LOWEST))
        store(density, c, e)
        total = total + e
    scale = weight / total
    for c in range(len(density) // PAIR):
        store(density, c, load_pair(density, c) * scale)
    return weight * (top + log2_(total))


@pointwise
def find_densities(g, i, density, residual):
    """density <- log2 (weight * density) of pair i under each component, as the sweeps of one mixture have it."""
    if g.kind == FULL:
        full_densities(g, i, density, residual)
    elif g.kind == DIAGONAL:
        diag_densities(g, i, density, residual)
    elif g.kind == BINOMIAL:
        binomial_densities(g, i, density)
    else:
        poisson_densities(g, i, density)


@pointwise
def full_densities(g, i, density, residual):
    (k, d), pairs, factor = g.model.center.shape, len(g.weight) // PAIR, g.model.scaling
    for c in range(k):
        square = broadcast_pair(0.0)
        for p in range(d):
            store(residual, c * d + p, load_pair(g.x, p * pairs + i) - g.model.center[c, p])
            z = broadcast_pair(0.0)
            for j in range(p + 1):
                z = z + factor[(c * d + p) * d + j] * load_pair(residual, c * d + j)
            square = square + z * z
        store(density, c, g.model.log_norm[c] - square)


@pointwise
def diag_densities(g, i, density, residual):
    (k, d), pairs = g.model.center.shape, len(g.weight) // PAIR
    for c in range(k):
        square = broadcast_pair(0.0)
        for j in range(d):
            z = load_pair(g.x, j * pairs + i) - g.model.center[c, j]
            store(residual, c * d + j, z)
            z = z * g.model.scaling[c * d + j]
            square = square + z * z
        store(density, c, g.model.log_norm[c] - square)


@pointwise
def binomial_densities(g, i, density):
    (k, d), pairs = g.model.center.shape, len(g.weight) // PAIR
    for c in range(k):
        log_density = broadcast_pair(g.model.log_norm[c])
        for j in range(d):
            successes = load_pair(g.x, j * pairs + i)
            failures = load_pair(g.trials, j * pairs + i) - successes
            log_density = log_density + (successes * g.model.center[c, j] + failures * g.model.scaling[c * d + j])
        store(density, c, log_density)


@pointwise
def poisson_densities(g, i, density):
    (k, d), pairs = g.model.center.shape, len(g.weight) // PAIR
    for c in range(k):
        log_density = broadcast_pair(g.model.log_norm[c])
        for j in range(d):
            log_density = log_density + load_pair(g.x, j * pairs + i) * g.model.center[c, j]
        store(density, c, log_density)


# ------------------------------------------------------------------------------------------------------------- moments

@pointwise
def add(sums, at, a, b):
    """Two vectors to a sum by lane, of which there are half as many numbers as of pairs: they stay in cache."""
    store(sums, at, load(sums, at) + a + b)


@pointwise
def add_products(sums, at, a, b, values, i):
    """As `add`, of two vectors times those of pair i."""
    store(sums, at, load(sums, at) + a * load(values, 2 * i) + b * load(values, 2 * i + 1))


@pointwise
def add_moments(g, i, resp, residual, sums):
    """sums, by lane: counts, first and second moments of pair i."""
    k, size = len(g.mass), g.center.size
    first, second = sums[k * LANES:(k + size) * LANES], sums[(k + size) * LANES:]
    for c in range(k):
        a, b = load(resp, 2 * c), load(resp, 2 * c + 1)
        add(sums, c, a, b)
        if g.kind <= DIAGONAL:
            add_gaussian_moments(g, c, a, b, residual, first, second)
        else:
            add_count_moments(g, c, i, a, b, first, second)


@pointwise
def add_gaussian_moments(g, c, a, b, residual, first, second):
    """Second moments of matrices are lower triangles."""
    d = g.center.shape[1]
    for at in range(c * d, c * d + d):
        a_z, b_z = a * load(residual, 2 * at), b * load(residual, 2 * at + 1)
        add(first, at, a_z, b_z)
        if g.kind == DIAGONAL:
            add_products(second, at, a_z, b_z, residual, at)
        for j in range(c * d, at + 1 if g.kind == FULL else 0):
            add_products(second, (at - c) * d + j, a_z, b_z, residual, j)


@pointwise
def add_count_moments(g, c, i, a, b, first, second):
    """Failures are the second ones, of binomials."""
    d, pairs = g.center.shape[1], len(g.weight) // PAIR
    for j in range(d):
        at, column = c * d + j, j * pairs + i
        add_products(first, at, a, b, g.x, column)
        if g.kind == BINOMIAL:
            failures, others = failures_of(g, 2 * column), failures_of(g, 2 * column + 1)
            add(second, at, a * failures, b * others)


@pointwise
def failures_of(g, i):
    """Of a vector; none where there are none, not what rounding leaves."""
    return load(g.trials, i) - load(g.x, i)
