"""Gaussian mixtures: parameters, their tables for the kernels, sufficient statistics, the M-step."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastem import checks
from fastem.stats import Array, Stats, as_table

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

    @classmethod
    def from_variances(cls, means: Array, variances: Array, covariance_type: str) -> NormalParams:
        """Equal weights, and for every component the same variances (d,)."""
        k = len(means)
        covariances: Array = {
            "full": np.tile(np.diag(variances), (k, 1, 1)),
            "tied": np.diag(variances),
            "diag": np.tile(variances, (k, 1)),
            "spherical": np.full(k, variances.mean()),
        }[covariance_type]
        return cls(np.full(k, 1 / k), means, covariances, covariance_type)

    @staticmethod
    def covariance_shape(covariance_type: str, k: int, d: int) -> tuple[int, ...]:
        return {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[covariance_type]

    def __post_init__(self) -> None:
        """The kernels trust these shapes."""
        checks.choice(self.covariance_type, "covariance_type", COVARIANCE_TYPES)
        k, d = checks.rank_two(self.means, "means")
        checks.same_shape(self.weights, "weights", (k,))
        checks.same_shape(self.covariances, "covariances", self.covariance_shape(self.covariance_type, k, d))

    def check(self) -> None:
        """Raise ValueError or TypeError where the values are not those of a mixture."""
        checks.mixing_weights(self.weights, "weights", len(self.weights))
        checks.shaped(self.means, "means", np.shape(self.means))
        checks.definite(self.covariances, "covariances", np.shape(self.covariances), self.is_matrix)

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
        sds, lower = cholesky(self.covariances)
        factors = np.linalg.inv(lower) * np.tri(lower.shape[-1]) / sds[..., np.newaxis, :]
        return np.swapaxes(factors, -1, -2)

    def precisions(self) -> Array:
        """Inverse covariances, shaped as they are."""
        factors = self.precisions_cholesky()
        return factors @ np.swapaxes(factors, -1, -2) if self.is_matrix else factors**2

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
        return as_table(log_norm), as_table(self.means), as_table(factors * math.sqrt(LOG2E / 2))

    def log_base_measure(self, X: np.ndarray) -> None:
        """The part of log p(x) that no parameter enters: none."""

    @property
    def sums_length(self) -> int:
        k, d = self.means.shape
        return k * (1 + d + (d * d if self.kernel == "mvnormal_full" else d)) + 2

    def stats(self, sums: Array) -> NormalStats:
        """Name the sums of a kernel (one row, as _kernels lays them out)."""
        k, d = self.means.shape
        first, second = sums[k : k + k * d].reshape(k, d), sums[k + k * d : -2]
        second = second.reshape((k, d, d) if self.is_matrix else (k, d))
        return NormalStats(self, sums[:k], float(sums[-2]), float(sums[-1]), first, second)

    def sample(self, labels: np.ndarray, rng: np.random.Generator) -> Array:
        """Draw a row from the component of each label."""
        noise = rng.standard_normal((len(labels), self.means.shape[1]))
        if not self.is_matrix:
            return self.means[labels] + noise * np.sqrt(self.variances())[labels]
        sds, lower = cholesky(self.covariances)
        factors = np.broadcast_to(lower * sds[..., np.newaxis], (len(self.weights), *noise.shape[1:] * 2))
        return self.means[labels] + np.einsum("nij,nj->ni", factors[labels], noise)


@dataclass(frozen=True, eq=False)
class NormalStats(Stats):
    """Sums of a Gaussian sweep, about the means of `params`: cancellation-free when those are near the new means."""

    first: Array  #   (k, d)                sum w r (x - mean)
    second: Array  #  (k, d, d) or (k, d)   sum w r (x - mean)(x - mean)^T, or its diagonal

    def maximize(self, *, fixed: Collection[str] = (), reg_covar: Any = 1e-6) -> NormalParams:
        """The M-step.  An empty component keeps its means and covariances, with weight 0; so does a fixed group.

        delta = first / counts;  mean = origin + delta;  covariance = second / counts - delta delta^T + reg_covar I,
        with reg_covar a number or one for each feature (d,).
        """
        at, live = self.params, self.live
        counts = np.where(live, self.counts, 1.0)[:, np.newaxis]
        delta = np.zeros_like(at.means) if "means" in fixed else np.where(live[:, np.newaxis], self.first / counts, 0.0)
        return NormalParams(
            at.weights if "weights" in fixed else self.mixing_weights(),
            at.means + delta,
            at.covariances if "covariances" in fixed else self._covariances(counts, delta, reg_covar),
            at.covariance_type,
        )

    def _covariances(self, counts: Array, delta: Array, reg_covar: Any) -> Array:
        at, shares, d = self.params, self.mixing_weights(), delta.shape[1]
        if at.is_matrix:
            scatter = self.second / counts[:, :, np.newaxis] - delta[:, :, np.newaxis] * delta[:, np.newaxis, :]
            variances = np.einsum("kii->ki", scatter)
        else:
            variances = scatter = self.second / counts - delta**2
        smallest = np.maximum(RESOLUTION**2 * (shares @ (variances + (at.means + delta) ** 2)), SMALLEST_VARIANCE)
        if at.covariance_type == "tied":
            scatter = np.tensordot(shares, scatter, axes=1)
        if at.covariance_type == "spherical":
            scatter, reg_covar = scatter.mean(axis=1), np.mean(reg_covar)
        found = positive(scatter + (reg_covar * np.eye(d) if at.is_matrix else reg_covar), at.is_matrix, smallest)
        if at.covariance_type == "tied" or self.live.all():
            return found
        return np.where(self.live.reshape(-1, *[1] * (found.ndim - 1)), found, at.covariances)


def positive(covariances: Array, matrices: bool, smallest: Array) -> Array:
    """Raise what is not above `smallest` (d,) to it, so that a collapsed component stays a density.

    Matrices are judged as correlations, so that features of different units do not hide each other.
    """
    if not matrices:
        return np.maximum(covariances, smallest if covariances.ndim == 2 else smallest.max())
    sds, correlations = as_correlations(covariances, smallest)
    least = len(smallest) * np.finfo(np.float64).eps
    try:
        np.linalg.cholesky(correlations - least * np.eye(len(smallest)))
    except np.linalg.LinAlgError:
        values, vectors = definite_eigen(correlations)
        return (vectors * values[..., np.newaxis, :]) @ np.swapaxes(vectors, -1, -2) * outer(sds)
    healthy = (np.einsum("...ii->...i", covariances) >= smallest).all()
    return covariances if healthy else correlations * outer(sds)


def cholesky(covariances: Array) -> tuple[Array, Array]:
    """sds (..., d) and lower C (..., d, d) with covariance = diag(sds) C C^T diag(sds).

    Where rounding has left an indefinite matrix, that of the nearest definite one.
    """
    sds, correlations = as_correlations(covariances, np.full(covariances.shape[-1], SMALLEST_VARIANCE))
    try:
        return sds, np.asarray(np.linalg.cholesky(correlations), np.float64)
    except np.linalg.LinAlgError:
        values, vectors = definite_eigen(correlations)
        upper = np.linalg.qr(np.swapaxes(vectors * np.sqrt(values)[..., np.newaxis, :], -1, -2), mode="r")
        signs = np.where(np.einsum("...ii->...i", upper) < 0, -1.0, 1.0)
        return sds, np.swapaxes(upper * signs[..., np.newaxis], -1, -2)


def as_correlations(covariances: Array, smallest: Array) -> tuple[Array, Array]:
    """Standard deviations, at least of `smallest` variances, and covariances in units of them with diagonal 1."""
    sds = np.sqrt(np.maximum(np.einsum("...ii->...i", covariances), smallest))
    correlations = np.clip(covariances / outer(sds), -1.0, 1.0)
    np.einsum("...ii->...i", correlations)[...] = 1.0
    return sds, correlations


def outer(sds: Array) -> Array:
    return sds[..., :, np.newaxis] * sds[..., np.newaxis, :]


def definite_eigen(correlations: Array) -> tuple[Array, Array]:
    """Eigenvalues, raised to what rounding can resolve, and eigenvectors."""
    values, vectors = np.linalg.eigh(correlations)
    return np.maximum(values, correlations.shape[-1] ** 2 * RESOLUTION), vectors
