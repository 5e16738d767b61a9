"""Starts from a fitted mixture of another size: one of its components is split, or two of them are merged."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastem.data.base import at_start
from fastem.estimators.base import Mixture
from fastem.estimators.model import fit_data, n_components
from fastem.families.params import Params
from fastem.fitting.driver import run_em
from fastem.fitting.mixture import Starts, steps_of
from fastem.fitting.settings import FitSettings
from fastem.fitting.steps import Steps
from fastem.search.search import polished, with_one_more
from fastem.selection.data import Data, open_rows_of
from fastem.validation.settings import as_generator

MERGES = 5
"""Pairs of components that are merged, each for a start: the bound of what a merge loses is no more than a hint."""
TRIAL_ITERATIONS = 8
"""Iterations on all rows after which starts are compared."""


def fit_neighbour(mixture: Mixture, params: Params, data: Data) -> Mixture:
    """Fit a mixture from the parameters of one with a component more or less, and return a fitted copy."""
    return fit_at(mixture, neighbour(mixture, params, data), data)


def fit_improved(mixture: Mixture, params: Params, data: Data) -> Mixture | None:
    """Fit a mixture from where splits and merges lead from its parameters; None where none gains."""
    rng = as_generator(mixture.random_state)
    with open_rows_of(mixture, data) as rows:
        found = polished(rows, mixture.family.for_rows(rows, rng), params, rng, prior=mixture.prior)
    return None if found is params else fit_at(mixture, found, data)


def fit_at(mixture: Mixture, start: Params, data: Data) -> Mixture:
    """Fit a mixture from these parameters, and return a fitted copy."""
    rows = data.X, data.trials, data.sample_weight
    return fit_data(mixture, *rows, chunks=data.chunks, starts=Starts.at(start))


def neighbour(mixture: Mixture, params: Params, data: Data) -> Params:
    """Return where the best of some splits and additions, or of merges, leads in some iterations on all rows."""
    rng = as_generator(mixture.random_state)
    with open_rows_of(mixture, data) as rows:
        family = mixture.family.for_rows(rows, rng)
        if len(params.weights) > n_components(mixture):
            starts = with_one_less(params)
        else:
            starts = with_one_more(rows, family, params, rng, prior=mixture.prior)
        settings = FitSettings(max_iter=TRIAL_ITERATIONS, tol=0.0, prior=mixture.prior)
        steps: Steps[Params, Any] = steps_of(rows, family, settings)
        trials = [tried(steps, start, settings) for start in starts]
    return max(trials, key=lambda trial: trial.loglik).params


class Trial(NamedTuple):
    """Where some iterations from a start lead, and the log likelihood before the last M-step."""

    params: Params
    loglik: float


def tried(steps: Steps[Params, Any], start: Params, settings: FitSettings) -> Trial:
    """Run some iterations from a start: in one call of a kernel where it can, without all that is known of a fit."""
    if steps.iterate is not None:
        found = steps.iterate(at_start(start), start, 0.0, TRIAL_ITERATIONS)
        if found is not None and len(found.trace) == TRIAL_ITERATIONS:
            return Trial(found.position.reached, float(found.trace[-1, 0]))
    fit = run_em(steps, start, settings)
    return Trial(fit.params, float(fit.history.loglik[-1]))


def with_one_less(params: Params) -> list[Params]:
    """Return the mixture without an empty component if there is one, else with one of the closest pairs merged."""
    empty = np.flatnonzero(params.weights <= 0)
    if len(empty):
        return [params.without(int(empty[0]))]
    losses = params.merge_losses()
    pairs = [divmod(int(place), len(losses)) for place in np.argsort(losses, axis=None, kind="stable")[:MERGES]]
    return [params.merge(i, j) for i, j in pairs if np.isfinite(losses[i, j])]
