"""The kernel of a tied covariance beside that of full ones, which pools its sums: python bench/tied.py

One sweep on one thread, in turns, CPU time: ns per point and component, the least of some sweeps; what `predict` needs
likewise.  Answers are compared before anything is timed.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields

import measure
import numpy as np
from cases import Case, Problem, make

import fastem
from fastem.data.open import open_rows
from fastem.data.rows import Rows

SHAPES = ((200_000, 4, 8), (200_000, 8, 12), (100_000, 16, 16), (100_000, 32, 64), (40_000, 64, 64))
REPEATS = 9
RTOL = 1e-9


def pooling(params: fastem.GaussianParams) -> fastem.GaussianParams:
    """The same parameters, as if their means were too far from their middle."""
    return params.unchecked(**{each.name: getattr(params, each.name) for each in fields(params)}, middle=None)


def contestants(problem: Problem, stack: ExitStack) -> dict[str, Callable[[], object]]:
    """A sweep, or a prediction, of each by its name."""

    def opened(dtype: type, twin: str = "cython") -> Rows:
        options = {"row_kind": problem.case.row_kind, "backend": twin, "n_threads": 1}
        return stack.enter_context(open_rows(problem.X.astype(dtype), None, **options))

    params, full, doubles, floats = problem.start, pooling(problem.start), opened(np.float64), opened(np.float32)
    found: dict[str, Callable[[], object]] = {
        "full": lambda: doubles.sweep(full),
        "tied": lambda: doubles.sweep(params),
        "full, float32": lambda: floats.sweep(full),
        "tied, float32": lambda: floats.sweep(params),
        "full, labels": lambda: doubles.posterior(full, "labels"),
        "tied, labels": lambda: doubles.posterior(params, "labels"),
    }
    if not measure.why_missing("numba"):
        numba = opened(np.float64, "numba")
        found["tied, Numba"] = lambda: numba.sweep(params)
    return found


def check(problem: Problem) -> None:
    """AssertionError where the kernels disagree, or where the tied one is not taken."""
    params = problem.start
    with open_rows(problem.X, None, row_kind=problem.case.row_kind, n_threads=1) as rows:
        tied, full = rows.sweep(params), rows.sweep(pooling(params))
    assert params.kernel.accumulate == "accumulate_mvnormal_tied"
    for found, expected in ((tied.first, full.first), (tied.second, full.second), (tied.loglik, full.loglik)):
        np.testing.assert_allclose(found, expected, rtol=RTOL, atol=RTOL * np.abs(expected).max())


def seconds(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def least(problem: Problem) -> dict[str, float]:
    """ns per point and component."""
    scale = 1e9 / (problem.case.n * problem.case.k)
    with ExitStack() as stack:
        calls = contestants(problem, stack)
        turns = [{name: seconds(call) for name, call in calls.items()} for _ in range(REPEATS)]
    return {name: scale * min(turn[name] for turn in turns) for name in calls}


def main() -> None:
    for n, d, k in SHAPES:
        problem = make(Case("tied", n, d, k))
        check(problem)
        cells = "".join(f"  {name} {value:.2f}" for name, value in least(problem).items())
        print(f"d = {d:2d}, k = {k:2d}:{cells}", flush=True)


if __name__ == "__main__":
    main()
