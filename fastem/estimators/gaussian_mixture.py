"""GaussianMixture: its settings and attributes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from fastem._errstate import own_methods
from fastem._public import public
from fastem._typing import Array, ArrayLike
from fastem.data.chunk_source import Chunkable
from fastem.estimators.base import Mixture
from fastem.estimators.model import fit_batch, fit_data
from fastem.estimators.settings import MixtureSettings
from fastem.estimators.state import AttributeMap
from fastem.families.gaussian.family import GaussianFamily
from fastem.families.gaussian.model import GaussianParams
from fastem.families.gaussian.prior import GaussianPrior
from fastem.families.gaussian.structures import COVARIANCE_TYPES, STRUCTURES
from fastem.fitting.settings import anything, documented, one_of, redeclared, setting
from fastem.inference.standard_errors import StandardErrors
from fastem.validation.parameters import as_float64
from fastem.validation.settings import as_generator, check_non_negative


def read_params(arrays: Mapping[str, np.ndarray], changed: set[str], family: GaussianFamily) -> GaussianParams:
    """Read the parameters from the covariances or, where these are not there or only the others have changed, from
    precisions_cholesky_, which scikit-learn predicts with."""
    found = {name: as_float64(array, name) for name, array in arrays.items()}
    factors_alone = "precisions_cholesky_" in changed and "covariances_" not in changed
    if "precisions_cholesky_" in found and (factors_alone or "covariances_" not in found):
        covariances = STRUCTURES[family.covariance_type].of_precisions_cholesky(found["precisions_cholesky_"])
    else:
        covariances = found["covariances_"]
    return GaussianParams(found["weights_"], found["means_"], covariances, family.covariance_type)


def attributes_of(params: GaussianParams) -> dict[str, Array]:
    """Write the parameters as scikit-learn's attributes."""
    return {
        "weights_": params.weights,
        "means_": params.means,
        "covariances_": params.covariances,
        "precisions_cholesky_": params.precisions_cholesky(),
        "precisions_": params.precisions(),
    }


def check_reg_covar(value: object, name: str) -> None:
    """Allow "auto" and numbers that are not negative."""
    if not isinstance(value, str) or value != "auto":
        check_non_negative(value, name)


@public
@own_methods
@documented
@dataclass(eq=False, repr=False)
class GaussianMixture(Mixture):
    """Gaussian mixture, fitted by expectation-maximisation; a single column is fitted by the univariate kernel.

    Parameters
    ----------
    {settings}

    Attributes
    ----------
    settings_ : dict, the settings without which the fit cannot be read (covariance_type, n_components, fixed, prior),
        as they were: where one of them has been changed since, what depends on it is a ValueError.
    weights_ : (k,) mixing weights.
    means_ : (k, d) means, in the units of X.
    covariances_, precisions_, precisions_cholesky_ : shaped by covariance type; squared units of X, or their inverse.
        Read-only: assign another array to `covariances_` or, as with scikit-learn, to `precisions_cholesky_`; the other
        two follow at the next use.
    params_ : GaussianParams, the same as one value for the building blocks.
    converged_ : bool, whether the stop rule was met.
    stop_reason_ : str, which rule ended the fit.
    cut_short_ : bool, whether the fit ended because its time was over or it was interrupted.
    n_iter_ : int, EM iterations of the best start.
    n_sweeps_ : int, passes over the data for them: also the last one, and those at extrapolations that were given up.
    loglik_ : float, log likelihood of the fitted parameters (total, natural logarithm).
    log_posterior_ : float, with the log density of the prior added; `loglik_` where there is none.
    entropy_ : float, of the responsibilities (total): 0 where every row surely belongs to one component.
    n_parameters_ : int, parameters that were free.
    aic_, bic_, icl_ : float, information criteria on the rows of the fit, n being their total weight; the lower the
        better.  ICL is BIC + 2 entropy (Biernacki, Celeux and Govaert 2000).
    remaining_gain_ : float, what the mean log likelihood is estimated to have still to gain, as stopping="aitken" has
        it; inf where the last iterations do not tell.
    summary_ : str, a line on how the fit ended and how far from the maximum.
    lower_bound_ : float, mean log likelihood before the last M-step, as scikit-learn.
    collapses_ : list of Collapse(component, iteration, count, smallest_eigenvalue, action), in the order of the fit;
        those that were reseeded or dropped have the number they had then.
    counts_ : (k,) weight of the rows of each component.
    ascent_ : Ascent(largest_fall, bound, iteration), a certificate: how far the log likelihood has fallen in an
        iteration, and how far rounding may have let it.
    history_ : History, loglik, q, entropy and kind of step of each iteration.
    starts_ : list of Start(mean_loglik, n_iter, stop_reason), one for each start, the best first.
    empty_components_ : indices of components that lost all points.
    lower_bounds_ : list of `n_iter_` floats, the same of every iteration.
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

    covariance_type: str = setting(
        "full",
        '{"full", "tied", "diag", "spherical"}',
        """Each component has its own matrix; all have one; each its own variance per feature; one variance per
        component.""",
        one_of(COVARIANCE_TYPES),
    )
    reg_covar: float | str = setting(
        1e-6,
        'float or "auto"',
        """Added to every variance, in squared units of X.  "auto" adds to each feature's variances 1e-6 of its variance
        over the rows (over 8,192 of them, drawn at random, if there are more), so that units do not matter.  With 0
        a variance that collapses in a fit is held at the resolution of the data, never at 0.""",
        check_reg_covar,
    )
    init_params: str = redeclared(
        MixtureSettings,
        "init_params",
        "kmeans",
        kind='{"kmeans", "k-means++", "random", "random_from_data"}',
        doc="""How a start is found: k-means, k-means++ centers, random responsibilities, or random rows as centers.  A
        start looks at 8,192 rows, or 8 k (d + 1) if that is more, drawn at random where there are more rows.""",
    )
    weights_init: ArrayLike | None = setting(
        None, "array-like of shape (k,)", "Starting mixing weights, each in [0, 1], sum 1.", anything
    )
    means_init: ArrayLike | None = setting(
        None, "array-like of shape (k, d)", "Starting means; a row of NaN is found as init_params says.", anything
    )
    precisions_init: ArrayLike | None = setting(
        None,
        "array-like",
        """Starting inverse covariances: (k, d, d), (d, d), (k, d) or (k,) by covariance type; of variances from 1e-200
        to 1e280.""",
        anything,
    )
    fixed: Any = redeclared(MixtureSettings, "fixed", kind='tuple of {"weights", "means", "covariances"}, or dict')
    prior: GaussianPrior | None = redeclared(MixtureSettings, "prior", kind="GaussianPrior")
    order_by: str | None = redeclared(MixtureSettings, "order_by", kind='{None, "weights", "means"}')

    attribute_map: ClassVar = AttributeMap(
        ("weights_", "means_", "covariances_", "precisions_cholesky_"),
        attributes_of,
        read_params,
        frozenset({"covariances_", "precisions_", "precisions_cholesky_"}),
    )

    @property
    def family(self) -> GaussianFamily:
        """The family of the components, with the settings of its model."""
        return GaussianFamily(self.covariance_type, self.reg_covar)

    def fit(
        self,
        X: ArrayLike | None = None,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        chunks: Chunkable | None = None,
    ) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Finite rows, n >= k.  float32 and float64 arrays are not copied; sums are float64.  float32 rows without
            weights are computed in float32, nearly twice as fast, where that changes no result: not where tol is below
            1e-6, where components lie over 1,000 standard deviations apart, or where features are strongly correlated.
            Their attributes are float32 where rounding leaves the same model, and float64 elsewhere.  Also a Dask array
            or data frame: a task for each of its blocks, on the `Client` that is current or in this process; on a
            cluster they stay with the workers for the fit.
        y : ignored
        sample_weight : array-like of shape (n,), default=None
            Non-negative; a weight of w counts as w equal rows.
        chunks : sequence, iterable or callable, default=None
            In the place of X: what gives the rows in chunks, in every sweep the same; `open_chunks` tells more.  A
            chunk is X or a tuple (X, sample_weight).  The fit has the bits of that of all rows in memory.  A start
            takes a pass over the chunks; `warm_sweeps` must be None.  Predict chunk by chunk.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            On unusable data or settings; the estimator stays as it was.
        """
        return self._become(fit_data(self, X, None, sample_weight, chunks=chunks))

    def partial_fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Go on with rows that come once: one sweep over them, and an M-step on what is known of all rows so far.

        Stepwise EM: the sums of the rows before, which were taken at older parameters, lose weight in favour of these.
        So the result comes near that of `fit` on all rows and depends on their order; where all of them can be read
        again, `fit(chunks=...)` is exact.  The first call fits its rows (from one start), which should be some hundreds
        for each component and in no order; after `fit`, the first call begins at its parameters.  Components keep the
        numbers of the first call.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Finite rows; of the first call at least k.  Also a Dask array or data frame, swept block by block.
        y : ignored
        sample_weight : array-like of shape (n,), default=None
            Non-negative; a weight of w counts as w equal rows.

        Returns
        -------
        self
            With the fitted parameters, and `stats_`: what is remembered of all rows, as GaussianStats.  What else `fit`
            tells (`loglik_`, `history_`, ...) is not updated.

        Raises
        ------
        ValueError, TypeError
            On unusable data or settings; the estimator stays as it was.

        References
        ----------
        Cappe and Moulines (2009), On-line expectation-maximization algorithm for latent data models.

        Examples
        --------
        >>> import numpy as np, fastem
        >>> rng, mixture = np.random.default_rng(0), fastem.GaussianMixture(2, random_state=0, order_by="means")
        >>> for _ in range(20):
        ...     mixture = mixture.partial_fit(rng.normal(size=(500, 1)) + rng.choice([0.0, 9.0], size=(500, 1)))
        >>> mixture.means_.round(1).ravel() + 0.0, mixture.stats_.total
        (array([0., 9.]), 10000.0)
        """
        return self._become(fit_batch(self, X, None, sample_weight))

    def fit_predict(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> np.ndarray:
        """Fit, then the most probable component of each row: (n,) ints.  Arguments and errors as for fit."""
        return self.fit(X, y, sample_weight).predict(X)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Most probable component of each row of X (n, d): (n,) ints in 0 .. k - 1."""
        return self._posterior(X, None, "labels")

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Responsibilities of the components for each row of X (n, d): (n, k), rows sum to 1."""
        return self._posterior(X, None, "resp")

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Log density of each row of X (n, d): (n,), natural logarithm; at least -6.9e299, however far out."""
        return self._posterior(X, None, "log_prob")

    def score(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> float:
        """Mean log density over the rows of X (n, d), weighted by sample_weight (n,)."""
        return self._mean_log_prob(X, None, sample_weight)

    def aic(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Akaike information criterion on X (n, d); the lower the better."""
        return self._criterion(self._score(X, None, sample_weight), lambda total: 2.0)

    def bic(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Bayesian information criterion on X (n, d), n being the total weight; the lower the better."""
        return self._criterion(self._score(X, None, sample_weight), math.log)

    def standard_errors(
        self, X: ArrayLike, *, sample_weight: ArrayLike | None = None, method: str = "louis"
    ) -> StandardErrors:
        """Standard errors of the fitted parameters, from the information that the rows hold.

        They are those of a maximum of the likelihood: fit with a small tol and reg_covar (`stopping="gradient"` with an
        `acceleration` gets there), and pass the rows of the fit.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The rows of the fit.  Also a Dask array or data frame: a task for each block, with sums that add up.
        sample_weight : array-like of shape (n,), default=None
            Their weights; a weight of w counts as w equal rows.
        method : {"louis", "opg", "sandwich"}, default="louis"
            With s_ik the slopes of log(weights_k p_k(x_i)) by the parameters, and s_i their mean over the
            responsibilities, the slopes of log p(x_i): "louis" is the observed information, minus the second
            derivatives of the log likelihood,

                sum_i w_i (E[-d2 log complete | x_i] - sum_k r_ik (s_ik - s_i)(s_ik - s_i)^T),

            "opg" the outer product of the gradients, sum_i w_i s_i s_i^T.  Both estimate the expected information
            where the model is right; "louis" is the less noisy.  For both a weight of w is w rows, so that errors
            shrink as weights grow.  "sandwich" is the inverse of the first, sum_i w_i^2 s_i s_i^T, and that inverse
            again: the errors of weights that are not numbers of rows (sampling weights), whatever their scale, and of
            a model that is only nearly right.  With p parameters each takes n p^2 + p^3 operations and the memory of a
            few p x p matrices.

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
        White (1982), Maximum likelihood estimation of misspecified models.

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
        rng = as_generator(self.random_state)
        labels = self._draw_labels(n_samples, rng)
        return self.params_.sample(labels, rng), labels
