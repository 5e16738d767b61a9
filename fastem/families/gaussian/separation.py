"""How Gaussian components are told apart: where their odds change along a line, and how often they are confused."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np

from fastem._typing import Array
from fastem.families.gaussian.covariance import Covariance
from fastem.kernels.linear import eigh, product, times

BENDS = (0.1, 0.02, 0.004)
"""How far a path of integration bends away from a straight line, for its breadth: the first that fits is taken."""
STEPS_PER_BEND = 4
"""Steps of the trapezoidal rule, which errs by e^(-2 pi bend / step) or so: less than 1e-10."""
LENGTH = 28.0
"""Of the path, in logarithms of its points: terms behind it are below 1e-6 of the first."""
RISE = 0.01
"""A path fits where the logarithm of the integrand rises by no more than this from its first point."""
EQUAL = 1e-6
"""Variances whose ratio is so near to 1 count as equal: the logarithm of the odds changes by about as much."""
SMALLEST_RATIO = 1e-300
"""Of variances: what rounding leaves of a smaller one may be negative."""


def cut_points(weights: Array, means: Array, variances: Array, odds: float) -> Array:
    """Return (k - 1,) where the odds of a component against that with the next lower mean rise through `odds`.

    With z the distance from the middle of two means, in units of the geometric mean of both standard deviations, the
    log odds are a z^2 + b z + c with b >= 0: they rise through 0 in one place, or in none, which is NaN.
    """
    order = np.lexsort((variances, means))
    lower, upper = order[:-1], order[1:]
    units = variances[lower] ** 0.25 * variances[upper] ** 0.25
    half, ratios = (means[upper] - means[lower]) / (2 * units), np.sqrt(variances[upper]) / np.sqrt(variances[lower])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        a, b = (ratios - 1 / ratios) / 2, half * (ratios + 1 / ratios)
        c = a * half**2 + np.log(weights[upper]) - np.log(weights[lower]) - np.log(ratios) - math.log(odds)
        slopes = np.sqrt(b**2 - 4 * a * c)
        z = np.where(slopes > 0, -2 * c / (b + slopes), np.nan)
    return np.asarray(np.where(np.isfinite(z), means[lower] + units * (half + z), np.nan))


def overlaps(weights: Array, means: Array, structure: Covariance) -> Array:
    """Return (k, k) how probably a row of a component is more probable under another one, weights included.

    0 on the diagonal, and of components without weight; NaN where numbers do not reach.  See Maitra and Melnykov
    (2010), section 2.
    """
    found = np.zeros((len(weights), len(weights)))
    with np.errstate(all="ignore"):
        factors, roots = structure.precision_factors(), structure.cholesky_of_components()
        if factors.ndim < 3:
            factors = factors[:, :, np.newaxis] * np.eye(structure.d)
        for i, j in permutations(np.flatnonzero(weights > 0).tolist(), 2):
            ratios, shifts = compared(factors[i], roots[i], factors[j], means[j] - means[i])
            found[i, j] = confusion(ratios, shifts, math.log(weights[j]) - math.log(weights[i]))
    return found


def compared(factor: Array, root: Array, other: Array, delta: Array) -> tuple[Array, Array]:
    """Return the variances (d,) of a component over those of another one, along axes where both have no correlations.

    Beside it the distance (d,) of the means along them, in its standard deviations; NaN where numbers do not reach.
    """
    turned = product(other, root)
    square = product(turned.T, turned)
    if not np.isfinite(square).all():
        return np.full(len(delta), np.nan), delta
    ratios, axes = eigh(square)
    return np.maximum(ratios, SMALLEST_RATIO), times(axes.T, times(factor, delta))


def confusion(ratios: Array, shifts: Array, log_odds: float) -> float:
    """Return the probability that log_odds + log f_j(x) - log f_i(x) > 0, of rows x of i.

    In coordinates z of i, N(0, I), the variances of j are 1 / ratios (d,) and its mean is shifts (d,).  The probability
    is the integral of M(s) / s along any path between 0 and 1, over 2 pi i, with M(s) = E exp(s (log odds)), a product
    over the coordinates (Imhof 1961; the path bends as that of Rice 1980, so that the integrand falls along it).
    """
    if not np.isfinite([*ratios, *shifts]).all():
        return math.nan
    ratios = np.where(np.abs(ratios - 1) < EQUAL, 1.0, ratios)
    for bend in BENDS:
        terms, rise = integrand(ratios, shifts, log_odds + 0.5 * float(np.log(ratios).sum()), bend)
        if rise < RISE:
            break
    return float(np.clip(terms.sum() * bend / STEPS_PER_BEND / math.pi, 0.0, 1.0))


def integrand(ratios: Array, shifts: Array, level: float, bend: float) -> tuple[Array, float]:
    """Return the terms (m,) of the trapezoidal rule along a path, and how far the log of the integrand rises.

    level is the log odds at z = 0 without shifts: the path bends to the side to which M falls, far out.
    """
    excess, squares = ratios - 1, ratios * shifts**2
    far = level + 0.5 * float(np.divide(squares, excess, out=np.zeros_like(squares), where=excess != 0).sum())
    t = np.arange(0.0, LENGTH, bend / STEPS_PER_BEND)
    side = -bend * np.sign(far)
    s = 0.5 + side * (np.cosh(t) - 1) + 1j * np.sinh(t)
    widened = 1 + s[:, np.newaxis] * excess
    logs = s * level - 0.5 * (np.log(widened) + (s * (1 - s))[:, np.newaxis] * squares / widened).sum(axis=1)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # on a path that does not fit
        terms = (np.exp(logs) / s * (side * np.sinh(t) + 1j * np.cosh(t))).imag
    terms[0] /= 2
    return terms, float(logs.real.max() - logs.real[0])
