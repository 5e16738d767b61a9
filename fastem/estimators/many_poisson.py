"""The results of `fit_many` for Poisson mixtures of one column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastem._public import public
from fastem._typing import Array, ArrayLike
from fastem.estimators.many_fits import LogDensity, ManyFits, ManyRows
from fastem.families.counts import LOG_FACTORIALS
from fastem.families.poisson.model import PoissonParams
from fastem.validation.arrays import LARGEST_COUNT
from fastem.validation.groups import as_column, check_family_arguments


@public
@dataclass(frozen=True, eq=False, repr=False)
class ManyPoissonFits(ManyFits):
    """Poisson mixtures of m groups."""

    rates: Array  # (m, k)

    kernel = "fit_many_poisson"
    parameter_names = ("rates",)
    ranges = {"rates": (0.0, float(LARGEST_COUNT))}  # noqa: RUF012 - a ClassVar

    @staticmethod
    def read(values: ArrayLike, trials: ArrayLike | None, added: tuple[float, float]) -> ManyRows:
        """Return the rows, and log n! of small n."""
        check_family_arguments({"trials": trials}, "poisson")
        return (as_column(values, "values", whole=True),), (LOG_FACTORIALS,)

    def params(self, group: int) -> PoissonParams:
        """Return the mixture of one group, for `posterior` and the other building blocks."""
        return PoissonParams(self.weights[group], self.rates[group, :, np.newaxis])

    def _log_density(self, rows: tuple[np.ndarray, ...]) -> LogDensity:
        (x,) = rows
        x = np.where((x >= 0) & (x <= LARGEST_COUNT) & (x == np.floor(x)), x, np.nan)

        def log_density(c: int, group: np.ndarray) -> Array:
            rates = self.rates[group, c]
            return np.asarray(np.where(x == 0, 0.0, x * np.log2(rates)) - rates * np.log2(np.e))

        return log_density
