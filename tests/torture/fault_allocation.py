"""No memory: MemoryError comes out, nothing is lost, the estimator is as before, and the next fit has the same bits.

Every allocation of the kernels fails in turn (scarce.c); then those of NumPy's arrays, behind a limit on the address
space of the process.
"""

import ctypes
import gc
import importlib
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
from builds import BUILDS, SMALL

import fastem
from fastem.kernels import backend

LEAST = 4096
"""Bytes: every tile has more.  Below are the owners that Numba notes of its arguments, without which it can do."""
RUNS, REPEATS = 5, 20 if SMALL else 200
LEAK = 8192
"""Bytes for each failed fit: half of the smallest tile."""
STEP = 1 << (19 if SMALL else 17)
ROOM = 1 << 24
"""Bytes of address space beyond what is taken: from nothing to what is enough, so many at a time."""

GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "1"}
"""Of memory, to the system: else glibc keeps room for the next array, and for every thread."""

Case = tuple[Callable[[], Any], np.ndarray, dict[str, int]]


class Groups:
    """fit_many as an estimator: its fits and labels."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def fit(self, X: np.ndarray, **family: Any) -> Self:
        fits = fastem.fit_many(X[:, 0], np.linspace(0, len(X), 21).astype(int), 2, **family, **self.options)
        self.weights_, self.fits = fits.weights, fits
        return self

    def predict_proba(self, X: np.ndarray, trials: int | None = None, **family: str) -> np.ndarray:
        """Or rather labels, as many as there are rows in the groups of the fit."""
        rows = np.resize(X[:, 0], self.fits.offsets[-1])
        return self.fits.labels(rows) if trials is None else self.fits.labels(rows, trials)


def cases(twin: str, n_threads: int) -> Iterator[Case]:
    """An estimator of every kernel, and the arguments of its fit."""
    rng = np.random.default_rng(0)
    options = {"random_state": 0, "max_iter": 2, "tol": 0.0, "backend": twin, "n_threads": n_threads}
    for d, kind, dtype in ((1, "full", "f8"), (3, "full", "f8"), (5, "full", "f4"), (3, "diag", "f8")):
        X = rng.normal(size=(20_000, d)).astype(dtype)
        yield lambda kind=kind: fastem.GaussianMixture(2, covariance_type=kind, **options), X, {}
    X = rng.integers(0, 9000, (20_000, 2))  # hardly any two equal
    yield lambda: fastem.BinomialMixture(2, **options), X, {"trials": 9000}
    limits = {name: options[name] for name in ("max_iter", "tol", "backend", "n_threads")}
    yield lambda: Groups(**limits), X[:10_000] / 9000, {}
    yield lambda: Groups(**limits), X[:10_000], {"trials": 9000, "family": "binomial"}


@contextmanager
def malloc_fails(n: int, library: bytes = b"fastem/_") -> Iterator[Callable[[], bool]]:
    """Allocation number n of a library fails, if there are so many; yields whether one has."""
    shim = ctypes.CDLL(None)
    shim.arm.argtypes = (ctypes.c_long, ctypes.c_size_t, ctypes.c_char_p)
    shim.arm(n, LEAST, library)
    try:
        yield shim.fired
    finally:
        shim.arm(-1, LEAST, library)


@contextmanager
def tiles_fail(n: int) -> Iterator[Callable[[], bool]]:
    """The same of Numba's kernels, whose tiles are made in Python: they ask for no memory of their own."""
    jit, made = importlib.import_module("fastem.kernels.numba.jit"), []
    make = jit.new_tiles

    def new_tiles(*arguments: int) -> np.ndarray:
        made.append(arguments)
        if len(made) == n + 1:
            raise MemoryError
        return make(*arguments)

    jit.new_tiles = new_tiles
    try:
        with malloc_fails(0, b"_nrt_python") as has_asked:
            yield lambda: len(made) > n or has_asked()
    finally:
        jit.new_tiles = make


Fault = Callable[[int], AbstractContextManager[Callable[[], bool]]]
FAULTS: dict[str, Fault] = {"cython": malloc_fails, "numba": tiles_fail}


def is_refused(n: int, fault: Fault, call: Callable[[], object]) -> bool:
    """Allocation number n fails, if there are so many: then the call does, with a MemoryError."""
    with fault(n) as has_failed:
        try:
            call()
        except MemoryError:
            return True
        assert not has_failed(), f"allocation {n} failed and nobody was told"
    return False


def fail_in_turn(fault: Fault, case: Case) -> int:
    """How many allocations of a fit and of a prediction have failed."""
    make, X, arguments = case
    mixture = make().fit(X, **arguments)
    bits, failures = mixture.weights_.tobytes(), 0
    for call in (mixture.fit, mixture.predict_proba):
        n = 0
        while is_refused(n, fault, lambda call=call: call(X[1:], **arguments)):
            assert mixture.weights_.tobytes() == bits, "a fit that failed has changed the estimator"
            assert make().fit(X, **arguments).weights_.tobytes() == bits, "the next fit is another"
            n += 1
        failures += n
        mixture.fit(X, **arguments)
    return failures


def resident() -> int:
    """Bytes; an exception of a helper's and the frames it came through are a cycle, which waits for its collection."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def fail_often(fault: Fault, case: Case) -> int:
    """Bytes that REPEATS failed fits keep: the least of all runs but the first: a leak is in each."""
    make, X, arguments = case
    seen = []
    for _ in range(RUNS):
        for _ in range(REPEATS):
            assert is_refused(0, fault, lambda: make().fit(X, **arguments))
        seen.append(resident())
    return min(after - before for before, after in pairwise(seen))


def fail_for_want_of_space(case: Case) -> int:
    """How often there was too little space for a prediction, of all sizes of room; each time the next one is right."""
    make, X, arguments = case
    X = np.tile(X, (10, 1))
    mixture = make().fit(X, **arguments)
    expected, failures = mixture.predict_proba(X, **arguments).tobytes(), 0
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    for room in range(0, ROOM, STEP):
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + room, most))
        try:
            mixture.predict_proba(X, **arguments)
            mixture.fit(X, **arguments)
        except MemoryError:
            failures += 1
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        assert mixture.predict_proba(X, **arguments).tobytes() == expected
    assert 0 < failures < ROOM // STEP, "the sizes of room are no trial"
    return failures


def child(twin: str) -> None:
    backend.PARALLEL_WORK, backend.SHARE_ROWS = 0, 1000  # threads for few rows, too
    for case in cases(twin, 1):  # a thread that finds no memory to begin is one that CPython waits for, forever
        sys.stdout.write(f"{twin}: {fail_for_want_of_space(case)} failures for want of space\n")
        sys.stdout.flush()
    for n_threads in (1, 2):
        for case in cases(twin, n_threads):
            failures, lost = fail_in_turn(FAULTS[twin], case), fail_often(FAULTS[twin], case)
            assert lost < LEAK * REPEATS, f"{REPEATS} failed fits have kept {lost} bytes"
            sys.stdout.write(f"{twin}, n_threads={n_threads}: {failures} failures in turn, {lost} bytes kept\n")
            sys.stdout.flush()


def main() -> None:
    BUILDS.mkdir(parents=True, exist_ok=True)
    source, shim = Path(__file__).with_name("scarce.c"), BUILDS / "scarce.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    for twin in FAULTS:
        environment = {**os.environ, "LD_PRELOAD": str(shim), **GIVEN_BACK}
        subprocess.run([sys.executable, "-W", "ignore", __file__, twin], env=environment, check=True)


if __name__ == "__main__":
    child(sys.argv[1]) if len(sys.argv) > 1 else main()
