"""What the prior of a variational Gaussian mixture adds to the sums of the rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fastem._typing import Array
from fastem.families.gaussian.variational.model import VariationalParams, VariationalStats
from fastem.families.gaussian.variational.prior import VariationalPrior
from fastem.kernels.linear import product, times


@dataclass(frozen=True)
class PriorSums:
    """A prior as the sums of rows that nobody has seen."""

    prior: VariationalPrior

    def stats(self, params: VariationalParams) -> VariationalStats:
        """Return what the prior adds to the sums of the rows; loglik is minus the divergence of the posterior."""
        prior, zero, k = self.prior, VariationalStats.zero(params), len(params.weights)
        offset = prior.mean - params.means
        second = prior.mean_precision * params.structure.outer(offset, offset) + prior.scale
        return replace(
            zero,
            first=prior.mean_precision * offset,
            second=second,
            mean_counts=np.full(k, float(prior.mean_precision)),
            scatter_counts=np.full(k, float(prior.degrees_of_freedom)),
            loglik=-self._divergence(params, offset),
        )

    def _divergence(self, params: VariationalParams, offset: Array) -> float:
        """Return the Kullback-Leibler divergence of the posterior from the prior."""
        mixing = params.mixing.divergence(self.prior.mixing(len(params.weights)))
        return mixing + float((self._of_means(params, offset) + self._of_precisions(params)).sum())

    def _of_means(self, params: VariationalParams, offset: Array) -> Array:
        """Return (k,) the divergences of the means, given the precisions."""
        factors, ratio = params.precision_factors(), self.prior.mean_precision / params.mean_precision
        whitened = times(factors, offset) if factors.ndim == 3 else factors * offset
        squares = self.prior.mean_precision * (whitened**2).sum(axis=1)
        return np.asarray(0.5 * (params.n_features * (ratio - np.log(ratio) - 1) + squares))

    def _of_precisions(self, params: VariationalParams) -> Array:
        """Return (k,) the divergences of Wishart distributions."""
        d, freedom, factors = params.n_features, params.degrees_of_freedom, params.precision_factors()
        if factors.ndim == 3:
            traces = (product(factors, self.prior.scale) * factors).sum(axis=(1, 2))
        else:
            traces = (factors**2 * self.prior.variances).sum(axis=1)
        log_dets = params.log_determinants + d * math.log(2) + params.log_scales
        found = 0.5 * ((freedom - self.prior.degrees_of_freedom) * log_dets - freedom * d + traces)
        return np.asarray(found - params.log_constants + self.prior.log_constant)

    def terms(self, params: VariationalParams) -> Array:
        """Raise TypeError: no kernel of small fits knows this prior."""
        raise TypeError("the prior of a posterior is known to no kernel")
