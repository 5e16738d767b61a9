"""The results of `fit_many` for Poisson mixtures of one column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastem._public import public
from fastem._typing import Array, ArrayLike
from fastem.estimators.many_fits import ManyFits, ManyRows
from fastem.families.counts import LOG_FACTORIALS
from fastem.families.poisson.model import PoissonParams
from fastem.validation.arrays import LARGEST_COUNT
from fastem.validation.groups import as_column, check_family_arguments, check_length


@public
@dataclass(frozen=True, eq=False)
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

    def labels(self, values: ArrayLike) -> np.ndarray:
        """Return the most probable component of each row, (n,) int32.

        The rows are those of the fit, or others in the same groups.  It is -1 where there is none: in groups without a
        fit, and where a value is no count.
        """
        x = as_column(values, "values", whole=True)
        check_length(x, "values", int(self.offsets[-1]))
        x = np.where((x >= 0) & (x <= LARGEST_COUNT) & (x == np.floor(x)), x, np.nan)

        def log_density(c: int, group: np.ndarray) -> Array:
            rates = self.rates[group, c]
            return np.asarray(np.where(x == 0, 0.0, x * np.log2(rates)) - rates * np.log2(np.e))

        return self._labels(log_density)
