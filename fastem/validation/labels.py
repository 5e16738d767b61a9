"""Convert what a user knows of the components of rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastem.exceptions import BadValueError
from fastem.validation.arrays import as_numeric, check_finite, check_not
from fastem.validation.parameters import SUM_TOL


def as_labels(labels: ArrayLike, name: str, n: int, k: int) -> NDArray[np.intp]:
    """Convert labels to whole numbers (n,) from -1, for unknown, to k - 1."""
    array = as_numeric(labels, name, whole=True)
    if array.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one number for each row of X, got {array.shape}")
    check_finite(array, name)
    check_not(lambda block: block != np.floor(block), array, f"{name} must hold whole numbers")
    sentence = f"{name} must be numbers of components from 0 to {k - 1}, or -1 where a row's is unknown"
    check_not(lambda block: (block < -1) | (block >= k), array, sentence)
    return array.astype(np.intp)


def as_responsibilities(values: ArrayLike, name: str, n: int, k: int) -> NDArray[np.float64]:
    """Convert responsibilities to an array (n, k) of probabilities that sum to 1 in each row."""
    array = as_numeric(values, name).astype(np.float64, copy=False)
    if array.shape != (n, k):
        raise ValueError(
            f"{name} must have shape ({n},), a component for each row of X, or ({n}, {k}), their probabilities; "
            f"got {array.shape}"
        )
    check_finite(array, name)
    check_not(lambda block: (block < 0) | (block > 1), array, f"{name} must be probabilities in [0, 1]")
    sums = array.sum(axis=1)
    wrong = np.abs(sums - 1) > SUM_TOL
    if wrong.any():
        row = int(wrong.argmax())
        raise BadValueError(
            f"{name} must be probabilities that sum to 1 in each row, got the sum {sums[row]:g}", (row,)
        )
    return array


def check_all_have_rows(counts: NDArray[np.float64], name: str) -> None:
    """Raise ValueError where a component (k,) has no rows to begin with."""
    if (counts <= 0).any():
        raise ValueError(f"{name} must give rows with weight to every component, but {int(counts.argmin())} has none")


def check_numbered(order_by: object, on_collapse: str, warm_sweeps: object) -> None:
    """Raise ValueError for settings with which labels would not be the numbers of the components."""
    if order_by is not None:
        raise ValueError(f"order_by must be None with labels, which number the components, got {order_by!r}")
    if on_collapse == "drop":
        raise ValueError("on_collapse must not be 'drop' with labels: components keep their numbers")
    if warm_sweeps:
        raise ValueError("warm_sweeps must be None with labels")
