"""What the kernels of Gaussian mixtures read."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from fastem._typing import Array, SweepKernels
from fastem.data.slots import as_table
from fastem.families.gaussian.covariance import Covariance
from fastem.families.gaussian.diagonal import UNIVARIATE
from fastem.families.gaussian.matrices import LOG2E, diagonal
from fastem.families.gaussian.rounding import sums_are_sufficient
from fastem.kernels.linear import product, times

T = TypeVar("T")

WORTHWHILE = 16
"""The least k d for which components are faster together: with less, blocks of four are half empty."""
NEAR = 32.0
"""How many variances, on the average over the directions, a mean may be from the middle of the means where rows are
taken from it, once for all components: more would take over 5 bits from densities and from the covariance."""
LARGEST_INFLATION = 1024.0
"""Of the variance of a feature over what is left of it given the others, where rows with gaps are completed: what is
expected of a missing value, and log densities, lose as many bits, 10 of 52, at most."""
LONGEST_VECTOR = 8
"""Doubles of a register."""
NEAR_IN_FLOAT32 = 256.0
"""The square of such a distance where tiles are summed in float32: of two components there that are half a standard
deviation apart the counts were off by 2e-6 of the rows, in 128 features, and by 6e-7 in 32."""


COMPLETING = SweepKernels("", "", "", "accumulate_mvnormal_completed", "posterior_mvnormal_completed")
"""Those of rows with gaps, of precisions by which these may be completed."""


def kernel_of(structure: Covariance, middle: Array | None, completing: Array | None) -> SweepKernels:
    """Return the kernels of components with these covariances, and with the middle of their means if there is one.

    completing are precisions by which rows with gaps are completed, if they may be.
    """
    if middle is not None and structure.kernel_about_middle is not None:
        return structure.kernel_about_middle
    if completing is not None:
        return COMPLETING
    return UNIVARIATE if structure.d == 1 else structure.kernel


def middle_with_gaps(structure: Covariance, middle: Array | None) -> Array | None:
    """Return the middle if there are kernels that take rows with gaps from it."""
    about = structure.kernel_about_middle
    return middle if about is not None and about.accumulate_missing else None


def prepared(params: T, structure: Covariance, middle: Array | None, n_moments: int) -> T:
    """Make parameters keep what their sweeps shall take; they have this structure."""
    completing = completing_precisions(structure)
    params.__dict__.update(structure=structure, middle=middle, n_moments=n_moments, completing=completing)
    return params


def completing_precisions(structure: Covariance) -> Array | None:
    """Return L^T L of the factors L in the tables, if rows with gaps may be completed by them, else None.

    (k, d, p): its rows are raised by zeros to a multiple of LONGEST_VECTOR.
    """
    factors = structure.precision_factors()
    if factors.ndim == 2:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        inflation = structure.variances() * (factors**2).sum(axis=1)  # S_jj (S^-1)_jj
        if not inflation.max() <= LARGEST_INFLATION:
            return None
    factors = factors * math.sqrt(LOG2E / 2)
    precisions = product(factors.swapaxes(-1, -2), factors)
    return as_table(np.pad(precisions, ((0, 0), (0, 0), (0, -structure.d % LONGEST_VECTOR))))


def table_of(tables: tuple[Array, ...], c: int) -> tuple[Array, ...]:
    """Return the tables of one component among those about the middle."""
    log_norm, slopes, *factor, means, middle = tables
    return log_norm[c : c + 1], slopes[c : c + 1], *factor, means[c : c + 1], middle


def offsets_from(middle: Array, means: Array, factors: Array) -> Array:
    """Return (k, d) L (mean - middle) of precision factors, of which matrices are all the first."""
    return times(factors[0], means - middle) if factors.ndim == 3 else factors * (means - middle)


def is_near(means: Array, structure: Covariance, middle: Array, most: float) -> bool:
    """Return whether the square of no mean's distance from the middle is larger than `most`."""
    with np.errstate(over="ignore", invalid="ignore"):
        offsets = offsets_from(middle, means, structure.precision_factors())
        return bool((offsets**2).sum(axis=1).max() <= most)


def float32_is_sufficient(tables: tuple[Array, ...], structure: Covariance, middle: Array | None) -> bool:
    """Return whether float32 rows may be summed in float32, a tile at a time."""
    if middle is None:
        return sums_are_sufficient(tables[1], tables[2], structure.variances)
    means = tables[-2]
    near = is_near(means, structure, middle, NEAR_IN_FLOAT32)
    return near and sums_are_sufficient(means, structure.precision_factors(), structure.variances)


def takes_residuals(means: Array, structure: Covariance, middle: Array | None) -> bool:
    """Return whether float32 is sufficient for residuals alone, and faster than float64 about the middle."""
    return (
        structure.residuals_in_float32 and middle is not None and not is_near(means, structure, middle, NEAR_IN_FLOAT32)
    )


def middle_of(means: Array, structure: Covariance) -> Array | None:
    """Return the middle (d,) of the means if a sweep takes rows from it once for all components, else None."""
    k, d = means.shape
    if structure.kernel_about_middle is None or d == 1 or k < structure.fewest_about_middle or k * d < WORTHWHILE:
        return None
    middle = means.mean(axis=0)
    return middle if is_near(means, structure, middle, NEAR * d) else None


def tables_of(log2_weights: Array, means: Array, factors: Array) -> tuple[Array, Array, Array]:
    """Return log_norm (k,) in base 2, means (k, d), and these precision factors times sqrt(log2(e) / 2)."""
    log_norm = log2_weights + np.log2(diagonal(factors) if factors.ndim == 3 else factors).sum(axis=1)
    log_norm -= 0.5 * means.shape[1] * math.log2(2 * math.pi)
    return as_table(log_norm), as_table(means), as_table(factors * math.sqrt(LOG2E / 2))


def tables_about(log2_weights: Array, means: Array, structure: Covariance, middle: Array | None) -> tuple[Array, ...]:
    """Return the tables of the kernels that take rows from this middle (d,), or of those of residuals."""
    log_norm, means, factors = tables_of(log2_weights, means, structure.precision_factors())
    if middle is None:
        return log_norm, means, factors
    offsets = offsets_from(middle, means, factors)
    coefficients = [as_table(each) for each in structure.coefficients(factors, offsets)]
    return as_table(log_norm - (offsets**2).sum(axis=1)), *coefficients, means, as_table(middle)
