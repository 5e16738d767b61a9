"""Delimited text, CSV and its kin: a header, then rows of numbers that are read once and checked cell by cell.

What is read in another way than plain CSV is told in `notes`; what could be read in two ways, or does not fit its
header, is a ValueError with line and column.  No number is left out, or moved to another column, in silence.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from typing import Any

import numpy as np

from fastem.cli.dialect import Dialect, long_cells, sniffed

HEAD, BLOCK = 1 << 16, 1 << 20
"""Characters that are looked at first, and that are read at a time: some ten thousand rows."""
ROWS_AT_A_TIME = 4096
MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "-", "."}
"""What stands for a number that is not known."""
SHOWN = 60
"""Characters of a cell in a message."""
OTHER_KINDS = {
    b"\x1f\x8b": "is compressed by gzip: gzip -dc unpacks it, and fastem reads what is piped to it as -",
    b"PK\x03\x04": "is a zip archive, as workbooks are: save its table as CSV",
    b"PAR1": "is Parquet: its name must end in .parquet",
    b"\x93NUMPY": "is an array of NumPy's: its name must end in .npy",
    b"\xff\xfe": "is UTF-16: save it as UTF-8",
    b"\xfe\xff": "is UTF-16: save it as UTF-8",
}
"""First bytes of files that are no UTF-8, and what to do with them."""

Rows = list[list[str]]
Groups = Sequence[Sequence[int]]


class Delimited:
    """A header, and the rows below it.

    The file is opened as text with newline="" and errors="surrogateescape": what is no UTF-8 is found with its line.
    """

    def __init__(self, source: str, file: Any) -> None:
        self.source, self.file = source, file
        self.notes: list[str] = []
        self._line = 1  # that is read next
        self._decimal_mark = ""  # of the numbers so far, where there are two to choose from
        self._refuse_other_kinds(file.buffer.peek())
        first, has_comments = self._skip_comments()
        self._head = [first, *file.readlines(HEAD)]
        self._refuse_other_bytes(self._head, self._line)
        with long_cells():
            self.dialect = self._found_dialect()
            header = self._header()
        self._check_header(header, has_comments)
        for text in self.dialect.told():
            self._note(text)
        self.names = [""] * self.dialect.has_row_names + header

    def _note(self, text: str) -> None:
        self.notes.append(f"{self.source}: {text}")

    def _refuse_other_kinds(self, begin: bytes) -> None:
        for mark, advice in OTHER_KINDS.items():
            if begin.startswith(mark):
                raise ValueError(f"{self.source} {advice}")
        if b"\0" in begin:
            raise ValueError(f"{self.source} is no text: it begins with {begin[:8]!r}")

    def _refuse_other_bytes(self, lines: list[str], line: int) -> None:
        """Those that are no UTF-8; `line` is the number of the first of these lines."""
        if "".join(lines).isascii():
            return
        for number, text in enumerate(lines, line):
            if found := re.search("[\udc80-\udcff]", text):
                byte = f"{ord(found[0]) - 0xDC00:#x}"
                raise ValueError(
                    f"{self.source}: line {number} has the byte {byte}, which is no UTF-8: save it as UTF-8"
                )

    # ------------------------------------------------------------------------------------------------------- header

    def _skip_comments(self) -> tuple[str, bool]:
        """The first line that is neither blank nor a comment, and whether there are comments above it."""
        found = False
        while line := self.file.readline():
            if line.strip() and not line.startswith("#"):
                break
            found |= line.startswith("#")
            self._line += 1
        if found:
            self._note(f"what is above line {self._line} is taken for comments")
        return line, found

    def _found_dialect(self) -> Dialect:
        if declared := re.fullmatch(r'"?sep=(.)"?', self._head[0].rstrip("\r\n")):  # Excel does
            self._head, self._line = self._head[1:], self._line + 1
            return Dialect(declared[1])
        return sniffed(self._head)

    def _header(self) -> list[str]:
        """The names; rows that were read with them wait in `_head`."""
        reader = self.dialect.reader(self._head)
        try:
            names = [name.strip() for name in next(reader, [])]
        except csv.Error as error:
            raise self._malformed(error, self._line) from None
        self._head = self._head[reader.line_num :]
        self._line += reader.line_num
        return names

    def _check_header(self, names: list[str], has_comments: bool) -> None:
        """It must be names and not the first row, some cells of which may be missing, or text."""
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
        """Read the rows -> for each group of columns, by their places, an array (n, columns)."""
        values = [array("d") for _ in groups]
        with long_cells():
            self._read(groups, values)
        if not any(values):
            raise ValueError(
                f"{self.source} has no rows below its header {shown(self.dialect.delimiter.join(self.names))}"
            )
        if self._decimal_mark == ",":
            self._note("the commas in its numbers are taken for decimal marks")
        return [np.frombuffer(kept).reshape(-1, len(group)) for group, kept in zip(groups, values, strict=True)]

    def _read(self, groups: Groups, values: list[array[float]]) -> None:
        """Append the numbers of each group to its values."""
        blocks, places = self._blocks(), list(chain(*groups))
        for block in blocks:
            numbers = self._plain(block, places)
            if numbers is None:  # what comes is read cell by cell
                self._read_cells(chain(block, chain.from_iterable(blocks)), groups, values)
                return
            self._line += len(block)
            for group, kept in zip(groups, values, strict=True):
                mine, numbers = numbers[:, : len(group)], numbers[:, len(group) :]
                kept.frombytes(np.ascontiguousarray(mine).data.cast("B"))

    def _blocks(self) -> Iterator[list[str]]:
        """Lines, as many as are read at a time."""
        line, lines = self._line, self._head
        while lines := lines or self.file.readlines(BLOCK):
            self._refuse_other_bytes(lines, line)
            yield lines
            line, lines = line + len(lines), []

    def _plain(self, lines: list[str], places: list[int]) -> np.ndarray | None:
        """The columns in these places; None where not every line is a row in which NumPy finds no fault.

        NumPy is faster than `_read_cells`, which reads the same, and also quotes, blank lines and decimal commas.
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
        reader, above = self.dialect.reader(lines), self._line
        while True:
            rows, error = some_rows(reader)
            self._append(rows, groups, values)
            if error:
                raise self._malformed(error, self._line + sum(map(lines_of, rows)))
            if not rows:
                return
            self._line = above + reader.line_num

    def _append(self, rows: Rows, groups: Groups, values: list[array[float]]) -> None:
        filled = [row for row in rows if not self._is_blank(row)]
        try:
            if not set(map(len, filled)) <= {len(self.names)}:
                raise ValueError
            for group, kept in zip(groups, values, strict=True):
                kept.extend(self._numbers([row[place] for row in filled for place in group]))
        except ValueError:
            raise ValueError(f"{self.source}: {self._first_fault(rows, list(chain(*groups)))}") from None

    def _is_blank(self, row: list[str]) -> bool:
        return not row or (len(row) == 1 < len(self.names) and not row[0].strip())

    def _numbers(self, cells: list[str]) -> Iterator[float]:
        """ValueError where one is none, or where decimal marks differ."""
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
        """The first of these rows that is too short or too long, or cell that is no number as the others are."""
        line, mark = self._line, self._decimal_mark
        for row in rows:
            if not self._is_blank(row):
                if len(row) < len(self.names):
                    return f"line {line}, {self._column(len(row))} is missing"
                if len(row) > len(self.names):
                    advice = f"one that has {self.dialect.delimiter!r} in it must be quoted"
                    return f"line {line} has {len(row)} cells in place of {len(self.names)}: {advice}"
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
        return f"column {shown(self.names[place]) if self.names[place] else place}"

    def _malformed(self, error: csv.Error, line: int) -> ValueError:
        text = "a quote is opened and not closed" if "unexpected end" in str(error) else str(error)
        return ValueError(f"{self.source}: line {line} is no CSV: {text}")


def some_rows(reader: Iterator[list[str]]) -> tuple[Rows, csv.Error | None]:
    """The next rows, and what is wrong with the one behind them."""
    rows: Rows = []
    try:
        rows.extend(islice(reader, ROWS_AT_A_TIME))
    except csv.Error as error:
        return rows, error
    return rows, None


def lines_of(row: list[str]) -> int:
    """A quoted cell may have several."""
    text = "".join(row)
    return 1 + text.count("\n") + text.count("\r") - text.count("\r\n")


def decimal_mark(cell: str) -> str:
    return next((mark for mark in ".," if mark in cell), "")


def shown(cell: str) -> str:
    return repr(cell if len(cell) <= SHOWN else f"{cell[: SHOWN - 3]}...")
