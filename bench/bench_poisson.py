"""A Poisson sweep compared with a binomial sweep of equal n, d and k, on one thread, all rows swept.

    python bench/bench_poisson.py

Answers are compared with the naive sums before anything is timed; times are medians of interleaved repeats.
"""

from functools import partial

import measure
import numpy as np
from cases import QUICK, TWINS, Case, make

N = 100_000 if QUICK else 1_000_000
CHECKED = 20_000
"""Rows of the comparison with naive."""
REPEATS = 15


def check(case: Case, twin: str) -> None:
    problem = make(Case(case.family, CHECKED, case.d, case.k, trials=case.trials))
    values = [getattr(problem.start, name) for name in problem.start.parameter_names]
    assert problem.X.shape == (CHECKED, case.d)
    data = (problem.X,) if problem.trials is None else (problem.X, problem.trials)
    *sums, loglik, entropy = getattr(measure.naive, f"{case.family}_sums")(*data, np.ones(CHECKED), *values)
    with measure.opened(problem, twin) as rows:
        stats = rows.sweep(problem.start)
    names = ("counts", "events") if case.is_poisson else ("counts", "successes", "failures")
    for name, expected in zip(names, sums, strict=True):
        np.testing.assert_allclose(getattr(stats, name), expected, rtol=1e-9)
    np.testing.assert_allclose([stats.loglik, stats.entropy], [loglik, entropy], rtol=1e-9)


def compare(d: int, k: int, twin: str) -> None:
    cases = [Case(family, N, d, k, trials=50, threads=1) for family in ("poisson", "binomial")]
    for case in cases:
        check(case, twin)
    problems = {case.family: make(case) for case in cases}
    with measure.opened(problems["poisson"], twin) as events, measure.opened(problems["binomial"], twin) as coins:
        sweeps = {
            "poisson": partial(events.sweep, problems["poisson"].start),
            "binomial": partial(coins.sweep, problems["binomial"].start),
        }
        times = measure.medians({name: partial(measure.seconds, call) for name, call in sweeps.items()}, REPEATS)
    told = ", ".join(f"{name} {1e9 * t / (N * k):.2f} ns" for name, t in times.items())
    print(f"{twin}, n = {N:,}, d = {d}, k = {k}: {told}; ratio {times['poisson'] / times['binomial']:.2f}", flush=True)


def main() -> None:
    for twin in TWINS:
        if measure.why_missing(twin):
            continue
        for d in (1, 20):
            compare(d, 5, twin)


if __name__ == "__main__":
    main()
