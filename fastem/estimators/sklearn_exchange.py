"""Fitted mixtures to scikit-learn and back."""

from __future__ import annotations

import inspect
from copy import deepcopy
from typing import Any, Self

import numpy as np

from fastem.estimators import fitted_settings
from fastem.estimators.attributes import set_attributes
from fastem.estimators.model import check_model, check_settings
from fastem.estimators.settings import AUTO
from fastem.estimators.sklearn_counterparts import Counterpart, original
from fastem.estimators.state import MixtureState
from fastem.families.params import Params
from fastem.validation.settings import SEEDS, check_kind, check_no_background

OF_A_FIT = ("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_", "feature_names_in_")
"""Attributes that tell of a fit, in both packages."""


class SklearnExchange(MixtureState, metaclass=Counterpart):
    """A mixture that scikit-learn has, too."""

    def to_sklearn(self) -> Any:
        """Return a fitted mixture of scikit-learn with the same parameters.

        Its predictions are the same to rounding.  Settings that scikit-learn does not have are left out, and those
        whose value it does not know ("auto", starting values with NaN, generators of NumPy) are its defaults.

        Returns
        -------
        sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture
            Fitted attributes are copies, in float64.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError
            With a background, which scikit-learn has not.
        ImportError
            If scikit-learn is not installed.

        Examples
        --------
        >>> import fastem
        >>> mixture = fastem.GaussianMixture(2, order_by="means").fit([[0.0], [2.0], [8.0], [10.0]])
        >>> mixture.to_sklearn().predict([[1.0], [9.0]])
        array([0, 1])
        """
        params = self.params_
        check_no_background(params.has_background, "to_sklearn")
        theirs = original(type(self), "to_sklearn")
        found = theirs(**settings_for(theirs, self))
        told = {name: getattr(self, name) for name in OF_A_FIT if hasattr(self, name)}
        vars(found).update(deepcopy(self.attribute_map.write(params) | told))
        found.n_features_in_ = params.n_features
        return found

    @classmethod
    def from_sklearn(cls, mixture: Any, **settings: Any) -> Self:
        """Return a mixture with the parameters and settings of a fitted one of scikit-learn.

        Parameters
        ----------
        mixture : sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture
            A fitted mixture of the class of the same name.
        **settings : settings of the estimator
            Those that scikit-learn does not have, or others than those of the mixture.

        Returns
        -------
        estimator
            Fitted attributes are copies.

        Raises
        ------
        NotFittedError
            If the mixture is not fitted.
        ValueError, TypeError
            If it is another object, or its attributes are not those of a mixture.
        ImportError
            If scikit-learn is not installed.

        Examples
        --------
        >>> import fastem, sklearn.mixture
        >>> theirs = sklearn.mixture.GaussianMixture(1).fit([[1.0], [3.0]])
        >>> fastem.GaussianMixture.from_sklearn(theirs).means_
        array([[2.]])
        """
        check_kind(mixture, "mixture", original(cls, "from_sklearn"))
        found = cls(**mixture.get_params(deep=False) | settings)
        names = {*OF_A_FIT, *found.attribute_map.read_from, *found.attribute_map.read_only}
        set_attributes(found, deepcopy({name: value for name, value in vars(mixture).items() if name in names}))
        params: Params = found.params_
        check_settings(found)
        check_model(found, params.n_features)
        fitted_settings.note(found)
        return found


def settings_for(theirs: type, mixture: MixtureState) -> dict[str, object]:
    """Return the settings of a mixture that scikit-learn's class has, and whose values it knows."""
    found = {name: getattr(mixture, name) for name in inspect.signature(theirs).parameters}
    if isinstance(mixture.random_state, SEEDS):
        found["random_state"] = None
    starts = {f"{name}_init" for name in mixture.family.init_names}
    return {name: value for name, value in found.items() if not is_ours(value, is_start=name in starts)}


def is_ours(value: object, *, is_start: bool) -> bool:
    """Return whether scikit-learn does not know a value: "auto", or starting values of which some are NaN."""
    if isinstance(value, str):
        return value == AUTO
    return is_start and value is not None and bool(np.isnan(np.asarray(value, np.float64)).any())
