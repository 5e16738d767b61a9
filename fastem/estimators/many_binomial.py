"""The results of `fit_many` for binomial mixtures of one column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastem._public import public
from fastem._typing import Array, ArrayLike
from fastem.estimators.many_fits import LogDensity, ManyFits, ManyRows
from fastem.families.binomial.model import BinomialParams
from fastem.families.counts import LOG_FACTORIALS
from fastem.validation.groups import as_count_columns


@public
@dataclass(frozen=True, eq=False, repr=False)
class ManyBinomialFits(ManyFits):
    """Binomial mixtures of m groups."""

    probs: Array  # (m, k)

    kernel = "fit_many_binomial"
    parameter_names = ("probs",)
    ranges = {"probs": (0.0, 1.0)}  # noqa: RUF012 - a ClassVar

    @staticmethod
    def read(values: ArrayLike, trials: ArrayLike | None, added: tuple[float, float]) -> ManyRows:
        """Return the rows, and log n! of small n."""
        return as_count_columns(values, trials), (LOG_FACTORIALS,)

    def params(self, group: int) -> BinomialParams:
        """Return the mixture of one group, for `posterior` and the other building blocks."""
        return BinomialParams(self.weights[group], self.probs[group, :, np.newaxis])

    def _log_density(self, rows: tuple[np.ndarray, ...]) -> LogDensity:
        x, n = rows
        x = np.where((x >= 0) & (x <= n) & np.isfinite(n), x, np.nan)
        failures = n - x

        def log_density(c: int, group: np.ndarray) -> Array:
            p = self.probs[group, c]
            return times_log2(x, p) + times_log2(failures, 1 - p)

        return log_density


def times_log2(counts: np.ndarray, probs: Array) -> Array:
    """Return counts log2 probs, where 0 log 0 = 0."""
    return np.where(counts == 0, 0.0, counts * np.log2(probs))
