"""The search for where a fit begins."""

from __future__ import annotations

import math

import numpy as np

from fastem.data.kmeans import start_size, subsample
from fastem.data.row_source import RowSource
from fastem.families.base import Family, P, Prior, S
from fastem.families.fixed import Fixed
from fastem.search.additions import additions
from fastem.search.begin import beginnings, one_more
from fastem.search.climb import Budget, Climb, Reached
from fastem.search.moves import GAIN, improved, to_maximum

FINALISTS = 2
"""Beginnings that climb to a maximum."""
PATHS = 2
"""Maxima from which splits and merges go on, if beginnings have led to several."""
LAST_ITERATIONS, LAST_TOL = 200, 1e-5
"""The best maximum is climbed nearer than those that are compared."""

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

    Several beginnings run for some iterations, the best of them to their maxima, and from the highest one splits and
    merges go on.  Where anything is fixed there are none of these: components are then not alike.
    """
    climb = climb_on(rows, family, k, rng, fixed, prior, deadline)
    pool = sorted(beginnings(climb, k, rng), key=lambda run: -run.loglik)
    maxima = distinct([to_maximum(climb, run.params) for run in pool[:FINALISTS]], GAIN * climb.total)
    if climb.fixed:
        return maxima[0].params
    best = max((improved(climb, each, rng) for each in maxima[:PATHS]), key=lambda run: run.loglik)
    params = climb(best.params, LAST_ITERATIONS, LAST_TOL).params
    return params.select(params.order(params.parameter_names[1]))  # in an order of their own, not that of the moves


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
    climb = climb_on(rows, family, len(params.weights), rng, prior=prior, deadline=deadline)
    climb.budget.begin(params.sums_length)
    begun = to_maximum(climb, params)
    found = improved(climb, begun, rng)
    return params if found is begun else found.params


def with_one_more(
    rows: RowSource, family: Family[P, S], params: P, rng: np.random.Generator, *, prior: Prior[P, S] | None = None
) -> list[P]:
    """Return mixtures with one component more, to be compared on all rows.

    They are where the best split of a component leads in some iterations, on some of the rows, and mixtures with a
    small component where all rows are denser than the mixture says.
    """
    climb = climb_on(rows, family, len(params.weights) + 1, rng, prior=prior)
    return [one_more(climb, params, rng), *additions(rows, climb.rows, family, params, rng, ADDED)]


def climb_on(
    rows: RowSource,
    family: Family[P, S],
    k: int,
    rng: np.random.Generator,
    fixed: Fixed | None = None,
    prior: Prior[P, S] | None = None,
    deadline: float = math.inf,
) -> Climb[P, S]:
    """Return EM on the rows that a search looks at."""
    few = subsample(rows, start_size(rows, k), rng)
    return Climb(few, family, fixed or Fixed(k), prior, deadline, Budget(len(rows)))


def distinct(runs: list[Reached[P]], apart: float) -> list[Reached[P]]:
    """Return the runs that end at other log likelihoods than those before them, the best first."""
    found: list[Reached[P]] = []
    for run in sorted(runs, key=lambda run: -run.loglik):
        if not found or found[-1].loglik - run.loglik > apart:
            found.append(run)
    return found
