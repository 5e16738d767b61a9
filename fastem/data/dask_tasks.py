"""What tasks work out of the blocks of a Dask collection, where they are: values that travel and add up."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from operator import add
from typing import Any, NamedTuple

import numpy as np

from fastem._typing import Array
from fastem.data.base import total_of
from fastem.data.chunk_source import Arrays, Form, Source, digests, form_of, sampled
from fastem.data.distinct import CHUNK_ROWS, DistinctCounts
from fastem.data.rows import Rows
from fastem.data.slots import LOWEST_LOGLIK, fold
from fastem.kernels.backend import Backend
from fastem.validation.arrays import extremes, total_weight


@dataclass(frozen=True)
class Reader:
    """How a task reads its block; one thread for each, since a worker runs as many tasks as it has threads."""

    source: Source
    dtype: Any
    backend: str
    n_threads: int

    def checked(self, *parts: Any) -> Arrays | Exception:
        """A block, or what is wrong with it: only who knows the blocks before it can say where that is."""
        try:
            return self.source.arrays(named_parts(parts), check_values=True)
        except (ValueError, TypeError) as error:
            return error

    def unchecked(self, *parts: Any) -> Arrays:
        return self.source.arrays(named_parts(parts), check_values=False)

    def rows(self, arrays: Arrays) -> Rows:
        return Rows.of(arrays, self.source.has_trials, Backend(self.backend, self.n_threads), self.dtype)

    def surveyed(self, arrays: Arrays | Exception) -> Survey | Exception:
        if isinstance(arrays, Exception) or not len(arrays[0]):
            return arrays if isinstance(arrays, Exception) else NO_ROWS
        rows, counts = self.rows(arrays), self.source.has_trials
        return Survey(
            len(rows),
            form_of(arrays, counts),
            rows.single,
            rows.most_trials if counts else 0,
            total_weight(rows.sample_weight),
            np.abs(np.stack(extremes(rows.data[0]))).max(keepdims=True),
            digest_of(arrays),
        )

    def same(self, arrays: Arrays | Exception, *, call: Callable[[Arrays], Any], block: Block) -> Any:
        """What `call` makes of a block, which must be the one that was looked at: Dask may have made it anew."""
        if isinstance(arrays, Exception):
            raise ValueError(f"{block}: when it was read again, {arrays}")
        if len(arrays[0]) != block.n:
            raise ValueError(f"{block}: {len(arrays[0])} rows; it had {block.n} when it was first read")
        if (found := form_of(arrays, self.source.has_trials)) != block.form:
            raise ValueError(f"{block}: {found}; it had {block.form} when it was first read")
        if digest_of(arrays) != block.digest:
            raise ValueError(
                f"{block}: other rows than when it was first read; blocks must have the same rows each time, so"
                " random numbers need a seed of their own for each block"
            )
        return call(arrays)

    def taken(self, arrays: Arrays, positions: np.ndarray) -> Arrays:
        few = self.rows(arrays).take(positions)
        return *few.data, few.sample_weight

    def first_weighted(self, arrays: Arrays, size: int) -> np.ndarray:
        return self.rows(arrays).first_weighted(size)

    def distinct(self, arrays: Arrays) -> DistinctCounts | None:
        return few_enough(self.rows(arrays).distinct(len(arrays[0])))

    def summed(self, arrays: Arrays, call: Callable[[Rows], Any]) -> Any:
        return call(self.rows(arrays))

    def digest(self, arrays: Arrays) -> bytes:
        return self.rows(arrays).digest(slice(None))


def named_parts(parts: Sequence[Any]) -> tuple[Any, ...]:
    """As a chunk has them: what is left out at the end is not there."""
    return tuple(parts) if parts[-1] is not None else named_parts(parts[:-1])


def digest_of(arrays: Arrays) -> bytes:
    """Of one row of every SAMPLED_STEP of a block."""
    return hashlib.sha256(digests(sampled(arrays)).tobytes()).digest()


class Block(NamedTuple):
    """What a task knows of its block from the first time it was read."""

    number: int
    begin: int  # the first of its rows
    n: int
    form: Form
    digest: bytes

    def __str__(self) -> str:
        return f"block {self.number}, from row {self.begin}"


class Survey(NamedTuple):
    """What all blocks are looked at for, once."""

    n: int
    form: Form | None
    single: bool
    most_trials: int
    weight: float
    largest: np.ndarray  # (1,) in magnitude, in the type of the rows
    digest: bytes


NO_ROWS = Survey(0, None, False, 0, 0.0, np.zeros(1), b"")


class Sums(NamedTuple):
    """Of a block, or of several.  loglik and base are numbers of which the sum is exact, whatever they are added to."""

    sums: Array  # (slots, m), or (1, m) where they are folded
    loglik: list[float]
    base: list[float]


@dataclass(frozen=True)
class Sweep:
    """What a task does with the rows of its block: it has the parameters with it."""

    reader: Reader
    params: Any
    single: bool
    by_slot: bool
    with_base: bool

    def __call__(self, arrays: Arrays) -> Sums:
        rows, params, tables = self.reader.rows(arrays), self.params, self.params.tables()
        if self.by_slot:
            sums = rows.slot_sums(params, tables, self.single)
            logliks = sums[:, -2].tolist()
        else:
            folded, logliks = rows.added(None, params, tables, self.single)
            sums = folded[np.newaxis]
        base = rows.base_parts(params) if self.with_base else []
        return Sums(sums, exact(logliks), exact(base))


def added(parts: Sequence[Sums]) -> Sums:
    """The sums of blocks, folded in their order as slots in memory are."""
    sums, logliks, bases = zip(*parts, strict=True)
    with np.errstate(over="ignore"):  # of the log likelihood, which stands beside them
        folded = fold(np.concatenate([np.zeros((1, sums[0].shape[1])), *sums]))
    return Sums(folded[np.newaxis], exact([*chain(*logliks)]), exact([*chain(*bases)]))


def exact(values: list[float]) -> list[float]:
    """A few numbers of which the exact sum is that of all values: what math.fsum left out is summed again."""
    parts: list[float] = []
    while (rest := total_of([*values, *(-part for part in parts)])) and math.isfinite(rest):
        if rest == LOWEST_LOGLIK:
            return [rest]
        parts.append(rest)
    return parts if rest == 0 else [rest]


def plus(parts: Sequence[Any]) -> Any:
    return reduce(add, parts)


def few_enough(found: DistinctCounts | None) -> DistinctCounts | None:
    return None if found is None or len(found) > CHUNK_ROWS else found


def merged(parts: Sequence[DistinctCounts | None]) -> DistinctCounts | None:
    """None where there are more than a fit would collapse."""
    return reduce(lambda a, b: None if a is None or b is None else few_enough(a + b), parts)
