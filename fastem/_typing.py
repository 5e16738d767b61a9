"""Types of the values that layers hand to each other."""

from __future__ import annotations

import numpy as np

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
"""As NDArray[np.float64], with lengths that are known to be whole numbers."""
