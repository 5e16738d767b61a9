"""BinomialMixture: its settings and attributes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from fastem._errstate import own_methods
from fastem._public import public
from fastem._typing import Array, ArrayLike, PathLike
from fastem.data.base import BY_COMPONENT
from fastem.data.chunk_source import Chunkable
from fastem.estimators.base import Mixture
from fastem.estimators.documentation import documented_like
from fastem.estimators.likelihood_mixture import LikelihoodMixture
from fastem.estimators.model import fit_batch, fit_data, improve_data
from fastem.estimators.one_array import OneArrayMixture
from fastem.estimators.settings import MixtureSettings, missing_setting
from fastem.estimators.state import AttributeMap
from fastem.families.binomial.family import BinomialFamily
from fastem.families.binomial.model import BinomialParams
from fastem.families.binomial.prior import BinomialPrior
from fastem.fitting.settings import anything, at_least, documented, optional, redeclared, setting
from fastem.inference.standard_errors import StandardErrors
from fastem.validation.arrays import LARGEST_COUNT
from fastem.validation.parameters import as_float64
from fastem.validation.settings import as_generator, as_integer


def read_params(arrays: Mapping[str, np.ndarray], changed: set[str], family: BinomialFamily) -> BinomialParams:
    """Read the parameters from the attributes."""
    return BinomialParams(*(as_float64(array, name) for name, array in arrays.items()))


def attributes_of(params: BinomialParams) -> dict[str, Array]:
    """Write the parameters as attributes."""
    return {"weights_": params.weights, "probs_": params.probs}


@public
@own_methods
@documented("n_components", "n_trials", "tol", "random_state", "order_by")
@dataclass(eq=False, repr=False)
class BinomialMixture(Mixture):
    """Mixture of binomial distributions, fitted by expectation-maximisation.

    Equal rows are found once and count as one, where that leaves at most half of them: then a fit costs what the
    distinct rows cost, however many there are.

    Row i has X_i successes in trials_i tosses of one of k coins; which, and how the coins are biased, is fitted.  With
    several columns, a row has one coin per column, and the k components are sets of d coins.

    Most fits need only n_components, n_trials, tol, random_state and order_by, which come first.

    Parameters
    ----------
    {settings}

    Attributes
    ----------
    weights_ : (k,) mixing weights.
    probs_ : (k, d) probabilities of success.
    params_ : BinomialParams, the same as one value for the building blocks.
    converged_, stop_reason_, cut_short_, summary_, remaining_gain_, n_iter_, n_sweeps_, loglik_, log_posterior_,
    entropy_, counts_, collapses_, ascent_, n_parameters_, aic_, bic_, icl_, lower_bound_, lower_bounds_, history_,
    starts_, empty_components_, n_empty_rows_, settings_, n_features_in_, feature_names_in_
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

    n_trials: int | None = setting(
        None, "int", "Trials of every row, where fit and the predictions are not given any.", optional(at_least(0))
    )
    tol: float = redeclared(
        MixtureSettings, "tol", 1e-6, doc="Stop when the criterion (see `stopping`) falls below tol."
    )
    max_iter: int = redeclared(MixtureSettings, "max_iter", 1000)
    stopping: str = redeclared(MixtureSettings, "stopping", "gain")
    acceleration: str | None = redeclared(MixtureSettings, "acceleration", "quasi-newton")
    init_params: str = redeclared(
        MixtureSettings,
        "init_params",
        "auto",
        kind='{"auto", "quantiles", "kmeans", "random"}',
        doc="""A start at even quantiles of the rates of success in each column, always the same; at their k-means
        centers; or at the rates of random rows.  With n_init > 1 the first start is as init_params says, and the
        others are random.  "auto" searches for the best maximum: from several of these starts, by EM, and by splits and
        merges of components; where starting values are given it is "quantiles" for one column and "kmeans" for
        several.""",
    )
    missing: str = missing_setting()
    weights_init: ArrayLike | None = setting(
        None, "array-like of shape (k,)", "Starting mixing weights, each in [0, 1], sum 1.", anything
    )
    probs_init: ArrayLike | None = setting(
        None,
        "array-like of shape (k,) or (k, d)",
        "Starting probabilities of success; a row of NaN is found as init_params says.",
        anything,
    )
    fixed: Any = redeclared(MixtureSettings, "fixed", kind='tuple of {"weights", "probs"}, or dict')
    prior: BinomialPrior | None = redeclared(MixtureSettings, "prior", kind="BinomialPrior")
    order_by: str | None = redeclared(MixtureSettings, "order_by", kind='{None, "weights", "probs"}')

    attribute_map: ClassVar = AttributeMap(("weights_", "probs_"), attributes_of, read_params)

    @property
    def family(self) -> BinomialFamily:
        """The family of the components."""
        return BinomialFamily()

    def fit(
        self,
        X: ArrayLike | None = None,
        y: object = None,
        *,
        trials: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        chunks: Chunkable | None = None,
        labels: ArrayLike | None = None,
        labels_init: ArrayLike | None = None,
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
            Instead of X: an object that gives the rows in chunks, the same in every sweep; see `open_chunks`.  A
            chunk is X or a tuple (X, trials) or (X, trials, sample_weight).  `trials`, one number, is then for chunks
            that have none.
        labels : array-like of shape (n,), default=None
            Components of the rows whose component is known, from 0 to k - 1, and -1 elsewhere; as for GaussianMixture.
        labels_init : array-like of shape (n,) or (n, k), default=None
            Where the fit begins: at the M-step on these components of the rows; as for GaussianMixture.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            On unusable data or settings; the estimator stays as it was.
        """
        return self._become(
            fit_data(self, X, trials, sample_weight, chunks=chunks, labels=labels, labels_init=labels_init)
        )

    @documented_like(LikelihoodMixture.improve)
    def improve(
        self,
        X: ArrayLike | None = None,
        y: object = None,
        *,
        trials: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        chunks: Chunkable | None = None,
    ) -> Self:
        """Look for a better maximum of the fitted mixture."""
        return self._become(improve_data(self, X, trials, sample_weight, chunks=chunks))

    @documented_like(LikelihoodMixture.partial_fit)
    def partial_fit(
        self, X: ArrayLike, y: object = None, *, trials: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Go on with rows that come once.

        Examples
        --------
        >>> import fastem
        >>> coins = fastem.BinomialMixture(2, n_trials=10).partial_fit([2, 9, 3, 8])
        >>> coins.partial_fit([1, 2, 9, 9]).probs_.round(1).ravel()
        array([0.2, 0.9])
        """
        return self._become(fit_batch(self, X, trials, sample_weight))

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that X has counts: whole numbers from 0."""
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = tags.input_tags.positive_only = True
        return tags

    @documented_like(OneArrayMixture.fit_predict)
    def fit_predict(
        self, X: ArrayLike, y: object = None, *, trials: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> np.ndarray:
        """Fit the mixture, and return the most probable component of each row."""
        return self.fit(X, y, trials=trials, sample_weight=sample_weight).predict(X, trials=trials)

    @documented_like(OneArrayMixture.predict)
    def predict(
        self, X: ArrayLike | None = None, *, trials: ArrayLike | None = None, chunks: Chunkable | None = None
    ) -> np.ndarray:
        """Return the most probable component of each row."""
        return self._posterior(X, trials, "labels", chunks=chunks)

    @documented_like(OneArrayMixture.predict_proba)
    def predict_proba(
        self, X: ArrayLike | None = None, *, trials: ArrayLike | None = None, chunks: Chunkable | None = None
    ) -> np.ndarray:
        """Return the probability of each component for each row."""
        return self._posterior(X, trials, "resp", chunks=chunks)

    @documented_like(OneArrayMixture.score_samples)
    def score_samples(
        self, X: ArrayLike | None = None, *, trials: ArrayLike | None = None, chunks: Chunkable | None = None
    ) -> np.ndarray:
        """Return the logarithm of the probability of each row."""
        return self._posterior(X, trials, "log_prob", chunks=chunks)

    @documented_like(OneArrayMixture.log_prob_components)
    def log_prob_components(
        self, X: ArrayLike | None = None, *, trials: ArrayLike | None = None, chunks: Chunkable | None = None
    ) -> np.ndarray:
        """Return the logarithm of weight times probability of each component for each row."""
        return self._posterior(X, trials, BY_COMPONENT, chunks=chunks)

    @documented_like(OneArrayMixture.predict_to)
    def predict_to(
        self,
        path: PathLike,
        X: ArrayLike | None = None,
        *,
        trials: ArrayLike | None = None,
        chunks: Chunkable | None = None,
    ) -> int:
        """Write component, probability and log_density of each row to a file."""
        return self._predict_to(path, X, trials, chunks)

    @documented_like(OneArrayMixture.score)
    def score(
        self,
        X: ArrayLike | None = None,
        y: object = None,
        *,
        trials: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        chunks: Chunkable | None = None,
    ) -> float:
        """Return the mean of `score_samples` over the rows."""
        return self._mean_log_prob(X, trials, sample_weight, chunks)

    @documented_like(LikelihoodMixture.aic)
    def aic(
        self,
        X: ArrayLike | None = None,
        *,
        trials: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        chunks: Chunkable | None = None,
    ) -> float:
        """Return the Akaike information criterion of the mixture on these rows."""
        return self._criterion(self._score(X, trials, sample_weight, chunks), lambda total: 2.0)

    @documented_like(LikelihoodMixture.bic)
    def bic(
        self,
        X: ArrayLike | None = None,
        *,
        trials: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        chunks: Chunkable | None = None,
    ) -> float:
        """Return the Bayesian information criterion of the mixture on these rows."""
        return self._criterion(self._score(X, trials, sample_weight, chunks), math.log)

    @documented_like(LikelihoodMixture.standard_errors)
    def standard_errors(
        self,
        X: ArrayLike | None = None,
        *,
        trials: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        method: str = "louis",
        chunks: Chunkable | None = None,
    ) -> StandardErrors:
        """Return standard errors of the fitted parameters.

        Examples
        --------
        >>> import fastem
        >>> heads = [5, 6, 4, 5]
        >>> fastem.BinomialMixture(1).fit(heads, trials=10).standard_errors(heads, trials=10).probs.round(3)
        array([[0.079]])
        """
        return self._standard_errors(X, trials, sample_weight, method, chunks)

    def sample(self, n_samples: int = 1, *, trials: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Draw counts of successes from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows, at least 1.  They are drawn from `random_state`: with an int, each call returns the same.
        trials : int, default=None
            Trials of every count.  None takes n_trials.

        Returns
        -------
        X : ndarray of int64, shape (n_samples, d)
            Successes, component by component.
        labels : ndarray of int64, shape (n_samples,)
            The component of each row.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            If n_samples is no positive int, or trials is no int from 0.
        """
        trials = as_integer(self.n_trials if trials is None else trials, "trials", 0, LARGEST_COUNT)
        rng = as_generator(self.random_state)
        labels = self._draw_labels(n_samples, rng)
        return self.params_.sample(labels, rng, trials), labels
