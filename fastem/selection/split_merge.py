"""Starts from a fitted mixture of another size: a component of it split, or two of them merged."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from fastem._typing import Array
from fastem.data.kmeans import start_size, subsample
from fastem.families.binomial.components import split_binomial
from fastem.families.binomial.model import BinomialParams
from fastem.families.gaussian.components import pooled, split_normal
from fastem.families.gaussian.covariance import diagonal
from fastem.families.gaussian.model import GaussianParams
from fastem.fitting.collapse import without
from fastem.fitting.restarts import led
from fastem.fitting.result import Fit
from fastem.kernels.linear import dot, weighted_sum
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
    starts = [divided(params, component) for component in np.flatnonzero(params.weights > 0).tolist()]
    start, fit = max(((start, run(start)) for start in starts), key=lambda pair: pair[1].loglik)
    return led(start, fit)


def divided(params: Any, component: int) -> Any:
    """With a component as two halves, the second of them last."""
    k = len(params.weights)
    more = replace(params.take(np.append(np.arange(k), component)), weights=np.append(params.weights, 0.0))
    return (split_normal if isinstance(params, GaussianParams) else split_binomial)(more, component, k)


def with_one_less(params: Any) -> Any:
    """Without an empty component if there is one, else with the closest pair merged."""
    empty = np.flatnonzero(params.weights <= 0)
    if len(empty):
        return without(params, int(empty[0]))
    return merged(params, *min(combinations(range(len(params.weights)), 2), key=lambda pair: loss(params, *pair)))


def loss(params: Any, i: int, j: int) -> float:
    """What the mean log likelihood loses, at the most, where one component takes the place of two (Runnalls 2007)."""
    weights = params.weights[[i, j]]
    return float(weights.sum() * spread(one_of(params, i, j))[0] - dot(weights, spread(params.take(np.array([i, j])))))


def spread(params: Any) -> Array:
    """(k,) entropies of the components, up to a constant; of counts that of a toss in each column."""
    if isinstance(params, BinomialParams):
        p = np.clip(params.probs, np.finfo(float).tiny, 1 - np.finfo(float).epsneg)
        return np.asarray(-(p * np.log(p) + (1 - p) * np.log1p(-p)).sum(axis=1))
    if params.is_matrix:
        log_sds = -np.log(diagonal(params.inverse_cholesky()))
        return np.asarray(np.broadcast_to(log_sds.sum(axis=-1), params.weights.shape))
    return np.asarray(np.log(params.variances()).sum(axis=1) / 2)


def one_of(params: Any, i: int, j: int) -> Any:
    """One component with the moments of these two together."""
    two = params.take(np.array([i, j]))
    weights = two.weights / two.weights.sum()
    if isinstance(two, BinomialParams):
        return BinomialParams(np.ones(1), weighted_sum(weights, two.probs)[np.newaxis])
    if two.covariance_type == "tied":
        return pooled(GaussianParams(weights, two.means, np.stack([two.covariances] * 2)))
    return pooled(replace(two, weights=weights))


def merged(params: Any, i: int, j: int) -> Any:
    """With one component in the place of the first of two; a covariance that all share stays as it is."""
    one, weights = one_of(params, i, j), params.weights.copy()
    weights[i] += weights[j]
    values = {"weights": weights} | {name: getattr(params, name).copy() for name in own_groups(params)}
    for name in own_groups(params):
        values[name][i] = getattr(one, name)[0]
    return replace(params, **values).take(np.delete(np.arange(len(weights)), j))


def own_groups(params: Any) -> tuple[str, ...]:
    """Parameters that each component has of its own, beside its weight."""
    if isinstance(params, BinomialParams):
        return ("probs",)
    return ("means",) if params.covariance_type == "tied" else ("means", "covariances")
