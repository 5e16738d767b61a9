"""What families of counts share: factorials for their densities, and starts."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array
from fastem.data.kmeans import lloyd, spread_centers
from fastem.data.rows import Rows

START_METHODS = ("auto", "quantiles", "kmeans", "random")

LOG_ZERO = -1e290
"""log2 of 0 in a table: no count can bring it back into reach, and 0 * LOG_ZERO is 0, as 0 log 0 must be."""

LOG_FACTORIALS = np.array([math.lgamma(n + 1.0) for n in range(256)])
"""log n! where Stirling's series would need more than three terms."""


def log_factorial(n: Array) -> Array:
    """Return log n! of whole numbers in floats: from an exact table, then Stirling's series (DLMF 5.11.1).

    The first term left out is below 1 / (1260 n^5), 1e-15 at n = 256.
    """
    most = len(LOG_FACTORIALS)
    large = np.maximum(n, most)
    series = (1 / 12 - 1 / (360 * large**2)) / large
    stirling = (large + 0.5) * np.log(large) - large + 0.5 * math.log(2 * math.pi) + series
    return np.where(n < most, LOG_FACTORIALS[np.minimum(n, most - 1).astype(np.intp)], stirling)


def fill_rates(given: Array | None, k: int, n_features: int, find: Callable[[int], Array]) -> Array:
    """Return starting rates (k, d): those that are given; rows of NaN, or all of them, are what `find` returns."""
    rates = np.full((k, n_features), np.nan) if given is None else given.copy().reshape(k, -1)
    if len(missing := np.flatnonzero(np.isnan(rates).all(axis=1))):
        rates[missing] = find(len(missing))
    return rates


def starting_rates(
    rates: Rows, masses: Array, k: int, *, method: str, rng: np.random.Generator, highest: float
) -> Array:
    """Return k rates (k, d) at even quantiles of each column of `rates`, at their k-means centers, or random ones.

    Parameters
    ----------
    rates : Rows
        Columns of one unit, none of them at the border of what a rate may be: no M-step returns from there.
    masses : (n, d) array
        What each rate counts in the quantiles of its column.
    k : int
    method : {"auto", "quantiles", "kmeans", "random"}
        "auto" is "quantiles" for one column and "kmeans" for several.
    rng : Generator
    highest : float
        Where all rates of a column are equal, its quantiles move towards even numbers up to this.
    """
    values, weights = rates.data[0], rates.sample_weight
    if method == "random":
        chosen = rng.choice(len(values), k, replace=len(values) < k, p=weights / weights.sum())
        return np.asarray(values[chosen])
    if method == "kmeans" or (method == "auto" and rates.n_features > 1):
        return ordered_centers(rates, k, rng)
    levels = (np.arange(k) + 0.5) / k
    columns = zip(values.T, masses.T, strict=True)
    return np.stack([spread_quantiles(column, mass, levels, highest) for column, mass in columns], axis=1)


def part_sums(labels: NDArray[np.intp], k: int, weights: Array, values: np.ndarray) -> Array:
    """Return (k, d) the sums of weighted columns (n, d) over the rows of each part."""
    columns = (np.bincount(labels, weights * column, k) for column in values.T)
    return np.stack(list(columns), axis=1)


def part_weights(labels: NDArray[np.intp], k: int, weights: Array) -> Array:
    """Return (k,) the mixing weights of parts of the rows; one without rows has a share of one row."""
    counts = np.bincount(labels, weights, k) + 1 / k
    return np.asarray(counts / counts.sum())


def ordered_centers(values: Rows, k: int, rng: np.random.Generator) -> Array:
    """Return k-means centers (k, d) of values whose columns have the same unit, in order."""
    unit = np.ones(values.n_features)
    centers = lloyd(values, spread_centers(values, k, unit, rng), unit)
    return centers[np.lexsort(centers.T[::-1])]


def spread_quantiles(values: Array, weights: Array, levels: Array, highest: float = 1.0) -> Array:
    """Return weighted quantiles at levels (k,); where they tie, moved apart: EM cannot separate equal components.

    They move towards even numbers from the smallest value to the largest one; from 0 to `highest` if these are equal.
    """
    order = np.argsort(values, kind="stable")
    ends = np.cumsum(weights[order])
    if ends[-1] <= 0:
        return highest * levels
    found: Array = values[order][np.minimum(np.searchsorted(ends, levels * ends[-1]), len(values) - 1)]
    if len(np.unique(found)) == len(found):
        return found
    low, high = values.min(), values.max()
    return 0.5 * found + 0.5 * (low + (high - low) * levels if high > low else highest * levels)
