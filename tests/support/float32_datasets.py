"""float32 rows of random correlations, offsets and units; and what must not depend on their being float32."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastem import GaussianMixture

LOGLIK_PER_ROW = 1e-5
"""Of its size, or of 1: what a fit of float32 rows may end away from that of the same rows as float64."""
MEAN_IN_SDS = 1e-3
ONE_MODEL = 1e-6
"""Of the log likelihood per row, or of 1: what two ways to ask the same model may differ by."""
LABELS = 1e-3
"""Share of the rows that may change sides: those half way between two components."""


@dataclass(frozen=True)
class Float32World:
    X: np.ndarray  # (n, d) float32
    k: int
    settings: dict[str, Any] = field(repr=False)


def float32_world(seed: int, most_rows: float = 5e4) -> Float32World:
    """d 1..20, k 1..4, covariances of condition 1 to 1e12, offsets to 1e7, units from 1e-4 to 1e4."""
    rng = np.random.default_rng(seed)
    d, k = int(rng.integers(1, 21)), int(rng.integers(1, 5))
    n = int(10 ** rng.uniform(np.log10(20 * (d + 1) * k), np.log10(most_rows)))
    condition = 10 ** rng.uniform(0, 12)
    labels, means = rng.integers(k, size=n), rng.normal(size=(k, d)) * 10 ** rng.uniform(0, 1)
    X, sds = np.empty((n, d)), condition ** -np.linspace(0, 0.5, d)
    for c in range(k):
        axes, rows = np.linalg.qr(rng.normal(size=(d, d)))[0], labels == c
        X[rows] = means[c] + (rng.normal(size=(rows.sum(), d)) * sds) @ axes.T
    if rng.random() < 0.5:
        X *= 10 ** rng.uniform(-4, 4, d)
    if rng.random() < 0.5:
        X += 10 ** rng.uniform(0, 7) * rng.choice([-1, 1], d)
    kind = str(rng.choice(["full", "tied", "diag", "spherical"]))
    return Float32World(
        X.astype(np.float32), k, {"covariance_type": kind, "reg_covar": [1e-6, "auto", 0.0][rng.integers(3)]}
    )


def outcome(world: Float32World, X: np.ndarray, **settings: Any) -> GaussianMixture | str:
    """The fit, or why there is none."""
    mixture = GaussianMixture(world.k, random_state=0, **world.settings, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return mixture.fit(X)
        except ValueError as error:
            return str(error)


def definite(matrices: np.ndarray) -> bool:
    """By Cholesky's algorithm, to which the units of the features are all the same."""
    try:
        np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        return False
    return True


def disagreements(world: Float32World, **settings: Any) -> list[str]:
    """What is not as it must be; empty where all is, or where both fits are refused for the same reason."""
    X, n = world.X, len(world.X)
    narrow, wide = outcome(world, X, **settings), outcome(world, X.astype(np.float64), **settings)
    if isinstance(narrow, str) or isinstance(wide, str):
        return [] if narrow == wide else [f"{narrow} / {wide}"]
    loglik = wide.loglik_ / n
    size = max(1.0, abs(loglik))
    sds, penalty = np.sqrt(wide.params_.variances()), np.log(n) * wide.n_parameters_
    wrong = {
        "loglik_": abs(narrow.loglik_ / n - loglik) > LOGLIK_PER_ROW * size,
        "means_": (np.abs(narrow.means_.astype(np.float64) - wide.means_) / sds).max() > MEAN_IN_SDS,
        "score": abs(narrow.score(X) - narrow.loglik_ / n) > ONE_MODEL * size,
        "bic": abs(narrow.bic(X) - narrow.bic_) > ONE_MODEL * (2 * n * size + penalty),
        "aic": abs(narrow.aic(X) - narrow.aic_) > ONE_MODEL * 2 * n * size,
        "score_samples": abs(narrow.score_samples(X).mean(dtype=np.float64) - narrow.loglik_ / n) > ONE_MODEL * size,
        "predict": (narrow.predict(X) != wide.predict(X.astype(np.float64))).mean() > LABELS,
        "covariances_": narrow.params_.is_matrix and not definite(narrow.params_.covariances),
    }
    return [name for name, is_wrong in wrong.items() if is_wrong]
