"""Gaussian mixtures: parameters, their tables for the kernels, sufficient statistics, the M-step."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastem._errstate import own_methods
from fastem._public import public
from fastem._typing import Array, RowKind, State, SweepKernels
from fastem.data.slots import refuse_nan
from fastem.families.fixed import Fixed, FixedLike
from fastem.families.gaussian import tables as sweep_tables
from fastem.families.gaussian.covariance import Covariance
from fastem.families.gaussian.matrices import COLLAPSED_RATIO, FLOAT32_EPS, PROVEN_WIDTH, divisors, rounding_variances
from fastem.families.gaussian.rounding import is_the_same_model, loglik_terms, rounded
from fastem.families.gaussian.separation import overlaps
from fastem.families.gaussian.structures import COVARIANCE_TYPES, STRUCTURES
from fastem.families.kept import kept
from fastem.families.params import Chart, Params
from fastem.families.stats import Stats
from fastem.families.weights import EMPTY, log2_weights, log_weights, softmax, weight_slopes
from fastem.kernels.linear import weighted_sum
from fastem.validation.parameters import (
    as_float64,
    as_means,
    as_mixing_weights,
    as_positive_definite,
    check_matrix,
    check_shape,
)
from fastem.validation.settings import as_reg_covar, check_choice


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
    completing: ClassVar[Array | None] = None  # or the precisions by which a sweep completes rows with gaps

    @classmethod
    def from_precisions(cls, weights: Array, means: Array, precisions: Array, covariance_type: str) -> GaussianParams:
        """Return components with these inverse covariances, shaped as the covariances."""
        with np.errstate(over="ignore"):  # of subnormal ones: see check_variances
            return cls(weights, means, STRUCTURES[covariance_type].of_precisions(precisions), covariance_type)

    @classmethod
    def from_variances(cls, means: Array, variances: Array, covariance_type: str) -> GaussianParams:
        """Return components of equal weight that all have the same variances (d,)."""
        k = len(means)
        return cls(np.full(k, 1 / k), means, STRUCTURES[covariance_type].of_variances(variances, k), covariance_type)

    def __post_init__(self) -> None:
        """Convert the arrays to float64, and check their shapes, which the kernels trust."""
        check_choice(self.covariance_type, "covariance_type", COVARIANCE_TYPES)
        for name in self.parameter_names:
            object.__setattr__(self, name, as_float64(getattr(self, name), name))
        check_matrix(self.means, "means")
        k, d = self.means.shape
        check_shape(self.weights, "weights", (k,))
        check_shape(self.covariances, "covariances", self.structure.shape(k, d))

    def with_values(self, weights: Array, means: Array, structure: Covariance) -> GaussianParams:
        """Return parameters that an M-step has made, without a check; their structure keeps the factors that it has."""
        values = {"weights": weights, "means": means, "covariances": structure.values, "structure": structure}
        return GaussianParams.unchecked(**values, covariance_type=self.covariance_type)

    def check(self) -> None:
        as_mixing_weights(self.weights, "weights", len(self.weights))
        as_means(self.means, "means", self.means.shape)
        as_positive_definite(self.covariances, "covariances", self.covariances.shape, self.is_matrix, FLOAT32_EPS)

    @kept
    def structure(self) -> Covariance:
        """The covariances, as a value that knows its structure."""
        return STRUCTURES[self.covariance_type](self.covariances, *self.means.shape)

    def __getstate__(self) -> dict[str, object]:
        """Leave out what is kept: it is as large as the covariances, and is made again where it arrives."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @property
    def n_features(self) -> int:
        return self.means.shape[1]

    @property
    def is_matrix(self) -> bool:
        """Whether covariances are matrices, and not variances alone."""
        return self.structure.is_matrix

    def _n_free(self, fixed: Fixed) -> int:
        d, n_covariances = self.n_features, int(self.structure.free(fixed.free("covariances")).sum())
        return int(fixed.free("means").sum()) * d + n_covariances * self.structure.n_parameters(d)

    def with_own_background(self, components: GaussianParams, features: NDArray[np.intp]) -> GaussianParams:
        """Return components in some of the features with the background of these: there is none."""
        return components

    # ---- the sweep

    @property
    def kernel(self) -> SweepKernels:
        return sweep_tables.kernel_of(self.structure, self.middle, self.completing)

    @kept
    def middle(self) -> Array | None:
        """The middle (d,) of the means if a sweep takes rows from it, once for all components."""
        return sweep_tables.middle_of(self.means, self.structure)

    @property
    def sums_length(self) -> int:
        k, d = self.means.shape
        return k * (1 + d) + self.n_moments * (d * d if self.is_matrix else d) + 2

    @kept
    def n_moments(self) -> int:
        """The number of second moments among the sums: 1 where components share a covariance."""
        return 1 if self.structure.is_shared and self.n_features > 1 else len(self.weights)

    def one_by_one(self) -> GaussianParams:
        return self.swept_about(sweep_tables.middle_with_gaps(self.structure, self.middle))

    def swept_about(self, middle: Array | None) -> GaussianParams:
        """Return equal parameters that are swept about this middle, and share nothing between components."""
        return sweep_tables.prepared(replace(self), self.structure, middle, len(self.weights))

    def stats(self, sums: Array, single: bool = False) -> GaussianStats:
        k, d = self.means.shape
        first, second = sums[k : k + k * d].reshape(k, d), sums[k + k * d : -2]
        second = second.reshape(-1, d, d) if self.is_matrix else self.structure.pool(second.reshape(k, d))
        n, (loglik, entropy) = sums[:k], sums[-2:].tolist()
        return GaussianStats(self, n, loglik, entropy, first, second, n, n, row_counts=n, single=single)

    def tables(self) -> tuple[Array, ...]:
        return self._tables

    @kept
    def _tables(self) -> tuple[Array, ...]:
        """The tables of the kernels, kept: whoever predicts row by row needs the same each time."""
        tables = sweep_tables.tables_about(self._log2_weights(), self.means, self.structure, self.middle)
        return tables if self.completing is None else (*tables, self.completing)

    def tables_of_component(self, c: int) -> tuple[Array, ...]:
        return super().tables_of_component(c) if self.middle is None else sweep_tables.table_of(self.tables(), c)

    def _log2_weights(self) -> Array:
        """Return the logarithms (k,) of the weights, in base 2."""
        return log2_weights(self.weights)

    def state(self) -> State:
        return self.weights.copy(), np.array(self.means, order="C"), np.array(self.covariances, order="C").ravel()

    def with_state(self, weights: Array, location: Array, spread: Array) -> GaussianParams:
        return self.with_values(weights, location, self.structure.like(spread.reshape(self.covariances.shape)))

    def log_base_measure(self, *data: np.ndarray) -> None:
        return None

    def float32_is_sufficient(self, tables: tuple[Array, ...]) -> bool:
        return sweep_tables.float32_is_sufficient(tables, self.structure, self.middle)

    def in_float32(self) -> GaussianParams:
        return self.swept_about(None) if sweep_tables.takes_residuals(self.means, self.structure, self.middle) else self

    def rounded_to_float32(self) -> GaussianParams:
        found = rounded(self.weights, self.means, self.covariances)
        if found is None or not is_the_same_model(self.precision_factors(), self.means, self.variances()):
            return self
        return GaussianParams(*found, self.covariance_type)

    # ---- variances

    def variances(self) -> Array:
        """Return (k, d) the variances of the features."""
        return self.structure.variances()

    def precision_factors(self) -> Array:
        """Return (k, d, d) lower L with L^T L = inverse covariance, or (k, d) 1 / sd where that is all."""
        return self.structure.precision_factors()

    def precisions_cholesky(self) -> Array:
        """Return Cholesky factors of the precisions, shaped as the covariances; upper triangular, as scikit-learn."""
        return self.structure.precisions_cholesky()

    def precisions(self) -> Array:
        """Return the inverse covariances, shaped as they are."""
        return self.structure.precisions()

    def smallest_eigenvalue(self, component: int) -> float:
        return self.structure.smallest_eigenvalue(component)

    def relative_variances(self) -> tuple[Array, Array]:
        return self.structure.relative(self.weights)

    def narrower_than(self, widths: Array) -> NDArray[np.bool_]:
        return np.asarray((self.variances() < widths**2).any(axis=1) & (self.weights > 0))

    def with_proven_variances(self, counts: Array, components: list[int], widths: Array) -> GaussianParams:
        """Return parameters in which the precision of some components is a mean of their own and that of all rows.

        The inverse of the covariance of m rows is too large, on the average by m / (m - d - 2) (that of a Wishart
        distribution is): the share (m - d - 2) / m of it is proven.  The rest is as if nothing was known but all rows.
        """
        least, whole = (PROVEN_WIDTH * widths) ** 2, self.pooled().covariances[0]
        return replace(self, covariances=self.structure.proven(counts, components, least, whole))

    def collapsed(self, reg_covar: float | Array) -> NDArray[np.bool_]:
        """Return (k,) whether a component has no variance of its own in some direction, unless all rows have none."""
        found = self.floor_ratios(reg_covar) <= COLLAPSED_RATIO
        flat = found.any() and self.pooled().floor_ratios(reg_covar)[0] <= COLLAPSED_RATIO
        return np.zeros(len(found), np.bool_) if flat else found

    def floor_ratios(self, reg_covar: float | Array) -> Array:
        """Return (k,) the smallest eigenvalue of each covariance over the floor of its variances; infinite if tied."""
        return self.structure.floor_ratios(self.weights, self.means, reg_covar)

    def above_floor(self, reached: Self, *, fixed: FixedLike = (), reg_covar: float | Array = 0.0) -> GaussianParams:
        """Return parameters with no free variance below what the M-step that has led to `reached` leaves one."""
        free = (structure := self.structure).free(self.as_fixed(fixed).free("covariances"))
        if not free.any():
            return self
        found = structure.above(rounding_variances(reached.weights, reached.variances(), reached.means), reg_covar)
        return self if found is structure else self.with_values(self.weights, self.means, found.keep(structure, ~free))

    # ---- components

    @property
    def own_parameters(self) -> tuple[str, ...]:
        return ("means",) if self.structure.is_shared else ("means", "covariances")

    def select(self, components: NDArray[np.intp]) -> GaussianParams:
        covariances = self.structure.select(components)
        return self._with(weights=self.weights[components], means=self.means[components], covariances=covariances)

    def pooled(self) -> GaussianParams:
        """Return one component that has the moments of the mixture; of a tied covariance it is full."""
        mean = weighted_sum(self.weights, self.means)
        covariances = self.structure.pooled(self.weights, self.means - mean).values
        kind = "full" if self.structure.is_shared else self.covariance_type
        values = {"weights": np.ones(1), "means": mean[np.newaxis], "covariances": covariances}
        return GaussianParams.unchecked(**values, covariance_type=kind)

    def _split(self, donor: int, place: int) -> GaussianParams:
        """Split along the longest axis, each feature in units of its own spread."""
        weights, means = self.weights.copy(), self.means.copy()
        step, covariances = self.structure.split(donor, place, self.units)
        weights[[donor, place]] = weights[[donor, place]].mean()
        means[[donor, place]] = means[donor] - step, means[donor] + step
        return replace(self, weights=weights, means=means, covariances=covariances)

    def entropies(self) -> Array:
        return self.structure.entropies()

    def merge_losses(self) -> Array:
        return self.structure.merge_losses(self.weights, self.means)

    def overlaps(self) -> Array:
        return overlaps(self.weights, self.means, self.structure)

    def _in_units(self) -> list[tuple[Array, Array]]:
        sds = np.sqrt(np.abs(self.variances()))
        return [(self.means, sds), *self.structure.own_in_units(sds)]

    def sample(
        self, labels: np.ndarray, rng: np.random.Generator, trials: np.ndarray | int | None = None
    ) -> np.ndarray:
        noise = rng.standard_normal((len(labels), self.n_features))
        return np.asarray(self.means[labels] + self.structure.colour(noise, labels))

    # ---- coordinates

    @kept
    def units(self) -> Array:
        """The standard deviations (d,) of the features, over the components."""
        return self.structure.units()

    def to_vector(self, at: Self, fixed: FixedLike = ()) -> Array:
        """Return what is free in the units of `at`: log weights, means, and covariances as their structure has them."""
        fixed = self.as_fixed(fixed)
        means = (self.means / at.units)[fixed.free("means")]
        covariances = self.structure.to_vector(at.units, self.structure.free(fixed.free("covariances")))
        return np.concatenate([log_weights(self.weights, fixed.free("weights")), means.ravel(), covariances])

    def from_vector(self, vector: Array, fixed: FixedLike = ()) -> GaussianParams:
        fixed = self.as_fixed(fixed)
        free, moving, means = fixed.free("weights"), fixed.free("means"), self.means.copy()
        logs, moved, rest = np.split(vector, np.cumsum([free.sum(), means[moving].size]))
        means[moving] = moved.reshape(-1, self.n_features) * self.units
        covariances = self.structure.from_vector(rest, self.units, self.structure.free(fixed.free("covariances")))
        return GaussianParams(softmax(logs, self.weights, free), means, covariances, self.covariance_type)

    def charts(self) -> tuple[Chart, Chart]:
        """Return, with C C^T = covariance: mean + C t, and C (I + V) C^T; V is symmetric, sqrt 2 t on its diagonal."""
        k, d = self.means.shape
        C, (jacobians, places) = self.structure.cholesky_of_components(), self.structure.jacobians()
        return (
            Chart("means", C, np.arange(k * d).reshape(k, d), np.ones((k, d), bool)),
            Chart("covariances", jacobians, places, np.ones(jacobians.shape[:2], bool)),
        )

    def scores(self, c: int, *data: np.ndarray) -> tuple[Array, Array]:
        return self.structure.scores(c, data[0] - self.means[c])

    def missing_information(self, c: int, shares: Array, *data: np.ndarray) -> Array | float:
        return self.structure.missing_information(c, shares, data[0] - self.means[c])


@public
@own_methods
@dataclass(frozen=True, eq=False)
class GaussianStats(Stats[GaussianParams]):
    """Sums of a Gaussian sweep, about the means of `params`: cancellation-free when those are near the new means."""

    params: GaussianParams
    first: Array  #:   (k, d)                sum w r (x - mean)
    second: Array  #:  (k, d, d) or (k, d)   sum w r (x - mean)(x - mean)^T, or its diagonal; tied (d, d), of all
    mean_counts: Array  #:     (k,)  what stands behind first: counts, and the pseudo-counts of a prior
    scatter_counts: Array  #:  (k,)  what stands behind second

    def __post_init__(self) -> None:
        """Pool second moments of components that share a covariance: some are by component, as in files of 0.1."""
        params: object = self.params  # a damaged file may hold any
        if isinstance(params, GaussianParams) and params.structure.is_shared and np.ndim(self.second) == 3:
            object.__setattr__(self, "second", params.structure.pool(self.second))

    def about(self, params: GaussianParams) -> GaussianStats:
        """Return the same sums of rows about other means: x - m' = (x - m) + (m - m')."""
        shift = self.params.means - params.means
        first = self.first + self.counts[:, np.newaxis] * shift
        cross = params.structure.cross(0.5 * (self.first + first), shift)
        second = self.second + cross + (cross.swapaxes(-1, -2) if params.is_matrix else cross)
        return replace(self, params=params, first=first, second=second)

    def gradient(self, reached: GaussianParams, at: GaussianParams, fixed: FixedLike = ()) -> Array:
        """Return the gradient of Q, which that of the log likelihood is (Fisher's identity).

        Q is what the M-step has maximised: `reached` is all that is needed, and its fixed points have gradient 0.
        """
        fixed, params = at.as_fixed(fixed), self.params
        delta, free = reached.means - params.means, fixed.free("weights")
        means = (self.mean_counts[:, np.newaxis] * params.structure.whiten(delta) * at.units)[fixed.free("means")]
        counts = self.scatter_counts, self.mean_counts
        covariances = params.structure.gradient(reached.structure, counts, delta, at.units)
        covariances = covariances[params.structure.free(fixed.free("covariances"))]
        return np.concatenate([weight_slopes(self.counts, params.weights, free), means.ravel(), covariances.ravel()])

    def _rounded(self) -> tuple[float, float]:
        """Return the two sums of `Stats._rounded`: see `loglik_terms`."""
        params, second = self.params, self.second
        factors, roots = params.precision_factors(), np.sqrt(params.variances())
        offsets = None if params.middle is None else params.means - params.middle
        return loglik_terms(self.counts, second, params.weights, params.means, factors, roots, offsets)

    def maximize(self, *, fixed: FixedLike = (), reg_covar: float | Array = 1e-6) -> GaussianParams:
        """Return the parameters after the M-step.

        What is empty, then with weight 0, or fixed keeps its means and covariances.  reg_covar is a number or (d,).
        delta = first / counts;  mean = origin + delta;  covariance = second / counts - delta delta^T + diag(reg_covar)
        """
        at, structure = self.params, self.params.structure
        reg_covar = as_reg_covar(reg_covar, "reg_covar", structure.d)
        refuse_nan(self.loglik)
        fixed = at.as_fixed(fixed)
        keep_mean, keep_covariance = self._keep(fixed)
        delta = self.first / divisors(self.mean_counts, keep_mean)[:, np.newaxis]
        weights, means = self.mixing_weights(fixed), at.means + delta
        if keep_covariance is not None and keep_covariance.all():
            return at.with_values(weights, means, structure)
        scatter = structure.scatter(self.second, self.scatter_counts, self.mean_counts, delta, keep_covariance)
        shares = self.scatter_counts / math.fsum(self.scatter_counts.tolist())
        smallest = structure.variance_floor(scatter, shares, delta if at.middle is None else means - at.middle, means)
        found = structure.like(structure.of_scatter(scatter, shares, reg_covar)).keep(structure, keep_covariance)
        if (floored := found.floored(smallest)) is not found:
            found.check_scales(means, at.means)
            floored = floored.keep(structure, keep_covariance)
        return at.with_values(weights, means, floored)

    def _keep(self, fixed: Fixed) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
        """Return (k,) which means and which covariances stay, of fixed and of empty components; None if all move."""
        least, no_prior = EMPTY * self.total, self.scatter_counts is self.mean_counts
        if not fixed and no_prior and min(self.mean_counts.tolist()) > least:  # 5 us of a small fit's iteration
            return None, None
        free = self.params.structure.free(fixed.free("covariances"))
        return ~(self.mean_counts > least) | fixed.mask("means"), ~(self.scatter_counts > least) | ~free
