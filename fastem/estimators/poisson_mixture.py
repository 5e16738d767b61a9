"""PoissonMixture: its settings and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastem._errstate import own_methods
from fastem._public import public
from fastem._typing import Array, ArrayLike
from fastem.estimators.likelihood_mixture import LikelihoodMixture
from fastem.estimators.settings import MixtureSettings, missing_setting
from fastem.estimators.state import AttributeMap
from fastem.families.poisson.family import PoissonFamily
from fastem.families.poisson.model import PoissonParams
from fastem.families.poisson.prior import PoissonPrior
from fastem.fitting.settings import anything, documented, redeclared, setting
from fastem.validation.parameters import as_float64


def read_params(arrays: Mapping[str, np.ndarray], changed: set[str], family: PoissonFamily) -> PoissonParams:
    """Read the parameters from the attributes."""
    return PoissonParams(*(as_float64(array, name) for name, array in arrays.items()))


def attributes_of(params: PoissonParams) -> dict[str, Array]:
    """Write the parameters as attributes."""
    return {"weights_": params.weights, "rates_": params.rates}


@public
@own_methods
@documented("n_components", "tol", "random_state", "order_by")
@dataclass(eq=False, repr=False)
class PoissonMixture(LikelihoodMixture):
    """Mixture of Poisson distributions, fitted by expectation-maximisation: of events in equal spans of time or space.

    Rows are counts: whole numbers from 0, of any type, of shape (n,) or (n, d); integers are not copied.  With several
    columns, a row has one rate per column, and the k components are sets of d rates.  Equal rows are found once and
    count as one, where that leaves at most half of them: then a fit costs what the distinct rows cost, however many
    there are.

    Most fits need only n_components, tol, random_state and order_by, which come first.

    Parameters
    ----------
    {settings}

    Attributes
    ----------
    weights_ : (k,) mixing weights.
    rates_ : (k, d) expected counts.
    params_ : PoissonParams, the same as one value for the building blocks.
    converged_, stop_reason_, cut_short_, summary_, remaining_gain_, n_iter_, n_sweeps_, loglik_, log_posterior_,
    entropy_, counts_, collapses_, ascent_, n_parameters_, aic_, bic_, icl_, lower_bound_, lower_bounds_, history_,
    starts_, empty_components_, n_empty_rows_, settings_, n_features_in_, feature_names_in_
        As for GaussianMixture; log likelihoods include the factorials of the counts.

    References
    ----------
    Hasselblad (1969), Estimation of finite mixtures of distributions from the exponential family.
    Karlis and Xekalaki (2005), Mixed Poisson distributions.

    Examples
    --------
    >>> import numpy as np, fastem
    >>> deaths, days = np.arange(10), [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
    >>> mixture = fastem.PoissonMixture(2, order_by="rates", tol=1e-12).fit(deaths, sample_weight=days)
    >>> mixture.weights_.round(2), mixture.rates_.round(2).ravel()
    (array([0.36, 0.64]), array([1.26, 2.66]))
    """

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
        doc="""A start at even quantiles of the counts in each column, always the same; at k-means centers of their
        square roots; or at the counts of random rows.  With n_init > 1 the first start is as init_params says and the
        others are random.  "auto" searches for the best maximum: from several of these starts, by EM, and by splits and
        merges of components; where starting values are given it is "quantiles" for one column and "kmeans" for
        several.""",
    )
    missing: str = missing_setting()
    weights_init: ArrayLike | None = setting(
        None, "array-like of shape (k,)", "Starting mixing weights, each in [0, 1], sum 1.", anything
    )
    rates_init: ArrayLike | None = setting(
        None,
        "array-like of shape (k,) or (k, d)",
        "Starting rates, from 0 to 2^53; a row of NaN is found as init_params says.",
        anything,
    )
    fixed: Any = redeclared(MixtureSettings, "fixed", kind='tuple of {"weights", "rates"}, or dict')
    prior: PoissonPrior | None = redeclared(MixtureSettings, "prior", kind="PoissonPrior")
    order_by: str | None = redeclared(MixtureSettings, "order_by", kind='{None, "weights", "rates"}')

    attribute_map: ClassVar = AttributeMap(("weights_", "rates_"), attributes_of, read_params)

    @property
    def family(self) -> PoissonFamily:
        """The family of the components."""
        return PoissonFamily()

    def __sklearn_tags__(self) -> Any:
        """Return the tags of an estimator whose rows are whole numbers from 0."""
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = tags.input_tags.positive_only = True
        return tags
