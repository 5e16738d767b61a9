"""A value that is made of arrays which others may change: made once, and anew when they have changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class MadeOf:
    """A value, and the arrays that it was made of.

    Arrays that nobody can write are known again by their identity, at no cost.  Of others there is a copy, and they are
    compared element by element: a change in place is seen.
    """

    value: Any
    copies: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, value: Any, arrays: Mapping[str, Any]) -> MadeOf:
        """Of arrays as they are now."""
        return cls(value, snapshot(arrays))

    def changed(self, now: Mapping[str, Any]) -> set[str]:
        """The names of those arrays that are others now."""
        return {name for name in self.copies.keys() | now.keys() if not same(self.copies.get(name), now.get(name))}


def same(before: Any, now: Any) -> bool:
    return (now is before and is_constant(now)) or np.array_equal(now, before)


def snapshot(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays that nobody can write, as they are, and copies of others."""
    return {name: array if is_constant(array) else np.array(array) for name, array in arrays.items()}


def is_constant(array: Any) -> bool:
    """Can neither it nor what it is a view of be written?"""
    while isinstance(array, np.ndarray) and not array.flags.writeable:
        array = array.base
    return array is None


def made_constant(array: np.ndarray) -> np.ndarray:
    """The array, which owns its values, or a copy of what does not; read-only from now on."""
    array = array if array.base is None else array.copy()
    array.flags.writeable = False
    return array
