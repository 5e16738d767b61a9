"""Values that are missing: NaN, where a user allows it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastem.validation.extremes import extremes

MISSING = ("raise", "marginalize")
"""What may be done with values that are missing."""


def has_missing(X: np.ndarray) -> bool:
    """Return whether any value of X is NaN."""
    return X.dtype.kind == "f" and bool(np.isnan(extremes(X)[0]))


def without_values(X: np.ndarray, *trials: np.ndarray) -> NDArray[np.bool_]:
    """Return (n,) whether every value of a row is missing; one of counts with trials has no trials then."""
    return np.asarray(~trials[0].any(axis=1) if trials else np.isnan(np.fmax.reduce(X, axis=1)))


def weight_of_values(weights: np.ndarray, *data: np.ndarray) -> np.ndarray:
    """Return the weights (n,), with 0 for rows of which every value is missing."""
    return np.where(without_values(*data), 0.0, weights)


def with_values(X: np.ndarray, *trials: np.ndarray, weights: np.ndarray | None = None) -> NDArray[np.bool_]:
    """Return (d,) whether a column has any value, of rows with a weight."""
    told = True if weights is None or weights.all() else (weights > 0)[:, np.newaxis]
    if trials:
        return np.asarray(trials[0].any(axis=0, where=told))
    highest = np.fmax.reduce(X, axis=0, where=told, initial=np.nan, dtype=np.float64)  # no integer can be NaN
    return np.asarray(~np.isnan(highest))


def check_columns(seen: NDArray[np.bool_]) -> None:
    """Raise ValueError for the first column of X that has no value in a row with weight; seen (d,) says which do."""
    if not seen.all():
        raise ValueError(f"X: column {int(seen.argmin())} has no value; a fit needs some of every column")


def check_has_values(n: int, column: int) -> None:
    """Raise ValueError for a column of X that has no value to draw."""
    if not n:
        raise ValueError(f"X: column {column} has no value to draw")


def check_marginal(has_marginals: bool) -> None:
    """Raise ValueError for rows with missing values, where a background has no density of some of the features."""
    if not has_marginals:
        raise ValueError(
            "X has missing values, but the density of the background in some of the features is not known: the box "
            "(noise_box_) has to lie along the features, as a fit with missing='marginalize' makes it, and to extend "
            "along each"
        )
