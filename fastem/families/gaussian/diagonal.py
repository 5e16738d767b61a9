"""Covariances without correlations: one variance for each feature, or one for all of them."""

from __future__ import annotations

import math
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array, SweepKernels
from fastem.families.gaussian.covariance import Covariance
from fastem.families.gaussian.matrices import FLOOR_SAFETY, SMALLEST_VARIANCE, rounding_variances
from fastem.families.weights import APART
from fastem.kernels.linear import weighted_sum


class Diagonal(Covariance):
    """Variances (k, d)."""

    is_matrix = False
    kernel = SweepKernels(
        "accumulate_mvnormal_diag",
        "posterior_mvnormal_diag",
        "iterate_mvnormal_diag",
        "accumulate_mvnormal_diag_missing",
        "posterior_mvnormal_diag_missing",
    )
    kernel_about_middle = SweepKernels(
        "accumulate_mvnormal_natural",
        "posterior_mvnormal_natural",
        "iterate_mvnormal_diag",
        "accumulate_mvnormal_natural_missing",
        "posterior_mvnormal_natural_missing",
    )
    fewest_about_middle = 8
    residuals_in_float32 = True

    @staticmethod
    def shape(k: int, d: int) -> tuple[int, ...]:
        return k, d

    @staticmethod
    def n_parameters(d: int) -> int:
        return d

    @staticmethod
    def n_used(k: int, d: int) -> float:
        return 3.0

    @staticmethod
    def of_variances(variances: Array, k: int) -> Array:
        return np.tile(variances, (k, 1))

    @staticmethod
    def of_precisions(precisions: Array) -> Array:
        return np.asarray(1.0 / precisions)

    @staticmethod
    def of_precisions_cholesky(factors: Array) -> Array:
        return np.asarray(1.0 / factors**2)

    @staticmethod
    def of_scatter(scatter: Array, shares: Array, reg_covar: float | Array) -> Array:
        scatter += reg_covar
        return scatter

    @staticmethod
    def outer(a: Array, b: Array) -> Array:
        return a * b

    def of_features(self, features: NDArray[np.intp]) -> Array:
        return self.values[:, features]

    def split(self, donor: int, place: int, units: Array) -> tuple[Array, Array]:
        variances, values = self.variances()[donor], self.values.copy()
        longest = np.arange(self.d) == (variances / units**2).argmax()
        values[[donor, place]] = values[donor] * (1 - self._shrunk(longest))
        return APART * np.sqrt(variances) * longest, values

    def _shrunk(self, longest: NDArray[np.bool_]) -> Array:
        """Return the share of each variance that goes into the distance of the halves."""
        return np.asarray(APART**2 * longest)

    def variances(self) -> Array:
        return self.values

    def coefficients(self, factors: Array, offsets: Array) -> tuple[Array, ...]:
        """Return natural parameters: (k, 2 d), of the features and of their squares."""
        return (np.hstack([2 * factors * offsets, -(factors**2)]),)

    def own_in_units(self, sds: Array) -> list[tuple[Array, Array]]:
        return [(self.values, self.values)]

    def entropies(self) -> Array:
        return np.asarray(np.log(self.variances()).sum(axis=1) / 2)

    def merged_entropies(self, i: int, others: NDArray[np.intp], shares: Array, delta: Array) -> Array:
        variances = self.variances()
        merged = shares * variances[i] + (1 - shares) * variances[others]
        return np.asarray(np.log(merged + self._between(shares * (1 - shares), delta)).sum(axis=1) / 2)

    @staticmethod
    def _between(shares: Array, delta: Array) -> Array:
        """Return the variances (m, d) that the distance of two means makes."""
        return np.asarray(shares * delta**2)

    def smallest_eigenvalue(self, component: int) -> float:
        return float(self.variances()[component].min())

    def relative(self, weights: Array) -> tuple[Array, Array]:
        variances = self.variances()
        with np.errstate(over="ignore"):
            ratios = variances / weighted_sum(weights, variances)
        return ratios.min(axis=1), ratios.max(axis=1)

    def along_axes(self, scale: Array) -> Array:
        with np.errstate(over="ignore"):  # of a spherical variance, by a feature of a much smaller unit
            return self.variances() * scale * scale

    def precision_factors(self) -> Array:
        return 1.0 / np.sqrt(self.variances())

    def precisions_cholesky(self) -> Array:
        return 1.0 / np.sqrt(self.values)

    def precisions(self) -> Array:
        return np.asarray(self.precisions_cholesky() ** 2)

    def cholesky(self) -> Array:
        return np.sqrt(self.values)

    def whiten(self, residuals: Array) -> Array:
        return residuals / self.variances()

    def colour(self, noise: Array, labels: NDArray[np.intp]) -> Array:
        return np.asarray(noise * np.sqrt(self.variances())[labels])

    def floored(self, smallest: Array) -> Self:
        return self if (self.values >= smallest).all() else self.like(np.maximum(self.values, smallest))

    def above(self, smallest: Array, reg_covar: float | Array) -> Self:
        return self.floored(smallest + reg_covar)

    @staticmethod
    def blended(own: Array, share: float, whole: Array, least: Array) -> Array:
        return np.asarray(1 / (share / (own + least) + (1 - share) / whole))

    def to_vector(self, units: Array, free: NDArray[np.bool_]) -> Array:
        """Return the logarithms of the standard deviations."""
        return np.asarray(0.5 * np.log(self.values[free])).ravel()

    def from_vector(self, vector: Array, units: Array, free: NDArray[np.bool_]) -> Array:
        values = self.values.copy()
        values[free] = np.maximum(np.exp(2 * vector.reshape(values[free].shape)), SMALLEST_VARIANCE)
        return values

    def gradient(self, reached: Self, counts: tuple[Array, Array], delta: Array, units: Array) -> Array:
        n, m = (each[:, np.newaxis] for each in counts)
        return (n * reached.variances() + m * delta**2) / self.variances() - n

    def jacobians(self) -> tuple[Array, NDArray[np.intp]]:
        """Return those of the variances, times sqrt 2."""
        variances = self.values.reshape(self.k, -1, 1)
        m = variances.shape[1]  # d, or 1 for which all features count
        places = np.arange(variances.size).reshape(self.values.shape)
        return math.sqrt(2 * m / self.d) * variances * np.eye(m), places

    def scores(self, c: int, residuals: Array) -> tuple[Array, Array]:
        """Return slopes that are expected, and so 0 of a missing value, which has no information."""
        observed = ~np.isnan(residuals)
        z = np.where(observed, residuals, 0.0) * self.precision_factors()[c]
        squares, told = np.where(observed, z * z - 1, 0.0) * math.sqrt(0.5), observed.astype(np.float64)
        return np.hstack([z, squares]), np.hstack([told, told])

    def wishart_terms(self, scale: Array) -> tuple[Array, Array, float | Array]:
        scales = scale.diagonal()
        return np.log(self.values), scales / self.values, np.log(scales)


UNIVARIATE = SweepKernels("accumulate_normal", "posterior_normal", "iterate_normal", *Diagonal.kernel[3:])
"""Those of one feature."""


class Spherical(Diagonal):
    """Variances (k,), each that of all features."""

    fewest_about_middle = 3
    residuals_in_float32 = False

    @staticmethod
    def shape(k: int, d: int) -> tuple[int, ...]:
        return (k,)

    @staticmethod
    def n_parameters(d: int) -> int:
        return 1

    @staticmethod
    def n_used(k: int, d: int) -> float:
        return 1.0 + 2.0 / d

    @staticmethod
    def of_variances(variances: Array, k: int) -> Array:
        return np.full(k, variances.mean())

    @staticmethod
    def of_scatter(scatter: Array, shares: Array, reg_covar: float | Array) -> Array:
        return np.asarray(scatter.mean(axis=1) + (reg_covar if isinstance(reg_covar, float) else reg_covar.mean()))

    def of_features(self, features: NDArray[np.intp]) -> Array:
        return self.values

    def pool(self, moments: Array) -> Array:
        """Return the mean of the features in the place of each, which is all that is needed."""
        return np.broadcast_to(moments.mean(axis=1, keepdims=True), moments.shape)

    def coefficients(self, factors: Array, offsets: Array) -> tuple[Array, ...]:
        """Return natural parameters: (k, d + 1), of the features and of the sum of their squares."""
        return (np.hstack([2 * factors * offsets, -(factors[:, :1] ** 2)]),)

    def pooled(self, weights: Array, delta: Array) -> Spherical:
        values = weighted_sum(weights, self.values + (delta**2).mean(axis=1))
        return Spherical(np.asarray(values)[np.newaxis], 1, self.d)

    def _shrunk(self, longest: NDArray[np.bool_]) -> Array:
        return np.asarray(APART**2 / self.d)

    @staticmethod
    def _between(shares: Array, delta: Array) -> Array:
        return np.asarray(shares * (delta**2).mean(axis=1, keepdims=True))

    def variances(self) -> Array:
        return np.repeat(self.values[:, np.newaxis], self.d, axis=1)

    def floored(self, smallest: Array) -> Self:
        return super().floored(smallest.max(axis=-1))

    def above(self, smallest: Array, reg_covar: float | Array) -> Self:
        return self.floored(smallest + np.mean(reg_covar))

    def floor_ratios(self, weights: Array, means: Array, reg_covar: float | Array) -> Array:
        variances = self.variances()
        least = reg_covar + FLOOR_SAFETY * rounding_variances(weights, variances, means)
        with np.errstate(over="ignore"):  # of variances that are far above their floor
            return np.asarray((variances / least.max()).min(axis=1))

    @staticmethod
    def blended(own: Array, share: float, whole: Array, least: Array) -> Array:
        return Diagonal.blended(own, share, whole, least.max())

    def gradient(self, reached: Self, counts: tuple[Array, Array], delta: Array, units: Array) -> Array:
        return np.asarray(super().gradient(reached, counts, delta, units).sum(axis=1))

    def scores(self, c: int, residuals: Array) -> tuple[Array, Array]:
        (slopes, told), d = super().scores(c, residuals), self.d
        squares = slopes[:, d:].sum(axis=1, keepdims=True) / math.sqrt(d)
        return np.hstack([slopes[:, :d], squares]), np.hstack([told[:, :d], told[:, d:].mean(axis=1, keepdims=True)])

    @property
    def n_shared(self) -> int:
        return self.d

    def scale_of(self, scale: Array) -> Array:
        return np.asarray(np.eye(self.d) * scale.diagonal().mean())

    def wishart_terms(self, scale: Array) -> tuple[Array, Array, float | Array]:
        mean = scale[0, 0]
        return np.log(self.values), mean / self.values, np.log(mean)
