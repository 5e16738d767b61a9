"""The search for where a fit begins."""

from __future__ import annotations

import math

import numpy as np

from fastem.data.kmeans import start_size, subsample
from fastem.data.row_source import RowSource
from fastem.families.base import Family, P, Prior, S
from fastem.families.fixed import Fixed
from fastem.search.begin import beginnings
from fastem.search.climb import Climb
from fastem.search.moves import improved, to_maximum

FINALISTS = 3
"""Beginnings that climb to a maximum."""


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
    few = subsample(rows, start_size(rows, k), rng)
    climb = Climb(few, family, fixed or Fixed(k), prior, deadline)
    pool = sorted(beginnings(climb, k, rng), key=lambda run: -run.loglik)
    best = max((to_maximum(climb, run.params) for run in pool[:FINALISTS]), key=lambda run: run.loglik)
    if climb.fixed:
        return best.params
    params = improved(climb, best, rng).params
    return params.select(params.order(params.parameter_names[1]))  # in an order of their own, not that of the moves
