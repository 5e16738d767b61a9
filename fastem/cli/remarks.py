"""What is odd about the columns of a fit, though it can be fitted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastem.cli.rows import Rows

LEAST_ROWS = 20
"""Fewer whole numbers in a row may be measurements."""


def remarks(rows: Rows, are_chosen: bool) -> Iterator[str]:
    """Return a sentence for each odd column; numbers of rows are none where the columns `are_chosen` by name."""
    for name, column in zip(rows.names, rows.X.T, strict=True):
        if is_constant(column):
            yield f"{rows.source}: column {name!r} is {column[0]:g} in all rows, and tells no groups apart"
        elif numbers_rows(column) and not are_chosen:
            yield f"{rows.source}: column {name!r} numbers the rows, and is fitted: --columns A,B leaves it out"


def is_constant(column: np.ndarray) -> bool:
    """Return whether all rows have one value; the first of them tell where it is not so."""
    few = column[:LEAST_ROWS]
    return bool((few == column[0]).all() and (column == column[0]).all())


def numbers_rows(column: np.ndarray) -> bool:
    """Return whether a column counts the rows, from 0 or 1."""
    few = column[:LEAST_ROWS]
    if len(few) < LEAST_ROWS or few[0] not in (0, 1) or (np.diff(few) != 1).any():
        return False
    return bool((column == column[0] + np.arange(len(column))).all())
