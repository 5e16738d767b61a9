"""Rows with something in the place of what is missing, for starts and searches, which take complete rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array, RowKind
from fastem.data.rows import Rows
from fastem.kernels.linear import inverse_cholesky, outer_sums, product, times, weighted_sum
from fastem.validation.missing import with_values

ROUNDS = 20
"""Rounds of draws; what is missing in a tenth of the places is forgotten in a few."""
RIDGE = 1e-3
"""Of the variances, in their units: draws need no more, and rows may be fewer than columns."""


def completed(rows: Rows, rng: np.random.Generator, labels: NDArray[np.int32] | None = None) -> Rows:
    """Return rows in which what is missing is drawn from what its component leaves it, given the rest of its row.

    labels (n,) are the components; None is one for all rows.
    """
    X, weights = rows.data[0].astype(np.float64), rows.sample_weight
    labels = np.zeros(len(X), np.int32) if labels is None else labels
    for c in np.unique(labels):
        own = labels == c
        part, missing = X[own], np.isnan(X[own])
        is_real = rows.row_kind is RowKind.REAL
        X[own] = draw_normal(part, missing, weights[own], rng) if is_real else draw_values(part, missing, rng)
    return Rows((X.astype(rows.precision),), weights, rows.backend, rows.dtype, rows.row_kind)


def draw_values(X: Array, missing: np.ndarray, rng: np.random.Generator) -> Array:
    """Draw each missing value from those of its column; 0 where there are none."""
    for column, gaps in zip(X.T, missing.T, strict=True):
        column[gaps] = 0.0 if gaps.all() else rng.choice(column[~gaps], int(gaps.sum()))
    return X


def draw_normal(X: Array, missing: np.ndarray, weights: Array, rng: np.random.Generator) -> Array:
    """Draw missing values by turns with the moments of the completed rows: data augmentation (Tanner and Wong 1987)."""
    origin, unit = observed_moments(X, missing)
    Z = draw_values((X - origin) / unit, missing, rng)
    columns = np.flatnonzero(missing.any(axis=0))
    for _ in range(ROUNDS):
        mean = weighted_sum(weights, Z) / weights.sum()
        Z -= mean
        S = outer_sums(Z * weights[:, np.newaxis], Z) / weights.sum()
        factors = inverse_cholesky(S + RIDGE * np.eye(len(S)))
        if factors is not None:
            P = product(factors[0].T, factors[0])
            for j in columns:
                draw_column(Z, missing[:, j], P[j], int(j), rng)
        Z += mean
    return np.where(missing, origin + unit * Z, X)


def draw_column(Z: Array, gaps: np.ndarray, precisions: Array, j: int, rng: np.random.Generator) -> None:
    """Draw column j at the gaps, given the other columns; `precisions` (d,) are those of j with every column."""
    own = precisions[j]
    noise = rng.standard_normal(int(gaps.sum())) / np.sqrt(own)
    Z[gaps, j] += noise - times(Z[gaps], precisions) / own


def observed_moments(X: Array, missing: np.ndarray) -> tuple[Array, Array]:
    """Return means and standard deviations (d,) of what is observed; 0 and 1 where that tells none."""
    n = np.maximum((~missing).sum(axis=0), 1)
    origin = np.where(with_values(X), np.nansum(X, axis=0) / n, 0.0)
    unit = np.sqrt(np.nansum((X - origin) ** 2, axis=0) / n)
    return origin, np.where(unit > 0, unit, 1.0)
