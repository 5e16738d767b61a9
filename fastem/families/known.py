"""Rows of which some are known to be of one component."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, NoReturn, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array, MStep, RowKind
from fastem.data.base import Position, StopRule
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows

T = TypeVar("T")
Parts = Mapping[int, RowSource]
"""The rows of each component, by its number."""


def sums_of_parts(parts: Parts, params: Any) -> Any:
    """Return the statistics of rows that are known to be of these components.

    Those of one component are the sums of a mixture of it alone, with the weight that it has: the log likelihood of its
    rows is that of weight times density.
    """
    stats = params.stats(np.zeros(params.sums_length))
    for c, rows in parts.items():
        stats = stats + rows.sweep(params.alone(c)).placed(params, c)
    return stats


def parts_of(rows: RowSource, labels: NDArray[np.intp]) -> Parts:
    """Return the rows of each component that has any by labels (n,); -1 is none."""
    return {c: rows.where(labels == c) for c in np.unique(labels[labels >= 0]).tolist()}


class KnownRows:
    """A source of rows with labels (n,): the number of a row's component, or -1 where it is unknown.

    Sweeps add those of the unknown rows to those of each component's own.
    """

    has_labels = True

    def __init__(self, rows: RowSource, labels: NDArray[np.intp]) -> None:
        self.rows, self.labels = rows, labels
        self.unknown = rows.where(labels < 0) if (labels < 0).any() else None
        self.known = parts_of(rows, labels)

    def __enter__(self) -> Self:
        self.rows.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.rows.__exit__(*exception)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def row_kind(self) -> RowKind:
        """The kind of the rows."""
        return self.rows.row_kind

    @property
    def n_features(self) -> int:
        """The number of columns of X."""
        return self.rows.n_features

    @property
    def most_trials(self) -> int:
        """The largest number of trials; 0 where rows have none."""
        return self.rows.most_trials

    @property
    def precision(self) -> type[np.floating]:
        """The type of predictions."""
        return self.rows.precision

    @property
    def has_missing(self) -> bool:
        """Whether values may be missing: NaN."""
        return self.rows.has_missing

    @property
    def n_empty_rows(self) -> int:
        """The number of rows of which every value is missing."""
        return self.rows.n_empty_rows

    def sweep(self, params: Any) -> Any:
        """Return the statistics of all rows at `params`."""
        stats = sums_of_parts(self.known, params)
        return stats if self.unknown is None else self.unknown.sweep(params) + stats

    def can_iterate(self, params: Any) -> bool:
        """Return False: a kernel does not know labels."""
        return False

    def iterate(self, position: Position[Any], m_step: MStep, rule: StopRule, most: int) -> NoReturn:
        """Raise NotImplementedError: see `can_iterate`."""
        raise NotImplementedError

    def in_float64(self) -> KnownRows:
        """Return the same rows, with sums in float64."""
        unknown = None if self.unknown is None else self.unknown.in_float64()
        return self._with(unknown, {c: rows.in_float64() for c, rows in self.known.items()})

    def without_labels(self) -> RowSource:
        """Return the rows, of which no component is known."""
        return self.rows

    def collapsed(self) -> KnownRows:
        """Return equal rows of counts with equal labels as one, with their weight, where that pays."""
        unknown = None if self.unknown is None else self.unknown.collapsed()
        return self._with(unknown, {c: rows.collapsed() for c, rows in self.known.items()})

    def _with(self, unknown: RowSource | None, known: Parts) -> KnownRows:
        """Return these rows, in which others sweep for the parts."""
        other = copy(self)
        other.unknown, other.known = unknown, known
        return other

    def take(self, positions: np.ndarray) -> Rows:
        """Return the rows at these positions, in this order: in memory, without their labels."""
        return self.rows.take(positions)

    def where(self, chosen: NDArray[np.bool_]) -> KnownRows:
        """Return the rows that are chosen."""
        return KnownRows(self.rows.where(chosen), self.labels[chosen])

    def weighted(self, shares: Array) -> KnownRows:
        """Return these rows with shares (n,) of their weights."""
        return KnownRows(self.rows.weighted(shares), self.labels)

    def first_weighted(self, size: int) -> np.ndarray:
        """Return the positions of the first `size` rows that have weight."""
        return self.rows.first_weighted(size)

    def subsets(self, least: int) -> NoReturn:
        """Raise ValueError: subsets are of rows without labels."""
        raise ValueError("warm_sweeps must be None with labels")

    def summed(self, call: Callable[[Rows], T]) -> T:
        """Return the sum of what `call` makes of the rows, without their labels."""
        return self.rows.summed(call)

    def check_values(self) -> None:
        """Raise ValueError for the first value that is not finite."""
        self.rows.check_values()

    def fingerprint(self) -> str:
        """Return a digest of the rows and their labels."""
        return hashlib.sha256(self.rows.fingerprint().encode() + self.labels.tobytes()).hexdigest()
