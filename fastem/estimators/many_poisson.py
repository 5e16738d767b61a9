"""The results of `fit_many` for Poisson mixtures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastem._public import public
from fastem._typing import Array, ArrayLike
from fastem.estimators.many_fits import LogDensity, ManyFits, ManyRows
from fastem.families.counts import LOG_FACTORIALS, log_factorial
from fastem.families.poisson.model import PoissonParams
from fastem.validation.arrays import LARGEST_COUNT
from fastem.validation.groups import as_column, check_family_arguments


@public
@dataclass(frozen=True, eq=False, repr=False)
class ManyPoissonFits(ManyFits):
    """Poisson mixtures of m groups."""

    rates: Array  # (m, k), or (m, k, d) of rows of several columns

    kernel = "fit_many_poisson"
    parameter_names = ("rates",)
    ranges = {"rates": (0.0, float(LARGEST_COUNT))}  # noqa: RUF012 - a ClassVar

    @staticmethod
    def read(
        values: ArrayLike, trials: ArrayLike | None, added: tuple[float, float], has_columns: bool = False
    ) -> ManyRows:
        """Return the rows, and log n! of small n."""
        check_family_arguments({"trials": trials}, "poisson")
        return (as_column(values, "values", whole=True, has_columns=has_columns),), (LOG_FACTORIALS,)

    def params(self, group: int) -> PoissonParams:
        """Return the mixture of one group, for `posterior` and the other building blocks."""
        group, k = self._sized(group)
        return PoissonParams(self.weights[group, :k], self.rates[group, :k].reshape(k, -1))

    @staticmethod
    def base_measure(rows: tuple[np.ndarray, ...]) -> Array:
        """Return (n,) minus the logarithms of the factorials; 0 where a row is none."""
        x = rows[0].astype(np.float64)
        return -np.asarray(log_factorial(np.where((x >= 0) & (x < LARGEST_COUNT), x, 0.0)).sum(axis=1))

    def _log_density(self, rows: tuple[np.ndarray, ...]) -> LogDensity:
        (x,) = rows
        x = np.where((x >= 0) & (x <= LARGEST_COUNT) & (x == np.floor(x)), x, np.nan)

        def log_density(c: int, group: np.ndarray, some: slice) -> Array:
            rates = self.rates[group, c]
            found = np.where(x[some] == 0, 0.0, x[some] * np.log2(rates)) - rates * np.log2(np.e)
            return np.asarray(found.sum(axis=1) if self.has_columns else found)

        return log_density
