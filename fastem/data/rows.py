"""One pass over the data: parameters in, statistics or posteriors out.  Rows in memory; nothing of size n is made
but what the caller asks for."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any, Protocol, Self

import numpy as np

from fastem._errstate import own_methods
from fastem._public import public
from fastem._typing import Array
from fastem.data.base import KERNELS_TELL, OnBackend, Posterior, total_of
from fastem.data.distinct import MOST_DISTINCT, DistinctCounts, distinct_rows, of_chunk
from fastem.data.slots import SLOT_ROWS, as_table, fold, slot_count
from fastem.kernels.backend import Backend
from fastem.kernels.linear import dot
from fastem.kernels.mapped import Mapping, gather, in_use, rows_at_a_time
from fastem.validation.arrays import as_weights, check_finite
from fastem.validation.parameters import as_float64, check_matrix, check_rows_match_params, check_shape
from fastem.validation.settings import check_choice

WAVE_BYTES = 1 << 25
"""Sums of this many bytes are held at a time before they are folded: the memory of a fit, whatever n is."""
DIGEST_ROWS = 1 << 18
"""Rows that are hashed at a time; a fingerprint depends on it."""
WAVE_WORK = 1 << 29
"""Rows x sums of a slot in one call of the kernels, a tenth of a second or two: an interruption waits for its end."""
PORTION_ROWS = 256
"""A tile of either twin."""
DENSITY_WORK = 32
"""Of a density, in elements of the tables: the exponential, and what is written of it."""
PORTION_WORK = 1 << 26
"""Rows x elements of the tables in one call of a posterior for each thread: some hundredths of a second.  It is shorter
than that of sums, since nothing is folded, and a row and component write a number to memory that is touched first."""
PART_STEPS = (1021, 251, 61, 13)
"""Primes about four apart: a period of the rows shows in no part, unless it is a multiple of one of them."""


@public
@own_methods
class Rows(OnBackend):
    """Rows in memory, ready to be swept.  A context manager: its threads live as long as it is open.

    data are arrays of n rows that a kernel of the family reads: (X,) or (X, trials).  dtype is that of the arithmetic:
    float64, or None for that of the rows; then sums of a tile are float32 where weights and parameters allow it.
    """

    def __init__(self, data: tuple[np.ndarray, ...], sample_weight: Array, backend: Backend, dtype: Any = None) -> None:
        self.data = data
        self.sample_weight = sample_weight
        self.backend = backend
        self.dtype = dtype
        self._base_measure: float | None = None
        self._mapped = [array for array in (*data, sample_weight) if Mapping.of(array)]
        unit = sample_weight.strides == (0,) and sample_weight[0] == 1.0
        self.single = backend.has_single and data[0].dtype == np.float32 and dtype is None and unit

    def __len__(self) -> int:
        return len(self.sample_weight)

    def sweep(self, params: Any) -> Any:
        """The statistics of all rows at `params`: one fused E-step and accumulation."""
        self.match(params)
        tables = params.tables()
        single = self.single and params.single_is_enough(tables)
        sums, logliks = self.added(None, params, tables, single)
        return self.named(params, sums, total_of(logliks) + self._log_base_measure(params), single)

    def look_again(self) -> None:
        """ValueError for the first value of the rows that is not finite."""
        names = ("X", "trials") if len(self.data) == 2 else ("X",)
        for array, name in zip((*self.data, self.sample_weight), (*names, "sample_weight"), strict=True):
            check_finite(array, name)

    def added(self, total: Array | None, params: Any, tables: Any, single: bool) -> tuple[Array, list[float]]:
        """The sums of these rows added to those of the rows before, and the log likelihood of each slot."""
        name, rows = f"accumulate_{params.kernel}", (*self.data, self.sample_weight)
        return self._summed(name, rows, tables, (), params.sums_length, single, total)

    def slot_sums(self, params: Any, tables: Any, single: bool) -> Array:
        """(slots, m) sums of each slot, for who folds them elsewhere."""
        name, rows = f"accumulate_{params.kernel}", (*self.data, self.sample_weight)
        sums = np.empty((slot_count(len(self)), params.sums_length))
        self.backend.run(name, rows, tables, (), sums, slot_rows=SLOT_ROWS, single=single)
        return sums

    def told(self, params: Any, wanted: str, precision: Any = None) -> np.ndarray:
        """One of "log_prob", "resp" (both in `precision`, or in that of the rows) and "labels", as the estimators tell
        it."""
        self.match(params)
        dtype = np.intp if wanted == "labels" else precision or self.precision
        told = self._room(params, wanted, len(self), dtype)
        for span in self._spans(params):
            part = told[span]
            found = part if dtype == KERNELS_TELL[wanted] else self._room(params, wanted, len(part))
            self._posterior_of(span, params, **{wanted: found})
            part[...] = found if wanted == "labels" else np.maximum(found, np.finfo(dtype).min, out=found)
        return told

    def posterior(self, params: Any, *wanted: str) -> Posterior:
        """`wanted` of "log_prob", "resp", "labels" for each row."""
        self.match(params)
        for each in wanted:
            check_choice(each, "wanted", Posterior._fields)
        out = {name: self._room(params, name, len(self) if name in wanted else 0) for name in Posterior._fields}
        for span in self._spans(params):
            self._posterior_of(span, params, **{name: out[name][span] for name in wanted})
        return Posterior(**out)

    def _posterior_of(self, span: slice, params: Any, **wanted: np.ndarray) -> None:
        """Fill what is wanted of some rows."""
        part = [array[span] for array in self.data]
        out = [wanted[name] if name in wanted else self._room(params, name, 0) for name in Posterior._fields]
        with in_use(*(array[span] for array in self._mapped)):
            self.backend.run(f"posterior_{params.kernel}", part, params.tables(), out, slot_rows=PORTION_ROWS)
            if "log_prob" in wanted and (base := params.log_base_measure(*part)) is not None:
                wanted["log_prob"] += base

    @staticmethod
    def _room(params: Any, name: str, n: int, dtype: Any = None) -> np.ndarray:
        """For one of the fields of a posterior, of n rows."""
        return np.empty((n, len(params.weights)) if name == "resp" else n, dtype or KERNELS_TELL[name])

    def _spans(self, params: Any) -> Iterator[slice]:
        """Rows in portions: an interruption waits for the end of one."""
        work = sum(table.size for table in params.tables()) + DENSITY_WORK * len(params.weights)
        portions = min(
            self.backend.n_threads * max(1, PORTION_WORK // (PORTION_ROWS * work)), self._mapped_slots(PORTION_ROWS)
        )
        step = portions * PORTION_ROWS
        return (slice(begin, begin + step) for begin in range(0, len(self), step))

    def nearest(self, centers: Array, scale: Array) -> tuple[Array, np.ndarray, Array, Array, float]:
        """Lloyd's step: distances (n,), labels (n,), counts (k,), first (k, d) about the centers, inertia."""
        centers, scale = as_float64(centers, "centers"), as_float64(scale, "scale")
        check_matrix(centers, "centers")
        k, d = centers.shape
        check_shape(scale, "scale", (self.data[0].shape[1],))
        check_shape(centers, "centers", (k, len(scale)))
        centers, scale = as_table(centers), as_table(scale)
        out = np.empty(len(self)), np.empty(len(self), np.int32)
        rows = (*self.data, self.sample_weight)
        sums, _ = self._summed("nearest", rows, (centers, scale), out, k + k * d + 1)
        return *out, sums[:k], sums[k:-1].reshape(k, d), float(sums[-1])

    def summed(self, call: Callable[[Rows], Any]) -> Any:
        """What `call` makes of the rows; of rows in several places, the sum."""
        return call(self)

    def parts(self, least: int) -> list[Rows]:
        """Views of every so many rows (see PART_STEPS) that have at least so many; the smaller ones first."""
        steps = [slice(step // 2, None, step) for step in PART_STEPS if len(self) >= least * step]
        return [self._view(step) for step in steps if self.sample_weight[step].any()]

    def blocks(self, size: int) -> Iterator[Rows]:
        """Views of so many rows each, in order; the last may have fewer."""
        return (self._view(slice(begin, begin + size)) for begin in range(0, len(self), size))

    def _view(self, rows: slice) -> Rows:
        return Rows(tuple(array[rows] for array in self.data), self.sample_weight[rows], self.backend, self.dtype)

    def take(self, positions: np.ndarray) -> Rows:
        """The rows at these positions, in this order."""
        data = tuple(gather(array, positions) for array in self.data)
        return Rows(data, self.sample_weight[positions], self.backend, self.dtype)

    def first_weighted(self, size: int) -> np.ndarray:
        """Positions of the first `size` rows that have weight."""
        return np.flatnonzero(self.sample_weight)[:size]

    @property
    def n_features(self) -> int:
        return int(self.data[0].shape[1])

    @property
    def most_trials(self) -> int:
        return int(self.data[1].max())

    @property
    def precision(self) -> type[np.floating]:
        """Of what is told of the rows: float32 for rows of float32, float64 for all others."""
        return np.float32 if self.data[0].dtype == np.float32 else np.float64

    def collapsed(self, most: float = MOST_DISTINCT) -> Rows:
        """Equal rows of counts as one, with their weight, where that leaves at most a share `most`; else these rows."""
        X, trials = self.data
        found = distinct_rows(X, trials, self.sample_weight, self.backend, most)
        return self if found is None else self.of_distinct(found, self.precision, self.backend, self.dtype)

    def distinct(self, most: int) -> DistinctCounts | None:
        """The distinct rows of counts; None if there are over `most`."""
        X, trials = self.data
        return of_chunk(X, trials, self.sample_weight, most=most)

    @classmethod
    def of(cls, arrays: tuple[np.ndarray, ...], has_trials: bool, backend: Backend, dtype: Any) -> Rows:
        """Of (X,) or (X, trials), with or without weights behind."""
        data, weights = arrays[: 1 + has_trials], arrays[1 + has_trials :]
        return cls(data, weights[0] if weights else as_weights(None, len(data[0])), backend, dtype)

    @classmethod
    def of_distinct(cls, found: DistinctCounts, precision: type[np.floating], backend: Backend, dtype: Any) -> Rows:
        data = found.successes.astype(precision), found.trials.astype(precision)
        return cls(data, found.sample_weight, backend, dtype)

    def fingerprint(self) -> str:
        """SHA-256 of the rows and their weights, by blocks: as good as the rows themselves to tell others from them."""
        blocks = [slice(begin, begin + DIGEST_ROWS) for begin in range(0, len(self), DIGEST_ROWS)]
        return hashlib.sha256(b"".join(self.backend.each(self.digest, blocks))).hexdigest()

    def digest(self, rows: slice) -> bytes:
        """Of a block."""
        found = hashlib.sha256()
        for array in (*self.data, self.sample_weight):
            part = np.ascontiguousarray(array[rows])
            found.update(f"{part.dtype.str}{part.shape}".encode())
            found.update(part.tobytes())
        return found.digest()

    def match(self, params: Any) -> None:
        """The kernels trust that rows and parameters have the same features."""
        check_rows_match_params(len(self.data) == 2, self.n_features, params.has_trials, params.n_features)

    def _summed(
        self,
        name: str,
        rows: tuple[np.ndarray, ...],
        tables: Any,
        out: Any,
        length: int,
        single: bool = False,
        total: Array | None = None,
    ) -> tuple[Array, list[float]]:
        """The folded sums of a kernel over all slots, a wave at a time, and the next to last sum of each slot.

        The total so far is row 0 of the next wave, so that the fold is the same whatever the length of a wave.
        """
        n = len(self)
        if n <= SLOT_ROWS and total is None and not self._mapped:  # nothing to fold: 5 us of a small fit's iteration
            only = np.empty((1, length))
            self.backend.run(name, rows, tables, out, only, slot_rows=SLOT_ROWS, single=single)
            return only[0], [float(only[0, -2])]
        most = min(WAVE_BYTES // (8 * length), WAVE_WORK // (SLOT_ROWS * length))
        wave = min(slot_count(n), max(self.backend.n_threads, most), self._mapped_slots())
        sums = np.zeros((wave + 1, length))
        sums[0] = 0.0 if total is None else total
        logliks: list[float] = []
        for begin in range(0, n, wave * SLOT_ROWS):
            span = slice(begin, begin + wave * SLOT_ROWS)
            part = sums[1 : 1 + slot_count(min(n - begin, wave * SLOT_ROWS))]
            args = name, [a[span] for a in rows], tables, [a[span] for a in out], part
            with in_use(*(array[span] for array in self._mapped)):
                self.backend.run(*args, slot_rows=SLOT_ROWS, single=single)
            logliks += part[:, -2].tolist()
            with np.errstate(over="ignore"):  # of the log likelihood, which total_of adds
                sums[0] = fold(sums[: len(part) + 1])
        return sums[0].copy(), logliks

    def _mapped_slots(self, rows: int = SLOT_ROWS) -> int:
        """Slots, of so many rows, of which the pages of a mapped file are in memory together."""
        return min((1 + rows_at_a_time(array) // rows for array in self._mapped), default=sys.maxsize)

    def _log_base_measure(self, params: Any) -> float:
        """sum w log h(x) of the terms that no parameter enters: the same in every sweep, so computed once."""
        if self._base_measure is None:
            self._base_measure = math.fsum(self.base_parts(params))
        return self._base_measure

    def base_parts(self, params: Any) -> list[float]:
        """The same, slot by slot; empty where there are no such terms."""
        parts: list[float] = []
        for rows in self._blocks():
            base = params.log_base_measure(*(array[rows] for array in self.data))
            if base is None:
                break
            parts.append(dot(self.sample_weight[rows], base))
        return parts

    def _blocks(self) -> list[slice]:
        return [slice(begin, begin + SLOT_ROWS) for begin in range(0, len(self), SLOT_ROWS)]


class AnyRows(Protocol):
    """What a fit asks of its rows, wherever they are."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...
    def __len__(self) -> int: ...

    @property
    def n_features(self) -> int: ...
    @property
    def most_trials(self) -> int: ...
    @property
    def precision(self) -> type[np.floating]: ...

    def in_float64(self) -> AnyRows: ...
    def sweep(self, params: Any) -> Any: ...
    def look_again(self) -> None: ...
    def take(self, positions: np.ndarray) -> Rows: ...
    def first_weighted(self, size: int) -> np.ndarray: ...
    def collapsed(self) -> AnyRows: ...
    def parts(self, least: int) -> list[Rows]: ...
    def fingerprint(self) -> str: ...
