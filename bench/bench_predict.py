"""Predictions of 1, 100 and 10,000 rows by a fitted mixture, beside scikit-learn with equal parameters in the same run.

python -m pytest bench/bench_predict.py --benchmark-only
"""

import statistics
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache, partial
from typing import Any

import measure
import numpy as np
import pytest
from cases import QUICK, TWINS

import fastem

K = 4
DIMENSIONS = (2, 8, 64, 256, 784)
ROWS = (1, 100) if QUICK else (1, 100, 10_000)
METHODS = ("predict", "predict_proba", "score_samples")
SHAPES = [("full", d, n) for d in DIMENSIONS for n in ROWS]
SHAPES += [(kind, d, n) for kind in ("tied", "diag", "spherical") for d in (2, 784) for n in ROWS]
MATRICES = ("full", "tied")
SHAPES = [(kind, d, n) for kind, d, n in SHAPES if kind not in MATRICES or n * d < 5_000_000]  # else seconds a call

TURN = 0.02
"""Seconds of each turn: a call of a hundred microseconds is timed two hundred times."""
TURNS = 1 if QUICK else 5

RTOL, ATOL = 1e-9, 1e-7
"""Of log densities, sums of d squares in another order; of responsibilities, exponentials of their differences."""


@cache
def params_of(kind: str, d: int) -> fastem.GaussianParams:
    """Components that overlap a little."""
    rng = np.random.default_rng(d)
    A = rng.normal(size=(K, d, d)) / (2 * np.sqrt(d))
    matrices, variances = A @ A.swapaxes(-1, -2) + np.eye(d), rng.uniform(0.5, 2.0, (K, d))
    covariances = {"full": matrices, "tied": matrices[0], "diag": variances, "spherical": variances[:, 0].copy()}[kind]
    return fastem.GaussianParams(np.full(K, 1 / K), rng.normal(size=(K, d)) * 2 / np.sqrt(d), covariances, kind)


def told(mixture: Any, params: fastem.GaussianParams) -> Any:
    """A mixture with these parameters, as a fit leaves it: so both predict by the same."""
    mixture.weights_, mixture.means_, mixture.covariances_ = params.weights, params.means, params.covariances
    mixture.precisions_cholesky_, mixture.n_features_in_ = params.precisions_cholesky(), params.n_features
    return mixture


def ours(params: fastem.GaussianParams, twin: str) -> Any:
    """On one thread; a copy, whose arrays are as those of a fit or of a file."""
    k, kind = len(params.weights), params.covariance_type
    start = {"weights_init": params.weights, "means_init": params.means, "precisions_init": params.precisions()}
    mixture = fastem.GaussianMixture(k, covariance_type=kind, max_iter=0, n_threads=1, backend=twin, **start)
    return mixture.fit(rows_of(params, K))


def theirs(params: fastem.GaussianParams) -> Any:
    from sklearn.mixture import GaussianMixture

    return told(GaussianMixture(len(params.weights), covariance_type=params.covariance_type), params)


def rows_of(params: fastem.GaussianParams, n: int) -> np.ndarray:
    rng = np.random.default_rng(n)
    return params.sample(rng.integers(K, size=n), rng)


def check(mixture: Any, other: Any, X: np.ndarray) -> None:
    """The same answers."""
    np.testing.assert_allclose(mixture.score_samples(X), other.score_samples(X), rtol=RTOL)
    np.testing.assert_allclose(mixture.predict_proba(X), other.predict_proba(X), atol=ATOL)
    assert (mixture.predict(X) == other.predict(X)).all()


def calls_in_turns(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of a call of each: medians of turns of several, which all take in every round."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            repeats = max(1, int(TURN / max(measure.seconds(call), 1e-6)))
            times[name].append(measure.seconds(partial(repeated, call, repeats)) / repeats)
    return {name: statistics.median(each) for name, each in times.items()}


def repeated(call: Callable[[], object], times: int) -> None:
    for _ in range(times):
        call()


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize(("kind", "d", "n"), SHAPES, ids=lambda value: str(value))
def test_prediction(benchmark, tell, kind, d, n, twin):
    benchmark.group = f"{kind}-d{d}-k{K}-n{n}"
    if why := measure.why_missing(twin):
        pytest.skip(why)
    params = params_of(kind, d)
    X, mixture = rows_of(params, n), ours(params, twin)
    with one_thread():
        if measure.HAS_SKLEARN:
            check(mixture, other := theirs(params), X)
        benchmark.pedantic(mixture.predict_proba, (X,), rounds=5, warmup_rounds=1)
        if not benchmark.enabled:
            return
        words = [f"{benchmark.group:22s} {twin:6s}"]
        for method in METHODS:
            calls = {"fastem": partial(getattr(mixture, method), X)}
            if measure.HAS_SKLEARN:
                calls["scikit-learn"] = partial(getattr(other, method), X)
            times = calls_in_turns(calls)
            benchmark.extra_info |= {f"{method} {name}": time for name, time in times.items()}
            words.append(f"{method} " + " / ".join(f"{1e3 * time:.3f}" for time in times.values()) + " ms")
            if "scikit-learn" in times:
                words.append(f"({times['fastem'] / times['scikit-learn']:.2f})")
    tell(" ".join(words))


def one_thread() -> Any:
    """For the BLAS of scikit-learn, which needs threadpoolctl."""
    if not measure.HAS_SKLEARN:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)
