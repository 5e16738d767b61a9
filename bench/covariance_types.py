"""Kernels that take rows from the middle of the means, beside others: python bench/covariance_types.py [type ...]

Tied covariances beside full ones, whose sums are pooled; diagonal and spherical ones beside those of residuals, and of
version 0.1.  One sweep on one thread, in turns, CPU time: ns per point and component, the least of some sweeps; what
`predict` needs likewise.  Answers are compared before anything is timed.
"""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields
from functools import partial

import measure
import numpy as np
import ratio
from cases import Case, Problem, make

import fastem
from fastem.data.open import open_rows
from fastem.data.rows import Rows

TYPES = ("tied", "diag", "spherical")
SHAPES = ((200_000, 4, 8), (200_000, 8, 12), (100_000, 16, 16), (100_000, 32, 64), (40_000, 64, 64), (8_192, 784, 10))
TIED_SHAPES = SHAPES[:-1]
REPEATS = 9
RTOL = 1e-9


def by_residuals(params: fastem.GaussianParams) -> fastem.GaussianParams:
    """The same parameters, as if their means were too far from their middle."""
    return params.unchecked(**{each.name: getattr(params, each.name) for each in fields(params)}, middle=None)


def contestants(problem: Problem, stack: ExitStack) -> dict[str, Callable[[], object]]:
    """A sweep, or a prediction, of each by its name."""

    def opened(dtype: type, twin: str = "cython") -> Rows:
        options = {"row_kind": problem.case.row_kind, "backend": twin, "n_threads": 1}
        return stack.enter_context(open_rows(problem.X.astype(dtype), None, **options))

    start, doubles, floats = problem.start, opened(np.float64), opened(np.float32)
    found: dict[str, Callable[[], object]] = {}
    for name, params in (("residuals", by_residuals(start)), ("middle", start)):
        found |= {
            name: partial(doubles.sweep, params),
            f"{name}, float32": partial(floats.sweep, params),
            f"{name}, labels": partial(doubles.posterior, params, "labels"),
        }
        if not measure.why_missing("numba"):
            found[f"{name}, Numba"] = partial(opened(np.float64, "numba").sweep, params)
    if problem.case.family in ratio.FROZEN_FAMILIES:
        found["version 0.1"], _ = ratio.call(ratio.reference(), problem.case)
    return found


def check(problem: Problem) -> None:
    """AssertionError where the kernels disagree, or where they are the same."""
    params = problem.start
    with open_rows(problem.X, None, row_kind=problem.case.row_kind, n_threads=1) as rows:
        a, b = rows.sweep(params), rows.sweep(by_residuals(params))
    assert params.middle is not None
    for found, expected in ((a.first, b.first), (a.second, b.second), (a.loglik, b.loglik)):
        np.testing.assert_allclose(found, expected, rtol=RTOL, atol=RTOL * np.abs(expected).max())


def least(problem: Problem) -> dict[str, float]:
    """ns per point and component."""
    scale = 1e9 / (problem.case.n * problem.case.k)
    with ExitStack() as stack:
        calls = contestants(problem, stack)
        turns = [
            {name: measure.seconds(call, time.process_time) for name, call in calls.items()} for _ in range(REPEATS)
        ]
    return {name: scale * min(turn[name] for turn in turns) for name in calls}


def main() -> None:
    for family in sys.argv[1:] or TYPES:
        for n, d, k in TIED_SHAPES if family == "tied" else SHAPES:
            problem = make(Case(family, n, d, k))
            check(problem)
            cells = "".join(f"  {name} {value:.2f}" for name, value in least(problem).items())
            print(f"{family}, d = {d:2d}, k = {k:2d}:{cells}", flush=True)


if __name__ == "__main__":
    main()
