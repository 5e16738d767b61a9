"""Chunks of rows at the door: checked, named where something is wrong with one, cut to the slot grid, read ahead."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

import numpy as np

from fastem import inputs
from fastem.mapped import in_use
from fastem.stats import SLOT_ROWS

LONG_ROWS = 1 << 16
"""Of a chunk that is swept where it is: so few take about as long to sweep as to copy."""

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

    def read(self, *, first: bool = False) -> Iterator[Arrays]:
        """The chunks as arrays that kernels read; values are checked the first time."""
        form, begin = None, 0
        for index, chunk in self._numbered():
            try:
                arrays = self.arrays(chunk, check_values=first)
                found = form_of(arrays, self.has_trials)
                if form not in (None, found) and len(arrays[0]):
                    raise ValueError(f"{found}; the chunks before have {form}")
            except inputs.BadValueError as error:
                row, *column = error.index
                raise inputs.BadValueError(f"chunk {index}: {error.sentence}", (begin + row, *column)) from None
            except (ValueError, TypeError) as error:
                raise type(error)(f"chunk {index}, from row {begin}: {error}") from None
            if len(arrays[0]):
                form, begin = found, begin + len(arrays[0])
                yield arrays

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
        X = inputs.numeric(X, "X", whole=self.has_trials)
        if X.ndim and not len(X):
            return (X,)
        if self.has_trials:
            data: Arrays = inputs.counts(X, rows_first(self.trials if trials is None else trials))
        elif check_values:
            data = (inputs.matrix(X, fitting=self.fitting),)
        else:
            data = (inputs.two_dimensional(X, None, ""),)
        if sample_weight is None:
            return data
        weights = inputs.weights_like(sample_weight, len(X))
        return (*data, inputs.weights_of_part(weights) if check_values else weights)

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
