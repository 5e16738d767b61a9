"""Rows that lack some of their values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Places = slice | NDArray[np.intp]


def by_pattern(missing: NDArray[np.bool_]) -> Iterator[tuple[Places, NDArray[np.bool_]]]:
    """Yield where the rows are that lack the same values, and which values (d,) these are."""
    if (missing == missing[0]).all():
        yield slice(None), missing[0]
        return
    keys = np.packbits(missing, axis=1)
    order = np.lexsort(keys.T)
    ordered = keys[order]
    begins = np.flatnonzero((ordered[1:] != ordered[:-1]).any(axis=1)) + 1
    for positions in np.split(order, begins):
        yield positions, missing[positions[0]]


def framed_like(X: object, array: np.ndarray) -> Any:
    """Return an array as what X is: a data frame of pandas or Polars, a table of Arrow, or an array."""
    if hasattr(X, "iloc"):
        return type(X)(array, index=X.index, columns=X.columns)  # type: ignore[attr-defined, call-arg]
    if hasattr(X, "from_pydict"):
        return type(X).from_pydict(dict(zip(X.column_names, np.ascontiguousarray(array.T), strict=True)))  # type: ignore[attr-defined]
    if hasattr(X, "columns"):
        return type(X)(dict(zip(X.columns, array.T, strict=True)))  # type: ignore[call-arg]
    return array
