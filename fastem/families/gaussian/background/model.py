"""Parameters of a Gaussian mixture with a background, and the sums of a sweep with them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fastem._errstate import own_methods
from fastem._typing import Array, SweepKernels
from fastem.data.slots import as_table
from fastem.families.fixed import Fixed, FixedLike
from fastem.families.gaussian.background.box import log_volume, projected
from fastem.families.gaussian.covariance import Covariance
from fastem.families.gaussian.diagonal import UNIVARIATE
from fastem.families.gaussian.matrices import LOG2E
from fastem.families.gaussian.model import GaussianParams, GaussianStats
from fastem.families.gaussian.rounding import rounded
from fastem.families.gaussian.structures import STRUCTURES
from fastem.families.gaussian.tables import tables_of
from fastem.families.kept import kept
from fastem.families.weights import (
    EMPTY,
    SMALLEST_WEIGHT,
    likeliest_weights,
    log2_weights,
    log_weights,
    n_free_weights,
    softmax,
    weight_slopes,
)
from fastem.kernels.linear import product
from fastem.validation.missing import check_marginal
from fastem.validation.parameters import as_array, as_float64, as_mixing_weights, check_box, check_shape
from fastem.validation.settings import check_noise


@own_methods
@dataclass(frozen=True, eq=False)
class BackgroundParams(GaussianParams):
    """Parameters of a Gaussian mixture with a background, a component of constant density: an immutable value.

    weights (k,) and noise_weight sum to 1.  noise_box (d + 1, d) is a corner of a box and the edges from there, which
    are perpendicular.  `noise` is the density per unit of volume; True stands for that of the uniform distribution in
    the box.  It is the same everywhere, outside of the box as well; rows are drawn inside.

    Some of the features have the density of the uniform distribution in a box along the features, which is that of
    `noise_box` or, where `noise` is a number, one of the same proportions and of volume 1 / noise.

    In the tables of the kernels it is a component without any precision, whose sums but for its weight nobody reads.
    Components that share a covariance are swept as if each had its own.
    """

    noise_weight: Array = None  # type: ignore[assignment]  # ()
    noise_box: Array = None  # type: ignore[assignment]  # (d + 1, d)
    noise: float | bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, shape in {"noise_weight": (), "noise_box": (self.n_features + 1, self.n_features)}.items():
            value = as_float64(getattr(self, name), name)
            check_shape(value, name, shape)
            object.__setattr__(self, name, value)

    def with_values(
        self, weights: Array, means: Array, structure: Covariance, noise_weight: float | None = None
    ) -> Self:
        """Return other values, with the noise weight that there is unless another is given."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values |= {"weights": weights, "means": means, "covariances": structure.values, "structure": structure}
        if noise_weight is not None:
            values["noise_weight"] = np.asarray(noise_weight, np.float64)
        return self.unchecked(**values)

    def check(self) -> None:
        as_mixing_weights(self.all_weights, "weights and noise_weight", len(self.weights) + 1)
        self.point.check()
        as_array(self.noise_box, "noise_box", self.noise_box.shape)
        check_noise(self.noise, "noise")
        if self.is_uniform:
            check_box(self.noise_box[1:])

    def background_arrays(self) -> dict[str, Array]:
        return {"noise_weight": self.noise_weight, "noise_box": self.noise_box}

    @property
    def is_uniform(self) -> bool:
        """Whether the density is that of the uniform distribution in the box."""
        return isinstance(self.noise, (bool, np.bool_))

    @kept
    def log_density(self) -> float:
        """The logarithm of the density of the background."""
        return -log_volume(self.noise_box) if self.is_uniform else math.log(self.noise)

    @kept
    def point(self) -> GaussianParams:
        """The mixture without the background; of components without any weight each has the same."""
        total = self.weights.sum()
        weights = self.weights / total if total > 0 else np.full(len(self.weights), 1 / len(self.weights))
        values = {"weights": weights, "means": self.means, "covariances": self.covariances}
        return GaussianParams.unchecked(**values, structure=self.structure, covariance_type=self.covariance_type)

    @property
    def all_weights(self) -> Array:
        return np.append(self.weights, self.noise_weight)

    @property
    def weight_places(self) -> dict[str, NDArray[np.intp]]:
        k = len(self.weights)
        return {"weights": np.arange(k), "noise_weight": np.asarray(k)}

    @property
    def labels(self) -> NDArray[np.intp]:
        return np.append(np.arange(len(self.weights)), -1)

    @property
    def all_means(self) -> Array:
        """The means (k, d), and behind them the middle of the box."""
        return np.vstack([self.means, self.noise_box[0] + 0.5 * self.noise_box[1:].sum(axis=0)])

    def with_all_weights(self, weights: Array) -> BackgroundParams:
        """Return the components and the background with other weights (k + 1,)."""
        return replace(self, weights=weights[:-1], noise_weight=weights[-1])

    @property
    def has_marginals(self) -> bool:
        """Whether the density of some of the features is known: that of a box along the features is."""
        edges = self.noise_box[1:]
        widths = edges.diagonal()
        return bool((widths > 0).all()) and np.array_equal(edges, np.diag(widths))

    @kept
    def log_densities(self) -> Array:
        """The logarithms (d,) of the density of each feature, of which log_density is the sum."""
        rest = 0.0 if self.is_uniform else self.log_density + log_volume(self.noise_box)
        return np.asarray(rest / self.n_features - np.log(self.noise_box[1:].diagonal()))

    def with_own_background(self, components: GaussianParams, features: NDArray[np.intp]) -> GaussianParams:
        """Return components in some of the features, with a background that is uniform about what the box is there."""
        values = {name: getattr(components, name) for name in ("weights", "means", "covariances", "covariance_type")}
        box, noise = self.noise_box[:, features], self.noise
        if len(features) < self.n_features:
            box = projected(self.noise_box, features)
            noise = self.is_uniform or math.exp(self.log_densities[features].sum())
        return BackgroundParams(**values, noise_weight=self.noise_weight, noise_box=box, noise=noise)

    # ---- the sweep

    @property
    def kernel(self) -> SweepKernels:
        return UNIVARIATE if self.n_features == 1 else STRUCTURES["full" if self.is_matrix else "diag"].kernel

    def one_by_one(self) -> Self:
        """Return the same with the tables of rows with gaps, which have the density of each feature.

        Sums are those of the parameters themselves: others may sweep complete rows with these.
        """
        check_marginal(self.has_marginals)
        log_norm, means, factors = self.tables()
        uniform = -np.exp(self.log_densities)
        last = np.diag(uniform) if factors.ndim == 3 else uniform
        tables = log_norm, means, as_table(np.append(factors[:-1], last[np.newaxis], axis=0))
        found = replace(self)
        found.__dict__.update(structure=self.structure, _tables=tables, stats=self.stats)
        return found

    @kept
    def middle(self) -> Array | None:
        """Return None: each component is swept by itself."""
        return None

    @property
    def sums_length(self) -> int:
        k, d = self.means.shape
        return (k + 1) * (1 + d + (d * d if self.is_matrix else d)) + 2

    def stats(self, sums: Array, single: bool = False) -> BackgroundStats:
        k, d = self.means.shape
        counts, first, second = np.split(sums[:-2], np.cumsum([k + 1, (k + 1) * d]))
        second = second.reshape(-1, d, d)[:k] if self.is_matrix else self.structure.pool(second.reshape(-1, d)[:k])
        own, (loglik, entropy) = counts[:k], sums[-2:].tolist()
        moments = first.reshape(-1, d)[:k], second, own, own
        return BackgroundStats(
            self, own, loglik, entropy, *moments, row_counts=own, single=single, noise_count=float(counts[k])
        )

    @kept
    def _tables(self) -> tuple[Array, Array, Array]:
        """The tables of the kernels, the background behind the components: 0 (x - mean) is no distance."""
        log_norm, means, factors = tables_of(self._log2_weights(), self.means, self.structure.precision_factors())
        log_noise = log2_weights(self.all_weights[-1:]) + LOG2E * self.log_density
        middle = means.mean(axis=0, keepdims=True)  # of float32 rows the kernels take the middle of all means
        return (
            np.append(log_norm, log_noise),
            np.append(means, middle, axis=0),
            as_table(np.append(factors, np.zeros_like(factors[:1]), axis=0)),
        )

    def float32_is_sufficient(self, tables: tuple[Array, ...]) -> bool:
        return super().float32_is_sufficient(tuple(table[:-1] for table in tables))

    def rounded_to_float32(self) -> Self:
        found = super().rounded_to_float32()
        own = rounded(self.all_weights[-1:], self.noise_box[:1], self.noise_box[1:])
        if found is self or own is None:
            return self
        box = np.concatenate(own[1:])
        moved = replace(self, weights=found.weights, means=found.means, covariances=found.covariances)
        return replace(moved, noise_weight=own[0][0], noise_box=box)

    # ---- components

    def pooled(self) -> GaussianParams:
        return self.point.pooled()

    def relative_variances(self) -> tuple[Array, Array]:
        return self.point.relative_variances()

    def alone(self, component: int) -> Self:
        return replace(super().alone(component), noise_weight=np.zeros(()))

    def without(self, component: int) -> Self:
        rest = self.select(np.delete(np.arange(len(self.weights)), component))
        total = self.all_weights.sum() - self.weights[component]
        return self.with_values(rest.weights / total, rest.means, rest.structure, float(self.noise_weight) / total)

    def sample(
        self, labels: np.ndarray, rng: np.random.Generator, trials: np.ndarray | int | None = None
    ) -> np.ndarray:
        """Draw a row of each of labels (n,), of the background uniformly in its box."""
        found, outside = super().sample(labels, rng), labels < 0
        found[outside] = self.noise_box[0] + product(rng.random((outside.sum(), self.n_features)), self.noise_box[1:])
        return found

    # ---- coordinates: the logarithms of all weights, then those of a mixture without a background

    def free_weights(self, fixed: Fixed) -> NDArray[np.bool_]:
        """Return which of all weights are free: that of the background has what the fixed ones leave."""
        return np.append(fixed.free("weights"), True)

    def beside_weights(self, fixed: Fixed) -> Fixed:
        """Return the same, with all weights fixed."""
        return Fixed(fixed.k, {**fixed.masks, "weights": np.ones(fixed.k, np.bool_)})

    def n_free(self, fixed: FixedLike = ()) -> int:
        parsed = self.as_fixed(fixed)
        return n_free_weights(self.free_weights(parsed)) + self._n_free(parsed)

    def to_vector(self, at: Self, fixed: FixedLike = ()) -> Array:
        fixed = self.as_fixed(fixed)
        logs = log_weights(self.all_weights, self.free_weights(fixed))
        return np.append(logs, super().to_vector(at, self.beside_weights(fixed)))

    def n_coordinates(self, fixed: Fixed) -> int:
        return int(self.free_weights(fixed).sum()) + self._n_free(fixed)

    def from_vector(self, vector: Array, fixed: FixedLike = ()) -> Self:
        fixed = self.as_fixed(fixed)
        free = self.free_weights(fixed)
        logs, rest = np.split(vector, [free.sum()])
        weights, point = softmax(logs, self.all_weights, free), super().from_vector(rest, self.beside_weights(fixed))
        return self.with_values(weights[:-1], point.means, point.structure, weights[-1])

    def scores(self, c: int, *data: np.ndarray) -> tuple[Array, Array]:
        """Return the slopes and the information of component c; a background, behind the others, has none."""
        if c < len(self.weights):
            return super().scores(c, *data)
        return np.empty((len(data[0]), 0)), np.empty((len(data[0]), 0))

    def missing_information(self, c: int, shares: Array, *data: np.ndarray) -> Array | float:
        return super().missing_information(c, shares, *data) if c < len(self.weights) else 0.0


@own_methods
@dataclass(frozen=True, eq=False)
class BackgroundStats(GaussianStats):
    """Sums of a sweep with a background: those of the components, and the weight of the rows of the background."""

    params: BackgroundParams
    noise_count: float = field(kw_only=True)  #: sum w r of the background

    @kept
    def total(self) -> float:
        """The total weight of the rows."""
        return math.fsum([*self.row_counts.tolist(), self.noise_count])

    @property
    def all_counts(self) -> Array:
        return np.append(self.row_counts, self.noise_count)

    def maximize(self, *, fixed: FixedLike = (), reg_covar: float | Array = 1e-6) -> BackgroundParams:
        """Return the parameters after the M-step: that of a mixture without a background, and one weight more."""
        found = super().maximize(fixed=fixed, reg_covar=reg_covar)
        weights = self._all_mixing_weights(self.params.as_fixed(fixed))
        return self.params.with_values(weights[:-1], found.means, found.structure, weights[-1])

    def _all_mixing_weights(self, fixed: Fixed) -> Array:
        free = self.params.free_weights(fixed) if fixed else None
        counts = np.append(self.counts, self.noise_count)
        return likeliest_weights(counts, EMPTY * self.total, self.params.all_weights, free)

    def gradient(self, reached: GaussianParams, at: GaussianParams, fixed: FixedLike = ()) -> Array:
        fixed, params = at.as_fixed(fixed), self.params
        counts = np.append(self.counts, self.noise_count)
        slopes = weight_slopes(counts, params.all_weights, params.free_weights(fixed))
        return np.append(slopes, super().gradient(reached, at, params.beside_weights(fixed)))

    def _rounded(self) -> tuple[float, float]:
        terms, whitening = super()._rounded()
        params, log_weight = self.params, abs(math.log(max(float(self.params.noise_weight), SMALLEST_WEIGHT)))
        log_density = np.abs(params.log_densities).sum() if params.has_marginals else abs(params.log_density)
        return terms + self.noise_count * (log_weight + float(log_density)), whitening
