"""Arrays in mapped files: rows are read in place, and their pages are released, so that memory stays small."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import numpy as np

try:
    from numpy.lib.array_utils import byte_bounds
except ImportError:  # NumPy 1.26
    from numpy import byte_bounds  # type: ignore[attr-defined, no-redef]

BYTES_AT_A_TIME = 1 << 26
"""Bytes of a mapped array between two releases of its pages: with fewer of them, to release begins to take time."""

POSITIONS_AT_A_TIME = BYTES_AT_A_TIME >> 21
"""Scattered rows: each loads the pages around it, up to 2 MiB where the system has such."""


class Mapping(NamedTuple):
    """A mapped file.  Maps with changes that are not in the file are excluded, so that pages can be dropped."""

    pages: mmap.mmap
    address: int  # of the first byte that is mapped
    begin: int  # where in the file that byte is
    filename: str

    @classmethod
    def of(cls, array: np.ndarray) -> Self | None:
        """Return the mapping that an array is a view of; None for memory and for a copy-on-write map (mode "c")."""
        at: Any = array
        while isinstance(at.base, np.ndarray):
            at = at.base
        if not isinstance(at, np.memmap) or at.mode == "c" or not isinstance(at.base, mmap.mmap):
            return None
        before = at.offset % mmap.ALLOCATIONGRANULARITY
        return cls(at.base, byte_bounds(at)[0] - before, at.offset - before, str(at.filename))

    def check(self) -> None:
        """Raise ValueError where the file is shorter than before: to read what it has lost would end the process."""
        size, needed = self.pages.size(), self.begin + len(self.pages)
        if size < needed:
            raise ValueError(f"{self.filename} has {size} bytes, but had {needed} when it was mapped: rows are lost")

    def release(self, array: np.ndarray) -> None:
        """Release the pages of these rows: they are in the file, and are loaded again when they are read."""
        if hasattr(mmap, "MADV_DONTNEED"):
            low, high = (bound - self.address for bound in byte_bounds(array))
            low -= low % mmap.PAGESIZE
            self.pages.madvise(mmap.MADV_DONTNEED, low, high - low)


def check_mapped(*arrays: np.ndarray) -> None:
    """Raise ValueError where one is in a mapped file that has lost rows."""
    for array in arrays:
        if found := Mapping.of(array):
            found.check()


@contextmanager
def in_use(*arrays: np.ndarray) -> Iterator[None]:
    """Check that mapped files are complete before arrays are read, and release their pages afterwards."""
    mapped = [(array, found) for array in arrays if (found := Mapping.of(array))]
    for _, found in mapped:
        found.check()
    yield
    for array, found in mapped:
        found.release(array)


def rows_at_a_time(array: np.ndarray) -> int:
    """Return how many rows of a mapped array are read before their pages are released."""
    return max(1, BYTES_AT_A_TIME // max(1, array[:1].nbytes))


def slices(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the array slice by slice: pages are released, and an interruption need not wait for all of it."""
    length = rows_at_a_time(array)
    for begin in range(0, len(array), length):
        with in_use(array[begin : begin + length]):
            yield array[begin : begin + length]


def gather(array: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return array[positions], without leaving the pages of a mapped file in memory."""
    if not Mapping.of(array):
        return np.asarray(array[positions])
    out = np.empty((len(positions), *array.shape[1:]), array.dtype)
    for begin in range(0, len(positions), POSITIONS_AT_A_TIME):
        span = slice(begin, begin + POSITIONS_AT_A_TIME)
        with in_use(array):
            out[span] = array[positions[span]]
    return out
