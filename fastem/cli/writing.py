"""Write columns to a table: CSV, TSV, also packed by gzip, Parquet or JSON, by the suffix of the file."""

from __future__ import annotations

import csv
import gzip
import importlib
import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np

from fastem._printable import printable
from fastem._storage import replacing
from fastem.cli.streams import STANDARD, standard_output
from fastem.cli.tables import as_objects

Columns: TypeAlias = dict[str, np.ndarray]
SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".pq", ".json")
LEVEL = 6
"""How hard gzip tries, as the program does; 9, the default of Python, takes a third more time for one percent less."""
CODE = re.compile(r"-?0\d|\+|.*[^-+.0-9eE]")
"""Text that Python takes for a number, though it is not written as one: 007, or a phone number."""
LONG = re.compile(r"-?\d{16}\d*")
"""Whole numbers that float64 may round."""
END = "\n"
ROWS_AT_A_TIME = 1 << 16
"""Number of rows that are converted to text at a time."""


def check_suffix(path: str, name: str, suffixes: tuple[str, ...] = SUFFIXES) -> None:
    """Raise ValueError if the name of a file does not say in which of these formats to write it; streams get CSV."""
    if not is_stream(path) and not path.lower().endswith(suffixes):
        listed = " or ".join([", ".join(suffixes[:-1]), suffixes[-1]]) if len(suffixes) > 1 else suffixes[0]
        raise ValueError(f"{name} {path}: the name of the file must end in {listed}")


def write_table(path: str, columns: Columns) -> None:
    """Write columns of one length by the suffix of the file; to streams, as CSV."""
    name = path.lower()
    if name.endswith((".parquet", ".pq")):
        with opened_to_write(path, "wb") as file:
            write_parquet(file, columns)
    elif name.endswith(".gz"):
        with opened_to_write(path, "wb") as file, packed(file) as text:
            write_text(text, columns, name.removesuffix(".gz"))
    elif path == STANDARD:
        with standard_output() as file:
            write_csv(Shown(file) if file.isatty() else file, columns)
    else:
        with opened_to_write(path, "w", newline="", encoding="utf-8") as file:
            write_text(file, columns, name)


class Shown:
    """A terminal, to which control characters of a table are written as text."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file

    def write(self, line: str) -> int:
        """Write a line with its end."""
        return self.file.write(f"{printable(line.removesuffix(END))}{END}")


def write_text(file: IO[str], columns: Columns, name: str) -> None:
    """Write CSV, TSV or JSON, by the suffix of a name."""
    if name.endswith(".json"):
        write_json(file, columns)
    else:
        write_csv(file, columns, "\t" if name.endswith(".tsv") else ",")


@contextmanager
def packed(file: IO[bytes]) -> Iterator[IO[str]]:
    """Pack text by gzip; the same text becomes the same bytes."""
    with gzip.GzipFile("", "wb", LEVEL, file, 0) as pack, TextIOWrapper(pack, "utf-8", newline="") as text:
        yield text


@contextmanager
def opened_to_write(path: str, mode: str, newline: str | None = None, encoding: str | None = None) -> Iterator[IO[Any]]:
    """Open a file that is replaced when it is complete, or a pipe or a device, which are written at once."""
    if not is_stream(path):
        with replacing(path, mode, newline=newline, encoding=encoding) as file:
            yield file
        return
    try:
        with open(path, mode, newline=newline, encoding=encoding) as file:
            yield file
    except OSError as error:
        error.filename = path
        raise


def is_stream(path: str) -> bool:
    """Return whether a path is standard output, a pipe or a device."""
    return path == STANDARD or (Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir())


def write_csv(file: IO[str] | Shown, columns: Columns, delimiter: str = ",") -> None:
    """Write CSV; every number has as many digits as identify it."""
    writer = csv.writer(file, delimiter=delimiter, lineterminator=END)
    writer.writerow(columns)
    for begin in range(0, max(map(len, columns.values())), ROWS_AT_A_TIME):
        rows = (values[begin : begin + ROWS_AT_A_TIME].tolist() for values in columns.values())
        writer.writerows(zip(*rows, strict=True))


def write_json(file: IO[str], columns: Columns) -> None:
    """Write an object of JSON with a list for each column."""
    file.write(json.dumps({name: finite(typed(values)) for name, values in columns.items()}, default=str) + "\n")


def finite(values: np.ndarray) -> list[object]:
    """Return values with None for infinity and NaN, which JSON does not have."""
    return [None if isinstance(value, float) and not math.isfinite(value) else value for value in values.tolist()]


def write_parquet(file: IO[bytes], columns: Columns) -> None:
    """Write Parquet."""
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install pyarrow") from error
    parquet.write_table(arrow.table({name: arrow_column(typed(values)) for name, values in columns.items()}), file)


def arrow_column(values: np.ndarray) -> Any:
    """Return an array of Arrow's, which expects no whole numbers beyond int64 unless it is told."""
    arrow = importlib.import_module("pyarrow")
    try:
        return arrow.array(values)
    except OverflowError:
        return arrow.array(values, arrow.uint64())


def typed(values: np.ndarray) -> np.ndarray:
    """Return numbers for the cells of a text, if all are numbers, and cells that differ are different numbers.

    A measurement 1.10 becomes the number 1.1, which it is; beside 1.1 it is a name, as of a version, and stays text.
    """
    if values.dtype.kind != "T":
        return values
    cells = values.tolist()
    if any(map(CODE.match, cells)):
        return as_objects(cells)
    with suppress(ValueError, OverflowError):
        return np.array([*map(int, cells)], np.int64)
    with suppress(ValueError):
        numbers = np.array([*map(float, cells)])
        is_exact = np.isfinite(numbers).all() and not any(map(LONG.fullmatch, cells))
        if is_exact and n_different(numbers) == n_different(values):
            return numbers
    return as_objects(cells)


def n_different(values: np.ndarray) -> int:
    """Count the different values; 0 and -0 are two."""
    return len(set(map(str, values.tolist())))
