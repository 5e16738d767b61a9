"""Peak memory of a fit beyond its rows, beside what docs/architecture.md promises; exit 1 where it takes more.

    python bench/memory.py

Every case runs in a process of its own: the growth of its peak resident memory from rows that are there to the end of
their fit.  First the gate shows that it works: a fit that makes an n x k array must be over its budget.
"""

import subprocess
import sys
from collections.abc import Callable
from resource import RUSAGE_SELF, getrusage
from typing import Any

import numpy as np
from cases import CASES, FULL_2, Case

import fastem
from fastem.data.distinct import CHUNK_ROWS
from fastem.data.kmeans import ROWS_PER_MEAN, START_ROWS
from fastem.data.rows import SUMS_BYTES, Rows

DATA_BYTES = 1 << 27
"""Of the rows of a case: an n x k array is 64 MiB or more."""
FEW = 1_000
"""Rows of a first fit, which loads whatever fits load."""
PART_ROWS = 1 << 14
"""Rows that are drawn at a time."""
SLACK = 4 << 20
"""Stacks of threads, what the allocator rounds up and keeps; seen: 2 MB."""
TABLE_BYTES = 8 * CHUNK_ROWS
"""Of a table of distinct counts: an int32 for each place, twice as many as distinct rows may be met, or more."""
SEARCHED = 8
"""Features up to which the fits search for their start: with more a search takes long, and holds no more rows."""
HOARD = "--hoard"


def rows_of(case: Case) -> np.ndarray:
    """Components around multiples of 3, or coins of different bias; in place, so that no temporary is the peak."""
    rng = np.random.default_rng(0)
    X = np.empty((DATA_BYTES // (8 * case.d), case.d))
    for begin in range(0, len(X), PART_ROWS):
        part = X[begin : begin + PART_ROWS]
        labels = rng.integers(case.k, size=(len(part), 1))
        if case.is_binomial:
            part[:] = rng.binomial(case.trials, (1 + labels) / (1 + case.k))
        elif case.is_poisson:
            part[:] = rng.poisson(10.0 * (1 + labels))
        else:
            part[:] = rng.standard_normal(part.shape) + 3 * labels
    return X


def fit(case: Case, X: np.ndarray) -> None:
    settings = {"max_iter": 2, "tol": 0.0, "random_state": 0}
    if case.is_binomial:
        fastem.BinomialMixture(case.k, **settings).fit(X, trials=case.trials)
    elif case.is_poisson:
        fastem.PoissonMixture(case.k, **settings).fit(X)
    else:
        start = "auto" if case.d <= SEARCHED else "kmeans"
        fastem.GaussianMixture(case.k, covariance_type=case.covariance_type, init_params=start, **settings).fit(X)


def budget(case: Case) -> int:
    """Bytes: the sums of a wave; the rows of a start, twice, and their responsibilities; tables of distinct counts."""
    threads = fastem.show_config().threads.n_threads
    second = case.d**2 if case.family in ("full", "tied") else case.d
    wave = max(SUMS_BYTES, threads * 8 * (2 + case.k * (1 + case.d + second)))
    start = 8 * max(START_ROWS, ROWS_PER_MEAN * case.k * (case.d + 1)) * (2 * case.d + case.k)
    return wave + start + (threads * TABLE_BYTES if case.row_kind != "real numbers" else 0) + SLACK


# -------------------------------------------------------------------------------------------------- in its own process


def hoarding(sweep: Callable[[Rows, Any], Any]) -> Callable[[Rows, Any], Any]:
    """The test of the gate: a sweep with an array of responsibilities."""

    def with_responsibilities(rows: Rows, params: Any) -> Any:
        responsibilities = np.ones((len(rows), len(params.weights)))
        stats = sweep(rows, params)
        del responsibilities
        return stats

    return with_responsibilities


def tell_growth(shape: str) -> None:
    case = next(case for case in CASES if case.shape == shape)
    X = rows_of(case)
    fit(case, X[:FEW])
    before = getrusage(RUSAGE_SELF).ru_maxrss
    fit(case, X)
    print(getrusage(RUSAGE_SELF).ru_maxrss - before)


def growth(case: Case, *options: str) -> int:
    """Bytes by which a fit of this case has made its process grow."""
    command = [sys.executable, "-W", "ignore", __file__, "--tell", case.shape, *options]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return 1024 * int(found.stdout)  # Linux counts in KiB


def over(name: str, case: Case, *options: str) -> bool:
    most, found = budget(case), growth(case, *options)
    print(f"  {name:30s} {found / 2**20:7.1f} MiB of {most / 2**20:7.1f}", flush=True)
    return found > most


def main() -> int:
    if "--tell" in sys.argv:
        if HOARD in sys.argv:
            Rows.sweep = hoarding(Rows.sweep)
        tell_growth(sys.argv[2])
        return 0
    if not over(f"{FULL_2.shape} with responsibilities", FULL_2, HOARD):
        print("the gate does not see an n x k array")
        return 1
    failures = [case.shape for case in CASES if over(case.shape, case)]
    for shape in failures:
        print(f"MORE MEMORY {shape}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
