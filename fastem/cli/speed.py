"""``fastem bench``: EM iterations on this machine, beside scikit-learn's where it is installed; the answers first."""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastem.estimators.gaussian_mixture import GaussianMixture

ITERATIONS = 10
REPEATS = 3
"""The fastest counts: what else the machine does only adds."""
TOLERANCE = 1e-8
"""Of the log likelihood and the means; orders of summation differ, and so do some units of 1e-16 in their counts."""
QUICK = 10
"""So many times fewer rows."""
SHAPES = ((1_000_000, 1, 3, "full"), (500_000, 2, 5, "full"), (200_000, 8, 10, "full"), (200_000, 8, 10, "diag"))
"""n, d, k and covariance type."""


@dataclass(frozen=True)
class Timing:
    """Nanoseconds of an EM iteration per point and component; NaN for what takes scikit-learn where it is missing."""

    n: int
    d: int
    k: int
    covariance_type: str
    ours: float
    theirs: float
    difference: float  # relative, of the log likelihood or the means

    @property
    def agrees(self) -> bool:
        return not self.difference > TOLERANCE


def timings(quick: bool) -> Iterator[Timing]:
    for n, d, k, kind in SHAPES:
        yield timing(n // QUICK if quick else n, d, k, kind)


def timing(n: int, d: int, k: int, kind: str) -> Timing:
    """Fits of so many iterations from one start; that start is a little off the truth."""
    rng = np.random.default_rng(n + d)
    means = rng.uniform(-4.0, 4.0, (k, d))
    X = rng.standard_normal((n, d)) + means[rng.integers(k, size=n)]
    precisions = np.tile(np.eye(d), (k, 1, 1)) if kind == "full" else np.ones((k, d))
    settings: dict[str, Any] = {
        "n_components": k, "covariance_type": kind, "tol": 0.0, "max_iter": ITERATIONS, "random_state": 0,
        "weights_init": np.full(k, 1 / k), "means_init": means + 0.5, "precisions_init": precisions,
        "init_params": "random_from_data",
    }  # fmt: skip
    per_point = 1e9 / (n * k * ITERATIONS)
    seconds, ours = fastest(lambda: GaussianMixture(**settings).fit(X))
    if importlib.util.find_spec("sklearn") is None:
        return Timing(n, d, k, kind, seconds * per_point, np.nan, np.nan)
    peer = importlib.import_module("sklearn.mixture").GaussianMixture
    their_seconds, theirs = fastest(lambda: peer(**settings).fit(X))
    return Timing(n, d, k, kind, seconds * per_point, their_seconds * per_point, difference(ours, theirs))


def fastest(fit: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what was fitted.  That it has not converged is meant."""
    seconds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(REPEATS):
            begin = time.perf_counter()
            fitted = fit()
            seconds.append(time.perf_counter() - begin)
    return min(seconds), fitted


def difference(ours: Any, theirs: Any) -> float:
    loglik = abs(ours.lower_bound_ - theirs.lower_bound_) / abs(theirs.lower_bound_)
    return max(float(loglik), float(np.abs(ours.means_ - theirs.means_).max() / np.abs(theirs.means_).max()))
