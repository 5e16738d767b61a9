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
def side_by_side(case: Case) -> dict[str, float]:
    """Times of all contestants, interleaved: the ratios come from here, once for both twins."""
    return measure.side_by_side(problem_of(case), REPEATS)


@pytest.mark.parametrize("twin", measure.TWINS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_iteration(benchmark, tell, case, twin):
    benchmark.group = case.name
    if why := measure.why_missing(twin):
        pytest.skip(why)
    problem = problem_of(case)
    measure.check(problem, twin)
    with measure.opened(problem, twin) as rows:
        benchmark.pedantic(measure.iteration, (rows, problem.start), rounds=15, warmup_rounds=2)
    if benchmark.enabled:
        tell(record(benchmark, case, twin))


def record(benchmark, case: Case, twin: str) -> str:
    """Fill extra_info; -> the line to read."""
    median = benchmark.stats.stats.median
    nanoseconds = 1e9 * median / (case.n * case.k)
    times = side_by_side(case)
    ratios = {
        f"ratio_to_{rival.replace(' ', '_').replace('-', '_')}": times[rival] / times[twin]
        for rival in ("naive loop", "scikit-learn")
        if rival in times
    }
    benchmark.extra_info.update(
        n=case.n,
        d=case.d,
        k=case.k,
        twin=twin,
        points_per_second=case.n / median,
        ns_per_point_and_component=nanoseconds,
        **ratios,
    )
    told = "".join(f"  {name.replace('_', ' ')} {ratio:7.1f}" for name, ratio in ratios.items())
    return f"{case.name:26s} {twin:7s} {nanoseconds:7.2f} ns per point and component{told}"
