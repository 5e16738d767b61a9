"""The parameters that a fit holds fixed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastem.validation.settings import check_choice

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Fixed:
    """The parameters that an M-step leaves as they are: for each name, which components.

    It is true where a user has named any, even with a mask of no component.
    """

    k: int
    masks: Mapping[str, Mask] = field(default_factory=dict)  #: (k,) by name of a parameter
    by_component: bool = False  #: were masks given, which number the components?

    @classmethod
    def parse(cls, value: FixedLike, parameter_names: Collection[str], k: int) -> Fixed:
        """Read what a user writes, names or masks by name; ValueError or TypeError where it is neither.

        A value that has been parsed is returned as it is.
        """
        if isinstance(value, Fixed):
            return value if value.k == k else value.for_components(k)
        if not isinstance(value, (Mapping, tuple, list, set, frozenset)):
            raise TypeError(
                f"fixed must be a tuple of parameter names out of {', '.join(map(repr, parameter_names))}, or a dict of"
                f" masks, got {value!r:.200}"
            )
        for name in value:
            check_choice(name, "fixed", parameter_names)
        if isinstance(value, Mapping):
            return cls(k, {name: _mask(mask, name, k) for name, mask in value.items()}, by_component=bool(value))
        return cls(k, {name: np.ones(k, np.bool_) for name in value})

    def __bool__(self) -> bool:
        return bool(self.masks)

    def mask(self, name: str) -> Mask:
        """Return (k,) the components of which this parameter is fixed."""
        found = self.masks.get(name)
        return np.zeros(self.k, np.bool_) if found is None else found

    def free(self, name: str) -> Mask:
        """Return (k,) the components of which this parameter is free."""
        return ~self.mask(name)

    def for_components(self, k: int) -> Fixed:
        """Return the same for another number of components, where nothing is fixed."""
        if self:
            raise ValueError(f"fixed has masks of {self.k} components, but the mixture has {k}")
        return Fixed(k)


FixedLike = Fixed | Collection[str] | Mapping[str, ArrayLike]
"""What users write for `fixed`: names of parameters or, by name, masks (k,) of components."""


def _mask(value: ArrayLike, name: str, k: int) -> Mask:
    """Convert the mask (k,) of one parameter to an array of bools; ValueError for anything else."""
    try:
        array = np.asarray(value)
    except ValueError:  # ragged
        array = np.empty(0)
    if array.dtype != bool or array.shape != (k,):
        raise ValueError(
            f"fixed[{name!r}] must be a mask of shape ({k},), one bool for each component, got {value!r:.200}"
        )
    return array
