"""Arrays in mapped files: rows are read where they are, and their pages given back, so that memory stays small."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.lib.array_utils import byte_bounds

BYTES_AT_A_TIME = 1 << 26
"""Of a mapped array, between one release of its pages and the next: with less of them, that begins to take time."""

POSITIONS_AT_A_TIME = BYTES_AT_A_TIME >> 21
"""Rows here and there: each brings the pages around it, up to 2 MiB where the system has such."""


class Mapping(NamedTuple):
    """A file that is mapped; changes that are not in the file are none of it, so that pages can be dropped."""

    pages: mmap.mmap
    address: int  # of the first byte that is mapped
    begin: int  # where in the file that byte is
    filename: str

    @classmethod
    def of(cls, array: np.ndarray) -> Self | None:
        """What an array is a view of; None for memory and for a map that keeps changes to itself (mode "c")."""
        at: Any = array
        while isinstance(at.base, np.ndarray):
            at = at.base
        if not isinstance(at, np.memmap) or at.mode == "c" or not isinstance(at.base, mmap.mmap):
            return None
        before = at.offset % mmap.ALLOCATIONGRANULARITY
        return cls(at.base, byte_bounds(at)[0] - before, at.offset - before, str(at.filename))

    def check(self) -> None:
        """To read what a file has lost would end the process."""
        size, needed = self.pages.size(), self.begin + len(self.pages)
        if size < needed:
            raise ValueError(f"{self.filename} has {size} bytes, but had {needed} when it was mapped: rows are lost")

    def release(self, array: np.ndarray) -> None:
        """Give back the pages that hold these rows: they are in the file, and come again when they are asked for."""
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
    """While arrays are read: those in mapped files must still be there, and their pages are given back behind it."""
    mapped = [(array, found) for array in arrays if (found := Mapping.of(array))]
    for _, found in mapped:
        found.check()
    yield
    for array, found in mapped:
        found.release(array)


def rows_at_a_time(array: np.ndarray) -> int:
    return max(1, BYTES_AT_A_TIME // max(1, array[:1].nbytes))


def slices(array: np.ndarray) -> Iterator[np.ndarray]:
    """The array by and by: pages of a mapped file are given back, and an interruption need not wait for all of it."""
    length = rows_at_a_time(array)
    for begin in range(0, len(array), length):
        with in_use(array[begin : begin + length]):
            yield array[begin : begin + length]


def gather(array: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """array[positions], without leaving the pages of a mapped file in memory."""
    if not Mapping.of(array):
        return np.asarray(array[positions])
    out = np.empty((len(positions), *array.shape[1:]), array.dtype)
    for begin in range(0, len(positions), POSITIONS_AT_A_TIME):
        span = slice(begin, begin + POSITIONS_AT_A_TIME)
        with in_use(array):
            out[span] = array[positions[span]]
    return out
