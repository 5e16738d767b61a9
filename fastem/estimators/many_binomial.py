"""The results of `fit_many` for binomial mixtures of one column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastem._public import public
from fastem._typing import Array, ArrayLike
from fastem.estimators.many_fits import ManyFits, ManyRows
from fastem.families.binomial.model import BinomialParams
from fastem.families.counts import LOG_FACTORIALS
from fastem.validation.groups import as_count_columns, check_length


@public
@dataclass(frozen=True, eq=False)
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

    def labels(self, values: ArrayLike, trials: ArrayLike) -> np.ndarray:
        """Return the most probable component of each row (n,), as int32.

        The rows are those of the fit, or others in the same groups.  A row has -1 where there is no component: in
        groups without a fit, and where successes are not from 0 to trials.
        """
        x, n = as_count_columns(values, trials)
        check_length(x, "values", int(self.offsets[-1]))
        x = np.where((x >= 0) & (x <= n) & np.isfinite(n), x, np.nan)
        failures = n - x

        def log_density(c: int, group: np.ndarray) -> Array:
            p = self.probs[group, c]
            return times_log2(x, p) + times_log2(failures, 1 - p)

        return self._labels(log_density)


def times_log2(counts: np.ndarray, probs: Array) -> Array:
    """Return counts log2 probs, where 0 log 0 = 0."""
    return np.where(counts == 0, 0.0, counts * np.log2(probs))
