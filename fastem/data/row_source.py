"""What a fit asks of its rows, wherever they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array, MStep, RowKind, SweptParams, SweptStats
from fastem.data.base import Iterations, P, Position, StopRule
from fastem.data.rows import Rows

S = TypeVar("S", bound=SweptStats)
T = TypeVar("T")


class RowSource(Protocol):
    """The rows of a fit: in memory (`Rows`), in chunks (`Chunks`) or in the partitions of a Dask collection.

    What a fit may rely on:

    - `len(rows)` rows in an order that stays.  Every method sees the same rows with the same weights; a source that
      reads them again raises ValueError when they have changed.
    - `sweep(params)` is all that EM needs.  The same parameters give the same bits in every call, and with any number
      of threads; sums that are not finite have log likelihood NaN, and are no error.
    - A start looks at some rows only, which `take` brings to memory.  What it costs is up to the source: a sweep and
      `take` may each read all rows once.
    - Values were checked when the source was opened.  It is a context manager, and closed after the fit.

    Rows that come from elsewhere seldom need a source of their own: `open_chunks` makes one of any iterable of arrays.

    Examples
    --------
    EM by hand, for any source:

    >>> import numpy as np, fastem
    >>> params = fastem.GaussianParams(np.full(2, 0.5), np.array([[0.0], [5.0]]), np.ones((2, 1, 1)))
    >>> def last_params(rows, params, iterations=5):
    ...     for _ in range(iterations):
    ...         params = rows.sweep(params).maximize()
    ...     return params
    >>> with fastem.open_rows([[0.0], [1.0], [4.0], [5.0]]) as rows:
    ...     in_memory = last_params(rows, params)
    >>> with fastem.open_chunks([[[0.0], [1.0]], [[4.0], [5.0]]]) as rows:
    ...     in_chunks = last_params(rows, params)
    >>> bool((in_memory.means == in_chunks.means).all())
    True
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def __len__(self) -> int:
        """Return the number of rows; one of weight 0 counts."""

    @property
    def row_kind(self) -> RowKind:
        """The kind of the rows: parameters of the same kind can sweep them."""

    @property
    def n_features(self) -> int:
        """The number of columns of X."""

    @property
    def most_trials(self) -> int:
        """The largest number of trials; 0 where rows have none."""

    @property
    def has_missing(self) -> bool:
        """Whether values of X may be missing: NaN."""

    @property
    def n_empty_rows(self) -> int:
        """The number of rows of which every value is missing; they have no weight."""

    @property
    def precision(self) -> type[np.floating]:
        """The type of predictions: float32 for rows of float32, float64 for all others."""

    @property
    def has_labels(self) -> bool:
        """Whether the components of some rows are known: then others tell less of the likelihood than these."""

    def sweep(self, params: SweptParams[S]) -> S:
        """Return the statistics of all rows at `params`: one fused E-step and accumulation."""

    def can_iterate(self, params: SweptParams[SweptStats]) -> bool:
        """Return whether EM from these parameters may run in a kernel: where rows are so few that one thread sweeps."""

    def iterate(self, position: Position[P], m_step: MStep, rule: StopRule, most: int) -> Iterations[P]:
        """Run EM in a kernel until the stop rule is met, but for `most` iterations at the most.

        It ends before an iteration in which something happens that the driver has to see.
        """

    def in_float64(self) -> RowSource:
        """Return the same rows, with sums in float64."""

    def without_labels(self) -> RowSource:
        """Return the same rows, of which no component is known."""

    def collapsed(self) -> RowSource:
        """Return equal rows of counts as one, with their weight, where that pays; else these rows."""

    def summed(self, call: Callable[[Rows], T]) -> T:
        """Return what `call` makes of the rows; the sum of that where rows are in several places."""

    def take(self, positions: np.ndarray) -> Rows:
        """Return the rows at these positions, in this order: in memory."""

    def where(self, chosen: NDArray[np.bool_]) -> RowSource:
        """Return the rows (n,) that are chosen, in their order."""

    def weighted(self, shares: Array) -> RowSource:
        """Return these rows with shares (n,) of their weights."""

    def first_weighted(self, size: int) -> np.ndarray:
        """Return the positions of the first `size` rows that have weight."""

    def subsets(self, least: int) -> list[Rows]:
        """Return evenly spread subsets of at least so many rows, the smaller ones first.

        A source whose rows are not in memory raises ValueError.
        """

    def check_values(self) -> None:
        """Raise ValueError for the first value that is not finite: rows may have changed since they were opened."""

    def fingerprint(self) -> str:
        """Return a digest by which a checkpoint knows that the rows are those of its fit."""
