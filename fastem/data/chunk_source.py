"""Chunks of rows at the door: checked, named where something is wrong with one, cut to the slot grid, read ahead."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

import numpy as np

from fastem.data.slots import SLOT_ROWS
from fastem.exceptions import BadValueError
from fastem.kernels.mapped import gather, in_use, still_there
from fastem.validation.arrays import (
    as_counts,
    as_matrix,
    as_numeric,
    as_weights,
    check_two_dimensional,
    check_weights,
)

LONG_ROWS = 1 << 16
"""Of a chunk that is swept where it is: so few take about as long to sweep as to copy."""

SAMPLED_STEP = 1 << 10
"""One row of so many is looked at in every pass, whether it is what it was: at most 2 % of the time of a sweep."""

ODD = 0x9E3779B97F4A7C15
"""By powers of this the bits of the numbers of a row are multiplied: 2^64 over the golden ratio."""

WEIGHT_ROUNDING = 1e-9
"""Relatively: more than responsibilities that are summed in float64 may differ from the sum of the weights by."""

Arrays = tuple[np.ndarray, ...]
"""(X,) or (X, trials), with sample_weight behind them where the chunks have weights."""


class Form(NamedTuple):
    """What all chunks have in common."""

    n_features: int
    precision: np.dtype  # float32, or float64 for all that is not float32
    weighted: bool

    def __str__(self) -> str:
        weights = "with" if self.weighted else "without"
        return f"{self.n_features} columns read as {self.precision}, {weights} sample_weight"


@dataclass(frozen=True)
class Source:
    """Chunks that can be read again and again.

    trials are those of counts whose chunk has none.  fitting refuses rows that are too large for sums of squares.
    """

    chunks: Any
    has_trials: bool = False
    trials: int | None = None
    fitting: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no source, or one that its first reading uses up."""
        chunks = self.chunks
        if isinstance(chunks, (str, bytes, Mapping)) or not (callable(chunks) or hasattr(chunks, "__iter__")):
            raise TypeError(
                "chunks must be a sequence of arrays, an object to iterate again and again, or a function that returns"
                f" an iterator, got {type(chunks).__name__}"
            )
        if isinstance(chunks, Iterator):
            raise ValueError(
                f"chunks are read in every sweep, but a {type(chunks).__name__} is used up by the first: pass a list,"
                " or a function that returns a new iterator"
            )

    def read(self, expected: Form | None = None) -> Iterator[tuple[int, Arrays]]:
        """The chunks by number, as arrays that kernels read.  Values are checked the first time; later all have the
        form that they had then."""
        form, begin, when = expected, 0, "had {} when they were first read" if expected else "before have {}"
        for index, chunk in self._numbered():
            try:
                arrays = self.arrays(chunk, check_values=expected is None)
                found = form_of(arrays, self.has_trials)
                if form not in (None, found) and len(arrays[0]):
                    raise ValueError(f"{found}; the chunks {when.format(form)}")
            except BadValueError as error:
                row, *column = error.index
                raise BadValueError(f"chunk {index}: {error.sentence}", (begin + row, *column)) from None
            except (ValueError, TypeError) as error:
                raise type(error)(f"chunk {index}, from row {begin}: {error}") from None
            if len(arrays[0]):
                form, begin = found, begin + len(arrays[0])
                yield index, arrays

    def _numbered(self) -> Iterator[tuple[int, Any]]:
        """Chunks and their numbers; what a source raises says which chunk was being read."""
        iterator = iter(self.chunks if hasattr(self.chunks, "__iter__") else self.chunks())
        for index in count():
            try:
                chunk = next(iterator)
            except StopIteration:
                return
            except Exception as error:
                error.add_note(f"while reading chunk {index} of {getattr(self.chunks, 'name', 'chunks')}")
                raise
            yield index, chunk

    def arrays(self, chunk: Any, *, check_values: bool) -> Arrays:
        """A chunk as arrays that kernels read."""
        X, trials, sample_weight = self._parts(chunk)
        X = as_numeric(X, "X", whole=self.has_trials)
        if X.ndim and not len(X):
            return (X,)
        if self.has_trials:
            data: Arrays = as_counts(X, rows_first(self.trials if trials is None else trials))
        elif check_values:
            data = (as_matrix(X, fitting=self.fitting),)
        else:
            check_two_dimensional(X, None, "")
            data = (X,)
        if sample_weight is None:
            return data
        weights = as_weights(sample_weight, len(X))
        if check_values:
            check_weights(weights)
        return (*data, weights)

    def _parts(self, chunk: Any) -> tuple[Any, Any, Any]:
        """X, trials, sample_weight; None where the chunk has none."""
        parts = chunk if isinstance(chunk, tuple) else (chunk,)
        names = ("X", "trials", "sample_weight") if self.has_trials else ("X", "sample_weight")
        if not 1 <= len(parts) <= len(names):
            raise ValueError(f"a chunk is X or a tuple ({', '.join(names)}), got a tuple of {len(parts)}")
        found = dict(zip(names, parts, strict=False))
        return found["X"], found.get("trials"), found.get("sample_weight")


def rows_first(trials: Any) -> Any:
    """(n,) trials of a chunk belong to its rows, however many columns it has."""
    return np.asarray(trials)[:, np.newaxis] if np.ndim(trials) == 1 else trials


def form_of(arrays: Arrays, has_trials: bool) -> Form:
    X = arrays[0]
    single = X.dtype == np.float32
    return Form(X.shape[-1], np.dtype(np.float32 if single else np.float64), len(arrays) > 1 + has_trials)


class Seen:
    """What the first pass over the rows has seen: how many there are, and one of every SAMPLED_STEP, by its digest.

    Rows are known by their number, so that later passes may cut them otherwise.
    """

    def __init__(self) -> None:
        self.n = 0
        self._digests: list[np.ndarray] = []
        self._chunks: list[np.ndarray] = []

    def add(self, chunk: int, arrays: Arrays) -> None:
        """The next chunk of the first pass."""
        positions = np.arange(-self.n % SAMPLED_STEP, len(arrays[0]), SAMPLED_STEP)
        if len(positions):
            self._digests.append(digests(tuple(gather(array, positions) for array in arrays)))
            self._chunks.append(np.full(len(positions), chunk))
        self.n += len(arrays[0])

    def complete(self) -> None:
        """The first pass has ended."""
        self._digests, self._chunks = [np.concatenate(self._digests)], [np.concatenate(self._chunks)]

    def refuse_others(self, begin: int, arrays: Arrays, number: int) -> None:
        """ValueError for other rows from `begin`, a multiple of SAMPLED_STEP, on: those of pass `number`."""
        (digests_then,), (chunks,) = self._digests, self._chunks
        place = begin // SAMPLED_STEP
        then = digests_then[place : place + -(-len(arrays[0]) // SAMPLED_STEP)]
        differ = np.flatnonzero(then != digests(sampled(arrays))[: len(then)])
        if len(differ):
            first = place + int(differ[0])
            raise ValueError(
                f"chunk {chunks[first]}: row {first * SAMPLED_STEP} is another one in pass {number} than when it was"
                " first read: chunks must give the same rows in the same order each time"
            )


def sampled(arrays: Arrays) -> Arrays:
    """One row of every SAMPLED_STEP, the first of each."""
    still_there(*arrays)
    return tuple(array[::SAMPLED_STEP] for array in arrays)


def digests(arrays: Arrays) -> np.ndarray:
    """(m,) uint64 of m rows: a sum, modulo 2^64, of the bits of their numbers times odd ones.

    A row with one other number always has another digest.  The type of whole numbers does not show.
    """
    columns = [array.reshape(len(array), -1).astype(np.float64) for array in arrays]
    bits = np.ascontiguousarray(np.concatenate(columns, axis=1)).view(np.uint64)
    return np.asarray(np.einsum("nj,j->n", bits, np.cumprod(np.full(bits.shape[1], ODD, np.uint64))))


def refuse_other_weights(found: float, before: float) -> None:
    """ValueError where weights of a later pass have another sum, up to rounding."""
    if not abs(found - before) <= WEIGHT_ROUNDING * before:
        raise ValueError(
            f"sample_weight: the weights add up to {found}, but to {before} when they were first read: they must be the"
            " same in each pass"
        )


def recut(chunks: Iterator[Arrays], length: int) -> Iterator[Arrays]:
    """The same rows in blocks of whole slots, `length` rows at the most; the last block may end within a slot.

    Rows are copied, since a source may use its arrays again; long read-only arrays are read where they are.
    """
    gathered = Gathered(length)
    for chunk in chunks:
        n, begin = len(chunk[0]), 0
        if n >= LONG_ROWS and not any(array.flags.writeable for array in chunk):
            begin = gathered.add(part(chunk, 0, -gathered.rows % SLOT_ROWS))
            if gathered.rows:
                yield gathered.take()
            end = n - (n - begin) % SLOT_ROWS
            yield from (part(chunk, at, min(at + length, end)) for at in range(begin, end, length))
            begin = end
        while begin < n:
            begin += gathered.add(part(chunk, begin, begin + gathered.room))
            if not gathered.room:
                yield gathered.take()
    if gathered.rows:
        yield gathered.take()


def part(arrays: Arrays, begin: int, end: int) -> Arrays:
    return tuple(array[begin:end] for array in arrays)


class Gathered:
    """Rows that are being gathered into arrays of their own, until they make a block."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.rows = 0
        self._arrays: list[np.ndarray] = []

    def add(self, piece: Arrays) -> int:
        """-> how many rows that were; there must be room for them."""
        begin, n = self.rows, len(piece[0])
        if not begin:
            self._arrays = [np.empty((self.length, *array.shape[1:]), array.dtype) for array in piece]
        for i, array in enumerate(piece):
            self._arrays[i] = self._arrays[i].astype(np.result_type(self._arrays[i], array), copy=False)  # of counts
            with in_use(array):
                self._arrays[i][begin : begin + n] = array
        self.rows += n
        return n

    @property
    def room(self) -> int:
        return self.length - self.rows

    def take(self) -> Arrays:
        """The rows gathered so far; none are left."""
        n, self.rows = self.rows, 0
        return part(tuple(self._arrays), 0, n)


def ahead(items: Iterator[Any]) -> Generator[Any]:
    """The same items, each read by a thread while the one before is in use; the thread ends with the pass.

    Its queues are those that an interruption cannot leave locked, as it can an executor.
    """
    wanted: SimpleQueue[bool] = SimpleQueue()
    found: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

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
        while (item := received(*found.get())) is not None:
            wanted.put(True)
            yield item
    finally:
        wanted.put(False)
        reader.join()


def received(item: Any, error: BaseException | None) -> Any:
    if error is not None:
        raise error
    return item
