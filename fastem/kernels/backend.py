"""The kernels called: on slots of rows and on groups, by one thread or several."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from fastem.kernels.mapped import in_use
from fastem.kernels.numba_launch import run_numba
from fastem.kernels.threads import thread_count
from fastem.kernels.twins import cython_twin, float32_kernels_of, forced_instruction_set, many_kernels_of, numba_twin

if TYPE_CHECKING:
    from fastem.kernels.helpers import Helpers

Item = TypeVar("Item")
Result = TypeVar("Result")

PARALLEL_WORK = 1 << 21
"""Rows x sums of a slot below which one thread is faster: to wake another and to wait for it costs about 100 us."""

SHARE_ROWS = 1 << 14
"""Rows and groups of a share of many fits: milliseconds of work, so that threads end together, and a hundred times what
it costs to hand one out."""

SHARES_AT_A_TIME = 8
"""Shares of a thread in one call: an interruption waits for them, and they keep their pages of a mapped file."""


class Backend:
    """Runs a kernel, by its name, over rows.  A context manager: its threads live as long as the fit."""

    def __init__(self, backend: str = "auto", n_threads: int | None = None) -> None:
        self.is_numba = backend == "numba"
        self.kernels = numba_twin() if self.is_numba else cython_twin()
        self.float32_kernels = self.kernels if self.is_numba else float32_kernels_of(forced_instruction_set())
        self.n_threads = thread_count(n_threads)
        self._helpers: Helpers | None = None

    @property
    def has_float32(self) -> bool:
        """Whether there are kernels with float32 in their lanes."""
        return self.float32_kernels is not self.kernels

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._helpers is not None:
            self._helpers.pool.shutdown(cancel_futures=True)
            self._helpers = None

    def run(
        self,
        name: str,
        rows: Sequence[np.ndarray],
        tables: Sequence[np.ndarray],
        out: Sequence[np.ndarray] = (),
        sums: np.ndarray | None = None,
        *,
        slot_rows: int,
        float32: bool = False,
    ) -> None:
        """Call kernel `name` on rows (each (n, ...)) and tables; it fills out (each (n, ...) or empty) and sums.

        Every kernel takes its arguments in this order: rows, slot_rows if there are sums, tables, out, sums.
        `float32` asks for arithmetic in float32, where the twin has it.
        """
        n, kernel = len(rows[0]), getattr(self.float32_kernels if float32 else self.kernels, name)
        work = n * (sum(table.size for table in tables) if sums is None else sums.shape[1])
        threads = min(self.n_threads, -(-n // slot_rows)) if work > PARALLEL_WORK else 1
        if self.is_numba:
            run_numba(kernel, threads, in_order(rows, slot_rows, tables, out, sums))
        elif threads == 1:
            kernel(*in_order(rows, slot_rows, tables, out, sums))
        else:
            shares = shares_of_slots(threads, rows, slot_rows, tables, out, sums)
            self.each(lambda arguments: kernel(*arguments), shares)

    def fit_groups(
        self,
        name: str,
        rows: Sequence[np.ndarray],
        offsets: np.ndarray,
        settings: Sequence[object],
        out: Sequence[object],
        report: Callable[[int, int], None] | None = None,
    ) -> None:
        """Call kernel `name` on the groups rows[offsets[g] : offsets[g + 1]]; it fills out (each (m, ...)).

        Each thread gets shares of groups, with about as many rows in each.  report is told how many groups of how many
        are done.
        """
        kernel = self.kernel_of_groups(name)
        if self.is_numba:
            with in_use(*rows):
                rows = kernel.readable(rows)
        has_threads, edges = self.is_numba and kernel.parallel, share_edges(offsets)

        def fit(part: np.ndarray) -> None:
            kernel(*rows, offsets, part, *settings, *out)

        for begin in range(0, len(edges) - 1, SHARES_AT_A_TIME * self.n_threads):
            part = edges[begin : begin + SHARES_AT_A_TIME * self.n_threads + 1]
            with in_use(*(array[offsets[part[0]] : offsets[part[-1]]] for array in rows)):
                if has_threads:
                    run_numba(kernel, min(self.n_threads, len(part) - 1), [*rows, offsets, part, *settings, *out])
                else:
                    self.each(fit, [part[share : share + 2] for share in range(len(part) - 1)])
            if report is not None:
                report(int(part[-1]), len(offsets) - 1)

    def kernel_of_groups(self, name: str) -> Any:
        """Return a kernel of many small fits; those of rows of several columns are compiled with the other kernels."""
        many = self.kernels if self.is_numba else many_kernels_of(forced_instruction_set())
        return getattr(many, name, None) or getattr(self.kernels, name)

    def each(self, call: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Return call(item) of every item, in their order; the caller works on some, helper threads on the others."""
        if self.n_threads == 1 or len(items) == 1:
            return [call(item) for item in items]
        if self._helpers is None or self._helpers.process != os.getpid():  # threads do not survive a fork
            module = import_module("fastem.kernels.helpers")  # which takes its time, and few rows need no help
            self._helpers = module.Helpers(self.n_threads - 1)
        helpers, core, own = self._helpers, cython_twin().core_of_caller(), range(0, len(items), self.n_threads)
        others = {index: helpers.submit(core, call, item) for index, item in enumerate(items) if index not in own}
        try:
            found = {index: call(items[index]) for index in own}
            helpers.wait(others.values())
        except BaseException:  # such as an interruption: do not begin what has not begun
            for future in others.values():
                future.cancel()
            helpers.wait(others.values())
            raise
        return [found[index] if index in own else others[index].result() for index in range(len(items))]


def in_order(
    rows: Sequence[np.ndarray],
    slot_rows: int,
    tables: Sequence[np.ndarray],
    out: Sequence[np.ndarray],
    sums: np.ndarray | None,
) -> list[np.ndarray | int]:
    """Return the arguments of a kernel, in the order of all kernels."""
    return [*rows, *tables, *out] if sums is None else [*rows, slot_rows, *tables, *out, sums]


def shares_of_slots(
    threads: int,
    rows: Sequence[np.ndarray],
    slot_rows: int,
    tables: Sequence[np.ndarray],
    out: Sequence[np.ndarray],
    sums: np.ndarray | None,
) -> list[list[np.ndarray | int]]:
    """Return the arguments of a kernel for each thread: whole slots, about as many for each."""
    slots = -(-len(rows[0]) // slot_rows)
    shares = []
    for begin, end in pairwise(slots * thread // threads for thread in range(threads + 1)):
        span = slice(begin * slot_rows, end * slot_rows)
        own_rows, own_out = [array[span] for array in rows], [array[span] for array in out]
        shares.append(in_order(own_rows, slot_rows, tables, own_out, None if sums is None else sums[begin:end]))
    return shares


def share_edges(offsets: np.ndarray) -> np.ndarray:
    """Return (s + 1,) the first group of each share, and m; an empty group costs about what a row does."""
    work = offsets + np.arange(len(offsets))
    wanted = np.arange(0, work[-1], SHARE_ROWS)
    return np.unique(np.append(np.searchsorted(work, wanted), len(offsets) - 1)).astype(np.int64)


def spread_rows(X: np.ndarray, sample_weight: np.ndarray, scale: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Choose rows (k,) of X (n, d) by greedy k-means++, in one compiled call, whichever twin sweeps.

    uniforms (k, m) from 0 to 1 draw m candidates each time, by squared distances in units of scale (d,).
    """
    chosen = np.empty(len(uniforms), np.int64)
    cython_twin().spread_rows(X, sample_weight, X[:1].astype(np.float64), scale, uniforms, chosen)
    return chosen


def distinct_keys(
    X: np.ndarray, trials: np.ndarray, sample_weight: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Find the distinct rows of X (n, d) and trials (n, d), whole numbers, and the sums of the weights of their equals.

    The rows (m, 2 d) are as first met, the sums (m,); None if m > most.  Counts without trials have trials (n, 0), and
    rows (m, d).  One compiled call, whichever twin sweeps.
    """
    d = X.shape[1]
    keys, weights = np.empty((most, 2 * d), np.int64), np.empty(most)
    table = np.full(1 << (2 * most).bit_length(), -1, np.int32)
    columns = trials if trials.shape[1] else np.broadcast_to(X.dtype.type(0), X.shape)
    found = cython_twin().distinct_counts(X, columns, sample_weight, table, keys, weights)
    return None if found < 0 else (keys[:found, : d + trials.shape[1]], weights[:found])
