"""The prior of a variational Gaussian mixture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastem._typing import Array
from fastem.families.gaussian.matrices import diagonal
from fastem.families.gaussian.variational.concentration import CONCENTRATIONS, Concentration
from fastem.families.gaussian.variational.special import log_gamma, multivariate
from fastem.families.kept import kept
from fastem.kernels.linear import inverse_cholesky


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

    def mixing(self, k: int) -> Concentration:
        """Return the distribution of the mixing weights of k components."""
        return CONCENTRATIONS[self.weights].prior(self.concentration, k)

    @kept
    def log_constant(self) -> Array:
        """The logarithm of the integral of the Wishart density of the prior without its constant."""
        return wishart_constant(np.asarray(self.degrees_of_freedom), -self._log_scale, len(self.mean))

    @property
    def variances(self) -> Array:
        """The scale of variances; that of a single column comes as a matrix or as its element."""
        return diagonal(self.scale) if self.scale.ndim == 2 else self.scale

    @kept
    def _log_scale(self) -> float:
        """The log determinant of the scale, a constant of the bound; 0 where the scale is singular."""
        if self.scale.ndim == 1:
            return float(np.log(self.scale).sum()) if self.scale.all() else 0.0
        found = inverse_cholesky(self.scale)
        return 0.0 if found is None else float(np.log(found[1]).sum())


def wishart_constant(freedom: Array, log_scale: Array | float, d: int) -> Array:
    """Return the logarithm of the integral of a Wishart density without its constant, but for a power of pi."""
    return np.asarray(0.5 * freedom * (log_scale + d * math.log(2)) + multivariate(log_gamma, freedom, d))
