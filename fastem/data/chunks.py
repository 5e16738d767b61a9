"""Rows that come in chunks, read anew in each sweep: the sums have the bits of the same rows in memory."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any, NoReturn

import numpy as np

from fastem._errstate import own_methods
from fastem._public import public
from fastem._typing import Array
from fastem.data.base import OnBackend, Posterior, chosen_backend, total_of
from fastem.data.chunk_source import Arrays, Form, Seen, Source, ahead, form_of, recut, refuse_other_weights
from fastem.data.distinct import CHUNK_ROWS, MOST_DISTINCT, DistinctCounts, pays, tested_step
from fastem.data.rows import DIGEST_ROWS, Rows
from fastem.data.slots import SLOT_ROWS
from fastem.kernels.backend import Backend
from fastem.validation.arrays import check_chunks, check_squares, check_total_weight, total_weight
from fastem.validation.settings import as_integer

BLOCK_BYTES = 1 << 24
"""Of the rows of a block: long beside what it takes to wake threads, and three of them are little memory."""


@public
@own_methods
class Chunks(OnBackend):
    """Rows that are read anew in each sweep, with the methods of `Rows` that a fit needs.  A context manager, as these.

    Opening reads all chunks once, and checks their values.
    """

    def __init__(self, source: Source, backend: Backend, dtype: Any = None) -> None:
        self.source = source
        self.backend = backend
        self.dtype = dtype
        self._base_measure: float | None = None
        self._seen = Seen()
        self._form: Form | None = None
        self._passes = 1
        self._survey()

    def _survey(self) -> None:
        """Read all chunks and check them: how many rows there are, and what else takes all of them to tell."""
        self.most_trials, self._weight, first = 0, 0.0, None
        for index, arrays in self.source.read():
            rows = self._rows(arrays)
            first = first or rows.take(np.arange(1))
            self._seen.add(index, arrays)
            self._form = form_of(arrays, self.source.has_trials)
            self._weight += total_weight(rows.sample_weight)
            if self.source.fitting and not self.source.has_trials:
                check_squares(rows.data[0], self._weight)
            self.most_trials = max(self.most_trials, rows.most_trials if self.source.has_trials else 0)
            self.single = rows.single
        if first is None:
            raise ValueError("chunks: found 0 rows, a minimum of 1 is required")
        check_total_weight(self._weight)
        self._seen.complete()
        self._first = first
        row_bytes = sum(array[:1].nbytes for array in (*first.data, first.sample_weight))
        self._block_rows = max(1, BLOCK_BYTES // (row_bytes * SLOT_ROWS)) * SLOT_ROWS

    def __len__(self) -> int:
        return self._seen.n

    @property
    def n_features(self) -> int:
        return self._first.n_features

    @property
    def precision(self) -> type[np.floating]:
        """As that of Rows."""
        return self._first.precision

    def sweep(self, params: Any) -> Any:
        """The statistics of all rows at `params`: one fused E-step and accumulation, and one pass over the chunks."""
        self._first.match(params)
        tables = params.tables()
        single = self.single and params.single_is_enough(tables)
        total: Array | None = None
        logliks: list[float] = []
        base: list[float] = []
        with closing(self._blocks(self._block_rows)) as blocks:
            for block in blocks:
                total, more = block.added(total, params, tables, single)
                logliks += more
                base += block.base_parts(params) if self._base_measure is None else ()
        assert total is not None
        if self._base_measure is None:
            self._base_measure = math.fsum(base)
        stats = self.named(params, total, total_of(logliks) + self._base_measure, single)
        if self._form is not None and self._form.weighted:
            refuse_other_weights(stats.total, self._weight)
        return stats

    def posteriors(self, params: Any, *wanted: str) -> Iterator[Posterior]:
        """`wanted` of "log_prob", "resp", "labels" for each row, block by block."""
        return (block.posterior(params, *wanted) for block in self._blocks(self._block_rows))

    def take(self, positions: np.ndarray) -> Rows:
        """The rows at these positions, in this order: in memory."""
        order = np.argsort(positions)
        ascending, begin = positions[order], 0
        pieces: list[Arrays] = []
        with closing(self._blocks(self._block_rows)) as blocks:
            for block in blocks:
                low, high = np.searchsorted(ascending, (begin, begin + len(block)))
                if low < high:
                    found = block.take(ascending[low:high] - begin)
                    pieces.append((*found.data, found.sample_weight))
                begin += len(block)
        back = np.argsort(order)
        *data, weights = (np.concatenate(arrays)[back] for arrays in zip(*pieces, strict=True))
        return Rows(tuple(data), weights, self.backend, self.dtype)

    def first_weighted(self, size: int) -> np.ndarray:
        """Positions of the first `size` rows that have weight."""
        found, begin = [np.empty(0, np.intp)], 0
        for block in self._blocks(self._block_rows):
            room = size - sum(map(len, found))
            found.append(begin + block.first_weighted(room))
            begin += len(block)
        return np.concatenate(found)

    def collapsed(self, most: float = MOST_DISTINCT) -> Rows | Chunks:
        """Equal rows of counts as one, with their weight, in memory, where that leaves at most a share `most` of them
        and CHUNK_ROWS; else these chunks."""
        step = tested_step(len(self))
        if step > 1:
            some = self.take(np.arange(0, len(self), step))
            if not pays(some.distinct(len(some)), len(self), most):
                return self
        found: DistinctCounts | None = None
        with closing(self._blocks(CHUNK_ROWS)) as blocks:
            for block in blocks:
                more = block.distinct(int(most * len(block)))
                if more is None:
                    return self
                found = more if found is None else found + more
                if len(found) > CHUNK_ROWS:
                    return self
        assert found is not None
        return Rows.of_distinct(found, self.precision, self.backend, self.dtype)

    def fingerprint(self) -> str:
        """As that of Rows, and the same for the same rows."""
        found = hashlib.sha256()
        with closing(self._blocks(DIGEST_ROWS)) as blocks:
            for block in blocks:
                found.update(block.digest(slice(None)))
        return found.hexdigest()

    def parts(self, least: int) -> NoReturn:
        """Parts would be read as often as all rows are."""
        raise ValueError("warm_sweeps must be None with chunks: to read a part of the rows takes as long as all")

    def look_again(self) -> None:
        """Read all chunks; ValueError for the first value that is none."""
        for _ in self.source.read():
            pass

    def _blocks(self, length: int) -> Generator[Rows]:
        """One pass: the rows in blocks of whole slots, each read while the one before is in use."""
        n, self._passes = 0, self._passes + 1
        with closing(ahead(self._same(recut(self._arrays(), length), self._passes))) as blocks:
            for arrays in blocks:
                n += len(arrays[0])
                yield self._rows(arrays)
        if n != len(self):
            raise ValueError(
                f"chunks gave {n} rows in pass {self._passes}, but {len(self)} when they were first read: they must"
                " give the same rows in the same order each time"
            )

    def _arrays(self) -> Iterator[Arrays]:
        return (arrays for _, arrays in self.source.read(self._form))

    def _same(self, blocks: Iterator[Arrays], number: int) -> Iterator[Arrays]:
        """The blocks of a pass, as long as their rows are those of the first."""
        begin = 0
        for arrays in blocks:
            self._seen.refuse_others(begin, arrays, number)
            begin += len(arrays[0])
            yield arrays

    def _rows(self, arrays: Arrays) -> Rows:
        return Rows.of(arrays, self.source.has_trials, self.backend, self.dtype)


def open_chunks(
    chunks: Any,
    *,
    has_trials: bool = False,
    trials: int | None = None,
    fitting: bool = False,
    dtype: Any = None,
    backend: str = "auto",
    n_threads: int | None = None,
) -> Chunks:
    """Rows that come in chunks, to be swept often: `open_rows` for rows that need not fit in memory.

    Every sweep reads all chunks, a block ahead of the sums.  The sums have the same bits as those of the same rows in
    memory, however long the chunks are.  Memory is a few blocks of 16 MiB, or the longest chunk if that is more.

    Parameters
    ----------
    chunks : sequence, iterable or callable
        What gives the same chunks in every pass: a list, an object that can be iterated again and again, or a function
        that returns an iterator.  A chunk is X of shape (n_i, d) or a tuple: (X, sample_weight), or of counts
        (X, trials), (X, trials, sample_weight), where trials is one number, one for each row, or (n_i, d).  All have
        the same columns and precision, and weights or none.  Arrays may be used again for the next chunk.
    has_trials : bool, default=False
        Whether these are counts.
    trials : int, default=None
        Trials of the chunks that come without.
    fitting : bool, default=False
        Refuse rows that are too large for sums of squares.
    dtype, backend, n_threads
        As for `accumulate`.

    Returns
    -------
    Chunks
        A context manager with `sweep(params)` and `posteriors(params, *wanted)`, which goes from block to block.

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
    check_chunks(chunks)
    if trials is not None:
        trials = as_integer(trials, "trials", 0)
    return Chunks(Source(chunks, has_trials, trials, fitting), kernels, dtype)
