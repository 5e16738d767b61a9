"""The estimators: they check settings, wire starts, sweeps and the driver together, and compute nothing."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Self

import numpy as np

from fastem import checks
from fastem.acceleration import ACCELERATORS
from fastem.binomial import GROUPS as BINOMIAL_GROUPS
from fastem.binomial import BinomialParams
from fastem.estimator import (
    BaseEstimator,
    ConvergenceWarning,
    DensityMixin,
    NotFittedError,
    learn_features,
    same_features,
)
from fastem.fit import CARRIED, SCREEN_ITERATIONS, STOPPING, Fit, Progress, Start, best_first, em, warmed
from fastem.gaussian import COVARIANCE_TYPES, NormalParams
from fastem.gaussian import GROUPS as NORMAL_GROUPS
from fastem.information import StandardErrors, standard_errors
from fastem.priors import BinomialPrior, NormalPrior
from fastem.starts import (
    BINOMIAL_STARTS,
    NORMAL_STARTS,
    binomial_start,
    normal_start,
    relative_variances,
    start_size,
    subsample,
)
from fastem.stats import Fixed
from fastem.sweep import Rows, open_rows

SINGLE_TOL = 1e-6
"""A stop rule finer than the rounding of a mean log likelihood in float32 needs float64."""

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

    def _terms(self, rows: Rows, rng: np.random.Generator) -> dict[str, Any]:
        """What the M-step adds to variances, for families that have any."""
        return {}

    def _start(self, rows: Rows, rng: np.random.Generator, terms: dict[str, Any], *, first: bool) -> Any:
        raise NotImplementedError

    # ---- fit

    def _is_fitted(self) -> bool:
        return hasattr(self, "weights_")

    def _fit(self, X: Any, rows: Rows, fixed: Fixed) -> Self:
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
        learn_features(self, X, rows.data[0])
        self._keep(fits, rows, fixed)
        return self

    def _em(
        self, rows: Rows, terms: dict[str, Any], progress: Progress | None, start: Any, **options: Any
    ) -> Fit:
        names = ("max_iter", "tol", "stopping", "acceleration")
        options = {name: getattr(self, name) for name in names} | {"fixed": terms["fixed"]} | options
        return em(
            self._sweep(rows), lambda stats: stats.maximize(**terms), start, on_iteration=progress, **options
        )

    def _sweep(self, rows: Rows) -> Callable[[Any], Any]:
        """The statistics of the rows and, as if of more rows, of the prior."""
        prior = self.prior
        return rows.sweep if prior is None else lambda params: rows.sweep(params) + prior.stats(params)

    def _screen(self, rows: Rows, rng: np.random.Generator, terms: dict[str, Any]) -> Callable[[Any], Fit] | None:
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

    def _keep(self, fits: list[Fit], rows: Rows, fixed: Fixed) -> None:
        """Set every attribute of a fit that has succeeded; parameters in the precision of the rows."""
        found, total = fits[0], rows.total
        order = found.params.order(self.order_by)
        params = found.params.take(order) if self.order_by else found.params
        self.starts_ = [Start(fit.loglik / total, fit.n_iter, fit.stop_reason) for fit in fits]
        for name, value in self._attributes(params).items():
            setattr(self, name, value.astype(rows.precision, copy=False))
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
        self.empty_components_ = np.flatnonzero(~found.stats.live[order])
        if not found.converged and self.max_iter > 0:
            warnings.warn(
                "Best performing initialization did not converge. Try different init parameters, or increase "
                "max_iter, tol, or check for degenerate data. The mean log likelihood is estimated to have "
                f"{self.remaining_gain_:.2g} still to gain.",
                ConvergenceWarning,
                stacklevel=4,
            )
        if len(self.empty_components_):
            warnings.warn(
                f"components {self.empty_components_.tolist()} lost all their points and keep their last parameters "
                "at weight 0; fewer components would do",
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
        same_features(self, X)
        with self._open(X, trials, sample_weight, n_features=params.n_features, fitting=True) as rows:
            few = rows.collapsed() if self._has_trials else rows
            return standard_errors(few, params, fixed=self.fixed, method=method)

    def _n_parameters(self) -> int:
        return self.params_.n_parameters

    def _draw_labels(self, n_samples: int, rng: np.random.Generator) -> np.ndarray:
        weights = self.params_.weights
        checks.sample_size(n_samples)
        return np.repeat(np.arange(len(weights)), rng.multinomial(n_samples, weights))


class GaussianMixture(Mixture):
    """Gaussian mixture, fitted by expectation-maximisation; a single column is fitted by the univariate kernel.

    Parameters
    ----------
    n_components : int, default=1
        Number of components k.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Each component its own matrix; one matrix for all; own variance per feature; one variance per component.
    tol : float, default=1e-3
        Stop when the change of the criterion (see `stopping`) falls below tol.
    reg_covar : float or "auto", default=1e-6
        Added to every variance, in squared units of X.  "auto" adds to each feature's variances 1e-6 of its variance
        over the rows (over 8,192 of them, drawn at random, if there are more), so that units do not matter.  With 0
        a variance that collapses in a fit is held at the resolution of the data, never at 0.
    max_iter : int, default=100
        EM iterations per start at the most.
    n_init : int, default=1
        Number of starts; the best fit is kept.  With more than 3 starts, and more rows than a start looks at (see
        init_params), every start first takes up to 10 iterations on so many of the rows, and the best 3 are carried
        on over all of them.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, default="kmeans"
        How a start is found: k-means, k-means++ centers, random responsibilities, or random rows as centers.  A start
        looks at 8,192 rows, or 8 k (d + 1) if that is more, drawn at random where there are more rows.
    weights_init : array-like of shape (k,), default=None
        Starting mixing weights, each in [0, 1], sum 1.
    means_init : array-like of shape (k, d), default=None
        Starting means; a row of NaN is found as init_params says.
    precisions_init : array-like, default=None
        Starting inverse covariances: (k, d, d), (d, d), (k, d) or (k,) by covariance type.
    random_state : int, Generator, RandomState or None, default=None
        Where the starts draw from.
    warm_start : bool, default=False
        Start from the result of the last call of fit.
    verbose : int, default=0
        1 prints a line every `verbose_interval` iterations, 2 with change and time.
    verbose_interval : int, default=10
    fixed : tuple of {"weights", "means", "covariances"}, or dict, default=()
        Groups of parameters to hold at their start, by name; or, for each name, a mask (k,) of the components whose
        parameters are held.  What is held has the same bits after the fit.
    prior : NormalPrior, default=None
        The fit then ends at the mode of the posterior.  `history_`, `lower_bounds_` and `starts_` tell log posteriors.
    order_by : {None, "weights", "means"}, default=None
        Number the components by this, ascending (means by the first feature, then the second).
    stopping : {"loglik", "q", "aitken", "gradient"}, default="loglik"
        What falls below tol: the change of the mean log likelihood, as scikit-learn, or of Q (a total), the expected
        complete log likelihood; "aitken", what the mean log likelihood is estimated to have still to gain; "gradient",
        the length of its gradient, means and standard deviations being measured in standard deviations (see `em`).
    acceleration : {None, "anderson", "squarem", "quasi-newton"}, default=None
        None is plain EM.  The others extrapolate from its iterations: where components overlap and tol is small, tens
        of sweeps in the place of thousands ("quasi-newton" takes the fewest).  An extrapolation that lowers the log
        likelihood is given up for the EM step in hand.
    warm_sweeps : {None, "auto"}, default=None
        "auto" starts with EM on parts of the rows, every 13th and, of more rows, every 61st, 251st and 1,021st before,
        each of at least as many rows as a start looks at: on a part until what it has still to gain is less than its
        rows can tell.  With many rows, where EM is slow, fewer sweeps over all of them.
    backend : {"auto", "cython", "numba"}, default="auto"
        Compiled kernels to use; "auto" is "cython".
    n_threads : int, default=None
        Threads; None takes FASTEM_NUM_THREADS, OMP_NUM_THREADS or the cores (or the CPU quota) of this process.  The
        result has the same bits for any number.

    Attributes
    ----------
    weights_ : (k,) mixing weights.
    means_ : (k, d) means, in the units of X.
    covariances_, precisions_, precisions_cholesky_ : shaped by covariance type; squared units of X, or their inverse.
    params_ : NormalParams, the same as one value for the building blocks.
    converged_ : bool, whether the stop rule was met.
    stop_reason_ : str, which rule ended the fit.
    n_iter_ : int, EM iterations of the best start.
    n_sweeps_ : int, passes over the data for them: also the last one, and those at extrapolations that were given up.
    loglik_ : float, log likelihood of the fitted parameters (total, natural logarithm).
    log_posterior_ : float, with the log density of the prior added; loglik_ where there is none.
    entropy_ : float, of the responsibilities (total): 0 where every row surely belongs to one component.
    n_parameters_ : int, parameters that were free.
    aic_, bic_, icl_ : float, information criteria on the rows of the fit, n being their total weight; the lower the
        better.  ICL is BIC + 2 entropy (Biernacki, Celeux and Govaert 2000).
    remaining_gain_ : float, what the mean log likelihood is estimated to have still to gain, as stopping="aitken" has
        it; inf where the last iterations do not tell.
    summary_ : str, a line on how the fit ended and how far from the maximum.
    lower_bound_ : float, mean log likelihood before the last M-step, as scikit-learn.
    history_ : History, loglik, q, entropy and kind of step of each iteration.
    starts_ : list of Start(mean_loglik, n_iter, stop_reason), one for each start, the best first.
    empty_components_ : indices of components that lost all points.
    lower_bounds_ : list of n_iter_ floats, the same of every iteration.
    n_features_in_ : int, d.
    feature_names_in_ : (d,) names of the columns, where X is a data frame and scikit-learn is installed.

    References
    ----------
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.
    Henderson and Varadhan (2019), Damped Anderson acceleration with restarts and monotonicity control.
    Jamshidian and Jennrich (1997), Acceleration of the EM algorithm by using quasi-Newton methods.
    Varadhan and Roland (2008), Simple and globally convergent methods for accelerating the convergence of any EM.

    Examples
    --------
    >>> import numpy as np, fastem
    >>> X = np.array([[1.0], [2.0], [3.0], [11.0], [12.0], [13.0]])
    >>> mixture = fastem.GaussianMixture(2, random_state=0).fit(X)
    >>> sorted(mixture.means_.ravel().round(2).tolist())
    [2.0, 12.0]
    >>> mixture.weights_
    array([0.5, 0.5])
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float | str = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        fixed: Any = (),
        prior: Any = None,
        order_by: str | None = None,
        stopping: str = "loglik",
        acceleration: str | None = None,
        warm_sweeps: str | None = None,
        backend: str = "auto",
        n_threads: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.fixed = fixed
        self.prior = prior
        self.order_by = order_by
        self.stopping = stopping
        self.acceleration = acceleration
        self.warm_sweeps = warm_sweeps
        self.backend = backend
        self.n_threads = n_threads

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Finite rows, n >= k.  float32 and float64 arrays are not copied; sums are float64.  float32 rows without
            weights are computed in float32, twice as fast, unless tol is below 1e-6 or components lie over 1,000
            standard deviations apart: then in float64.
        y : ignored
        sample_weight : array-like of shape (n,), default=None
            Non-negative; a weight of w counts as w equal rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            On unusable data or settings; the estimator stays as it was.
        """
        fixed = self._check_common(NORMAL_GROUPS, NORMAL_STARTS)
        checks.choice(self.covariance_type, "covariance_type", COVARIANCE_TYPES)
        if self.reg_covar != "auto":
            checks.non_negative(self.reg_covar, "reg_covar")
        dtype = None if self.stopping == "loglik" and self.tol >= SINGLE_TOL else np.float64
        rows = self._open(X, None, sample_weight, fitting=True, dtype=dtype)
        checks.enough_rows(len(rows), self.n_components)
        self._check_inits(rows.data[0].shape[1])
        return self._fit(X, rows, fixed)

    def _terms(self, rows: Rows, rng: np.random.Generator) -> dict[str, Any]:
        """A number to add to variances, or one for each feature."""
        return {"reg_covar": relative_variances(rows, rng) if self.reg_covar == "auto" else self.reg_covar}

    def _check_inits(self, d: int) -> None:
        k, kind = self.n_components, self.covariance_type
        if self.weights_init is not None:
            checks.mixing_weights(self.weights_init, "weights", k)
        if self.means_init is not None:
            checks.with_gaps(self.means_init, "means", (k, d))
        if self.precisions_init is not None:
            shape = NormalParams.covariance_shape(kind, k, d)
            checks.definite(self.precisions_init, f"{kind} precision", shape, kind in ("full", "tied"))
        if self.prior is not None:
            checks.instance(self.prior, "prior", NormalPrior)
            self.prior.check(kind, d)

    def _start(self, rows: Rows, rng: np.random.Generator, terms: dict[str, Any], *, first: bool) -> NormalParams:
        weights, means, precisions = (
            None if value is None else np.asarray(value, np.float64)
            for value in (self.weights_init, self.means_init, self.precisions_init)
        )
        gaps = np.array([False] if means is None else np.isnan(means).all(axis=1))
        if weights is not None and means is not None and precisions is not None and not gaps.any():
            return NormalParams.from_precisions(weights, means, precisions, self.covariance_type)
        k = int(gaps.sum()) or self.n_components
        start = normal_start(
            rows, k, self.covariance_type, method=self.init_params, reg_covar=terms["reg_covar"], rng=rng
        )
        if means is not None and gaps.any():
            start = start.among(means, gaps)
            means = start.means
        weights = start.weights if weights is None else weights
        means = start.means if means is None else means
        if precisions is not None:
            return NormalParams.from_precisions(weights, means, precisions, self.covariance_type)
        return NormalParams(weights, means, start.covariances, self.covariance_type)

    def _attributes(self, params: NormalParams) -> dict[str, np.ndarray]:
        return {
            "weights_": params.weights,
            "means_": params.means,
            "covariances_": params.covariances,
            "precisions_cholesky_": params.precisions_cholesky(),
            "precisions_": params.precisions(),
        }

    @property
    def params_(self) -> NormalParams:
        """The fitted parameters as a value of the building blocks; NotFittedError before a fit."""
        if not self._is_fitted():
            raise NotFittedError(NOT_FITTED.format("GaussianMixture"))
        return NormalParams(
            np.asarray(self.weights_, np.float64),
            np.asarray(self.means_, np.float64),
            np.asarray(self.covariances_, np.float64),
            self.covariance_type,
        )

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> np.ndarray:
        """Fit, then the most probable component of each row: (n,) ints.  Arguments and errors as for fit."""
        return self.fit(X, y, sample_weight).predict(X)

    def predict(self, X: Any) -> np.ndarray:
        """Most probable component of each row of X (n, d): (n,) ints in 0 .. k - 1."""
        return self._posterior(X, None, "labels")

    def predict_proba(self, X: Any) -> np.ndarray:
        """Responsibilities of the components for each row of X (n, d): (n, k), rows sum to 1."""
        return self._posterior(X, None, "resp")

    def score_samples(self, X: Any) -> np.ndarray:
        """Log density of each row of X (n, d): (n,), natural logarithm; at least -6.9e299, however far out."""
        return self._posterior(X, None, "log_prob")

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Mean log density over the rows of X (n, d), weighted by sample_weight (n,)."""
        return self._score(X, None, sample_weight)[0]

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Akaike information criterion on X (n, d); the lower the better."""
        return self._criterion(self._score(X, None, sample_weight), lambda total: 2.0)

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """Bayesian information criterion on X (n, d), n being the total weight; the lower the better."""
        return self._criterion(self._score(X, None, sample_weight), math.log)

    def standard_errors(self, X: Any, *, sample_weight: Any = None, method: str = "louis") -> StandardErrors:
        """Standard errors of the fitted parameters, from the information that the rows hold.

        They are those of a maximum of the likelihood: fit with a small tol and reg_covar (`stopping="gradient"` with an
        `acceleration` gets there), and pass the rows of the fit.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The rows of the fit.
        sample_weight : array-like of shape (n,), default=None
            Their weights; a weight of w counts as w equal rows.
        method : {"louis", "opg"}, default="louis"
            With s_ik the slopes of log(weights_k p_k(x_i)) by the parameters, and s_i their mean over the
            responsibilities, the slopes of log p(x_i): "louis" is the observed information, minus the second
            derivatives of the log likelihood,

                sum_i w_i (E[-d2 log complete | x_i] - sum_k r_ik (s_ik - s_i)(s_ik - s_i)^T),

            "opg" the outer product of the gradients, sum_i w_i s_i s_i^T.  Both estimate the expected information
            where the model is right; "louis" is the less noisy.  With p parameters either takes n p^2 + p^3 operations
            and the memory of a few p x p matrices.

        Returns
        -------
        StandardErrors
            weights (k,), means (k, d), covariances shaped by covariance type, and parameters_covariance.  Groups that
            are `fixed` have standard error 0, parameters of an empty component NaN.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            On unusable data or settings; where the rows do not identify the parameters (two equal components, say), or
            these are not at a maximum.

        References
        ----------
        Louis (1982), Finding the observed information matrix when using the EM algorithm.
        McLachlan and Peel (2000), Finite mixture models, section 2.15.
        Boldea and Magnus (2009), Maximum likelihood estimation of the multivariate normal mixture model.

        Examples
        --------
        >>> import numpy as np, fastem
        >>> X = np.array([[1.0], [2.0], [3.0], [11.0], [12.0], [13.0]])
        >>> errors = fastem.GaussianMixture(2, random_state=0).fit(X).standard_errors(X)
        >>> errors.means.round(2).ravel()  # sqrt(2 / 3) / sqrt(3)
        array([0.47, 0.47])
        >>> errors.weights.round(2)  # sqrt(1/2 * 1/2 / 6)
        array([0.2, 0.2])
        """
        return self._standard_errors(X, None, sample_weight, method)

    def sample(self, n_samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows from the fitted mixture: X (n_samples, d) and the component (n_samples,) of each, in order."""
        rng = checks.generator(self.random_state)
        labels = self._draw_labels(n_samples, rng)
        return self.params_.sample(labels, rng), labels


class BinomialMixture(Mixture):
    """Mixture of binomial distributions, fitted by expectation-maximisation.

    Row i has X_i successes in trials_i tosses of one of k coins; which, and how the coins are biased, is fitted.  With
    several columns, a row has one coin per column, and the k components are sets of d coins.

    Parameters
    ----------
    n_components : int, default=1
        Number of components k.
    n_trials : int, default=None
        Trials of every row, where fit and the predictions are not given any.
    tol, max_iter, n_init, random_state, warm_start, verbose, verbose_interval, stopping, acceleration,
    warm_sweeps, backend, n_threads
        As for GaussianMixture.
    init_params : {"auto", "quantiles", "kmeans", "random"}, default="auto"
        A start at even quantiles of the rates of success in each column, always the same; at their k-means centers; or
        at the rates of random rows.  "auto" is "quantiles" for one column and "kmeans" for several.  With n_init > 1
        the first start is as init_params says and the others are random.
    weights_init : array-like of shape (k,), default=None
        Starting mixing weights, each in [0, 1], sum 1.
    probs_init : array-like of shape (k,) or (k, d), default=None
        Starting probabilities of success; a row of NaN is found as init_params says.
    fixed : tuple of {"weights", "probs"}, or dict, default=()
        Groups of parameters to hold at their start, by name; or, for each name, a mask (k,) of the components whose
        parameters are held.  What is held has the same bits after the fit.
    prior : BinomialPrior, default=None
        The fit then ends at the mode of the posterior.  `history_`, `lower_bounds_` and `starts_` tell log posteriors.
    order_by : {None, "weights", "probs"}, default=None
        Number the components by this, ascending (probs by the first column, then the second).

    Attributes
    ----------
    weights_ : (k,) mixing weights.
    probs_ : (k, d) probabilities of success.
    params_ : BinomialParams, the same as one value for the building blocks.
    converged_, stop_reason_, summary_, remaining_gain_, n_iter_, n_sweeps_, loglik_, log_posterior_, entropy_,
    n_parameters_, aic_, bic_, icl_, lower_bound_, lower_bounds_, history_, starts_, empty_components_, n_features_in_,
    feature_names_in_
        As for GaussianMixture; log likelihoods include the binomial coefficients.

    References
    ----------
    Blischke (1964), Estimating the parameters of mixtures of binomial distributions.
    Do and Batzoglou (2008), What is the expectation maximization algorithm?

    Examples
    --------
    >>> import fastem
    >>> heads = [5, 9, 8, 4, 7]
    >>> coins = fastem.BinomialMixture(2, weights_init=[0.5, 0.5], probs_init=[0.6, 0.5], fixed=("weights",))
    >>> coins.fit(heads, trials=10).probs_.round(2).ravel()
    array([0.8 , 0.52])
    """

    _has_trials = True

    def __init__(
        self,
        n_components: int = 1,
        *,
        n_trials: int | None = None,
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "auto",
        weights_init: Any = None,
        probs_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        fixed: Any = (),
        prior: Any = None,
        order_by: str | None = None,
        stopping: str = "loglik",
        acceleration: str | None = None,
        warm_sweeps: str | None = None,
        backend: str = "auto",
        n_threads: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.n_trials = n_trials
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.probs_init = probs_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.fixed = fixed
        self.prior = prior
        self.order_by = order_by
        self.stopping = stopping
        self.acceleration = acceleration
        self.warm_sweeps = warm_sweeps
        self.backend = backend
        self.n_threads = n_threads

    def fit(self, X: Any, y: Any = None, *, trials: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n,) or (n, d)
            Successes: whole numbers from 0 to trials.
        y : ignored
        trials : int or array-like of shape (n,) or (n, d), default=None
            Trials: whole numbers; 0 tells nothing.  None takes n_trials.
        sample_weight : array-like of shape (n,), default=None
            Non-negative; a weight of w counts as w equal rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            On unusable data or settings; the estimator stays as it was.
        """
        fixed = self._check_common(BINOMIAL_GROUPS, BINOMIAL_STARTS)
        rows = self._open(X, trials, sample_weight)
        checks.enough_rows(len(rows), self.n_components)
        if self.weights_init is not None:
            checks.mixing_weights(self.weights_init, "weights", self.n_components)
        if self.probs_init is not None:
            checks.probabilities(self.probs_init, "probs", (self.n_components, rows.data[0].shape[1]), gaps=True)
        if self.prior is not None:
            checks.instance(self.prior, "prior", BinomialPrior)
        checks.identifiable(rows.data[1], self.n_components)
        return self._fit(X, rows.collapsed(), fixed)

    def _open(self, X: Any, trials: Any, sample_weight: Any = None, **options: Any) -> Rows:
        if self.n_trials is not None:
            checks.integer(self.n_trials, "n_trials", 0)
        return super()._open(X, self.n_trials if trials is None else trials, sample_weight, **options)

    def __sklearn_tags__(self) -> Any:
        """Counts: whole numbers from 0."""
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = tags.input_tags.positive_only = True
        return tags

    def _start(self, rows: Rows, rng: np.random.Generator, terms: dict[str, Any], *, first: bool) -> BinomialParams:
        k = self.n_components
        probs = np.full((k, rows.data[0].shape[1]), np.nan)
        if self.probs_init is not None:
            probs = np.array(self.probs_init, np.float64).reshape(k, -1)
        if len(open_probs := np.flatnonzero(np.isnan(probs).all(axis=1))):
            method = self.init_params if first else "random"
            probs[open_probs] = binomial_start(rows, len(open_probs), method=method, rng=rng).probs
        weights = np.full(k, 1 / k) if self.weights_init is None else np.asarray(self.weights_init, np.float64)
        return BinomialParams(weights, probs)

    def _attributes(self, params: BinomialParams) -> dict[str, np.ndarray]:
        return {"weights_": params.weights, "probs_": params.probs}

    @property
    def params_(self) -> BinomialParams:
        """The fitted parameters as a value of the building blocks; NotFittedError before a fit."""
        if not self._is_fitted():
            raise NotFittedError(NOT_FITTED.format("BinomialMixture"))
        return BinomialParams(np.asarray(self.weights_, np.float64), np.asarray(self.probs_, np.float64))

    def fit_predict(self, X: Any, y: Any = None, *, trials: Any = None, sample_weight: Any = None) -> np.ndarray:
        """Fit, then the most probable component of each row: (n,) ints.  Arguments and errors as for fit."""
        return self.fit(X, y, trials=trials, sample_weight=sample_weight).predict(X, trials=trials)

    def predict(self, X: Any, *, trials: Any = None) -> np.ndarray:
        """Most probable component of each row: (n,) ints in 0 .. k - 1."""
        return self._posterior(X, trials, "labels")

    def predict_proba(self, X: Any, *, trials: Any = None) -> np.ndarray:
        """Responsibilities of the components for each row: (n, k), rows sum to 1."""
        return self._posterior(X, trials, "resp")

    def score_samples(self, X: Any, *, trials: Any = None) -> np.ndarray:
        """Log probability of each row's successes given its trials: (n,), natural logarithm."""
        return self._posterior(X, trials, "log_prob")

    def score(self, X: Any, y: Any = None, *, trials: Any = None, sample_weight: Any = None) -> float:
        """Mean log probability over the rows, weighted by sample_weight (n,)."""
        return self._score(X, trials, sample_weight)[0]

    def aic(self, X: Any, *, trials: Any = None, sample_weight: Any = None) -> float:
        """Akaike information criterion on X; the lower the better."""
        return self._criterion(self._score(X, trials, sample_weight), lambda total: 2.0)

    def bic(self, X: Any, *, trials: Any = None, sample_weight: Any = None) -> float:
        """Bayesian information criterion on X, n being the total weight; the lower the better."""
        return self._criterion(self._score(X, trials, sample_weight), math.log)

    def standard_errors(
        self, X: Any, *, trials: Any = None, sample_weight: Any = None, method: str = "louis"
    ) -> StandardErrors:
        """Standard errors of the fitted parameters, from the information that the rows hold.

        Parameters
        ----------
        X : array-like of shape (n,) or (n, d)
            The rows of the fit.
        trials : int or array-like of shape (n,) or (n, d), default=None
            Their trials; None takes n_trials.
        sample_weight : array-like of shape (n,), default=None
            Their weights; a weight of w counts as w equal rows.
        method : {"louis", "opg"}, default="louis"
            The observed information or the outer product of the gradients, as for GaussianMixture.

        Returns
        -------
        StandardErrors
            weights (k,), probs (k, d), and parameters_covariance.  Groups that are `fixed` have standard error 0;
            a probability of 0 or 1, and what belongs to an empty component, NaN.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            On unusable data or settings; where the rows do not identify the parameters (two equal components, say), or
            these are not at a maximum.

        References
        ----------
        Louis (1982), Finding the observed information matrix when using the EM algorithm.
        McLachlan and Peel (2000), Finite mixture models, section 2.15.

        Examples
        --------
        >>> import fastem
        >>> heads = [5, 6, 4, 5]
        >>> fastem.BinomialMixture(1).fit(heads, trials=10).standard_errors(heads, trials=10).probs.round(3)
        array([[0.079]])
        """
        return self._standard_errors(X, trials, sample_weight, method)

    def sample(self, n_samples: int = 1, *, trials: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Draw successes of `trials` tosses: X (n_samples, d) and the component (n_samples,) of each, in order."""
        trials = checks.integer(self.n_trials if trials is None else trials, "trials", 0)
        rng = checks.generator(self.random_state)
        labels = self._draw_labels(n_samples, rng)
        return self.params_.sample(labels, trials, rng), labels
