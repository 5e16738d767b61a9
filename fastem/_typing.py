"""Types of the values that layers hand to each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
"""As NDArray[np.float64], with lengths that are known to be whole numbers."""
Fixed = Collection[str] | Mapping[str, Any]
"""Groups of parameters that are held, by name; or, by name, masks (k,) of the components that are."""
