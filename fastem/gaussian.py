"""Gaussian mixtures: parameters, their tables for the kernels, sufficient statistics, the M-step."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from fastem import checks
from fastem.stats import Array, Stats

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
GROUPS = ("weights", "means", "covariances")

LOG2E = math.log2(math.e)
RESOLUTION = 4 * np.finfo(np.float64).eps
"""Standard deviations below this share of a feature's magnitude are rounding, not spread."""
SMALLEST_VARIANCE = 1e-200
"""Where even the magnitude is 0: small, and still far from overflow when inverted."""


@dataclass(frozen=True, eq=False)
class NormalParams:
    """Parameters of a Gaussian mixture: an immutable value.

    weights (k,), means (k, d), covariances as scikit-learn shapes them: full (k, d, d), tied (d, d), diag (k, d),
    spherical (k,).
    """

    weights: Array
    means: Array
    covariances: Array
    covariance_type: str = "full"

    has_trials = False

    @classmethod
    def from_precisions(
        cls, weights: Array, means: Array, precisions: Array, covariance_type: str
    ) -> NormalParams:
        matrices = covariance_type in ("full", "tied")
        covariances = np.linalg.inv(precisions) if matrices else 1.0 / precisions
        return cls(weights, means, np.asarray(covariances, np.float64), covariance_type)

    @staticmethod
    def covariance_shape(covariance_type: str, k: int, d: int) -> tuple[int, ...]:
        return {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[covariance_type]

    def check(self) -> None:
        """Raise ValueError or TypeError where the fields are not a mixture."""
        checks.choice(self.covariance_type, "covariance_type", COVARIANCE_TYPES)
        k, d = checks.numeric(self.means, "means").shape if np.ndim(self.means) == 2 else (0, 0)
        checks.mixing_weights(self.weights, "weights", k)
        checks.shaped(self.means, "means", (k, d))
        shape = self.covariance_shape(self.covariance_type, k, d)
        checks.definite(self.covariances, "covariances", shape, self.is_matrix)

    @property
    def n_features(self) -> int:
        return self.means.shape[1]

    @property
    def kernel(self) -> str:
        if self.means.shape[1] == 1:
            return "normal"
        return "mvnormal_full" if self.is_matrix else "mvnormal_diag"

    @property
    def is_matrix(self) -> bool:
        return self.covariance_type in ("full", "tied")

    @property
    def n_parameters(self) -> int:
        """Free parameters of the model."""
        k, d = self.means.shape
        triangle = d * (d + 1) // 2
        free = {"full": k * triangle, "tied": triangle, "diag": k * d, "spherical": k}[self.covariance_type]
        return free + k * d + k - 1

    def variances(self) -> Array:
        """(k, d) variances, for the types that have no more."""
        k, d = self.means.shape
        if self.covariance_type == "spherical":
            return np.repeat(self.covariances[:, np.newaxis], d, axis=1)
        return np.broadcast_to(self.covariances.reshape(-1, d), (k, d))

    def precisions_cholesky(self) -> Array:
        """Cholesky factors of the precisions, shaped as the covariances; upper triangular, as scikit-learn has them."""
        if not self.is_matrix:
            return 1.0 / np.sqrt(self.covariances)
        factors = np.tril(np.linalg.inv(np.linalg.cholesky(self.covariances)))
        return np.swapaxes(factors, -1, -2)

    def precisions(self) -> Array:
        """Inverse covariances, shaped as they are."""
        return np.asarray(np.linalg.inv(self.covariances) if self.is_matrix else 1.0 / self.covariances, np.float64)

    def precision_factors(self) -> Array:
        """(k, d, d) lower L with L^T L = inverse covariance, or (k, d) 1 / sd where no more is to be told."""
        if self.kernel != "mvnormal_full":
            return 1.0 / np.sqrt(self.variances())
        k, d = self.means.shape
        return np.broadcast_to(np.swapaxes(self.precisions_cholesky(), -1, -2), (k, d, d))

    def tables(self) -> tuple[Array, Array, Array]:
        """What the kernels read: log_norm (k,) in base 2, means (k, d), precision factors times sqrt(log2(e) / 2)."""
        factors = self.precision_factors()
        diagonals = np.diagonal(factors, axis1=1, axis2=2) if factors.ndim == 3 else factors
        with np.errstate(divide="ignore"):  # weight 0: -inf, which the kernels take for far out
            log_norm = np.log2(self.weights) + np.log2(diagonals).sum(axis=1)
        log_norm -= 0.5 * self.means.shape[1] * math.log2(2 * math.pi)
        return log_norm, np.ascontiguousarray(self.means), np.ascontiguousarray(factors * math.sqrt(LOG2E / 2))

    def log_base_measure(self, X: np.ndarray) -> None:
        """The part of log p(x) that no parameter enters: none."""

    @property
    def sums_length(self) -> int:
        k, d = self.means.shape
        return k * (1 + d + (d * d if self.kernel == "mvnormal_full" else d)) + 2

    def stats(self, sums: Array) -> NormalStats:
        """Name the sums of a kernel (one row, as _kernels lays them out)."""
        k, d = self.means.shape
        counts, first, second, last = np.split(sums, [k, k + k * d, len(sums) - 2])
        shape = (k, d, d) if self.is_matrix else (k, d)
        loglik, entropy = map(float, last)
        return NormalStats(self, counts, loglik, entropy, first.reshape(k, d), second.reshape(shape))

    def sample(self, labels: np.ndarray, rng: np.random.Generator) -> Array:
        """Draw a row from the component of each label."""
        noise = rng.standard_normal((len(labels), self.means.shape[1]))
        if not self.is_matrix:
            return self.means[labels] + noise * np.sqrt(self.variances())[labels]
        factors = np.broadcast_to(np.linalg.cholesky(self.covariances), (len(self.weights), *noise.shape[1:] * 2))
        return self.means[labels] + np.einsum("nij,nj->ni", factors[labels], noise)


@dataclass(frozen=True, eq=False)
class NormalStats(Stats):
    """Sums of a Gaussian sweep, about the means of `params`: cancellation-free when those are near the new means."""

    first: Array  #   (k, d)                sum w r (x - mean)
    second: Array  #  (k, d, d) or (k, d)   sum w r (x - mean)(x - mean)^T, or its diagonal

    def maximize(self, *, fixed: Collection[str] = (), reg_covar: float = 1e-6) -> NormalParams:
        """The M-step.  An empty component keeps its means and covariances, with weight 0; so does a fixed group.

        delta = first / counts;  mean = origin + delta;  covariance = second / counts - delta delta^T + reg_covar I.
        """
        at = self.params
        counts = np.where(self.live, self.counts, 1.0)[:, np.newaxis]
        delta = np.where(self.live[:, np.newaxis] & ("means" not in fixed), self.first / counts, 0.0)
        means = at.means + delta
        weights = at.weights if "weights" in fixed else self.mixing_weights()
        hold = "covariances" in fixed
        covariances = at.covariances if hold else self._covariances(counts, delta, means, reg_covar)
        return NormalParams(weights, means, covariances, at.covariance_type)

    def _covariances(self, counts: Array, delta: Array, means: Array, reg_covar: float) -> Array:
        kind, d = self.params.covariance_type, means.shape[1]
        if self.params.is_matrix:
            scatter = self.second / counts[:, :, np.newaxis] - delta[:, :, np.newaxis] * delta[:, np.newaxis, :]
        else:
            scatter = self.second / counts - delta**2
        if kind == "tied":
            scatter = np.tensordot(self.mixing_weights(), scatter, axes=1)
        if kind == "spherical":
            scatter = scatter.mean(axis=1)
        covariances = scatter + reg_covar * (np.eye(d) if self.params.is_matrix else 1.0)
        covariances = positive(covariances, kind, self._smallest_variances(counts, delta, means))
        if kind == "tied":
            return covariances
        live = self.live.reshape(-1, *[1] * (covariances.ndim - 1))
        return np.where(live, covariances, self.params.covariances)

    def _smallest_variances(self, counts: Array, delta: Array, means: Array) -> Array:
        """(d,) variances that are no more than the rounding of the data."""
        square = np.diagonal(self.second, axis1=1, axis2=2) if self.params.is_matrix else self.second
        shares = self.mixing_weights()[:, np.newaxis]
        within = (shares * np.maximum(square / counts - delta**2, 0.0)).sum(axis=0)
        return np.maximum(RESOLUTION**2 * (within + (shares * means**2).sum(axis=0)), SMALLEST_VARIANCE)


def positive(covariances: Array, kind: str, smallest: Array) -> Array:
    """Raise what is not above `smallest` (d,) to it, so that a collapsed component stays a density."""
    if kind == "diag":
        return np.maximum(covariances, smallest)
    if kind == "spherical":
        return np.maximum(covariances, smallest.max())
    try:
        np.linalg.cholesky(covariances - np.diag(smallest))
        return covariances
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariances)
        floor = np.maximum(smallest.max(), len(smallest) * RESOLUTION * values[..., -1:])
        return (vectors * np.maximum(values, floor)[..., np.newaxis, :]) @ np.swapaxes(vectors, -1, -2)


