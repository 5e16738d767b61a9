"""Mixing weights: those that are free, their logarithms and slopes, and the Dirichlet distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array, Fixed

EMPTY = 2.0**-850
"""A component that holds less than this share of the total weight is empty (the kernels give it at least 2^-900)."""
SMALLEST_WEIGHT = 1e-300
"""What an empty component is taken to have where the logarithm of its weight is asked for."""


def held(fixed: Fixed, group: str, k: int) -> NDArray[np.bool_]:
    """(k,) the components of which `fixed` holds this group of parameters."""
    if not fixed:
        return np.zeros(k, np.bool_)
    if isinstance(fixed, Mapping):
        return np.array(fixed.get(group, np.zeros(k)), np.bool_)
    return np.full(k, group in fixed)


def free_weights(k: int, fixed: Fixed) -> int:
    """How many weights are free: one less than are not held, since their sum is given."""
    return max(0, k - int(held(fixed, "weights", k).sum()) - 1)


def order_of(values: Array) -> np.ndarray:
    """Indices that sort values (k,) or rows (k, d)."""
    return np.lexsort(values.reshape(len(values), -1).T[::-1])


def weights_left(weights: Array, free: NDArray[np.bool_]) -> float:
    """What the weights that are held leave to those that are free."""
    return max(0.0, 1.0 - float(weights[~free].sum()))


def log_weights(weights: Array, fixed: Fixed) -> Array:
    """Logarithms of the weights that are free: without constraints."""
    return np.log(np.maximum(weights[~held(fixed, "weights", len(weights))], SMALLEST_WEIGHT))


def weight_slopes(counts: Array, weights: Array, fixed: Fixed) -> Array:
    """Of the log likelihood by log_weights: sums of responsibilities less what the weights expect of them."""
    free = ~held(fixed, "weights", len(weights))
    return counts[free] - float(counts[free].sum()) * weights[free] / (weights_left(weights, free) or 1.0)


def softmax(logs: Array, weights: Array, fixed: Fixed) -> Array:
    """`weights`, those that are free in proportion to the exponentials of `logs`."""
    free = ~held(fixed, "weights", len(weights))
    found = weights.copy()
    if free.any():
        shares = np.exp(logs - logs.max())
        found[free] = shares / shares.sum() * weights_left(weights, free)
    return found


def dirichlet(weights: Array, concentration: float) -> float:
    """Log density of the mixing weights under the symmetric Dirichlet distribution."""
    k = len(weights)
    logs = np.log(np.maximum(weights, SMALLEST_WEIGHT))
    return math.lgamma(k * concentration) - k * math.lgamma(concentration) + (concentration - 1) * float(logs.sum())


APART = 0.5
"""Halves of a component are so many standard deviations from its mean: they leave it the mean and covariance it had."""
