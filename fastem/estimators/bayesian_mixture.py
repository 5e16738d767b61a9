"""BayesianGaussianMixture: its settings and attributes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastem._errstate import own_methods
from fastem._public import public
from fastem._typing import Array, ArrayLike
from fastem.estimators.gaussian_mixture import GaussianMixture, attributes_of, read_point
from fastem.estimators.one_array import OneArrayMixture
from fastem.estimators.settings import MixtureSettings
from fastem.estimators.sklearn_counterparts import counterpart
from fastem.estimators.sklearn_exchange import SklearnExchange
from fastem.estimators.sklearn_names import SklearnNames
from fastem.estimators.state import AttributeMap
from fastem.families.gaussian.covariance import Covariance
from fastem.families.gaussian.variational.concentration import CONCENTRATIONS
from fastem.families.gaussian.variational.family import VariationalFamily
from fastem.families.gaussian.variational.model import VariationalParams
from fastem.families.gaussian.variational.prior import VariationalPrior
from fastem.fitting.result import Fit
from fastem.fitting.settings import VARIATIONAL, anything, documented, one_of, optional, redeclared, setting
from fastem.validation.arrays import check_not
from fastem.validation.parameters import as_array, check_follow
from fastem.validation.settings import check_positive

OWN = ("weight_concentration_", "mean_precision_", "degrees_of_freedom_")
PRIOR = (
    "weight_concentration_prior_",
    "mean_prior_",
    "mean_precision_prior_",
    "covariance_prior_",
    "degrees_of_freedom_prior_",
)
"""Attributes of the posterior and of its prior, which no other mixture has."""


def read_posterior(arrays: Mapping[str, np.ndarray], changed: set[str], family: VariationalFamily) -> VariationalParams:
    """Read the posterior from the attributes, of which a user may have changed some; weights_ have to agree."""
    point = read_point(arrays, changed, family)
    (k, d), shared = point.means.shape, point.structure.is_shared
    mixing = CONCENTRATIONS[family.weights].prior(1.0, k).values.shape
    shapes = zip(OWN, (mixing, (k,), () if shared else (k,)), strict=True)
    least = dict(zip(OWN, (0.0, 0.0, d - 1.0), strict=True))
    concentration, precision, freedom = (
        as_array_above(arrays[name], name, shape, least[name]) for name, shape in shapes
    )
    weights = CONCENTRATIONS[family.weights](concentration).expected
    if not np.isnan(point.weights).all():  # as `_set_parameters` leaves them, which has no others
        check_follow(point.weights, "weights_", weights, OWN[0])
    return VariationalParams(
        weights,
        point.means,
        point.covariances,
        point.covariance_type,
        concentration,
        precision,
        np.broadcast_to(freedom, k).copy(),
        read_prior(arrays, family, point.structure),
    )


def as_array_above(values: object, name: str, shape: tuple[int, ...], least: float) -> Array:
    """Convert values to an array of this shape, whose elements are above `least`."""
    array = as_array(values, name, shape)
    check_not(lambda block: block <= least, array, f"{name} must be above {least:g}")
    return array


def read_prior(arrays: Mapping[str, np.ndarray], family: VariationalFamily, structure: Covariance) -> VariationalPrior:
    """Read the prior from the attributes; what a user has not given is the least that a prior can be."""
    d = structure.d
    scale = 1.0 if family.covariance_type == "spherical" else np.eye(d) if structure.is_matrix else np.ones(d)
    given = dict(zip(PRIOR, (1.0, np.zeros(d), 0.0, scale, float(d)), strict=True)) | {
        name: arrays[name] for name in PRIOR if name in arrays
    }
    concentration = as_array_above(given[PRIOR[0]], PRIOR[0], (), 0.0)
    mean = as_array(given[PRIOR[1]], PRIOR[1], (d,))
    precision = as_array(given[PRIOR[2]], PRIOR[2], ())
    check_not(lambda block: block < 0, precision, f"{PRIOR[2]} must not be negative")
    scale = as_array(given[PRIOR[3]], PRIOR[3], np.shape(scale))
    freedom = as_array_above(given[PRIOR[4]], PRIOR[4], (), d - 1.0)
    scale = np.full(d, scale) if scale.ndim == 0 else scale
    return VariationalPrior(family.weights, float(concentration), mean, float(precision), scale, float(freedom))


def posterior_attributes(params: VariationalParams) -> dict[str, Array]:
    """Write the posterior and its prior as scikit-learn's attributes."""
    prior, freedom = params.prior, params.degrees_of_freedom
    shared, isotropic = params.structure.is_shared, params.covariance_type == "spherical"
    values = (
        prior.concentration,
        prior.mean,
        prior.mean_precision,
        prior.scale[0] if isotropic else prior.scale,
        prior.degrees_of_freedom,
    )
    own = params.concentration, params.mean_precision, freedom[0] if shared else freedom
    return (
        attributes_of(params)
        | dict(zip(OWN, own, strict=True))
        | {name: np.float64(value) if np.ndim(value) == 0 else value for name, value in zip(PRIOR, values, strict=True)}
    )


def set_bounds(mixture: BayesianGaussianMixture, fit: Fit[Any, Any]) -> None:
    """Set the lower bounds, as scikit-learn has them."""
    mixture.lower_bounds_ = fit.bounds.tolist()
    mixture.lower_bound_ = mixture.lower_bounds_[-1] if fit.n_iter else -math.inf


@public
@counterpart
@own_methods
@documented("n_components", "weight_concentration_prior", "covariance_type", "random_state")
@dataclass(eq=False, repr=False)
class BayesianGaussianMixture(SklearnExchange, SklearnNames, OneArrayMixture):
    """Gaussian mixture by variational Bayes: a posterior of the parameters, in which components may stay empty.

    A drop-in for scikit-learn's class, with the same settings and attributes; from equal starts both agree to 1e-8.
    `n_components` is the most that there may be: with a small `weight_concentration_prior` the components that the rows
    do not need keep weights near 0.  `score_samples` and `predict_proba` are at the expectations of the logarithms of
    the parameters, as scikit-learn's.

    Most fits need only n_components, weight_concentration_prior, covariance_type and random_state, which come first.

    Parameters
    ----------
    {settings}

    Attributes
    ----------
    weights_ : (k,) expected mixing weights, scaled to the sum 1.
    means_ : (k, d) expected means, in the units of X.
    covariances_, precisions_, precisions_cholesky_ : shaped by covariance type; the precisions are expectations.
    weight_concentration_ : (k,) of the Dirichlet distribution, or (2, k) of the Beta distributions of the sticks.
    mean_precision_ : (k,) how many times more precise than a row each mean is.
    degrees_of_freedom_ : (k,) of the Wishart distributions; a float where all share one covariance.
    weight_concentration_prior_, mean_precision_prior_, mean_prior_, degrees_of_freedom_prior_, covariance_prior_
        The prior, with what was found from the rows.
    converged_ : bool, whether the stop rule was met.
    n_iter_ : int, iterations of the best start.
    lower_bound_ : float, the lower bound of the log evidence after the last M-step (total, without constants), as
        scikit-learn has it.
    lower_bounds_ : list of `n_iter_` floats, the same of every iteration.  They rise, but where `reg_covar` is about as
        large as variances: it is added to these, and no part of the bound, which may fall by some 1e-6 of its size
        then; scikit-learn's falls too in some of these cases.
    params_ : the posterior as one value for the building blocks.
    stop_reason_, cut_short_, n_sweeps_, entropy_, remaining_gain_, summary_, counts_, collapses_, ascent_, history_,
    starts_, empty_components_, settings_, n_features_in_, feature_names_in_
        As for GaussianMixture, with the lower bound of the log evidence, constants included, for the log likelihood.

    References
    ----------
    Bishop (2006), Pattern recognition and machine learning, section 10.2.
    Blei and Jordan (2006), Variational inference for Dirichlet process mixtures.
    Attias (2000), A variational Bayesian framework for graphical models.

    Examples
    --------
    >>> import numpy as np, fastem
    >>> X = np.concatenate([np.linspace(-1, 1, 200), np.linspace(9, 11, 200)])[:, np.newaxis]
    >>> mixture = fastem.BayesianGaussianMixture(5, weight_concentration_prior=1e-3, random_state=0).fit(X)
    >>> sorted(mixture.weights_.round(1).tolist())
    [0.0, 0.0, 0.0, 0.5, 0.5]
    """

    covariance_type: str = redeclared(GaussianMixture, "covariance_type")
    reg_covar: float | str = redeclared(GaussianMixture, "reg_covar")
    stopping: str = redeclared(
        MixtureSettings,
        "stopping",
        "bound",
        kind='{"bound", "aitken", "gradient"}',
        doc="""What falls below tol: "bound" is the change of the lower bound (a total), as in scikit-learn; "aitken"
        what the bound has still to gain for each row, as the last iterations tell; "gradient" the length of its
        gradient, for each row.""",
        check=one_of(VARIATIONAL),
    )
    acceleration: str | None = redeclared(
        MixtureSettings,
        "acceleration",
        kind='{None, "anderson", "squarem"}',
        doc="""None is plain variational EM.  The others extrapolate from its iterations ("squarem" takes about a third
        of them); an extrapolation that lowers the bound is given up.""",
        check=optional(one_of(("anderson", "squarem"))),
    )
    init_params: str = redeclared(
        MixtureSettings,
        "init_params",
        "kmeans",
        kind='{"kmeans", "k-means++", "random", "random_from_data"}',
        doc="""How a start is found: k-means (as scikit-learn), k-means++ centers, random responsibilities, or random
        rows as centers.  All look at 8,192 rows, or 8 k (d + 1) if that is more, drawn at random where there are
        more rows.""",
    )
    weight_concentration_prior_type: str = setting(
        "dirichlet_process",
        '{"dirichlet_process", "dirichlet_distribution"}',
        "The prior of the mixing weights; a Dirichlet process is truncated to n_components sticks.",
        one_of(CONCENTRATIONS),
    )
    weight_concentration_prior: float | None = setting(
        None,
        "float",
        """Above 0: the concentration of each component (Dirichlet), or of the process (gamma in the literature).  The
        lower, the more components stay empty.  None is 1 / n_components.""",
        optional(check_positive),
    )
    mean_precision_prior: float | None = setting(
        None,
        "float",
        "Above 0: for how many rows the prior of the means counts.  None is 1.",
        optional(check_positive),
    )
    mean_prior: ArrayLike | None = setting(
        None, "array-like of shape (d,)", "Where means are expected.  None is the mean of the rows.", anything
    )
    degrees_of_freedom_prior: float | None = setting(
        None,
        "float",
        "Above d - 1: for how many rows the prior of the covariances counts.  None is d.",
        optional(check_positive),
    )
    covariance_prior: ArrayLike | None = setting(
        None,
        "float or array-like",
        """The scale of the covariances, in squared units of X: (d, d) of full and tied, (d,) of diagonal ones, and a
        float of spherical ones.  None is the covariance of the rows.""",
        anything,
    )

    fixed: ClassVar[tuple[str, ...]] = ()  # type: ignore[misc]  # settings of maxima of likelihoods
    prior: ClassVar[None] = None  # type: ignore[misc]
    order_by: ClassVar[None] = None  # type: ignore[misc]  # sticks have an order
    on_collapse: ClassVar[str] = "floor"  # type: ignore[misc]
    warm_sweeps: ClassVar[None] = None  # type: ignore[misc]

    attribute_map: ClassVar = AttributeMap(
        ("means_", "covariances_", "precisions_cholesky_", "weights_", *OWN, *PRIOR),
        posterior_attributes,
        read_posterior,
        GaussianMixture.attribute_map.read_only,
        (*GaussianMixture.attribute_map.needed, *((name,) for name in OWN)),
        set_bounds,
    )

    sklearn_parameters: ClassVar = (*OWN[:2], "means_", OWN[2], "covariances_", "precisions_cholesky_")

    @property
    def family(self) -> VariationalFamily:
        """The family of the components, with the settings of its model."""
        concentration = self.weight_concentration_prior
        return VariationalFamily(
            self.covariance_type,
            self.reg_covar,
            weights=self.weight_concentration_prior_type,
            concentration=1 / self.n_components if concentration is None else float(concentration),
            mean=self.mean_prior,
            mean_precision=1.0 if self.mean_precision_prior is None else float(self.mean_precision_prior),
            scale=self.covariance_prior,
            degrees_of_freedom=self.degrees_of_freedom_prior,
        )
