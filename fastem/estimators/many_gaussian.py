"""The results of `fit_many` for univariate Gaussian mixtures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastem._public import public
from fastem._typing import Array, ArrayLike
from fastem.estimators.many_fits import LogDensity, ManyFits, ManyRows
from fastem.families.gaussian.matrices import LOG2E, SMALLEST_VARIANCE
from fastem.families.gaussian.model import GaussianParams
from fastem.validation.arrays import LARGEST_MAGNITUDE
from fastem.validation.groups import as_column, check_family_arguments

LARGEST_MEAN = LARGEST_MAGNITUDE[np.dtype(np.float64)]


@public
@dataclass(frozen=True, eq=False, repr=False)
class ManyGaussianFits(ManyFits):
    """Gaussian mixtures of m groups."""

    means: Array  #     (m, k)
    variances: Array  # (m, k)

    kernel = "fit_many_normal"
    parameter_names = ("means", "variances")
    ranges = {"means": (-LARGEST_MEAN, LARGEST_MEAN), "variances": (SMALLEST_VARIANCE, LARGEST_MEAN**2)}  # noqa: RUF012 - a ClassVar

    @staticmethod
    def read(values: ArrayLike, trials: ArrayLike | None, added: tuple[float, float]) -> ManyRows:
        """Return the rows, and what is added to variances."""
        check_family_arguments({"trials": trials}, "gaussian")
        return (as_column(values, "values"),), added

    def params(self, group: int) -> GaussianParams:
        """Return the mixture of one group, for `posterior` and the other building blocks."""
        columns = self.means[group, :, np.newaxis], self.variances[group, :, np.newaxis]
        return GaussianParams(self.weights[group], *columns, "diag")

    def _log_density(self, rows: tuple[np.ndarray, ...]) -> LogDensity:
        (x,) = rows

        def log_density(c: int, group: np.ndarray) -> Array:
            variances = self.variances[group, c]
            return np.asarray(-0.5 * (np.log2(variances) + LOG2E * (x - self.means[group, c]) ** 2 / variances))

        return log_density
