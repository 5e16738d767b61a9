"""Mixing weights: those that are free, their logarithms and slopes, and the Dirichlet distribution."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array

EMPTY = 2.0**-850
"""A component that holds less than this share of the total weight is empty (the kernels give it at least 2^-900)."""
SMALLEST_WEIGHT = 1e-300
"""The weight of an empty component where the logarithm of its weight is needed."""


def n_free_weights(free: NDArray[np.bool_]) -> int:
    """Return the number of parameters that the free weights are: one less, since their sum is given."""
    return max(0, int(free.sum()) - 1)


def weights_left(weights: Array, free: NDArray[np.bool_]) -> float:
    """Return what the fixed weights leave to those that are free."""
    return max(0.0, 1.0 - float(weights[~free].sum()))


def likeliest_weights(counts: Array, least: float, weights: Array, free: NDArray[np.bool_] | None) -> Array:
    """Return the mixing weights of largest likelihood; 0 where counts are at most `least`.

    Those that are free (None: all are) share what the others leave, which stay as they are in `weights`.
    """
    listed = counts.tolist()
    shares = counts / math.fsum(listed)
    if not min(listed) > least:
        shares = shares * (counts > least)
    if free is None:
        return np.asarray(shares)
    found = weights.copy()
    if (rest := shares[free].sum()) > 0:
        found[free] = shares[free] / rest * weights_left(weights, free)
    return found


def log_weights(weights: Array, free: NDArray[np.bool_]) -> Array:
    """Return the logarithms of the weights that are free: coordinates without constraints."""
    return np.log(np.maximum(weights[free], SMALLEST_WEIGHT))


def log2_weights(weights: Array) -> Array:
    """Return the logarithms in base 2; of weight 0 minus infinity, which the kernels take for far out."""
    if min(weights.tolist()) > 0:  # a context costs 2 us
        return np.asarray(np.log2(weights))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log2(weights))


def weight_slopes(counts: Array, weights: Array, free: NDArray[np.bool_]) -> Array:
    """Return the gradient of the log likelihood by log_weights: counts less those that the weights expect."""
    return counts[free] - float(counts[free].sum()) * weights[free] / (weights_left(weights, free) or 1.0)


def softmax(logs: Array, weights: Array, free: NDArray[np.bool_]) -> Array:
    """Return `weights`, those that are free in proportion to the exponentials of `logs`."""
    found = weights.copy()
    if free.any():
        shares = np.exp(logs - logs.max())
        found[free] = shares / shares.sum() * weights_left(weights, free)
    return found


def dirichlet(weights: Array, concentration: float, n_flat: int = 0) -> float:
    """Return the log density of the mixing weights under the symmetric Dirichlet distribution.

    There are n_flat weights beside them, whose own concentration is 1.
    """
    logs = np.log(np.maximum(weights, SMALLEST_WEIGHT))
    return dirichlet_constant(len(weights), concentration, n_flat) + (concentration - 1) * float(logs.sum())


def dirichlet_constant(k: int, concentration: float, n_flat: int = 0) -> float:
    """Return the part of this log density in which no weight enters."""
    return math.lgamma(k * concentration + n_flat) - k * math.lgamma(concentration)


APART = 0.5
"""Halves of a component are so many standard deviations from its mean; together they have its mean and covariance."""
