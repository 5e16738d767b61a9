"""Rows of Dask collections: partitions are summed where they are, and their sums are added here in a fixed order.

Dask schedules, ships and tries again; a partition is a task, and so can be made again where a worker is lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import partial
from typing import NoReturn, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastem._errstate import own_methods
from fastem._typing import Array, DType, RowKind, SweptParams, SweptStats
from fastem.data.base import Sums, chosen_backend
from fastem.data.chunk_source import Arrays, Form, Source
from fastem.data.dask_predict import DaskCollection, align_chunks, is_number, matrix
from fastem.data.dask_runner import Delayed, Runner, in_tree, task
from fastem.data.dask_tasks import Partition, Piece, Reader, Survey, Sweep, add_parts, added, merged
from fastem.data.distinct import DistinctCounts
from fastem.data.out_of_core import OutOfCoreRows
from fastem.data.rows import Rows
from fastem.data.slots import slot_count
from fastem.exceptions import BadValueError
from fastem.kernels.backend import Backend
from fastem.validation.arrays import check_n_features, check_squares, check_total_weight
from fastem.validation.missing import check_columns

T = TypeVar("T")

SLOT_SUMS_BYTES = 1 << 26
"""The size of the sums of slots that come back in a sweep, to be folded as those of rows in memory are: a tenth of a
second of a slow network.  Where there would be more, a partition folds its own."""


@own_methods
class Partitions(OutOfCoreRows):
    """Rows in the partitions of a Dask collection, with the methods of `Rows` that a fit needs.  A context manager.

    On a cluster the checked partitions stay with its workers while this is open; elsewhere, every sweep makes them
    again.  Opening reads all partitions once, and checks their values.
    """

    def __init__(self, parts: list[tuple[object, ...]], reader: Reader, dtype: DType) -> None:
        """Open partitions; parts are X, trials, weights of each (the last two may be None) as Dask's delayed values."""
        self.backend = Backend(reader.backend, reader.n_threads)
        self.reader = replace(reader, has_missing=reader.source.missing)
        self.dtype = dtype
        self.row_kind = reader.source.row_kind
        self._runner = Runner()
        self._checked = self._runner.keep([task(reader.checked, *part) for part in parts])
        surveys = self._survey()
        self.has_missing = any(survey.has_missing for survey in surveys)
        self.n_empty_rows = sum(survey.n_empty_rows for survey in surveys)
        self.reader = replace(reader, has_missing=self.has_missing)
        delayed = self._checked if self._runner.client else [task(reader.unchecked, *part) for part in parts]
        ends: list[int] = np.cumsum([survey.n for survey in surveys]).tolist()
        self._pieces = [
            Piece(value, Partition(number, end - each.n, each.n, each.form, each.digest), end - each.n, each.n)
            for number, (value, end, each) in enumerate(zip(delayed, ends, surveys, strict=True))
            if each.form is not None
        ]
        self._n, self._form = ends[-1], self._pieces[0].known.form
        self.n_features = self._form.n_features
        self._total_weight = sum(survey.weight for survey in surveys)
        self.most_trials = max(survey.most_trials for survey in surveys)
        self.float32 = all(survey.float32 for survey in surveys if survey.n)
        self._slots = sum(slot_count(survey.n) for survey in surveys)

    def _survey(self) -> list[Survey]:
        """Check all partitions; raise the error of the first in which something is wrong."""
        surveys: list[Survey] = []
        form: Form | None = None
        begin, weight = 0, 0.0
        for index, survey in enumerate(self._runner.all([task(self.reader.surveyed, each) for each in self._checked])):
            if isinstance(survey, BadValueError):
                row, *column = survey.index
                raise BadValueError(f"partition {index}: {survey.sentence}", (begin + row, *column), survey.advice)
            if isinstance(survey, Exception):
                raise type(survey)(f"partition {index}, from row {begin}: {survey}")
            if survey.n and form not in (None, survey.form):
                raise ValueError(
                    f"partition {index}, from row {begin}: {survey.form}; the partitions before have {form}"
                )
            form, begin, weight = survey.form or form, begin + survey.n, weight + survey.weight
            if not self.row_kind.is_counts:
                check_squares(survey.largest, weight)
            surveys.append(survey)
        if form is None:
            raise ValueError("X: found 0 rows in all partitions, a minimum of 1 is required")
        check_total_weight(weight, missing=self.reader.source.missing)
        check_columns(np.any([survey.seen for survey in surveys if survey.n], axis=0))
        return surveys

    def check_values(self) -> None:
        """Raise ValueError for the first value of the partitions that is not finite."""
        self._survey()

    def _tasks(self, call: Callable[[Arrays], T]) -> list[Delayed]:
        """Return, for each partition, a task of what `call` makes of it."""
        return [self._task(call, piece) for piece in self._pieces]

    def _task(self, call: Callable[[Arrays], T], piece: Piece) -> Delayed:
        """Return a task of what `call` makes of one partition, which must still be as the survey has found it."""
        return task(partial(self.reader.same, call=call, known=piece.known), piece.partition, piece.mask)

    def __len__(self) -> int:
        return self._n

    def _sums(self, params: SweptParams[SweptStats], tables: tuple[Array, ...], float32: bool, with_base: bool) -> Sums:
        by_slot = 8 * params.sums_length * self._slots <= SLOT_SUMS_BYTES
        tasks = self._tasks(Sweep(self.reader, params, float32, by_slot, with_base))
        found = added(self._runner.all(tasks if by_slot else [in_tree(added, tasks)]))
        return found.sums[0], found.loglik, found.base

    def summed(self, call: Callable[[Rows], T]) -> T:
        """Return the sum of what `call` makes of the rows of each partition, where they are."""
        of_partition = partial(self.reader.summed, call=call)
        found: list[T] = self._runner.all([in_tree(add_parts, self._tasks(of_partition))])
        return found[0]

    def _read(self, positions: np.ndarray) -> list[Arrays]:
        ends = [piece.begin + piece.n for piece in self._pieces]
        own = np.split(positions, np.searchsorted(positions, ends[:-1]))
        return self._runner.all([
            self._task(partial(self.reader.taken, positions=some - piece.begin), piece)
            for some, piece in zip(own, self._pieces, strict=True)
            if len(some)
        ])  # fmt: skip

    def first_weighted(self, size: int) -> np.ndarray:
        """Return the positions of the first `size` rows that have weight."""
        found = self._runner.all(self._tasks(partial(self.reader.first_weighted, size=size)))
        pairs = zip(found, self._pieces, strict=True)
        return np.concatenate([piece.begin + positions for positions, piece in pairs])[:size]

    def where(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the rows that are chosen; the partitions stay where they are, and each gets its part of `chosen`."""
        pieces, n = list[Piece](), 0
        for piece in self._pieces:
            own = chosen[piece.begin : piece.begin + piece.n]
            if own.any():
                pieces.append(piece.where(own, n))
                n += pieces[-1].n
        found = copy(self)
        found.have_only(pieces)
        return found

    def weighted(self, shares: Array) -> Self:
        """Return these rows with shares (n,) of their weights."""
        found = copy(self)
        found.have_only([piece.weighted(shares[piece.begin : piece.begin + piece.n]) for piece in self._pieces])
        found.float32 = False
        return found

    def have_only(self, pieces: list[Piece]) -> None:
        """Leave these pieces, whose masks are still to be sent, and forget what was known of all rows."""
        masks = self._runner.keep([task(np.asarray, piece.chosen) for piece in pieces])
        self._pieces = [piece._replace(mask=mask) for piece, mask in zip(pieces, masks, strict=True)]
        self._n, self._slots = sum(piece.n for piece in pieces), sum(slot_count(piece.n) for piece in pieces)
        self._few = self._log_base_measure = None
        self._total_weight = sum(self._runner.all(self._tasks(self.reader.weight)))

    def _distinct(self, most: float) -> DistinctCounts | None:
        """Find the distinct rows of each partition where it is, and merge them."""
        (found,) = self._runner.all([in_tree(merged, self._tasks(self.reader.distinct))])
        return None if found is None or len(found) > most * self._n else found

    def fingerprint(self) -> str:
        """Return the SHA-256 of the rows, their weights and where they are cut: the bits of sums depend on it."""
        digests = self._runner.all(self._tasks(self.reader.digest))
        return hashlib.sha256(b"".join(digests)).hexdigest()

    def subsets(self, least: int) -> NoReturn:
        """Raise ValueError: every so many rows of a partition would be another grid of slots."""
        raise ValueError("warm_sweeps must be None with Dask collections")


def open_partitions(
    X: DaskCollection,
    trials: DaskCollection | ArrayLike | None,
    sample_weight: DaskCollection | None,
    *,
    row_kind: RowKind = RowKind.REAL,
    n_features: int | None = None,
    owner: str = "mixture",
    missing: str = "raise",
    dtype: DType = None,
    backend: str = "auto",
    n_threads: int | None = None,
) -> Partitions:
    """Open the rows of a Dask array or data frame for a fit.

    trials are one number, or a Dask collection as sample_weight is; None where there are none.
    """
    chosen_backend(dtype, backend, n_threads)
    array = matrix(X, row_kind)
    check_n_features(int(array.shape[1]), n_features, owner)
    constant = trials if is_number(trials) else None
    others = [None if sample_weight is None else align_chunks(sample_weight, array, "sample_weight")]
    if row_kind is RowKind.COUNTS_WITH_TRIALS:
        others.insert(0, None if constant is not None or trials is None else align_chunks(trials, array, "trials"))
    n = array.numblocks[0]
    columns = [array.to_delayed().ravel(), *([None] * n if a is None else a.to_delayed().ravel() for a in others)]
    source = Source((), row_kind, constant, fitting=True, missing=missing == "marginalize")
    reader = Reader(source, dtype, backend, n_threads or 1)
    return Partitions(list(zip(*columns, strict=True)), reader, dtype)
