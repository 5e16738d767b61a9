"""What the estimators share: they check settings, wire starts, sweeps and the driver together, and compute nothing."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Self

import numpy as np

from fastem import checks
from fastem.acceleration import ACCELERATORS
from fastem.chunks import AnyRows, open_chunks
from fastem.estimator import (
    BaseEstimator,
    ConvergenceWarning,
    DensityMixin,
    learn_features,
    same_features,
)
from fastem.fit import CARRIED, SCREEN_ITERATIONS, STOPPING, Fit, Progress, Start, best_first, em, still_to_go, warmed
from fastem.information import StandardErrors, standard_errors
from fastem.starts import start_size, subsample
from fastem.stats import Fixed
from fastem.stepwise import step
from fastem.sweep import Rows, open_rows

NOT_FITTED = "This {} instance is not fitted yet. Call 'fit' with appropriate arguments before using this estimator."


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
    random_state: Any
    warm_start: bool
    verbose: int
    verbose_interval: int
    backend: str
    n_threads: int | None

    _has_trials = False

    def _check_common(self, groups: tuple[str, ...], starts: tuple[str, ...]) -> Fixed:
        """ValueError or TypeError for a setting that is none; -> what is held fixed."""
        checks.integer(self.n_components, "n_components", 1)
        checks.non_negative(self.tol, "tol")
        checks.integer(self.max_iter, "max_iter", 0)
        checks.integer(self.n_init, "n_init", 1)
        checks.choice(self.init_params, "init_params", starts)
        fixed = checks.groups(self.fixed, groups, self.n_components)
        checks.choice(self.stopping, "stopping", STOPPING)
        if self.acceleration is not None:
            checks.choice(self.acceleration, "acceleration", ACCELERATORS)
        if self.warm_sweeps is not None:
            checks.choice(self.warm_sweeps, "warm_sweeps", ("auto",))
        if self.order_by is not None:
            checks.choice(self.order_by, "order_by", groups[:2])
            checks.no_masks(fixed)
        checks.integer(self.verbose, "verbose", 0) if not isinstance(self.verbose, bool) else None
        checks.integer(self.verbose_interval, "verbose_interval", 1)
        return fixed

    # ---- for the families to say

    @property
    def params_(self) -> Any:
        """The fitted parameters as a value of the building blocks; NotFittedError before a fit."""
        raise NotImplementedError

    def _attributes(self, params: Any) -> dict[str, np.ndarray]:
        """The public attributes of these parameters."""
        raise NotImplementedError

    def _terms(self, rows: AnyRows, rng: np.random.Generator) -> dict[str, Any]:
        """What the M-step adds to variances, for families that have any."""
        return {}

    def _start(self, rows: AnyRows, rng: np.random.Generator, terms: dict[str, Any], *, first: bool) -> Any:
        raise NotImplementedError

    # ---- fit

    def _is_fitted(self) -> bool:
        return hasattr(self, "weights_")

    def _fit(self, X: Any, rows: AnyRows, fixed: Fixed) -> Self:
        rng = checks.generator(self.random_state)
        with rows:
            terms = {"fixed": fixed} | self._terms(rows, rng)
            run = partial(self._em, rows, terms, self._progress())
            if self.warm_start and self._is_fitted():
                checks.same_shape(self.weights_, "weights_", (self.n_components,))
                fits = [run(self.params_, previous=self._criterion_reached())]
            else:
                starts = (self._start(rows, rng, terms, first=i == 0) for i in range(self.n_init))
                parts = rows.parts(start_size(rows, self.n_components)) if self.warm_sweeps else []
                lead = warmed(parts, partial(self._em, terms=terms, progress=None))
                fits = best_first(starts, lambda start: run(lead(start)), self._screen(rows, rng, terms))
        learn_features(self, X, rows.n_features)
        if hasattr(self, "stats_"):
            del self.stats_  # of partial fits before
        self._keep(fits, rows.precision, fixed)
        return self

    def _partial_fit(self, X: Any, rows: Rows, fixed: Fixed) -> Self:
        """One sweep over rows that come once; the first of them are fitted, for a start."""
        rng, seen = checks.generator(self.random_state), getattr(self, "stats_", None)
        with rows:
            terms = {"fixed": fixed} | self._terms(rows, rng)
            if self._is_fitted():
                checks.same_shape(self.weights_, "weights_", (self.n_components,))
                params = self.params_
            else:
                params = self._em(rows, terms, None, self._start(rows, rng, terms, first=True)).params
                params = params.take(params.order(self.order_by)) if self.order_by else params
            batch = rows.sweep(params)
        stats = batch if seen is None else step(seen, batch)
        reached = (stats if self.prior is None else stats + self.prior.stats(params)).maximize(**terms)
        learn_features(self, X, rows.n_features)
        for name, value in self._attributes(reached).items():
            setattr(self, name, value.astype(rows.precision, copy=False))
        self.stats_ = stats
        return self

    def _em(
        self, rows: AnyRows, terms: dict[str, Any], progress: Progress | None, start: Any, **options: Any
    ) -> Fit:
        names = ("max_iter", "tol", "stopping", "acceleration")
        options = {name: getattr(self, name) for name in names} | {"fixed": terms["fixed"]} | options
        return em(
            self._sweep(rows), lambda stats: stats.maximize(**terms), start, on_iteration=progress, **options
        )

    def _sweep(self, rows: AnyRows) -> Callable[[Any], Any]:
        """The statistics of the rows and, as if of more rows, of the prior."""
        prior = self.prior
        return rows.sweep if prior is None else lambda params: rows.sweep(params) + prior.stats(params)

    def _screen(self, rows: AnyRows, rng: np.random.Generator, terms: dict[str, Any]) -> Callable[[Any], Fit] | None:
        """A short run on a part of the rows, where there are many rows and many starts."""
        size = start_size(rows, self.n_components)
        if self.n_init <= CARRIED or len(rows) <= size:
            return None
        few = subsample(rows, size, rng)
        return partial(self._em, few, terms, None, max_iter=min(self.max_iter, SCREEN_ITERATIONS))

    def _progress(self) -> Progress | None:
        return Progress(int(self.verbose), self.verbose_interval) if self.verbose else None

    def _criterion_reached(self) -> float:
        """What the last fit ended at, for the next to go on from."""
        return self.history_.q[-1] if self.stopping == "q" and self.n_iter_ else self.lower_bound_

    def _keep(self, fits: list[Fit], dtype: type[np.floating], fixed: Fixed) -> None:
        """Set every attribute of a fit that has succeeded; parameters in the precision of the rows."""
        found = fits[0]
        params, live, total = found.params, found.stats.live, found.stats.total
        if self.order_by:
            order = params.order(self.order_by)
            params, live = params.take(order), live[order]
        self.starts_ = [Start(fit.loglik / fit.stats.total, fit.n_iter, fit.stop_reason) for fit in fits]
        for name, value in self._attributes(params).items():
            setattr(self, name, value.astype(dtype, copy=False))
        self.n_iter_ = found.n_iter
        self.n_sweeps_ = found.n_sweeps
        self.converged_ = found.converged
        self.stop_reason_ = found.stop_reason
        self.summary_ = found.summary
        self.remaining_gain_ = found.remaining_gain / total
        self.history_ = found.history
        self.log_posterior_ = found.loglik
        self.loglik_ = found.loglik - (self.prior.stats(found.params).loglik if self.prior is not None else 0.0)
        self.entropy_ = found.stats.entropy
        self.n_parameters_ = params.n_free(fixed)
        self.aic_ = 2 * self.n_parameters_ - 2 * self.loglik_
        self.bic_ = math.log(total) * self.n_parameters_ - 2 * self.loglik_
        self.icl_ = self.bic_ + 2 * self.entropy_
        self.lower_bounds_ = (found.history.loglik / total).tolist()
        self.lower_bound_ = self.lower_bounds_[-1] if found.n_iter else -math.inf
        self.empty_components_ = np.flatnonzero(~live)
        if not found.converged and self.max_iter > 0:
            warnings.warn(
                "Best performing initialization did not converge. Try different init parameters, or increase "
                "max_iter, tol, or check for degenerate data. Mean log likelihood: "
                f"{still_to_go(self.remaining_gain_)}.",
                ConvergenceWarning,
                stacklevel=4,
            )
        if len(self.empty_components_):
            warnings.warn(
                f"components {self.empty_components_.tolist()} lost all their points and "
                + ("have what the prior gives them" if self.prior else "keep their last parameters at weight 0")
                + "; fewer components would do",
                checks.EmptyComponentWarning,
                stacklevel=4,
            )

    # ---- predictions

    def _posterior(self, X: Any, trials: Any, wanted: str) -> Any:
        """log_prob, resp (in the precision of the rows) or labels of each row."""
        params = self.params_
        same_features(self, X)
        with self._open(X, trials, n_features=params.n_features) as rows:
            found = getattr(rows.posterior(params, wanted), wanted)
            dtype = rows.precision
        if wanted == "labels":
            return found.astype(np.intp)
        return np.maximum(found, np.finfo(dtype).min, out=found).astype(dtype, copy=False)

    def _open(self, X: Any, trials: Any, sample_weight: Any = None, **options: Any) -> Rows:
        options |= {"has_trials": self._has_trials, "backend": self.backend, "n_threads": self.n_threads}
        return open_rows(X, trials, sample_weight, owner=type(self).__name__, **options)

    def _opened(self, X: Any, chunks: Any, trials: Any, sample_weight: Any, **options: Any) -> AnyRows:
        """The rows of a fit: X in memory or, where that is None, chunks."""
        if chunks is None:
            return self._open(X, trials, sample_weight, fitting=True, **options)
        checks.chunks_alone(X, trials, sample_weight)
        options |= {"backend": self.backend, "n_threads": self.n_threads}
        return open_chunks(chunks, has_trials=self._has_trials, trials=trials, fitting=True, **options)

    def _score(self, X: Any, trials: Any, sample_weight: Any) -> tuple[float, float]:
        """Mean log density (of unweighted rows in their precision, as scikit-learn) and total weight."""
        log_prob = self._posterior(X, trials, "log_prob")
        if sample_weight is None:
            return float(log_prob.mean()), len(log_prob)
        weights = checks.sample_weights(sample_weight, len(log_prob))
        return float(np.average(log_prob, weights=weights)), float(weights.sum())

    def _criterion(self, score: tuple[float, float], penalty: Callable[[float], float]) -> float:
        mean, total = score
        return -2 * mean * total + self._n_parameters() * penalty(total)

    def _standard_errors(self, X: Any, trials: Any, sample_weight: Any, method: str) -> StandardErrors:
        params = self.params_
        checks.no_prior(self.prior)
        same_features(self, X)
        with self._open(X, trials, sample_weight, n_features=params.n_features, fitting=True) as rows:
            few = rows.collapsed() if self._has_trials else rows
            return standard_errors(few, params, fixed=self.fixed, method=method)

    def _n_parameters(self) -> int:
        return self.params_.n_free(self.fixed)

    def _draw_labels(self, n_samples: int, rng: np.random.Generator) -> np.ndarray:
        weights = self.params_.weights
        checks.sample_size(n_samples)
        return np.repeat(np.arange(len(weights)), rng.multinomial(n_samples, weights))
