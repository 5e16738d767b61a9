"""A total weight that stands for a number of rows, or is warned of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastem.exceptions import warn

ROWS_PER_PARAMETER = 10
"""Rows that a parameter needs at least, for the penalty log(n) of BIC to mean anything."""


def weights_do_not_count_rows(
    total: float, n: int, n_parameters: int, first_weighted: Callable[[int], np.ndarray]
) -> bool:
    """Return whether the total weight is small for the number of parameters, and smaller than the rows with weight."""
    rows = total * (1 + 1e-6)  # the sum may be rounded
    if rows >= n or rows >= ROWS_PER_PARAMETER * max(n_parameters, 1):
        return False
    return len(first_weighted(int(rows) + 1)) > rows


def warn_of_weights(total: float) -> None:
    """Warn that a total weight is used for the number of rows."""
    warn(
        f"sample_weight has the sum {total:.4g}, which bic_, icl_ and diagnose() use as the number of rows: this is "
        f"less than {ROWS_PER_PARAMETER} rows for each parameter. If the weights do not count rows, scale them to mean "
        "1: sample_weight * len(X) / sample_weight.sum()"
    )
