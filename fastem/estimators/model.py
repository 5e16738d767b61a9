"""From an estimator to a fit and back: its settings, the rows of a call, starts; a copy of it with the results."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from fastem._typing import ArrayLike, RowKind
from fastem.data.chunk_source import Chunkable
from fastem.data.chunks import open_chunks
from fastem.data.dask_partitions import open_partitions
from fastem.data.dask_predict import DaskCollection, is_dask
from fastem.data.one_pass import as_chunks, described_by, named_rows
from fastem.data.open import open_rows
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.estimators import fitted_settings, hooks
from fastem.estimators.attributes import set_fit, set_noise_count, set_params
from fastem.estimators.labels import known_rows, start_at_labels, starts_of_known
from fastem.estimators.settings import AUTO
from fastem.estimators.sklearn_compat import learn_features
from fastem.estimators.state import MixtureState
from fastem.families.base import Family
from fastem.families.fixed import Fixed
from fastem.families.known import KnownRows
from fastem.families.params import Params
from fastem.fitting.checkpoint import arrays_of, described
from fastem.fitting.driver import run_em
from fastem.fitting.mixture import Starts, fit_mixture, in_precision, starts_on, steps_of
from fastem.fitting.settings import FitSettings, check_each, of_a_fit, unaltering
from fastem.fitting.stepwise import step
from fastem.fitting.stop import PROPOSAL
from fastem.search.search import polished
from fastem.validation.arrays import (
    as_numeric,
    check_enough_rows,
    check_n_features,
    check_only_chunks,
    check_several_rows,
)
from fastem.validation.parameters import check_shape
from fastem.validation.settings import (
    as_generator,
    check_choice,
    check_improvable,
    check_no_masks,
    check_no_moves,
    check_on_collapse,
)
from fastem.validation.total_weight import warn_of_weights, weights_do_not_count_rows

M = TypeVar("M", bound=MixtureState)

FLOAT32_TOL = 1e-6
"""What rounding in float32 hides of a mean log likelihood."""


def check_settings(mixture: MixtureState) -> FitSettings:
    """Check all settings, and that no method is overridden which is never called; return those of a fit."""
    hooks.refuse(mixture)
    check_each(mixture)
    family = mixture.family
    check_choice(mixture.init_params, "init_params", family.start_methods)
    fixed = Fixed.parse(mixture.fixed, family.parameter_names, n_components(mixture))
    if mixture.order_by is not None:
        check_choice(mixture.order_by, "order_by", family.parameter_names[:2])
        check_no_masks(fixed.by_component)
    check_on_collapse(mixture.on_collapse, bool(fixed))
    if family.init_of_prior(mixture.prior):
        check_no_moves(mixture.order_by, mixture.on_collapse)
    return settings_of_fit(mixture, fixed=fixed)


def settings_of_fit(mixture: MixtureState, **changes: object) -> FitSettings:
    """Return the settings that a fit needs, with those chosen that are left to the estimator."""
    stopping, acceleration = stopping_of(mixture), mixture.acceleration
    if acceleration == AUTO:
        acceleration = "quasi-newton" if stopping == "gain" else None
    return of_a_fit(mixture, **{"stopping": stopping, "acceleration": acceleration} | changes)


def stopping_of(mixture: MixtureState) -> str:
    """Return the stop rule; if the choice is left to us, scikit-learn's where the fit does not search for its start."""
    if mixture.stopping != AUTO:
        return mixture.stopping
    goes_on = mixture.warm_start and is_fitted(mixture)
    return "gain" if mixture.init_params == AUTO and not init_of(mixture) and not goes_on else "loglik"


def n_components(mixture: MixtureState) -> int:
    """Return n_components as an int of Python: products with NumPy's small types may be beyond their range."""
    return int(mixture.n_components)


def check_model(mixture: MixtureState, n_features: int) -> None:
    """Raise ValueError or TypeError for starts and priors that are none for rows of so many features."""
    family, k = mixture.family, n_components(mixture)
    if mixture.prior is not None:
        family.check_prior(mixture.prior, k, n_features)
    family.check_init(init_of(mixture), k, n_features)


def init_of(mixture: MixtureState) -> Mapping[str, ArrayLike]:
    """Return the values that a user has given to start from, by name; those of a prior where there are no others."""
    family = mixture.family
    values = {name: getattr(mixture, f"{name}_init") for name in family.init_names}
    given = {name: value for name, value in values.items() if value is not None}
    return {**family.init_of_prior(mixture.prior), **given}


def is_fitted(mixture: MixtureState) -> bool:
    """Return whether there are parameters, of a fit or a user's."""
    return hasattr(mixture, "weights_")


def starts_of(mixture: MixtureState, count: int | None = None) -> Starts[Any]:
    """Return the starts of a fit, which are drawn from its rows."""
    init, method, k = init_of(mixture), mixture.init_params, n_components(mixture)

    def draw(rows: RowSource, family: Family[Any, Any], rng: np.random.Generator, number: int) -> Any:
        return family.start(rows, k, method=method, rng=rng, first=number == 0, init=init)

    searched = method == "auto" and not init and k > 1
    return Starts(k, int(mixture.n_init) if count is None else count, draw, searched=searched)


def open_data(
    mixture: MixtureState,
    X: ArrayLike | None,
    trials: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    *,
    chunks: Chunkable | None = None,
    **options: Any,
) -> RowSource:
    """Open the rows of a fit: X in memory, of Dask or of Arrow or, where that is None, chunks."""
    if mixture.family.row_kind is RowKind.REAL and not is_coarse(mixture):
        options.setdefault("dtype", np.float64)
    X, chunks = as_chunks(X, chunks)
    if chunks is not None:
        check_only_chunks(X, trials, sample_weight)
        n_features = options.pop("n_features", None)
        found = open_chunks(chunks, trials=trials_of(mixture, trials), fitting=True, **runner_of(mixture), **options)
        check_n_features(found.n_features, n_features, type(mixture).__name__)
        return found
    if is_dask(X):
        options |= {"owner": type(mixture).__name__} | runner_of(mixture)
        return open_partitions(X, trials_of(mixture, trials), cast(DaskCollection | None, sample_weight), **options)
    return open_in_memory(mixture, cast(ArrayLike, X), trials, sample_weight, fitting=True, **options)


def open_in_memory(
    mixture: MixtureState,
    X: ArrayLike,
    trials: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    **options: Any,
) -> Rows:
    """Open rows in memory, for a fit or for predictions."""
    options |= {"owner": type(mixture).__name__} | runner_of(mixture)
    return open_rows(X, trials_of(mixture, trials), sample_weight, **options)


def runner_of(mixture: MixtureState) -> dict[str, Any]:
    """Return what the rows are, and what sweeps them."""
    return {
        "row_kind": mixture.family.row_kind,
        "missing": mixture.missing,
        "backend": mixture.backend,
        "n_threads": mixture.n_threads,
    }


def is_coarse(mixture: MixtureState) -> bool:
    """Return whether a stop rule is coarser than the rounding of a mean log likelihood in float32."""
    shares = {"loglik": 1.0, "gain": PROPOSAL}  # of tol, to which the mean log likelihood has to be known
    return shares.get(stopping_of(mixture), 0.0) * mixture.tol >= FLOAT32_TOL


def trials_of(mixture: MixtureState, trials: ArrayLike | None) -> Any:
    """Return the trials of rows that have any, or n_trials instead of None."""
    return getattr(mixture, "n_trials", None) if trials is None else trials


def identity_of(mixture: MixtureState) -> dict[str, Any]:
    """Return what a checkpoint of a fit has to agree on, beyond the rows."""
    seed = mixture.random_state if mixture.random_state is not None else "None"
    settings = describe_settings(mixture, unaltering(type(mixture)))
    chosen = settings_of_fit(mixture)
    settings |= {"stopping": chosen.stopping, "acceleration": chosen.acceleration}
    return {"class": type(mixture).__name__, "random_state": described(seed), **settings}


def describe_settings(mixture: MixtureState, without: set[str]) -> dict[str, Any]:
    """Return the settings of an estimator, but for some, as JSON can hold them.

    `missing` is among them where it is not what it was before there was such a setting: older files do not have it.
    """
    without = without | ({"missing"} if mixture.missing == "raise" else set())
    found: dict[str, Any] = described(
        {name: value for name, value in mixture.get_params(deep=False).items() if name not in without}
    )
    return found


def fit_data(
    mixture: M,
    X: ArrayLike | None,
    trials: ArrayLike | None,
    sample_weight: ArrayLike | None,
    *,
    chunks: Chunkable | None = None,
    starts: Starts[Any] | None = None,
    labels: ArrayLike | None = None,
    labels_init: ArrayLike | None = None,
    **options: Any,
) -> M:
    """Fit to the rows of a call; return a copy of the mixture with the results.

    Equal rows of counts are fitted as one, with their weight.  starts None draws them, or goes on from the last fit;
    labels are of rows whose component is known, labels_init of all, to begin with.  options: those of `open_data`.
    """
    settings = check_settings(mixture)
    with open_data(mixture, X, trials, sample_weight, chunks=chunks, **options) as rows:
        k, family = n_components(mixture), mixture.family
        if family.row_kind is RowKind.REAL and chunks is None and sample_weight is None:
            check_several_rows(len(rows), rows.n_features, type(mixture).__name__)
        check_enough_rows(len(rows), k)
        check_model(mixture, rows.n_features)
        known = None if labels is None else known_rows(mixture, rows, labels, k)
        source = rows if known is None else known
        distinct = source.collapsed() if family.row_kind.is_counts else source
        family.warn_of_rows(distinct, k)
        rng, identity = as_generator(mixture.random_state), {} if mixture.checkpoint is None else identity_of(mixture)
        begun = Beginning(starts) if starts else beginning_of(mixture, settings, rows, known, labels_init)
        place = {**identity, **begun.told}
        with distinct:
            fit = fit_mixture(
                distinct, family, settings, begun.starts, rng=rng, previous=begun.previous, identity=place
            )
        n_free, total = fit.params.n_free(settings.fixed), fit.stats.total
        no_rows = weights_do_not_count_rows(total, len(rows), n_free, rows.first_weighted)
        fitted = unfinished(mixture, named_rows(X, chunks), rows)
        set_fit(fitted, fit, rows.precision)
        fitted.n_empty_rows_ = rows.n_empty_rows if mixture.missing == "marginalize" else 0
    if no_rows:
        warn_of_weights(total)
    return fitted


class Beginning(NamedTuple):
    """Where a fit begins, the criterion before that, and what tells a checkpoint where it was."""

    starts: Starts[Any]
    previous: float = -math.inf
    told: Mapping[str, object] = MappingProxyType({})


def beginning_of(
    mixture: MixtureState,
    settings: FitSettings,
    rows: RowSource,
    known: KnownRows | None,
    labels_init: ArrayLike | None,
) -> Beginning:
    """Return where a fit begins: at labels, at the last fit, or where starts are drawn."""
    drawn = starts_of(mixture)
    if labels_init is not None:
        values = as_numeric(labels_init, "labels_init", whole=True)
        return Beginning(start_at_labels(drawn, settings, rows, values), told={"labels_init": described(values)})
    if mixture.warm_start and is_fitted(mixture):
        told = {"start": described(arrays_of(mixture.params_))}
        return Beginning(Starts.at(last_params(mixture)), last_criterion(mixture), told)
    if known is None:
        return Beginning(drawn)
    return Beginning(starts_of_known(drawn, settings, known, free=not init_of(mixture)))


def improve_data(
    mixture: M,
    X: ArrayLike | None,
    trials: ArrayLike | None,
    sample_weight: ArrayLike | None,
    *,
    chunks: Chunkable | None = None,
) -> M:
    """Go on from the last fit, and from where splits and merges lead from there; return a copy with the better."""
    params, prior = last_params(mixture), mixture.prior
    has_own = len(mixture.fixed) > 0 or bool(mixture.family.init_of_prior(prior))
    check_improvable(has_own, mixture.checkpoint is not None)

    def draw(rows: RowSource, family: Family[Any, Any], rng: np.random.Generator, number: int) -> Any:
        return params if number == 0 else polished(rows, family, params, rng, prior=prior)

    starts = Starts[Any](len(params.weights), 2, draw, given=True)
    n_features = mixture.params_.n_features
    return fit_data(mixture, X, trials, sample_weight, chunks=chunks, starts=starts, n_features=n_features)


def unfinished(mixture: M, X: object, rows: RowSource) -> M:
    """Return a copy that takes the new attributes, so that the estimator changes when all of them are known.

    After an interruption, or a warning that is an error, it is as it was.
    """
    fitted = object.__new__(type(mixture))
    fitted.__dict__.update(mixture.__dict__)
    learn_features(fitted, described_by(X), rows.n_features)
    return fitted


def last_params(mixture: MixtureState) -> Params:
    """Return the parameters of the last fit, which may have dropped components."""
    fitted_settings.require(mixture, "going on")
    params: Params = mixture.params_
    if mixture.on_collapse != "drop" or len(params.weights) >= n_components(mixture):
        check_shape(params.weights, "weights_", (n_components(mixture),))
    return params


def last_criterion(mixture: MixtureState) -> float:
    """Return what the last fit ended at, for the next to go on from; partial fits and given parameters do not know."""
    by_q = stopping_of(mixture) == "q"
    if hasattr(mixture, "stats_") or not hasattr(mixture, "history_" if by_q else "lower_bound_"):
        return -math.inf
    return float(mixture.history_.q[-1] if by_q and mixture.n_iter_ else mixture.lower_bound_)


def fit_batch(mixture: M, X: ArrayLike | None, trials: ArrayLike | None, sample_weight: ArrayLike | None) -> M:
    """Sweep once over rows that come once; return a copy of the mixture with the results.

    The first rows that come are fitted, for a start.
    """
    settings, known = check_settings(mixture), is_fitted(mixture)
    n_features = mixture.params_.n_features if known else None
    rows = open_data(mixture, X, trials, sample_weight, n_features=n_features, dtype=None)
    check_enough_rows(len(rows), 1 if known else n_components(mixture))
    check_model(mixture, rows.n_features)
    rng, seen = as_generator(mixture.random_state), getattr(mixture, "stats_", None)
    with rows:
        family = mixture.family.for_rows(rows, rng)
        params = last_params(mixture) if known else first_params(mixture, rows, family, settings, rng)
        batch = rows.sweep(params)
    stats = batch if seen is None else step(seen, batch)
    with_prior = stats if mixture.prior is None else stats + mixture.prior.stats(params)
    reached = family.maximize(with_prior, settings.fixed)
    fitted = unfinished(mixture, X, rows)
    set_params(fitted, in_precision(rows.precision, reached), rows.precision)
    fitted.stats_, fitted.counts_, fitted.collapses_ = stats, stats.row_counts, []
    set_noise_count(fitted, stats)
    return fitted


def first_params(
    mixture: MixtureState, rows: RowSource, family: Family[Any, Any], settings: FitSettings, rng: np.random.Generator
) -> Params:
    """Fit the first rows that come, from one start."""
    (start,) = starts_on(rows, family, settings, starts_of(mixture, count=1), rng)
    params: Params = run_em(steps_of(rows, family, settings), start, replace(settings, on_interrupt="raise")).params
    return params.select(params.order(mixture.order_by)) if mixture.order_by else params
