"""GaussianMixture: its settings and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from fastem._errstate import own_methods
from fastem._public import public
from fastem._typing import Array, ArrayLike
from fastem.estimators.gaussian_features import GaussianFeatures
from fastem.estimators.gaussian_overlap import GaussianOverlap
from fastem.estimators.likelihood_mixture import LikelihoodMixture
from fastem.estimators.settings import AUTO, MixtureSettings, missing_setting
from fastem.estimators.sklearn_counterparts import counterpart
from fastem.estimators.sklearn_exchange import SklearnExchange
from fastem.estimators.sklearn_names import SklearnNames
from fastem.estimators.state import AttributeMap
from fastem.families.gaussian.background.family import BackgroundFamily
from fastem.families.gaussian.family import GaussianFamily
from fastem.families.gaussian.model import GaussianParams
from fastem.families.gaussian.prior import GaussianPrior
from fastem.families.gaussian.structures import COVARIANCE_TYPES, STRUCTURES
from fastem.fitting.acceleration import ACCELERATORS
from fastem.fitting.settings import STOPPING, anything, documented, one_of, optional, redeclared, setting
from fastem.validation.parameters import as_float64, check_matrix, check_shape
from fastem.validation.settings import check_noise, check_non_negative


def read_point(arrays: Mapping[str, np.ndarray], changed: set[str], family: GaussianFamily) -> GaussianParams:
    """Read weights, means and covariances from the attributes, of which a user may have changed some.

    The covariances are those of covariances_.  Where these are not there, or only the others have changed, they come
    from precisions_cholesky_, which scikit-learn predicts with.
    """
    found = {name: as_float64(array, name) for name, array in arrays.items()}
    factors_alone = "precisions_cholesky_" in changed and "covariances_" not in changed
    if "precisions_cholesky_" in found and (factors_alone or "covariances_" not in found):
        structure, factors = STRUCTURES[family.covariance_type], found["precisions_cholesky_"]
        check_matrix(found["means_"], "means")
        check_shape(factors, "precisions_cholesky_", structure.shape(*found["means_"].shape))
        covariances = structure.of_precisions_cholesky(factors)
    else:
        covariances = found["covariances_"]
    return GaussianParams(found["weights_"], found["means_"], covariances, family.covariance_type)


def read_params(arrays: Mapping[str, np.ndarray], changed: set[str], family: GaussianFamily) -> GaussianParams:
    """Read the parameters from the attributes, those of a background with them, if the family has one."""
    point = read_point(arrays, changed, family)
    names = [each.name for each in fields(family.params_type)]
    own = {name: as_float64(arrays[f"{name}_"], name) for name in names if f"{name}_" in arrays}
    return family.params_of(own | {"covariances": point.covariances})


def attributes_of(params: GaussianParams) -> dict[str, Array]:
    """Write the parameters as scikit-learn's attributes, and those of a background, if there is one."""
    return {
        "weights_": params.weights,
        "means_": params.means,
        "covariances_": params.covariances,
        "precisions_cholesky_": params.precisions_cholesky(),
        "precisions_": params.precisions(),
        **{f"{name}_": value for name, value in params.background_arrays().items()},
    }


def check_reg_covar(value: object, name: str) -> None:
    """Allow "auto" and numbers that are not negative."""
    if not isinstance(value, str) or value != "auto":
        check_non_negative(value, name)


@public
@counterpart
@own_methods
@documented("n_components", "covariance_type", "tol", "random_state", "order_by")
@dataclass(eq=False, repr=False)
class GaussianMixture(SklearnExchange, SklearnNames, GaussianFeatures, GaussianOverlap, LikelihoodMixture):
    """Gaussian mixture, fitted by expectation-maximisation; a single column is fitted by the univariate kernel.

    Rows are finite numbers, and NaN where `missing` allows it.  float32 and float64 arrays are not copied; sums are
    float64.  float32 rows without weights are computed in float32, nearly twice as fast, where that changes no result:
    not where tol is below 1e-6, where components lie over 1,000 standard deviations apart, or where features are
    strongly correlated.  Their attributes are float32 where rounding leaves the same model, and float64 elsewhere.

    Most fits need only n_components, covariance_type, tol, random_state and order_by, which come first.

    Parameters
    ----------
    {settings}

    Attributes
    ----------
    settings_ : dict, the settings without which the fit cannot be read (covariance_type, noise, n_components, fixed,
        prior), as they were: where one of them has been changed since, what depends on it is a ValueError.
    weights_ : (k,) mixing weights.
    means_ : (k, d) means, in the units of X.
    covariances_, precisions_, precisions_cholesky_ : shaped by covariance type; squared units of X, or their inverse.
        Read-only: assign another array to `covariances_` or, as with scikit-learn, to `precisions_cholesky_`; the other
        two follow at the next use.
    noise_weight_ : float, with `noise`: the mixing weight of the background; with `weights_` the sum is 1.
    noise_box_ : (d + 1, d), with `noise`: a corner of the box about the rows of the fit, and its edges from there,
        which are perpendicular.  `sample` draws the rows of the background in it; its density is the same outside.  A
        fit that goes on (warm_start, partial_fit) keeps it.
    noise_count_ : float, with `noise`: weight of the rows of the background.
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
    remaining_gain_ : float, how much the mean log likelihood can still rise, by estimate; inf where that is unknown:
        then the last iterations alone say that a fit has converged, and `stop_reason_` is "estimated remaining gain".
    summary_ : str, a line on how the fit ended and how far from the maximum.
    lower_bound_ : float, mean log likelihood before the last M-step, as scikit-learn.
    collapses_ : list of Collapse(component, iteration, count, smallest_eigenvalue, action), in the order of the fit;
        those that were reseeded or dropped have the number they had then.
    counts_ : (k,) weight of the rows of each component.
    ascent_ : Ascent(largest_fall, bound, iteration), a certificate: how far the log likelihood has fallen in an
        iteration, and how far rounding may have let it.
    history_ : History, loglik, q, entropy and kind of step of each iteration.
    starts_ : list of Start(mean_loglik, n_iter, stop_reason), one for each start, the best first.  mean_loglik is that
        of all rows where it ended; NaN where a part of them screened it out.
    empty_components_ : indices of components that lost all points.
    n_empty_rows_ : int, rows of which every value is missing, which have no weight; 0 where nothing may be missing.
    lower_bounds_ : list of `n_iter_` floats, the same of every iteration.
    n_features_in_ : int, d.
    feature_names_in_ : (d,) names of the columns, where X is a data frame and scikit-learn is installed.

    References
    ----------
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.
    Fraley and Raftery (1998), How many clusters? Which clustering method? Answers via model-based cluster analysis.
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
        """"full": each component has a covariance matrix of its own; "tied": all have the same one; "diag": each has a
        variance of its own for each feature; "spherical": each has one variance.""",
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
    stopping: str = redeclared(
        MixtureSettings,
        "stopping",
        AUTO,
        kind='{"auto", "gain", "loglik", "q", "aitken", "gradient"}',
        doc="""What falls below tol.  "gain" is what the mean log likelihood has still to gain: the last iterations tell
        when it may be little enough, and the gradient with the information of some of the rows (scores) confirm it.
        "loglik" is the change of the mean log likelihood, as in scikit-learn; "auto" is "gain" where the fit searches
        for its start, and "loglik" where a start is given or is one of scikit-learn's, or a fit goes on (warm_start).
        "q" is the change of Q, the expected complete log likelihood (a total); "aitken" what the last iterations say is
        left to gain; "gradient" the length of the gradient of the mean log likelihood, means and standard deviations
        being measured in standard deviations.""",
        check=one_of((AUTO, *STOPPING)),
    )
    acceleration: str | None = redeclared(
        MixtureSettings,
        "acceleration",
        AUTO,
        kind='{"auto", None, "anderson", "squarem", "quasi-newton"}',
        doc="""None is plain EM, and "auto" is "quasi-newton" where the stop rule is "gain", else None.  The others
        extrapolate from the iterations of EM: where components overlap they take tens of sweeps instead of thousands
        ("quasi-newton" takes the fewest).  An extrapolation that lowers the log likelihood is given up, and the EM step
        that is known already is taken.""",
        check=optional(one_of((AUTO, *ACCELERATORS))),
    )
    init_params: str = redeclared(
        MixtureSettings,
        "init_params",
        "auto",
        kind='{"auto", "kmeans", "k-means++", "random", "random_from_data"}',
        doc="""How a start is found.  "auto" searches for the best maximum: from several beginnings, by EM, and by
        splits and merges of components; where starting values are given it is "kmeans".  The others are one start:
        k-means (as scikit-learn), k-means++ centers, random responsibilities, or random rows as centers.  All look at
        8,192 rows, or 8 k (d + 1) if that is more, drawn at random where there are more rows; the search then looks for
        rare components in up to 65,536.""",
    )
    noise: float | bool | None = setting(
        None,
        "None, True or float",
        """True adds a background for rows that belong to no component: one more component, whose density is that of the
        uniform distribution in a box about the rows, along the features or along their principal axes, whichever box is
        smaller (Fraley and Raftery 1998); with missing="marginalize" it is the one along the features.  A number is its
        density, per unit of volume of X; some of the features then have that of a box with the proportions of the one
        about the rows and the volume 1 / noise.  `predict` says -1 of the rows of a background, and `predict_proba` has
        a last column for it.""",
        check_noise,
    )
    missing: str = missing_setting()
    weights_init: ArrayLike | None = setting(
        None,
        "array-like of shape (k,)",
        """Starting mixing weights, each in [0, 1], sum 1.  With `noise` the sum may be lower, and a background begins
        with the rest; it begins with 0.05 otherwise.""",
        anything,
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

    sklearn_parameters: ClassVar = ("weights_", "means_", "covariances_", "precisions_cholesky_")

    attribute_map: ClassVar = AttributeMap(
        (*sklearn_parameters, "noise_weight_", "noise_box_"),
        attributes_of,
        read_params,
        frozenset({"covariances_", "precisions_", "precisions_cholesky_"}),
        (("means_",), ("covariances_", "precisions_cholesky_")),
    )

    @property
    def family(self) -> GaussianFamily:
        """The family of the components, with the settings of its model."""
        if not self.noise:
            return GaussianFamily(self.covariance_type, self.reg_covar)
        along_features = self.missing == "marginalize"
        return BackgroundFamily(self.covariance_type, self.reg_covar, noise=self.noise, along_features=along_features)
