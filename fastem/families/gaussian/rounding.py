"""Rounding: what it may do to a log likelihood, and where float32 is precise enough."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fastem._typing import Array
from fastem.data.slots import as_table
from fastem.families.gaussian.matrices import FLOAT32_EPS, diagonal, squared_norms
from fastem.families.stats import UNIT
from fastem.families.weights import SMALLEST_WEIGHT
from fastem.kernels.linear import dot, product, times

FLOAT32_UNIT = FLOAT32_EPS / 2
"""What rounding to float32 changes a number by, relatively, at most."""
SHIFT = 1e-5
"""How far rounding to float32 may move parameters, as a share of a standard deviation, or of a variance."""
REACH = 1000.0
"""Residuals are then good to 1e-4 of a standard deviation in float32."""
SPREAD = 20.0
"""The length of a row of L times the standard deviations, L^T L the inverse covariance: 1 without correlations.  What
sums in float32 lose of the moments has any sign: the variance of a direction was off by 2e-9 of the square of this at
most, in 2 to 64 features.  Were all signs the same, it would be by 1e-6 of it, half a thousandth."""
LARGEST = 1e18
"""A product of two such numbers is finite in float32."""


def sums_are_sufficient(means: Array, factors: Array, variances: Callable[[], Array]) -> bool:
    """Return whether rows may be summed in float32, a tile at a time, at means (k, d) with these precision factors.

    variances() returns those of the features, (k, d).

    Means are then rounded to 2^-24 of their distance from the middle, which must be REACH of a component's standard
    deviations at most; and covariances to some 2^-24 of the variances, which must leave something of the least variance
    in any direction.
    """
    distance, scale = np.abs(means - means.mean(axis=0)), np.abs(factors)
    if not max(distance.max(), scale.max()) < LARGEST:
        return False
    if scale.ndim == 2:
        return bool((scale * distance).max() < REACH)
    reach, spread = times(scale, distance), times(scale**2, variances())
    return bool(reach.max() < REACH and spread.max() < SPREAD**2)


def rounded(weights: Array, means: Array, covariances: Array) -> tuple[Array, Array, Array] | None:
    """Return parameters rounded to float32; None where some numbers are too large for it, or too small."""
    values = weights, means, covariances
    with np.errstate(over="ignore", under="ignore"):
        found = [as_table(value.astype(np.float32)) for value in values]
    pairs = zip(values, found, strict=True)
    if not all((np.abs(to - value) <= FLOAT32_UNIT * np.abs(value)).all() for value, to in pairs):
        return None
    return found[0], found[1], found[2]


def is_the_same_model(factors: Array, means: Array, variances: Array) -> bool:
    """Return whether rounding moves means and covariances by less than SHIFT."""
    L, means, sds = np.abs(factors), np.abs(means), np.sqrt(variances)
    moved = max(math.sqrt(squared_norms(L, FLOAT32_UNIT * means).max()), FLOAT32_UNIT * squared_norms(L, sds).max())
    return bool(moved < SHIFT)


def loglik_terms(
    counts: Array, second: Array, weights: Array, means: Array, factors: Array, sds: Array, offsets: Array | None
) -> tuple[float, float]:
    """Return the two sums of `Stats._rounded`.

    The terms are log weights, log scales and |L (x - mean)|^2 / 2; L (x - mean) is a sum, and L (precision factors) the
    inverse of a factor of the covariances; a mean is off by half a unit, near the maximum of Q.  With offsets (k, d) of
    the means, L (x - mean) is a difference, and its square a sum of three.
    """
    d, L, is_matrix = means.shape[1], np.abs(factors), factors.ndim == 3
    second = second[np.newaxis] if is_matrix and second.ndim == 2 else second
    spread = np.sqrt(np.maximum(diagonal(second) if is_matrix else second, 0.0))
    if offsets is not None:
        squares = counts[:, np.newaxis] * offsets**2
        spread = spread + 2 * np.sqrt(squares.sum(axis=0) if is_matrix else squares)
    logs = np.abs(np.log(np.maximum(weights, SMALLEST_WEIGHT)))
    logs = logs + np.abs(np.log(diagonal(L) if is_matrix else L)).sum(axis=1)
    squares = squared_norms(L[: len(spread)], spread)
    whitening = (2 if offsets is None else 3) * (d + 2) * squares.sum()
    whitening += UNIT * dot(counts, squared_norms(L, np.abs(means)))
    if is_matrix:
        squares = np.maximum((product(factors[: len(second)], second) * factors[: len(second)]).sum(axis=(1, 2)), 0.0)
        norms = squared_norms(L, sds)
        whitening += (3 * d + 1) * (dot(norms, counts) + dot(norms[: len(second)], squares))
    terms = dot(counts, logs + 0.5 * d * math.log(2 * math.pi)) + 0.5 * squares.sum()
    return float(terms), float(whitening)
