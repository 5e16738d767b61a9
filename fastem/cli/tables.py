"""Tables: columns of numbers, by name, from CSV, NPY and Parquet files; to CSV, Parquet and JSON; and as text."""

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
from pathlib import Path
from typing import IO, Any

import numpy as np

from fastem._storage import replacing, undamaged
from fastem.cli.delimited import Delimited
from fastem.cli.streams import standard_output
from fastem.data.arrow import from_arrow, opened

STANDARD = "-"
"""The name of standard input and output."""
PARQUET = (".parquet", ".pq")
FEW, MANY = 20, 10_000
"""Columns: of so many all are told, and among so many a name is looked for that is like another one."""
INDEX = re.compile(r"|__index_level_\d+__")
"""How pandas calls the names of rows, in CSV and in Parquet; R has no name for them either."""
ROWS_AT_A_TIME = 1 << 16
"""Rows that are text at one time when they are written."""


class Table:
    """Columns of numbers, or the file that has them.

    notes: what was read in another way than one may think, a sentence each; complete when columns have been read
    """

    def __init__(self, source: str, names: list[str], notes: list[str] | None = None) -> None:
        self.source, self.names, self.notes = source, names, [] if notes is None else notes
        self._place_of = {name: place for place, name in enumerate(names)}
        self._times = Counter(names) if len(self._place_of) < len(names) else Counter()

    def columns(self, *groups: Sequence[int]) -> list[np.ndarray]:
        """For each group of places an array (n, columns); ValueError for anything but numbers.  To be called once."""
        raise NotImplementedError

    def place(self, name: str) -> int:
        """Of the column with this name or, where none has it, this number."""
        if name and self._times[name] > 1:
            numbers = " or ".join(str(place) for place, each in enumerate(self.names) if each == name)
            raise ValueError(f"{self.source} has {self._times[name]} columns {name!r}: choose by number, {numbers}")
        if name and name in self._place_of:
            return self._place_of[name]
        if name.isdecimal() and int(name) < len(self.names):
            return int(name)
        raise ValueError(f"{self.source} has no column {name!r}; {self._what_it_has(name)}")

    def label(self, place: int) -> str:
        """What `place` takes for this column: its name, where no other one has it too."""
        name = self.names[place]
        return name if name and self._times[name] <= 1 else str(place)

    def others(self, taken: Sequence[int]) -> list[int]:
        """Places of all columns but these, and but names of rows."""
        rest = sorted({*range(len(self.names))} - {*taken})
        found = [place for place in rest if not INDEX.fullmatch(self.names[place])]
        for place in found:
            self.place(self.names[place])  # no other one has this name
        if len(found) < len(rest):
            left = [place for place in rest if INDEX.fullmatch(self.names[place])]
            self.notes.append(
                f"{self.source}: column {', '.join(map(str, left[:FEW]))} has no name and is left out;"
                " --columns takes numbers too"
            )
        return found

    def _what_it_has(self, name: str) -> str:
        if len(self.names) <= FEW:
            return f"it has {', '.join(self.names)}"
        near = get_close_matches(name, self.names[:MANY])
        return f"it has {len(self.names)}, and like this one {', '.join(near) if near else 'none'}"


class TextTable(Table):
    """CSV and its kin."""

    def __init__(self, source: str, file: IO[str]) -> None:
        self.text = Delimited(source, file)
        super().__init__(source, self.text.names, self.text.notes)

    def columns(self, *groups: Sequence[int]) -> list[np.ndarray]:
        return self.text.read(*groups)


class ArrayTable(Table):
    """NPY: the columns are called x0, x1, ...  The file is mapped, and stays so if all are wanted."""

    def __init__(self, path: str) -> None:
        with undamaged(path):
            array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray) or array.ndim not in (1, 2) or array.dtype.kind not in "biuf":
            raise ValueError(f"{path} must hold one array of numbers, of one or two dimensions")
        if isinstance(array, np.memmap) and array.offset + array.nbytes != os.path.getsize(path):
            raise ValueError(
                f"{path} is damaged: it has more bytes than its {array.shape} numbers of type {array.dtype}"
            )
        self.array = array if array.ndim == 2 else array[:, np.newaxis]
        super().__init__(path, [f"x{i}" for i in range(self.array.shape[1])])

    def columns(self, *groups: Sequence[int]) -> list[np.ndarray]:
        every = list(range(len(self.names)))
        return [self.array if list(places) == every else self.array[:, places] for places in groups]


class ParquetTable(Table):
    """Parquet, read by Arrow."""

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
        chunks = [X for (X,) in from_arrow(self.source, names)]
        return np.concatenate(chunks) if chunks else np.empty((0, len(names)))


@contextmanager
def open_table(path: str) -> Iterator[Table]:
    """The table in a file, by its suffix .npy, .parquet or .pq; any other is CSV, and "-" CSV on standard input."""
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
    """Columns of one length, by the suffix .parquet, .pq or .json; any other is CSV, and "-" CSV on standard output."""
    suffix = Path(path).suffix.lower()
    if suffix in PARQUET:
        with written(path, "wb") as file:
            write_parquet(file, columns)
        return
    with standard_output() if path == STANDARD else written(path, "w", newline="", encoding="utf-8") as file:
        (write_json if suffix == ".json" else write_csv)(file, columns)


@contextmanager
def written(path: str, mode: str, **options: Any) -> Iterator[IO[Any]]:
    """A file that is replaced when it is complete; a pipe or a device has nothing that could be replaced."""
    if not is_stream(path):
        with replacing(path, mode, **options) as file:
            yield file
        return
    try:
        with open(path, mode, **options) as file:
            yield file
    except OSError as error:
        error.filename = path
        raise


def is_stream(path: str) -> bool:
    found = Path(path)
    return path == STANDARD or (found.exists() and not found.is_file() and not found.is_dir())


def write_csv(file: IO[str], columns: dict[str, np.ndarray]) -> None:
    """Every number with as many digits as tell it from others."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for begin in range(0, max(map(len, columns.values())), ROWS_AT_A_TIME):
        rows = (values[begin : begin + ROWS_AT_A_TIME].tolist() for values in columns.values())
        writer.writerows(zip(*rows, strict=True))


def write_json(file: IO[str], columns: dict[str, np.ndarray]) -> None:
    file.write(json.dumps({name: values.tolist() for name, values in columns.items()}) + "\n")


def write_parquet(file: IO[bytes], columns: dict[str, np.ndarray]) -> None:
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install 'fastem[arrow]'") from error
    parquet.write_table(arrow.table(columns), file)
