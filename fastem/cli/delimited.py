"""Read a table of numbers from delimited text, CSV for instance, and check it cell by cell.

`notes` says what differs from plain CSV; text that is ambiguous, or does not fit its header, is a ValueError with line
and column.  No number is silently left out, or moved to another column.  A missing value is NaN where it is accepted.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from io import TextIOWrapper
from itertools import chain, islice, repeat

import numpy as np

from fastem.cli.collected import Collected, Groups, Lines
from fastem.cli.dialect import Dialect, find_dialect, long_cells
from fastem.cli.missing import Missing

HEAD, BLOCK = 1 << 16, 1 << 20
"""Number of characters that are inspected first, and that are read at a time, about ten thousand rows."""
ROWS_AT_A_TIME = 4096
TABS = ".tsv", ".tab", ".tsv.gz"
"""How files end whose columns are expected to be separated by tabs."""
ODD_NUMBER = re.compile(r"[-+]?(\d{1,3}([,.' _]\d{3})+|\d+)([.,]\d+)?\s*%?")
"""Numbers that Python does not accept, with separators of thousands or a percent sign."""
NO_TEXT = re.compile("[\0\udc80-\udcff]")
"""Zero bytes, and bytes that are not UTF-8."""
SHOWN = 60
"""Number of characters of a cell that a message shows."""
OTHER_KINDS = {
    b"PK\x03\x04": "is a zip archive, as workbooks and models of fastem are: save its table as CSV",
    b"PAR1": "is Parquet: its name must end in .parquet",
    b"\x93NUMPY": "is a NumPy array: its name must end in .npy",
    b"\xff\xfe": "is UTF-16: save it as UTF-8",
    b"\xfe\xff": "is UTF-16: save it as UTF-8",
}
"""First bytes of files that are not text in UTF-8, and what to do with them."""

Rows = list[list[str]]


class Delimited:
    """A header, and the rows below it.

    `advice` is added to the message about a cell that is no number.

    The file must be open as text with newline="" and errors="surrogateescape", so that bytes that are not UTF-8 are
    found with their line.
    """

    def __init__(self, source: str, file: TextIOWrapper, missing: Missing) -> None:
        self.source, self.file, self.missing = source, file, missing
        self.notes: list[str] = []
        self.advice = ""
        self._line = 1  # the number of the next line
        self.lines = Lines()  # of the rows that have been read
        self._decimal_mark = ""  # the mark of the numbers so far, if a comma is possible
        self._refuse_other_kinds(file.buffer.peek(8))  # type: ignore[attr-defined]
        first, has_comments = self._skip_comments()
        self._head = [first, *file.readlines(HEAD)]
        self._refuse_no_text(self._head, self._line)
        with long_cells():
            self.dialect = self._find_dialect()
            header = self._header()
        self._check_header(header, has_comments)
        for text in self.dialect.notes("\t" if source.lower().endswith(TABS) else ","):
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
        if b"\0" in begin[:8]:
            raise ValueError(f"{self.source} is not text: it begins with {begin[:8]!r}")

    def _refuse_no_text(self, lines: list[str], line: int) -> None:
        """Raise ValueError at the first byte that is not text in UTF-8; `line` is the number of the first line."""
        every = "".join(lines)
        if every.isascii() and "\0" not in every:
            return
        for number, text in enumerate(lines, line):
            if match := NO_TEXT.search(text):
                raise ValueError(f"{self.source}: line {number}{self._no_text(text, match)}")

    def _no_text(self, text: str, match: re.Match[str]) -> str:
        """Say what byte of a line is no text, and what to do."""
        if match[0] != "\0":
            return f" has the byte {ord(match[0]) - 0xDC00:#x}, which is not UTF-8: save the file as UTF-8"
        return f", character {match.start() + 1} is a zero byte, which no text has: the file is damaged, or no table"

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
        if numbers and all(name in numbers or self.missing.is_likely(name) for name in names):
            missing = " or missing values" if len(numbers) < len(names) else ""
            raise ValueError(f"{self.source} has no header: its {line} is all numbers{missing}")
        if numbers and (has_comments or not all(map(str.isdecimal, numbers))):
            raise ValueError(f"{self.source} has no header: its {line} has the number {numbers[0]} in it")
        if numbers:
            self._note(f"its first line is taken for the header, though a column is called {shown(numbers[0])}")

    def texts(self, places: Sequence[int]) -> dict[int, str]:
        """Return the columns without a number in the first rows, and a cell of each that is neither empty nor odd."""
        with long_cells():
            rows, _ = read_rows(self.dialect.reader(self._head))
        rows = [row for row in rows if len(row) == len(self.names)]
        cells = {place: [row[place] for row in rows if row[place] not in self.missing] for place in places}
        return {place: shown(found[0]) for place, found in cells.items() if found and all(map(self._is_text, found))}

    def _is_text(self, cell: str) -> bool:
        """Return whether a cell is no number, nor one in a form that is not accepted."""
        return not (self.dialect.could_be_number(cell) or ODD_NUMBER.fullmatch(cell.strip()))

    # --------------------------------------------------------------------------------------------------------- rows

    def read(self, groups: Groups, kept: Sequence[int] = ()) -> list[np.ndarray]:
        """Read the rows; return an array (n, columns) for each group of places, and one of text for each kept one."""
        found = Collected(groups, kept)
        with long_cells():
            self._read(found)
        if not self.lines.n_rows:
            raise ValueError(
                f"{self.source} has no rows below its header {shown(self.dialect.delimiter.join(self.names))}"
            )
        if self._decimal_mark == ",":
            self._note("the commas in its numbers are taken for decimal marks")
        return found.arrays()

    def _read(self, found: Collected) -> None:
        """Collect all rows, block by block."""
        blocks = self._blocks()
        for block in blocks:
            numbers = self._plain(block, found.places)
            if numbers is None:  # from here on, lines are read cell by cell
                self._read_cells(chain(block, chain.from_iterable(blocks)), found)
                return
            found.add_block(numbers)
            found.add_cells(line.rstrip("\r\n").split(self.dialect.delimiter) for line in block)
            self.lines.add(len(block), self._line)
            self._line += len(block)

    def _blocks(self) -> Iterator[list[str]]:
        """Return the lines, as many as are read at a time."""
        line, lines = self._line, self._head
        while lines := lines or self.file.readlines(BLOCK):
            self._refuse_no_text(lines, line)
            yield lines
            line, lines = line + len(lines), []

    def _plain(self, lines: list[str], places: list[int]) -> np.ndarray | None:
        """Return the columns in these places, or None if NumPy does not accept every line as a row.

        NumPy is faster than `_read_cells`, which gives the same, and also reads quotes, blank lines and decimal commas.
        """
        text = "".join(lines)
        if self.dialect.may_have_decimal_commas or self.missing.has_numbers or '"' in text or not text.strip():
            return None
        if set(map(str.count, lines, repeat(self.dialect.delimiter))) != {len(self.names) - 1}:
            return None
        try:
            numbers = np.loadtxt(lines, delimiter=self.dialect.delimiter, comments=None, usecols=places, ndmin=2)
        except ValueError:
            return None
        return numbers if self._is_allowed(numbers.ravel()) else None

    def _is_allowed(self, numbers: np.ndarray) -> bool:
        """Return whether no number is infinite and, unless missing values are accepted, none is NaN."""
        return bool((np.isfinite(numbers) | (np.isnan(numbers) & self.missing.accepted)).all())

    def _read_cells(self, lines: Iterable[str], found: Collected) -> None:
        """Collect rows as `_read` does, one by one."""
        reader, above = self.dialect.reader(lines), self._line
        while True:
            rows, error = read_rows(reader)
            filled = self._count(rows)
            try:
                self._collect(filled, found)
            except ValueError:
                raise ValueError(f"{self.source}: {self._first_fault(rows, found.places)}") from None
            if error:
                raise self._malformed(error, self._line + sum(map(lines_of, rows)))
            if not rows:
                return
            self._line = above + reader.line_num

    def _count(self, rows: Rows) -> Rows:
        """Return the rows that are not blank, and remember the line in which each begins."""
        line, filled = self._line, []
        for row in rows:
            if not self._is_blank(row):
                filled.append(row)
                self.lines.add(1, line)
            line += lines_of(row)
        return filled

    def _collect(self, rows: Rows, found: Collected) -> None:
        """Collect numbers and cells of rows that are not blank; ValueError for a fault in one of them."""
        if not set(map(len, rows)) <= {len(self.names)}:
            raise ValueError
        for number, group in enumerate(found.groups):
            found.add_numbers(number, self._numbers([row[place] for row in rows for place in group]))
        found.add_cells(rows)

    def _is_blank(self, row: list[str]) -> bool:
        """Return whether a row comes from a blank line."""
        return not row or (len(row) == 1 < len(self.names) and not row[0].strip())

    def _numbers(self, cells: list[str]) -> list[float]:
        """Convert cells to numbers; ValueError if a cell is not a number, or if decimal marks differ."""
        cells = ["nan" if cell in self.missing else cell for cell in cells]
        text = "".join(cells)
        if not text.isascii() or "_" in text:  # see Dialect.is_number
            raise ValueError
        if self.dialect.may_have_decimal_commas:
            marks = {mark for mark in ".," if mark in text or mark == self._decimal_mark}
            if len(marks) > 1:
                raise ValueError
            self._decimal_mark = "".join(marks)
        numbers = [float(cell.replace(",", ".") if self._decimal_mark == "," else cell) for cell in cells]
        if not self._is_allowed(np.array(numbers)):
            raise ValueError
        return numbers

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
                    if fault := self._fault(row[place], mark):
                        return f"line {line}, {self._column(place)} is {shown(row[place])}, {fault}"
                    mark = mark or decimal_mark(row[place])
            line += lines_of(row)
        raise AssertionError("rows without a fault were refused")

    def _fault(self, cell: str, mark: str) -> str:
        """Say what is wrong with a cell, where other numbers have this decimal mark; "" if nothing is."""
        if cell in self.missing:
            return (
                ""
                if self.missing.accepted
                else "a missing value: --drop-missing leaves out such rows, --keep-missing keeps them"
            )
        if not self.dialect.is_number(cell):
            is_word = self.missing.is_likely(cell)
            return f"not a number{f': --missing {cell} counts it as missing' if is_word else self.advice}"
        if self.dialect.may_have_decimal_commas and decimal_mark(cell) not in ("", mark or decimal_mark(cell)):
            return f"but other numbers have {mark!r} for their decimal mark"
        return "" if math.isfinite(self.dialect.number(cell)) else "not a finite number"

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
