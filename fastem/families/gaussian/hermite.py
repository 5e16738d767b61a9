"""Coordinates of a Gaussian with a covariance C C^T: its slopes are Hermite's polynomials of z = C^-1 (x - mean).

They are z, and (z_i z_j - [i = j]) / sqrt(1 + [i = j]).  Of rows that lack values, slopes are what these are expected
to be, given the values that are there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array
from fastem.data.missing import Places, by_pattern
from fastem.families.gaussian.matrices import inverse_factors, triangle
from fastem.kernels.linear import eigh, hermite_slopes, outer_sums, product


class Whitened(NamedTuple):
    """What rows that lack the same values say of z: it is a + U e, of which e is standard normal."""

    rows: Places
    a: Array  # (n, d)
    U: Array  # (d, u) with orthonormal columns, as many as values are missing


def jacobians(C: Array) -> Array:
    """Return the derivatives (k, m, m) of lower triangles of C (I + V) C^T; V has sqrt 2 t on its diagonal."""
    i, j, scale = triangle(C.shape[-1])
    a, b = i[:, np.newaxis], j[:, np.newaxis]
    return np.asarray((C[:, a, i] * C[:, b, j] + C[:, a, j] * C[:, b, i]) * scale)


def places(d: int) -> NDArray[np.intp]:
    """Return (d, d) where each element of a matrix is in its lower triangle, row by row."""
    i, j, _ = triangle(d)
    found = np.empty((d, d), np.intp)
    found[i, j] = found[j, i] = np.arange(len(i))
    return found


def slopes(precision_factor: Array, residuals: Array) -> Array:
    """Return Hermite's polynomials (n, m) of rows about the mean (n, d), NaN where they lack a value."""
    if not np.isnan(residuals).any():
        return hermite_slopes(product(residuals, precision_factor.T))
    i, j, scale = triangle(d := residuals.shape[1])
    found = np.empty((len(residuals), d + len(i)))
    for rows, a, U in whitened(precision_factor, residuals):
        found[rows] = np.hstack([a, (a[:, i] * a[:, j] + ((U[i] * U[j]).sum(axis=1) - (i == j))) * scale])
    return found


def missing_information(precision_factor: Array, shares: Array, residuals: Array) -> Array:
    """Return (m, m) the sum over the rows of shares (n,) times the covariance of the polynomials, given what is there.

    Polynomials of a + U e are sums of independent terms: with each element of e, and with each product of two of them,
    which are as those of a row of U.
    """
    d = residuals.shape[1]
    m = d + len(triangle(d)[0])
    found = np.zeros((m, m))
    for rows, a, U in whitened(precision_factor, residuals):
        own = few_rows(np.insert(a, 0, 1.0, axis=1), shares[rows])
        products = np.insert(math.sqrt(0.5 * shares[rows].sum()) * U.T, 0, 0.0, axis=1)
        terms = terms_of(np.concatenate([own, products]), U)
        found += outer_sums(terms, terms)
    return found


def few_rows(rows: Array, shares: Array) -> Array:
    """Return at most as many rows as columns, which have the sum of squares of the rows (n, c) of these shares (n,)."""
    if len(rows) <= rows.shape[1]:
        return np.asarray(np.sqrt(shares)[:, np.newaxis] * rows)
    values, vectors = eigh(outer_sums(shares[:, np.newaxis] * rows, rows))
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))).T)


def terms_of(rows: Array, U: Array) -> Array:
    """Return (n u, m) the slopes of the polynomials of a + U e by the elements of e, for rows (n, 1 + d) of 1 and a."""
    i, j, scale = triangle(len(U))
    one, a, columns = rows[:, np.newaxis, :1], rows[:, np.newaxis, 1:], U.T
    squares = (a[..., i] * columns[:, j] + a[..., j] * columns[:, i]) * scale
    found = np.concatenate([one * columns, squares], axis=2)
    return found.reshape(-1, found.shape[2])


def whitened(precision_factor: Array, residuals: Array) -> Iterator[Whitened]:
    """Yield what rows say of z, those together that lack the same values.

    A value x_i is free to move z along column i of the precision factor: U is an orthonormal basis of these columns.
    """
    for rows, missing in by_pattern(np.isnan(residuals)):
        free = precision_factor[:, missing]
        U = product(free, inverse_factors(product(free.T, free)).T)
        z = product(np.where(missing, 0.0, residuals[rows]), precision_factor.T)
        yield Whitened(rows, z - product(product(z, U), U.T), U)
