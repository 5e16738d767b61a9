"""One EM iteration of every case with either twin, beside the per-sample Python loop and scikit-learn in the same run.

python -m pytest bench/bench_kernels.py --benchmark-only
"""

from contextlib import ExitStack
from dataclasses import replace
from functools import cache

import measure
import numpy as np
import pytest
from cases import CASES, QUICK, SINGLE_CASES, THREAD_CASES, TWINS, Case, Problem, make

import fastem

REPEATS = 1 if QUICK else 5


@cache
def problem_of(case: Case) -> Problem:
    return make(case)


@cache
def side_by_side(case: Case) -> dict[str, float]:
    """Times of all contestants, interleaved: the ratios come from here, once for both twins."""
    return measure.side_by_side(problem_of(case), REPEATS)


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_iteration(benchmark, tell, pytestconfig, case, twin):
    benchmark.group = case.name
    if why := measure.why_missing(twin):
        pytest.skip(why)
    problem = problem_of(case)
    measure.check(problem, twin)
    with measure.opened(problem, twin) as rows:
        benchmark.pedantic(measure.iteration, (rows, problem.start), rounds=15, warmup_rounds=2)
    if benchmark.enabled:
        tell(record(benchmark, case, twin, {} if pytestconfig.getoption("--alone") else ratios(case, twin)))


def ratios(case: Case, twin: str) -> dict[str, float]:
    """To the others that take part, and to a matrix product."""
    times = side_by_side(case)
    found = {f"ratio to {name}": times[name] / times[twin] for name in ("naive loop", "scikit-learn") if name in times}
    if case.family == "full":
        found["share of matmul"] = times["matmul"] * case.multiply_adds / times[twin]
    return found


@pytest.mark.parametrize("case", SINGLE_CASES, ids=lambda case: case.name)
def test_float32(benchmark, tell, case):
    """An iteration on rows of float32, beside the same on rows of float64."""
    benchmark.group = f"float32-{case.name}"
    double = replace(case, dtype="float64")
    measure.check_against_float64(problem_of(case), problem_of(double))
    against(benchmark, tell, case, "float64", double)


@pytest.mark.parametrize("case", THREAD_CASES, ids=lambda case: case.name)
def test_second_thread(benchmark, tell, case):
    """An iteration on two threads, beside one.  Of a machine whose second core is busy it says nothing."""
    benchmark.group = f"threads-{case.name}"
    alone = replace(case, threads=1)
    found, expected = (swept(problem_of(each)) for each in (case, alone))
    np.testing.assert_array_equal(found, expected)
    against(benchmark, tell, case, "one thread", alone)


def swept(problem: Problem) -> np.ndarray:
    with measure.opened(problem, "cython") as rows:
        return rows.sweep(problem.start).counts


def against(benchmark, tell, case: Case, name: str, other: Case) -> None:
    """Time a case, and in turns with it another one."""
    with ExitStack() as stack:
        problems = {case.name: problem_of(case), name: problem_of(other)}
        rows = {each: stack.enter_context(measure.opened(problem, "cython")) for each, problem in problems.items()}
        benchmark.pedantic(measure.iteration, (rows[case.name], problems[case.name].start), rounds=15, warmup_rounds=2)
        if benchmark.enabled:
            samplers = {each: measure.fastem_sampler(rows[each], problem) for each, problem in problems.items()}
            times = measure.medians(samplers, 5 * REPEATS)
            tell(record(benchmark, case, "cython", {f"ratio to {name}": times[name] / times[case.name]}))


def record(benchmark, case: Case, twin: str, found: dict[str, float]) -> str:
    """Fill extra_info with what a time depends on and what it comes to; -> the line to read."""
    config, median = fastem.show_config(), benchmark.stats.stats.median
    threads = case.threads or config.threads.n_threads
    nanoseconds = 1e9 * median / (case.n * case.k)
    benchmark.extra_info.update(
        n=case.n,
        d=case.d,
        k=case.k,
        dtype=case.dtype,
        twin=twin,
        instruction_set=config.instruction_set,
        threads=threads,
        points_per_second=case.n / median,
        gigabytes_per_second=1e-9 * case.bytes / median,
        ns_per_point_and_component=nanoseconds,
    )
    benchmark.extra_info.update({name.replace(" ", "_").replace("-", "_"): value for name, value in found.items()})
    told = "".join(f"  {name} {value:7.{2 if value < 10 else 1}f}" for name, value in found.items())
    what = f"{case.name:26s} {twin:7s} {case.dtype} {threads} threads"
    return f"{what} {nanoseconds:7.2f} ns per point and component{told}"
