"""Results as tables: text in a console, HTML in a notebook, a data frame where pandas is installed."""

from __future__ import annotations

import importlib
import textwrap
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastem._printable import in_html, printable

WIDTH = 80
"""Columns of a console: sentences are broken there."""
MOST_ROWS = 60
"""Rows that are shown; a data frame has all of them."""


@dataclass(frozen=True)
class Table:
    """Rows of cells as they are shown, with sentences above and below.

    `left` has the headings of columns of words, which are aligned on the left.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    lead: Sequence[str] = ()
    notes: Sequence[str] = ()
    left: Collection[str] = ()
    width: int = WIDTH
    """Characters of a line, at which sentences are broken."""

    def __str__(self) -> str:
        above, below = (
            "\n".join(textwrap.fill(printable(line), self.width, break_long_words=False) for line in lines)
            for lines in (self.lead, self._below())
        )
        table = aligned(self.headings, self.rows[:MOST_ROWS], self.left) if self.headings else ""
        return "\n".join(part for part in (above, table, below) if part)

    def html(self) -> str:
        """Return the table as HTML, in which every text is escaped."""
        above, below = (
            "".join(f"<div>{in_html(line)}</div>" for line in lines) for lines in (self.lead, self._below())
        )
        head = "".join(self._cell("th", *pair) for pair in zip(self.headings, self.headings, strict=True))
        body = "".join(
            f"<tr>{''.join(self._cell('td', *pair) for pair in zip(self.headings, row, strict=True))}</tr>"
            for row in self.rows[:MOST_ROWS]
        )
        return f"<div>{above}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}</div>"

    def _cell(self, tag: str, heading: str, text: str) -> str:
        """Return a cell of HTML."""
        side = "left" if heading in self.left else "right"
        return f'<{tag} style="text-align: {side}">{in_html(text)}</{tag}>'

    def _below(self) -> list[str]:
        """Return the notes, the first of which counts the rows that are not shown."""
        more = len(self.rows) - MOST_ROWS
        return [*([f"and {more:,} more rows: see to_frame()"] if more > 0 else []), *self.notes]


class Tabled:
    """A result that is shown as a table: as text in a console, as HTML in a notebook."""

    def _table(self) -> Table:
        """Return what is shown."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return str(self._table())

    def _repr_html_(self) -> str:
        return self._table().html()


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[str] = ()) -> str:
    """Join cells to lines with columns of equal width, aligned on the right, but for those whose heading is in `left`.

    No line ends in spaces, and none has control characters.
    """
    lefts = [heading in left for heading in headings]
    headings, *rows = ([*map(printable, row)] for row in (headings, *rows))
    widths = [max(map(columns_of, column)) for column in zip(headings, *rows, strict=True)]
    lines = ("  ".join(padded(*each) for each in zip(row, widths, lefts, strict=True)) for row in (headings, *rows))
    return "\n".join(line.rstrip() for line in lines)


def padded(cell: str, width: int, is_left: bool) -> str:
    """Return a cell with as many spaces as fill so many columns of a terminal."""
    spaces = " " * (width - columns_of(cell))
    return cell + spaces if is_left else spaces + cell


def columns_of(text: str) -> int:
    """Return how many columns of a terminal a text takes: wide characters take two, marks on others none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def data_frame(columns: Mapping[str, object], index: object = None) -> Any:
    """Return a data frame of pandas; ImportError where pandas is not installed."""
    try:
        pandas = importlib.import_module("pandas")
    except ImportError as error:
        raise ImportError("to_frame needs pandas: pip install pandas") from error
    return pandas.DataFrame(dict(columns), index=index)
