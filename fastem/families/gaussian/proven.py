"""Variances as the rows of a component prove them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastem._typing import Array
from fastem.families.gaussian.covariance import RESOLUTION, inverse_factors
from fastem.kernels.linear import eigh, inverse_lower, product


def proven_share(covariance_type: str, shape: tuple[int, ...], count: float) -> float:
    """Return 1 - used / m: where the mean inverse of the scatter of m rows is 1 / (m - used) of the precision."""
    k, d = shape
    used = {"full": d + 2.0, "tied": k + d + 1.0, "diag": 3.0, "spherical": 1.0 + 2.0 / d}[covariance_type]
    return 1.0 - used / count if count > used else 0.0


def blended(own: Any, share: float, whole: Any, least: Array) -> Any:
    """Return the covariance of which the precision is `share` that of `own` (and `least`), the rest that of `whole`."""
    if np.ndim(own) < 2:
        return 1 / (share / (own + (least if np.ndim(own) else least.max())) + (1 - share) / whole)
    A = inverse_factors(whole)
    values, vectors = eigh(product(product(A, own + np.diag(least)), A.T))
    half = product(inverse_lower(A), vectors / np.sqrt(share / np.maximum(values, RESOLUTION) + 1 - share))
    return product(half, half.T)
