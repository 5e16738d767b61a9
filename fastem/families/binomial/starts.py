"""Where a fit of a binomial mixture begins."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array
from fastem.data.kmeans import start_size, subsample
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.families.binomial.model import BinomialParams
from fastem.families.counts import fill_rates, part_sums, part_weights, starting_rates


def start_from(
    given: Mapping[str, Array], rows: RowSource, k: int, *, method: str, rng: np.random.Generator
) -> BinomialParams:
    """Return starting parameters that take what is given of weights and probs.

    Rows of NaN among the probs are found as all of them are where none is given.
    """
    probs = fill_rates(given.get("probs"), k, rows.n_features, partial(find_probs, rows, method=method, rng=rng))
    return BinomialParams(given.get("weights", np.full(k, 1 / k)), probs)


def find_probs(rows: RowSource, k: int, *, method: str, rng: np.random.Generator) -> Array:
    """Return probs (k, d) at even quantiles of the rates of success, at their k-means centers or at random rows."""
    rows = subsample(rows, start_size(rows, k), rng).collapsed(most=1.0)
    successes, trials = (array.astype(np.float64) for array in rows.data)
    rates = (successes + 0.5) / (trials + 1.0)  # never 0 or 1, from which no M-step returns
    masses = rows.sample_weight[:, np.newaxis] * trials
    return starting_rates(
        Rows((rates,), rows.sample_weight, rows.backend), masses, k, method=method, rng=rng, highest=1.0
    )


def of_parts(rows: Rows, labels: NDArray[np.intp], k: int) -> BinomialParams:
    """Return the M-step on rows that are each of one component, with a trial at the rates of all rows in each."""
    (X, trials), weights = rows.data, rows.sample_weight
    successes, all_trials = (part_sums(labels, k, weights, each) for each in (X, trials))
    whole = successes.sum(axis=0) / np.maximum(all_trials.sum(axis=0), 1.0)
    return BinomialParams(part_weights(labels, k, weights), (successes + whole) / (all_trials + 1.0))
