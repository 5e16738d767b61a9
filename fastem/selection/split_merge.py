"""Starts from a fitted mixture of another size: one of its components is split, or two of them are merged."""

from __future__ import annotations

import numpy as np

from fastem.estimators.base import Mixture
from fastem.estimators.model import fit_data, n_components
from fastem.families.params import Params
from fastem.fitting.mixture import Starts
from fastem.search.search import with_one_more
from fastem.selection.data import Data, open_rows_of
from fastem.validation.settings import as_generator


def fit_neighbour(mixture: Mixture, params: Params, data: Data) -> Mixture:
    """Fit a mixture from the parameters of one with a component more or less, and return a fitted copy."""
    start = neighbour(mixture, params, data)
    rows = data.X, data.trials, data.sample_weight
    return fit_data(mixture, *rows, chunks=data.chunks, starts=Starts.at(start))


def neighbour(mixture: Mixture, params: Params, data: Data) -> Params:
    """Return the start of a mixture: the best split of a component, or the closest pair merged."""
    if len(params.weights) > n_components(mixture):
        return with_one_less(params)
    rng = as_generator(mixture.random_state)
    with open_rows_of(mixture, data) as rows:
        found: Params = with_one_more(rows, mixture.family.for_rows(rows, rng), params, rng, prior=mixture.prior)
    return found


def with_one_less(params: Params) -> Params:
    """Return the mixture without an empty component if there is one, else with the closest pair merged."""
    empty = np.flatnonzero(params.weights <= 0)
    if len(empty):
        return params.without(int(empty[0]))
    i, j = divmod(int(np.argmin(params.merge_losses())), len(params.weights))
    return params.merge(i, j)
