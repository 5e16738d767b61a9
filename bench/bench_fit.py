"""Whole fits with the defaults, start included, beside scikit-learn in the same run.

    python -m pytest bench/bench_fit.py --benchmark-only
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

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
    for twin in measure.TWINS:
        if not measure.why_missing(twin):
            samplers[twin] = partial(measure.seconds, partial(ours, fit, twin))
    return measure.medians(samplers, REPEATS)


@pytest.mark.parametrize("twin", measure.TWINS)
@pytest.mark.parametrize("fit", FITS, ids=lambda fit: fit.name)
def test_fit(benchmark, tell, fit, twin):
    benchmark.group = fit.name
    if why := measure.why_missing(twin):
        pytest.skip(why)
    mixture = ours(fit, twin)
    assert mixture.loglik_ / len(rows_of(fit)) == pytest.approx(their_score(fit), abs=LOGLIK_ATOL)
    benchmark.pedantic(ours, (fit, twin), rounds=10, warmup_rounds=1)
    if benchmark.enabled:
        tell(record(benchmark, fit, twin, mixture.n_iter_))


def record(benchmark, fit: Fit, twin: str, n_iter: int) -> str:
    """Fill extra_info; -> the line to read."""
    times = side_by_side(fit)
    ratio = times["scikit-learn"] / times[twin]
    n, d = rows_of(fit).shape
    benchmark.extra_info.update(n=n, d=d, k=fit.k, twin=twin, n_iter=n_iter, ratio_to_scikit_learn=ratio)
    milliseconds = 1e3 * benchmark.stats.stats.median
    return f"{fit.name:26s} {twin:7s} {milliseconds:9.2f} ms  ratio to scikit learn {ratio:7.1f}"
