"""Gaussian mixtures: parameters, their tables for the kernels, sufficient statistics, the M-step."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastem._errstate import own_methods
from fastem._public import public
from fastem._typing import Array, RowKind
from fastem.data.slots import as_table, refuse_nan
from fastem.families.fixed import Fixed, FixedLike
from fastem.families.gaussian.covariance import (
    COVARIANCE_TYPES,
    EPS,
    LOG2E,
    RESOLUTION,
    SINGLE_EPS,
    SINGLE_LARGEST,
    SINGLE_REACH,
    SINGLE_SHIFT,
    SINGLE_SPREAD,
    SINGLE_UNIT,
    SMALLEST_MAGNITUDE,
    SMALLEST_VARIANCE,
    diagonal,
    inverse,
    largest_of,
    nearest_definite,
    resolved,
    root,
    smallest_of,
    squares_of,
    triangle,
)
from fastem.families.gaussian.proven import blended, proven_share
from fastem.families.params import Chart, Params, kept
from fastem.families.stats import UNIT, Stats
from fastem.families.weights import APART, EMPTY, SMALLEST_WEIGHT, log_weights, softmax, weight_slopes
from fastem.kernels.linear import dot, eigh, eigvalsh, inverse_cholesky, inverse_lower, product, times, weighted_sum
from fastem.validation.parameters import (
    as_float64,
    as_means,
    as_mixing_weights,
    as_positive_definite,
    check_magnitudes,
    check_matrix,
    check_shape,
)
from fastem.validation.settings import as_reg_covar, check_choice

NO_EXTENT = 1.01
"""Of the floor under a variance (reg_covar, and what rounding can tell): below that a component has none of its own."""
BLURRED = 2.0
"""What rounding can tell is known to a factor itself: components that lie on it were seen from 0.83 to 1.16 of it."""
RESOLVED = 1.0
"""Of the step to which rows were rounded: what such rows prove.  Components of that width on all values of a bell are
wider than the bell, and never better; one that is alone among empty values is told from others all the same."""


@public
@own_methods
@dataclass(frozen=True, eq=False)
class GaussianParams(Params):
    """Parameters of a Gaussian mixture: an immutable value.

    weights (k,), means (k, d), covariances as scikit-learn shapes them: full (k, d, d), tied (d, d), diag (k, d),
    spherical (k,).
    """

    means: Array
    covariances: Array
    covariance_type: str = "full"

    parameter_names: ClassVar = ("weights", "means", "covariances")

    row_kind = RowKind.REAL

    @classmethod
    def from_precisions(cls, weights: Array, means: Array, precisions: Array, covariance_type: str) -> GaussianParams:
        with np.errstate(over="ignore"):  # of subnormal ones: see precisions
            if covariance_type not in ("full", "tied"):
                return cls(weights, means, 1.0 / precisions, covariance_type)
            units = np.exp2(np.round(0.5 * np.log2(diagonal(precisions))))  # powers of 2: nothing is rounded by them
            outer = units[..., :, np.newaxis] * units[..., np.newaxis, :]
            return cls(weights, means, inverse(precisions / outer) / outer, covariance_type)

    @classmethod
    def from_variances(cls, means: Array, variances: Array, covariance_type: str) -> GaussianParams:
        """Equal weights, and for every component the same variances (d,)."""
        k = len(means)
        if covariance_type == "spherical":
            covariances = np.full(k, variances.mean())
        elif covariance_type == "diag":
            covariances = np.tile(variances, (k, 1))
        else:
            matrix = np.diag(variances)
            covariances = matrix if covariance_type == "tied" else np.tile(matrix, (k, 1, 1))
        return cls(np.full(k, 1 / k), means, covariances, covariance_type)

    @staticmethod
    def covariance_shape(covariance_type: str, k: int, d: int) -> tuple[int, ...]:
        return {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[covariance_type]

    def __post_init__(self) -> None:
        """The kernels trust these shapes."""
        check_choice(self.covariance_type, "covariance_type", COVARIANCE_TYPES)
        for name in self.parameter_names:
            object.__setattr__(self, name, as_float64(getattr(self, name), name))
        check_matrix(self.means, "means")
        k, d = self.means.shape
        check_shape(self.weights, "weights", (k,))
        check_shape(self.covariances, "covariances", self.covariance_shape(self.covariance_type, k, d))

    def check(self) -> None:
        """Raise ValueError or TypeError where the values are not those of a mixture."""
        as_mixing_weights(self.weights, "weights", len(self.weights))
        as_means(self.means, "means", self.means.shape)
        as_positive_definite(self.covariances, "covariances", self.covariances.shape, self.is_matrix, SINGLE_EPS)

    @property
    def n_features(self) -> int:
        return self.means.shape[1]

    @property
    def kernel(self) -> str:
        if self.means.shape[1] == 1:
            return "normal"
        return "mvnormal_full" if self.is_matrix else "mvnormal_diag"

    @property
    def is_matrix(self) -> bool:
        return self.covariance_type in ("full", "tied")

    def _n_free(self, fixed: Fixed) -> int:
        d = self.n_features
        per_covariance = {"full": d * (d + 1) // 2, "tied": d * (d + 1) // 2, "diag": d, "spherical": 1}
        covariances = int(self._free_covariances(fixed).sum())
        return int(fixed.free("means").sum()) * d + covariances * per_covariance[self.covariance_type]

    @property
    def own_parameters(self) -> tuple[str, ...]:
        return ("means",) if self.covariance_type == "tied" else ("means", "covariances")

    def select(self, components: NDArray[np.intp]) -> GaussianParams:
        covariances = self.covariances if self.covariance_type == "tied" else self.covariances[components]
        return replace(self, weights=self.weights[components], means=self.means[components], covariances=covariances)

    def fill_missing(self, means: Array, where: np.ndarray) -> GaussianParams:
        """These components at `where` among others with the given means, which take 1 / k of the weight and the mean
        covariance."""
        k = len(means)
        weights, means, covariances = np.full(k, 1 / k), means.copy(), self.covariances
        weights[where] = self.weights * where.mean()
        means[where] = self.means
        if self.covariance_type != "tied":
            covariances = np.repeat(covariances.mean(axis=0)[np.newaxis], k, axis=0)
            covariances[where] = self.covariances
        return GaussianParams(weights, means, covariances, self.covariance_type)

    def diagonals(self) -> Array:
        """(k, d) variances of the features."""
        if not self.is_matrix:
            return self.variances()
        return np.broadcast_to(diagonal(self.covariances), self.means.shape)

    def variances(self) -> Array:
        """(k, d) variances, for the types that have no more."""
        k, d = self.means.shape
        if self.covariance_type == "spherical":
            return np.repeat(self.covariances[:, np.newaxis], d, axis=1)
        return np.broadcast_to(self.covariances.reshape(-1, d), (k, d))

    @kept
    def _whitening(self) -> tuple[Array, Array] | None:
        """Inverse Cholesky factors and pivots of the matrices, or None where rounding has left an indefinite one.

        Kept: the M-step that judges its covariances and the sweep that follows need the same.
        """
        return inverse_cholesky(self.covariances)

    def inverse_cholesky(self) -> Array:
        """Lower L with L^T L = inverse covariance, shaped as the covariances; of the nearest definite ones."""
        found = self._whitening or inverse_cholesky(nearest_definite(self.covariances, SMALLEST_VARIANCE))
        assert found is not None
        return found[0]

    def precisions_cholesky(self) -> Array:
        """Cholesky factors of the precisions, shaped as the covariances; upper triangular, as scikit-learn has them."""
        return np.ascontiguousarray(self.inverse_cholesky().mT) if self.is_matrix else 1.0 / np.sqrt(self.covariances)

    def precisions(self) -> Array:
        """Inverse covariances, shaped as they are."""
        factors = self.precisions_cholesky()
        return product(factors, factors.mT) if self.is_matrix else factors**2

    def __getstate__(self) -> dict[str, Any]:
        """What is kept is made anew where it arrives: it is as large as the covariances."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def precision_factors(self) -> Array:
        """(k, d, d) lower L with L^T L = inverse covariance, or (k, d) 1 / sd where no more is to be told."""
        if self.kernel != "mvnormal_full":
            return 1.0 / np.sqrt(self.variances())
        factors = self.inverse_cholesky()
        return factors if factors.ndim == 3 else np.broadcast_to(factors, (len(self.weights), *factors.shape))

    def tables(self) -> tuple[Array, Array, Array]:
        """What the kernels read: log_norm (k,) in base 2, means (k, d), precision factors times sqrt(log2(e) / 2)."""
        return self._tables

    @kept
    def _tables(self) -> tuple[Array, Array, Array]:
        """Kept: whoever predicts row by row needs the same each time."""
        factors = self.precision_factors()
        with np.errstate(divide="ignore"):  # weight 0: -inf, which the kernels take for far out
            log_norm = np.log2(self.weights)
        log_norm += np.log2(diagonal(factors) if factors.ndim == 3 else factors).sum(axis=1)
        log_norm -= 0.5 * self.means.shape[1] * math.log2(2 * math.pi)
        return as_table(log_norm), as_table(self.means), as_table(factors * math.sqrt(LOG2E / 2))

    def single_is_enough(self, tables: tuple[Array, ...]) -> bool:
        """May float32 rows be summed in float32, a tile at a time?

        Means are then rounded to 2^-24 of their distance from the middle, which must be SINGLE_REACH of a component's
        standard deviations at the most; and covariances to some 2^-24 of the variances, which must leave something of
        the least variance in any direction.
        """
        _, means, factors = tables
        distance, scale = np.abs(means - means.mean(axis=0)), np.abs(factors)
        if not max(distance.max(), scale.max()) < SINGLE_LARGEST:
            return False
        if scale.ndim == 2:
            return bool((scale * distance).max() < SINGLE_REACH)
        reach, spread = times(scale, distance), times(scale, np.sqrt(self.diagonals()))
        return bool(reach.max() < SINGLE_REACH and spread.max() < SINGLE_SPREAD)

    def rounded_to_single(self) -> GaussianParams:
        """These parameters rounded to float32 or, where that would be another model, as they are."""
        values = [getattr(self, name) for name in self.parameter_names]
        with np.errstate(over="ignore", under="ignore"):
            rounded = [as_table(value.astype(np.float32)) for value in values]
        for value, to in zip(values, rounded, strict=True):
            if (np.abs(to - value) > SINGLE_UNIT * np.abs(value)).any():  # some are too large for float32, or too small
                return self
        L, means, sds = np.abs(self.precision_factors()), np.abs(self.means), np.sqrt(self.diagonals())
        moved = max(math.sqrt(squares_of(L, SINGLE_UNIT * means).max()), SINGLE_UNIT * squares_of(L, sds).max())
        weights, means, covariances = rounded
        return GaussianParams(weights, means, covariances, self.covariance_type) if moved < SINGLE_SHIFT else self

    def log_base_measure(self, *data: np.ndarray) -> None:
        return None

    @property
    def sums_length(self) -> int:
        k, d = self.means.shape
        return k * (1 + d + (d * d if self.kernel == "mvnormal_full" else d)) + 2

    def stats(self, sums: Array, single: bool = False) -> GaussianStats:
        """Name the sums of a kernel (one row, as _kernels lays them out)."""
        k, d = self.means.shape
        first, second = sums[k : k + k * d].reshape(k, d), sums[k + k * d : -2]
        second = second.reshape((k, d, d) if self.is_matrix else (k, d))
        counts, (loglik, entropy) = sums[:k], sums[-2:].tolist()
        values = counts, loglik, entropy, first, second, counts, counts
        return GaussianStats(self, *values, row_counts=counts, single=single)

    @kept
    def units(self) -> Array:
        """(d,) a standard deviation of each feature, over the components."""
        variances = diagonal(self.covariances) if self.is_matrix else self.variances()
        return np.sqrt(variances.mean(axis=0) if variances.ndim == 2 else variances)

    def to_vector(self, at: GaussianParams, fixed: FixedLike = ()) -> Array:
        """What is free, without constraints and in the units of `at`: log weights, means, and log standard deviations
        or, of matrices, Cholesky factors with the logarithm of their diagonals."""
        fixed = self.as_fixed(fixed)
        means = (self.means / at.units)[fixed.free("means")]
        free = self._free_covariances(fixed)
        if self.is_matrix:
            factors = self.cholesky().reshape(-1, self.n_features, self.n_features)[free] / at.units[:, np.newaxis]
            np.einsum("kii->ki", factors)[...] = np.log(diagonal(factors))
            spread = factors[:, *np.tril_indices(self.n_features)]
        else:
            spread = 0.5 * np.log(self.covariances[free])
        return np.concatenate([log_weights(self.weights, fixed.free("weights")), means.ravel(), spread.ravel()])

    def from_vector(self, vector: Array, fixed: FixedLike = ()) -> GaussianParams:
        """Parameters of which to_vector(self, fixed) is `vector`; what is fixed is that of self."""
        fixed = self.as_fixed(fixed)
        weights_free, moving, free = fixed.free("weights"), fixed.free("means"), self._free_covariances(fixed)
        means, covariances = self.means.copy(), self.covariances.copy()
        ends = np.cumsum([weights_free.sum(), means[moving].size])
        logs, moved, spread = np.split(vector, ends)
        means[moving] = moved.reshape(-1, self.n_features) * self.units
        if self.is_matrix:
            d = self.n_features
            factors = np.zeros((free.sum(), d, d))
            factors[:, *np.tril_indices(d)] = spread.reshape(len(factors), d * (d + 1) // 2)
            np.einsum("kii->ki", factors)[...] = np.exp(diagonal(factors))
            factors *= self.units[:, np.newaxis]
            pivots = np.einsum("kii->ki", factors)
            np.maximum(pivots, math.sqrt(SMALLEST_VARIANCE), out=pivots)
            covariances.reshape(-1, d, d)[free] = product(factors, factors.mT)
        else:
            found = np.exp(2 * spread.reshape(covariances[free].shape))
            covariances[free] = np.maximum(found, SMALLEST_VARIANCE)
        return GaussianParams(softmax(logs, self.weights, weights_free), means, covariances, self.covariance_type)

    def above_floor(self, reached: GaussianParams, *, fixed: FixedLike = (), reg_covar: Any = 0.0) -> GaussianParams:
        """These parameters with no free variance below what the M-step that has led to `reached` leaves one: reg_covar
        and the resolution of the data."""
        free = self._free_covariances(self.as_fixed(fixed))
        if not free.any():
            return self
        smallest = resolved(reached.weights, reached.diagonals(), reached.means)
        if self.covariance_type == "spherical":
            reg_covar, smallest = np.mean(reg_covar), smallest.max()
        found = lifted(raised(self, reg_covar) if self.is_matrix else self, smallest + (not self.is_matrix) * reg_covar)
        if found is self or free.all():
            return found
        kept = found.covariances.copy()
        kept[~free] = self.covariances[~free]
        return replace(found, covariances=kept)

    def _free_covariances(self, fixed: Fixed) -> NDArray[np.bool_]:
        """Return which covariances are free; the tied one is fixed where that of any component is."""
        free = fixed.free("covariances")
        return np.array([free.all()]) if self.covariance_type == "tied" else free

    def cholesky(self) -> Array:
        """Lower Cholesky factors of the covariance matrices."""
        return inverse_lower(self.inverse_cholesky())

    def charts(self) -> tuple[Chart, Chart]:
        """With C C^T = covariance: mean + C t, and C (I + V) C^T; V is symmetric, sqrt 2 t on its diagonal."""
        k, d = self.means.shape
        C = self.cholesky() if self.is_matrix else np.sqrt(self.variances())[..., np.newaxis] * np.eye(d)
        jacobians, places = self._covariance_jacobians()
        return (
            Chart("means", np.broadcast_to(C, (k, d, d)), np.arange(k * d).reshape(k, d), np.ones((k, d), bool)),
            Chart("covariances", jacobians, places, np.ones(jacobians.shape[:2], bool)),
        )

    def _covariance_jacobians(self) -> tuple[Array, np.ndarray]:
        """Of the lower triangles, row by row, or of the variances; and where each stands in the covariances."""
        d, shape = self.n_features, self.covariances.shape
        if not self.is_matrix:
            variances = self.covariances.reshape(len(self.weights), -1, 1)
            m = variances.shape[1]  # d, or 1 of which d features tell
            return math.sqrt(2 * m / d) * variances * np.eye(m), np.arange(variances.size).reshape(shape)
        i, j, scale = triangle(d)
        C, a, b = self.cholesky().reshape(-1, d, d), i[:, np.newaxis], j[:, np.newaxis]
        square = np.empty((d, d), np.intp)
        square[i, j] = square[j, i] = np.arange(len(i))
        places = square + len(i) * np.arange(len(C))[:, np.newaxis, np.newaxis]
        return (C[:, a, i] * C[:, b, j] + C[:, a, j] * C[:, b, i]) * scale, places.reshape(shape)

    def scores(self, c: int, *data: np.ndarray) -> tuple[Array, Array]:
        """(rows, m) slopes of component c's log density by the coordinates of the charts: Hermite's polynomials of
        z = C^-1 (x - mean), z and (z_i z_j - [i = j]) / sqrt(1 + [i = j]); and the information of a row, 1 on each."""
        factor, z = self.precision_factors()[c], data[0] - self.means[c]
        z = product(z, factor.T) if factor.ndim == 2 else z * factor
        if self.is_matrix:
            i, j, scale = triangle(self.n_features)
            second = (z[:, i] * z[:, j] - (i == j)) * scale
        else:
            second = (z * z - 1) * math.sqrt(0.5)
        if self.covariance_type == "spherical":
            second = second.sum(axis=1, keepdims=True) / math.sqrt(self.n_features)
        found = np.hstack([z, second])
        return found, np.broadcast_to(1.0, found.shape)

    def collapsed(self, reg_covar: Any) -> NDArray[np.bool_]:
        """Return (k,) whether a component has no variance of its own in some direction: none but the floor, which
        reg_covar and rounding are.  Where all rows lie in a plane that is no fault of a component's."""
        found = self.floor_ratios(reg_covar) <= NO_EXTENT
        if found.any() and self.pooled().floor_ratios(reg_covar)[0] <= NO_EXTENT:
            return np.zeros(len(found), np.bool_)
        return found

    def floor_ratios(self, reg_covar: Any) -> Array:
        """Return (k,) the smallest eigenvalue of each covariance, each feature in units of the floor of its variance;
        where it is far above 1, a lower bound.  A tied covariance is no component's own: infinite."""
        if self.covariance_type == "tied":
            return np.full(len(self.weights), np.inf)
        variances = diagonal(self.covariances) if self.is_matrix else self.variances()
        least = reg_covar + BLURRED * resolved(self.weights, variances, self.means)
        if not self.is_matrix:
            with np.errstate(over="ignore"):  # of variances that are far above their floor
                found: Array = (variances / (least.max() if self.covariance_type == "spherical" else least)).min(axis=1)
                return found
        least = least + BLURRED * self.n_features**2 * RESOLUTION * variances
        L = self.inverse_cholesky()
        found = np.asarray(1 / np.einsum("kij,kij,kj->k", L, L, least))  # of the trace of the inverse: that, or less
        for k in np.flatnonzero(found <= NO_EXTENT):
            found[k] = smallest_of(L[k] * np.sqrt(least[k]))
        return found

    def pooled(self) -> GaussianParams:
        """Return one component that has the moments of the mixture; of a tied covariance it is full."""
        if self.covariance_type == "tied":
            return replace(
                self, covariances=np.stack([self.covariances] * len(self.weights)), covariance_type="full"
            ).pooled()
        mean = weighted_sum(self.weights, self.means)
        delta = self.means - mean
        if self.is_matrix:
            between = delta[:, :, np.newaxis] * delta[:, np.newaxis, :]
        else:
            between = (delta**2).mean(axis=1) if self.covariance_type == "spherical" else delta**2
        covariance = weighted_sum(self.weights, self.covariances + between)
        return GaussianParams(np.ones(1), mean[np.newaxis], np.asarray(covariance)[np.newaxis], self.covariance_type)

    def _split(self, donor: int, place: int) -> GaussianParams:
        """Split along the longest axis.

        With R R^T the covariance and u a direction of length 1, the halves are at APART R u from the mean, with the
        covariance R (1 - APART^2 u u^T) R^T: positive definite whatever the units of the features are, as a difference
        of covariances is not.  The axis is the longest with each feature in units of its own spread.
        """
        weights, means, covariances = self.weights.copy(), self.means.copy(), self.covariances.copy()
        if self.is_matrix:
            R = root(covariances if self.covariance_type == "tied" else covariances[donor])
            scaled = R / self.units[:, np.newaxis]
            u = eigh(product(scaled.T, scaled))[1][:, -1]
            step = APART * times(R, u)
            halved = R - (1 - math.sqrt(1 - APART**2)) * times(R, u)[:, np.newaxis] * u
            halved = product(halved, halved.T)
        else:
            variances = self.variances()[donor]
            longest = np.arange(self.n_features) == (variances / self.units**2).argmax()
            step = APART * np.sqrt(variances) * longest
            shrunk = APART**2 * longest if self.covariance_type == "diag" else APART**2 / self.n_features
            halved = covariances[donor] * (1 - shrunk)
        weights[[donor, place]] = weights[[donor, place]].mean()
        means[[donor, place]] = means[donor] - step, means[donor] + step
        if self.covariance_type != "tied":
            covariances[[donor, place]] = halved
        return replace(self, weights=weights, means=means, covariances=covariances)

    def entropies(self) -> Array:
        if self.is_matrix:
            log_sds = -np.log(diagonal(self.inverse_cholesky()))
            return np.asarray(np.broadcast_to(log_sds.sum(axis=-1), self.weights.shape))
        return np.asarray(np.log(self.variances()).sum(axis=1) / 2)

    def _in_units(self) -> list[tuple[Array, Array]]:
        sds = np.sqrt(np.abs(self.diagonals()))
        own = [(self.means, sds)]
        if self.covariance_type == "full":
            own.append((self.covariances, sds[:, :, np.newaxis] * sds[:, np.newaxis, :]))
        elif self.covariance_type != "tied":
            own.append((self.covariances, self.covariances))
        return own

    def smallest_eigenvalue(self, component: int) -> float:
        if not self.is_matrix:
            return float(self.variances()[component].min())
        factors = self.inverse_cholesky()
        return smallest_of(factors if factors.ndim == 2 else factors[component])

    def relative_variances(self) -> tuple[Array, Array]:
        k = len(self.weights)
        if self.covariance_type == "tied":
            return np.ones(k), np.ones(k)
        if not self.is_matrix:
            with np.errstate(over="ignore"):
                ratios = self.variances() / weighted_sum(self.weights, self.variances())
            return ratios.min(axis=1), ratios.max(axis=1)
        mean = weighted_sum(self.weights, self.covariances)
        if not np.isfinite(mean).all():
            return np.full(k, np.nan), np.full(k, np.nan)
        pool = GaussianParams(np.ones(1), self.means[:1], mean[np.newaxis])
        with np.errstate(over="ignore"):  # of one without rows, far wider than all others
            narrowest = 1 / largest_of(product(self.inverse_cholesky(), root(mean)))
            widest = largest_of(
                np.array([product(pool.inverse_cholesky()[0], root(each)) for each in self.covariances])
            )
            return np.asarray(narrowest), widest

    def narrower_than(self, widths: Array) -> NDArray[np.bool_]:
        return np.asarray((self.diagonals() < widths**2).any(axis=1) & (self.weights > 0))

    def with_proven_variances(self, counts: Array, components: list[int], widths: Array) -> GaussianParams:
        """With the precision of each of the components as its rows prove it, a mean of its own and that of all rows.

        The inverse of the covariance of m rows is too large, on the average by m / (m - d - 2) (that of a Wishart
        distribution is): the share (m - d - 2) / m of it is proven.  The rest is as if nothing was known but all rows.
        Fewer rows prove a place, and no extent; thousands prove nearly all, be it as thin as it may.
        """
        least, whole = (RESOLVED * widths) ** 2, self.pooled().covariances[0]
        covariances = self.covariances.astype(np.float64)
        if self.covariance_type == "tied":
            covariances = blended(
                covariances, proven_share(self.covariance_type, self.means.shape, counts.sum()), whole, least
            )
        else:
            for c in components:
                covariances[c] = blended(
                    covariances[c], proven_share(self.covariance_type, self.means.shape, counts[c]), whole, least
                )
        return replace(self, covariances=covariances)

    def sample(self, labels: np.ndarray, rng: np.random.Generator) -> Array:
        """Draw a row from the component of each label."""
        noise = rng.standard_normal((len(labels), self.means.shape[1]))
        if not self.is_matrix:
            return np.asarray(self.means[labels] + noise * np.sqrt(self.variances())[labels])
        factors = np.broadcast_to(self.cholesky(), (len(self.weights), *noise.shape[1:] * 2))
        found: Array = self.means[labels]
        for c, factor in enumerate(factors):  # a factor for each row would be n d^2 numbers
            found[labels == c] += product(noise[labels == c], factor.T)
        return found


@public
@own_methods
@dataclass(frozen=True, eq=False)
class GaussianStats(Stats[GaussianParams]):
    """Sums of a Gaussian sweep, about the means of `params`: cancellation-free when those are near the new means."""

    params: GaussianParams
    first: Array  #:   (k, d)                sum w r (x - mean)
    second: Array  #:  (k, d, d) or (k, d)   sum w r (x - mean)(x - mean)^T, or its diagonal
    mean_counts: Array  #:     (k,)  what stands behind first: counts, and the pseudo-counts of a prior
    scatter_counts: Array  #:  (k,)  what stands behind second

    def about(self, params: GaussianParams) -> GaussianStats:
        """The same sums of rows about the means of other parameters: x - m' = (x - m) + (m - m')."""
        shift = self.params.means - params.means
        first = self.first + self.counts[:, np.newaxis] * shift
        both = 0.5 * (self.first + first)
        cross = both[:, :, np.newaxis] * shift[:, np.newaxis, :] if params.is_matrix else both * shift
        second = self.second + cross + (cross.mT if params.is_matrix else cross)
        return replace(self, params=params, first=first, second=second)

    def gradient(self, reached: GaussianParams, at: GaussianParams, fixed: FixedLike = ()) -> Array:
        """Of the log likelihood, at the parameters of these sums, by what stands in to_vector(at, fixed).

        It is that of Q (Fisher's identity), and Q is what the M-step has maximised: so `reached`, the parameters after
        it, tells all, and a maximum under reg_covar is one here too.
        """
        fixed = at.as_fixed(fixed)
        params, delta = self.params, reached.means - self.params.means
        if params.is_matrix:
            A = params.inverse_cholesky()
            pulled = times(A.mT, times(A, delta))
        else:
            pulled = delta / params.variances()
        means = (self.mean_counts[:, np.newaxis] * pulled * at.units)[fixed.free("means")]
        spread = self._covariance_gradient(reached, delta, at)[params._free_covariances(fixed)]
        return np.concatenate(
            [weight_slopes(self.counts, params.weights, fixed.free("weights")), means.ravel(), spread.ravel()]
        )

    def _covariance_gradient(self, reached: GaussianParams, delta: Array, at: GaussianParams) -> Array:
        """By the logarithms of standard deviations, or by Cholesky factors C with the logarithm of their diagonals:
        C^-T (C^-1 B C^-T - n), B = sum w r (x - mean)(x - mean)^T as the M-step left it."""
        params, tied = self.params, self.params.covariance_type == "tied"
        if not params.is_matrix:
            n, m = self.scatter_counts[:, np.newaxis], self.mean_counts[:, np.newaxis]
            slopes = (n * reached.variances() + m * delta**2) / params.variances() - n
            return slopes if params.covariance_type == "diag" else slopes.sum(axis=1)
        n, m = self.scatter_counts[:, np.newaxis, np.newaxis], self.mean_counts[:, np.newaxis, np.newaxis]
        B = n * reached.covariances + m * delta[:, :, np.newaxis] * delta[:, np.newaxis, :]
        if tied:
            n, B = n.sum(axis=0), B.sum(axis=0)
        A = params.inverse_cholesky()
        whitened = product(product(A, B), A.mT) - n * np.eye(len(at.units))
        slopes = product(A.mT, whitened) * at.units[:, np.newaxis]
        np.einsum("...ii->...i", slopes)[...] *= diagonal(params.cholesky()) / at.units
        slopes = slopes[..., *np.tril_indices(len(at.units))]
        return slopes[np.newaxis] if tied else slopes

    def _rounded(self) -> tuple[float, float]:
        """Of log weights, log scales and |L (x - mean)|^2 / 2; L (x - mean) is a sum, and L the inverse of a factor of
        the covariances; a mean is off by half a unit, near the maximum of Q."""
        params, d = self.params, self.params.n_features
        L, spread = np.abs(params.precision_factors()), np.sqrt(np.maximum(self._second_diagonal(), 0.0))
        scales = diagonal(L) if L.ndim == 3 else L
        logs = np.abs(np.log(np.maximum(params.weights, SMALLEST_WEIGHT))) + np.abs(np.log(scales)).sum(axis=1)
        squares = squares_of(L, spread)
        whitening = 2 * (d + 2) * squares.sum() + UNIT * dot(self.counts, squares_of(L, np.abs(params.means)))
        if L.ndim == 3:
            factors = params.precision_factors()
            squares = np.maximum((product(factors, self.second) * factors).sum(axis=(1, 2)), 0.0)
            condition = squares_of(L, np.sqrt(params.diagonals()))
            whitening += (3 * d + 1) * (condition * (squares + self.counts)).sum()
        terms = dot(self.counts, logs + 0.5 * d * math.log(2 * math.pi)) + 0.5 * squares.sum()
        return float(terms), float(whitening)

    def _second_diagonal(self) -> Array:
        return diagonal(self.second) if self.params.is_matrix else self.second

    def maximize(self, *, fixed: FixedLike = (), reg_covar: Any = 1e-6) -> GaussianParams:
        """The M-step.  An empty component keeps its means and covariances, with weight 0; so does what is fixed.

        delta = first / counts;  mean = origin + delta;  covariance = second / counts - delta delta^T + reg_covar I,
        with reg_covar a number or one for each feature (d,).
        """
        reg_covar = as_reg_covar(reg_covar, "reg_covar", self.first.shape[1])
        refuse_nan(self.loglik)
        fixed = self.params.as_fixed(fixed)
        at, rows_alone = self.params, self.scatter_counts is self.mean_counts  # no prior: the two need one look
        still = ~(self.mean_counts > EMPTY * self.total)
        rigid = still if rows_alone else ~(self.scatter_counts > EMPTY * self.total)
        if fixed:
            still, rigid = still | fixed.mask("means"), rigid | ~at._free_covariances(fixed)
        delta = self.first / np.where(still, np.inf, self.mean_counts)[:, np.newaxis]
        weights, means = self.mixing_weights(fixed), at.means + delta
        if rigid.all():
            return replace(at, weights=weights, means=means)
        scatter = self._scatter(np.where(rigid, np.inf, self.scatter_counts), delta)
        shares = self.scatter_counts / math.fsum(self.scatter_counts.tolist())
        variances = diagonal(scatter) if at.is_matrix else scatter
        lost = RESOLUTION * delta**2  # by second / counts - delta^2
        lost = weighted_sum(shares, lost) if at.covariance_type == "tied" else lost
        smallest = np.maximum(resolved(shares, variances, means), lost)
        found = self._covariances(scatter, shares, reg_covar)
        if at.covariance_type == "tied" or not rigid.any():
            return above(GaussianParams(weights, means, found, at.covariance_type), smallest, at)
        found[rigid] = at.covariances[rigid]
        raised = above(GaussianParams(weights, means, found, at.covariance_type), smallest, at)
        kept = raised.covariances.copy()
        kept[rigid] = at.covariances[rigid]
        return replace(raised, covariances=kept)

    def _scatter(self, counts: Array, delta: Array) -> Array:
        """second / counts about the new means: (k, d, d) or (k, d).  A prior has its own counts of means."""
        moved = delta
        if self.mean_counts is not self.scatter_counts:
            moved = (self.mean_counts / counts)[:, np.newaxis] * delta
        if self.params.is_matrix:
            return self.second / counts[:, np.newaxis, np.newaxis] - moved[:, :, np.newaxis] * delta[:, np.newaxis, :]
        return self.second / counts[:, np.newaxis] - moved * delta

    def _covariances(self, scatter: Array, shares: Array, reg_covar: Any) -> Array:
        """The scatter as the covariance type shapes it, and reg_covar added to its variances."""
        at = self.params
        if at.covariance_type == "tied":
            scatter = weighted_sum(shares, scatter)
        elif at.covariance_type == "spherical":
            scatter, reg_covar = scatter.mean(axis=1), np.mean(reg_covar)
        variances = np.einsum("...ii->...i", scatter) if at.is_matrix else scatter
        variances += reg_covar
        return scatter


def above(params: GaussianParams, smallest: Array, before: GaussianParams) -> GaussianParams:
    """Covariances that are not above `smallest` raised to it; rows that are too close to 0 for that are refused."""
    found = lifted(params, smallest)
    if found is not params:
        refuse_tiny(params, before)
    return found


def lifted(params: GaussianParams, smallest: Array) -> GaussianParams:
    """Raise the covariances that are not above `smallest` (d,) or (k, d) to it: a collapsed component stays a density.

    Matrices are judged by the variance that each feature has left given those before it (the pivots of Cholesky), so
    that features of different units do not hide each other.
    """
    covariances = params.covariances
    if not params.is_matrix:
        least = smallest if covariances.ndim == 2 else smallest.max(axis=-1)
        return params if (covariances >= least).all() else replace(params, covariances=np.maximum(covariances, least))
    if params._whitening is not None:
        pivots = params._whitening[1]
        if (pivots >= np.maximum(smallest.shape[-1] * EPS * diagonal(covariances), smallest)).all():
            return params
    return replace(params, covariances=nearest_definite(covariances, smallest))


def refuse_tiny(params: GaussianParams, before: GaussianParams) -> None:
    """Refuse rows that are so close to 0 that their variances are no numbers to reckon with.  The means `before` count
    as well: of rows that are far from them little is left to tell."""
    sds = np.sqrt(np.maximum(params.diagonals(), 0.0))
    largest = np.max([np.abs(params.means), np.abs(before.means), sds], axis=(0, 1))
    check_magnitudes(largest, SMALLEST_MAGNITUDE)


def raised(params: GaussianParams, reg_covar: Any) -> GaussianParams:
    """Matrices with no eigenvalue below 1, each feature in units of the root of reg_covar."""
    d = params.n_features
    units = np.sqrt(np.broadcast_to(reg_covar, d))
    if not units.all():
        return params
    L = params.inverse_cholesky().reshape(-1, d, d)
    suspect = np.square(L * units).sum(axis=(1, 2)) > 1  # the trace of the inverse
    if not suspect.any():
        return params
    outer = units * units[:, np.newaxis]
    matrices = params.covariances.reshape(-1, d, d).copy()
    least = eigvalsh(matrices[suspect] / outer)[:, 0]
    matrices[suspect] += np.maximum(1 - least, 0.0)[:, np.newaxis, np.newaxis] * np.diag(units**2)
    return replace(params, covariances=matrices.reshape(params.covariances.shape))
