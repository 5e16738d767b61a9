"""scikit-learn's base classes, warnings and errors where it is installed and wanted; a small stand-in where it is not.

It is loaded with the estimators and not before: `import fastem` and the building blocks do without.
"""

from __future__ import annotations

import inspect
from typing import Any, Self

from fastem._printable import in_html
from fastem.estimators import sklearn_wanted

__all__ = [
    "BaseEstimator",
    "ConvergenceWarning",
    "DensityMixin",
    "NotFittedError",
    "html_of_settings",
    "learn_features",
    "same_features",
]


def html_of_settings(estimator: object) -> str:
    """Return the settings of an estimator, as its repr has them, as HTML."""
    return f"<pre>{in_html(repr(estimator))}</pre>"


class PlainEstimator:
    """Parameters in scikit-learn's manner: an estimator's are the arguments of its constructor."""

    @classmethod
    def _names(cls) -> list[str]:
        """Return the names of the arguments of the constructor, in their order."""
        return list(inspect.signature(cls).parameters)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments of the constructor by name; `deep` is there for scikit-learn, and ignored."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Self:
        """Set constructor parameters by name; ValueError for a name that is none."""
        for name in params:
            if name not in self._names():
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {self!r}. Valid parameters are: {self._names()}."
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if repr(value) != repr(defaults[name].default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def _repr_html_inner(self) -> str:
        return html_of_settings(self)

    def _repr_html_(self) -> str:
        return self._repr_html_inner()


try:
    if not sklearn_wanted.wanted:
        raise ImportError
    from sklearn.base import BaseEstimator, DensityMixin
    from sklearn.exceptions import ConvergenceWarning, NotFittedError
    from sklearn.utils.validation import validate_data
except ImportError:

    class DensityMixin:  # type: ignore[no-redef]
        """A base class that says what the estimator estimates: densities."""

        _estimator_type = "DensityEstimator"

    class ConvergenceWarning(UserWarning):  # type: ignore[no-redef]
        """A fit stopped before its stop rule was met."""

    class NotFittedError(ValueError, AttributeError):  # type: ignore[no-redef]
        """The estimator was asked for something that only a fit can tell."""

    BaseEstimator = PlainEstimator

    def learn_features(estimator: BaseEstimator, X: object, n_features: int) -> None:
        """Remember the number of features."""
        estimator.n_features_in_ = n_features

    def same_features(estimator: BaseEstimator, X: object) -> None:
        """Do nothing: names of features are compared where scikit-learn is installed."""

else:

    def learn_features(estimator: BaseEstimator, X: object, n_features: int) -> None:
        """Remember the number of features and, if X is a data frame, their names."""
        if hasattr(X, "columns"):
            validate_data(estimator, X, skip_check_array=True)
        else:
            estimator.n_features_in_ = n_features
            vars(estimator).pop("feature_names_in_", None)

    def same_features(estimator: BaseEstimator, X: object) -> None:
        """Warn or raise, as scikit-learn does, if a data frame has not the features of the fit."""
        if hasattr(X, "columns") or hasattr(estimator, "feature_names_in_"):
            validate_data(estimator, X, reset=False, skip_check_array=True, ensure_2d=False)
