"""The covariances of a mixture: what depends on their structure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array, SweepKernels
from fastem.families.gaussian.matrices import (
    FLOOR_SAFETY,
    RESOLUTION,
    SMALLEST_MAGNITUDE,
    divisors,
    rounding_variances,
)
from fastem.families.weights import SMALLEST_WEIGHT
from fastem.kernels.linear import weighted_sum
from fastem.validation.parameters import check_magnitudes


class Covariance(ABC):
    """The covariances of k components in d features: an array, shaped by their structure, and what it means.

    Full, Tied, Diagonal and Spherical answer for the four values of covariance_type.
    """

    is_matrix: ClassVar[bool]
    kernel: ClassVar[SweepKernels]  # of more than one feature
    is_shared: ClassVar[bool] = False
    """One covariance for all components?"""
    kernel_about_middle: ClassVar[SweepKernels | None] = None
    """Of rows that are taken from the middle of the means: see tables.middle_of."""
    fewest_about_middle: ClassVar[int] = 2
    """The least number of components for which these are faster."""
    residuals_in_float32: ClassVar[bool] = False
    """Are residuals in float32 faster than these in float64?"""

    def __init__(self, values: Array, k: int, d: int) -> None:
        self.values, self.k, self.d = values, k, d

    def like(self, values: Array) -> Self:
        """Return other covariances of the same structure."""
        return type(self)(values, self.k, self.d)

    def keep(self, others: Self, components: NDArray[np.bool_] | None) -> Self:
        """Return these covariances, with those of some components of others in their places."""
        if components is None or not components.any():
            return self
        values = self.values.copy()
        values[components] = others.values[components]
        return self.like(values)

    # ---- of the structure alone

    @staticmethod
    @abstractmethod
    def shape(k: int, d: int) -> tuple[int, ...]:
        """Return the shape of the array."""

    @staticmethod
    @abstractmethod
    def n_parameters(d: int) -> int:
        """Return the number of free parameters of one covariance."""

    @staticmethod
    @abstractmethod
    def n_used(k: int, d: int) -> float:
        """Return m (1 - 1 / c), where the inverse of the covariance of m rows is, in the mean, c times the true one."""

    @staticmethod
    @abstractmethod
    def of_variances(variances: Array, k: int) -> Array:
        """Return the array of k components that all have these variances (d,)."""

    @staticmethod
    @abstractmethod
    def of_precisions(precisions: Array) -> Array:
        """Return the array of the inverses of these."""

    @staticmethod
    @abstractmethod
    def of_precisions_cholesky(factors: Array) -> Array:
        """Return the array of which scikit-learn has these Cholesky factors of the inverses."""

    @staticmethod
    @abstractmethod
    def of_scatter(scatter: Array, shares: Array, reg_covar: float | Array) -> Array:
        """Return the array that maximises Q, with reg_covar added to the variances.

        scatter is that of each component about its mean, as statistics have it; shares (k,) are those of the rows.
        """

    @staticmethod
    @abstractmethod
    def outer(a: Array, b: Array) -> Array:
        """Return a b^T (k, d, d) of vectors (k, d), or its diagonals (k, d) where no more is needed."""

    # ---- sums

    def pool(self, moments: Array) -> Array:
        """Return second moments of each component as statistics have them: one sum where they share a covariance."""
        return moments

    def cross(self, a: Array, b: Array) -> Array:
        """Return a b^T of vectors (k, d), as statistics have second moments."""
        return self.pool(self.outer(a, b))

    def scatter(
        self, second: Array, counts: Array, mean_counts: Array, delta: Array, keep: NDArray[np.bool_] | None
    ) -> Array:
        """Return second / counts about means that have gone by delta (k, d), shaped as second.

        A prior has its own counts of means.
        """
        moved, divisor = delta, divisors(counts, keep)
        if mean_counts is not counts:
            moved = (mean_counts / divisor)[:, np.newaxis] * delta
        return second / divisor.reshape(-1, *[1] * (second.ndim - 1)) - self.outer(moved, delta)

    def coefficients(self, factors: Array, offsets: Array) -> tuple[Array, ...]:
        """Return what these kernels read in the place of means and factors; offsets (k, d) are whitened."""
        return 2 * offsets, factors[0]

    # ---- components

    def select(self, components: NDArray[np.intp]) -> Array:
        """Return the array of some of the components."""
        selected: Array = self.values[components]
        return selected

    def fill_missing(self, where: NDArray[np.bool_]) -> Array:
        """Return the array with these components at `where`, and their mean elsewhere."""
        filled = np.repeat(self.values.mean(axis=0)[np.newaxis], len(where), axis=0)
        filled[where] = self.values
        return filled

    def free(self, components: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which covariances are free where those of these components are."""
        return components

    @abstractmethod
    def of_features(self, features: NDArray[np.intp]) -> Array:
        """Return the array of some of the features, in this order."""

    def regression(self, wanted: NDArray[np.intp], given: NDArray[np.intp]) -> tuple[Array, Array]:
        """Return slopes (k, w, g) of wanted features by those that are given, and the array of what these leave open.

        Here of features that do not depend on each other.
        """
        return np.zeros((self.k, len(wanted), len(given))), self.of_features(wanted)

    def pooled(self, weights: Array, delta: Array) -> Covariance:
        """Return the covariance of the mixture, as that of one component; delta (k, d) are the means about theirs."""
        values = weighted_sum(weights, self.values + self.outer(delta, delta))
        return type(self)(np.asarray(values)[np.newaxis], 1, self.d)

    @abstractmethod
    def split(self, donor: int, place: int, units: Array) -> tuple[Array, Array]:
        """Return how far the halves of the donor are from its mean, (d,), and the array with their covariances.

        They lie along its longest axis in these units (d,).
        """

    # ---- variances

    @abstractmethod
    def variances(self) -> Array:
        """Return (k, d) the variances of the features."""

    def units(self) -> Array:
        """Return (d,) a standard deviation of each feature, over the components."""
        return np.asarray(np.sqrt(self.variances().sum(axis=0) / self.k))

    @abstractmethod
    def own_in_units(self, sds: Array) -> list[tuple[Array, Array]]:
        """Return the array, and the unit of each element, if each component has a covariance of its own."""

    @abstractmethod
    def entropies(self) -> Array:
        """Return (k,) half the logarithm of each determinant."""

    def merge_losses(self, weights: Array, means: Array) -> Array:
        """Return (k, k), above the diagonal, what the mean log likelihood loses at most by each merge."""
        k, w, entropies = self.k, np.maximum(weights, SMALLEST_WEIGHT), self.entropies()
        losses = np.full((k, k), np.inf)
        for i in range(k - 1):
            others = np.arange(i + 1, k)
            both = w[i] + w[others]
            merged = self.merged_entropies(i, others, (w[i] / both)[:, np.newaxis], means[i] - means[others])
            losses[i, others] = both * merged - w[i] * entropies[i] - w[others] * entropies[others]
        return losses

    @abstractmethod
    def merged_entropies(self, i: int, others: NDArray[np.intp], shares: Array, delta: Array) -> Array:
        """Return what `entropies` is of component i when each of others (m,) is merged into it.

        shares (m, 1) are those of i in the weight of both, delta (m, d) how far apart the means are.
        """

    @abstractmethod
    def smallest_eigenvalue(self, component: int) -> float:
        """Return the smallest eigenvalue of a component's covariance."""

    @abstractmethod
    def relative(self, weights: Array) -> tuple[Array, Array]:
        """Return (k,) the smallest and (k,) the largest eigenvalue with respect to the mean covariance."""

    @abstractmethod
    def along_axes(self, scale: Array) -> Array:
        """Return the eigenvalues of each covariance, the features being multiplied by scale (d,)."""

    @abstractmethod
    def precision_factors(self) -> Array:
        """Return (k, d, d) lower L with L^T L = inverse covariance, or (k, d) 1 / sd where that is all."""

    @abstractmethod
    def precisions_cholesky(self) -> Array:
        """Return the Cholesky factors of the inverses, upper triangular, shaped as the covariances."""

    @abstractmethod
    def precisions(self) -> Array:
        """Return the inverses, shaped as the covariances."""

    @abstractmethod
    def cholesky(self) -> Array:
        """Return lower C with C C^T = covariance, shaped as the covariances; of variances their roots."""

    def cholesky_of_components(self) -> Array:
        """Return (k, d, d) lower C with C C^T = covariance."""
        return np.sqrt(self.variances())[..., np.newaxis] * np.eye(self.d)

    @abstractmethod
    def whiten(self, residuals: Array) -> Array:
        """Return (k, d) inverse covariances times residuals (k, d)."""

    @abstractmethod
    def colour(self, noise: Array, labels: NDArray[np.intp]) -> Array:
        """Return (n, d) standard normal noise as residuals of the component of each label."""

    # ---- floors

    @abstractmethod
    def floored(self, smallest: Array) -> Self:
        """Return covariances that are raised to variances of (d,) or (k, d), the same object where all are above."""

    @abstractmethod
    def above(self, smallest: Array, reg_covar: float | Array) -> Self:
        """Return covariances that are raised to what an M-step leaves them: reg_covar and variances of (d,)."""

    def variance_floor(self, scatter: Array, shares: Array, taken: Array, means: Array) -> Array:
        """Return the variances that are rounding: (k, d), or (d,) of a shared covariance.

        They are those of the rows, by their mean squares, or of the scatter, which taken^2 (k, d) was taken from.
        """
        return np.maximum(rounding_variances(shares, scatter, means), RESOLUTION * taken**2)

    def check_scales(self, means: Array, before: Array) -> None:
        """Raise ValueError for rows that are so close to 0 that their variances are no numbers to reckon with.

        The means `before` the M-step count as well: of rows that are far from them little is left to tell.
        """
        sds = np.sqrt(np.maximum(self.variances(), 0.0))
        check_magnitudes(np.max([np.abs(means), np.abs(before), sds], axis=(0, 1)), SMALLEST_MAGNITUDE)

    def floor_ratios(self, weights: Array, means: Array, reg_covar: float | Array) -> Array:
        """Return (k,) the smallest eigenvalue of each covariance over the floor under it.

        Where it is far above 1, it is a lower bound.
        """
        variances = self.variances()
        least = reg_covar + FLOOR_SAFETY * rounding_variances(weights, variances, means)
        with np.errstate(over="ignore"):  # of variances that are far above their floor
            return np.asarray((variances / least).min(axis=1))

    # ---- what rows prove

    def proven_share(self, count: float) -> float:
        """Return which share of the precision so many rows prove.

        The mean of the precision of m rows is 1 / (1 - used / m) of the true one, and 1 - used / m is the share.
        """
        used = self.n_used(self.k, self.d)
        return 1.0 - used / count if count > used else 0.0

    def proven(self, counts: Array, components: list[int], least: Array, whole: Array) -> Array:
        """Return the array with the precision of some components as their rows prove it, the rest that of `whole`."""
        values = self.values.astype(np.float64)
        for c in components:
            values[c] = self.blended(values[c], self.proven_share(counts[c]), whole, least)
        return values

    @staticmethod
    @abstractmethod
    def blended(own: Array, share: float, whole: Array, least: Array) -> Array:
        """Return the covariance whose precision is a mean: `share` of that of `own`, the rest of that of `whole`.

        The variances `least` (d,) are added to `own`.
        """

    # ---- coordinates

    @abstractmethod
    def to_vector(self, units: Array, free: NDArray[np.bool_]) -> Array:
        """Return the free covariances without constraints, in these units."""

    @abstractmethod
    def from_vector(self, vector: Array, units: Array, free: NDArray[np.bool_]) -> Array:
        """Return the array of which to_vector is `vector`; what is not free is that of self."""

    @abstractmethod
    def gradient(self, reached: Self, counts: tuple[Array, Array], delta: Array, units: Array) -> Array:
        """Return the gradient of the log likelihood by to_vector, one row for each covariance.

        `reached` is where the M-step leads, counts (k,) are those behind the covariances and behind the means, and
        delta (k, d) is how far the means go.
        """

    @abstractmethod
    def jacobians(self) -> tuple[Array, NDArray[np.intp]]:
        """Return, of `Chart`, the derivatives of the free elements by its coordinates, and where each element is."""

    @abstractmethod
    def scores(self, c: int, residuals: Array) -> tuple[Array, Array]:
        """Return (n, m) the slopes of component c's log density and the information of a row, by mean and covariance.

        residuals (n, d) are rows about the mean, NaN where they lack a value.
        """

    def missing_information(self, c: int, shares: Array, residuals: Array) -> Array | float:
        """Return (m, m) what rows that lack values do not tell, beyond what `scores` has left out."""
        return 0.0

    # ---- priors

    @property
    def n_shared(self) -> int:
        """The number of sums among which the scale of an inverse Wishart prior is shared."""
        return 1

    def scale_of(self, scale: Array) -> Array:
        """Return the scale (d, d) of the prior of each covariance."""
        return scale

    @abstractmethod
    def wishart_terms(self, scale: Array) -> tuple[Array, Array, float | Array]:
        """Return log determinants, traces of scale times inverse, and the log determinant of scale."""
