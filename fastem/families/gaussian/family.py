"""The Gaussian family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastem._typing import Array, MStep, RowKind
from fastem.data.base import Posterior
from fastem.data.kmeans import halves
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.families.base import Family, Prior
from fastem.families.fixed import Fixed
from fastem.families.gaussian.matrices import LARGEST_VARIANCE, SMALLEST_VARIANCE
from fastem.families.gaussian.model import GaussianParams, GaussianStats
from fastem.families.gaussian.parts import beginnings, of_parts, partial_runs, quick_clusters, splits
from fastem.families.gaussian.prior import GaussianPrior
from fastem.families.gaussian.starts import START_METHODS, automatic_reg_covar, feature_scale, start_from
from fastem.families.gaussian.structures import COVARIANCE_TYPES, STRUCTURES
from fastem.validation.parameters import as_float64, as_means, as_mixing_weights, as_positive_definite, check_variances
from fastem.validation.settings import as_non_negative, check_choice

NEAR_FLOOR = 100.0
"""With a share m of the values missing, M-steps that add a to a variance leave a / (1 - m): so many times a, where one
value in a hundred is observed."""


@dataclass(frozen=True, eq=False)
class GaussianFamily(Family[GaussianParams, GaussianStats]):
    """Gaussian components: the type of their covariances, and what is added to each variance."""

    name: ClassVar = "gaussian"
    params_type: ClassVar = GaussianParams
    stats_type: ClassVar[type[GaussianStats]] = GaussianStats
    prior_type: ClassVar = GaussianPrior
    row_kind: ClassVar = RowKind.REAL
    parameter_names: ClassVar = GaussianParams.parameter_names
    init_names: ClassVar[tuple[str, ...]] = ("weights", "means", "precisions")
    start_methods: ClassVar[tuple[str, ...]] = START_METHODS
    covariance_types: ClassVar = COVARIANCE_TYPES

    covariance_type: str = "full"
    reg_covar: float | str | Array = 1e-6
    """A number, or one for each feature (d,), in squared units of X; "auto" until the rows are known."""

    def __post_init__(self) -> None:
        check_choice(self.covariance_type, "covariance_type", COVARIANCE_TYPES)
        if not isinstance(self.reg_covar, np.ndarray) and not self._is_automatic:
            object.__setattr__(self, "reg_covar", as_non_negative(self.reg_covar, "reg_covar"))

    @property
    def _is_automatic(self) -> bool:
        """Whether what is added to variances is still to be found from the rows."""
        return isinstance(self.reg_covar, str) and self.reg_covar == "auto"

    @property
    def _added(self) -> float | Array:
        """Return what is added to variances, one number or (d,); ValueError where it depends on rows not known yet."""
        if isinstance(self.reg_covar, str):
            raise ValueError("reg_covar='auto' depends on the rows: call for_rows first")
        return self.reg_covar

    def for_rows(self, rows: RowSource, rng: np.random.Generator) -> Self:
        return replace(self, reg_covar=automatic_reg_covar(rows, rng)) if self._is_automatic else self

    def check_init(self, init: Mapping[str, ArrayLike], k: int, n_features: int) -> None:
        if "weights" in init:
            as_mixing_weights(init["weights"], "weights", k)
        if "means" in init:
            as_means(init["means"], "means", (k, n_features), gaps=True)
        if "precisions" in init:
            kind, structure = self.covariance_type, STRUCTURES[self.covariance_type]
            shape = structure.shape(k, n_features)
            precisions = as_positive_definite(init["precisions"], f"{kind} precision", shape, structure.is_matrix)
            start = GaussianParams.from_precisions(np.full(k, 1 / k), np.zeros((k, n_features)), precisions, kind)
            check_variances(start.variances(), "precisions_init", SMALLEST_VARIANCE, LARGEST_VARIANCE)

    def check_prior(self, prior: object, k: int, n_features: int) -> None:
        super().check_prior(prior, k, n_features)
        if isinstance(prior, GaussianPrior):
            prior.check(self.covariance_type, k, n_features)

    def init_of_prior(self, prior: object) -> Mapping[str, Array]:
        return prior.init() if isinstance(prior, GaussianPrior) else {}

    def start(
        self,
        rows: RowSource,
        k: int,
        *,
        method: str,
        rng: np.random.Generator,
        first: bool = True,
        init: Mapping[str, ArrayLike] | None = None,
    ) -> GaussianParams:
        given = {name: as_float64(value, name) for name, value in (init or {}).items()}
        return start_from(given, rows, k, self.covariance_type, method=method, reg_covar=self._added, rng=rng)

    def params_of(self, arrays: Mapping[str, Array]) -> GaussianParams:
        return GaussianParams(**arrays, covariance_type=self.covariance_type)

    def beginnings(self, rows: Rows, k: int, rng: np.random.Generator) -> Iterator[GaussianParams]:
        return beginnings(rows, k, self.covariance_type, self._added, rng)

    def clusters(self, rows: Rows, m: int, rng: np.random.Generator) -> NDArray[np.intp]:
        return quick_clusters(rows, m, feature_scale(rows.data[0], rows.sample_weight), rng)

    def of_one_component(self) -> GaussianFamily:
        return replace(self, covariance_type="full") if self.covariance_type == "tied" else self

    def of_parts(self, rows: Rows, labels: NDArray[np.intp], k: int) -> GaussianParams:
        return of_parts(rows, labels, k, self.covariance_type, self._added)

    def splits(
        self,
        rows: Rows,
        params: GaussianParams,
        labels: NDArray[np.int32],
        components: list[int],
        rng: np.random.Generator,
        **limits: int,
    ) -> list[tuple[float, GaussianParams]] | None:
        return splits(rows, labels, components, params.units, self.covariance_type, self._added, rng, **limits)

    def partial_runs(
        self,
        rows: Rows,
        known: Posterior,
        mixture: GaussianParams,
        starts: list[tuple[list[int], GaussianParams]],
        *,
        foreign: float,
        iterations: int,
    ) -> list[tuple[float, GaussianParams]]:
        return partial_runs(rows, known, mixture.weights, starts, self._added, foreign=foreign, iterations=iterations)

    def pairs(self, rows: Rows, one: GaussianParams, rng: np.random.Generator) -> Iterator[GaussianParams]:
        yield from super().pairs(rows, one, rng)
        z = (rows.data[0] - one.means[0]) / np.sqrt(one.variances()[0])
        for side in halves(z, rows.sample_weight, rng):
            yield self.of_parts(rows, side, 2)

    def maximize(self, stats: GaussianStats, fixed: Fixed | None = None) -> GaussianParams:
        return stats.maximize(fixed=() if fixed is None else fixed, reg_covar=self._added)

    def m_step(
        self, params: GaussianParams, fixed: Fixed, prior: Prior[GaussianParams, GaussianStats] | None = None
    ) -> MStep:
        structure, d, units = params.structure, params.n_features, params.units
        found = super().m_step(params, fixed, prior)
        if structure.is_shared and fixed:
            found.fixed[2] = found.fixed[2].any()
        return found._replace(
            added=np.full(d, self._added),
            structure=1 if structure.is_shared else 2 if structure.values.ndim < 2 else 0,
            units=np.array([units, units if params.is_matrix else np.ones(d)]),
        )

    def apply_floor(
        self,
        proposal: GaussianParams,
        reached: GaussianParams,
        fixed: Fixed | None = None,
        *,
        has_missing: bool = False,
    ) -> GaussianParams:
        """Raise variances to what an M-step leaves them.

        Where values are missing, that is more for a component of which few are observed: one near its floor keeps the
        covariance that it has reached.
        """
        held = () if fixed is None else fixed
        if not has_missing:
            return proposal.above_floor(reached, fixed=held, reg_covar=self._added)
        found = proposal.above_floor(reached, fixed=held, reg_covar=NEAR_FLOOR * self._added)
        near = reached.floor_ratios(self._added) < NEAR_FLOOR
        return found.with_values(found.weights, found.means, found.structure.keep(reached.structure, near))

    def collapsed(self, params: GaussianParams) -> NDArray[np.bool_]:
        return params.collapsed(self._added)
