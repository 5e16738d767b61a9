"""What is collected from a text while it is read: numbers, cells, and the line of each row."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np

Groups = Sequence[Sequence[int]]


class Collected:
    """The numbers of groups of columns, and the text of the columns to keep; columns are named by their places."""

    def __init__(self, groups: Groups, kept: Sequence[int]) -> None:
        self.groups, self.kept = groups, kept
        self.places = list(chain(*groups))
        self._numbers = [array("d") for _ in groups]
        self._cells: list[list[str]] = [[] for _ in kept]

    def add_block(self, numbers: np.ndarray) -> None:
        """Add an array (rows, columns) with the columns of all groups side by side."""
        for group, of_group in zip(self.groups, self._numbers, strict=True):
            columns, numbers = numbers[:, : len(group)], numbers[:, len(group) :]
            of_group.frombytes(np.ascontiguousarray(columns).data.cast("B"))

    def add_numbers(self, group: int, numbers: Iterable[float]) -> None:
        """Add the numbers of one group, row by row."""
        self._numbers[group].extend(numbers)

    def add_cells(self, rows: Iterable[list[str]]) -> None:
        """Add the cells to keep of some rows."""
        rows = list(rows) if self.kept else []
        for place, cells in zip(self.kept, self._cells, strict=True):
            cells.extend(row[place].strip() for row in rows)

    def arrays(self) -> list[np.ndarray]:
        """Return an array (n, columns) for each group, then one (n,) of text for each column to keep."""
        numbers = zip(self.groups, self._numbers, strict=True)
        return [
            *(np.frombuffer(of_group).reshape(-1, len(group)) for group, of_group in numbers),
            *(np.array(cells, np.dtypes.StringDType()) for cells in self._cells),
        ]


class Lines:
    """The lines in which rows begin."""

    def __init__(self) -> None:
        self.n_rows = 0
        self._first_rows: list[int] = []  # of each run of rows in consecutive lines
        self._first_lines: list[int] = []

    def add(self, rows: int, line: int) -> None:
        """Add rows in consecutive lines, the first of them in this one."""
        if not self._first_rows or line != self[self.n_rows]:
            self._first_rows.append(self.n_rows)
            self._first_lines.append(line)
        self.n_rows += rows

    def __getitem__(self, row: int) -> int:
        run = bisect_right(self._first_rows, row) - 1
        return self._first_lines[run] + row - self._first_rows[run]
