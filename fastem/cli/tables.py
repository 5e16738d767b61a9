"""Read tables of numbers from CSV, NPY and Parquet files, and write them as CSV, Parquet or JSON."""

from __future__ import annotations

import csv
import importlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any

import numpy as np

from fastem._storage import replacing, undamaged
from fastem.cli.delimited import Delimited
from fastem.cli.streams import standard_output
from fastem.data.arrow import from_arrow, opened

STANDARD = "-"
"""The name that stands for standard input and output."""
PARQUET = (".parquet", ".pq")
MAX_LISTED = 20
"""Number of columns up to which a message lists all of them."""
MAX_COMPARED = 10_000
"""Number of columns that are compared with a wrong name, to suggest similar names."""
INDEX = re.compile(r"|__index_level_\d+__")
"""Column names of row names: pandas and R leave them empty in CSV, and pandas has its own in Parquet."""
ROWS_AT_A_TIME = 1 << 16
"""Number of rows that are converted to text at a time."""


class Table:
    """Columns of numbers in a file.

    `notes` has a sentence for each thing that was read in an unexpected way; it is complete when columns are read.
    """

    def __init__(self, source: str, names: list[str], notes: list[str] | None = None) -> None:
        self.source, self.names, self.notes = source, names, [] if notes is None else notes
        self._place_of = {name: place for place, name in enumerate(names)}
        self._times = Counter(names) if len(self._place_of) < len(names) else Counter()

    def columns(self, *groups: Sequence[int]) -> list[np.ndarray]:
        """Read an array (n, columns) for each group of places; ValueError for anything but numbers.  Call it once."""
        raise NotImplementedError

    def place(self, name: str) -> int:
        """Return the place of the column with this name or, if there is none, with this number."""
        if name and self._times[name] > 1:
            numbers = " or ".join(str(place) for place, each in enumerate(self.names) if each == name)
            raise ValueError(f"{self.source} has {self._times[name]} columns {name!r}: choose by number, {numbers}")
        if name and name in self._place_of:
            return self._place_of[name]
        if name.isdecimal() and int(name) < len(self.names):
            return int(name)
        raise ValueError(f"{self.source} has no column {name!r}; {self._suggestion(name)}")

    def label(self, place: int) -> str:
        """Return the name of a column or, if it is empty or not unique, its number: `place` accepts both."""
        name = self.names[place]
        return name if name and self._times[name] <= 1 else str(place)

    def others(self, excluded: Sequence[int]) -> list[int]:
        """Return the places of all columns but these, and but row names; ValueError if names are not unique."""
        rest = sorted({*range(len(self.names))} - {*excluded})
        places = [place for place in rest if not INDEX.fullmatch(self.names[place])]
        for place in places:
            self.place(self.names[place])  # raises if another column has this name
        if len(places) < len(rest):
            nameless = [place for place in rest if INDEX.fullmatch(self.names[place])]
            self.notes.append(
                f"{self.source}: column {', '.join(map(str, nameless[:MAX_LISTED]))} has no name and is left out;"
                " --columns accepts numbers, too"
            )
        return places

    def _suggestion(self, name: str) -> str:
        """Return the columns there are or, of many, those with similar names."""
        if len(self.names) <= MAX_LISTED:
            return f"it has {', '.join(self.names)}"
        similar = get_close_matches(name, self.names[:MAX_COMPARED])
        return f"it has {len(self.names)} columns; similar names: {', '.join(similar) if similar else 'none'}"


class TextTable(Table):
    """A table in CSV or other delimited text."""

    def __init__(self, source: str, file: TextIOWrapper) -> None:
        self.text = Delimited(source, file)
        super().__init__(source, self.text.names, self.text.notes)

    def columns(self, *groups: Sequence[int]) -> list[np.ndarray]:
        return self.text.read(*groups)


class ArrayTable(Table):
    """A table in an NPY file, whose columns are called x0, x1, ...

    The file is memory-mapped; columns are copied only if some of them are asked for.
    """

    def __init__(self, path: str) -> None:
        with undamaged(path):
            array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray) or array.ndim not in (1, 2) or array.dtype.kind not in "biuf":
            raise ValueError(f"{path} must hold one array of numbers, of one or two dimensions")
        if isinstance(array, np.memmap) and array.offset + array.nbytes != os.path.getsize(path):
            raise ValueError(f"{path} is damaged: it has more bytes than {array.shape} numbers of type {array.dtype}")
        self.array = array if array.ndim == 2 else array[:, np.newaxis]
        super().__init__(path, [f"x{i}" for i in range(self.array.shape[1])])

    def columns(self, *groups: Sequence[int]) -> list[np.ndarray]:
        every = list(range(len(self.names)))
        return [self.array if list(places) == every else self.array[:, places] for places in groups]


class ParquetTable(Table):
    """A table in Parquet files, which Arrow reads."""

    def __init__(self, path: str) -> None:
        os.stat(path)  # Arrow does not say what is wrong with a path
        try:
            names = opened(path).names
        except ValueError as error:
            raise ValueError(str(error) if path in str(error) else f"{path}: {error}") from None
        if not names:
            raise ValueError(f"{path} has no columns")
        super().__init__(path, names)

    def columns(self, *groups: Sequence[int]) -> list[np.ndarray]:
        return [self._read([self.names[place] for place in places]) for places in groups]

    def _read(self, names: list[str]) -> np.ndarray:
        """Return an array (n, columns) of the columns with these names."""
        chunks = [X for (X,) in from_arrow(self.source, names)]
        return np.concatenate(chunks) if chunks else np.empty((0, len(names)))


@contextmanager
def open_table(path: str) -> Iterator[Table]:
    """Open a table: .npy, .parquet or .pq by the suffix of its file, else CSV; "-" is CSV on standard input."""
    suffix, piped = Path(path).suffix.lower(), path == STANDARD
    if suffix == ".npy":
        yield ArrayTable(path)
    elif suffix in PARQUET:
        yield ParquetTable(path)
    else:
        how = {"newline": "", "encoding": "utf-8-sig", "errors": "surrogateescape"}  # as Delimited asks for it
        with open(0 if piped else path, closefd=not piped, **how) as file:  # type: ignore[call-overload]
            yield TextTable("standard input" if piped else path, file)


def write_table(path: str, columns: dict[str, np.ndarray]) -> None:
    """Write columns of one length: Parquet or JSON by the suffix of the file, else CSV; "-" is standard output."""
    suffix = Path(path).suffix.lower()
    if suffix in PARQUET:
        with opened_to_write(path, "wb") as file:
            write_parquet(file, columns)
        return
    with standard_output() if path == STANDARD else opened_to_write(path, "w", newline="", encoding="utf-8") as file:
        (write_json if suffix == ".json" else write_csv)(file, columns)


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


def write_csv(file: IO[str], columns: dict[str, np.ndarray]) -> None:
    """Write CSV; every number has as many digits as identify it."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for begin in range(0, max(map(len, columns.values())), ROWS_AT_A_TIME):
        rows = (values[begin : begin + ROWS_AT_A_TIME].tolist() for values in columns.values())
        writer.writerows(zip(*rows, strict=True))


def write_json(file: IO[str], columns: dict[str, np.ndarray]) -> None:
    """Write an object of JSON with a list for each column."""
    file.write(json.dumps({name: values.tolist() for name, values in columns.items()}) + "\n")


def write_parquet(file: IO[bytes], columns: dict[str, np.ndarray]) -> None:
    """Write Parquet."""
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install 'fastem[arrow]'") from error
    parquet.write_table(arrow.table(columns), file)
