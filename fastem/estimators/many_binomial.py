"""The results of `fit_many` for binomial mixtures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastem._public import public
from fastem._typing import Array, ArrayLike
from fastem.estimators.many_fits import LogDensity, ManyFits, ManyRows
from fastem.families.binomial.model import BinomialParams
from fastem.families.counts import LOG_FACTORIALS, log_factorial
from fastem.validation.arrays import LARGEST_COUNT
from fastem.validation.groups import as_count_columns


@public
@dataclass(frozen=True, eq=False, repr=False)
class ManyBinomialFits(ManyFits):
    """Binomial mixtures of m groups."""

    probs: Array  # (m, k), or (m, k, d) of rows of several columns

    kernel = "fit_many_binomial"
    parameter_names = ("probs",)
    ranges = {"probs": (0.0, 1.0)}  # noqa: RUF012 - a ClassVar

    @staticmethod
    def read(
        values: ArrayLike, trials: ArrayLike | None, added: tuple[float, float], has_columns: bool = False
    ) -> ManyRows:
        """Return the rows, and log n! of small n."""
        return as_count_columns(values, trials, has_columns), (LOG_FACTORIALS,)

    def params(self, group: int) -> BinomialParams:
        """Return the mixture of one group, for `posterior` and the other building blocks."""
        group, k = self._sized(group)
        return BinomialParams(self.weights[group, :k], self.probs[group, :k].reshape(k, -1))

    @staticmethod
    def base_measure(rows: tuple[np.ndarray, ...]) -> Array:
        """Return (n,) the logarithms of the binomial coefficients; 0 where a row is none."""
        x, n = (array.astype(np.float64) for array in rows)
        fine = (x >= 0) & (x <= n) & (n < LARGEST_COUNT)
        x, n = np.where(fine, x, 0.0), np.where(fine, n, 0.0)
        return np.asarray((log_factorial(n) - log_factorial(x) - log_factorial(n - x)).sum(axis=1))

    def _log_density(self, rows: tuple[np.ndarray, ...]) -> LogDensity:
        x, n = rows
        x = np.where((x >= 0) & (x <= n) & np.isfinite(n), x, np.nan)
        failures = n - x

        def log_density(c: int, group: np.ndarray, some: slice) -> Array:
            p = self.probs[group, c]
            found = times_log2(x[some], p) + times_log2(failures[some], 1 - p)
            return found.sum(axis=1) if self.has_columns else found

        return log_density


def times_log2(counts: np.ndarray, probs: Array) -> Array:
    """Return counts log2 probs, where 0 log 0 = 0."""
    return np.where(counts == 0, 0.0, counts * np.log2(probs))
