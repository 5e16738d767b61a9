"""Whole default fits of a million rows, from the first check to the last sweep, however the rows lie in memory.

    python bench/first_to_last.py [number of rows, default 1000000]

Each layout in turns with rows in C order: seconds of CPU of a default fit, of a sweep alone on one thread, of `predict`
and of `score_samples`, the least of some turns; and the most memory that the fit takes beside its rows.  Before
anything is timed, the fits of all layouts must have the same bits.  Exit 1 where Fortran order takes over 1.2 times as
long as C order, or where a fit takes more memory than one of float64 rows in C order (for which see bench/memory.py) by
a quarter of its rows: that would be a copy of some.
"""

import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import partial

import measure
import numpy as np
from cases import Case, normal_params

import fastem
from fastem.data.open import open_rows

SHAPES = ((2, 5), (8, 10), (32, 4))
"""Features and components.  Of 32 features few, or most of the time is the search."""
DTYPES = ("float64", "float32")
SEED = 20261130
TURNS = 5
ALLOWED = 1.2
COPY = 0.25
"""Of the bytes of the rows."""

LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "some columns": lambda X: np.pad(X, ((0, 0), (1, 2)))[:, 1:-2],
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
}


def rows_of(n: int, d: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows around k means that overlap a little, and the means."""
    rng = np.random.default_rng([SEED, d])
    means = rng.normal(size=(k, d)) * 4 / d**0.25
    return means[rng.integers(k, size=n)] + rng.normal(size=(n, d)), means


def fit(X: np.ndarray, k: int) -> fastem.GaussianMixture:
    return fastem.GaussianMixture(k, random_state=0).fit(X)


def peak(X: np.ndarray, k: int) -> int:
    """Bytes of NumPy's arrays during a fit, at the most."""
    tracemalloc.start()
    fit(X, k)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def check(arrays: dict[str, np.ndarray], k: int) -> fastem.GaussianMixture:
    """AssertionError unless all layouts have the fit of C order, which is returned."""
    fits = {name: fit(X, k) for name, X in arrays.items()}
    for name, found in fits.items():
        for field in ("weights", "means", "covariances"):
            np.testing.assert_array_equal(getattr(found.params_, field), getattr(fits["C"].params_, field), name)
    return fits["C"]


def seconds(arrays: dict[str, np.ndarray], calls: Callable[[np.ndarray], Callable[[], object]]) -> dict[str, float]:
    """Of CPU, in turns: the least."""
    ready = {name: calls(X) for name, X in arrays.items()}
    turns = [{name: measure.seconds(call, time.process_time) for name, call in ready.items()} for _ in range(TURNS)]
    return {name: min(turn[name] for turn in turns) for name in ready}


def measured(n: int, d: int, k: int, dtype: str) -> list[str]:
    """Print the table of a shape.  -> what is not as it should be"""
    X, means = rows_of(n, d, k)
    arrays = {name: layout(X.astype(dtype)) for name, layout in LAYOUTS.items()}
    mixture, start = check(arrays, k), normal_params(Case("full", n, d, k), means)
    found = {
        "fit": seconds(arrays, lambda X: partial(fit, X, k)),
        "sweep": seconds(arrays, lambda X: partial(open_rows(X, n_threads=1).sweep, start)),
        "predict": seconds(arrays, lambda X: partial(mixture.predict, X)),
        "score_samples": seconds(arrays, lambda X: partial(mixture.score_samples, X)),
    }
    memory, usual = {name: peak(X, k) for name, X in arrays.items()}, peak(X, k)
    shape = f"{d} features, k = {k}, {dtype}"
    for name in arrays:
        cells = [f"{1e3 * times[name]:.1f} ms, {times[name] / times['C']:.2f}" for times in found.values()]
        print(f"| {shape} | {name} | {' | '.join(cells)} | {memory[name] / 2**20:.1f} MiB |", flush=True)
    ratios = {what: times["Fortran"] / times["C"] for what, times in found.items()}
    return [f"{shape}: {what}, {ratio:.2f} times C order" for what, ratio in ratios.items() if ratio > ALLOWED] + [
        f"{shape}, {name}: rows are copied" for name, most in memory.items() if most > usual + COPY * arrays["C"].nbytes
    ]


def main() -> int:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print("| rows | layout | fit | sweep | predict | score_samples | memory beside the rows |")
    print("|---|---|---|---|---|---|---|")
    failures = [line for d, k in SHAPES for dtype in DTYPES for line in measured(n, d, k, dtype)]
    print(*failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
