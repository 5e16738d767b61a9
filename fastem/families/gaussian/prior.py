"""The prior of a Gaussian mixture, as statistics that are added to those of the rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from fastem._public import public
from fastem._typing import Array
from fastem.data.slots import LOWEST_LOGLIK
from fastem.families.gaussian.matrices import diagonal
from fastem.families.gaussian.model import GaussianParams, GaussianStats
from fastem.families.weights import dirichlet, dirichlet_constant
from fastem.kernels.linear import times
from fastem.validation.parameters import as_array, as_float64, as_means, as_scale_matrix
from fastem.validation.settings import as_number


@public
@dataclass(frozen=True, eq=False)
class GaussianPrior:
    """Prior of a Gaussian mixture, for GaussianMixture(prior=...), the same for every component but for its mean.

    It is Dirichlet on the weights, and normal-inverse-Wishart on means and covariances:

    covariance ~ inverse Wishart(scale, degrees_of_freedom);  mean ~ normal(mean, covariance / mean_precision).
    Diagonal: every variance on its own, with the diagonal of scale.  Spherical: one variance, with the mean of that
    diagonal.  Tied: one covariance, with the means of all components.

    Parameters
    ----------
    concentration : float, default=1
        Of the symmetric Dirichlet distribution of the mixing weights, at least 1: concentration - 1 rows more for each
        component.  1 is flat.
    mean : array-like of shape (d,) or (k, d), default=None
        Where all means are expected, or that of each component; needed if mean_precision is above 0.  A fit begins at
        means (k, d), unless it goes on (warm_start) or has means_init; it takes no order_by, and no on_collapse that
        moves components.
    mean_precision : float, default=0
        So many rows' worth of certainty about it.  0: none.
    scale : array-like of shape (d, d), default=None
        Symmetric, positive definite; scale / (degrees_of_freedom + d + 1) is the mode of the covariance.  None: no
        prior on covariances.
    degrees_of_freedom : float, default=None
        Above d - 1; above 0 for variances of their own (d is then 1 in these formulas).  None is d + 2 (Fraley and
        Raftery 2007).

    Raises
    ------
    ValueError, TypeError
        If a parameter is out of its range.

    References
    ----------
    Fraley and Raftery (2007), Bayesian regularization for normal mixture estimation and model-based clustering.
    Reynolds, Quatieri and Dunn (2000), Speaker verification using adapted Gaussian mixture models: means (k, d).

    Examples
    --------
    >>> import numpy as np, fastem
    >>> prior = fastem.GaussianPrior(mean=[0.0], mean_precision=1.0)
    >>> fastem.GaussianMixture(1, prior=prior).fit([[3.0], [3.0]]).means_  # 6 / (2 + 1)
    array([[2.]])
    """

    concentration: float = 1.0
    mean: Any = None
    mean_precision: float = 0.0
    scale: Any = None
    degrees_of_freedom: float | None = None

    def __post_init__(self) -> None:
        keep = partial(object.__setattr__, self)
        keep("concentration", as_number(self.concentration, "concentration", 1.0))
        keep("mean_precision", as_number(self.mean_precision, "mean_precision", 0.0))
        if self.degrees_of_freedom is not None:
            least = as_number(self.degrees_of_freedom, "degrees_of_freedom", 0.0, strictly=True)
            keep("degrees_of_freedom", least)
        if self.mean is None and self.mean_precision > 0:
            raise ValueError("mean is needed where mean_precision is above 0")
        if self.mean is not None:
            mean = as_float64(self.mean, "mean")
            keep("mean", as_means(mean, "mean", mean.shape[:2] or (1,)))
        if self.scale is not None:
            keep("scale", as_scale_matrix(self.scale, "scale"))

    def init(self) -> Mapping[str, Array]:
        """Return the means (k, d) as starting values by name; none where all components have one."""
        return {} if self.mean is None or self.mean.ndim == 1 else {"means": self.mean}

    def check(self, covariance_type: str, k: int, d: int) -> None:
        """Raise ValueError unless this is a prior of k components of d features with this type of covariances."""
        if self.mean is not None:
            as_array(self.mean, "mean", (k, d) if self.init() else (d,))
        if self.scale is not None:
            as_array(self.scale, "scale", (d, d))
            size = d if covariance_type in ("full", "tied") else 1
            as_number(self._freedom(size), "degrees_of_freedom", size - 1, strictly=True)

    def _freedom(self, size: int) -> float:
        """Return the degrees of freedom of the inverse Wishart distribution of matrices of this size."""
        return size + 2.0 if self.degrees_of_freedom is None else self.degrees_of_freedom

    def stats(self, params: GaussianParams) -> GaussianStats:
        """Return what it adds to the statistics of the rows at these parameters; loglik is its log density there."""
        with np.errstate(over="ignore"):  # of a density that is far out
            return self._stats(params)

    def _stats(self, params: GaussianParams) -> GaussianStats:
        """Return the statistics of `stats`; a log density that is far out may overflow."""
        zero, (k, d) = GaussianStats.zero(params), params.means.shape
        loglik = dirichlet(params.weights, self.concentration, len(params.all_weights) - k)
        mean_counts, scatter_counts, second = np.zeros(k), np.zeros(k), np.zeros((k, d, d))
        offset = np.zeros((k, d))
        if self.mean_precision > 0:
            offset = self.mean - params.means
            mean_counts += self.mean_precision
            scatter_counts += 1
            second += self.mean_precision * offset[:, :, np.newaxis] * offset[:, np.newaxis, :]
            loglik += self._log_normal(params, offset)
        if self.scale is not None:
            size = d if params.is_matrix else 1
            scale, n_shared = params.structure.scale_of(self.scale), params.structure.n_shared
            scatter_counts += (self._freedom(size) + size + 1) / n_shared
            second += scale / n_shared
            loglik += self._log_wishart(params, size)
        return replace(
            zero,
            counts=zero.counts + (self.concentration - 1),
            first=self.mean_precision * offset,
            second=second if params.is_matrix else diagonal(second),
            mean_counts=mean_counts,
            scatter_counts=scatter_counts,
            loglik=max(loglik, LOWEST_LOGLIK),
        )

    def terms(self, params: GaussianParams) -> Array:
        """Return the prior as a kernel reads it: what it adds to each component, with the constant of its log density.

        concentration - 1, the constant, mean_precision, counts behind the second moments, means (k, d), scale (d, d)
        or its diagonal.
        """
        (k, d), size = params.means.shape, params.n_features if params.is_matrix else 1
        constant, counts = dirichlet_constant(k, self.concentration), 0.0
        means, scale = np.zeros((k, d)), np.zeros((d, d) if params.is_matrix else d)
        if self.mean_precision > 0:
            means, counts = np.broadcast_to(self.mean, (k, d)), counts + 1
            constant += k * d * math.log(self.mean_precision / (2 * math.pi)) / 2
        if self.scale is not None:
            n_shared = params.structure.n_shared
            scale = params.structure.scale_of(self.scale) / n_shared
            scale = scale if params.is_matrix else diagonal(scale)
            counts += (self._freedom(size) + size + 1) / n_shared
            log_dets, _, log_scale = params.structure.wishart_terms(params.structure.scale_of(self.scale))
            constant += float(np.broadcast_to(self._wishart_constant(log_scale, size), log_dets.shape).sum())
        numbers = [self.concentration - 1, constant, self.mean_precision, counts]
        return np.concatenate([numbers, means.ravel(), scale.ravel()])

    def _log_normal(self, params: GaussianParams, offset: Array) -> float:
        """Return the log density of the means, given the covariances; offset (k, d) is `mean` about them."""
        factors = params.precision_factors()
        whitened = times(factors, offset) if factors.ndim == 3 else factors * offset
        log_dets = -2 * np.log(diagonal(factors) if factors.ndim == 3 else factors).sum()
        constant = offset.size * math.log(self.mean_precision / (2 * math.pi))
        return float(constant - log_dets - self.mean_precision * (whitened**2).sum()) / 2

    def _log_wishart(self, params: GaussianParams, size: int) -> float:
        """Return the log density of the covariances, or, of size 1, of the variances: inverse Wishart."""
        structure, freedom = params.structure, self._freedom(size)
        log_dets, traces, log_scale = structure.wishart_terms(structure.scale_of(self.scale))
        constant = self._wishart_constant(log_scale, size)
        return float((constant - 0.5 * (freedom + size + 1) * log_dets - 0.5 * traces).sum())

    def _wishart_constant(self, log_scale: float | Array, size: int) -> float | Array:
        """Return the part of the log density of one matrix, or variance, in which it does not enter."""
        freedom = self._freedom(size)
        return 0.5 * freedom * (log_scale - size * math.log(2)) - log_multigamma(freedom / 2, size)


def log_multigamma(a: float, size: int) -> float:
    """Return the logarithm of the multivariate gamma function of matrices of this size."""
    return size * (size - 1) / 4 * math.log(math.pi) + sum(math.lgamma(a - j / 2) for j in range(size))
