"""Where a fit begins.  A start looks at a random part of the rows where there are many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastem import checks, inputs
from fastem.binomial import BinomialParams
from fastem.gaussian import RESOLUTION, SMALLEST_MAGNITUDE, SMALLEST_VARIANCE, GaussianParams, GaussianStats
from fastem.linear import dot, eigvalsh, outer_sums, weighted_sum
from fastem.stats import NOT_FINITE, Array
from fastem.sweep import AnyRows, Rows

NORMAL_STARTS = ("kmeans", "k-means++", "random", "random_from_data")
BINOMIAL_STARTS = ("auto", "quantiles", "kmeans", "random")

LARGEST = np.float64(inputs.LARGEST[np.dtype(np.float64)])
"""Rows beyond it are refused when they are first read; later passes may come otherwise.  It has a type of NumPy's, so
that float32 rows are compared with it as float64."""

START_ROWS = 1 << 13
"""Rows that a start looks at, at least.  Fits of 2e5 rows end no lower than from starts on all rows (which of several
maxima is found is luck either way); from half as many they do (bench/start_rows.py)."""
ROWS_PER_MEAN = 8
"""Rows that a start looks at for each of the k (d + 1) numbers in centers and weights: a cluster then has 8 (d + 1)
rows, for a covariance of full rank."""

LLOYD_STEPS = 100
LLOYD_TOL = 1e-4
"""k-means stops when its inertia falls by less than this share: EM moves on from there."""

RELATIVE = 1e-6
"""Of a feature's variance: reg_covar="auto".  scikit-learn's 1e-6, for features in units of their own spread."""

COLLAPSED = 1e-14
"""Variances, relative to those of all rows, that the sums of a partition cannot tell from 0."""

Partition = Callable[[slice], Array]
"""Rows of a block -> their responsibilities (b, k)."""


def start_size(rows: AnyRows, k: int) -> int:
    """How many rows a start of k components looks at."""
    return max(START_ROWS, ROWS_PER_MEAN * k * (rows.n_features + 1))


def subsample(rows: AnyRows, size: int, rng: np.random.Generator) -> Rows:
    """The rows that have weight, or `size` of all drawn without replacement, in an order of their own.

    The order makes a start the same however the rows come, and a row of weight w the same as w equal rows.
    """
    n = len(rows)
    few = rows.take(np.arange(n) if n <= size else rng.choice(n, size, replace=False, shuffle=False))
    if not all((np.abs(array) <= LARGEST).all() for array in few.data):  # false for NaN as well
        rows.look_again()
        raise ValueError(NOT_FINITE)
    if not few.sample_weight.any():
        few = rows.take(rows.first_weighted(size))
    few = few.take(np.flatnonzero(few.sample_weight))
    return few.take(np.lexsort([column for array in few.data for column in array.T]))


# ------------------------------------------------------------------------------------------------------------- normal


def normal_start(
    rows: AnyRows,
    k: int,
    covariance_type: str,
    *,
    method: str,
    reg_covar: Any,
    rng: np.random.Generator,
) -> GaussianParams:
    """Starting parameters for k components: those of a partition of the rows, hard or (method "random") soft."""
    rows = subsample(rows, start_size(rows, k), rng)
    X = rows.data[0]
    scale = feature_scale(X, rows.sample_weight)
    if method == "random":
        return partition_params(rows, k, scale, covariance_type, reg_covar, random_partition(k, rng))
    if method == "random_from_data":
        centers = X[rng.choice(len(X), k, replace=len(X) < k)].astype(np.float64)
    else:
        centers = spread_centers(rows, k, scale, rng)
    if method == "kmeans":
        centers = lloyd(rows, centers, scale)
    centers = centers[np.lexsort(centers.T[::-1])]  # components in an order of their own, not that of the draws
    labels = rows.nearest(centers, scale)[1]
    return partition_params(rows, k, scale, covariance_type, reg_covar, lambda block: np.eye(k)[labels[block]])


def relative_variances(rows: AnyRows, rng: np.random.Generator) -> Array:
    """(d,) RELATIVE of each feature's variance; of 1 for a constant feature."""
    few = subsample(rows, START_ROWS, rng)
    return RELATIVE * (1.0 / feature_scale(few.data[0], few.sample_weight)) ** 2


def feature_scale(X: np.ndarray, weights: Array) -> Array:
    """(d,) 1 / standard deviation: a feature in metres and one in millimetres count the same; 1 for a constant one."""
    residual = X - X[0].astype(np.float64)  # exactly 0 for a constant feature
    mean = weighted_sum(weights, residual) / weights.sum()
    deviation = np.sqrt(weighted_sum(weights, (residual - mean) ** 2) / weights.sum())
    if not deviation.all():  # of a constant feature, or where squares underflow
        checks.large_enough(np.abs(residual).max(axis=0) * (deviation == 0), SMALLEST_MAGNITUDE)
    return 1.0 / np.where(deviation > RESOLUTION * np.abs(X[0]), deviation, 1.0)


def spread_centers(rows: Rows, k: int, scale: Array, rng: np.random.Generator) -> Array:
    """k-means++ (Arthur and Vassilvitskii 2007), greedy: the best of 2 + log k draws each time, as scikit-learn's."""
    X, weights = rows.data[0], rows.sample_weight
    draws = 2 + int(np.log(k))
    chosen = [weighted_draw(weights, 1, rng)[0]]
    nearest = rows.nearest(X[chosen].astype(np.float64), scale)[0]
    while len(chosen) < k:
        candidates = weighted_draw(weights * nearest, draws, rng)
        fields = [np.minimum(nearest, rows.nearest(X[[c]].astype(np.float64), scale)[0]) for c in candidates]
        winner = min(range(draws), key=lambda i: dot(weights, fields[i]))
        chosen.append(candidates[winner])
        nearest = fields[winner]
    return X[chosen].astype(np.float64)


def weighted_draw(weights: Array, size: int, rng: np.random.Generator) -> np.ndarray:
    """Indices drawn in proportion to weights; evenly where all are 0 (every point is a center already)."""
    ends = np.cumsum(weights)
    if not ends[-1] > 0:
        return rng.integers(len(weights), size=size)
    drawn = np.searchsorted(ends, rng.random(size) * ends[-1], side="right")
    return np.asarray(np.minimum(drawn, len(weights) - 1))


def lloyd(rows: Rows, centers: Array, scale: Array) -> Array:
    """k-means by Lloyd's algorithm; a center that loses all its rows moves to the row farthest from its own."""
    previous = np.inf
    for _ in range(LLOYD_STEPS):
        distances, _, counts, first, inertia = rows.nearest(centers, scale)
        lost = counts <= 0
        centers = centers + first / np.where(lost, 1.0, counts)[:, np.newaxis]
        if lost.any():
            farthest = np.argsort(-distances, kind="stable")
            centers[lost] = rows.data[0][np.resize(farthest, int(lost.sum()))]
        elif previous - inertia <= LLOYD_TOL * inertia:
            break
        previous = inertia
    return centers


def random_partition(k: int, rng: np.random.Generator) -> Partition:
    def responsibilities(block: slice) -> Array:
        resp = rng.random((block.stop - block.start, k))
        return np.asarray(resp / resp.sum(axis=1, keepdims=True))

    return responsibilities


def partition_params(
    rows: Rows, k: int, scale: Array, covariance_type: str, reg_covar: Any, partition: Partition
) -> GaussianParams:
    """The M-step on given responsibilities, block by block; a component without rows takes the shape of all of them."""
    X, weights = rows.data[0], rows.sample_weight
    mean = weighted_sum(weights, X) / weights.sum()
    variances = np.maximum((1.0 / scale) ** 2, SMALLEST_VARIANCE)
    origin = GaussianParams.from_variances(np.tile(mean, (k, 1)), variances, covariance_type)
    pieces = [block_stats(origin, X[b] - mean, weights[b], partition(b)) for b in row_blocks(len(X))]
    params = sum(pieces[1:], start=pieces[0]).maximize(reg_covar=reg_covar)
    if not np.any(reg_covar):
        checks.well_defined(relative_extents(params, scale), COLLAPSED)
    return params


def relative_extents(params: GaussianParams, scale: Array) -> Array:
    """Variances along the axes of each component, each feature in units of its own standard deviation."""
    if not params.is_matrix:
        with np.errstate(over="ignore"):  # of a spherical variance, by a feature of a much smaller unit
            return params.variances() * scale * scale
    return eigvalsh(params.covariances * scale[:, np.newaxis] * scale)


def block_stats(origin: GaussianParams, residual: Array, weights: Array, resp: Array) -> GaussianStats:
    weighted = weights[:, np.newaxis] * resp
    if origin.is_matrix:
        second = np.stack([outer_sums(residual * column[:, np.newaxis], residual) for column in weighted.T])
    else:
        second = outer_sums(weighted, residual**2)
    counts = weighted.sum(axis=0)
    first = outer_sums(weighted, residual)
    return GaussianStats(origin, counts, 0.0, 0.0, first, second, counts, counts, row_counts=counts)


def row_blocks(n: int, length: int = 4096) -> Iterator[slice]:
    for begin in range(0, n, length):
        yield slice(begin, min(n, begin + length))


# ----------------------------------------------------------------------------------------------------------- binomial


def binomial_start(rows: AnyRows, k: int, *, method: str, rng: np.random.Generator) -> BinomialParams:
    """Probs at even quantiles of the rates of success, at k-means centers of them or at the rates of random rows."""
    rows = subsample(rows, start_size(rows, k), rng).collapsed(most=1.0)
    successes, trials = (array.astype(np.float64) for array in rows.data)
    weights = rows.sample_weight[:, np.newaxis] * trials
    rates = (successes + 0.5) / (trials + 1.0)  # never 0 or 1, from which no M-step returns
    if method == "random":
        shares = rows.sample_weight / rows.sample_weight.sum()
        probs = rates[rng.choice(len(rates), k, replace=len(rates) < k, p=shares)]
    elif method == "kmeans" or (method == "auto" and rates.shape[1] > 1):
        probs = rate_centers(Rows((rates,), rows.sample_weight, rows.backend), k, rng)
    else:
        levels = (np.arange(k) + 0.5) / k
        probs = np.stack([spread_quantiles(r, w, levels) for r, w in zip(rates.T, weights.T, strict=True)], axis=1)
    return BinomialParams(np.full(k, 1 / k), probs)


def rate_centers(rates: Rows, k: int, rng: np.random.Generator) -> Array:
    """k-means centers (k, d) in order; all rates have the same unit."""
    unit = np.ones(rates.data[0].shape[1])
    centers = lloyd(rates, spread_centers(rates, k, unit, rng), unit)
    return centers[np.lexsort(centers.T[::-1])]


def spread_quantiles(values: Array, weights: Array, levels: Array) -> Array:
    """Weighted quantiles; where they tie, moved apart, since EM cannot separate equal components."""
    order = np.argsort(values, kind="stable")
    ends = np.cumsum(weights[order])
    if ends[-1] <= 0:
        return levels
    found: Array = values[order][np.minimum(np.searchsorted(ends, levels * ends[-1]), len(values) - 1)]
    if len(np.unique(found)) == len(found):
        return found
    low, high = values.min(), values.max()
    return 0.5 * found + 0.5 * (low + (high - low) * levels if high > low else levels)
