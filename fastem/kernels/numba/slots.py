"""The E-step of every family, and the loops over the slots of a share."""
from fastem.kernels.numba.constants import LN2
from fastem.kernels.numba.elementary import exp2_, log2_
from fastem.kernels.numba.jit import pointwise
from fastem.kernels.numba.tile import (
    all_unit,
    cut_tile,
    drop_rows_without_values,
    edge,
    load_columns,
    load_weights,
    mark_observed,
)
from fastem.kernels.numba.vectors import (
    LANES,
    PAIRS,
    TILE,
    VECTORS,
    add_lane_sums,
    borrowed,
    broadcast,
    larger,
    load,
    store,
)

LARGEST_PRODUCT_K = 128  # 128^VECTORS is finite, whatever LANES is
LOWEST = -900.0          # a density below 2^-900 of the largest counts as 2^-900 of it, far from subnormal
FAR_OUT = -1e300         # log density of a point out of reach of every component: finite


@pointwise
def normalise(weight, density, top, total, slope, scale):
    """Log-sum-exp over the components: responsibility = density * scale.

    With u = log density - top:  density <- e = 2^u,  total <- sum e,  slope <- sum e u.
    """
    for i in range(VECTORS):
        highest = largest(density, i)
        sum_e = sum_eu = broadcast(0.0)
        for c in range(density.shape[0]):
            u = larger(larger(load(density, c, i), FAR_OUT) - highest, LOWEST)
            e = exp2_(u)
            store(density, c, i, e)
            sum_e = sum_e + e
            sum_eu = sum_eu + e * u
        store(top, i, highest)
        store(total, i, sum_e)
        store(slope, i, sum_eu)
        store(scale, i, load(weight, i) / sum_e)


@pointwise
def largest(density, i):
    highest = broadcast(FAR_OUT)
    for c in range(density.shape[0]):
        highest = larger(load(density, c, i), highest)  # in this order: a NaN counts as far out
    return highest


@pointwise
def add_logs(weight, top, total, slope, scale, product, logs):
    """log p = top + log total,  entropy = log total - slope / total."""
    loglik = entropy = broadcast(0.0)
    for i in range(VECTORS):
        loglik = loglik + load(weight, i) * load(top, i)
        entropy = entropy - load(scale, i) * load(slope, i)
    totals = log_of_product(total) if product else sum_of_logs(weight, total)
    add_lane_sums(logs, 0, LN2 * (loglik + totals), LN2 * (entropy + totals))


@pointwise
def log_of_product(total):
    """With unit weights the sum of the logs is the log of a product: VECTORS factors in [1, k]."""
    product = broadcast(1.0)
    for i in range(VECTORS):
        product = product * load(total, i)
    return log2_(product)


@pointwise
def sum_of_logs(weight, total):
    logs = broadcast(0.0)
    for i in range(VECTORS):
        logs = logs + load(weight, i) * log2_(load(total, i))
    return logs


@pointwise
def responsibilities(density, scale, counts):
    """density -> weighted responsibility, in place; adds up the counts."""
    for c in range(density.shape[0]):
        count = broadcast(0.0)
        for i in range(VECTORS):
            r = load(density, c, i) * load(scale, i)
            store(density, c, i, r)
            count = count + r
        add_lane_sums(counts, c, count)


# ---------------------------------------------------------------------------------------------------- slots of rows

def family(densities, moments, has_gaps=False):
    """-> accumulate_* of a share of the slots, posterior_* of a share of the rows

    With gaps values may be missing (NaN): X comes in the place of trials, of which 1 is left where there is a value.
    """

    @pointwise
    def accumulate_share(share, tiles, slot_rows, X, trials, sample_weight, log_norm, location, scaling, sums):
        k, d = location.shape
        x, tries, weight, density, top, total, slope, scale, residual, weighted = cut_tile(borrowed(tiles[share]), k, d)
        log_norm, location, scaling = borrowed(log_norm), borrowed(location), borrowed(scaling)
        unit = not has_gaps and all_unit(sample_weight)
        for slot in range(edge(share, len(tiles), len(sums)), edge(share + 1, len(tiles), len(sums))):
            own = borrowed(sums[slot])
            own[:], weight[:] = 0.0, 1.0
            counts, first, second, logs = own[:k], own[k:k + k * d], own[k + k * d:-2], own[-2:]
            end = min(X.shape[0], (slot + 1) * slot_rows)
            for row in range(slot * slot_rows, end, TILE):
                count = min(TILE, end - row)
                load_columns(X, row, count, TILE, x)
                if not (unit and count == TILE):
                    load_weights(sample_weight, row, count, weight)
                if has_gaps:
                    mark_observed(x, tries)
                    drop_rows_without_values(tries, weight)
                else:
                    load_columns(trials, row, count, TILE, tries)
                densities(x, tries, log_norm, location, scaling, residual, density, PAIRS)
                normalise(weight, density, top, total, slope, scale)
                add_logs(weight, top, total, slope, scale, unit and count == TILE and k <= LARGEST_PRODUCT_K, logs)
                responsibilities(density, scale, counts)
                moments(x, tries, location, scaling, density, residual, weighted, first, second)

    @pointwise
    def posterior_share(share, tiles, X, trials, log_norm, location, scaling, log_prob, resp, labels):
        k, d = location.shape
        x, tries, weight, density, top, total, slope, scale, residual, _ = cut_tile(borrowed(tiles[share]), k, d)
        log_norm, location, scaling = borrowed(log_norm), borrowed(location), borrowed(scaling)
        weight[:] = 1.0
        tiles_of_rows = -(-X.shape[0] // TILE)
        end = min(X.shape[0], edge(share + 1, len(tiles), tiles_of_rows) * TILE)
        for row in range(edge(share, len(tiles), tiles_of_rows) * TILE, end, TILE):
            count = min(TILE, end - row)
            pairs = -(-count // (2 * LANES))  # that hold rows
            load_columns(X, row, count, pairs * 2 * LANES, x)
            if has_gaps:
                mark_observed(x, tries)
            else:
                load_columns(trials, row, count, pairs * 2 * LANES, tries)
            densities(x, tries, log_norm, location, scaling, residual, density, pairs)
            put_posterior(weight, density, top, total, slope, scale, row, count, log_prob, resp, labels)

    return accumulate_share, posterior_share


@pointwise
def put_posterior(weight, density, top, total, slope, scale, row, count, log_prob, resp, labels):
    """What the caller wants to know of each point, by its densities; an output of length 0 is not wanted."""
    if labels.shape[0]:
        put_labels(density, top, total, row, count, labels)
    if log_prob.shape[0] or resp.shape[0]:
        normalise(weight, density, top, total, slope, scale)
        put_log_prob(top, total, row, count, log_prob)
        put_resp(density, scale, row, count, resp)


@pointwise
def put_log_prob(top, total, row, count, log_prob):
    if log_prob.shape[0]:
        for i in range(VECTORS):
            store(total, i, LN2 * (load(top, i) + log2_(load(total, i))))
        for i in range(count):
            log_prob[row + i] = total[i]


@pointwise
def put_resp(density, scale, row, count, resp):
    if resp.shape[0]:
        for i in range(count):
            for c in range(density.shape[0]):
                resp[row + i, c] = density[c, i] * scale[i]


@pointwise
def put_labels(density, top, label, row, count, labels):
    """The component of the largest density, the first of equals; no exponential is needed."""
    for i in range(VECTORS):
        store(top, i, largest(density, i))
        store(label, i, broadcast(0.0))
    for c in range(density.shape[0] - 1, -1, -1):
        for i in range(TILE):
            label[i] = c if density[c, i] >= top[i] else label[i]
    for i in range(count):
        labels[row + i] = int(label[i])
