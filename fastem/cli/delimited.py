"""Read a table of numbers from delimited text, CSV for instance, and check it cell by cell.

`notes` says what differs from plain CSV; text that is ambiguous, or does not fit its header, is a ValueError with line
and column.  No number is silently left out, or moved to another column.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from io import TextIOWrapper
from itertools import chain, islice, repeat

import numpy as np

from fastem.cli.dialect import Dialect, find_dialect, long_cells

HEAD, BLOCK = 1 << 16, 1 << 20
"""Number of characters that are inspected first, and that are read at a time, about ten thousand rows."""
ROWS_AT_A_TIME = 4096
MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "-", "."}
"""Cells that stand for missing numbers."""
SHOWN = 60
"""Number of characters of a cell that a message shows."""
OTHER_KINDS = {
    b"\x1f\x8b": "is compressed by gzip: pass - as the file, and the output of gzip -dc as standard input",
    b"PK\x03\x04": "is a zip archive, as workbooks are: save its table as CSV",
    b"PAR1": "is Parquet: its name must end in .parquet",
    b"\x93NUMPY": "is a NumPy array: its name must end in .npy",
    b"\xff\xfe": "is UTF-16: save it as UTF-8",
    b"\xfe\xff": "is UTF-16: save it as UTF-8",
}
"""First bytes of files that are not text in UTF-8, and what to do with them."""

Rows = list[list[str]]
Groups = Sequence[Sequence[int]]


class Delimited:
    """A header, and the rows below it.

    The file must be open as text with newline="" and errors="surrogateescape", so that bytes that are not UTF-8 are
    found with their line.
    """

    def __init__(self, source: str, file: TextIOWrapper) -> None:
        self.source, self.file = source, file
        self.notes: list[str] = []
        self._line = 1  # the number of the next line
        self._decimal_mark = ""  # the mark of the numbers so far, if a comma is possible
        self._refuse_other_kinds(file.buffer.peek())  # type: ignore[attr-defined]
        first, has_comments = self._skip_comments()
        self._head = [first, *file.readlines(HEAD)]
        self._refuse_other_bytes(self._head, self._line)
        with long_cells():
            self.dialect = self._find_dialect()
            header = self._header()
        self._check_header(header, has_comments)
        for text in self.dialect.notes():
            self._note(text)
        self.names = [""] * self.dialect.has_row_names + header

    def _note(self, text: str) -> None:
        """Add a note on a difference from plain CSV, with the name of the source before it."""
        self.notes.append(f"{self.source}: {text}")

    def _refuse_other_kinds(self, begin: bytes) -> None:
        """Raise ValueError if the first bytes are those of a file of another kind."""
        for mark, advice in OTHER_KINDS.items():
            if begin.startswith(mark):
                raise ValueError(f"{self.source} {advice}")
        if b"\0" in begin:
            raise ValueError(f"{self.source} is not text: it begins with {begin[:8]!r}")

    def _refuse_other_bytes(self, lines: list[str], line: int) -> None:
        """Raise ValueError at the first line that is not UTF-8; `line` is the number of the first of these lines."""
        if "".join(lines).isascii():
            return
        for number, text in enumerate(lines, line):
            if match := re.search("[\udc80-\udcff]", text):
                byte = f"{ord(match[0]) - 0xDC00:#x}"
                raise ValueError(
                    f"{self.source}: line {number} has the byte {byte}, which is not UTF-8: save the file as UTF-8"
                )

    # ------------------------------------------------------------------------------------------------------- header

    def _skip_comments(self) -> tuple[str, bool]:
        """Return the first line that is neither blank nor a comment, and whether there are comments above it."""
        has_comments = False
        while line := self.file.readline():
            if line.strip() and not line.startswith("#"):
                break
            has_comments |= line.startswith("#")
            self._line += 1
        if has_comments:
            self._note(f"the lines above line {self._line} are taken for comments")
        return line, has_comments

    def _find_dialect(self) -> Dialect:
        """Return the dialect that the first line declares, as Excel writes it, or that the first rows have."""
        if declared := re.fullmatch(r'"?sep=(.)"?', self._head[0].rstrip("\r\n")):
            self._head, self._line = self._head[1:], self._line + 1
            return Dialect(declared[1])
        return find_dialect(self._head)

    def _header(self) -> list[str]:
        """Return the names; the rows that were read with them stay in `_head`."""
        reader = self.dialect.reader(self._head)
        try:
            names = [name.strip() for name in next(reader, [])]
        except csv.Error as error:
            raise self._malformed(error, self._line) from None
        self._head = self._head[reader.line_num :]
        self._line += reader.line_num
        return names

    def _check_header(self, names: list[str], has_comments: bool) -> None:
        """Raise ValueError if the header looks like the first row, some cells of which may be missing."""
        line = f"first line {'below its comments ' * has_comments}{shown(self.dialect.delimiter.join(names))}"
        numbers = [name for name in names if name.lstrip("+-.,")[:1].isdigit() and self.dialect.could_be_number(name)]
        if not any(names):
            raise ValueError(f"{self.source} has no header: its first line must name the columns")
        if numbers and all(name in numbers or name.lower() in MISSING for name in names):
            missing = " or missing values" if len(numbers) < len(names) else ""
            raise ValueError(f"{self.source} has no header: its {line} is all numbers{missing}")
        if numbers and (has_comments or not all(map(str.isdecimal, numbers))):
            raise ValueError(f"{self.source} has no header: its {line} has the number {numbers[0]} in it")
        if numbers:
            self._note(f"its first line is taken for the header, though a column is called {shown(numbers[0])}")

    # --------------------------------------------------------------------------------------------------------- rows

    def read(self, *groups: Sequence[int]) -> list[np.ndarray]:
        """Read the rows, and return an array (n, columns) for each group of places of columns."""
        values = [array("d") for _ in groups]
        with long_cells():
            self._read(groups, values)
        if not any(values):
            raise ValueError(
                f"{self.source} has no rows below its header {shown(self.dialect.delimiter.join(self.names))}"
            )
        if self._decimal_mark == ",":
            self._note("the commas in its numbers are taken for decimal marks")
        return [np.frombuffer(numbers).reshape(-1, len(group)) for group, numbers in zip(groups, values, strict=True)]

    def _read(self, groups: Groups, values: list[array[float]]) -> None:
        """Append the numbers of each group of columns to its values."""
        blocks, places = self._blocks(), list(chain(*groups))
        for block in blocks:
            numbers = self._plain(block, places)
            if numbers is None:  # from here on, lines are read cell by cell
                self._read_cells(chain(block, chain.from_iterable(blocks)), groups, values)
                return
            self._line += len(block)
            for group, of_group in zip(groups, values, strict=True):
                columns, numbers = numbers[:, : len(group)], numbers[:, len(group) :]
                of_group.frombytes(np.ascontiguousarray(columns).data.cast("B"))

    def _blocks(self) -> Iterator[list[str]]:
        """Return the lines, as many as are read at a time."""
        line, lines = self._line, self._head
        while lines := lines or self.file.readlines(BLOCK):
            self._refuse_other_bytes(lines, line)
            yield lines
            line, lines = line + len(lines), []

    def _plain(self, lines: list[str], places: list[int]) -> np.ndarray | None:
        """Return the columns in these places, or None if NumPy does not accept every line as a row.

        NumPy is faster than `_read_cells`, which gives the same, and also reads quotes, blank lines and decimal commas.
        """
        text = "".join(lines)
        if self.dialect.may_have_decimal_commas or '"' in text or not text.strip():
            return None
        if set(map(str.count, lines, repeat(self.dialect.delimiter))) != {len(self.names) - 1}:
            return None
        try:
            return np.loadtxt(lines, delimiter=self.dialect.delimiter, comments=None, usecols=places, ndmin=2)
        except ValueError:
            return None

    def _read_cells(self, lines: Iterable[str], groups: Groups, values: list[array[float]]) -> None:
        """Append numbers as `_read` does, row by row."""
        reader, above = self.dialect.reader(lines), self._line
        while True:
            rows, error = read_rows(reader)
            self._append(rows, groups, values)
            if error:
                raise self._malformed(error, self._line + sum(map(lines_of, rows)))
            if not rows:
                return
            self._line = above + reader.line_num

    def _append(self, rows: Rows, groups: Groups, values: list[array[float]]) -> None:
        """Append the numbers of some rows; ValueError at the first fault."""
        filled = [row for row in rows if not self._is_blank(row)]
        try:
            if not set(map(len, filled)) <= {len(self.names)}:
                raise ValueError
            for group, of_group in zip(groups, values, strict=True):
                of_group.extend(self._numbers([row[place] for row in filled for place in group]))
        except ValueError:
            raise ValueError(f"{self.source}: {self._first_fault(rows, list(chain(*groups)))}") from None

    def _is_blank(self, row: list[str]) -> bool:
        """Return whether a row comes from a blank line."""
        return not row or (len(row) == 1 < len(self.names) and not row[0].strip())

    def _numbers(self, cells: list[str]) -> Iterator[float]:
        """Convert cells to numbers; ValueError if a cell is not a number, or if decimal marks differ."""
        text = "".join(cells)
        if not text.isascii() or "_" in text:  # see Dialect.is_number
            raise ValueError
        if self.dialect.may_have_decimal_commas:
            marks = {mark for mark in ".," if mark in text or mark == self._decimal_mark}
            if len(marks) > 1:
                raise ValueError
            self._decimal_mark = "".join(marks)
        return map(float, [cell.replace(",", ".") for cell in cells] if self._decimal_mark == "," else cells)

    # ------------------------------------------------------------------------------------------------------- faults

    def _first_fault(self, rows: Rows, places: list[int]) -> str:
        """Describe the first row of a wrong length, or the first cell that is not a number like the others."""
        line, mark = self._line, self._decimal_mark
        for row in rows:
            if not self._is_blank(row):
                if len(row) < len(self.names):
                    return f"line {line}, {self._column(len(row))} is missing"
                if len(row) > len(self.names):
                    advice = f"a cell with {self.dialect.delimiter!r} in it must be quoted"
                    return f"line {line} has {len(row)} cells instead of {len(self.names)}: {advice}"
                for place in places:
                    where = f"line {line}, {self._column(place)} is {shown(row[place])}"
                    if not self.dialect.is_number(row[place]):
                        return f"{where}, not a number"
                    mark = mark or decimal_mark(row[place])
                    if self.dialect.may_have_decimal_commas and decimal_mark(row[place]) not in ("", mark):
                        return f"{where}, but other numbers have {mark!r} for their decimal mark"
            line += lines_of(row)
        raise AssertionError("rows without a fault were refused")

    def _column(self, place: int) -> str:
        """Return the name of a column, or its number if it has none, for a message."""
        return f"column {shown(self.names[place]) if self.names[place] else place}"

    def _malformed(self, error: csv.Error, line: int) -> ValueError:
        """Return the error for a line that the standard library cannot read."""
        text = "a quote is opened and not closed" if "unexpected end" in str(error) else str(error)
        return ValueError(f"{self.source}: line {line} is not CSV: {text}")


def read_rows(reader: Iterable[list[str]]) -> tuple[Rows, csv.Error | None]:
    """Return the next rows, and the error that the row after them raises."""
    rows: Rows = []
    try:
        rows.extend(islice(reader, ROWS_AT_A_TIME))
    except csv.Error as error:
        return rows, error
    return rows, None


def lines_of(row: list[str]) -> int:
    """Return the number of lines of a row; a quoted cell may have several."""
    text = "".join(row)
    return 1 + text.count("\n") + text.count("\r") - text.count("\r\n")


def decimal_mark(cell: str) -> str:
    """Return the decimal mark of a number, "" if it has none."""
    return next((mark for mark in ".," if mark in cell), "")


def shown(cell: str) -> str:
    """Return a cell for a message, shortened if it is long."""
    return repr(cell if len(cell) <= SHOWN else f"{cell[: SHOWN - 3]}...")
