"""The search for where a fit begins."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from fastem.data.kmeans import start_size, subsample
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.families.base import Family, P, Prior, S
from fastem.families.fixed import Fixed
from fastem.search.additions import additions
from fastem.search.begin import beginnings, one_more
from fastem.search.climb import Budget, Climb, Reached
from fastem.search.moves import GAIN, improved, more_suspects, to_maximum, with_rare

FINALISTS = 2
"""Beginnings that climb to a maximum."""
PATHS = 2
"""Maxima from which splits and merges go on, if beginnings have led to several."""

MANY_ROWS, MANY_VALUES = 1 << 16, 1 << 20
"""Rows that tell whether there are rare components, at the most, and numbers in them: the memory of a search."""
ADDED = 2
"""Small components that are tried, each alone, where there is to be one component more."""


def search(
    rows: RowSource,
    family: Family[P, S],
    k: int,
    rng: np.random.Generator,
    *,
    fixed: Fixed | None = None,
    prior: Prior[P, S] | None = None,
    deadline: float = math.inf,
) -> P:
    """Return the best maximum of k components that a search finds on some of the rows.

    Several beginnings run for some iterations, the best of them to their maxima, from which splits and merges go on.
    Where these paths end at different maxima, others follow until the highest has been met twice.  Then, on more rows,
    components are added where these are denser than the mixture says.  Where anything is fixed there are none of
    these: components are then not alike.
    """
    found = search_on(rows, family, k, rng, fixed, prior, deadline)
    if not rows.has_missing:
        return found
    # what the first search was handed for missing values was that of one component
    return search_on(rows, family, k, rng, fixed, prior, deadline, found)


def search_on(
    rows: RowSource,
    family: Family[P, S],
    k: int,
    rng: np.random.Generator,
    fixed: Fixed | None,
    prior: Prior[P, S] | None,
    deadline: float,
    params: P | None = None,
) -> P:
    """Return what a search finds where missing values are drawn from the components of params."""
    few, many = samples(rows, k, rng, params)
    climb = Climb(few, family, fixed or Fixed(k), prior, deadline, Budget(len(rows)))
    pool = sorted(beginnings(climb.coarse(k), k, rng), key=lambda run: -run.loglik)
    maxima = distinct([to_maximum(climb, run.params) for run in pool[:FINALISTS]], GAIN * climb.total)
    if climb.fixed:
        return maxima[0].params
    ends: list[float] = []
    found = distinct([improved(climb, each, rng, ends) for each in maxima[:PATHS]], GAIN * climb.total)
    best = found[0] if len(found) == 1 else met_again(climb, found[0], rng, ends)
    params = on_more_rows(climb, many, best.params, rng)
    return params.select(params.order(params.parameter_names[1]))  # in an order of their own, not that of the moves


def met_again(climb: Climb[P, S], best: Reached[P], rng: np.random.Generator, ends: list[float]) -> Reached[P]:
    """Return the highest end of further paths, whose beginnings are drawn anew, until one ends where the best does.

    An end with more components that are suspect is not taken.
    """
    k = len(best.params.weights)
    for run in beginnings(climb.coarse(k), k, rng):
        if climb.is_over:
            break
        end = improved(climb, to_maximum(climb, run.params), rng, ends)
        met = abs(end.loglik - best.loglik) < GAIN * climb.total
        if end.loglik > best.loglik and not more_suspects(climb, end.params, best.params):
            best = end
        if met:
            break
    return best


def polished(
    rows: RowSource,
    family: Family[P, S],
    params: P,
    rng: np.random.Generator,
    *,
    prior: Prior[P, S] | None = None,
    deadline: float = math.inf,
) -> P:
    """Return where splits and merges lead from these parameters on some of the rows; these where none gains."""
    few, many = samples(rows, k := len(params.weights), rng, params)
    climb = Climb(few, family, Fixed(k), prior, deadline, Budget(len(rows)))
    climb.budget.begin(params.sums_length)
    begun = to_maximum(climb, params)
    found = improved(climb, begun, rng, [])
    return on_more_rows(climb, many, params if found is begun else found.params, rng)


def on_more_rows(climb: Climb[P, S], many: Rows, params: P, rng: np.random.Generator) -> P:
    """Return where components lead that are rare: more rows have to say that they are there."""
    if len(many) <= len(climb.rows) or climb.is_over:
        return params
    wide = replace(climb, rows=many)
    return with_rare(wide, to_maximum(wide, params), climb.rows, rng).params


def with_one_more(
    rows: RowSource, family: Family[P, S], params: P, rng: np.random.Generator, *, prior: Prior[P, S] | None = None
) -> list[P]:
    """Return mixtures with one component more, to be compared on all rows.

    They are where the best split of a component leads in some iterations, on some of the rows, and mixtures with a
    small component where all rows are denser than the mixture says.
    """
    few = subsample(rows, start_size(rows, k := len(params.weights) + 1), rng, params)
    climb = Climb(few, family, Fixed(k), prior, budget=Budget(len(rows)))
    return [one_more(climb, params, rng), *additions(rows, few, family, params, rng, ADDED)]


def samples(rows: RowSource, k: int, rng: np.random.Generator, params: P | None = None) -> tuple[Rows, Rows]:
    """Return the rows that a search looks at, and more of them, which tell whether there are rare components.

    Missing values are drawn from the components of params or, without any, from one.
    """
    size = start_size(rows, k)
    many = subsample(rows, max(size, min(MANY_ROWS, MANY_VALUES // rows.n_features)), rng, params)
    return many if len(many) <= size else subsample(many, size, rng), many


def distinct(runs: list[Reached[P]], apart: float) -> list[Reached[P]]:
    """Return the runs that end at other log likelihoods than those before them, the best first."""
    found: list[Reached[P]] = []
    for run in sorted(runs, key=lambda run: -run.loglik):
        if not found or found[-1].loglik - run.loglik > apart:
            found.append(run)
    return found
