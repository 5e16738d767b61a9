"""Linear algebra of stacks of matrices, on the thread that calls: `_linear.pyx` says why none of BLAS or LAPACK."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fastem.kernels.twins import linear_kernels

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def outer_sums(P: Array, Q: Array) -> Array:
    """Return (..., i, j) sums over m of P[m]^T Q[m], of P (..., m, i) and Q (..., m, j)."""
    stack = P.shape[:-2] if P.shape[:-2] == Q.shape[:-2] else np.broadcast_shapes(P.shape[:-2], Q.shape[:-2])
    sums = np.zeros((math.prod(stack), P.shape[-1], Q.shape[-1]))
    linear_kernels().outer_sums(stacked(P, stack), stacked(Q, stack), sums)
    return sums.reshape(*stack, *sums.shape[1:])


def product(A: Array, B: Array) -> Array:
    """Return (..., i, j) matrix products of A (..., i, m) and B (..., m, j)."""
    return outer_sums(A.swapaxes(-1, -2), B)


def times(A: Array, x: Array) -> Array:
    """Return (..., i) matrices A (..., i, m) times vectors x (..., m)."""
    return np.asarray(np.einsum("...im,...m->...i", A, x))


def weighted_sum(weights: Array, X: Array) -> Array:
    """Return (...) the sum over m of weights[m] X[m], of weights (m,) and X (m, ...)."""
    return np.asarray(np.einsum("m,m...->...", weights, X))


def dot(a: Array, b: Array) -> float:
    """Return the inner product of two vectors."""
    return float(np.einsum("i,i", a, b))


def norm(a: Array) -> float:
    """Return the length of a vector."""
    return math.sqrt(dot(a, a))


def inverse_cholesky(covariances: Array) -> tuple[Array, Array] | None:
    """Return lower L (..., d, d) with L^T L = the inverse, and pivots (..., d); None where a matrix is not definite.

    A pivot is the variance of a feature given those before it.
    """
    d = covariances.shape[-1]
    matrices = np.ascontiguousarray(covariances).reshape(math.prod(covariances.shape[:-2]), d, d)
    factors, pivots = np.empty(matrices.shape), np.empty(matrices.shape[:2])
    if not linear_kernels().inverse_cholesky(matrices, factors, pivots):
        return None
    return factors.reshape(covariances.shape), pivots.reshape(covariances.shape[:-1])


def log_determinant(covariance: Array) -> float:
    """Return the logarithm of the determinant of a positive definite matrix."""
    found = inverse_cholesky(covariance)
    assert found is not None
    return float(np.log(found[1]).sum())


def inverse_lower(factors: Array) -> Array:
    """Return the inverses of lower triangles (..., d, d), which are lower triangles too."""
    matrices = stacked(factors, factors.shape[:-2])
    inverses = np.empty(matrices.shape)
    linear_kernels().inverse_lower(matrices, inverses)
    return inverses.reshape(factors.shape)


def eigh(matrices: Array) -> tuple[Array, Array]:
    """Return eigenvalues (..., d), ascending, and eigenvectors (..., d, d), in columns, of symmetric matrices."""
    values, rows = eigen(matrices, vectors=True)
    order = values.argsort(axis=-1, kind="stable")
    ordered = np.take_along_axis(rows, order[..., np.newaxis], axis=-2)
    return np.take_along_axis(values, order, axis=-1), ordered.swapaxes(-1, -2)


def eigvalsh(matrices: Array) -> Array:
    """Return eigenvalues (..., d), ascending, of symmetric matrices."""
    return np.sort(eigen(matrices, vectors=False)[0], axis=-1)


def eigen(matrices: Array, *, vectors: bool) -> tuple[Array, Array]:
    """Return eigenvalues in no order, and eigenvectors in rows; LinAlgError where a matrix is not finite.

    Matrices are brought to a size of about 1, by a power of two, so that no square of an element over- or underflows.
    """
    stack, d = matrices.shape[:-2], matrices.shape[-1]
    sizes = np.abs(matrices).max(axis=(-2, -1), keepdims=True, initial=0.0)
    if not np.isfinite(sizes).all():
        raise np.linalg.LinAlgError("Eigenvalues did not converge: a matrix is not finite")
    _, exponents = np.frexp(sizes)
    scaled = stacked(np.ldexp(matrices, -exponents), stack)
    values = np.empty(scaled.shape[:2])
    rows = np.empty((len(scaled), d, d) if vectors else (len(scaled), 0, 0))
    if not linear_kernels().eigen(scaled, values, rows):
        raise np.linalg.LinAlgError("Eigenvalues did not converge")
    found = np.ldexp(values.reshape(*stack, d), exponents[..., 0])
    return found, rows.reshape(*stack, *rows.shape[1:])


def hermite_slopes(z: Array) -> Array:
    """Return (n, m) z, and (z_i z_j - [i = j]) / sqrt(1 + [i = j]) for j <= i, of rows z (n, d)."""
    n, d = z.shape
    slopes = np.empty((n, d + d * (d + 1) // 2))
    linear_kernels().hermite_slopes(np.ascontiguousarray(z), slopes)
    return slopes


def scores_times(
    own: Array,
    rows: NDArray[np.int64],
    resp: Array,
    shares: Array,
    offsets: NDArray[np.int64],
    x: Array,
    common: Array,
    n_rows: int,
    about_means: bool,
) -> tuple[Array, Array]:
    """Return (c, q) and (c,) what sums of scores of each component are, times a vector: see `inference/remaining.py`.

    own (m, q) are slopes of rows (m,), those of component c from offsets[c] on; x (c, q) and common (c,) what a vector
    makes of them, and of what they have in common.
    """
    found, totals = np.empty(x.shape), np.empty(len(x))
    workspace = np.empty(len(own)), np.empty(n_rows)
    linear_kernels().scores_times(own, rows, resp, shares, offsets, x, common, about_means, *workspace, found, totals)
    return found, totals


def stacked(matrices: Array, stack: tuple[int, ...]) -> Array:
    """Return the matrices as the kernels read them: one stack, each contiguous."""
    if matrices.shape[:-2] != stack:
        matrices = np.broadcast_to(matrices, (*stack, *matrices.shape[-2:]))
    return np.ascontiguousarray(matrices, np.float64).reshape(math.prod(stack), *matrices.shape[-2:])
