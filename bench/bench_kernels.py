"""One EM iteration of every case with either twin, beside the per-sample Python loop and scikit-learn in the same run.

    python -m pytest bench/bench_kernels.py --benchmark-only
"""

from functools import cache

import measure
import pytest
from cases import CASES, Case, Problem, make

REPEATS = 3


@cache
def problem_of(case: Case) -> Problem:
    return make(case)


@cache
def rivals(case: Case) -> dict[str, float]:
    """Nanoseconds per point per component of those we measure ourselves against; once for both twins."""
    problem = problem_of(case)
    samplers = {"naive_loop": measure.loop_sampler(problem)}
    if measure.sklearn_takes_part(case):
        samplers["scikit_learn"] = measure.sklearn_sampler(problem)
    return measure.medians(samplers, REPEATS)


@pytest.mark.parametrize("twin", measure.TWINS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_iteration(benchmark, tell, case, twin):
    benchmark.group = case.name
    problem = problem_of(case)
    try:
        measure.check(problem, twin)
    except ImportError as error:
        pytest.skip(str(error))
    with measure.opened(problem, twin) as rows:
        benchmark.pedantic(measure.iteration, (rows, problem.start), rounds=15, warmup_rounds=2)
    if benchmark.enabled:
        tell(record(benchmark, case, twin))


def record(benchmark, case: Case, twin: str) -> str:
    """Fill extra_info; -> the line to read."""
    median = benchmark.stats.stats.median
    ours = 1e9 * median / (case.n * case.k)
    ratios = {f"ratio_to_{rival}": theirs / ours for rival, theirs in rivals(case).items()}
    benchmark.extra_info.update(
        n=case.n,
        d=case.d,
        k=case.k,
        twin=twin,
        points_per_second=case.n / median,
        ns_per_point_and_component=ours,
        **ratios,
    )
    told = "".join(f"  {name.replace('_', ' ')} {ratio:7.0f}" for name, ratio in ratios.items())
    return f"{case.name:26s} {twin:7s} {ours:7.2f} ns per point and component{told}"
