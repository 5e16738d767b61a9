"""The prior of a variational Gaussian mixture: its posterior, and what it adds to the sums of the rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fastem._typing import Array
from fastem.families.gaussian.matrices import diagonal
from fastem.families.gaussian.model import GaussianParams
from fastem.families.gaussian.variational.concentration import CONCENTRATIONS, Concentration
from fastem.families.gaussian.variational.model import VariationalParams, VariationalStats, log_constant
from fastem.families.params import kept
from fastem.kernels.linear import inverse_cholesky, product, times


@dataclass(frozen=True, eq=False)
class VariationalPrior:
    """The conjugate prior of a Gaussian mixture, the same for all components.

    Dirichlet, or a Dirichlet process, on the weights; means normal about `mean` with the precision mean_precision times
    that of the rows, and precisions Wishart with degrees_of_freedom and the mean degrees_of_freedom * scale^-1.
    """

    weights: str  # a key of CONCENTRATIONS
    concentration: float
    mean: Array  # (d,)
    mean_precision: float
    scale: Array  # (d, d), or (d,) of variances; in squared units of X
    degrees_of_freedom: float

    def posterior(self, row_counts: Array, point: GaussianParams) -> VariationalParams:
        """Return the posterior to which rows of these weights (k,) lead, with these means and covariances."""
        k, shared = len(row_counts), point.structure.is_shared
        mixing = self.mixing(k).updated(row_counts)
        return VariationalParams.unchecked(
            weights=mixing.expected,
            means=point.means,
            covariances=point.covariances,
            structure=point.structure,
            covariance_type=point.covariance_type,
            concentration=mixing.values,
            mixing=mixing,
            mean_precision=self.mean_precision + row_counts,
            degrees_of_freedom=self.degrees_of_freedom
            + (np.full(k, float(row_counts.sum()) / k) if shared else row_counts),
            prior=self,
        )

    def mixing(self, k: int) -> Concentration:
        """Return the distribution of the mixing weights of k components."""
        return CONCENTRATIONS[self.weights].prior(self.concentration, k)

    def stats(self, params: VariationalParams) -> VariationalStats:
        """Return what the prior adds to the sums of the rows; loglik is minus the divergence of the posterior."""
        zero, k = VariationalStats.zero(params), len(params.weights)
        offset = self.mean - params.means
        second = self.mean_precision * params.structure.outer(offset, offset) + self.scale
        return replace(
            zero,
            first=self.mean_precision * offset,
            second=second,
            mean_counts=np.full(k, float(self.mean_precision)),
            scatter_counts=np.full(k, float(self.degrees_of_freedom)),
            loglik=-self._divergence(params, offset),
        )

    def _divergence(self, params: VariationalParams, offset: Array) -> float:
        """Return the Kullback-Leibler divergence of the posterior from the prior."""
        mixing = params.mixing.divergence(self.mixing(len(params.weights)))
        return mixing + float((self._of_means(params, offset) + self._of_precisions(params)).sum())

    def _of_means(self, params: VariationalParams, offset: Array) -> Array:
        """Return (k,) the divergences of the means, given the precisions."""
        factors, ratio = params.precision_factors(), self.mean_precision / params.mean_precision
        whitened = times(factors, offset) if factors.ndim == 3 else factors * offset
        squares = self.mean_precision * (whitened**2).sum(axis=1)
        return np.asarray(0.5 * (params.n_features * (ratio - np.log(ratio) - 1) + squares))

    def _of_precisions(self, params: VariationalParams) -> Array:
        """Return (k,) the divergences of Wishart distributions."""
        d, freedom, factors = params.n_features, params.degrees_of_freedom, params.precision_factors()
        if factors.ndim == 3:
            traces = (product(factors, self.scale) * factors).sum(axis=(1, 2))
        else:
            traces = (factors**2 * self._variances).sum(axis=1)
        log_dets = params.log_determinants + d * math.log(2) + params.log_scales
        found = 0.5 * ((freedom - self.degrees_of_freedom) * log_dets - freedom * d + traces)
        return np.asarray(found - params.log_constants + self._log_constant)

    @kept
    def _log_constant(self) -> Array:
        """The logarithm of the integral of the Wishart density of the prior without its constant."""
        return log_constant(np.asarray(self.degrees_of_freedom), -self._log_scale, len(self.mean))

    @property
    def _variances(self) -> Array:
        """The scale of variances; that of a single column comes as a matrix or as its element."""
        return diagonal(self.scale) if self.scale.ndim == 2 else self.scale

    @kept
    def _log_scale(self) -> float:
        """The log determinant of the scale, a constant of the bound; 0 where the scale is singular."""
        if self.scale.ndim == 1:
            return float(np.log(self.scale).sum()) if self.scale.all() else 0.0
        found = inverse_cholesky(self.scale)
        return 0.0 if found is None else float(np.log(found[1]).sum())
