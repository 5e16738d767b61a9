"""Posteriors of the parameters of a Gaussian mixture, and the sums of a sweep with them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from fastem._errstate import own_methods
from fastem._typing import Array
from fastem.families.fixed import FixedLike
from fastem.families.gaussian.covariance import Covariance
from fastem.families.gaussian.matrices import LOG2E, diagonal
from fastem.families.gaussian.model import GaussianParams, GaussianStats
from fastem.families.gaussian.variational.concentration import CONCENTRATIONS, Concentration
from fastem.families.gaussian.variational.prior import VariationalPrior, wishart_constant
from fastem.families.gaussian.variational.special import digamma, multivariate, trigamma
from fastem.families.kept import kept
from fastem.families.stats import UNIT

ROUNDINGS = 16
"""How many roundings a term of the divergence goes through: those of two gamma functions, and their difference."""


@own_methods
@dataclass(frozen=True, eq=False)
class VariationalParams(GaussianParams):
    """The posterior of the parameters of a Gaussian mixture, in which all factors are independent: an immutable value.

    weights (k,) and means (k, d) are expectations; covariances, as GaussianParams shapes them, the inverses of expected
    precisions.  Mean c is normal about means[c] with the precision mean_precision[c] (k,) times that of the rows, and
    the precisions are Wishart with degrees_of_freedom (k,).  Diagonal and spherical ones have a scale of that form.

    The kernels read E[log weight] + E[log det precision] / 2 - d / (2 mean_precision) for the logarithm of a weight;
    nothing else differs from a mixture whose parameters are known (Bishop 2006, section 10.2).
    """

    concentration: Array = None  # type: ignore[assignment]  # (k,), or (2, k) of sticks
    mean_precision: Array = None  # type: ignore[assignment]  # (k,)
    degrees_of_freedom: Array = None  # type: ignore[assignment]  # (k,)
    prior: VariationalPrior = None  # type: ignore[assignment]

    @classmethod
    def reached(cls, prior: VariationalPrior, row_counts: Array, point: GaussianParams) -> Self:
        """Return the posterior to which rows of these weights (k,) lead, with these means and covariances."""
        k, mixing = len(row_counts), prior.mixing(len(row_counts)).updated(row_counts)
        shared = point.structure.is_shared
        return cls.unchecked(
            weights=mixing.expected,
            means=point.means,
            covariances=point.covariances,
            structure=point.structure,
            covariance_type=point.covariance_type,
            concentration=mixing.values,
            mixing=mixing,
            mean_precision=prior.mean_precision + row_counts,
            degrees_of_freedom=prior.degrees_of_freedom
            + (np.full(k, float(row_counts.sum()) / k) if shared else row_counts),
            prior=prior,
        )

    def with_values(self, weights: Array, means: Array, structure: Covariance) -> Self:
        """Return other expectations, with the precisions of the means and degrees of freedom that there are."""
        kept_ = {each.name: getattr(self, each.name) for each in fields(self)}
        values = {"weights": weights, "means": means, "covariances": structure.values, "structure": structure}
        return self.unchecked(**kept_ | values)

    @kept
    def row_counts(self) -> Array:
        """The weight (k,) of the rows that have led to the posterior."""
        return np.asarray(np.maximum(self.mean_precision - self.prior.mean_precision, 0.0))

    @kept
    def point(self) -> GaussianParams:
        """The mixture whose weights are the shares of the rows: coordinates are those of its parameters."""
        counts = self.row_counts
        values = {"weights": counts / (counts.sum() or 1.0), "means": self.means, "covariances": self.covariances}
        return GaussianParams.unchecked(**values, structure=self.structure, covariance_type=self.covariance_type)

    def rounded_to_float32(self) -> Self:
        """Return the posterior as it is: in float32, large degrees of freedom would lose their rows."""
        return self

    def stats(self, sums: Array, single: bool = False) -> VariationalStats:
        found = super().stats(sums, single)
        return VariationalStats(**{each.name: getattr(found, each.name) for each in fields(found)})

    def _log2_weights(self) -> Array:
        """Return the logarithms of the weights, with what the posteriors of means and precisions add to them."""
        d, freedom = self.n_features, self.degrees_of_freedom
        logs = self.mixing.expected_logs + 0.5 * (self.log_determinants - d / self.mean_precision)
        return np.asarray(LOG2E * (logs + 0.5 * d * np.log(2 / freedom)))

    def expected_log_weights(self) -> Array:
        """Return the expectations (k,) of the logarithms of the mixing weights."""
        return self.mixing.expected_logs

    @kept
    def mixing(self) -> Concentration:
        """The distribution of the mixing weights."""
        return CONCENTRATIONS[self.prior.weights](self.concentration)

    @kept
    def log_determinants(self) -> Array:
        """The expected log determinants (k,) of the precisions, less those of their scales and d log 2."""
        return multivariate(digamma, self.degrees_of_freedom, self.n_features)

    @kept
    def log_scales(self) -> Array:
        """The log determinants (k,) of the scales of the Wishart distributions."""
        factors = self.precision_factors()
        log_factors = np.log(diagonal(factors) if factors.ndim == 3 else factors).sum(axis=1)
        return np.asarray(2 * log_factors - self.n_features * np.log(self.degrees_of_freedom))

    @kept
    def log_constants(self) -> Array:
        """The logarithms (k,) of the integrals of the Wishart densities without their constants."""
        return wishart_constant(self.degrees_of_freedom, self.log_scales, self.n_features)

    def bound(self) -> float:
        """Return the part of the lower bound that is no entropy, without constants, right after an M-step."""
        means = 0.5 * self.n_features * np.log(self.mean_precision)
        return float((self.log_constants - means).sum()) + self.mixing.log_normalizer

    # ---- coordinates: those of the point, since all else follows from the weight of the rows

    def to_vector(self, at: Self, fixed: FixedLike = ()) -> Array:
        return self.point.to_vector(at.point, fixed)

    def from_vector(self, vector: Array, fixed: FixedLike = ()) -> Self:
        found = self.point.from_vector(vector, fixed)
        return self.reached(self.prior, self.row_counts.sum() * found.weights, found)

    @property
    def units(self) -> Array:
        return self.point.units


@own_methods
@dataclass(frozen=True, eq=False)
class VariationalStats(GaussianStats):
    """Sums of a sweep at a posterior; with those of the prior, loglik is the lower bound of the log evidence."""

    params: VariationalParams

    def maximize(self, *, fixed: FixedLike = (), reg_covar: float | Array = 1e-6) -> VariationalParams:
        """Raise TypeError: the M-step of a posterior needs its prior, which the family knows."""
        raise TypeError("statistics at a posterior have no M-step of their own: it needs the prior of the fit")

    @property
    def rounding(self) -> float:
        freedom, d = self.params.degrees_of_freedom, self.params.n_features
        return super().rounding + ROUNDINGS * UNIT * float((freedom * (d + np.abs(np.log(freedom)))).sum())

    def gradient(self, reached: GaussianParams, at: GaussianParams, fixed: FixedLike = ()) -> Array:
        """Return the gradient of the lower bound: minus that of the divergence from where the M-step leads.

        By means and covariances it is that of a mode, whose sums are the same.
        """
        assert isinstance(reached, VariationalParams)
        assert isinstance(at, VariationalParams)
        point = replace(GaussianStats(**self._sums()), params=self.params.point)
        slopes = point.gradient(reached.point, at.point, fixed)
        counts, by_counts = self.params.row_counts, self._slopes(reached)
        mean = float((self.params.point.weights * by_counts).sum())
        return np.concatenate([counts * (by_counts - mean), slopes[len(counts) :]])

    def _sums(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def _slopes(self, reached: VariationalParams) -> Array:
        """Return (k,) the derivatives by the weight of the rows of each component."""
        params, d = self.params, self.params.n_features
        beta, nu = params.mean_precision, params.degrees_of_freedom
        slopes = params.mixing.slopes(reached.mixing) + 0.5 * d * (reached.mean_precision - beta) / beta**2
        by_freedom = 0.25 * multivariate(trigamma, nu, d) - 0.5 * d / nu
        return slopes + (reached.degrees_of_freedom - nu) * by_freedom
