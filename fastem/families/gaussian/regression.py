"""Some features of a Gaussian mixture by themselves, and given others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array
from fastem.data.open import posterior
from fastem.families.gaussian.model import GaussianParams
from fastem.kernels.linear import times


def marginal(params: GaussianParams, features: NDArray[np.intp]) -> GaussianParams:
    """Return the mixture of some of the features, in this order."""
    covariances = params.structure.of_features(features)
    return GaussianParams(params.weights, params.means[:, features], covariances, params.covariance_type)


def conditional(params: GaussianParams, given: NDArray[np.intp], values: Array) -> GaussianParams:
    """Return the mixture of the other features of rows in which `given` have these values (g,)."""
    wanted = np.setdiff1d(np.arange(params.n_features), given)
    at = Regression.of(params, given, wanted)
    weights = posterior(at.given, values[np.newaxis]).resp[0]
    means = at.means + times(at.slopes, values - at.given.means)
    return GaussianParams(weights, means, at.covariances, params.covariance_type)


@dataclass(frozen=True)
class Regression:
    """How features depend, in each component, on others that are given: a plane, and what is left about it."""

    given: GaussianParams  # the mixture of the features that are given
    means: Array  #        (k, w) of the others
    slopes: Array  #       (k, w, g)
    covariances: Array  #  of the others, given these; shaped by their type

    @classmethod
    def of(cls, params: GaussianParams, given: NDArray[np.intp], wanted: NDArray[np.intp]) -> Self:
        """Return how the wanted features depend on those that are given."""
        return cls(marginal(params, given), params.means[:, wanted], *params.structure.regression(wanted, given))
