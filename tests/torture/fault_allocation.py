"""No memory: MemoryError comes out, nothing is lost, the estimator is as before, and the next fit has the same bits.

Every allocation of the kernels fails in turn (scarce.c); then those of NumPy's arrays, behind a limit on the address
space of the process.
"""

import ctypes
import gc
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from builds import BUILDS, SMALL

import fastem
from fastem import backend

OF_KERNELS = {"cython": b"fastem/_kernels", "numba": b"_nrt_python"}
"""Whose allocations fail: those of our modules, and of the run time that Numba's kernels call."""
REPEATS = 200 if SMALL else 1000
LEAK = 1 << 21
"""Bytes: a tile of 16 KiB or more lost by each failed fit is more, already of 200; the heap wanders by less."""
STEP = 1 << (19 if SMALL else 17)
ROOM = 1 << 24
"""Bytes of address space beyond what is taken: from nothing to what is enough, so many at a time."""

GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "1"}
"""Of memory, to the system: else glibc keeps room for the next array, and for every thread."""

Case = tuple[Callable[[], fastem.GaussianMixture], np.ndarray, dict[str, int]]


def cases(twin: str, n_threads: int) -> Iterator[Case]:
    """An estimator of every kernel, and the arguments of its fit."""
    rng = np.random.default_rng(0)
    options = {"random_state": 0, "max_iter": 2, "tol": 0.0, "backend": twin, "n_threads": n_threads}
    for d, kind, dtype in ((1, "full", "f8"), (3, "full", "f8"), (5, "full", "f4"), (3, "diag", "f8")):
        X = rng.normal(size=(20_000, d)).astype(dtype)
        yield lambda kind=kind: fastem.GaussianMixture(2, covariance_type=kind, **options), X, {}
    X = rng.integers(0, 9000, (20_000, 2))  # hardly any two equal
    yield lambda: fastem.BinomialMixture(2, **options), X, {"trials": 9000}


def is_refused(n: int, library: bytes, call: Callable[[], object]) -> bool:
    """Allocation number n of the library fails, if there are so many: then the call does, with a MemoryError."""
    arm = ctypes.CDLL(None).arm
    arm.argtypes = (ctypes.c_long, ctypes.c_size_t, ctypes.c_char_p)
    arm(n, 0, library)
    try:
        call()
    except MemoryError:
        return True
    finally:
        has_failed = ctypes.CDLL(None).fired()
        arm(-1, 0, library)
    assert not has_failed, f"allocation {n} failed and nobody was told"
    return False


def fail_in_turn(library: bytes, case: Case) -> int:
    """How many allocations of a fit and of a prediction have failed."""
    make, X, arguments = case
    mixture = make().fit(X, **arguments)
    bits, failures = mixture.weights_.tobytes(), 0
    for call in (mixture.fit, mixture.predict_proba):
        n = 0
        while is_refused(n, library, lambda call=call: call(X[1:], **arguments)):
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


def fail_often(library: bytes, case: Case) -> int:
    """Bytes that REPEATS failed fits keep, when as many before them have filled what is kept for reuse."""
    make, X, arguments = case
    seen = []
    for _ in range(2):
        seen.append(resident())
        for _ in range(REPEATS):
            assert is_refused(0, library, lambda: make().fit(X, **arguments))
    return resident() - seen[1]


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
    backend.PARALLEL_WORK = 0  # threads for few rows, too
    library = OF_KERNELS[twin]
    for case in cases(twin, 1):  # a thread that finds no memory to begin is one that CPython waits for, forever
        sys.stdout.write(f"{twin}: {fail_for_want_of_space(case)} failures for want of space\n")
        sys.stdout.flush()
    for n_threads in (1, 2):
        for case in cases(twin, n_threads):
            failures, lost = fail_in_turn(library, case), fail_often(library, case)
            assert lost < LEAK, f"{REPEATS} failed fits have kept {lost} bytes"
            sys.stdout.write(f"{twin}, n_threads={n_threads}: {failures} failures in turn, {lost} bytes kept\n")
            sys.stdout.flush()


def main() -> None:
    BUILDS.mkdir(parents=True, exist_ok=True)
    source, shim = Path(__file__).with_name("scarce.c"), BUILDS / "scarce.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    for twin in OF_KERNELS:
        environment = {**os.environ, "LD_PRELOAD": str(shim), **GIVEN_BACK}
        subprocess.run([sys.executable, "-W", "ignore", __file__, twin], env=environment, check=True)


if __name__ == "__main__":
    child(sys.argv[1]) if len(sys.argv) > 1 else main()
