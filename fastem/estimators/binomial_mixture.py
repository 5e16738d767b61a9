"""BinomialMixture: its settings, starts and attributes."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np

from fastem._errstate import own_methods
from fastem._public import public
from fastem._typing import RowKind
from fastem.data.rows import Rows
from fastem.estimators.base import Mixture
from fastem.families.binomial.family import BinomialFamily
from fastem.families.binomial.model import BinomialParams
from fastem.families.fixed import Fixed
from fastem.inference.standard_errors import StandardErrors
from fastem.validation.arrays import LARGEST_COUNT, check_enough_rows
from fastem.validation.parameters import as_float64, warn_if_not_identifiable
from fastem.validation.settings import as_generator, as_integer, check_integer


@public
@own_methods
class BinomialMixture(Mixture):
    """Mixture of binomial distributions, fitted by expectation-maximisation.

    Equal rows are found once and count as one, where that leaves at most half of them: then a fit costs what the
    distinct rows cost, however many there are.

    Row i has X_i successes in trials_i tosses of one of k coins; which, and how the coins are biased, is fitted.  With
    several columns, a row has one coin per column, and the k components are sets of d coins.

    Parameters
    ----------
    n_components : int, default=1
        Number of components k.
    n_trials : int, default=None
        Trials of every row, where fit and the predictions are not given any.
    tol : float, default=1e-6
    max_iter : int, default=1000
    stopping : {"aitken", "loglik", "q", "gradient"}, default="aitken"
    acceleration : {"quasi-newton", None, "anderson", "squarem"}, default="quasi-newton"
        As for GaussianMixture, with other defaults: a fit stops when what the mean log likelihood has still to gain is
        estimated below tol.  EM is slow on counts, and rests on plateaus where it gains less than 1e-3 in an iteration.
    n_init, random_state, warm_start, verbose, verbose_interval,
    warm_sweeps, on_collapse, max_time, on_interrupt, checkpoint, checkpoint_every, backend, n_threads
        As for GaussianMixture; a component collapses by losing all its rows.
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
    converged_, stop_reason_, cut_short_, summary_, remaining_gain_, n_iter_, n_sweeps_, loglik_, log_posterior_,
    entropy_, counts_, collapses_, ascent_, n_parameters_, aic_, bic_, icl_, lower_bound_, lower_bounds_, history_,
    starts_, empty_components_, settings_, n_features_in_, feature_names_in_
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

    _row_kind = RowKind.COUNTS_WITH_TRIALS
    _groups, _starts = BinomialFamily.parameter_names, BinomialFamily.start_methods

    def __init__(
        self,
        n_components: int = 1,
        *,
        n_trials: int | None = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
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
        stopping: str = "aitken",
        acceleration: str | None = "quasi-newton",
        warm_sweeps: str | None = None,
        on_collapse: str = "floor",
        max_time: float | None = None,
        on_interrupt: str = "raise",
        checkpoint: Any = None,
        checkpoint_every: float = 60.0,
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
        self.on_collapse = on_collapse
        self.max_time = max_time
        self.on_interrupt = on_interrupt
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.backend = backend
        self.n_threads = n_threads

    def fit(
        self, X: Any = None, y: Any = None, *, trials: Any = None, sample_weight: Any = None, chunks: Any = None
    ) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n,) or (n, d)
            Successes: whole numbers from 0 to trials, of any type.  Integers are not copied.  Also a Dask collection,
            as for GaussianMixture; trials are then a number or one too.
        y : ignored
        trials : int or array-like of shape (n,), (d,) or (n, d), default=None
            Trials of all, of each row, of each column or of each place: whole numbers; 0 tells nothing.  None takes
            n_trials.
        sample_weight : array-like of shape (n,), default=None
            Non-negative; a weight of w counts as w equal rows.
        chunks : sequence, iterable or callable, default=None
            In the place of X: what gives the rows in chunks, in every sweep the same; `open_chunks` tells more.  A
            chunk is X or a tuple (X, trials) or (X, trials, sample_weight).  `trials`, one number, is then for chunks
            that have none.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            On unusable data or settings; the estimator stays as it was.
        """
        fixed = self._check_settings()
        with self._opened(X, chunks, self._tosses(trials), sample_weight) as rows:
            check_enough_rows(len(rows), self._k)
            self._check_inits(rows.n_features)
            few = rows.collapsed()
            warn_if_not_identifiable(few.n_features, few.most_trials, self._k)
            return self._fit(X, few, fixed, rows)

    def partial_fit(self, X: Any, y: Any = None, *, trials: Any = None, sample_weight: Any = None) -> Self:
        """Go on with rows that come once, as GaussianMixture.partial_fit; X, trials, sample_weight as for fit.

        Examples
        --------
        >>> import fastem
        >>> coins = fastem.BinomialMixture(2, n_trials=10).partial_fit([2, 9, 3, 8])
        >>> coins.partial_fit([1, 2, 9, 9]).probs_.round(1).ravel()
        array([0.2, 0.9])
        """
        fixed = self._check_settings()
        n_features = self.params_.n_features if self._is_fitted() else None
        rows = self._opened(X, None, self._tosses(trials), sample_weight, n_features=n_features)
        check_enough_rows(len(rows), 1 if self._is_fitted() else self._k)
        self._check_inits(rows.n_features)
        return self._partial_fit(X, rows, fixed)

    def _check_settings(self) -> Fixed:
        fixed = super()._check_settings()
        if self.n_trials is not None:
            check_integer(self.n_trials, "n_trials", 0)
        return fixed

    def _family(self) -> BinomialFamily:
        return BinomialFamily()

    def _open(self, X: Any, trials: Any, sample_weight: Any = None, **options: Any) -> Rows:
        return super()._open(X, self._tosses(trials), sample_weight, **options)

    def _tosses(self, trials: Any) -> Any:
        """trials, or n_trials in their place."""
        if self.n_trials is not None:
            check_integer(self.n_trials, "n_trials", 0)
        return self.n_trials if trials is None else trials

    def __sklearn_tags__(self) -> Any:
        """Counts: whole numbers from 0."""
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = tags.input_tags.positive_only = True
        return tags

    def _attributes(self, params: BinomialParams) -> dict[str, np.ndarray]:
        return {"weights_": params.weights, "probs_": params.probs}

    def _params(self, arrays: dict[str, np.ndarray], changed: set[str]) -> BinomialParams:
        weights, probs = (as_float64(array, name) for name, array in arrays.items())
        return BinomialParams(weights, probs)

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
        return self._mean_log_prob(X, trials, sample_weight)

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
        method : {"louis", "opg", "sandwich"}, default="louis"
            The observed information, the outer product of the gradients, or both (for sampling weights), as for
            GaussianMixture.

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
        trials = as_integer(self.n_trials if trials is None else trials, "trials", 0, LARGEST_COUNT)
        rng = as_generator(self.random_state)
        labels = self._draw_labels(n_samples, rng)
        return self.params_.sample(labels, trials, rng), labels
