"""Rows in memory: parameters in, statistics or posteriors out, in one pass.

Nothing of size n is made but what the caller asks for.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fastem._errstate import own_methods
from fastem._public import public
from fastem._typing import Array, DType, MStep, RowKind, SweptParams, SweptStats
from fastem.data.base import (
    BACKGROUND,
    BY_COMPONENT,
    POSTERIOR_TYPES,
    Iterations,
    P,
    Position,
    Posterior,
    StopRule,
    Sums,
    SweptRows,
    total_of,
)
from fastem.data.distinct import MOST_DISTINCT, DistinctCounts, distinct_rows, of_chunk
from fastem.data.iterations import iterations, memory_of, packed
from fastem.data.slots import SLOT_ROWS, as_table, fold, slot_count
from fastem.kernels.backend import Backend
from fastem.kernels.linear import dot, outer_sums
from fastem.kernels.mapped import Mapping, gather, in_use, rows_at_a_time
from fastem.validation.arrays import as_weights, check_finite
from fastem.validation.missing import weight_of_values, without_values
from fastem.validation.parameters import as_float64, check_matrix, check_shape
from fastem.validation.settings import check_choice

T = TypeVar("T")

SUMS_BYTES = 1 << 25
"""The size of the sums of slots that are kept before they are folded: the memory of a fit, whatever n is."""
DIGEST_ROWS = 1 << 18
"""Rows that are hashed at a time; a fingerprint depends on it."""
CALL_WORK = 1 << 29
"""Rows x sums of a slot in one call of the kernels, a tenth of a second or two: an interruption waits for its end."""
ITERATIONS = 256
"""Iterations in one call of a kernel, some tenths of a second: an interruption waits for its end."""
TILE_ROWS = 256
"""Rows of a tile of either twin."""
DENSITY_WORK = 32
"""The work of a density, in elements of the tables: the exponential, and what is written of it."""
POSTERIOR_WORK = 1 << 26
"""Rows x elements of the tables in one call of a posterior for each thread: some hundredths of a second.  It is shorter
than that of sums, since nothing is folded, and a row and component write a number to memory that is touched first."""
SUBSET_STEPS = (1021, 251, 61, 13)
"""Primes about four apart: a period of the rows shows in no subset, unless it is a multiple of one of them."""


@public
@own_methods
class Rows(SweptRows):
    """Rows in memory, ready to be swept.  A context manager: its threads live as long as it is open.

    data are arrays of n rows that a kernel of the family reads, those that row_kind says.  dtype is that of the
    arithmetic: float64, or None for that of the rows; then sums of a tile are float32 where weights and parameters
    allow it.  has_missing says that values may be NaN, which then stands for one that is missing.
    """

    def __init__(
        self,
        data: tuple[np.ndarray, ...],
        sample_weight: Array,
        backend: Backend,
        dtype: DType = None,
        row_kind: RowKind = RowKind.REAL,
        has_missing: bool = False,
    ) -> None:
        self.data = data
        self.sample_weight = sample_weight
        self.backend = backend
        self.dtype = dtype
        self.row_kind = row_kind
        self.has_missing = has_missing
        self.n_features: int = data[0].shape[1]
        self._arrays = (*data, sample_weight)
        self._weight: float | None = None  # all of it, when it has been summed
        self._doubles: list[np.ndarray] | None = None  # the arrays of few rows, when EM has run in a kernel
        self._mapped = [array for array in self._arrays if Mapping.of(array)]
        unit = sample_weight.strides == (0,) and sample_weight[0] == 1.0
        float32 = backend.has_float32 and data[0].dtype == np.float32 and dtype is None
        self.float32 = float32 and unit and not has_missing

    def __len__(self) -> int:
        return len(self.sample_weight)

    @classmethod
    def of(
        cls,
        arrays: Sequence[np.ndarray],
        row_kind: RowKind,
        backend: Backend,
        dtype: DType,
        has_missing: bool = False,
    ) -> Rows:
        """Make rows of the arrays of this kind, with or without weights behind them."""
        count = len(row_kind.arrays)
        data, weights = tuple(arrays[:count]), arrays[count:]
        weight = weights[0] if weights else as_weights(None, len(data[0]))
        return cls(data, weight, backend, dtype, row_kind, has_missing)

    @classmethod
    def of_distinct(cls, found: DistinctCounts, rows: SweptRows) -> Rows:
        """Make rows of those that are distinct among `rows`, in their precision."""
        data = found.successes.astype(rows.precision), found.trials.astype(rows.precision)
        return cls.of(
            (*data[: len(rows.row_kind.arrays)], found.sample_weight), rows.row_kind, rows.backend, rows.dtype
        )

    @property
    def most_trials(self) -> int:
        """The largest number of trials; 0 where rows have none."""
        return int(self.data[1].max()) if len(self.data) > 1 else 0

    @property
    def precision(self) -> type[np.floating]:
        """The type of predictions: float32 for rows of float32, float64 for all others."""
        return np.float32 if self.data[0].dtype == np.float32 else np.float64

    @property
    def weight_of_values(self) -> Array:
        """The weights (n,), 0 of a row of which every value is missing."""
        return weight_of_values(self.sample_weight, *self.data) if self.has_missing else self.sample_weight

    @property
    def n_empty_rows(self) -> int:
        """The number of rows of which every value is missing."""
        return int(without_values(*self.data).sum())

    def check_values(self) -> None:
        """Raise ValueError for the first value of the rows that is not finite."""
        for array, name in zip(self._arrays, (*self.row_kind.arrays, "sample_weight"), strict=True):
            check_finite(array, name, missing=self.has_missing)

    # ------------------------------------------------------------------------------------------------------------ sums

    def _sums(self, params: SweptParams[SweptStats], tables: tuple[Array, ...], float32: bool, with_base: bool) -> Sums:
        sums, logliks = self._folded(self._accumulate(params), tables, (), params.sums_length, float32)
        return sums, logliks, self.base_terms(params) if with_base else []

    def _accumulate(self, params: SweptParams[SweptStats]) -> str:
        """Return the name of the kernel that sums these rows."""
        return params.kernel.accumulate_missing if self.has_missing else params.kernel.accumulate

    def add_sums(
        self, total: Array | None, params: SweptParams[SweptStats], tables: tuple[Array, ...], float32: bool
    ) -> tuple[Array, list[float]]:
        """Return the sums of these rows added to those of the rows before, and the log likelihood of each slot."""
        return self._folded(self._accumulate(params), tables, (), params.sums_length, float32, total)

    def slot_sums(self, params: SweptParams[SweptStats], tables: tuple[Array, ...], float32: bool) -> Array:
        """Return the sums (slots, m) of each slot, to be folded elsewhere."""
        kernel, sums = self._accumulate(params), np.empty((slot_count(len(self)), params.sums_length))
        self.backend.run(kernel, self._arrays, tables, (), sums, slot_rows=SLOT_ROWS, float32=float32)
        return sums

    def base_terms(self, params: SweptParams[SweptStats]) -> list[float]:
        """Return, slot by slot, sum w log h(x) of the terms that no parameter enters; nothing where there are none."""
        terms: list[float] = []
        for begin in range(0, len(self), SLOT_ROWS):
            rows = slice(begin, begin + SLOT_ROWS)
            base = params.log_base_measure(*(array[rows] for array in self.data))
            if base is None:
                break
            terms.append(dot(self.sample_weight[rows], base))
        return terms

    def _folded(
        self,
        kernel: str,
        tables: Sequence[Array],
        out: Sequence[np.ndarray],
        length: int,
        float32: bool = False,
        total: Array | None = None,
    ) -> tuple[Array, list[float]]:
        """Return the sums of a kernel folded over all slots, and the next to last sum of each slot.

        Some slots are summed in a call.  The total so far is row 0 of the next call, so that the fold is the same
        however many slots that are.
        """
        n = len(self)
        if n <= SLOT_ROWS and total is None and not self._mapped:  # nothing to fold: 5 us of a small fit's iteration
            only = np.empty((1, length))
            self.backend.run(kernel, self._arrays, tables, out, only, slot_rows=SLOT_ROWS, float32=float32)
            return only[0], [only.item(0, -2)]
        most = min(SUMS_BYTES // (8 * length), CALL_WORK // (SLOT_ROWS * length))
        slots = min(slot_count(n), max(self.backend.n_threads, most), self._mapped_slots(SLOT_ROWS))
        sums = np.zeros((slots + 1, length))
        sums[0] = 0.0 if total is None else total
        logliks: list[float] = []
        for begin in range(0, n, slots * SLOT_ROWS):
            rows = slice(begin, begin + slots * SLOT_ROWS)
            found = sums[1 : 1 + slot_count(min(n - begin, slots * SLOT_ROWS))]
            arguments = [array[rows] for array in self._arrays], tables, [array[rows] for array in out], found
            with in_use(*(array[rows] for array in self._mapped)):
                self.backend.run(kernel, *arguments, slot_rows=SLOT_ROWS, float32=float32)
            logliks += found[:, -2].tolist()
            with np.errstate(over="ignore"):  # of the log likelihood, which total_of adds
                sums[0] = fold(sums[: len(found) + 1])
        return sums[0].copy(), logliks

    def _mapped_slots(self, slot_rows: int) -> int:
        """Return how many slots, of so many rows, have their pages of a mapped file in memory together."""
        return min((1 + rows_at_a_time(array) // slot_rows for array in self._mapped), default=sys.maxsize)

    def summed(self, call: Callable[[Rows], T]) -> T:
        """Return what `call` makes of the rows; the sum of that where rows are in several places."""
        return call(self)

    def nearest(self, centers: Array, scale: Array) -> tuple[Array, NDArray[np.int32], Array, Array, float]:
        """Return distances (n,), labels (n,), counts (k,), first (k, d) about the centers, and inertia, for k-means."""
        centers, scale = as_float64(centers, "centers"), as_float64(scale, "scale")
        check_matrix(centers, "centers")
        k, d = centers.shape
        check_shape(scale, "scale", (self.n_features,))
        check_shape(centers, "centers", (k, len(scale)))
        if not np.isfinite(centers.sum() + scale.sum()):  # k-means comes here often
            check_finite(centers, "centers")
            check_finite(scale, "scale")
        distances, labels = np.empty(len(self)), np.empty(len(self), np.int32)
        tables = as_table(centers), as_table(scale)
        sums, _ = self._folded("nearest", tables, (distances, labels), k + k * d + 1)
        return distances, labels, sums[:k], sums[k:-1].reshape(k, d), float(sums[-1])

    # --------------------------------------------------------------------------------------------------- EM in a kernel

    def iterate(self, position: Position[P], m_step: MStep, rule: StopRule, most: int) -> Iterations[P]:
        params, length = position.params, position.params.sums_length
        self.check_params(params)
        if self._log_base_measure is None:
            self._log_base_measure = total_of(self.base_terms(params))
        if self._weight is None:
            self._weight = float(self.sample_weight.sum())
        arrays = params.state()
        others = np.empty((2, sum(array.size for array in arrays)))
        others[1] = np.concatenate([array.ravel() for array in position.reached.state()])
        sums = np.empty((2 + slot_count(len(self)), length))
        trace, memory = np.empty((min(most, ITERATIONS), 3)), memory_of(position, rule)
        run = packed(position, rule, self._weight, self._log_base_measure)
        if self._doubles is None:
            self._doubles = [array.astype(np.float64, copy=False) for array in self._arrays]
        kernel = getattr(self.backend.kernels, params.kernel.iterate)
        n = kernel(*self._doubles, SLOT_ROWS, *arrays, others, *m_step, sums, trace, memory, run)
        return iterations(position, trace[:n], arrays, others, sums, memory, run)

    # ----------------------------------------------------------------------------------------------------- predictions

    def posterior(self, params: SweptParams[SweptStats], *wanted: str) -> Posterior:
        """Return `wanted` of "log_prob", "resp", "labels" for each row."""
        params = self.swept_with(params)
        for name in wanted:
            check_choice(name, "wanted", Posterior._fields)
        out = {name: empty_posterior(params, name, len(self) if name in wanted else 0) for name in Posterior._fields}
        for rows in self._posterior_slices(params):
            self._fill_posterior(rows, params, params.tables(), **{name: out[name][rows] for name in wanted})
        return Posterior(**out)

    def predict(self, params: SweptParams[SweptStats], wanted: str, precision: DType = None) -> np.ndarray:
        """Return "labels" as the estimators do, or others of POSTERIOR_TYPES in `precision` or in that of the rows."""
        params = self.swept_with(params)
        dtype = np.dtype(np.intp if wanted == "labels" else precision or self.precision)
        predictions = empty_posterior(params, wanted, len(self), dtype)
        for rows in self._posterior_slices(params):
            place = predictions[rows]
            found = place if dtype == POSTERIOR_TYPES[wanted] else empty_posterior(params, wanted, len(place))
            self._fill(rows, params, wanted, found)
            place[...] = found if wanted == "labels" else np.maximum(found, np.finfo(dtype).min, out=found)
        if wanted == BY_COMPONENT:
            predictions[:, np.isneginf(params.tables()[0])] = -np.inf
        return predictions

    def averaged(self, params: SweptParams[SweptStats], values: Array) -> Array:
        """Return (m, n) the means of values (k, m) over the components, by their responsibilities for each row."""
        resp = np.empty((len(values), len(self)))
        self._fill_posterior(slice(None), params, params.tables(), resp=resp.T)
        return outer_sums(values, resp)

    def _fill(self, rows: slice, params: SweptParams[SweptStats], wanted: str, found: np.ndarray) -> None:
        """Fill the array of what is wanted for a slice of the rows.

        Weight times density of a component is the density of a mixture that has this component alone.
        """
        if wanted != BY_COMPONENT:
            return self._fill_posterior(rows, params, params.tables(), **{wanted: found})
        log_prob = np.empty(len(found))
        for c in range(len(params.all_weights)):
            self._fill_posterior(rows, params, params.tables_of_component(c), log_prob=log_prob)
            found[:, c] = log_prob
        return None

    def _fill_posterior(
        self, rows: slice, params: SweptParams[SweptStats], tables: Sequence[Array], **wanted: np.ndarray
    ) -> None:
        """Fill the arrays of `wanted`, by their names, for a slice of the rows and the components of these tables."""
        data = [array[rows] for array in self.data]
        out = [wanted[name] if name in wanted else empty_posterior(params, name, 0) for name in Posterior._fields]
        with in_use(*(array[rows] for array in self._mapped)):
            kernel = params.kernel.posterior_missing if self.has_missing else params.kernel.posterior
            self.backend.run(kernel, data, tables, out, slot_rows=TILE_ROWS)
            if "labels" in wanted and params.has_background:
                wanted["labels"][wanted["labels"] == len(params.weights)] = BACKGROUND
            if "log_prob" in wanted and (base := params.log_base_measure(*data)) is not None:
                wanted["log_prob"] += base

    def _posterior_slices(self, params: SweptParams[SweptStats]) -> Iterator[slice]:
        """Cut the rows into those of one call each: an interruption waits for the end of one."""
        work = sum(table.size for table in params.tables()) + DENSITY_WORK * len(params.all_weights)
        tiles = self.backend.n_threads * max(1, POSTERIOR_WORK // (TILE_ROWS * work))
        step = min(tiles, self._mapped_slots(TILE_ROWS)) * TILE_ROWS
        return (slice(begin, begin + step) for begin in range(0, len(self), step))

    # --------------------------------------------------------------------------------------------------- rows of these

    def _with(self, data: tuple[np.ndarray, ...], sample_weight: Array) -> Rows:
        """Return rows with these arrays, and the settings of these."""
        return Rows(data, sample_weight, self.backend, self.dtype, self.row_kind, self.has_missing)

    def _view(self, rows: slice) -> Rows:
        """Return a slice of the rows; its arrays are views of these."""
        return self._with(tuple(array[rows] for array in self.data), self.sample_weight[rows])

    def subsets(self, least: int) -> list[Rows]:
        """Return views of every so many rows (see SUBSET_STEPS) that have at least so many; the smaller ones first."""
        steps = [slice(step // 2, None, step) for step in SUBSET_STEPS if len(self) >= least * step]
        return [self._view(step) for step in steps if self.sample_weight[step].any()]

    def slices(self, size: int) -> Iterator[Rows]:
        """Return views of so many rows each, in order; the last may have fewer."""
        return (self._view(slice(begin, begin + size)) for begin in range(0, len(self), size))

    def take(self, positions: np.ndarray) -> Rows:
        """Return the rows at these positions, in this order."""
        return self._with(tuple(gather(array, positions) for array in self.data), self.sample_weight[positions])

    def where(self, chosen: NDArray[np.bool_]) -> Rows:
        """Return the rows that are chosen."""
        return self.take(np.flatnonzero(chosen))

    def weighted(self, shares: Array) -> Rows:
        """Return these rows with shares (n,) of their weights."""
        return self._with(self.data, self.sample_weight * shares)

    def first_weighted(self, size: int) -> np.ndarray:
        """Return the positions of the first `size` rows that have weight."""
        return np.flatnonzero(self.weight_of_values)[:size]

    def collapsed(self, most: float = MOST_DISTINCT) -> Rows:
        """Return equal rows of counts as one, with their weight; these rows if more than a share `most` is distinct."""
        if self.has_missing:
            return self
        found = distinct_rows(*self._counts, self.sample_weight, self.backend, most)
        return self if found is None else self.of_distinct(found, self)

    def distinct(self, most: int) -> DistinctCounts | None:
        """Return the distinct rows of counts; None if there are over `most`."""
        return of_chunk(*self._counts, self.sample_weight, most=most)

    @property
    def _counts(self) -> tuple[np.ndarray, np.ndarray]:
        """X and trials, which have no columns for counts without trials."""
        X, *others = self.data
        return X, others[0] if others else X[:, :0]

    # ----------------------------------------------------------------------------------------------------- fingerprint

    def fingerprint(self) -> str:
        """Return the SHA-256 of the rows and their weights: as good as the rows themselves to tell others from them."""
        rows = [slice(begin, begin + DIGEST_ROWS) for begin in range(0, len(self), DIGEST_ROWS)]
        return hashlib.sha256(b"".join(self.backend.each(self.digest, rows))).hexdigest()

    def digest(self, rows: slice) -> bytes:
        """Return the SHA-256 of some rows."""
        found = hashlib.sha256()
        for array in self._arrays:
            part = np.ascontiguousarray(array[rows])
            found.update(f"{part.dtype.str}{part.shape}".encode())
            found.update(part.tobytes())
        return found.digest()


def empty_posterior(params: SweptParams[SweptStats], name: str, n: int, dtype: DType = None) -> np.ndarray:
    """Return an array for one of the fields of a posterior of n rows, or for weight times density."""
    by_component = name in ("resp", BY_COMPONENT)
    return np.empty((n, len(params.all_weights)) if by_component else n, dtype or POSTERIOR_TYPES[name])
