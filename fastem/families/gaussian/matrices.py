"""Matrices of covariances: the limits of their numbers, the nearest definite ones, their eigenvalues."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastem._typing import Array
from fastem.kernels.linear import eigh, eigvalsh, inverse_cholesky, product, times, weighted_sum
from fastem.validation.arrays import LARGEST_MAGNITUDE

LOG2E = math.log2(math.e)
EPS = float(np.finfo(np.float64).eps)
SINGLE_EPS = float(np.finfo(np.float32).eps)
"""Covariances of a fit of float32 rows are kept in float32; what that takes from an eigenvalue is given back."""
RESOLUTION = 4 * EPS
"""Standard deviations below this share of a feature's magnitude are rounding, not spread."""
SMALLEST_VARIANCE = 1e-200
"""Where even the magnitude is 0: small, and still far from overflow when inverted."""
SMALLEST_MAGNITUDE = math.sqrt(SMALLEST_VARIANCE) / RESOLUTION
"""Of a feature that is not 0: where it is smaller, SMALLEST_VARIANCE would take for rounding what is none."""
LARGEST_VARIANCE = LARGEST_MAGNITUDE[np.dtype(np.float64)] ** 2
"""That rows within their own bound can have."""
NO_EXTENT = 1.01
"""Of the floor under a variance (reg_covar, and what rounding can tell): below that a component has none of its own."""
BLURRED = 2.0
"""What rounding can tell is known to a factor itself: components that lie on it were seen from 0.83 to 1.16 of it."""
RESOLVED = 1.0
"""Of the step to which rows were rounded: what such rows prove.  Components of that width on all values of a bell are
wider than the bell, and never better; one that is alone among empty values is told from others all the same."""


def resolved(shares: Array, variances: Array, means: Array) -> Array:
    """(d,) variances that are rounding, by the mean squares of the features."""
    return np.maximum(RESOLUTION**2 * weighted_sum(shares, variances + means * means), SMALLEST_VARIANCE)


def nearest_definite(covariances: Array, smallest: Any) -> Array:
    """Variances raised to `smallest`, and the eigenvalues of the correlations to what rounding can resolve."""
    sds = np.sqrt(np.maximum(diagonal(covariances), smallest))
    outer = sds[..., :, np.newaxis] * sds[..., np.newaxis, :]
    with np.errstate(over="ignore"):  # of what cancellation has left of variances
        correlations = np.clip(covariances / outer, -1.0, 1.0)
    np.einsum("...ii->...i", correlations)[...] = 1.0
    values, vectors = eigh(correlations)
    values = np.maximum(values, sds.shape[-1] ** 2 * RESOLUTION)[..., np.newaxis, :]
    return np.asarray(product(vectors * values, vectors.mT) * outer)


def inverse_factors(covariances: Array) -> Array:
    """Return lower L with L^T L = inverse covariance, of the nearest definite ones where rounding has left others."""
    found = inverse_cholesky(covariances) or inverse_cholesky(nearest_definite(covariances, SMALLEST_VARIANCE))
    assert found is not None
    return found[0]


def inverse(matrices: Array) -> Array:
    """Of matrices that have passed as_positive_definite, and may be singular to rounding: L^T L."""
    found = inverse_cholesky(matrices)
    if found is None:
        raise ValueError("precisions must be of matrices that can be inverted; got one that is singular")
    return product(found[0].mT, found[0])


def squares_of(L: Array, z: Array) -> Array:
    """(k,) |L z|^2, z (k, d), of lower triangles or diagonals L."""
    whitened = times(L, z) if L.ndim == 3 else L * z
    return np.asarray((whitened**2).sum(axis=1))


def triangle(d: int) -> tuple[np.ndarray, np.ndarray, Array]:
    """Rows and columns of a lower triangle, and 1 / sqrt 2 on its diagonal: E z^4 - 1 = 2, E (z_i z_j)^2 = 1."""
    i, j = np.tril_indices(d)
    return i, j, np.where(i == j, math.sqrt(0.5), 1.0)


def diagonal(matrices: Array) -> Array:
    return matrices.diagonal(axis1=-2, axis2=-1)


def root(covariance: Array) -> Array:
    """R with R R^T = covariance, or the nearest to it that is definite; by way of its correlations, which have no
    units."""
    sds = np.sqrt(covariance.diagonal())
    values, vectors = eigh(covariance / sds / sds[:, np.newaxis])
    return np.asarray(vectors * np.sqrt(np.maximum(values, len(sds) * RESOLUTION)) * sds[:, np.newaxis])


def smallest_of(inverse_cholesky: Array) -> float:
    """Smallest eigenvalue of the covariance: the largest of its inverse is good to rounding where features have units
    that are far apart, and that of the covariance itself is not."""
    with np.errstate(over="ignore"):
        return float(1 / largest_of(inverse_cholesky))


def largest_of(factors: Array) -> Array:
    """(...) the largest eigenvalue of F F^T, of factors F (..., d, d), in units in which no square overflows."""
    sizes = np.abs(factors).max(axis=(-2, -1), keepdims=True)
    scaled = factors / sizes
    return np.asarray(eigvalsh(product(scaled, scaled.mT))[..., -1] * sizes[..., 0, 0] ** 2)
