"""Names of scikit-learn's mixtures that are not public and that clients read all the same.

They are for compatibility: nothing in fastem calls them, and a subclass that overrides one is refused (see hooks).
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, NoReturn

import numpy as np

from fastem._typing import Array, ArrayLike
from fastem.data.base import BY_COMPONENT
from fastem.estimators.attributes import set_attributes, set_params
from fastem.estimators.base import Mixture
from fastem.estimators.hooks import START
from fastem.estimators.model import open_in_memory


class SklearnNames(Mixture):
    """What scikit-learn's mixtures have under private names; public are `log_prob_components` and `params_`."""

    sklearn_parameters: ClassVar[tuple[str, ...]]
    """The attributes that `_get_parameters` returns, in their order."""

    def _estimate_log_weights(self) -> Array:
        """Return the logarithms (k,) of the mixing weights, or their expectations."""
        logs: Array = self.params_.expected_log_weights()
        return logs

    def _estimate_log_prob(self, X: ArrayLike) -> Array:
        """Return the log density (n, k) of each component, which its weight does not enter."""
        k = self.params_.weights.size
        even = replace(self.params_, weights=np.full(k, 1 / k))
        with open_in_memory(self, X, n_features=even.n_features) as rows:
            found: Array = rows.predict(even, BY_COMPONENT)
        found -= even.expected_log_weights()
        return found

    def _estimate_weighted_log_prob(self, X: ArrayLike) -> Array:
        """Return the logarithm (n, k) of weight times density of each component."""
        return self._posterior(X, None, BY_COMPONENT)

    def _estimate_log_prob_resp(self, X: ArrayLike) -> tuple[Array, Array]:
        """Return the log density (n,) of each row, and the logarithms (n, k) of its responsibilities."""
        log_prob = self._posterior(X, None, "log_prob")
        return log_prob, self._posterior(X, None, BY_COMPONENT) - log_prob[:, np.newaxis]

    def _get_parameters(self) -> tuple[np.ndarray, ...]:
        """Return the attributes that the fitted mixture consists of."""
        self.params_  # noqa: B018 - raises before a fit
        return tuple(getattr(self, name) for name in self.sklearn_parameters)

    def _set_parameters(self, params: tuple[ArrayLike, ...]) -> None:
        """Set copies of the attributes that `_get_parameters` returns; the others follow."""
        values = {name: np.array(value) for name, value in zip(self.sklearn_parameters, params, strict=True)}
        k = len(values["means_"])
        set_attributes(self, {"weights_": np.full(k, np.nan)} | values)  # those of a posterior follow from the others
        set_params(self, self.params_, np.float32 if values["means_"].dtype == np.float32 else np.float64)

    def _initialize_parameters(self, X: ArrayLike, random_state: object) -> NoReturn:
        """Raise TypeError: a start is found within a fit."""
        raise TypeError(f"_initialize_parameters is a step of scikit-learn's fit and none of fastem's. {START}")
