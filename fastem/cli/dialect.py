"""Find out from its first lines how a text separates its cells, and what a number is in it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
"""Characters that may separate cells, the usual one first."""
SAMPLE = 6
"""Number of rows that are inspected, including the header."""
SAMPLE_CELLS = 1000
"""Number of cells of a row that are inspected."""
LONGEST_CELL = 1 << 24
"""Number of characters; a quote that is not closed makes one cell of the rest of the text."""


class Reader(Protocol):
    """A reader of the module csv, whose type has no public name."""

    @property
    def line_num(self) -> int:
        """The number of lines that have been read."""

    def __iter__(self) -> Iterator[list[str]]: ...
    def __next__(self) -> list[str]: ...


@dataclass(frozen=True)
class Dialect:
    """How a text separates its cells."""

    delimiter: str = ","
    has_row_names: bool = False
    """Whether rows begin with one cell more than the header has, as in texts of R's write.table."""

    def reader(self, lines: Iterable[str]) -> Reader:
        """Return a reader of the standard library that refuses quotes that are not closed."""
        return csv.reader(lines, delimiter=self.delimiter, skipinitialspace=True, strict=True)

    @property
    def may_have_decimal_commas(self) -> bool:
        """Whether a comma in a cell may be a decimal mark."""
        return self.delimiter == ";"

    def is_number(self, cell: str) -> bool:
        """Return whether a cell is a number; Python also accepts digits of other scripts, and underscores."""
        return cell.isascii() and "_" not in cell and self.could_be_number(cell)

    def could_be_number(self, cell: str) -> bool:
        """Return whether Python accepts a cell as a number, if decimal commas are replaced."""
        try:
            self.number(cell)
        except ValueError:
            return False
        return True

    def number(self, cell: str) -> float:
        """Convert a cell to a number; ValueError if it is none."""
        return float(cell.replace(",", ".") if self.may_have_decimal_commas else cell)

    def notes(self, expected: str) -> Iterator[str]:
        """Return a sentence for each difference from plain text with the expected delimiter."""
        if self.delimiter != expected:
            yield f"its columns are separated by {DELIMITERS.get(self.delimiter, self.delimiter)}"
        if self.has_row_names:
            yield "its rows have one cell more than its header: the first cell is taken for the name of the row"


def find_dialect(lines: Sequence[str]) -> Dialect:
    """Return the dialect in which the first rows have as many cells as the header.

    Of several such dialects it is the one with the largest share of numbers.  If there is none, it is the one with the
    most names in the header, and some row will be refused.
    """
    quoted = all(line.startswith('"') for line in lines[:SAMPLE] if line.strip())
    samples = {delimiter: sample(lines, delimiter) for delimiter in DELIMITERS}
    fitting = [
        Dialect(delimiter, has_row_names)
        for delimiter, rows in samples.items()
        for has_row_names in ((False, True) if quoted else (False,))
        if fits(rows, has_row_names)
    ]
    if not fitting:
        return Dialect(max(samples, key=lambda delimiter: len(samples[delimiter][0])))
    return max(fitting, key=lambda dialect: share_of_numbers(samples[dialect.delimiter], dialect))


def sample(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Return the cells of the header and of some rows."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    return list(islice(filter(None, reader), SAMPLE)) or [[]]


def fits(rows: list[list[str]], has_row_names: bool) -> bool:
    """Return whether all rows have as many cells as a header of several names, or of one besides row names."""
    width = len(rows[0]) + has_row_names
    return width > 1 and all(len(row) == width for row in rows[1:]) and len(rows) > has_row_names


def share_of_numbers(rows: list[list[str]], dialect: Dialect) -> tuple[float, int]:
    """Return the share of numbers among the cells below the header, and the number of columns to break ties."""
    cells = [cell for row in rows[1:] for cell in row[:SAMPLE_CELLS]]
    return sum(map(dialect.is_number, cells)) / max(1, len(cells)), len(rows[0])


@contextmanager
def long_cells() -> Iterator[None]:
    """Accept longer cells than the standard library does: comments and gene sequences are."""
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)
