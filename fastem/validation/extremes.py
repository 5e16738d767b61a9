"""The least and the largest element of an array, wherever it is and however it lies there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastem.kernels.mapped import slices

BLOCK = 1 << 16
"""Number of elements that are copied, to be read twice."""

SHORT = 8
"""Rows of fewer elements are copied faster by columns."""


def extremes(array: np.ndarray, missing: bool = False) -> tuple[np.number, np.number]:
    """Return the minimum and the maximum of an array; both are NaN if it has a NaN, or nothing else if `missing`."""
    least, most = (np.fmin, np.fmax) if missing else (np.minimum, np.maximum)
    parts = (block for part in slices(np.atleast_1d(array)) for block in contiguous_blocks(part))
    of_blocks = np.array([(least.reduce(block, axis=None), most.reduce(block, axis=None)) for block in parts])
    return least.reduce(of_blocks[:, 0]), most.reduce(of_blocks[:, 1])


def contiguous_blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the array or, of rows that do not lie behind each other, copies of some at a time.

    NumPy takes two to ten times as long for the minimum of such rows.  It copies fastest along the longer side.
    """
    if array.ndim != 2 or array.flags.c_contiguous or abs(array.strides[0]) <= abs(array.strides[1]):
        yield array
        return
    rows = max(1, BLOCK // array.shape[1])
    shape = min(rows, len(array)), array.shape[1]
    buffer = np.empty(shape, array.dtype, "C" if array.shape[1] >= SHORT else "F")
    for begin in range(0, len(array), rows):
        block = buffer[: len(array) - begin]
        block[...] = array[begin : begin + rows]
        yield block
