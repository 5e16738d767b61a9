"""What tasks compute from the partitions of a Dask collection, where they are: values that travel and add up."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from operator import add
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastem._typing import Array, DType, SweptParams, SweptStats
from fastem.data.base import total_of
from fastem.data.chunk_source import Arrays, Chunk, Form, Source, digests, form_of, part_of, sampled
from fastem.data.dask_runner import Delayed
from fastem.data.distinct import CHUNK_ROWS, DistinctCounts
from fastem.data.rows import Rows
from fastem.data.slots import LOWEST_LOGLIK, fold
from fastem.kernels.backend import Backend
from fastem.validation.arrays import total_weight
from fastem.validation.extremes import extremes
from fastem.validation.missing import has_missing, with_values

T = TypeVar("T")


@dataclass(frozen=True)
class Reader:
    """How a task reads its partition; one thread for each, since a worker runs as many tasks as it has threads."""

    source: Source
    dtype: DType
    backend: str
    n_threads: int
    has_missing: bool = False

    def checked(self, *parts: ArrayLike | None) -> Arrays | Exception:
        """Return a partition, or what is wrong with it: to say in which row takes the lengths of those before it."""
        try:
            return self.source.arrays(as_chunk(parts), check_values=True)
        except (ValueError, TypeError) as error:
            return error

    def unchecked(self, *parts: ArrayLike | None) -> Arrays:
        """Return a partition whose values have been checked before."""
        return self.source.arrays(as_chunk(parts), check_values=False)

    def rows(self, arrays: Arrays) -> Rows:
        """Return the rows of a partition."""
        backend = Backend(self.backend, self.n_threads)
        return Rows.of(arrays, self.source.row_kind, backend, self.dtype, self.has_missing)

    def surveyed(self, arrays: Arrays | Exception) -> Survey | Exception:
        """Return the survey of a partition, or what is wrong with it."""
        if isinstance(arrays, Exception) or not len(arrays[0]):
            return arrays if isinstance(arrays, Exception) else NO_ROWS
        rows = self.rows(arrays)
        return Survey(
            len(rows),
            form_of(arrays, self.source.row_kind),
            rows.float32,
            rows.most_trials,
            total_weight(rows.weight_of_values),
            np.abs(np.stack(extremes(rows.data[0], self.source.missing))).max(keepdims=True),
            digest_of(arrays),
            self.source.missing and has_missing(rows.data[0]),
            with_values(*rows.data, weights=rows.sample_weight)
            if self.source.missing
            else np.ones(rows.n_features, np.bool_),
            rows.n_empty_rows if self.source.missing else 0,
        )

    def same(
        self,
        arrays: Arrays | Exception,
        mask: np.ndarray | None,
        *,
        call: Callable[[Arrays], T],
        known: Partition,
    ) -> T:
        """Return what `call` makes of a partition, or of what a mask (n,) leaves of it: see `part_of`.

        It must be as before: Dask may have made it again.
        """
        if isinstance(arrays, Exception):
            raise ValueError(f"{known}: when it was read again, {arrays}")
        if len(arrays[0]) != known.n:
            raise ValueError(f"{known}: {len(arrays[0])} rows; it had {known.n} when it was first read")
        if (found := form_of(arrays, self.source.row_kind)) != known.form:
            raise ValueError(f"{known}: {found}; it had {known.form} when it was first read")
        if digest_of(arrays) != known.digest:
            raise ValueError(
                f"{known}: other rows than when it was first read; partitions must have the same rows each time, so"
                " random numbers need a seed of their own for each partition"
            )
        return call(arrays if mask is None else part_of(arrays, mask, self.source.row_kind))

    def weight(self, arrays: Arrays) -> float:
        """Return the total weight of the rows that have values."""
        return total_weight(self.rows(arrays).weight_of_values)

    def taken(self, arrays: Arrays, positions: np.ndarray) -> Arrays:
        """Return the rows at these positions, with their weights."""
        rows = self.rows(arrays).take(positions)
        return *rows.data, rows.sample_weight

    def first_weighted(self, arrays: Arrays, size: int) -> np.ndarray:
        """Return the positions of the first `size` rows that have weight."""
        return self.rows(arrays).first_weighted(size)

    def distinct(self, arrays: Arrays) -> DistinctCounts | None:
        """Return the distinct rows of counts; None where there are too many."""
        return few_enough(self.rows(arrays).distinct(len(arrays[0])))

    def summed(self, arrays: Arrays, call: Callable[[Rows], T]) -> T:
        """Return what `call` makes of the rows."""
        return call(self.rows(arrays))

    def digest(self, arrays: Arrays) -> bytes:
        """Return the SHA-256 of the rows."""
        return self.rows(arrays).digest(slice(None))


def as_chunk(parts: tuple[ArrayLike | None, ...]) -> Chunk:
    """Return X, trials and sample_weight as a chunk has them: without those at the end that are None."""
    return parts if parts[-1] is not None else as_chunk(parts[:-1])


def digest_of(arrays: Arrays) -> bytes:
    """Return the SHA-256 of one row of every SAMPLED_STEP."""
    return hashlib.sha256(digests(sampled(arrays)).tobytes()).digest()


class Partition(NamedTuple):
    """What the first reading of a partition has found."""

    number: int
    begin: int  # the first of its rows
    n: int
    form: Form
    digest: bytes

    def __str__(self) -> str:
        return f"partition {self.number}, from row {self.begin}"


class Piece(NamedTuple):
    """The rows of a partition that a fit has: all of them, those that are chosen, or all with shares of weight."""

    partition: Delayed
    known: Partition
    begin: int  # the first of them among all that the fit has
    n: int
    chosen: np.ndarray | None = None  # (known.n,) see `part_of`
    mask: Delayed = None  # the same, where the partition is

    def where(self, chosen: NDArray[np.bool_], begin: int) -> Piece:
        """Return some of these rows (n,), the first of which has a new place; their mask is still to be sent."""
        of_all = chosen
        if self.chosen is not None:
            of_all = self.chosen.copy()
            of_all[self.chosen] = chosen
        return self._replace(begin=begin, n=int(chosen.sum()), chosen=of_all, mask=None)

    def weighted(self, shares: Array) -> Piece:
        """Return these rows, of which none has been chosen, with shares (n,) of their weights, still to be sent."""
        assert self.chosen is None
        return self._replace(chosen=shares, mask=None)


class Survey(NamedTuple):
    """The answers of a partition, which is asked once, when rows are opened."""

    n: int
    form: Form | None
    float32: bool
    most_trials: int
    weight: float
    largest: np.ndarray  # (1,) in magnitude, in the type of the rows
    digest: bytes
    has_missing: bool
    seen: NDArray[np.bool_]  # (d,) columns that have any value
    n_empty_rows: int


NO_ROWS = Survey(0, None, False, 0, 0.0, np.zeros(1), b"", False, np.zeros(1, np.bool_), 0)


class PartSums(NamedTuple):
    """The sums of one partition or of several.  loglik and base are numbers that are added exactly, in any order."""

    sums: Array  # (slots, m), or (1, m) where they are folded
    loglik: list[float]
    base: list[float]


@dataclass(frozen=True)
class Sweep:
    """A task that sums the rows of a partition; it carries the parameters with it."""

    reader: Reader
    params: SweptParams[SweptStats]
    float32: bool
    by_slot: bool
    with_base: bool

    def __call__(self, arrays: Arrays) -> PartSums:
        """Return the sums of the partition: those of each slot, or folded (1, m)."""
        rows = self.reader.rows(arrays)
        params = rows.swept_with(self.params)
        if self.float32:
            params = params.in_float32()
        tables = params.tables()
        if self.by_slot:
            sums = rows.slot_sums(params, tables, self.float32)
            logliks = sums[:, -2].tolist()
        else:
            folded, logliks = rows.add_sums(None, params, tables, self.float32)
            sums = folded[np.newaxis]
        base = rows.base_terms(params) if self.with_base else []
        return PartSums(sums, exact(logliks), exact(base))


def added(parts: Sequence[PartSums]) -> PartSums:
    """Add the sums of partitions in their order, as slots in memory are folded."""
    sums, logliks, bases = zip(*parts, strict=True)
    with np.errstate(over="ignore"):  # of the log likelihood, which stands beside them
        folded = fold(np.concatenate([np.zeros((1, sums[0].shape[1])), *sums]))
    return PartSums(folded[np.newaxis], exact([*chain(*logliks)]), exact([*chain(*bases)]))


def exact(values: list[float]) -> list[float]:
    """Return a few numbers with the same exact sum as all values: what math.fsum rounds off is summed again."""
    parts: list[float] = []
    while (rest := total_of([*values, *(-part for part in parts)])) and math.isfinite(rest):
        if rest == LOWEST_LOGLIK:
            return [rest]
        parts.append(rest)
    return parts if rest == 0 else [rest]


def add_parts(parts: Sequence[T]) -> T:
    """Return the sum of what tasks have found, by the plus of its type."""
    return reduce(add, parts)


def few_enough(found: DistinctCounts | None) -> DistinctCounts | None:
    """Return the distinct rows; None where there are more than CHUNK_ROWS."""
    return None if found is None or len(found) > CHUNK_ROWS else found


def merged(parts: Sequence[DistinctCounts | None]) -> DistinctCounts | None:
    """Merge the distinct rows of partitions; None where there are more than a fit would collapse."""
    return reduce(lambda a, b: None if a is None or b is None else few_enough(a + b), parts)
