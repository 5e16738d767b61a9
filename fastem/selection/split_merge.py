"""Starts from a fitted mixture of another size: one of its components is split, or two of them are merged."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np

from fastem.data.kmeans import start_size, subsample
from fastem.estimators.base import Mixture
from fastem.estimators.model import fit_data, n_components, open_data, settings_of_fit
from fastem.families.base import P, S
from fastem.families.params import Params
from fastem.fitting.driver import run_em
from fastem.fitting.mixture import Starts, steps_of
from fastem.fitting.restarts import continue_from
from fastem.fitting.result import Fit
from fastem.selection.data import Data
from fastem.validation.settings import as_generator

TRIAL_ITERATIONS = 5
"""Number of iterations that each split gets before the best one is chosen."""


def fit_neighbour(mixture: Mixture, params: Params, data: Data) -> Mixture:
    """Fit a mixture from the parameters of one with a component more or less, and return a fitted copy."""
    start = neighbour(mixture, params, data)
    return fit_data(mixture, data.X, data.trials, data.sample_weight, starts=Starts.at(start))


def neighbour(mixture: Mixture, params: Params, data: Data) -> Params:
    """Return the start of a mixture: the best split, judged on a sample of the rows, or the closest pair merged."""
    k, rng = n_components(mixture), as_generator(mixture.random_state)
    if len(params.weights) > k:
        return with_one_less(params)
    short = settings_of_fit(mixture, fixed=(), max_iter=TRIAL_ITERATIONS, callback=None, on_interrupt="raise")
    with open_data(mixture, data.X, data.trials, data.sample_weight) as rows:
        sample = subsample(rows, start_size(rows, k), rng)
        steps = steps_of(sample, mixture.family.for_rows(rows, rng), short)
        start: Params = best_split(params, lambda split: run_em(steps, split, short))
    return start


def best_split(params: P, run: Callable[[P], Fit[P, S]]) -> P:
    """Split each component in turn, run EM shortly from each split, and return where the best of these runs leads."""
    starts = [params.split(component) for component in np.flatnonzero(params.weights > 0).tolist()]
    start, fit = max(((start, run(start)) for start in starts), key=lambda pair: pair[1].loglik)
    return continue_from(start, fit)


def with_one_less(params: Params) -> Params:
    """Return the mixture without an empty component if there is one, else with the closest pair merged."""
    empty = np.flatnonzero(params.weights <= 0)
    if len(empty):
        return params.without(int(empty[0]))
    pairs = combinations(range(len(params.weights)), 2)
    return params.merge(*min(pairs, key=lambda pair: params.merge_loss(*pair)))
