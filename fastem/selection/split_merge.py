"""Starts from a fitted mixture of another size: a component of it split, or two of them merged."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from fastem.data.kmeans import start_size, subsample
from fastem.fitting.restarts import led
from fastem.fitting.result import Fit
from fastem.validation.settings import as_generator

TRIAL_ITERATIONS = 5
"""Of each split, before it is judged."""


def go_on_from(mixture: Any, params: Any, data: dict[str, Any]) -> Any:
    """Fit a mixture from the parameters of one with a component more or less."""
    start = neighbour(mixture, params, data)
    for name, value in mixture._attributes(start).items():
        setattr(mixture, name, value)
    mixture.stats_ = None  # as after partial fits: nothing is known of what was reached
    warm_start, mixture.warm_start = mixture.warm_start, True
    mixture.fit(**data).warm_start = warm_start
    return mixture


def neighbour(mixture: Any, params: Any, data: dict[str, Any]) -> Any:
    """The start of a mixture.  Splits are judged on the rows that a start looks at."""
    k, rng = mixture._k, as_generator(mixture.random_state)
    if len(params.weights) > k:
        return with_one_less(params)
    trials = mixture._tosses(data.get("trials"))
    with mixture._opened(data["X"], None, trials, data["sample_weight"]) as rows:
        few = subsample(rows, start_size(rows, k), rng)
        terms = {"fixed": ()} | mixture._terms(rows, rng)
        run = partial(mixture._em, few, terms=terms, deadline=math.inf, max_iter=TRIAL_ITERATIONS)
        return best_split(params, lambda start: run(start=start))


def best_split(params: Any, run: Callable[[Any], Fit]) -> Any:
    """Of the splits of each component in turn, where the one leads that a short run of EM leaves highest."""
    starts = [params.split(component) for component in np.flatnonzero(params.weights > 0).tolist()]
    start, fit = max(((start, run(start)) for start in starts), key=lambda pair: pair[1].loglik)
    return led(start, fit)


def with_one_less(params: Any) -> Any:
    """Without an empty component if there is one, else with the closest pair merged."""
    empty = np.flatnonzero(params.weights <= 0)
    if len(empty):
        return params.without(int(empty[0]))
    pairs = combinations(range(len(params.weights)), 2)
    return params.merge(*min(pairs, key=lambda pair: params.merge_loss(*pair)))
