"""The E-step of many small fits and the weights of their M-step."""
from fastem.kernels.numba.elementary import exp2_, log2_
from fastem.kernels.numba.jit import pointwise
from fastem.kernels.numba.many_group import EMPTY, padded
from fastem.kernels.numba.slots import FAR_OUT, LN2, LOWEST
from fastem.kernels.numba.vectors import LANES, add_lane_sums, broadcast, larger, load, store

LOG2E = 1.4426950408889634
LOWEST_LOGLIK = -1e307  # as sweep.LOWEST_LOGLIK


@pointwise
def sweep(n, binomial, group, tables, sums, lanes):
    """sums <- counts, first and second of each component; -> log likelihood without the base measure."""
    x, failures, weight = group
    k, loglik = tables[0].shape[0], broadcast(0.0)
    lanes[:], sums[:] = 0.0, 0.0
    for i in range(padded(n) // LANES):
        a, b, w = load(x, i), load(failures, i), load(weight, i)
        top = log_densities(a, b, binomial, tables, lanes)
        total = broadcast(0.0)
        for c in range(k):
            e = exp2_(larger(load(lanes, c) - top, LOWEST))
            store(lanes, c, e)
            total = total + e
        loglik = loglik + w * (top + log2_(total))
        add_moments(a, b, w / total, binomial, tables, lanes)
    for c in range(k):
        add_lane_sums(sums, 3 * c, load(lanes, k + c), load(lanes, 2 * k + c), load(lanes, 3 * k + c))
    add_lane_sums(sums, 3 * k, loglik)
    return max(LN2 * sums[3 * k], LOWEST_LOGLIK)


@pointwise
def log_densities(a, b, binomial, tables, lanes):
    """log2 (weight N(x; mean, sd^2)) = log_norm - ((x - mean) scaling)^2, or log2 (weight p^x q^y); -> the largest."""
    log_norm, center, scaling = tables
    top = broadcast(FAR_OUT)
    for c in range(log_norm.shape[0]):
        if binomial:
            u = log_norm[c] + (a * center[c] + b * scaling[c])
        else:
            z = (a - center[c]) * scaling[c]
            u = log_norm[c] - z * z
        u = larger(u, FAR_OUT)
        store(lanes, c, u)
        top = larger(u, top)
    return top


@pointwise
def add_moments(a, b, scale, binomial, tables, lanes):
    k, center = tables[1].shape[0], tables[1]
    for c in range(k):
        r = load(lanes, c) * scale
        z = a if binomial else a - center[c]
        store(lanes, k + c, load(lanes, k + c) + r)
        store(lanes, 2 * k + c, load(lanes, 2 * k + c) + r * z)
        store(lanes, 3 * k + c, load(lanes, 3 * k + c) + r * (b if binomial else z * z))


@pointwise
def maximize_weights(sums, shares):
    """As Stats.mixing_weights: 0 for an empty component."""
    total = 0.0
    for c in range(shares.shape[0]):
        total += sums[3 * c]
    for c in range(shares.shape[0]):
        shares[c] = sums[3 * c] / total if sums[3 * c] > EMPTY * total else 0.0
