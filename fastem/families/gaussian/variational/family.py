"""The family of variational Gaussian mixtures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastem._typing import Array
from fastem.data.row_source import RowSource
from fastem.families.fixed import Fixed
from fastem.families.gaussian.family import GaussianFamily
from fastem.families.gaussian.matrices import LARGEST_VARIANCE, diagonal
from fastem.families.gaussian.model import GaussianParams, GaussianStats
from fastem.families.gaussian.moments import moments_of
from fastem.families.gaussian.structures import STRUCTURES
from fastem.families.gaussian.variational.concentration import CONCENTRATIONS
from fastem.families.gaussian.variational.model import VariationalParams, VariationalStats
from fastem.families.gaussian.variational.prior import VariationalPrior
from fastem.families.gaussian.variational.sums import PriorSums
from fastem.validation.arrays import check_finite
from fastem.validation.parameters import as_means, as_positive_definite
from fastem.validation.settings import as_non_negative, check_choice


@dataclass(frozen=True)
class VariationalFamily(GaussianFamily):
    """A Gaussian mixture with a posterior of its parameters.

    What is None of the prior is found from the rows: their mean, and their covariance (n - 1 in the denominator), of
    diagonal components their variances, of spherical ones the mean of these.
    """

    params_type: ClassVar = VariationalParams
    stats_type: ClassVar = VariationalStats
    start_methods: ClassVar = ("kmeans", "k-means++", "random", "random_from_data")
    init_names: ClassVar = ()
    may_be_empty: ClassVar = True
    has_iterate: ClassVar = False

    weights: str = "dirichlet_process"
    concentration: float = 1.0
    mean: Any = None  # array-like (d,)
    mean_precision: float = 1.0
    scale: Any = None  # array-like (d, d) or (d,), or a float, by covariance type
    degrees_of_freedom: float | None = None  # d
    total: float = math.nan  # the weight of the rows, once they are known

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self.weights, "weight_concentration_prior_type", CONCENTRATIONS)

    # ---- the prior

    def for_rows(self, rows: RowSource, rng: np.random.Generator) -> Self:
        moments, total = moments_of(rows)
        filled = replace(super().for_rows(rows, rng), total=total)
        if self.mean is None:
            filled = replace(filled, mean=moments.means[0])
        if self.scale is None:
            filled = replace(filled, scale=self._default_scale(moments.covariances[0], total))
        if self.degrees_of_freedom is None:
            filled = replace(filled, degrees_of_freedom=float(rows.n_features))
        return filled

    def _default_scale(self, covariance: Array, total: float) -> Array | float:
        """Return the scale of rows with this covariance (d, d)."""
        if not total > 1:
            raise ValueError(
                f"covariance_prior is needed: the rows have a total weight of {total:g}, and the default is their "
                "covariance with that weight - 1 in the denominator"
            )
        covariance = covariance * (total / (total - 1))
        if STRUCTURES[self.covariance_type].is_matrix:
            return covariance
        variances = diagonal(covariance).copy()
        return float(variances.mean()) if self.covariance_type == "spherical" else variances

    @property
    def prior(self) -> VariationalPrior:
        """The prior, once the rows are known."""
        mean, scale = np.asarray(self.mean, np.float64), np.asarray(self.scale, np.float64)
        assert self.degrees_of_freedom is not None
        scale = np.full(len(mean), scale) if scale.ndim == 0 else scale
        values = self.mean_precision, scale, self.degrees_of_freedom
        return VariationalPrior(self.weights, self.concentration, mean, *values)

    def prior_of(self, prior: object) -> Any:
        return PriorSums(self.prior)

    def check_init(self, init: Mapping[str, ArrayLike], k: int, n_features: int) -> None:
        """Raise ValueError or TypeError where a value of the prior is none for so many features."""
        if self.mean is not None:
            as_means(self.mean, "mean_prior", (n_features,))
        if self.degrees_of_freedom is not None and not self.degrees_of_freedom > n_features - 1:
            raise ValueError(  # scikit-learn's sentence
                "The parameter 'degrees_of_freedom_prior' should be greater than"
                f" {n_features - 1}, but got {float(self.degrees_of_freedom):.3f}."
            )
        if self.scale is not None:
            self._check_scale(n_features)

    def _check_scale(self, n_features: int) -> None:
        """Raise ValueError or TypeError for a scale that is none of covariances of this type, or overflows in sums."""
        name, is_matrix = "covariance_prior", STRUCTURES[self.covariance_type].is_matrix
        scale, shape = self.scale, (n_features, n_features) if is_matrix else (n_features,)
        if self.covariance_type == "spherical":
            scale, shape = [as_non_negative(self.scale, name)], (1,)  # squared units, which no count bounds
        check_finite(as_positive_definite(scale, name, shape, is_matrix), name, LARGEST_VARIANCE)

    # ---- EM

    def start(self, rows: RowSource, k: int, **options: Any) -> VariationalParams:
        """Return the posterior to which the rows of the components of a Gaussian start lead, the heaviest first.

        Sticks have an order, and the lower bound is highest where the first are the longest (Kurihara, Welling and
        Teh 2007).
        """
        point = super().start(rows, k, **options)
        return self._posterior(point.select(np.argsort(-point.weights, kind="stable")))

    def _posterior(self, point: GaussianParams) -> VariationalParams:
        """Return the M-step on rows of which each component has its share, its mean and its covariance."""
        counts = self.total * point.weights
        origin, structure = VariationalParams.reached(self.prior, counts, point), point.structure
        second = structure.variances()
        if structure.is_matrix:
            second = np.broadcast_to(point.covariances, (len(counts), point.n_features, point.n_features))
        stats = replace(
            VariationalStats.zero(origin),
            counts=counts,
            row_counts=counts,
            mean_counts=counts,
            scatter_counts=counts,
            second=second * counts.reshape(-1, *[1] * (second.ndim - 1)),
        )
        return self._maximize(stats + PriorSums(self.prior).stats(origin))

    def maximize(self, stats: VariationalStats, fixed: Fixed | None = None) -> VariationalParams:  # type: ignore[override]
        d, added = stats.params.n_features, np.asarray(self._added)
        own = added * (np.eye(d) if stats.params.is_matrix else np.ones(d))  # to the scatter of the rows alone
        added = stats.params.structure.pool(np.multiply.outer(stats.row_counts, own))
        return self._maximize(replace(stats, second=stats.second + added))

    def _maximize(self, stats: VariationalStats) -> VariationalParams:
        return VariationalParams.reached(self.prior, stats.row_counts, GaussianStats.maximize(stats, reg_covar=0.0))

    def apply_floor(  # type: ignore[override]
        self,
        proposal: VariationalParams,
        reached: VariationalParams,
        fixed: Fixed | None = None,
        *,
        has_missing: bool = False,
    ) -> VariationalParams:
        return proposal

    def params_of(self, arrays: Mapping[str, Array]) -> VariationalParams:
        return VariationalParams(**arrays, covariance_type=self.covariance_type, prior=self.prior)

    def collapsed(self, params: GaussianParams) -> NDArray[np.bool_]:
        """Return that no component has collapsed: the prior gives each an extent of its own."""
        return np.zeros(len(params.weights), np.bool_)
