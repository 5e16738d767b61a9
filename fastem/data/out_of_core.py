"""What rows out of memory have in common: they are read again in each sweep, and must be the same each time."""

from __future__ import annotations

from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastem._errstate import own_methods
from fastem._typing import Array, MStep, SweptParams, SweptStats
from fastem.data.base import Iterations, P, Position, StopRule, SweptRows
from fastem.data.chunk_source import Arrays, Form, check_same_weight
from fastem.data.distinct import MOST_DISTINCT, DistinctCounts, pays, tested_step
from fastem.data.rows import Rows

S = TypeVar("S", bound=SweptStats)


@own_methods
class OutOfCoreRows(SweptRows):
    """Rows that are read again in each sweep.  What the first reading has found: their form, and their total weight.

    A subclass says how rows at ascending positions are read (`_read`), and how the distinct ones are found
    (`_distinct`).
    """

    _form: Form
    _total_weight: float
    _few: Rows | None = None

    @property
    def precision(self) -> type[np.floating]:
        """The type of predictions: float32 for rows of float32, float64 for all others."""
        return np.float32 if self._form.precision == np.float32 else np.float64

    def sweep(self, params: SweptParams[S]) -> S:
        """Return the statistics of all rows at `params`; ValueError where the sum of their weights has changed."""
        stats = super().sweep(params)
        if self._form.weighted:
            check_same_weight(stats.total, self._total_weight)
        return stats

    def iterate(self, position: Position[P], m_step: MStep, rule: StopRule, most: int) -> Iterations[P]:
        """Bring all rows to memory, since they are few, and run EM on them."""
        if self._few is None:
            rows = self.take(np.arange(len(self)))
            arrays = (*rows.data, rows.sample_weight) if self._form.weighted else rows.data
            self._few = Rows.of(arrays, self.row_kind, self.backend, self.dtype)
        return self._few.iterate(position, m_step, rule, most)

    def take(self, positions: np.ndarray) -> Rows:
        """Return the rows at these positions, in this order: in memory."""
        order = np.argsort(positions)
        place = np.argsort(order)
        parts = self._read(positions[order])
        *data, weights = (np.concatenate(arrays)[place] for arrays in zip(*parts, strict=True))
        return Rows(tuple(data), weights, self.backend, self.dtype, self.row_kind, self.has_missing)

    def _read(self, positions: np.ndarray) -> list[Arrays]:
        """Return the rows at ascending positions, in some parts; each has its weights as the last array."""
        raise NotImplementedError

    def where(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the rows (n,) that are chosen, in their order."""
        raise NotImplementedError

    def weighted(self, shares: Array) -> Self:
        """Return these rows with shares (n,) of their weights."""
        raise NotImplementedError

    def collapsed(self, most: float = MOST_DISTINCT) -> Self | Rows:
        """Return equal rows of counts as one, with their weight, in memory, where that pays; else these rows.

        It pays where at most a share `most` of the rows is distinct, and no more than CHUNK_ROWS.
        """
        if self.has_missing:
            return self
        n, step = len(self), tested_step(len(self))
        if step > 1:
            tested = self.take(np.arange(0, n, step))
            if not pays(tested.distinct(len(tested)), n, most):
                return self
        found = self._distinct(most)
        return self if found is None else Rows.of_distinct(found, self)

    def _distinct(self, most: float) -> DistinctCounts | None:
        """Return the distinct rows of counts; None where there are more than a share `most` or CHUNK_ROWS."""
        raise NotImplementedError
