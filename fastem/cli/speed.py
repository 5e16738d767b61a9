"""``fastem bench``: time EM on this machine, and compare times and answers with scikit-learn's if it is installed."""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from fastem.estimators.gaussian_mixture import GaussianMixture

T = TypeVar("T")
ITERATIONS = 10
REPEATS = 3
"""Number of times that a fit is timed; the fastest one counts, since other processes only add time."""
TOLERANCE = 1e-8
"""Relative difference of the log likelihood or the means that rounding explains."""
QUICK = 10
"""Factor by which there are fewer rows."""
SHAPES = ((1_000_000, 1, 3, "full"), (500_000, 2, 5, "full"), (200_000, 8, 10, "full"), (200_000, 8, 10, "diag"))
"""n, d, k and the covariance type of each fit."""


@dataclass(frozen=True)
class Timing:
    """Nanoseconds of an EM iteration per point and component; NaN for scikit-learn if it is missing."""

    n: int
    d: int
    k: int
    covariance_type: str
    ours: float
    theirs: float
    difference: float  # relative, of the log likelihood or the means

    @property
    def agrees(self) -> bool:
        """Whether the answers are the same, up to rounding."""
        return not self.difference > TOLERANCE


def timings(quick: bool) -> Iterator[Timing]:
    """Time the fits of all shapes, with fewer rows if `quick`."""
    for n, d, k, kind in SHAPES:
        yield timing(n // QUICK if quick else n, d, k, kind)


def timing(n: int, d: int, k: int, kind: str) -> Timing:
    """Time fits from one start, which is near the means of the rows, with a fixed number of iterations."""
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


def fastest(fit: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds of the fastest fit, and its result; it is not meant to converge, and warns in vain."""
    seconds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(REPEATS):
            begin = time.perf_counter()
            fitted = fit()
            seconds.append(time.perf_counter() - begin)
    return min(seconds), fitted


def difference(ours: GaussianMixture, theirs: Any) -> float:
    """Return the relative difference of two fits, in the log likelihood or the means."""
    loglik = abs(ours.lower_bound_ - theirs.lower_bound_) / abs(theirs.lower_bound_)
    return max(float(loglik), float(np.abs(ours.means_ - theirs.means_).max() / np.abs(theirs.means_).max()))
