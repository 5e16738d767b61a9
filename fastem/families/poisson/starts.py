"""Where a fit of a Poisson mixture begins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array
from fastem.data.kmeans import start_size, subsample
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.families.counts import fill_rates, part_sums, part_weights, starting_rates
from fastem.families.poisson.model import PoissonParams
from fastem.validation.arrays import LARGEST_COUNT


def start_from(
    given: Mapping[str, Array], rows: RowSource, k: int, *, method: str, rng: np.random.Generator
) -> PoissonParams:
    """Return starting parameters that take what is given of weights and rates.

    Rows of NaN among the rates are found.
    """
    rates = fill_rates(given.get("rates"), k, rows.n_features, partial(find_rates, rows, method=method, rng=rng))
    return PoissonParams(given.get("weights", np.full(k, 1 / k)), rates)


def find_rates(rows: RowSource, k: int, *, method: str, rng: np.random.Generator) -> Array:
    """Return rates (k, d) at even quantiles of the counts, at k-means centers or at random rows.

    k-means compares the square roots of counts, which all have about the same variance, 1/4 (Bartlett 1936).
    """
    rows = subsample(rows, start_size(rows, k), rng).collapsed(most=1.0)
    roots = np.sqrt(rows.data[0].astype(np.float64) + 0.5)  # never 0, from which no M-step returns
    masses = np.broadcast_to(rows.sample_weight[:, np.newaxis], roots.shape)
    of_roots = Rows((roots,), rows.sample_weight, rows.backend)
    highest = min(2 * float(roots.max()), math.sqrt(LARGEST_COUNT))
    rates = starting_rates(of_roots, masses, k, method=method, rng=rng, highest=highest) ** 2
    return np.minimum(rates, LARGEST_COUNT)


def of_parts(rows: Rows, labels: NDArray[np.intp], k: int) -> PoissonParams:
    """Return the M-step on rows that are each of one component, with a row at the rates of all rows in each."""
    X, weights = rows.data[0], rows.sample_weight
    events, counts = part_sums(labels, k, weights, X), np.bincount(labels, weights, k)[:, np.newaxis]
    rates = (events + events.sum(axis=0) / counts.sum()) / (counts + 1.0)
    return PoissonParams(part_weights(labels, k, weights), rates)
