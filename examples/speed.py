"""Fits of a few iterations by fastem and by scikit-learn, from equal starts: first the answers, then the times."""

import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import fastem
from fastem._table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import cases
import measure

ITERATIONS = 5
REPEATS = 3
CASES = (
    cases.Case("normal", 150_000, 1, 3),
    cases.Case("full", 50_000, 2, 5),
    cases.Case("diag", 25_000, 8, 10),
    cases.Case("full", 10_000, 8, 10),
)
"""Of sizes for which scikit-learn takes up to half a second: the demonstration is not to wait for it."""
OURS, THEIRS, NUMBA = "fastem", "scikit-learn", "fastem, Numba"
LEAD = (
    f"A whole call of fit with {ITERATIONS} iterations of EM from equal starts; answers were compared first, "
    f"times are medians of {REPEATS}. The ratio is scikit-learn's time by fastem's."
)

Contestants = dict[str, Callable[[], object]]
"""Name -> a fit."""


def fit(problem: cases.Problem, backend: str) -> fastem.GaussianMixture:
    """A fit of fastem's from the start of the problem, without acceleration, which scikit-learn has not."""
    start = problem.start
    mixture = fastem.GaussianMixture(
        len(start.weights),
        covariance_type=start.covariance_type,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=start.precisions(),
        tol=0.0,
        max_iter=ITERATIONS,
        acceleration=None,
        backend=backend,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastem.ConvergenceWarning)
        return mixture.fit(problem.X)


def contestants(problem: cases.Problem, numba: bool) -> Contestants:
    twins = {OURS: "cython"} | ({NUMBA: "numba"} if numba else {})
    ours = {name: partial(fit, problem, backend) for name, backend in twins.items()}
    return ours | {THEIRS: partial(measure.sklearn_iterations, problem, ITERATIONS)}


def check_equal(calls: Contestants) -> None:
    """AssertionError unless all have found the same parameters."""
    first, *others = (
        [getattr(fitted, name) for name in ("weights_", "means_", "covariances_")]
        for fitted in (call() for call in calls.values())
    )
    for other in others:
        measure.compare(first, other, measure.SKLEARN_RTOL)


def seconds(case: cases.Case, numba: bool) -> dict[str, float]:
    """Contestant -> seconds of a fit; AssertionError where answers differ."""
    calls = contestants(cases.make(case), numba)
    check_equal(calls)
    return measure.medians({name: partial(measure.seconds, call) for name, call in calls.items()}, REPEATS)


def row(case: cases.Case, times: dict[str, float]) -> list[str]:
    shape = [case.covariance_type, f"{case.n:,}", str(case.d), str(case.k)]
    return [*shape, *(f"{1e3 * time:,.1f} ms" for time in times.values()), f"{times[THEIRS] / times[OURS]:.0f} x"]


def table(numba: bool) -> Table:
    """A row a case; the last column is how many times as long scikit-learn takes."""
    times = {case: seconds(case, numba) for case in CASES}
    names = list(times[CASES[0]])
    headings = ["covariances", "n", "d", "k", *names, "ratio"]
    return Table(headings, [row(case, times[case]) for case in CASES], lead=[LEAD], left={"covariances"})
