"""How near each kernel is to the limit of the machine: python bench/roofline.py [REPEATS]

The limit of a sweep is the time of its multiply-adds, at the rate of NumPy's matrix product, and of an exponential for
each point and component, at the rate of NumPy's exp in the first cache; both run on the same units, so that their times
add up.  One thread.  Rates and sweeps are measured in turns, after a check of the answers; least times.
"""

import sys
from contextlib import ExitStack
from functools import partial

import measure
import numpy as np
from cases import Case, Problem, make
from threadpoolctl import threadpool_limits

WORK = 2e8
"""Multiply-adds, or twenty times as many exponentials, of a sweep that is timed: some 20 ms."""
EXPONENTIAL = 20
"""Multiply-adds that take as long as an exponential, about: for the choice of n alone."""
CASES = (
    ("normal", 1, 3),
    ("full", 2, 5),
    ("full", 8, 10),
    ("full", 16, 10),
    ("full", 32, 16),
    ("full", 64, 16),
    ("full", 128, 16),
    ("tied", 8, 12),
    ("tied", 16, 16),
    ("tied", 32, 64),
    ("tied", 64, 64),
    ("diag", 2, 5),
    ("diag", 8, 10),
    ("diag", 32, 64),
    ("diag", 64, 64),
    ("diag", 784, 10),
    ("spherical", 8, 10),
    ("spherical", 32, 64),
    ("binomial", 1, 3),
    ("binomial", 20, 5),
    ("poisson", 1, 3),
)
DTYPES = ("float64", "float32")
RTOL = {"float64": 1e-9, "float32": measure.SINGLE_RTOL}
CACHED = 2048
"""Numbers of which an exponential is taken: they stay in the first cache."""
CALLS = 100
"""Of exp, one after the other."""
TRIALS = 50


def cases(dtype: str) -> list[Case]:
    """Of the dtype, each of as many rows as make a sweep long enough."""
    shapes = [Case(family, 1, d, k, TRIALS * (family == "binomial"), dtype, threads=1) for family, d, k in CASES]
    return [sized(case) for case in shapes if dtype == "float64" or case.row_kind == "real numbers"]


def sized(case: Case) -> Case:
    n = int(WORK / (case.k * (case.multiply_adds + EXPONENTIAL)))
    return Case(case.family, n, case.d, case.k, case.trials, case.dtype, case.threads)


def exponential_sampler(dtype: str) -> measure.Sampler:
    """Nanoseconds of an exponential."""
    x = -np.random.default_rng(0).random(CACHED).astype(dtype)
    out = np.empty_like(x)
    return lambda: 1e9 / (CALLS * CACHED) * measure.seconds(lambda: [np.exp(x, out=out) for _ in range(CALLS)])


def check(problem: Problem) -> None:
    """AssertionError unless the log likelihood of some rows is that of the naive sums."""
    part = measure.loop_part(problem)
    expected, _ = measure.naive.posterior(log_density(part), part.start.weights)
    with measure.opened(part, "cython") as rows:
        np.testing.assert_allclose(rows.sweep(part.start).loglik, expected.sum(), rtol=RTOL[problem.case.dtype])


def log_density(problem: Problem) -> np.ndarray:
    """Of rows (n, k) of the components."""
    X, start = problem.X.astype(float), problem.start
    if problem.case.is_binomial:
        return measure.naive.binomial_log_density(X, problem.trials, start.probs)
    if problem.case.is_poisson:
        return measure.naive.poisson_log_density(X, start.rates)
    covariances = measure.naive.expand_covariances(start.covariances, start.covariance_type, *start.means.shape)
    return measure.naive.normal_log_density(X, start.means, covariances)


def least(problem: Problem, repeats: int) -> tuple[float, ...]:
    """Nanoseconds of a multiply-add, of an exponential, and of a sweep per point and component."""
    case = problem.case
    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(1))
        sweep = partial(stack.enter_context(measure.opened(problem, "cython")).sweep, problem.start)
        samplers = (
            measure.matmul_sampler(dtype=case.dtype),
            exponential_sampler(case.dtype),
            lambda: 1e9 / (case.n * case.k) * measure.seconds(sweep),
        )
        turns = [[sampler() for sampler in samplers] for _ in range(repeats)]
    return tuple(map(min, zip(*turns, strict=True)))


def line(case: Case, repeats: int) -> str:
    """A row of the table in docs/performance.md."""
    problem = make(case)
    check(problem)
    multiply_add, exponential, sweep = least(problem, repeats)
    limit = case.multiply_adds * multiply_add + exponential
    rest = f"{case.multiply_adds:.4g} | {limit:.2f} | {sweep:.2f} | {limit / sweep:.0%} |"
    return f"| {case.family}, d = {case.d}, k = {case.k}{', float32' * (case.dtype == 'float32')} | {rest}"


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    print("| case | multiply-adds | limit | sweep | share |\n|---|---|---|---|---|")
    for dtype in DTYPES:
        for case in cases(dtype):
            print(line(case, repeats), flush=True)
    for dtype in DTYPES:
        multiply_add, exponential, _ = least(make(Case("normal", 1000, 1, 1, dtype=dtype, threads=1)), repeats)
        print(f"{dtype}: {2 / multiply_add:.1f} GFlop/s in a matrix product, {exponential:.2f} ns for an exponential")


if __name__ == "__main__":
    main()
