"""Where a fit of a binomial mixture begins."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fastem._typing import Array
from fastem.data.kmeans import lloyd, spread_centers, start_size, subsample
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.families.binomial.model import BinomialParams

START_METHODS = ("auto", "quantiles", "kmeans", "random")


def start_from(
    given: Mapping[str, Array], rows: RowSource, k: int, *, method: str, rng: np.random.Generator
) -> BinomialParams:
    """Return starting parameters that take what is given of weights and probs; rows of NaN among the probs are
    found."""
    probs = given["probs"].copy().reshape(k, -1) if "probs" in given else np.full((k, rows.n_features), np.nan)
    if len(missing := np.flatnonzero(np.isnan(probs).all(axis=1))):
        probs[missing] = rates_start(rows, len(missing), method=method, rng=rng).probs
    return BinomialParams(given.get("weights", np.full(k, 1 / k)), probs)


def rates_start(rows: RowSource, k: int, *, method: str, rng: np.random.Generator) -> BinomialParams:
    """Return probs at even quantiles of the rates of success, at their k-means centers or at rates of random rows."""
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
    """Return k-means centers (k, d) in order; all rates have the same unit."""
    unit = np.ones(rates.data[0].shape[1])
    centers = lloyd(rates, spread_centers(rates, k, unit, rng), unit)
    return centers[np.lexsort(centers.T[::-1])]


def spread_quantiles(values: Array, weights: Array, levels: Array) -> Array:
    """Return weighted quantiles; where they tie, moved apart, since EM cannot separate equal components."""
    order = np.argsort(values, kind="stable")
    ends = np.cumsum(weights[order])
    if ends[-1] <= 0:
        return levels
    found: Array = values[order][np.minimum(np.searchsorted(ends, levels * ends[-1]), len(values) - 1)]
    if len(np.unique(found)) == len(found):
        return found
    low, high = values.min(), values.max()
    return 0.5 * found + 0.5 * (low + (high - low) * levels if high > low else levels)
