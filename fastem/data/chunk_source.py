"""Chunks of rows: read and checked, cut to the slot grid, prefetched.

Messages name the chunk in which something is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastem._typing import RowKind
from fastem.data.arrow import ArrowRows
from fastem.data.slots import SLOT_ROWS
from fastem.exceptions import BadValueError
from fastem.kernels.mapped import check_mapped, gather, in_use
from fastem.validation.arrays import (
    as_count_matrix,
    as_counts,
    as_matrix,
    as_numeric,
    as_weights,
    check_chunks,
    check_two_dimensional,
    check_weights,
)
from fastem.validation.missing import weight_of_values

T = TypeVar("T")

LONG_ROWS = 1 << 16
"""Rows of a chunk that is swept where it is: so few take about as long to sweep as to copy."""

SAMPLED_STEP = 1 << 10
"""One row of so many is compared in every pass with what it was: at most 2 % of the time of a sweep."""

ODD = 0x9E3779B97F4A7C15
"""The bits of the numbers of a row are multiplied by powers of this: 2^64 over the golden ratio."""

WEIGHT_ROUNDING = 1e-9
"""Relative: more than the sum of responsibilities in float64 can differ from the sum of the weights."""

Arrays = tuple[np.ndarray, ...]
"""(X,) or (X, trials), with sample_weight behind them where the chunks have weights."""
Chunk = ArrayLike | tuple[ArrayLike | None, ...]
"""X, or a tuple of X, trials where the rows have them, and sample_weight where they have weights."""
Chunkable = Iterable[Chunk] | Callable[[], Iterable[Chunk]]
"""What gives the same chunks in every pass."""
Outcome = tuple[T | None, BaseException | None]
"""A result, or what was raised in its place."""


class Form(NamedTuple):
    """What all chunks have in common."""

    n_features: int
    precision: np.dtype[np.floating]  # float32, or float64 for all that is not float32
    weighted: bool

    def __str__(self) -> str:
        weights = "with" if self.weighted else "without"
        return f"{self.n_features} columns read as {self.precision}, {weights} sample_weight"


@dataclass(frozen=True)
class Source:
    """Chunks that can be read again and again, or `once`.

    trials are those of counts whose chunk has none.  fitting refuses rows that are too large for sums of squares.
    missing says that values of X may be: NaN, or null.
    """

    chunks: Chunkable
    row_kind: RowKind = RowKind.REAL
    trials: int | None = None
    fitting: bool = False
    once: bool = False
    missing: bool = False

    def __post_init__(self) -> None:
        """Raise TypeError for what is no source, and ValueError for one that its first reading uses up.

        Arrow's nulls are read as NaN where values may be missing.
        """
        chunks = self.chunks
        if isinstance(chunks, (str, bytes, Mapping)) or not (callable(chunks) or isinstance(chunks, Iterable)):
            raise TypeError(
                "chunks must be a sequence of arrays, an object to iterate again and again, or a function that returns"
                f" an iterator, got {type(chunks).__name__}"
            )
        check_chunks(chunks)
        if isinstance(chunks, Iterator) and not self.once:
            raise ValueError(
                f"chunks are read more than once here, but a {type(chunks).__name__} is used up by the first pass: pass"
                " a list, or a function that returns a new iterator"
            )
        object.__setattr__(self, "chunks", self._as_rows(chunks))

    def read(self, expected: Form | None = None) -> Iterator[tuple[int, Arrays]]:
        """Yield the number and the arrays of each chunk.

        If `expected` is None, values are checked; later passes must have the form that the first one has found.
        """
        form, begin, when = expected, 0, "had {} when they were first read" if expected else "before have {}"
        for index, chunk in self._numbered():
            try:
                arrays = self.arrays(chunk, check_values=expected is None)
                found = form_of(arrays, self.row_kind)
                if form not in (None, found) and len(arrays[0]):
                    raise ValueError(f"{found}; the chunks {when.format(form)}")
            except BadValueError as error:
                row, *column = error.index
                raise BadValueError(f"chunk {index}: {error.sentence}", (begin + row, *column), error.advice) from None
            except (ValueError, TypeError) as error:
                raise type(error)(f"chunk {index}, from row {begin}: {error}") from None
            if len(arrays[0]):
                form, begin = found, begin + len(arrays[0])
                yield index, arrays

    def _numbered(self) -> Iterator[tuple[int, Chunk]]:
        """Yield chunks and their numbers; a note on what a source raises says which chunk was being read."""
        iterator = self._begin()
        for index in count():
            try:
                chunk = next(iterator)
            except StopIteration:
                return
            except Exception as error:
                error.add_note(f"while reading chunk {index} of {getattr(self.chunks, 'name', 'chunks')}")
                raise
            yield index, chunk

    def _begin(self) -> Iterator[Chunk]:
        """Begin a pass; TypeError or ValueError for a function that returns no chunks."""
        if isinstance(self.chunks, Iterable):
            return iter(self.chunks)
        try:
            chunks = self.chunks()
        except Exception as error:
            error.add_note("while calling chunks, without arguments, for a pass over the rows")
            raise
        if isinstance(chunks, (str, bytes, Mapping)) or not isinstance(chunks, Iterable):
            raise TypeError(f"chunks must be a function that returns an iterator, got one that returned {chunks!r:.60}")
        check_chunks(chunks)
        return iter(cast(Iterable[Chunk], self._as_rows(chunks)))

    def _as_rows(self, chunks: Chunkable) -> Chunkable:
        """Return what Arrow reads as chunks of this kind of rows; any others as they are."""
        return chunks.for_rows(self.row_kind, self.missing) if isinstance(chunks, ArrowRows) else chunks

    def arrays(self, chunk: Chunk, *, check_values: bool) -> Arrays:
        """Return a chunk as arrays that kernels read."""
        X, trials, sample_weight = self._parts(chunk)
        X = as_numeric(X, "X", whole=self.row_kind.is_counts)
        if X.ndim and not len(X):
            return (X,)
        if self.row_kind is RowKind.COUNTS_WITH_TRIALS:
            data: Arrays = as_counts(X, rows_first(self.trials if trials is None else trials), missing=self.missing)
        elif self.row_kind is RowKind.COUNTS:
            data = (as_count_matrix(X, missing=self.missing),)
        elif check_values:
            data = (as_matrix(X, fitting=self.fitting, missing=self.missing),)
        else:
            check_two_dimensional(X, None, "")
            data = (X,)
        drops_rows = self.missing and self.row_kind is RowKind.COUNTS_WITH_TRIALS
        if sample_weight is None and not drops_rows:
            return data
        weights = as_weights(sample_weight, len(X))
        if check_values:
            check_weights(weights)
        return (*data, weight_of_values(weights, *data) if drops_rows else weights)

    def _parts(self, chunk: Chunk) -> tuple[ArrayLike, ArrayLike | None, ArrayLike | None]:
        """Return X, trials, sample_weight; None where the chunk has none."""
        parts = chunk if isinstance(chunk, tuple) else (chunk,)
        names = (*self.row_kind.arrays, "sample_weight")
        if not 1 <= len(parts) <= len(names):
            raise ValueError(f"a chunk is X or a tuple ({', '.join(names)}), got a tuple of {len(parts)}")
        found = dict(zip(names, parts, strict=False))
        return found["X"], found.get("trials"), found.get("sample_weight")


def rows_first(trials: ArrayLike | None) -> ArrayLike | None:
    """Return (n,) trials of a chunk as those of its rows, (n, 1), however many columns it has."""
    return np.asarray(trials)[:, np.newaxis] if trials is not None and np.ndim(trials) == 1 else trials


def form_of(arrays: Arrays, row_kind: RowKind) -> Form:
    """Return the form of a chunk."""
    X = arrays[0]
    precision: type[np.floating] = np.float32 if X.dtype == np.float32 else np.float64
    return Form(X.shape[-1], np.dtype(precision), len(arrays) > len(row_kind.arrays))


class FirstPass:
    """What the first pass over the rows has found: how many there are, and the digest of one of every SAMPLED_STEP.

    Rows are known by their number, so that later passes may cut them otherwise.
    """

    def __init__(self) -> None:
        self.n = 0
        self._digests: list[NDArray[np.uint64]] = []
        self._chunks: list[NDArray[np.intp]] = []

    def add(self, chunk: int, arrays: Arrays) -> None:
        """Add the next chunk."""
        positions = np.arange(-self.n % SAMPLED_STEP, len(arrays[0]), SAMPLED_STEP)
        if len(positions):
            self._digests.append(digests(tuple(gather(array, positions) for array in arrays)))
            self._chunks.append(np.full(len(positions), chunk))
        self.n += len(arrays[0])

    def complete(self) -> None:
        """Say that the first pass has ended."""
        self._digests, self._chunks = [np.concatenate(self._digests)], [np.concatenate(self._chunks)]

    def check_rows(self, begin: int, arrays: Arrays, number: int) -> None:
        """Raise ValueError for other rows in pass `number`, from row `begin`, a multiple of SAMPLED_STEP."""
        (before,), (chunks,) = self._digests, self._chunks
        place = begin // SAMPLED_STEP
        expected = before[place : place + -(-len(arrays[0]) // SAMPLED_STEP)]
        differ = np.flatnonzero(expected != digests(sampled(arrays))[: len(expected)])
        if len(differ):
            first = place + int(differ[0])
            raise ValueError(
                f"chunk {chunks[first]}: row {first * SAMPLED_STEP} is another one in pass {number} than when it was"
                " first read: chunks must give the same rows in the same order each time"
            )


def sampled(arrays: Arrays) -> Arrays:
    """Return one row of every SAMPLED_STEP, the first of each."""
    check_mapped(*arrays)
    return tuple(array[::SAMPLED_STEP] for array in arrays)


def digests(arrays: Arrays) -> NDArray[np.uint64]:
    """Return (m,) digests of m rows: a sum, modulo 2^64, of the bits of their numbers times odd ones.

    A row with one other number always has another digest.  The type of whole numbers does not show.
    """
    columns = [array.reshape(len(array), -1).astype(np.float64) for array in arrays]
    bits = np.ascontiguousarray(np.concatenate(columns, axis=1)).view(np.uint64)
    return np.asarray(np.einsum("nj,j->n", bits, np.cumprod(np.full(bits.shape[1], ODD, np.uint64))))


def check_same_weight(found: float, before: float) -> None:
    """Raise ValueError where the weights of a later pass have another sum, up to rounding."""
    if not abs(found - before) <= WEIGHT_ROUNDING * before:
        raise ValueError(
            f"sample_weight: the weights add up to {found}, but to {before} when they were first read: they must be the"
            " same in each pass"
        )


def rechunk(chunks: Iterator[Arrays], length: int) -> Iterator[Arrays]:
    """Yield the same rows in buffers of whole slots, at most `length` rows; the last one may end within a slot.

    Rows are copied, since a source may use its arrays again; long read-only arrays are read where they are.
    """
    buffer = RowBuffer(length)
    for chunk in chunks:
        n, begin = len(chunk[0]), 0
        if n >= LONG_ROWS and not any(array.flags.writeable for array in chunk):
            begin = buffer.append(rows_of(chunk, 0, -buffer.n % SLOT_ROWS))
            if buffer.n:
                yield buffer.pop()
            end = n - (n - begin) % SLOT_ROWS
            yield from (rows_of(chunk, at, min(at + length, end)) for at in range(begin, end, length))
            begin = end
        while begin < n:
            begin += buffer.append(rows_of(chunk, begin, begin + buffer.free))
            if not buffer.free:
                yield buffer.pop()
    if buffer.n:
        yield buffer.pop()


def part_of(arrays: Arrays, mask: np.ndarray, row_kind: RowKind) -> Arrays:
    """Return the rows that a mask (n,) of bools chooses; if it holds shares, all rows with these of their weights."""
    if mask.dtype == np.bool_:
        return tuple(array[mask] for array in arrays)
    count = len(row_kind.arrays)
    return *arrays[:count], mask * arrays[count] if len(arrays) > count else mask


def rows_of(arrays: Arrays, begin: int, end: int) -> Arrays:
    """Return views of some rows."""
    return tuple(array[begin:end] for array in arrays)


class RowBuffer:
    """Arrays to which rows are copied, until there are `length` of them."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.n = 0
        self._arrays: list[np.ndarray] = []

    def append(self, rows: Arrays) -> int:
        """Copy rows, for which there must be place; return how many they are."""
        begin, n = self.n, len(rows[0])
        if not begin:
            self._arrays = [np.empty((self.length, *array.shape[1:]), array.dtype) for array in rows]
        for i, array in enumerate(rows):
            self._arrays[i] = self._arrays[i].astype(np.result_type(self._arrays[i], array), copy=False)  # of counts
            with in_use(array):
                self._arrays[i][begin : begin + n] = array
        self.n += n
        return n

    @property
    def free(self) -> int:
        """The number of rows that may be appended."""
        return self.length - self.n

    def pop(self) -> Arrays:
        """Return the rows; none are left."""
        n, self.n = self.n, 0
        return rows_of(tuple(self._arrays), 0, n)


def prefetch(items: Iterator[T]) -> Generator[T]:
    """Yield the same items, each read by a thread while the one before is in use; the thread ends with the iteration.

    Unlike those of an executor, its queues cannot be left locked by an interruption.
    """
    wanted: SimpleQueue[bool] = SimpleQueue()
    found: SimpleQueue[Outcome[T]] = SimpleQueue()

    def read() -> None:
        while wanted.get():
            try:
                found.put((next(items, None), None))
            except BaseException as error:  # noqa: BLE001 - for the other thread to raise
                found.put((None, error))

    reader = Thread(target=read, name="fastem-reader", daemon=True)
    reader.start()
    try:
        wanted.put(True)
        while (item := result_or_raise(*found.get())) is not None:
            wanted.put(True)
            yield item
    finally:
        wanted.put(False)
        reader.join()


def result_or_raise(result: T | None, error: BaseException | None) -> T | None:
    """Return the result, or raise the error that stands in its place."""
    if error is not None:
        raise error
    return result
