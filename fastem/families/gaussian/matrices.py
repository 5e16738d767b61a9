"""Matrices of covariances: the limits of their numbers, the nearest definite ones, their eigenvalues."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array
from fastem.kernels.linear import eigh, eigvalsh, inverse_cholesky, product, times, weighted_sum
from fastem.validation.arrays import LARGEST_MAGNITUDE

LOG2E = math.log2(math.e)
EPS = float(np.finfo(np.float64).eps)
FLOAT32_EPS = float(np.finfo(np.float32).eps)
"""Covariances of a fit of float32 rows are rounded to float32, which may take so much from an eigenvalue."""
RESOLUTION = 4 * EPS
"""A standard deviation below this share of a feature's magnitude is rounding, not spread."""
SMALLEST_VARIANCE = 1e-200
"""The floor of a variance where even the magnitude is 0: small, and still far from overflow when inverted."""
SMALLEST_MAGNITUDE = math.sqrt(SMALLEST_VARIANCE) / RESOLUTION
"""The least magnitude of a feature that is not 0: below it, SMALLEST_VARIANCE would hide variances that are real."""
LARGEST_VARIANCE = LARGEST_MAGNITUDE[np.dtype(np.float64)] ** 2
"""The largest variance of rows that a fit accepts."""
COLLAPSED_RATIO = 1.01
"""A component has collapsed where a variance is at most so many times its floor (reg_covar, and rounding)."""
FLOOR_SAFETY = 2.0
"""Rounding is known to a factor only: variances of collapsed components were seen from 0.83 to 1.16 of it."""
PROVEN_WIDTH = 1.0
"""Rows that were rounded to a step prove a standard deviation of so many steps.  Components of that width on all values
of a bell are wider than the bell, and never better; one that is alone among empty values is still distinct."""


def rounding_variances(shares: Array, variances: Array, means: Array) -> Array:
    """Return (d,) the variances that are rounding, by the mean squares of the features."""
    return np.maximum(RESOLUTION**2 * weighted_sum(shares, variances + means * means), SMALLEST_VARIANCE)


def nearest_definite(covariances: Array, smallest: float | Array) -> Array:
    """Return matrices that are positive definite, with variances of at least `smallest`.

    The eigenvalues of their correlations are above rounding.
    """
    sds = np.sqrt(np.maximum(diagonal(covariances), smallest))
    outer = sds[..., :, np.newaxis] * sds[..., np.newaxis, :]
    with np.errstate(over="ignore"):  # of what cancellation has left of variances
        correlations = np.clip(covariances / outer, -1.0, 1.0)
    np.einsum("...ii->...i", correlations)[...] = 1.0
    values, vectors = eigh(correlations)
    values = np.maximum(values, sds.shape[-1] ** 2 * RESOLUTION)[..., np.newaxis, :]
    return np.asarray(product(vectors * values, vectors.swapaxes(-1, -2)) * outer)


def inverse_factors(covariances: Array) -> Array:
    """Return lower L with L^T L = inverse covariance, of the nearest definite ones where rounding has left others."""
    found = inverse_cholesky(covariances) or inverse_cholesky(nearest_definite(covariances, SMALLEST_VARIANCE))
    assert found is not None
    return found[0]


def inverse(matrices: Array) -> Array:
    """Return the inverses of matrices that have passed as_positive_definite; ValueError where one is singular."""
    found = inverse_cholesky(matrices)
    if found is None:
        raise ValueError("precisions must be of matrices that can be inverted; got one that is singular")
    return product(found[0].swapaxes(-1, -2), found[0])


def squared_norms(L: Array, z: Array) -> Array:
    """Return (k,) |L z|^2 of vectors z (k, d) and lower triangles or diagonals L."""
    whitened = times(L, z) if L.ndim == 3 else L * z
    return np.asarray((whitened**2).sum(axis=1))


def divisors(counts: Array, keep: NDArray[np.bool_] | None) -> Array:
    """Return counts (k,), infinite for components that keep their parameters."""
    return counts if keep is None else np.where(keep, np.inf, counts)


def triangle(d: int) -> tuple[np.ndarray, np.ndarray, Array]:
    """Return the rows and the columns of a lower triangle (d, d), and scales of its elements.

    A scale is 1 / sqrt 2 on the diagonal, where E z^4 - 1 = 2, and 1 elsewhere, where E (z_i z_j)^2 = 1.
    """
    i, j = np.tril_indices(d)
    return i, j, np.where(i == j, math.sqrt(0.5), 1.0)


def diagonal(matrices: Array) -> Array:
    """Return (..., d) the diagonals of matrices (..., d, d)."""
    return matrices.diagonal(axis1=-2, axis2=-1)


def square_root(covariance: Array) -> Array:
    """Return R with R R^T = covariance (..., d, d), or the nearest to it that is definite.

    It is computed from the correlations, which have no units.
    """
    sds = np.sqrt(diagonal(covariance))[..., np.newaxis]
    values, vectors = eigh(covariance / sds.swapaxes(-1, -2) / sds)
    roots = np.sqrt(np.maximum(values, covariance.shape[-1] * RESOLUTION))
    return np.asarray(vectors * roots[..., np.newaxis, :] * sds)


def smallest_eigenvalue_by_inverse(inverse_cholesky: Array) -> float:
    """Return the smallest eigenvalue of a covariance, from the Cholesky factor of its inverse.

    As the largest one of the inverse it is precise where features have units that are far apart; computed from the
    covariance itself it is not.
    """
    with np.errstate(over="ignore"):
        return float(1 / largest_eigenvalue(inverse_cholesky))


def largest_eigenvalue(factors: Array) -> Array:
    """Return (...) the largest eigenvalue of F F^T, of factors F (..., d, d), in units in which no square overflows."""
    sizes = np.abs(factors).max(axis=(-2, -1), keepdims=True)
    scaled = factors / sizes
    return np.asarray(eigvalsh(product(scaled, scaled.swapaxes(-1, -2)))[..., -1] * sizes[..., 0, 0] ** 2)
