"""Whole fits with the defaults, start included, beside scikit-learn in the same run.

    python -m pytest bench/bench_fit.py --benchmark-only
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import measure
import numpy as np
import pytest
from cases import normal_rows

import fastem

REPEATS = 3

LOGLIK_ATOL = 1e-2
"""Per point.  Both stop where an iteration gains less than tol = 1e-3, not at the maximum itself."""


@dataclass(frozen=True)
class Fit:
    """A data set, and the number of components to look for."""

    name: str
    rows: Callable[[], np.ndarray]
    k: int


def separated() -> np.ndarray:
    """A million points around five corners, at least ten standard deviations apart."""
    means = 10.0 * np.array([[-1.0, -1.0], [-1.0, 1.0], [0.0, 0.0], [1.0, -1.0], [1.0, 1.0]])
    return normal_rows(np.random.default_rng(0), 1_000_000, means)


def old_faithful() -> np.ndarray:
    path = Path(__file__).parents[1] / "examples" / "data" / "old_faithful.csv"
    return np.loadtxt(path, delimiter=",", skiprows=1)


FITS = (Fit("separated-n1000000-d2-k5", separated, 5), Fit("old_faithful-n272-d2-k2", old_faithful, 2))


@cache
def rows_of(fit: Fit) -> np.ndarray:
    return fit.rows()


def ours(fit: Fit, twin: str) -> fastem.GaussianMixture:
    return fastem.GaussianMixture(fit.k, random_state=0, backend=twin).fit(rows_of(fit))


def theirs(fit: Fit):
    sklearn_mixture = pytest.importorskip("sklearn.mixture")
    return sklearn_mixture.GaussianMixture(fit.k, random_state=0).fit(rows_of(fit))


@cache
def scikit_learn(fit: Fit) -> tuple[float, float]:
    """Mean log likelihood, and median of the seconds a fit takes."""
    score = theirs(fit).score(rows_of(fit))
    return score, statistics.median(measure.seconds(lambda: theirs(fit)) for _ in range(REPEATS))


@pytest.mark.parametrize("twin", measure.TWINS)
@pytest.mark.parametrize("fit", FITS, ids=lambda fit: fit.name)
def test_fit(benchmark, tell, fit, twin):
    benchmark.group = fit.name
    score, seconds = scikit_learn(fit)
    try:
        mixture = ours(fit, twin)
    except ImportError as error:
        pytest.skip(str(error))
    assert mixture.loglik_ / len(rows_of(fit)) == pytest.approx(score, abs=LOGLIK_ATOL)
    benchmark.pedantic(ours, (fit, twin), rounds=10, warmup_rounds=1)
    if benchmark.enabled:
        median = benchmark.stats.stats.median
        benchmark.extra_info.update(twin=twin, n_iter=mixture.n_iter_, ratio_to_scikit_learn=seconds / median)
        tell(f"{fit.name:26s} {twin:7s} {1e3 * median:9.2f} ms  ratio to scikit learn {seconds / median:7.1f}")
