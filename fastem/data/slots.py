"""The slot grid of the rows, and the fold of the sums of its slots."""

from __future__ import annotations

import math

import numpy as np

from fastem._typing import Array

SLOT_ROWS = 4096
"""Rows of a slot.  The grid depends on the rows alone, never on threads: so the bits of a sum do not either."""
NOT_FINITE = (
    "the sums over the rows are not finite: rows have changed since they were checked, or the parameters are too far"
    " from them"
)
LOWEST_LOGLIK = -1e307
"""Rows far beyond every component, with weights, have a sum that overflows: it counts as this.  So does a prior that is
as far from the parameters."""


def refuse_nan(loglik: float) -> None:
    """Raise ValueError where the log likelihood says that the sums are not finite: they give no parameters."""
    if math.isnan(loglik):
        raise ValueError(NOT_FINITE)


def as_table(values: Array) -> Array:
    """Return parameters as the kernels read them: float64, C order."""
    return np.ascontiguousarray(values, np.float64)


def all_finite(sums: Array) -> bool:
    """Return whether no sum is NaN or infinite."""
    return b"\0" not in np.isfinite(sums).tobytes()  # all() takes 1 us more, a tenth of the Python of a small sweep


def slot_count(n: int) -> int:
    """Return the number of slots of n rows."""
    return -(-n // SLOT_ROWS)


def fold(sums: Array) -> Array:
    """Return (m,) sums of (slots, m): a left fold in slot order, whatever order the slots were summed in."""
    return np.asarray(np.add.reduce(sums, axis=0))
