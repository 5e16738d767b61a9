"""Covariance matrices: one for each component, or one for all of them."""

from __future__ import annotations

import math
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array, SweepKernels
from fastem.families.gaussian import hermite
from fastem.families.gaussian.covariance import Covariance
from fastem.families.gaussian.matrices import (
    COLLAPSED_RATIO,
    EPS,
    FLOOR_SAFETY,
    RESOLUTION,
    SMALLEST_VARIANCE,
    diagonal,
    inverse,
    inverse_factors,
    largest_eigenvalue,
    nearest_definite,
    rounding_variances,
    smallest_eigenvalue_by_inverse,
    square_root,
)
from fastem.families.kept import kept
from fastem.families.weights import APART
from fastem.kernels.linear import (
    eigh,
    eigvalsh,
    inverse_cholesky,
    inverse_lower,
    log_determinant,
    outer_sums,
    product,
    times,
    weighted_sum,
)


class Full(Covariance):
    """Matrices (k, d, d)."""

    is_matrix = True
    kernel = SweepKernels(
        "accumulate_mvnormal_full",
        "posterior_mvnormal_full",
        "iterate_mvnormal_full",
        "accumulate_mvnormal_full_missing",
        "posterior_mvnormal_full_missing",
    )

    @staticmethod
    def shape(k: int, d: int) -> tuple[int, ...]:
        return k, d, d

    @staticmethod
    def n_parameters(d: int) -> int:
        return d * (d + 1) // 2

    @staticmethod
    def n_used(k: int, d: int) -> float:
        """Return d + 2, as the mean of an inverse Wishart distribution has it."""
        return d + 2.0

    @staticmethod
    def of_variances(variances: Array, k: int) -> Array:
        return np.tile(np.diag(variances), (k, 1, 1))

    @staticmethod
    def of_precisions(precisions: Array) -> Array:
        units = np.exp2(np.round(0.5 * np.log2(diagonal(precisions))))  # powers of 2: nothing is rounded by them
        outer = units[..., :, np.newaxis] * units[..., np.newaxis, :]
        return np.asarray(inverse(precisions / outer) / outer)

    @staticmethod
    def of_precisions_cholesky(factors: Array) -> Array:
        lower = inverse_lower(factors.swapaxes(-1, -2))
        return product(lower, lower.swapaxes(-1, -2))

    @staticmethod
    def of_scatter(scatter: Array, shares: Array, reg_covar: float | Array) -> Array:
        variances = np.einsum("...ii->...i", scatter)
        variances += reg_covar
        return scatter

    @staticmethod
    def outer(a: Array, b: Array) -> Array:
        return a[:, :, np.newaxis] * b[:, np.newaxis, :]

    def of_features(self, features: NDArray[np.intp]) -> Array:
        found: Array = self.values[..., features[:, np.newaxis], features]
        return found

    def regression(self, wanted: NDArray[np.intp], given: NDArray[np.intp]) -> tuple[Array, Array]:
        """Return what the Cholesky factor C of the features has, those given first: no difference of matrices.

        Slopes are C_wg C_gg^-1, and the covariance that is left is C_ww C_ww^T.
        """
        g, order = len(given), np.concatenate([given, wanted])
        L = inverse_factors(self.of_features(order))
        C = inverse_lower(L)
        slopes, rest = product(C[..., g:, :g], L[..., :g, :g]), C[..., g:, g:]
        return np.broadcast_to(slopes, (self.k, *slopes.shape[-2:])), product(rest, rest.swapaxes(-1, -2))

    def split(self, donor: int, place: int, units: Array) -> tuple[Array, Array]:
        """Split the donor along its longest axis, with halves that are positive definite whatever the units are.

        With R R^T the covariance and u a direction of length 1, the halves are at APART R u from the mean, with the
        covariance R (1 - APART^2 u u^T) R^T; a difference of covariances might not be definite.
        """
        R = square_root(self._of(donor))
        scaled = R / units[:, np.newaxis]
        u = eigh(product(scaled.T, scaled))[1][:, -1]
        halved = R - (1 - math.sqrt(1 - APART**2)) * times(R, u)[:, np.newaxis] * u
        return APART * times(R, u), self._with_halves(donor, place, halved)

    def _of(self, component: int) -> Array:
        """Return the matrix (d, d) of a component."""
        matrix: Array = self.values[component]
        return matrix

    def _with_halves(self, donor: int, place: int, factor: Array) -> Array:
        """Return the array in which both halves of a split have the matrix F F^T of this factor."""
        values = self.values.copy()
        values[[donor, place]] = product(factor, factor.T)
        return values

    def variances(self) -> Array:
        return diagonal(self.values)

    def own_in_units(self, sds: Array) -> list[tuple[Array, Array]]:
        return [(self.values, self.outer(sds, sds))]

    def entropies(self) -> Array:
        log_sds = -np.log(diagonal(self.inverse_cholesky()))
        return np.asarray(np.broadcast_to(log_sds.sum(axis=-1), self.k))

    def merged_entropies(self, i: int, others: NDArray[np.intp], shares: Array, delta: Array) -> Array:
        shares = shares[:, :, np.newaxis]
        merged = shares * self.values[i] + (1 - shares) * self.values[others]
        merged += shares * (1 - shares) * self.outer(delta, delta)
        return np.asarray(-np.log(diagonal(inverse_factors(merged))).sum(axis=1))

    def smallest_eigenvalue(self, component: int) -> float:
        return smallest_eigenvalue_by_inverse(self.inverse_cholesky()[component])

    def relative(self, weights: Array) -> tuple[Array, Array]:
        mean = weighted_sum(weights, self.values)
        if not np.isfinite(mean).all():
            return np.full(self.k, np.nan), np.full(self.k, np.nan)
        with np.errstate(over="ignore"):  # of one without rows, far wider than all others
            narrowest = 1 / largest_eigenvalue(product(self.inverse_cholesky(), square_root(mean)))
            inverse_of_mean = inverse_factors(mean[np.newaxis])[0]
            widest = largest_eigenvalue(product(inverse_of_mean, square_root(self.values)))
        return np.asarray(narrowest), widest

    def along_axes(self, scale: Array) -> Array:
        return eigvalsh(self.values * scale[:, np.newaxis] * scale)

    @kept
    def whitening(self) -> tuple[Array, Array] | None:
        """The inverse Cholesky factors and pivots of the matrices; None where rounding has left an indefinite one.

        Kept: the M-step that judges its covariances and the sweep that follows need the same.
        """
        return inverse_cholesky(self.values)

    def inverse_cholesky(self) -> Array:
        """Return lower L with L^T L = inverse covariance, shaped as the covariances; of the nearest definite ones."""
        return inverse_factors(self.values) if self.whitening is None else self.whitening[0]

    def precision_factors(self) -> Array:
        if self.d == 1:
            return 1.0 / np.sqrt(self.variances())
        factors = self.inverse_cholesky()
        return factors if factors.ndim == 3 else np.broadcast_to(factors, (self.k, *factors.shape))

    def precisions_cholesky(self) -> Array:
        return np.ascontiguousarray(self.inverse_cholesky().swapaxes(-1, -2))

    def precisions(self) -> Array:
        factors = self.precisions_cholesky()
        return product(factors, factors.swapaxes(-1, -2))

    def cholesky(self) -> Array:
        return inverse_lower(self.inverse_cholesky())

    def cholesky_of_components(self) -> Array:
        return np.broadcast_to(self.cholesky(), (self.k, self.d, self.d))

    def whiten(self, residuals: Array) -> Array:
        L = self.inverse_cholesky()
        return times(L.swapaxes(-1, -2), times(L, residuals))

    def colour(self, noise: Array, labels: NDArray[np.intp]) -> Array:
        found = np.empty_like(noise)
        for c, factor in enumerate(self.cholesky_of_components()):  # a factor for each row would be n d^2 numbers
            found[labels == c] = product(noise[labels == c], factor.T)
        return found

    def floored(self, smallest: Array) -> Self:
        """Return definite matrices with variances of at least `smallest`; the same object where they are that already.

        They are judged by the variance that each feature has left given those before it (the pivots of Cholesky), so
        that features of different units do not hide each other.
        """
        if self.whitening is not None:
            pivots = self.whitening[1]
            if (pivots >= np.maximum(self.d * EPS * diagonal(self.values), smallest)).all():
                return self
        return self.like(nearest_definite(self.values, smallest))

    def above(self, smallest: Array, reg_covar: float | Array) -> Self:
        return self._with_eigenvalues_above(reg_covar).floored(smallest)

    def _with_eigenvalues_above(self, reg_covar: float | Array) -> Self:
        """Return matrices with no eigenvalue below 1, each feature in units of the root of reg_covar."""
        d = self.d
        units = np.sqrt(np.broadcast_to(reg_covar, d))
        if not units.all():
            return self
        L = self.inverse_cholesky().reshape(-1, d, d)
        suspect = np.square(L * units).sum(axis=(1, 2)) > 1  # the trace of the inverse
        if not suspect.any():
            return self
        outer = units * units[:, np.newaxis]
        matrices = self.values.reshape(-1, d, d).copy()
        least = eigvalsh(matrices[suspect] / outer)[:, 0]
        matrices[suspect] += np.maximum(1 - least, 0.0)[:, np.newaxis, np.newaxis] * np.diag(units**2)
        return self.like(matrices.reshape(self.values.shape))

    def variance_floor(self, scatter: Array, shares: Array, taken: Array, means: Array) -> Array:
        return super().variance_floor(diagonal(scatter), shares, taken, means)

    def floor_ratios(self, weights: Array, means: Array, reg_covar: float | Array) -> Array:
        variances = self.variances()
        least = reg_covar + FLOOR_SAFETY * rounding_variances(weights, variances, means)
        least = least + FLOOR_SAFETY * self.d**2 * RESOLUTION * variances
        L = self.inverse_cholesky()
        found = np.asarray(1 / np.einsum("kij,kij,kj->k", L, L, least))  # of the trace of the inverse: that, or less
        for k in np.flatnonzero(found <= COLLAPSED_RATIO):
            found[k] = smallest_eigenvalue_by_inverse(L[k] * np.sqrt(least[k]))
        return found

    @staticmethod
    def blended(own: Array, share: float, whole: Array, least: Array) -> Array:
        A = inverse_factors(whole)
        values, vectors = eigh(product(product(A, own + np.diag(least)), A.T))
        half = product(inverse_lower(A), vectors / np.sqrt(share / np.maximum(values, RESOLUTION) + 1 - share))
        return product(half, half.T)

    def to_vector(self, units: Array, free: NDArray[np.bool_]) -> Array:
        """Return Cholesky factors with the logarithm of their diagonals."""
        factors = self.cholesky().reshape(-1, self.d, self.d)[free] / units[:, np.newaxis]
        np.einsum("kii->ki", factors)[...] = np.log(diagonal(factors))
        return factors[:, *np.tril_indices(self.d)].ravel()

    def from_vector(self, vector: Array, units: Array, free: NDArray[np.bool_]) -> Array:
        d, values = self.d, self.values.copy()
        factors = np.zeros((free.sum(), d, d))
        factors[:, *np.tril_indices(d)] = vector.reshape(len(factors), d * (d + 1) // 2)
        np.einsum("kii->ki", factors)[...] = np.exp(diagonal(factors))
        factors *= units[:, np.newaxis]
        pivots = np.einsum("kii->ki", factors)
        np.maximum(pivots, math.sqrt(SMALLEST_VARIANCE), out=pivots)
        values.reshape(-1, d, d)[free] = product(factors, factors.swapaxes(-1, -2))
        return values

    def gradient(self, reached: Self, counts: tuple[Array, Array], delta: Array, units: Array) -> Array:
        """Return C^-T (C^-1 B C^-T - n), with B = sum w r (x - mean)(x - mean)^T as the M-step left it."""
        n, B = self._scatter(reached, counts, delta)
        L = self.inverse_cholesky()
        whitened = product(product(L, B), L.swapaxes(-1, -2)) - n * np.eye(self.d)
        slopes = product(L.swapaxes(-1, -2), whitened) * units[:, np.newaxis]
        np.einsum("...ii->...i", slopes)[...] *= diagonal(self.cholesky()) / units
        return slopes[..., *np.tril_indices(self.d)].reshape(-1, self.d * (self.d + 1) // 2)

    def _scatter(self, reached: Self, counts: tuple[Array, Array], delta: Array) -> tuple[Array, Array]:
        """Return the counts and the sums behind each matrix, about the means before the M-step."""
        n, m = (each[:, np.newaxis, np.newaxis] for each in counts)
        return n, n * reached.values + m * delta[:, :, np.newaxis] * delta[:, np.newaxis, :]

    def jacobians(self) -> tuple[Array, NDArray[np.intp]]:
        """Return those of lower triangles, row by row."""
        found = hermite.jacobians(self.cholesky().reshape(-1, self.d, self.d))
        places = hermite.places(self.d) + found.shape[1] * np.arange(len(found))[:, np.newaxis, np.newaxis]
        return found, places.reshape(self.values.shape)

    def scores(self, c: int, residuals: Array) -> tuple[Array, Array]:
        slopes = hermite.slopes(np.atleast_2d(self.precision_factors()[c]), residuals)
        return slopes, np.broadcast_to(1.0, slopes.shape)

    def missing_information(self, c: int, shares: Array, residuals: Array) -> Array:
        return hermite.missing_information(np.atleast_2d(self.precision_factors()[c]), shares, residuals)

    def wishart_terms(self, scale: Array) -> tuple[Array, Array, float | Array]:
        factors = self.inverse_cholesky().reshape(-1, self.d, self.d)
        log_dets = -2 * np.log(diagonal(factors)).sum(axis=1)
        traces = (product(factors, scale) * factors).sum(axis=(1, 2))
        return log_dets, traces, log_determinant(scale)


class Tied(Full):
    """One matrix (d, d) for all components."""

    is_shared = True
    kernel_about_middle = SweepKernels("accumulate_mvnormal_tied", "posterior_mvnormal_tied", "iterate_mvnormal_full")

    @staticmethod
    def shape(k: int, d: int) -> tuple[int, ...]:
        return d, d

    @staticmethod
    def n_used(k: int, d: int) -> float:
        return k + d + 1.0

    @staticmethod
    def of_variances(variances: Array, k: int) -> Array:
        return np.diag(variances)

    def pool(self, moments: Array) -> Array:
        pooled: Array = moments.sum(axis=0)
        return pooled

    def cross(self, a: Array, b: Array) -> Array:
        return outer_sums(a, b)

    def scatter(
        self, second: Array, counts: Array, mean_counts: Array, delta: Array, keep: NDArray[np.bool_] | None
    ) -> Array:
        moved = self.cross(mean_counts[:, np.newaxis] * delta, delta)
        return (second - moved) / math.fsum(counts.tolist())

    def keep(self, others: Self, components: NDArray[np.bool_] | None) -> Self:
        return self

    def select(self, components: NDArray[np.intp]) -> Array:
        return self.values

    def fill_missing(self, where: NDArray[np.bool_]) -> Array:
        return self.values

    def free(self, components: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return that the matrix is free where that of every component is."""
        return np.array([components.all()])

    def pooled(self, weights: Array, delta: Array) -> Covariance:
        """Return a full matrix: with the scatter of the means in it, it is no longer that of a component."""
        return Full(np.stack([self.values] * self.k), self.k, self.d).pooled(weights, delta)

    def _of(self, component: int) -> Array:
        return self.values

    def _with_halves(self, donor: int, place: int, factor: Array) -> Array:
        return self.values

    def variances(self) -> Array:
        return np.broadcast_to(diagonal(self.values), (self.k, self.d))

    def units(self) -> Array:
        return np.sqrt(diagonal(self.values))

    def own_in_units(self, sds: Array) -> list[tuple[Array, Array]]:
        return []

    def merged_entropies(self, i: int, others: NDArray[np.intp], shares: Array, delta: Array) -> Array:
        """Return those of full matrices: |S + a D D^T| = |S| (1 + a D^T S^-1 D)."""
        L = self.inverse_cholesky()
        squares = (product(delta, L.T) ** 2).sum(axis=1)
        return np.asarray(0.5 * np.log1p((shares * (1 - shares))[:, 0] * squares) - np.log(diagonal(L)).sum())

    def smallest_eigenvalue(self, component: int) -> float:
        return smallest_eigenvalue_by_inverse(self.inverse_cholesky())

    def relative(self, weights: Array) -> tuple[Array, Array]:
        return np.ones(self.k), np.ones(self.k)

    def variance_floor(self, scatter: Array, shares: Array, taken: Array, means: Array) -> Array:
        lost = weighted_sum(shares, RESOLUTION * taken**2)
        return np.maximum(rounding_variances(shares, diagonal(scatter), means), lost)

    def floor_ratios(self, weights: Array, means: Array, reg_covar: float | Array) -> Array:
        """Return infinity: the matrix is no component's own."""
        return np.full(self.k, np.inf)

    def proven(self, counts: Array, components: list[int], least: Array, whole: Array) -> Array:
        return self.blended(self.values.astype(np.float64), self.proven_share(counts.sum()), whole, least)

    def _scatter(self, reached: Self, counts: tuple[Array, Array], delta: Array) -> tuple[Array, Array]:
        n, m = (each[:, np.newaxis, np.newaxis] for each in counts)
        B = n * reached.values + m * delta[:, :, np.newaxis] * delta[:, np.newaxis, :]
        return n.sum(axis=0), B.sum(axis=0)

    @property
    def n_shared(self) -> int:
        return self.k
