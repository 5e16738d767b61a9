"""Convert rows in which values may be missing."""

from __future__ import annotations

import numpy as np

from fastem.validation.arrays import as_numeric, check_is_array, check_not, check_two_dimensional


def as_matrix_with_gaps(X: object, *, n_features: int | None = None, owner: str = "mixture") -> np.ndarray:
    """Convert X to an array (n, d) of numbers, NaN where a value is missing, with n > 0 and d > 0."""
    check_is_array(X)
    array = as_numeric(X, "X")
    check_two_dimensional(array, n_features, owner)
    if np.isinf(array).any():
        check_not(np.isinf, array, "X must be without infinity; NaN is a missing value")
    return array
