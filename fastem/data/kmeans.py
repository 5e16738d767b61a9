"""The rows that a start is made from, and k-means on them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array, SweptParams, SweptStats
from fastem.data.completion import completed
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.data.slots import NOT_FINITE, as_table
from fastem.kernels.backend import spread_rows
from fastem.validation.arrays import LARGEST_MAGNITUDE

LARGEST = np.float64(LARGEST_MAGNITUDE[np.dtype(np.float64)])
"""Rows beyond it are refused when they are first read; later passes may come otherwise.  It has a type of NumPy's, so
that float32 rows are compared with it as float64."""
START_ROWS = 1 << 13
"""A start is made from at least so many rows.  Fits of 2e5 rows end no lower than from starts on all rows (which of
several maxima is found is luck either way); from half as many they do (bench/start_rows.py)."""
ROWS_PER_MEAN = 8
"""Rows that a start is made from for each of the k (d + 1) numbers in centers and weights: a cluster then has 8 (d + 1)
rows, for a covariance of full rank."""
RANDOM_HALVES = 2
"""How often a component is cut by two random rows of it."""
LLOYD_STEPS = 100
LLOYD_TOL = 1e-4
"""k-means stops when its inertia falls by less than this share: EM moves on from there."""


def start_size(rows: RowSource, k: int) -> int:
    """Return how many rows a start of k components is made from."""
    return max(START_ROWS, ROWS_PER_MEAN * k * (rows.n_features + 1))


def subsample(
    rows: RowSource, size: int, rng: np.random.Generator, params: SweptParams[SweptStats] | None = None
) -> Rows:
    """Return the rows that have weight, or `size` of all drawn without replacement, in sorted order.

    The order makes a start the same however the rows come, and a row of weight w the same as w equal rows.  Missing
    values are completed by draws: from the components of params or, without any, from one.
    """
    n = len(rows)
    if n > size:
        sample = rows.take(rng.choice(n, size, replace=False, shuffle=False))
    else:
        sample = rows if isinstance(rows, Rows) else rows.take(np.arange(n))
    if sample.has_missing:
        sample = without_gaps(
            sample if sample.weight_of_values.any() else rows.take(rows.first_weighted(size)), rng, params
        )
    if not all((np.abs(array) <= LARGEST).all() for array in sample.data):  # false for NaN as well
        rows.check_values()
        raise ValueError(NOT_FINITE)
    if not sample.sample_weight.any():
        sample = rows.take(rows.first_weighted(size))
    if not sample.sample_weight.all():
        sample = sample.take(np.flatnonzero(sample.sample_weight))
    return sample.take(sorting([column for array in sample.data for column in array.T]))


def thinned(rows: Rows, most: int) -> Rows:
    """Return at most so many of sorted rows, at even steps of their weight, each with the weight of its step."""
    if len(rows) <= most:
        return rows
    edges = np.cumsum(rows.sample_weight)
    steps = (np.arange(most) + 0.5) / most * edges[-1]
    positions, counts = np.unique(np.searchsorted(edges, steps), return_counts=True)
    found = rows.take(positions)
    found.sample_weight[:] = counts * (edges[-1] / most)
    return found


def without_gaps(sample: Rows, rng: np.random.Generator, params: SweptParams[SweptStats] | None) -> Rows:
    """Return the rows that have values and weight, with draws in the place of what is missing."""
    sample = sample.take(np.flatnonzero(sample.weight_of_values))
    return completed(sample, rng, None if params is None else sample.posterior(params, "labels").labels)


def sorting(columns: list[np.ndarray]) -> np.ndarray:
    """Return the order of rows by their last column, equal ones by that before it, and so on: as np.lexsort.

    As few columns are sorted as tell all rows apart: of float64 rows one, of float32 two, in a tenth of the time.
    """
    for few in (columns[-1:], columns[-2:])[: max(1, len(columns) - 1)]:
        order = np.lexsort(few) if len(few) > 1 else np.argsort(few[0])
        if np.any([column[order[1:]] != column[order[:-1]] for column in few], axis=0).all():
            return order
    return np.lexsort(columns)


def spread_centers(rows: Rows, k: int, scale: Array, rng: np.random.Generator) -> Array:
    """Choose k centers (k, d) by greedy k-means++ (Arthur and Vassilvitskii 2007).

    Each center is the best of 2 + log k draws, as in scikit-learn.
    """
    first, others = rng.random(1), rng.random((k - 1, 2 + int(np.log(k))))
    uniforms = np.concatenate([np.full((1, others.shape[1]), first), others])
    chosen = spread_rows(rows.data[0], rows.sample_weight, as_table(scale), uniforms)
    return np.asarray(rows.data[0][chosen], np.float64)


def lloyd(rows: Rows, centers: Array, scale: Array) -> Array:
    """Run k-means by Lloyd's algorithm; a center that loses all its rows moves to the row farthest from its own."""
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


def halves(values: Array, weights: Array, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Yield labels (n,), 0 and 1, of what is nearer to either of two random rows of values (n, d)."""
    edges = np.cumsum(weights)
    for _ in range(RANDOM_HALVES):
        first, second = values[np.searchsorted(edges, rng.random(2) * edges[-1])]
        side = ((values - first) ** 2).sum(axis=1) < ((values - second) ** 2).sum(axis=1)
        if side.any() and not side.all():
            yield side.astype(np.intp)
