"""Whole fits from one k-means start, which is included, beside scikit-learn in the same run.

python -m pytest bench/bench_fit.py --benchmark-only
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import measure
import numpy as np
import pytest
from cases import TWINS, Case, Problem, normal_rows

import fastem

REPEATS = {True: 3, False: 50}
"""Of fits side by side: few of those that take long, many of those on under a thousand rows."""

LOGLIK_ATOL = 1e-2
"""Per point.  Both stop where an iteration gains less than tol = 1e-3, not at the maximum itself."""


@dataclass(frozen=True)
class Fit:
    """A data set, the number of components to look for, and fastem's tol; scikit-learn's is its default, 1e-3."""

    name: str
    rows: Callable[[], np.ndarray]
    k: int
    tol: float = 1e-3


def five_means(distance: float) -> np.ndarray:
    """The corners and the center of a square: `distance` standard deviations from there."""
    return distance * np.array([[-1.0, -1.0], [-1.0, 1.0], [0.0, 0.0], [1.0, -1.0], [1.0, 1.0]])


def five(distance: float, n: int = 1_000_000) -> np.ndarray:
    """n points around these."""
    return normal_rows(np.random.default_rng(0), n, five_means(distance))


def old_faithful() -> np.ndarray:
    path = Path(__file__).parents[1] / "examples" / "data" / "old_faithful.csv"
    return np.loadtxt(path, delimiter=",", skiprows=1)


FITS = (
    Fit("separated-n1000000-d2-k5", partial(five, 10.0), 5),
    Fit("overlapping-n1000000-d2-k5", partial(five, 2.0), 5),
    Fit("overlapping-half-the-tol", partial(five, 2.0), 5, tol=5e-4),
    Fit("old_faithful-n272-d2-k2", old_faithful, 2),
)


@cache
def rows_of(fit: Fit) -> np.ndarray:
    return fit.rows()


def ours(fit: Fit, twin: str) -> fastem.GaussianMixture:
    settings = {"init_params": "kmeans", "random_state": 0, "tol": fit.tol}
    return fastem.GaussianMixture(fit.k, backend=twin, **settings).fit(rows_of(fit))


def theirs(fit: Fit) -> Any:
    sklearn_mixture = pytest.importorskip("sklearn.mixture")
    return sklearn_mixture.GaussianMixture(fit.k, random_state=0).fit(rows_of(fit))


@cache
def their_score(fit: Fit) -> float:
    return theirs(fit).score(rows_of(fit))


@cache
def side_by_side(fit: Fit) -> dict[str, float]:
    """Seconds that a fit takes, interleaved, once for both twins."""
    samplers = {"scikit-learn": partial(measure.seconds, partial(theirs, fit))}
    for twin in TWINS:
        if not measure.why_missing(twin):
            samplers[twin] = partial(measure.seconds, partial(ours, fit, twin))
    return measure.medians(samplers, REPEATS[len(rows_of(fit)) > 1000])


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("fit", FITS, ids=lambda fit: fit.name)
def test_fit(benchmark, tell, fit, twin):
    benchmark.group = fit.name
    if why := measure.why_missing(twin):
        pytest.skip(why)
    mixture = ours(fit, twin)
    assert mixture.loglik_ / len(rows_of(fit)) == pytest.approx(their_score(fit), abs=LOGLIK_ATOL)
    benchmark.pedantic(ours, (fit, twin), rounds=10, warmup_rounds=1)
    if benchmark.enabled:
        tell(record(benchmark, fit, twin, mixture))


def record(benchmark, fit: Fit, twin: str, mixture: fastem.GaussianMixture) -> str:
    """Fill extra_info; -> the line to read."""
    times = side_by_side(fit)
    ratio = times["scikit-learn"] / times[twin]
    n, d = rows_of(fit).shape
    gain = mixture.loglik_ / n - their_score(fit)
    benchmark.extra_info.update(
        n=n, d=d, k=fit.k, twin=twin, n_iter=mixture.n_iter_, ratio_to_scikit_learn=ratio, loglik_gain_per_row=gain
    )
    milliseconds = 1e3 * benchmark.stats.stats.median
    return (
        f"{fit.name:26s} {twin:7s} {milliseconds:9.2f} ms  ratio to scikit learn {ratio:7.1f}"
        f"  log likelihood per row {gain:+.6f}"
    )


def test_small_iteration(benchmark, tell):
    """An iteration of Old Faithful is overhead.  Of both packages: a fit of many iterations less one of few."""
    if not measure.HAS_SKLEARN:
        pytest.skip("scikit-learn is not installed")
    fit = FITS[-1]
    benchmark.group = "iteration-" + fit.name
    problem = Problem(Case("full", *rows_of(fit).shape, fit.k), rows_of(fit), None, ours(fit, "cython").params_)
    measure.check_against_sklearn(problem, "cython")
    with measure.opened(problem, "cython") as rows:
        benchmark.pedantic(measure.iteration, (rows, problem.start), rounds=2000, warmup_rounds=100)
        if benchmark.enabled:
            samplers = {
                "fastem": measure.fastem_sampler(rows, problem),
                "scikit-learn": measure.sklearn_sampler(problem),
            }
            times = measure.medians(samplers, REPEATS[False])
            ratio = times["scikit-learn"] / times["fastem"]
            benchmark.extra_info.update(ratio_to_scikit_learn=ratio)
            microseconds = 1e6 * benchmark.stats.stats.median
            tell(f"iteration of old_faithful   cython  {microseconds:9.2f} us  ratio to scikit learn {ratio:7.1f}")


IMPORT = """
import sys, time
sys.modules["sklearn"] = None  # as if it were not installed
import numpy
begin = time.perf_counter()
import fastem
fastem.GaussianMixture
print(time.perf_counter() - begin)
"""


def test_import(benchmark, tell):
    """Seconds over numpy to import fastem and its estimators where scikit-learn is not installed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def import_seconds() -> float:
        command = [sys.executable, "-c", IMPORT]
        return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)

    benchmark.group = "import"
    taken = [import_seconds() for _ in range(15)]
    benchmark.pedantic(import_seconds, rounds=1)
    if benchmark.enabled:
        median = statistics.median(taken[1:])
        benchmark.extra_info.update(seconds_over_numpy=median)
        tell(f"import of fastem and its estimators, over numpy {1e3 * median:9.1f} ms")
