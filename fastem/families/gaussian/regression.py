"""Some features of a Gaussian mixture by themselves, and given others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array
from fastem.data.open import posterior
from fastem.data.rows import Rows
from fastem.families.gaussian.background.model import BackgroundParams
from fastem.families.gaussian.model import GaussianParams
from fastem.kernels.linear import product, times, weighted_sum
from fastem.validation.settings import check_background


def check_marginals(params: GaussianParams, use: str) -> None:
    """Raise ValueError for a mixture whose background has no density of some of the features by themselves."""
    check_background(not isinstance(params, BackgroundParams) or params.has_marginals, use)


def all_means(params: GaussianParams) -> Array:
    """Return the means (k, d), and behind them that of a background, if there is one."""
    return params.all_means if isinstance(params, BackgroundParams) else params.means


def marginal(params: GaussianParams, features: NDArray[np.intp]) -> GaussianParams:
    """Return the mixture of some of the features, in this order."""
    covariances = params.structure.of_features(features)
    found = GaussianParams(params.weights, params.means[:, features], covariances, params.covariance_type)
    return params.with_own_background(found, features)


def conditional(params: GaussianParams, given: NDArray[np.intp], values: Array) -> GaussianParams:
    """Return the mixture of the other features of rows in which `given` have these values (g,)."""
    at = Regression.of(params, given, np.setdiff1d(np.arange(params.n_features), given))
    weights, k = posterior(at.given, values[np.newaxis]).resp[0], len(params.weights)
    means = at.others.means + times(at.slopes[:k], values - at.given.means)
    others = at.others
    if isinstance(others, BackgroundParams):
        return replace(others.with_all_weights(weights), means=means)
    return replace(others, weights=weights, means=means)


@dataclass(frozen=True)
class Regression:
    """How some features depend, in each component, on others that are given: a plane, and what is left about it."""

    given: GaussianParams  #  the mixture of the features that are given
    others: GaussianParams  # the others where these are at their means, with the covariances that are left
    slopes: Array  #          (k, w, g), and behind them those of a background, which are 0

    @classmethod
    def of(cls, params: GaussianParams, given: NDArray[np.intp], wanted: NDArray[np.intp]) -> Self:
        """Return how the wanted features depend on those that are given."""
        slopes, covariances = params.structure.regression(wanted, given)
        others = GaussianParams(params.weights, params.means[:, wanted], covariances, params.covariance_type)
        flat = np.zeros((len(params.all_weights) - len(slopes), *slopes.shape[1:]))
        found = np.concatenate([slopes, flat]) if len(flat) else slopes
        return cls(marginal(params, given), params.with_own_background(others, wanted), found)

    def expected(self, rows: Rows) -> Array:
        """Return (n, w) the means of the others in rows of the features that are given.

        The planes of the components are averaged in each row, and then taken at the row: about the mean of all, so that
        an offset costs no digits.
        """
        linked = np.flatnonzero(self.slopes.any(axis=(0, 1)))  # none where features do not depend on each other
        middle, (k, w, _) = weighted_sum(self.given.weights, self.given.means), self.slopes.shape
        heights = all_means(self.others) + times(self.slopes, middle - all_means(self.given))
        planes = np.concatenate([heights[:, :, np.newaxis], self.slopes[:, :, linked]], axis=2)
        averaged = rows.averaged(self.given, planes.reshape(k, -1)).reshape(w, 1 + len(linked), -1)
        steps = np.ascontiguousarray((rows.data[0][:, linked] - middle[linked]).T)
        return np.asarray(averaged[:, 0] + np.einsum("wgn,gn->wn", averaged[:, 1:], steps)).T

    def drawn(self, rows: Rows, rng: np.random.Generator) -> Array:
        """Draw the others (n, w) in rows of the features that are given."""
        labels = self.given.labels[drawn_labels(rows.posterior(self.given, "resp").resp, rng)]
        found = self.others.sample(labels, rng)
        for c in np.unique(labels).tolist():
            mine = labels == c
            found[mine] += product(rows.data[0][mine] - self.given.means[c], self.slopes[c].T)
        return found


def drawn_labels(shares: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw a component for each row, by its probabilities (n, k)."""
    edges = np.cumsum(shares, axis=1)
    places = rng.random((len(shares), 1)) * edges[:, -1:]
    return np.asarray((places >= edges[:, :-1]).sum(axis=1))
