"""One EM iteration of every case with either twin, beside the per-sample Python loop and scikit-learn in the same run.

    python -m pytest bench/bench_kernels.py --benchmark-only
"""

from dataclasses import replace
from functools import cache

import measure
import numpy as np
import pytest
from cases import CASES, FULL_2, FULL_8, NORMAL, QUICK, SINGLE_CASES, Case, Problem, make

import fastem

REPEATS = 1 if QUICK else 5


@cache
def problem_of(case: Case) -> Problem:
    return make(case)


@cache
def side_by_side(case: Case) -> dict[str, float]:
    """Times of all contestants, interleaved: the ratios come from here, once for both twins."""
    return measure.side_by_side(problem_of(case), REPEATS)


def machine(dtype: str = "float64", threads: int | None = None) -> dict[str, object]:
    """What a time depends on beside the case."""
    config = fastem.show_config()
    return {
        "dtype": dtype,
        "instruction_set": config.instruction_set,
        "threads": threads or config.threads.n_threads,
    }


@pytest.mark.parametrize("twin", measure.TWINS)
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
        tell(record(benchmark, case, twin, {} if pytestconfig.getoption("--alone") else side_by_side(case)))


def record(benchmark, case: Case, twin: str, times: dict[str, float]) -> str:
    """Fill extra_info, with ratios to the others that have been timed; -> the line to read."""
    median = benchmark.stats.stats.median
    nanoseconds = 1e9 * median / (case.n * case.k)
    found = {
        f"ratio_to_{rival.replace(' ', '_').replace('-', '_')}": times[rival] / times[twin]
        for rival in ("naive loop", "scikit-learn")
        if rival in times
    }
    if times and case.family == "full":
        found["share_of_matmul"] = times["matmul"] * case.multiply_adds / times[twin]
    benchmark.extra_info.update(
        n=case.n,
        d=case.d,
        k=case.k,
        twin=twin,
        points_per_second=case.n / median,
        gigabytes_per_second=8e-9 * case.n * case.d * (2 if case.is_binomial else 1) / median,
        ns_per_point_and_component=nanoseconds,
        **machine(),
        **found,
    )
    told = "".join(f"  {name.replace('_', ' ')} {value:7.{2 if value < 1 else 1}f}" for name, value in found.items())
    return f"{case.name:26s} {twin:7s} {nanoseconds:7.2f} ns per point and component{told}"


@pytest.mark.parametrize("case", SINGLE_CASES, ids=lambda case: case.name)
def test_float32(benchmark, tell, case):
    """An iteration on rows of float32, beside the same on rows of float64."""
    benchmark.group = f"float32-{case.name}"
    double = problem_of(case)
    single = replace(double, X=double.X.astype(np.float32))
    measure.check_against_float64(single, double)
    with measure.opened(single, "cython") as rows, measure.opened(double, "cython") as wide:
        benchmark.pedantic(measure.iteration, (rows, single.start), rounds=15, warmup_rounds=2)
        if benchmark.enabled:
            samplers = {
                "float32": measure.fastem_sampler(rows, single),
                "float64": measure.fastem_sampler(wide, double),
            }
            benchmark.extra_info.update(n=case.n, d=case.d, k=case.k, twin="cython", **machine("float32"))
            tell(compare(benchmark, f"{case.name} in float32", samplers, "float64", "float32"))


@pytest.mark.parametrize("case", [NORMAL, FULL_2, FULL_8], ids=lambda case: case.name)
def test_second_thread(benchmark, tell, case):
    """An iteration on two threads, beside one.  Of a machine whose second core is busy it says nothing."""
    benchmark.group = f"threads-{case.name}"
    problem = problem_of(case)
    with measure.opened(problem, "cython", n_threads=2) as two, measure.opened(problem, "cython", n_threads=1) as one:
        np.testing.assert_array_equal(two.sweep(problem.start).counts, one.sweep(problem.start).counts)
        benchmark.pedantic(measure.iteration, (two, problem.start), rounds=15, warmup_rounds=2)
        if benchmark.enabled:
            samplers = {"two": measure.fastem_sampler(two, problem), "one": measure.fastem_sampler(one, problem)}
            benchmark.extra_info.update(n=case.n, d=case.d, k=case.k, twin="cython", **machine(threads=2))
            tell(compare(benchmark, f"{case.name} on two threads", samplers, "one", "two"))


def compare(benchmark, what: str, samplers: dict[str, measure.Sampler], slower: str, faster: str) -> str:
    times = measure.medians(samplers, 5 * REPEATS)
    ratio = times[slower] / times[faster]
    benchmark.extra_info.update({f"ratio_to_{slower}": ratio, "ns_per_point_and_component": times[faster]})
    return f"{what:34s} {times[faster]:7.2f} ns per point and component  ratio to {slower} {ratio:7.2f}"
