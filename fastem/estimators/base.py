"""What the estimators share: they check settings, wire starts, sweeps and the driver together, and compute nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

import numpy as np

from fastem._errstate import own_methods
from fastem._storage import encode, write
from fastem._typing import RowKind
from fastem.data.chunks import open_chunks
from fastem.data.dask_partitions import open_partitions
from fastem.data.dask_predict import DaskArray, described_by, is_dask, lazy_posterior, mean_of
from fastem.data.kmeans import start_size, subsample
from fastem.data.open import open_rows
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.estimators import fitted_settings, hooks
from fastem.estimators.attributes import MadeOf, is_constant, made_constant, snapshot
from fastem.estimators.sklearn_compat import (
    BaseEstimator,
    ConvergenceWarning,
    DensityMixin,
    NotFittedError,
    learn_features,
    same_features,
)
from fastem.exceptions import EmptyComponentWarning, EqualComponentWarning, warn
from fastem.families.base import Family
from fastem.families.fixed import Fixed
from fastem.fitting.acceleration import ACCELERATORS
from fastem.fitting.checkpoint import Journal, arrays_of, described
from fastem.fitting.collapse import POLICIES, Watch, inseparable, renumbered
from fastem.fitting.driver import ON_INTERRUPT, STOPPING, LastSweep, em
from fastem.fitting.progress import Bar, Lines, Progress
from fastem.fitting.restarts import CARRIED, SCREEN_ITERATIONS, Start, best_first, warmed
from fastem.fitting.result import Fit, still_to_go
from fastem.fitting.stepwise import step
from fastem.inference.diagnosis import Diagnosis, diagnosis
from fastem.inference.standard_errors import StandardErrors, standard_errors
from fastem.kernels.linear import dot
from fastem.kernels.twins import BACKENDS
from fastem.validation.arrays import as_sample_weight, check_only_chunks, warn_of_weights, weights_do_not_count_rows
from fastem.validation.parameters import check_n_features_in, check_shape, float_type_for
from fastem.validation.settings import (
    as_generator,
    as_path,
    check_bool,
    check_can_be_saved,
    check_choice,
    check_integer,
    check_n_samples,
    check_no_masks,
    check_no_prior,
    check_non_negative,
    check_on_collapse,
    check_path,
    check_random_state,
)

WITHOUT_EFFECT = {
    "random_state", "n_threads", "verbose", "verbose_interval", "max_time", "on_interrupt", "checkpoint",
    "checkpoint_every",
}  # fmt: skip
"""Settings that a fit can be resumed without: on what it ends at they have none, or the checkpoint has its own."""

MODEL, MODEL_LAYOUT = "fastem model", 1

NOT_FITTED = "This {} instance is not fitted yet. Call 'fit' with appropriate arguments before using this estimator."


def is_fitted_attribute(name: str) -> bool:
    """By the custom of scikit-learn."""
    return name.endswith("_") and not name.startswith("_")


def told_in(precision: type[np.floating], params: Any) -> Any:
    """Rounded to float32 for rows of float32, where that is no other model."""
    return params.rounded_to_float32() if precision is np.float32 else params


@own_methods
class Mixture(DensityMixin, BaseEstimator):
    """What both estimators share: the fit of several starts, its attributes, predictions."""

    n_components: int
    tol: float
    max_iter: int
    n_init: int
    init_params: str
    fixed: Any
    prior: Any
    order_by: str | None
    stopping: str
    acceleration: str | None
    warm_sweeps: str | None
    on_collapse: str
    max_time: float | None
    on_interrupt: str
    checkpoint: Any
    checkpoint_every: float
    random_state: Any
    warm_start: bool
    verbose: int
    verbose_interval: int
    backend: str
    n_threads: int | None

    _row_kind = RowKind.REAL
    _groups: tuple[str, ...]
    _starts: tuple[str, ...]

    def _check_settings(self) -> Fixed:
        """ValueError or TypeError for a setting that is none, or a hook that is never called; -> what is held fixed."""
        hooks.refuse(self)
        check_integer(self.n_components, "n_components", 1)
        check_non_negative(self.tol, "tol")
        check_integer(self.max_iter, "max_iter", 0)
        check_integer(self.n_init, "n_init", 1)
        check_choice(self.init_params, "init_params", self._starts)
        fixed = Fixed.parse(self.fixed, self._groups, self._k)
        check_choice(self.stopping, "stopping", STOPPING)
        if self.acceleration is not None:
            check_choice(self.acceleration, "acceleration", ACCELERATORS)
        if self.warm_sweeps is not None:
            check_choice(self.warm_sweeps, "warm_sweeps", ("auto",))
        if self.order_by is not None:
            check_choice(self.order_by, "order_by", self._groups[:2])
            check_no_masks(fixed.by_component)
        check_choice(self.on_collapse, "on_collapse", POLICIES)
        check_on_collapse(self.on_collapse, bool(fixed))
        if self.max_time is not None:
            check_non_negative(self.max_time, "max_time")
        check_choice(self.on_interrupt, "on_interrupt", ON_INTERRUPT)
        if self.checkpoint is not None:
            check_path(self.checkpoint, "checkpoint")
        check_non_negative(self.checkpoint_every, "checkpoint_every")
        check_bool(self.warm_start, "warm_start")
        check_integer(self.verbose, "verbose", 0) if not isinstance(self.verbose, bool) else None
        check_integer(self.verbose_interval, "verbose_interval", 1)
        check_choice(self.backend, "backend", BACKENDS)
        if self.n_threads is not None:
            check_integer(self.n_threads, "n_threads", 1)
        check_random_state(self.random_state)
        return fixed

    @property
    def _k(self) -> int:
        """n_components as an int of Python: products with one of NumPy's small types may be beyond its range."""
        return int(self.n_components)

    # ---- for the families to say

    def _params(self, arrays: dict[str, np.ndarray], changed: set[str]) -> Any:
        """The parameters that these attributes tell; `changed` are those that a user has changed."""
        raise NotImplementedError

    def _attributes(self, params: Any) -> dict[str, np.ndarray]:
        """The public attributes of these parameters."""
        raise NotImplementedError

    def _family(self) -> Family[Any, Any]:
        """The family, with the settings of its model."""
        raise NotImplementedError

    # ---- what the family answers

    def _init(self) -> dict[str, Any]:
        """What starts are given, by name."""
        found = {name: getattr(self, f"{name}_init") for name in self._family().init_names}
        return {name: value for name, value in found.items() if value is not None}

    def _check_inits(self, d: int) -> None:
        """ValueError or TypeError for starts and priors that are none of rows of d features."""
        self._family().check_init(self._init(), self._k, d)
        if self.prior is not None:
            self._family().check_prior(self.prior, d)

    def _terms(self, rows: RowSource, rng: np.random.Generator) -> dict[str, Any]:
        return {"family": self._family().for_rows(rows, rng)}

    def _start(self, rows: RowSource, rng: np.random.Generator, terms: dict[str, Any], *, first: bool) -> Any:
        options = {"method": self.init_params, "rng": rng, "first": first, "init": self._init()}
        return terms["family"].start(rows, self._k, **options)

    # ---- parameters

    _constant: frozenset[str] = frozenset()
    """Attributes that are read-only arrays: they are large, and what is made of them is kept."""

    @property
    def params_(self) -> Any:
        """The fitted parameters as a value of the building blocks; NotFittedError before a fit, ValueError where they
        or the settings that they are read with have been changed to something else than a mixture of this fit.

        It is made once: with it are kept inverse factors and tables.  It is made anew after a change of the attributes.
        """
        if not self._is_fitted():
            raise NotFittedError(NOT_FITTED.format(type(self).__name__))
        fitted_settings.require(self, "parameters")
        arrays, made = self._arrays(), self.__dict__.get("_made")
        changed = made.changed(arrays) if made is not None else set()
        if made is None or changed:
            params = self._params(snapshot(arrays), changed)
            params.check()
            check_n_features_in(getattr(self, "n_features_in_", params.n_features), params.n_features)
            self._follow(params, changed)
            made = self._make(params)
        return made.value

    def _follow(self, params: Any, changed: set[str]) -> None:
        """Have other attributes follow those that a user has changed."""

    def _make(self, params: Any) -> MadeOf:
        """Keep these parameters, of the attributes as they are: nobody shall write them any more."""
        for array in arrays_of(params).values():
            array.flags.writeable = False
        self._made = MadeOf.of(params, self._arrays())
        return self._made

    def _arrays(self) -> dict[str, Any]:
        """By name, the attributes that tell the parameters."""
        return {f"{name}_": getattr(self, f"{name}_") for name in self._groups}

    def _tell(self, attributes: dict[str, np.ndarray]) -> None:
        for name, value in attributes.items():
            setattr(self, name, made_constant(value) if name in self._constant else value)

    def __getstate__(self) -> dict[str, Any]:
        """What is kept is made anew; which arrays are read-only is told, since pickles and copies forget it."""
        self._made_to_agree()
        state = dict(super().__getstate__())
        state.pop("_made", None)
        return state | {"_constants": [name for name in self._constant & state.keys() if is_constant(state[name])]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        constants = state.pop("_constants", ())
        super().__setstate__(state) if hasattr(super(), "__setstate__") else self.__dict__.update(state)
        for name in constants:
            setattr(self, name, made_constant(vars(self)[name]))
        self._made_to_agree()

    def _made_to_agree(self) -> None:
        """All attributes tell one model then; those that a user has replaced by halves stay as they are."""
        if self._is_fitted():
            with suppress(ValueError, TypeError, AttributeError, KeyError):
                self.params_  # noqa: B018

    # ---- fit

    def _is_fitted(self) -> bool:
        return hasattr(self, "weights_")

    def _fit(self, X: Any, rows: RowSource, fixed: Fixed, all_rows: RowSource | None = None) -> Self:
        """rows may stand for others, of which some are equal."""
        deadline = math.inf if self.max_time is None else time.monotonic() + float(self.max_time)
        rng = as_generator(self.random_state)
        with rows, self._progress(rows) as progress:
            journal = self._journal(rows, rng)
            terms = {"fixed": fixed} | self._terms(rows, rng)
            options: dict[str, Any] = {"terms": terms, "journal": journal, "deadline": deadline}
            watch = Watch(self.on_collapse, terms["family"].collapsed)
            mend = None if self.on_collapse == "floor" else watch
            whole = options | {"progress": progress, "on_interrupt": self.on_interrupt, "mend": mend}
            run = partial(self._em, rows, **whole, last_sweep=self._last_sweep(rows))
            if self.warm_start and self._is_fitted():
                fits = [run(start=self._going_on(), previous=self._criterion_reached())]
            else:
                starts = (self._start(rows, rng, terms, first=i == 0) for i in range(self.n_init))
                parts = rows.subsets(start_size(rows, self._k)) if self.warm_sweeps else []
                lead = warmed(parts, partial(self._em, **options))
                screen = self._screen(rows, rng, options)
                fits = best_first(starts, lambda start: run(start=lead(start)), screen, on_interrupt=self.on_interrupt)
            fits[0] = watch.looked_at(fits[0])
            given, total, p = all_rows or rows, fits[0].stats.total, fits[0].params.n_free(fixed)
            no_rows = weights_do_not_count_rows(total, len(given), p, given.first_weighted)
            if journal is not None:
                journal.close()
        fitted = self._unfinished(X, rows)
        fitted.__dict__.pop("stats_", None)  # of partial fits before
        fitted._keep(fits, rows.precision)
        if no_rows:
            warn_of_weights(total)
        return self._become(fitted)

    def _unfinished(self, X: Any, rows: RowSource) -> Self:
        """A copy that takes the new attributes: an interruption, or a warning that is an error, leaves the estimator as
        it was."""
        fitted = object.__new__(type(self))
        fitted.__dict__.update(self.__dict__)
        learn_features(fitted, described_by(X), rows.n_features)
        return fitted

    def _become(self, fitted: Self) -> Self:
        self.__dict__ = fitted.__dict__
        return self

    def _going_on(self) -> Any:
        """The parameters that a warm start begins at: those of the last fit, which may have dropped components."""
        fitted_settings.require(self, "going on")
        params = self.params_
        dropped = self.on_collapse == "drop" and len(params.weights) < self._k
        if not dropped:
            check_shape(params.weights, "weights_", (self._k,))
        return params

    def _partial_fit(self, X: Any, rows: RowSource, fixed: Fixed) -> Self:
        """One sweep over rows that come once; the first of them are fitted, for a start."""
        rng, seen = as_generator(self.random_state), getattr(self, "stats_", None)
        with rows:
            terms = {"fixed": fixed} | self._terms(rows, rng)
            if self._is_fitted():
                params = self._going_on()
            else:
                start = self._start(rows, rng, terms, first=True)
                params = self._em(rows, start=start, terms=terms, deadline=math.inf).params
                params = params.select(params.order(self.order_by)) if self.order_by else params
            batch = rows.sweep(params)
        stats = batch if seen is None else step(seen, batch)
        summed = stats if self.prior is None else stats + self.prior.stats(params)
        reached = terms["family"].maximize(summed, fixed)
        fitted = self._unfinished(X, rows)
        fitted._take(told_in(rows.precision, reached), rows.precision)
        fitted.stats_, fitted.counts_, fitted.collapses_ = stats, stats.row_counts, []
        return self._become(fitted)

    def _em(
        self,
        rows: RowSource,
        *,
        start: Any,
        terms: dict[str, Any],
        deadline: float,
        **options: Any,
    ) -> Fit:
        """One run of EM, by the settings where `options` do not say otherwise."""
        names = ("max_iter", "tol", "stopping", "acceleration")
        options = {name: getattr(self, name) for name in names} | {"fixed": terms["fixed"]} | options
        if deadline < math.inf:
            options["max_time"] = max(0.0, deadline - time.monotonic())
        family, fixed = terms["family"], Fixed.parse(terms["fixed"], self._groups, len(start.weights))
        options["floor"] = partial(family.apply_floor, fixed=fixed)
        return em(self._sweep(rows), partial(family.maximize, fixed=fixed), start, **options)

    def _journal(self, rows: RowSource, rng: np.random.Generator) -> Journal | None:
        """Where the runs of the fit are kept, if anywhere."""
        if self.checkpoint is None:
            return None
        settings = {k: v for k, v in self.get_params(deep=False).items() if k not in WITHOUT_EFFECT}
        seed = self.random_state if self.random_state is not None else "None"
        identity = {"class": type(self).__name__, "random_state": described(seed), **described(settings)}
        if self.warm_start and self._is_fitted():
            identity["start"] = described(arrays_of(self.params_))
        identity |= {"rows": len(rows), "data": rows.fingerprint()}
        return Journal(self.checkpoint, float(self.checkpoint_every), identity, rng)

    def _sweep(self, rows: RowSource) -> Callable[[Any], Any]:
        """The statistics of the rows and, as if of more rows, of the prior."""
        prior = self.prior
        return rows.sweep if prior is None else lambda params: rows.sweep(params) + prior.stats(params)

    def _last_sweep(self, rows: RowSource) -> LastSweep:
        """The parameters that the attributes shall have, and their statistics in float64: what is told is one model."""
        sweep = self._sweep(rows.in_float64())

        def last_sweep(params: Any) -> tuple[Any, Any]:
            params = told_in(rows.precision, params)
            return params, sweep(params)

        return last_sweep

    def _screen(
        self, rows: RowSource, rng: np.random.Generator, options: dict[str, Any]
    ) -> Callable[[Any], Fit] | None:
        """A short run on a part of the rows, where there are many rows and many starts."""
        size = start_size(rows, self._k)
        if self.n_init <= CARRIED or len(rows) <= size:
            return None
        few = subsample(rows, size, rng)
        options = options | {"max_iter": min(int(self.max_iter), SCREEN_ITERATIONS)}
        return lambda start: self._em(few, start=start, **options)

    def _progress(self, rows: RowSource) -> Progress:
        return (
            Lines(int(self.verbose), int(self.verbose_interval)) if self.verbose else Bar(len(rows), int(self.max_iter))
        )

    def _criterion_reached(self) -> float:
        """What the last fit ended at, for the next to go on from; partial fits do not tell."""
        if hasattr(self, "stats_"):
            return -math.inf
        return self.history_.q[-1] if self.stopping == "q" and self.n_iter_ else self.lower_bound_

    def _keep(self, fits: list[Fit], dtype: type[np.floating]) -> None:
        """Set every attribute of a fit that has succeeded; parameters in the precision of the rows."""
        found = fits[0]
        params, live, counts, total = found.params, found.stats.live, found.stats.row_counts, found.stats.total
        collapses = list(found.collapses)
        if self.order_by:
            order = params.order(self.order_by)
            params, live, counts = params.select(order), live[order], counts[order]
            collapses = [renumbered(each, order) if each.action == "floor" else each for each in collapses]
        self.starts_ = [Start(fit.loglik / fit.stats.total, fit.n_iter, fit.stop_reason) for fit in fits]
        self._take(params, dtype)
        self.n_iter_ = found.n_iter
        self.n_sweeps_ = found.n_sweeps
        self.converged_ = found.converged
        self.stop_reason_ = found.stop_reason
        self.cut_short_ = any(fit.cut_short for fit in fits)
        self.collapses_ = collapses
        self.counts_ = counts
        self.ascent_ = found.ascent
        self.summary_ = found.summary
        self.remaining_gain_ = found.remaining_gain / total
        self.history_ = found.history
        self.log_posterior_ = found.loglik
        self.loglik_ = found.loglik - (self.prior.stats(found.params).loglik if self.prior is not None else 0.0)
        self.entropy_ = found.stats.entropy
        self.n_parameters_ = int(self._n_parameters())
        self.aic_ = 2 * self.n_parameters_ - 2 * self.loglik_
        self.bic_ = math.log(total) * self.n_parameters_ - 2 * self.loglik_
        self.icl_ = self.bic_ + 2 * self.entropy_
        self.lower_bounds_ = (found.history.loglik / total).tolist()
        self.lower_bound_ = self.lower_bounds_[-1] if found.n_iter else -math.inf
        self.empty_components_ = np.flatnonzero(~live)
        if self.cut_short_:
            message = f"The fit was cut short in its start {len(fits)}; the best one: {found.summary}."
            warn(message, ConvergenceWarning)
        elif not found.converged and self.max_iter > 0:
            warn(
                "Best performing initialization did not converge. Try different init parameters, or increase "
                "max_iter, tol, or check for degenerate data. Mean log likelihood: "
                f"{still_to_go(self.remaining_gain_)}.",
                ConvergenceWarning,
            )
        if len(self.empty_components_):
            warn(
                f"components {self.empty_components_.tolist()} lost all their points and "
                + ("have what the prior gives them" if self.prior else "keep their last parameters at weight 0")
                + "; fewer components would do",
                EmptyComponentWarning,
            )
        if len(equal := inseparable(params, live)):
            warn(
                f"components {equal.tolist()} equal others before them, and EM cannot part them: a mixture of "
                "different ones may be far more likely. Another start would tell, or fewer components would do",
                EqualComponentWarning,
            )

    def _take(self, params: Any, dtype: type[np.floating]) -> None:
        """The attributes of these parameters: in `dtype`, where that is what they are, else in float64."""
        attributes = self._attributes(params)
        dtype = float_type_for(dtype, arrays_of(params).values(), attributes.values())
        self._tell({name: value.astype(dtype, copy=False) for name, value in attributes.items()})
        fitted_settings.note(self)
        self._make(self._params(snapshot(self._arrays()), set()))

    def diagnose(self) -> Diagnosis:
        """What tells whether the fit is a spurious maximum: components on few rows, on equal rows, or much thinner than
        the others.

        Returns
        -------
        Diagnosis
            weights, counts, thinnest and widest (k,): the smallest and the largest variance of a component in any
            direction, over the pooled one; complaints (k) tuples of sentences; spurious, the components that have any.
            Printed, it is a table.

        Raises
        ------
        NotFittedError
            Before a fit.

        References
        ----------
        McLachlan and Peel (2000), Finite mixture models, section 3.10.
        Hathaway (1985), A constrained formulation of maximum-likelihood estimation for normal mixture distributions.

        Examples
        --------
        >>> import numpy as np, fastem
        >>> X = np.concatenate([np.arange(50.0), [99.0, 99.0, 99.0]])[:, np.newaxis]
        >>> fastem.GaussianMixture(2, random_state=0).fit(X).diagnose().complaints
        ((), ('has no extent of its own in some direction',))
        """
        params = self.params_
        if not hasattr(self, "counts_"):  # parameters of a user's, without a fit
            raise NotFittedError(NOT_FITTED.format(type(self).__name__))
        return diagnosis(params, self.counts_, {each.component for each in self.collapses_ if each.action == "floor"})

    def save(self, path: Any) -> None:
        """Write the fitted mixture to a file, with its settings and all attributes; `fastem.load` reads it.

        No pickle: arrays and a header in NumPy's npz, written whole or not at all.  A random number generator among the
        settings is not kept, nor are attributes that are neither settings nor end in an underscore.

        Parameters
        ----------
        path : path
            Where to write.  A file that is there is replaced.

        Raises
        ------
        NotFittedError
            Before a fit.
        TypeError
            If this is a subclass, or an attribute is nothing that a file can keep.
        OSError
            Where the file cannot be written; one that is there stays as it was.
        """
        d = self.params_.n_features
        self._check_settings()
        self._check_inits(d)
        arrays: dict[str, np.ndarray] = {}
        check_can_be_saved(type(self), Mixture)
        settings = self.get_params(deep=False)
        kept = {name: value for name, value in vars(self).items() if name in settings or is_fitted_attribute(name)}
        header = {"class": type(self).__name__, "attributes": encode(kept, arrays)}
        write(Path(as_path(path, "path")), MODEL, MODEL_LAYOUT, header, arrays)

    # ---- predictions

    def _posterior(self, X: Any, trials: Any, wanted: str, precision: Any = None) -> np.ndarray:
        """log_prob, resp (in `precision`, or in that of the rows) or labels of each row."""
        hooks.refuse(self, hooks.OF_PREDICTIONS)
        params = self.params_
        same_features(self, described_by(X))
        if is_dask(X):
            options = {"owner": type(self).__name__, "backend": self.backend, "precision": precision}
            return cast(np.ndarray, lazy_posterior(params, X, self._tosses(trials), wanted, **options))
        with self._open(X, trials, n_features=params.n_features) as rows:
            return rows.predict(params, wanted, precision)

    def _tosses(self, trials: Any) -> Any:
        """Trials of the rows, where they have any."""
        return trials

    def _open(self, X: Any, trials: Any, sample_weight: Any = None, **options: Any) -> Rows:
        options |= {"row_kind": self._row_kind, "backend": self.backend, "n_threads": self.n_threads}
        return open_rows(X, trials, sample_weight, owner=type(self).__name__, **options)

    def _opened(self, X: Any, chunks: Any, trials: Any, sample_weight: Any, **options: Any) -> RowSource:
        """The rows of a fit: X in memory or of Dask or, where that is None, chunks."""
        if chunks is None and not is_dask(X):
            return self._open(X, trials, sample_weight, fitting=True, **options)
        options |= {"row_kind": self._row_kind, "backend": self.backend, "n_threads": self.n_threads}
        if chunks is None:
            return open_partitions(X, trials, sample_weight, owner=type(self).__name__, **options)
        check_only_chunks(X, trials, sample_weight)
        return open_chunks(chunks, trials=trials, fitting=True, **options)

    def _mean_log_prob(self, X: Any, trials: Any, sample_weight: Any) -> float:
        """Mean log density; of unweighted float32 rows the mean of float32, as scikit-learn's, where that is finite."""
        if sample_weight is None and not is_dask(X):
            with np.errstate(over="ignore"):  # float32 cannot add two rows that are far out
                mean = float(self._posterior(X, trials, "log_prob").mean())
            if math.isfinite(mean):
                return mean
        return self._score(X, trials, sample_weight)[0]

    def _score(self, X: Any, trials: Any, sample_weight: Any) -> tuple[float, float]:
        """Mean log density, a sum in float64 whatever the precision of the rows, and total weight."""
        log_prob = self._posterior(X, trials, "log_prob", np.float64)
        if is_dask(X):
            return mean_of(cast(DaskArray, log_prob), sample_weight)
        if sample_weight is None:
            return float(log_prob.mean()), len(log_prob)
        weights = as_sample_weight(sample_weight, len(log_prob))
        total = float(weights.sum())
        return dot(weights / total, log_prob), total

    def _criterion(self, score: tuple[float, float], penalty: Callable[[float], float]) -> float:
        mean, total = score
        return -2 * mean * total + self._n_parameters() * penalty(total)

    def _standard_errors(self, X: Any, trials: Any, sample_weight: Any, method: str) -> StandardErrors:
        hooks.refuse(self, hooks.OF_PREDICTIONS)
        params, fixed = self.params_, self._held()
        check_no_prior(self.prior)
        fitted_settings.require(self, "standard errors")
        same_features(self, described_by(X))
        with self._opened(X, None, self._tosses(trials), sample_weight, n_features=params.n_features) as rows:
            # squares of weights are those of rows, not of equal rows together
            few: Any = rows.collapsed() if self._row_kind.is_counts and method != "sandwich" else rows
            return standard_errors(few, params, fixed=fixed, method=method)

    def _held(self) -> Fixed:
        """What the fit held fixed."""
        fixed: Fixed = self.params_.as_fixed(self.fixed)
        fitted_settings.require(self, "free parameters")
        return fixed

    def _n_parameters(self) -> int:
        return int(self.params_.n_free(self._held()))

    def _draw_labels(self, n_samples: int, rng: np.random.Generator) -> np.ndarray:
        weights = self.params_.weights
        check_n_samples(n_samples)
        return np.repeat(np.arange(len(weights)), rng.multinomial(n_samples, weights / weights.sum()))
