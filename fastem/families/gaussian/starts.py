"""Where a fit of a Gaussian mixture begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array
from fastem.data.kmeans import START_ROWS, lloyd, spread_centers, start_size, subsample
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.families.gaussian.matrices import RESOLUTION, SMALLEST_MAGNITUDE, SMALLEST_VARIANCE
from fastem.families.gaussian.model import GaussianParams, GaussianStats
from fastem.kernels.linear import outer_sums, weighted_sum
from fastem.validation.parameters import check_magnitudes, check_well_defined

START_METHODS = ("auto", "kmeans", "k-means++", "random", "random_from_data")
RELATIVE = 1e-6
"""The share of a feature's variance that reg_covar="auto" adds: scikit-learn's 1e-6 in units of the feature."""
COLLAPSED = 1e-14
"""A variance below this share of that of all rows is rounding in the sums of a partition."""
Partition = Callable[[slice], Array]
"""A function from a slice of b rows to their responsibilities (b, k)."""


def start_from(
    given: Mapping[str, Array],
    rows: RowSource,
    k: int,
    covariance_type: str,
    *,
    method: str,
    reg_covar: float | Array,
    rng: np.random.Generator,
) -> GaussianParams:
    """Return starting parameters that take what is given of weights, means and precisions.

    Rows of NaN among the means are found as the rest is.
    """
    weights, means, precisions = (given.get(name) for name in ("weights", "means", "precisions"))
    gaps = np.array([False] if means is None else np.isnan(means).all(axis=1))
    if weights is not None and means is not None and precisions is not None and not gaps.any():
        return GaussianParams.from_precisions(weights, means, precisions, covariance_type)
    n_missing = int(gaps.sum()) or k
    start = partition_start(rows, n_missing, covariance_type, method=method, reg_covar=reg_covar, rng=rng)
    if means is not None and gaps.any():
        start = with_means(start, means, gaps)
        means = start.means
    weights = start.weights if weights is None else weights
    means = start.means if means is None else means
    if precisions is not None:
        return GaussianParams.from_precisions(weights, means, precisions, covariance_type)
    return GaussianParams(weights, means, start.covariances, covariance_type)


def partition_start(
    rows: RowSource,
    k: int,
    covariance_type: str,
    *,
    method: str,
    reg_covar: float | Array,
    rng: np.random.Generator,
) -> GaussianParams:
    """Return starting parameters for k components: those of a partition of the rows, hard or (method "random") soft."""
    rows = subsample(rows, start_size(rows, k), rng)
    X = rows.data[0]
    scale = feature_scale(X, rows.sample_weight)
    if method == "random":
        return partition_params(rows, k, scale, covariance_type, reg_covar, random_partition(k, rng))
    if method == "random_from_data":
        centers = X[rng.choice(len(X), k, replace=len(X) < k)].astype(np.float64)
    else:
        centers = spread_centers(rows, k, scale, rng)
    if method in ("auto", "kmeans"):
        centers = lloyd(rows, centers, scale)
    centers = centers[np.lexsort(centers.T[::-1])]  # components in an order of their own, not that of the draws
    labels = rows.nearest(centers, scale)[1]
    return partition_params(rows, k, scale, covariance_type, reg_covar, lambda block: np.eye(k)[labels[block]])


def automatic_reg_covar(rows: RowSource, rng: np.random.Generator) -> Array:
    """Return (d,) RELATIVE of each feature's variance; of 1 for a constant feature."""
    few = subsample(rows, START_ROWS, rng)
    return RELATIVE * (1.0 / feature_scale(few.data[0], few.sample_weight)) ** 2


def feature_scale(X: np.ndarray, weights: Array) -> Array:
    """Return (d,) 1 / standard deviation, so that units do not matter; 1 for a constant feature."""
    residual = X - X[0].astype(np.float64)  # exactly 0 for a constant feature
    mean = weighted_sum(weights, residual) / weights.sum()
    deviation = np.sqrt(weighted_sum(weights, (residual - mean) ** 2) / weights.sum())
    if not deviation.all():  # of a constant feature, or where squares underflow
        check_magnitudes(np.abs(residual).max(axis=0) * (deviation == 0), SMALLEST_MAGNITUDE)
    return 1.0 / np.where(deviation > RESOLUTION * np.abs(X[0]), deviation, 1.0)


def with_means(found: GaussianParams, means: Array, where: NDArray[np.bool_]) -> GaussianParams:
    """Return the components that were found at `where`; others have these means, weight 1 / k, the mean covariance."""
    k = len(means)
    weights, means = np.full(k, 1 / k), means.copy()
    weights[where] = found.weights * where.mean()
    means[where] = found.means
    return GaussianParams(weights, means, found.structure.fill_missing(where), found.covariance_type)


def random_partition(k: int, rng: np.random.Generator) -> Partition:
    """Return a partition with responsibilities (b, k) that are drawn at random, and sum to 1 in each row."""

    def responsibilities(block: slice) -> Array:
        resp = rng.random((block.stop - block.start, k))
        return np.asarray(resp / resp.sum(axis=1, keepdims=True))

    return responsibilities


def partition_params(
    rows: Rows, k: int, scale: Array, covariance_type: str, reg_covar: float | Array, partition: Partition
) -> GaussianParams:
    """Return the M-step on given responsibilities; a component without rows takes the variances of all rows."""
    X, weights = rows.data[0], rows.sample_weight
    mean = weighted_sum(weights, X) / weights.sum()
    variances = np.maximum((1.0 / scale) ** 2, SMALLEST_VARIANCE)
    origin = GaussianParams.from_variances(np.tile(mean, (k, 1)), variances, covariance_type)
    pieces = [block_stats(origin, X[b] - mean, weights[b], partition(b)) for b in row_blocks(len(X))]
    params = sum(pieces[1:], start=pieces[0]).maximize(reg_covar=reg_covar)
    if not np.any(reg_covar):
        check_well_defined(relative_extents(params, scale), COLLAPSED)
    return params


def relative_extents(params: GaussianParams, scale: Array) -> Array:
    """Return the variances along the axes of each component, each feature in units of its own standard deviation."""
    return params.structure.along_axes(scale)


def block_stats(origin: GaussianParams, residual: Array, weights: Array, resp: Array) -> GaussianStats:
    """Return the statistics of a block of rows about the means of `origin`, which all components share.

    residual (b, d) are the rows about these means, and resp (b, k) their responsibilities.
    """
    weighted = weights[:, np.newaxis] * resp
    if origin.is_matrix:
        second = np.stack([scatter(residual, column) for column in weighted.T])
    else:
        second = outer_sums(weighted, residual**2)
    counts = weighted.sum(axis=0)
    first = outer_sums(weighted, residual)
    return GaussianStats(origin, counts, 0.0, 0.0, first, second, counts, counts, row_counts=counts)


def scatter(residual: Array, weights: Array) -> Array:
    """Return (d, d) sum w r r^T; of a partition most rows have no weight in a component, and are left out."""
    if not weights.all():
        rows = np.flatnonzero(weights)
        residual, weights = residual.take(rows, axis=0), weights.take(rows)
    return outer_sums(residual * weights[:, np.newaxis], residual)


def row_blocks(n: int, length: int = 4096) -> Iterator[slice]:
    """Yield slices that cut n rows into blocks, the last of which may be shorter."""
    for begin in range(0, n, length):
        yield slice(begin, min(n, begin + length))
