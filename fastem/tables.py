"""Tables: columns of numbers, by name, from CSV, NPY and Parquet files; to CSV, Parquet and JSON; and as text."""

from __future__ import annotations

import csv
import importlib
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from fastem.arrow import from_arrow, opened

STANDARD = "-"
"""The name of standard input and output."""
PARQUET = (".parquet", ".pq")


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of numbers, or the file that has them."""

    source: str  # for messages
    names: list[str]

    def columns(self, wanted: Sequence[str]) -> np.ndarray:
        """(n, columns) those of these names; ValueError if one is missing or holds anything but numbers."""
        return self._read([self.place(name) for name in wanted])

    def place(self, name: str) -> int:
        """Of the column with this name or, where none has it, this number."""
        if name not in self.names and name.isdecimal() and int(name) < len(self.names):
            return int(name)
        if name not in self.names:
            raise ValueError(f"{self.source} has no column {name!r}; it has {', '.join(self.names)}")
        if self.names.count(name) > 1:
            raise ValueError(f"{self.source} has {self.names.count(name)} columns {name!r}")
        return self.names.index(name)

    def _read(self, places: list[int]) -> np.ndarray:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class TextTable(Table):
    """CSV: a header, then rows."""

    text: str  # behind the header
    begin: int  # the line it begins in

    def _read(self, places: list[int]) -> np.ndarray:
        lines = io.StringIO(self.text, newline="")
        try:
            if not self.text.strip():
                return np.empty((0, len(places)))
            return np.loadtxt(lines, delimiter=",", quotechar='"', comments=None, usecols=places, ndmin=2)
        except ValueError as error:
            raise ValueError(f"{self.source}: {self._first_fault(places) or error}") from None

    def _first_fault(self, places: list[int]) -> str | None:
        """The first cell that is no number."""
        reader = csv.reader(io.StringIO(self.text, newline=""))
        for cells in reader:
            for place in places if cells else ():
                where = f"line {self.begin + reader.line_num - 1}, column {self.names[place]!r}"
                if place >= len(cells):
                    return f"{where} is missing"
                if not is_number(cells[place]):
                    return f"{where} is {cells[place]!r}, not a number"
        return None


@dataclass(frozen=True, eq=False)
class ArrayTable(Table):
    """NPY: the columns are called x0, x1, ...  The file is mapped, and stays so if all are wanted."""

    array: np.ndarray

    def _read(self, places: list[int]) -> np.ndarray:
        return self.array if places == list(range(len(self.names))) else self.array[:, places]


@dataclass(frozen=True, eq=False)
class ParquetTable(Table):
    """Parquet, read by Arrow."""

    def _read(self, places: list[int]) -> np.ndarray:
        chunks = [X for (X,) in from_arrow(self.source, [self.names[place] for place in places])]
        return np.concatenate(chunks) if chunks else np.empty((0, len(places)))


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def read_table(path: str) -> Table:
    """The table in a file, by its suffix .npy, .parquet or .pq; any other is CSV, and "-" CSV on standard input."""
    suffix = Path(path).suffix
    if suffix == ".npy":
        return array_table(path)
    if suffix in PARQUET:
        return parquet_table(path)
    piped = path == STANDARD
    with open(0 if piped else path, newline="", encoding="utf-8-sig", closefd=not piped) as file:
        return text_table("standard input" if piped else path, file)


def parquet_table(path: str) -> ParquetTable:
    names = opened(path).names
    if not names:
        raise ValueError(f"{path} has no columns")
    return ParquetTable(path, names)


def array_table(path: str) -> ArrayTable:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(array, np.ndarray) or array.ndim not in (1, 2) or array.dtype.kind not in "biuf":
        raise ValueError(f"{path} must hold one array of numbers, of one or two dimensions")
    array = array.reshape(len(array), -1)
    return ArrayTable(path, [f"x{i}" for i in range(array.shape[1])], array)


def text_table(source: str, file: TextIO) -> TextTable:
    reader = csv.reader(file)
    try:
        names = [name.strip() for name in next(reader, [])]
        text = file.read()
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{source} is no CSV: {error}") from None
    if not any(names):
        raise ValueError(f"{source} has no header: its first line must name the columns")
    if all(is_number(name) for name in names):
        raise ValueError(f"{source} has no header: its first line {','.join(names)[:60]!r} is all numbers")
    return TextTable(source, names, text, reader.line_num + 1)


# -------------------------------------------------------------------------------------------------------------- writing


def write_table(path: str, columns: dict[str, np.ndarray]) -> None:
    """Columns of one length, by the suffix .parquet, .pq or .json; any other is CSV, and "-" CSV on standard output."""
    suffix = Path(path).suffix
    if suffix in PARQUET:
        write_parquet(path, columns)
    elif suffix == ".json":
        content = json.dumps({name: values.tolist() for name, values in columns.items()})
        Path(path).write_text(content + "\n", encoding="utf-8")
    elif path == STANDARD:
        write_text(sys.stdout, columns)
    else:
        with open(path, "w", newline="", encoding="utf-8") as file:
            write_text(file, columns)


def write_text(file: TextIO, columns: dict[str, np.ndarray]) -> None:
    """Every number with as many digits as tell it from others."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(values.tolist() for values in columns.values()), strict=True))


def write_parquet(path: str, columns: dict[str, np.ndarray]) -> None:
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install 'fastem[arrow]'") from error
    parquet.write_table(arrow.table(columns), path)


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text, each as wide as it must be, flush right."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    lines = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (headings, *rows))
    return "\n".join(line.rstrip() for line in lines)
