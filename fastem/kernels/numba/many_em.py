"""A sweep of one group, whatever the family, and the weights of its M-step."""
from fastem.kernels.numba.constants import EMPTY, LN2
from fastem.kernels.numba.elementary import exp2_, log2_
from fastem.kernels.numba.jit import pointwise
from fastem.kernels.numba.many_group import padded
from fastem.kernels.numba.slots import FAR_OUT, LOWEST
from fastem.kernels.numba.vectors import LANES, add_lane_sums, broadcast, larger, load, store

LOWEST_LOGLIK = -1e307  # as slots.LOWEST_LOGLIK


def sweep_of(log_density, moments):
    """Return the sweep of one group, of a family that is these functions:

    log_density(x, y, log_norm, center, scaling) -> log2 (weight * density) of a component
    moments(x, y, center) -> what its responsibility is multiplied with for `first` and for `second`
    """

    @pointwise
    def sweep(n, group, tables, sums, lanes):
        """sums <- counts, first and second of each component; -> log likelihood without the base measure."""
        x, failures, weight = group
        log_norm, center, scaling = tables
        k, loglik = log_norm.shape[0], broadcast(0.0)
        lanes[:], sums[:] = 0.0, 0.0
        for i in range(padded(n) // LANES):
            a, b, w = load(x, i), load(failures, i), load(weight, i)
            top = broadcast(FAR_OUT)
            for c in range(k):
                u = larger(log_density(a, b, log_norm[c], center[c], scaling[c]), FAR_OUT)
                store(lanes, c, u)
                top = larger(u, top)
            total = broadcast(0.0)
            for c in range(k):
                e = exp2_(larger(load(lanes, c) - top, LOWEST))
                store(lanes, c, e)
                total = total + e
            loglik = loglik + w * (top + log2_(total))
            scale = w / total
            for c in range(k):
                r = load(lanes, c) * scale
                first, second = moments(a, b, center[c])
                store(lanes, k + c, load(lanes, k + c) + r)
                store(lanes, 2 * k + c, load(lanes, 2 * k + c) + r * first)
                store(lanes, 3 * k + c, load(lanes, 3 * k + c) + r * second)
        for c in range(k):
            add_lane_sums(sums, 3 * c, load(lanes, k + c), load(lanes, 2 * k + c), load(lanes, 3 * k + c))
        add_lane_sums(sums, 3 * k, loglik)
        return max(LN2 * sums[3 * k], LOWEST_LOGLIK)

    return sweep


@pointwise
def maximize_weights(sums, shares):
    """As Stats.mixing_weights: 0 for an empty component."""
    total = 0.0
    for c in range(shares.shape[0]):
        total += sums[3 * c]
    for c in range(shares.shape[0]):
        shares[c] = sums[3 * c] / total if sums[3 * c] > EMPTY * total else 0.0
