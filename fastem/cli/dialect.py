"""How a text separates its cells, found by its first lines; and what is a number."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
"""What may separate cells, the usual one first."""
SAMPLE = 6
"""Rows that are looked at, the header among them."""
SAMPLE_CELLS = 1000
"""Of each: that many are enough where there are a million."""
LONGEST_CELL = 1 << 24
"""Characters: a quote that is not closed makes a cell of all that is behind it."""


@dataclass(frozen=True)
class Dialect:
    delimiter: str = ","
    has_row_names: bool = False
    """A row has one cell more than the header, and that comes first: so does R's write.table write."""

    def reader(self, lines: Iterable[str]) -> Any:
        """One of the standard library's, which refuses what a quote leaves open."""
        return csv.reader(lines, delimiter=self.delimiter, skipinitialspace=True, strict=True)

    @property
    def may_have_decimal_commas(self) -> bool:
        return self.delimiter == ";"

    def is_number(self, cell: str) -> bool:
        """Python reads more: digits of other scripts, and underscores between digits."""
        return cell.isascii() and "_" not in cell and self.could_be_number(cell)

    def could_be_number(self, cell: str) -> bool:
        """To Python, which is not told of decimal commas."""
        try:
            float(cell.replace(",", ".") if self.may_have_decimal_commas else cell)
        except ValueError:
            return False
        return True

    def told(self) -> Iterator[str]:
        """What is not as in plain CSV."""
        if self.delimiter != ",":
            yield f"its columns are separated by {DELIMITERS.get(self.delimiter, self.delimiter)}"
        if self.has_row_names:
            yield "its rows have one cell more than its header, and the first is taken for the name of the row"


def sniffed(lines: Sequence[str]) -> Dialect:
    """The dialect in which the first rows fit the header, cell by cell.

    Of several it is the one that makes numbers of the largest share of cells.  Where none fits, it is the one with the
    most names: some row will be refused.
    """
    quoted = all(line.startswith('"') for line in lines[:SAMPLE] if line.strip())
    samples = {delimiter: sample(lines, delimiter) for delimiter in DELIMITERS}
    found = [
        Dialect(delimiter, has_row_names)
        for delimiter, rows in samples.items()
        for has_row_names in ((False, True) if quoted else (False,))
        if fits(rows, has_row_names)
    ]
    if not found:
        return Dialect(max(samples, key=lambda delimiter: len(samples[delimiter][0])))
    return max(found, key=lambda dialect: share_of_numbers(samples[dialect.delimiter], dialect))


def sample(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """The header and some rows."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    return list(islice(filter(None, reader), SAMPLE)) or [[]]


def fits(rows: list[list[str]], has_row_names: bool) -> bool:
    """Whether a header of several names, or one with names of rows beside it, and the rows below are of one length."""
    width = len(rows[0]) + has_row_names
    return width > 1 and all(len(row) == width for row in rows[1:]) and len(rows) > has_row_names


def share_of_numbers(rows: list[list[str]], dialect: Dialect) -> tuple[float, int]:
    """Of the cells below the header; of as many, more columns are better."""
    cells = [cell for row in rows[1:] for cell in row[:SAMPLE_CELLS]]
    return sum(map(dialect.is_number, cells)) / max(1, len(cells)), len(rows[0])


@contextmanager
def long_cells() -> Iterator[None]:
    """Notes and sequences of genes are longer than the standard library takes a cell to be."""
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)
