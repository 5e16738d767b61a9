"""Types of the values that layers hand to each other."""

from __future__ import annotations

from enum import Enum

import numpy as np

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
"""As NDArray[np.float64], with lengths that are known to be whole numbers."""


class RowKind(Enum):
    """What the rows of a family are, and so which arrays there are of them."""

    REAL = "real numbers"
    COUNTS = "counts"
    COUNTS_WITH_TRIALS = "counts with trials"

    @property
    def arrays(self) -> tuple[str, ...]:
        """The names of the arrays that the kernels read."""
        return ("X", "trials") if self is RowKind.COUNTS_WITH_TRIALS else ("X",)

    @property
    def is_counts(self) -> bool:
        """Whether X has whole numbers, from 0."""
        return self is not RowKind.REAL
