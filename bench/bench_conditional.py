"""Missing values by their means given the others, beside gmr (PyPI) with the same parameters, where it is installed.

python bench/bench_conditional.py

The answers are compared before anything is timed.  gmr conditions on one row at a time: it gets fewer of them.
"""

import importlib
import os
import time
from collections.abc import Callable

import numpy as np

import fastem

ROWS, ROWS_OF_GMR = 1_000_000, 2_000
K, GIVEN, WANTED = 10, 4, 2
ATOL = 1e-10
"""Of values of a few units: gmr multiplies inverse matrices."""
REPEATS = 5


def params() -> fastem.GaussianParams:
    """Components of correlated features that overlap."""
    rng, d = np.random.default_rng(0), GIVEN + WANTED
    A = rng.normal(size=(K, d, d))
    return fastem.GaussianParams(np.full(K, 1 / K), 3 * rng.normal(size=(K, d)), A @ A.mT / d + 0.3 * np.eye(d))


def rows(params: fastem.GaussianParams) -> np.ndarray:
    """Rows of these parameters that lack the last features."""
    rng = np.random.default_rng(1)
    X = params.sample(rng.integers(K, size=ROWS), rng)
    X[:, GIVEN:] = np.nan
    return X


def gmr_of(params: fastem.GaussianParams) -> Callable[[np.ndarray], np.ndarray] | None:
    """What gmr predicts of the last features, given the first; None where it is not installed."""
    try:
        gmr = importlib.import_module("gmr")
    except ImportError:
        return None
    mixture = gmr.GMM(K, params.weights, params.means, params.covariances)
    given = np.arange(GIVEN)
    return lambda X: np.asarray(mixture.predict(given, X[:, given]))


def seconds(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """The least seconds of a call: by the clock on the wall, and of all cores together."""
    found = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(wall for wall, _ in found), min(cpu for _, cpu in found)


def main() -> None:
    known = params()
    mixture, X, other = fastem.GaussianMixture.from_params(known, random_state=0), rows(known), gmr_of(known)
    few = X[:ROWS_OF_GMR]
    if other is not None:
        np.testing.assert_allclose(mixture.impute(few)[:, GIVEN:], other(few), rtol=0, atol=ATOL)
    for draw in (False, True):
        wall, cpu = seconds(lambda: mixture.impute(X, draw=draw), REPEATS)  # noqa: B023 - called at once
        what = "draws" if draw else "means"
        print(f"fastem, {what}: {ROWS:,} rows in {wall:.3f} s, {cpu:.3f} s of {os.cpu_count()} cores together")
        if other is not None and not draw:
            theirs = seconds(lambda: other(few), 1)[0] / ROWS_OF_GMR
            print(f"gmr: {1e6 * theirs:.1f} us a row, {theirs / (wall / ROWS):.0f} times as long")
    if other is None:
        print("gmr is not installed")


if __name__ == "__main__":
    main()
