"""The logarithm of the gamma function and its first two derivatives, of arrays of positive numbers.

A small argument is raised by the recurrence; from BIG on the asymptotic series is right to 1e-16 (Abramowitz and Stegun
1964, 6.1.41, 6.3.18 and 6.4.12).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fastem._typing import Array

BIG = 10
LOG_GAMMA = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
TRIGAMMA = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
"""Coefficients of x^-1, x^-3, ...; of x^-2, x^-4, ...; of x^-3, x^-5, ..."""


def log_gamma(x: Array) -> Array:
    """Return log gamma(x)."""
    raised, terms = raise_small(x)
    series = power_series(LOG_GAMMA, raised) * raised
    found = (raised - 0.5) * np.log(raised) - raised + 0.5 * math.log(2 * math.pi) + series
    return np.asarray(found - np.log(terms).sum(axis=0))


def digamma(x: Array) -> Array:
    """Return the derivative of log gamma(x)."""
    raised, terms = raise_small(x)
    found = np.log(raised) - 0.5 / raised - power_series(DIGAMMA, raised)
    return np.asarray(found - np.where(x < BIG, (1 / terms).sum(axis=0), 0.0))


def trigamma(x: Array) -> Array:
    """Return the second derivative of log gamma(x)."""
    raised, terms = raise_small(x)
    found = (1 + 0.5 / raised + power_series(TRIGAMMA, raised)) / raised
    return np.asarray(found + np.where(x < BIG, (terms**-2).sum(axis=0), 0.0))


def raise_small(x: Array) -> tuple[Array, Array]:
    """Return x, or x + BIG where x is below it, and (BIG, ...) x, x + 1, ...; 1 where x is not below."""
    x, steps = np.asarray(x, np.float64), np.arange(BIG).reshape(-1, *[1] * np.ndim(x))
    small = x < BIG
    return np.where(small, x + BIG, x), np.where(small, x + steps, 1.0)


def power_series(coefficients: tuple[float, ...], x: Array) -> Array:
    """Return the sum of the coefficients times x^-2, x^-4, ..."""
    square = x**-2
    total = coefficients[-1] * square
    for each in coefficients[-2::-1]:
        total = (total + each) * square
    return np.asarray(total)


def multivariate(function: Callable[[Array], Array], freedom: Array, d: int) -> Array:
    """Return the sum of a function over (freedom - i) / 2, i = 0 .. d - 1, as the Wishart distribution has it."""
    return np.asarray(function(0.5 * (np.asarray(freedom)[..., np.newaxis] - np.arange(d))).sum(axis=-1))
