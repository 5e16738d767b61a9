"""Which compiled twin answers, and how its threads are run.

The Cython twin is compiled ahead of time, once per instruction set, and runs in Python threads (its kernels hold no
GIL).  The Numba twin is compiled when first used and brings its own threads.  Both take the same arguments.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np

from fastem.kernels.helpers import Helpers
from fastem.kernels.mapped import in_use
from fastem.kernels.threads import thread_count

BACKENDS = ("auto", "cython", "numba")
AUTO = "cython"  # what "auto" chooses: nobody waits for its compilation
INSTRUCTION_SETS = ("avx512", "avx2", "baseline")  # the order of preference

PARALLEL_WORK = 1 << 21
"""Rows x sums of a slot below which one thread is faster: to wake another and to wait for it costs about 100 us."""

SHARE_ROWS = 1 << 14
"""Rows and groups of a share of many fits: milliseconds of work, so that threads end together, and a hundred times what
it costs to hand one out."""

SHARES_AT_A_TIME = 8
"""Shares of a thread in one call: an interruption waits for them, and they keep their pages of a mapped file."""


Item = TypeVar("Item")
Result = TypeVar("Result")


class SweepKernels(NamedTuple):
    """The two kernels that read rows with the parameters of a density, by their names, which are the same in each twin.

    accumulate(*rows, slot_rows, *tables, sums); posterior(*rows, *tables, log_prob, resp, labels).
    """

    accumulate: str
    posterior: str


SWEEP_KERNELS = {
    "normal": SweepKernels("accumulate_normal", "posterior_normal"),
    "mvnormal_diag": SweepKernels("accumulate_mvnormal_diag", "posterior_mvnormal_diag"),
    "mvnormal_full": SweepKernels("accumulate_mvnormal_full", "posterior_mvnormal_full"),
    "binomial": SweepKernels("accumulate_binomial", "posterior_binomial"),
}
"""What `params.kernel` names: a row for each density."""


# ------------------------------------------------------------------------------------------------------------ twins


def cython_twin() -> ModuleType:
    """Return the kernels of FASTEM_ISA, or of the best instruction set that was built and that this processor has."""
    return kernels_of(forced_instruction_set())


@cache
def kernels_of(forced: str | None) -> ModuleType:
    return importlib.import_module(module_of(instruction_set(forced)))


@cache
def float32_kernels_of(forced: str | None) -> ModuleType:
    """Return the same kernels with float32 in their lanes, of which there are twice as many."""
    return importlib.import_module(module_of(instruction_set(forced), "_kernels_single"))


@cache
def many_kernels_of(forced: str | None) -> ModuleType:
    """Return the kernels of many small fits."""
    return importlib.import_module(module_of(instruction_set(forced), "_many"))


def linear_kernels() -> ModuleType:
    """Return the kernels of linear algebra, which both twins and the parameters use."""
    return linear_kernels_of(forced_instruction_set())


@cache
def linear_kernels_of(forced: str | None) -> ModuleType:
    return importlib.import_module(module_of(instruction_set(forced), "_linear"))


def forced_instruction_set() -> str | None:
    """Return FASTEM_ISA; None where it is not set."""
    return os.environ.get("FASTEM_ISA") or None


def instruction_set(forced: str | None) -> str:
    """Return the instruction set to use; ValueError where the forced one cannot be."""
    if forced is not None and forced not in INSTRUCTION_SETS:
        raise ValueError(f"FASTEM_ISA={forced!r} is none of {', '.join(INSTRUCTION_SETS)}")
    usable = [isa for isa in processor_sets() if isa in built_sets() and forced in (None, isa)]
    if not usable:
        raise ValueError(f"FASTEM_ISA={forced!r}: this processor or this build has no {forced}")
    return usable[0]


def module_of(isa: str, source: str = "_kernels") -> str:
    """Return the name of the module that was compiled from a source for an instruction set."""
    return f"fastem.{source}" if isa == "baseline" else f"fastem.{source}_{isa}"


def built_sets() -> tuple[str, ...]:
    """Return the instruction sets of this build: not all where the compiler has no vector types, or not for x86-64."""
    return tuple(isa for isa in INSTRUCTION_SETS if importlib.util.find_spec(module_of(isa)))


def processor_sets() -> tuple[str, ...]:
    """Return the instruction sets that this processor runs, under this operating system."""
    baseline = importlib.import_module(module_of("baseline"))
    return tuple(isa for isa in INSTRUCTION_SETS if isa == "baseline" or baseline.processor_has(isa))


def numba_twin() -> ModuleType:
    """Return the kernels that Numba compiles; ImportError where it is not installed."""
    try:
        return importlib.import_module("fastem.kernels.numba")
    except ImportError as error:
        raise ImportError("backend='numba' needs Numba: pip install 'fastem[numba]'") from error


def importable_twins() -> dict[str, str]:
    """Return the twins that can be imported here, each with what compiles it."""
    twins = {"cython": "compiled ahead of time"}
    try:
        numba_twin()
    except ImportError:
        return twins
    return twins | {"numba": f"Numba {importlib.import_module('numba').__version__}"}


def distinct_keys(
    X: np.ndarray, trials: np.ndarray, sample_weight: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Find the distinct rows (m, 2 d) of X (n, d) and trials (n, d), whole numbers, as first met, and the sums of the
    weights of their equals (m,); None if m > most.  Counts without trials have trials (n, 0), and rows (m, d).  One
    compiled call, whichever twin sweeps."""
    d = X.shape[1]
    keys, weights = np.empty((most, 2 * d), np.int64), np.empty(most)
    table = np.full(1 << (2 * most).bit_length(), -1, np.int32)
    columns = trials if trials.shape[1] else np.broadcast_to(X.dtype.type(0), X.shape)
    found = cython_twin().distinct_counts(X, columns, sample_weight, table, keys, weights)
    return None if found < 0 else (keys[:found, : d + trials.shape[1]], weights[:found])


# -------------------------------------------------------------------------------------------------------------- run


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
    ) -> None:
        """Call kernel `name` on the groups rows[offsets[g] : offsets[g + 1]]; it fills out (each (m, ...)).

        Each thread gets shares of groups, with about as many rows in each.
        """
        many = self.kernels if self.is_numba else many_kernels_of(forced_instruction_set())
        kernel, edges = getattr(many, name), share_edges(offsets)

        def fit(part: np.ndarray) -> None:
            kernel(*rows, offsets, part, *settings, *out)

        for begin in range(0, len(edges) - 1, SHARES_AT_A_TIME * self.n_threads):
            part = edges[begin : begin + SHARES_AT_A_TIME * self.n_threads + 1]
            with in_use(*(array[offsets[part[0]] : offsets[part[-1]]] for array in rows)):
                if self.is_numba:
                    run_numba(kernel, min(self.n_threads, len(part) - 1), [*rows, offsets, part, *settings, *out])
                else:
                    self.each(fit, [part[share : share + 2] for share in range(len(part) - 1)])

    def each(self, call: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Return call(item) of every item, in their order; the caller works on some, helper threads on the others."""
        if self.n_threads == 1 or len(items) == 1:
            return [call(item) for item in items]
        if self._helpers is None or self._helpers.process != os.getpid():  # threads do not survive a fork
            self._helpers = Helpers(self.n_threads - 1)
        core, own = cython_twin().core_of_caller(), range(0, len(items), self.n_threads)
        others = {index: self._helpers.submit(core, call, item) for index, item in enumerate(items) if index not in own}
        try:
            found = {index: call(items[index]) for index in own}
            wait(others.values())
        except BaseException:  # such as an interruption: do not begin what has not begun
            for future in others.values():
                future.cancel()
            wait(others.values())
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


# ------------------------------------------------------------------------------------------------------------ numba

_launch = threading.Lock()
_launched_in: int | None = None


class NumbaKernel(Protocol):
    """A kernel that Numba compiles twice: with threads, and without."""

    serial: Callable[..., None]

    def __call__(self, *arguments: object) -> None: ...


def run_numba(kernel: NumbaKernel, threads: int, arguments: Sequence[object]) -> None:
    """Launch the parallel compilation where that is safe, the serial one of the same loop elsewhere.

    Numba's workqueue layer aborts the process when two threads launch at once, and no layer survives a fork.  The
    number of threads is the setting of the caller for kernels of their own, and is set back.
    """
    global _launched_in
    if threads == 1 or _launched_in not in (None, os.getpid()) or not _launch.acquire(blocking=False):
        kernel.serial(*arguments)
        return
    try:
        _launched_in = os.getpid()
        numba: Any = importlib.import_module("numba")
        before = numba.get_num_threads()
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        try:
            kernel(*arguments)
        finally:
            numba.set_num_threads(before)
    finally:
        _launch.release()


def compile_ahead(backend: str) -> None:
    """Compile all kernels of a twin that are not yet.  Compiling a parallel one launches Numba's threads."""
    global _launched_in
    if backend != "numba":
        return
    twin = numba_twin()
    kernels = [getattr(twin, name) for name in twin.__all__]
    for kernel in kernels:
        kernel.serial.compile_ahead()
    if _launched_in not in (None, os.getpid()):
        return  # in a forked child the serial ones are all that will run
    with _launch:
        _launched_in = os.getpid()
        for kernel in kernels:
            kernel.compile_ahead()
