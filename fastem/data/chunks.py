"""Rows that come in chunks, read again in each sweep: the sums have the bits of the same rows in memory."""

from __future__ import annotations

import functools
import hashlib
import operator
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastem._errstate import own_methods
from fastem._public import public
from fastem._typing import Array, DType, RowKind, SweptParams, SweptStats
from fastem.data.base import Posterior, Sums, as_row_kind, check_has_trials, chosen_backend
from fastem.data.chunk_source import Arrays, Chunkable, FirstPass, Form, Source, form_of, part_of, prefetch, rechunk
from fastem.data.distinct import CHUNK_ROWS, DistinctCounts
from fastem.data.out_of_core import OutOfCoreRows
from fastem.data.rows import DIGEST_ROWS, Rows
from fastem.data.slots import SLOT_ROWS
from fastem.kernels.backend import Backend
from fastem.validation.arrays import check_squares, check_total_weight, total_weight
from fastem.validation.missing import MISSING, check_columns, has_missing, with_values
from fastem.validation.settings import as_integer, check_bool, check_choice

T = TypeVar("T")

BUFFER_BYTES = 1 << 24
"""The size of a buffer of rows: its sweep is long compared with waking threads, and three of them are little memory."""


@public
@own_methods
class Chunks(OutOfCoreRows):
    """Rows that are read again in each sweep, with the methods of `Rows` that a fit needs.  A context manager too.

    Opening reads all chunks once, and checks their values.
    """

    def __init__(self, source: Source, backend: Backend, dtype: DType = None) -> None:
        self.source = source
        self.backend = backend
        self.dtype = dtype
        self.row_kind = source.row_kind
        self._first_pass = FirstPass()
        self._passes = 1
        self._survey()

    def _survey(self) -> None:
        """Read all chunks and check them: how many rows there are, and what else is known only after all of them."""
        form: Form | None = None
        self.most_trials, self._total_weight, row_bytes = 0, 0.0, 0
        self.n_empty_rows, seen, self.has_missing = 0, np.zeros(1, np.bool_), self.source.missing
        lacks = False
        for index, arrays in self.source.read():
            rows = self._rows(arrays)
            row_bytes = row_bytes or sum(array[:1].nbytes for array in (*rows.data, rows.sample_weight))
            self._first_pass.add(index, arrays)
            form = form_of(arrays, self.row_kind)
            self._total_weight += total_weight(rows.weight_of_values)
            if self.source.fitting and not self.row_kind.is_counts:
                check_squares(rows.data[0], self._total_weight)
            self.most_trials = max(self.most_trials, rows.most_trials)
            self.float32 = rows.float32
            if self.source.missing:
                self.n_empty_rows += rows.n_empty_rows
                seen = seen | with_values(*rows.data, weights=rows.sample_weight)
                lacks = lacks or has_missing(rows.data[0])
        if form is None:
            raise ValueError("chunks: found 0 rows, a minimum of 1 is required")
        self._form, self.n_features = form, form.n_features
        self.has_missing = lacks
        check_total_weight(self._total_weight, missing=self.source.missing)
        if self.source.missing and self.source.fitting:
            check_columns(seen)
        self._first_pass.complete()
        self._buffer_rows = max(1, BUFFER_BYTES // (row_bytes * SLOT_ROWS)) * SLOT_ROWS

    def __len__(self) -> int:
        return self._first_pass.n

    def _sums(self, params: SweptParams[SweptStats], tables: tuple[Array, ...], float32: bool, with_base: bool) -> Sums:
        total: Array | None = None
        logliks: list[float] = []
        base: list[float] = []
        with closing(self._buffers(self._buffer_rows)) as buffers:
            for rows in buffers:
                total, found = rows.add_sums(total, params, tables, float32)
                logliks += found
                base += rows.base_terms(params) if with_base else ()
        assert total is not None
        return total, logliks, base

    def posteriors(self, params: SweptParams[SweptStats], *wanted: str) -> Iterator[Posterior]:
        """Return `wanted` of "log_prob", "resp", "labels" for each row, some rows at a time."""
        return (rows.posterior(params, *wanted) for rows in self._buffers(self._buffer_rows))

    def summed(self, call: Callable[[Rows], T]) -> T:
        """Return the sum of what `call` makes of the rows of each buffer."""
        with closing(self._buffers(self._buffer_rows)) as buffers:
            return functools.reduce(operator.add, map(call, buffers))

    def _read(self, positions: np.ndarray) -> list[Arrays]:
        begin = 0
        parts: list[Arrays] = []
        with closing(self._buffers(self._buffer_rows)) as buffers:
            for rows in buffers:
                low, high = np.searchsorted(positions, (begin, begin + len(rows)))
                if low < high:
                    taken = rows.take(positions[low:high] - begin)
                    parts.append((*taken.data, taken.sample_weight))
                begin += len(rows)
        return parts

    def first_weighted(self, size: int) -> np.ndarray:
        """Return the positions of the first `size` rows that have weight."""
        found, begin = [np.empty(0, np.intp)], 0
        for rows in self._buffers(self._buffer_rows):
            found.append(begin + rows.first_weighted(size - sum(map(len, found))))
            begin += len(rows)
        return np.concatenate(found)

    def _distinct(self, most: float) -> DistinctCounts | None:
        found: DistinctCounts | None = None
        with closing(self._buffers(CHUNK_ROWS)) as buffers:
            for rows in buffers:
                more = rows.distinct(int(most * len(rows)))
                if more is None:
                    return None
                found = more if found is None else found + more
                if len(found) > CHUNK_ROWS:
                    return None
        return found

    def where(self, chosen: NDArray[np.bool_]) -> Chunks:
        """Return the rows that are chosen, in chunks: all of them are read in each sweep."""
        return self._masked(chosen)

    def weighted(self, shares: Array) -> Chunks:
        """Return these rows with shares (n,) of their weights."""
        return self._masked(shares)

    def _masked(self, mask: np.ndarray) -> Chunks:
        chunks = functools.partial(parts_of, self._arrays, mask, self.row_kind)
        return Chunks(replace(self.source, chunks=chunks, fitting=False), self.backend, self.dtype)  # checked already

    def fingerprint(self) -> str:
        """Return that of the same rows in memory."""
        found = hashlib.sha256()
        with closing(self._buffers(DIGEST_ROWS)) as buffers:
            for rows in buffers:
                found.update(rows.digest(slice(None)))
        return found.hexdigest()

    def subsets(self, least: int) -> NoReturn:
        """Raise ValueError: subsets would be read as often as all rows are."""
        raise ValueError("warm_sweeps must be None with chunks: to read a part of the rows takes as long as all")

    def check_values(self) -> None:
        """Read all chunks; raise ValueError for the first value that is not finite."""
        for _ in self.source.read():
            pass

    def _buffers(self, length: int) -> Generator[Rows]:
        """Yield the rows of one pass in buffers of whole slots, each read while the one before is in use."""
        n, self._passes = 0, self._passes + 1
        with closing(prefetch(self._checked(rechunk(self._arrays(), length), self._passes))) as buffers:
            for arrays in buffers:
                n += len(arrays[0])
                yield self._rows(arrays)
        if n != len(self):
            raise ValueError(
                f"chunks gave {n} rows in pass {self._passes}, but {len(self)} when they were first read: they must"
                " give the same rows in the same order each time"
            )

    def _arrays(self) -> Iterator[Arrays]:
        """Yield the arrays of each chunk that has rows, all of the form of the first pass."""
        return (arrays for _, arrays in self.source.read(self._form))

    def _checked(self, buffers: Iterator[Arrays], number: int) -> Iterator[Arrays]:
        """Yield the buffers of a pass as long as their rows are those of the first."""
        begin = 0
        for arrays in buffers:
            self._first_pass.check_rows(begin, arrays, number)
            begin += len(arrays[0])
            yield arrays

    def _rows(self, arrays: Arrays) -> Rows:
        """Return a chunk or a buffer as rows in memory, which are swept by the same backend."""
        return Rows.of(arrays, self.row_kind, self.backend, self.dtype, self.has_missing)


def parts_of(chunks: Callable[[], Iterator[Arrays]], mask: np.ndarray, row_kind: RowKind) -> Iterator[Arrays]:
    """Yield what a mask (n,) leaves of chunks: see `part_of`."""
    begin = 0
    for arrays in chunks():
        end = begin + len(arrays[0])
        yield part_of(arrays, mask[begin:end], row_kind)
        begin = end


def open_chunks(
    chunks: Chunkable,
    *,
    has_trials: bool = False,
    row_kind: RowKind | str | None = None,
    trials: int | None = None,
    fitting: bool = False,
    missing: str = "raise",
    dtype: DType = None,
    backend: str = "auto",
    n_threads: int | None = None,
) -> Chunks:
    """Open rows that come in chunks, to be swept often: `open_rows` for rows that need not fit in memory.

    Every sweep reads all chunks, a buffer ahead of the sums.  The sums have the same bits as those of the same rows in
    memory, however long the chunks are.  Memory is a few buffers of 16 MiB, or the longest chunk if that is more.

    Parameters
    ----------
    chunks : sequence, iterable or callable
        What gives the same chunks in every pass: a list, an object that can be iterated again and again, or a function
        that returns an iterator.  A chunk is X of shape (n_i, d) or a tuple: (X, sample_weight), or of counts
        (X, trials), (X, trials, sample_weight), where trials is one number, one for each row, or (n_i, d).  All have
        the same columns and precision, and weights or none.  Arrays may be used again for the next chunk.
    has_trials : bool, default=False
        Whether these are counts with trials.
    row_kind : {"real numbers", "counts", "counts with trials"}, default=None
        What the rows are; None is "counts with trials" where `has_trials` is true, else "real numbers".
    trials : int, default=None
        Trials of the chunks that come without.
    fitting : bool, default=False
        Refuse rows that are too large for sums of squares, and columns without any value.
    missing, dtype, backend, n_threads
        As for `accumulate`.

    Returns
    -------
    Chunks
        A context manager with `sweep(params)` and `posteriors(params, *wanted)`, which iterates over buffers of rows.

    Raises
    ------
    ValueError, TypeError
        On unusable input, with a sentence that names the chunk and the first bad place; in a later pass, where chunks
        have another form, number of rows or sum of weights, or one row of every 1,024 is another one.  Sums that are
        not finite have log likelihood NaN, which `em` and `maximize` refuse.  What the source itself raises comes with
        a note.

    Examples
    --------
    >>> import numpy as np, fastem
    >>> start = fastem.GaussianParams(np.full(2, 0.5), np.array([[0.0], [5.0]]), np.ones((2, 1, 1)))
    >>> with fastem.open_chunks([[[0.0], [1.0]], [[4.0], [5.0]]], fitting=True) as chunks:
    ...     fit = fastem.em(chunks.sweep, lambda stats: stats.maximize(), start)
    >>> fit.params.means.ravel().round(1)
    array([0.5, 4.5])
    """
    kernels = chosen_backend(dtype, backend, n_threads)
    check_bool(fitting, "fitting")
    check_choice(missing, "missing", MISSING)
    kind = as_row_kind(row_kind, has_trials)
    check_has_trials(kind, trials)
    if trials is not None:
        trials = as_integer(trials, "trials", 0)
    source = Source(chunks, kind, trials, fitting, missing=missing == "marginalize")
    return Chunks(source, kernels, dtype)
