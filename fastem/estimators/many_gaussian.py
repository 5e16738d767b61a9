"""The results of `fit_many` for Gaussian mixtures: of numbers, and of rows of several columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fastem._public import public
from fastem._typing import Array, ArrayLike
from fastem.estimators.many_fits import LogDensity, ManyFits, ManyRows
from fastem.families.gaussian.matrices import LOG2E, SMALLEST_VARIANCE
from fastem.families.gaussian.model import GaussianParams
from fastem.families.gaussian.structures import STRUCTURES
from fastem.validation.arrays import LARGEST_MAGNITUDE
from fastem.validation.groups import as_column, check_family_arguments

LARGEST_MEAN = LARGEST_MAGNITUDE[np.dtype(np.float64)]


@public
@dataclass(frozen=True, eq=False, repr=False)
class ManyGaussianFits(ManyFits):
    """Gaussian mixtures of m groups of numbers."""

    means: Array  #     (m, k)
    variances: Array  # (m, k)

    kernel = "fit_many_normal"
    parameter_names = ("means", "variances")
    ranges = {"means": (-LARGEST_MEAN, LARGEST_MEAN), "variances": (SMALLEST_VARIANCE, LARGEST_MEAN**2)}  # noqa: RUF012 - a ClassVar

    @staticmethod
    def read(
        values: ArrayLike, trials: ArrayLike | None, added: tuple[float, float], has_columns: bool = False
    ) -> ManyRows:
        """Return the rows, and what is added to variances."""
        check_family_arguments({"trials": trials}, "gaussian")
        return (as_column(values, "values", has_columns=has_columns),), added

    def params(self, group: int) -> GaussianParams:
        """Return the mixture of one group, for `posterior` and the other building blocks."""
        group, k = self._sized(group)
        columns = self.means[group, :k, np.newaxis], self.variances[group, :k, np.newaxis]
        return GaussianParams(self.weights[group, :k], *columns, "diag")

    def _log_density(self, rows: tuple[np.ndarray, ...]) -> LogDensity:
        (x,) = rows

        def log_density(c: int, group: np.ndarray, some: slice) -> Array:
            variances = self.variances[group, c]
            square = (x[some] - self.means[group, c]) ** 2 / variances
            return np.asarray(-0.5 * (np.log2(2 * np.pi * variances) + LOG2E * square))

        return log_density


@public
@dataclass(frozen=True, eq=False, repr=False)
class ManyMultivariateFits(ManyFits):
    """Gaussian mixtures of m groups of rows of several columns."""

    means: Array  #       (m, k, d)
    covariances: Array  # (m, k, d, d), tied (m, d, d), diag (m, k, d), spherical (m, k)
    covariance_type: str

    kernel = "fit_groups"
    parameter_names = ("means", "covariances")
    ranges: ClassVar[dict[str, tuple[float, float]]] = {}
    read = staticmethod(ManyGaussianFits.read)

    @property
    def own_names(self) -> tuple[str, ...]:
        """The parameters of which each component has its own, besides its weight."""
        return ("means",) if self.covariance_type == "tied" else self.parameter_names

    def _parameters_of(self, k: int) -> int:
        """Return the number of free parameters of k components."""
        structure, d = STRUCTURES[self.covariance_type], self.means.shape[2]
        return k - 1 + k * d + (1 if self.covariance_type == "tied" else k) * structure.n_parameters(d)

    def params(self, group: int) -> GaussianParams:
        """Return the mixture of one group, for `posterior` and the other building blocks."""
        group, k = self._sized(group)
        covariances = self.covariances[group] if self.covariance_type == "tied" else self.covariances[group, :k]
        return GaussianParams(self.weights[group, :k], self.means[group, :k], covariances, self.covariance_type)

    def _log_density(self, rows: tuple[np.ndarray, ...]) -> LogDensity:
        (x,) = rows
        d, factors = x.shape[1], self._factors()

        def log_density(c: int, group: np.ndarray, some: slice) -> Array:
            residual, factor = x[some] - self.means[group, c], factors[:, 0 if factors.shape[1] == 1 else c]
            square, logs = np.zeros(len(residual)), np.zeros(len(factor))
            for i in range(d):
                square += sum(factor[group, i, j] * residual[:, j] for j in range(i + 1)) ** 2
                logs += np.log2(factor[:, i, i])
            return np.asarray(logs[group] - 0.5 * (d * np.log2(2 * np.pi) + LOG2E * square))

        return log_density

    def _factors(self) -> Array:
        """Return (m, k or 1, d, d) lower L, where L^T L is the inverse of a covariance; NaN where there is none."""
        d = self.means.shape[2]
        if self.covariance_type == "spherical":
            return np.asarray(np.eye(d) / np.sqrt(self.covariances)[..., np.newaxis, np.newaxis])
        if self.covariance_type == "diag":
            return np.asarray(np.eye(d) / np.sqrt(self.covariances)[..., np.newaxis])
        matrices = self.covariances.reshape(len(self), -1, d, d)
        return inverse_factors(matrices)


def inverse_factors(matrices: Array) -> Array:
    """Return lower L of each of (..., d, d) matrices, with L^T L the inverse; NaN where that has NaN."""
    d, lower, inverse = matrices.shape[-1], np.zeros(matrices.shape), np.zeros(matrices.shape)
    with np.errstate(invalid="ignore"):
        for j in range(d):  # S = C C^T
            for i in range(j, d):
                rest = matrices[..., i, j] - (lower[..., i, :j] * lower[..., j, :j]).sum(axis=-1)
                lower[..., i, j] = np.sqrt(rest) if i == j else rest / lower[..., j, j]
        for i in range(d):  # C L = 1
            for j in range(i + 1):
                known = (lower[..., i, :i] * inverse[..., :i, j]).sum(axis=-1)
                inverse[..., i, j] = ((i == j) - known) / lower[..., i, i]
    return inverse
