"""Read tables of numbers from delimited text, NPY, Parquet and Arrow files."""

from __future__ import annotations

import gzip
import importlib
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader, TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np

from fastem._storage import undamaged
from fastem.cli.delimited import Delimited
from fastem.cli.dialect import DELIMITERS
from fastem.cli.missing import Missing
from fastem.cli.streams import STANDARD
from fastem.cli.usage import SIMILAR, close_to, did_you_mean
from fastem.data.arrow import Source, opened
from fastem.validation.arrays import first_where

PARQUET = (".parquet", ".pq")
ARROW = (".arrow", ".feather", ".ipc")
GZIP = b"\x1f\x8b"
"""First bytes of what gzip has written."""
ARROW_FILES = b"ARROW1", b"FEA1"
"""First bytes of Arrow files, whose other form is a stream."""
MAX_LISTED = 20
"""Number of columns up to which a message lists all of them."""
MAX_SIMILAR = 3
"""Number of similar names of many that a message lists."""
MAX_COMPARED = 10_000
"""Number of columns that are compared with a wrong name, to suggest similar names."""
INDEX = re.compile(r"|__index_level_\d+__")
"""Column names of row names: pandas and R leave them empty in CSV, and pandas has its own in Parquet."""


class Table:
    """Columns of numbers in a file, and others.

    `notes` has a sentence for each thing that was read in an unexpected way; it is complete when columns are read.
    Missing values are NaN if they are accepted, and else refused with their place.
    """

    def __init__(self, source: str, names: list[str], missing: Missing, notes: list[str] | None = None) -> None:
        self.source, self.names, self.missing = source, names, missing
        self.notes = [] if notes is None else notes
        self._place_of = {name: place for place, name in enumerate(names)}
        self._times = Counter(names) if len(self._place_of) < len(names) else Counter()

    def columns(self, *groups: Sequence[int], kept: Sequence[int] = ()) -> list[np.ndarray]:
        """Read an array (n, columns) for each group of places, and one (n,) of objects for each kept place.

        ValueError for anything but numbers in the groups.  Call it once.
        """
        raise NotImplementedError

    def texts(self, places: Sequence[int]) -> dict[int, str]:
        """Return which of the columns hold no numbers, with an example of what they hold."""
        raise NotImplementedError

    def where(self, row: int) -> str:
        """Say where a row is, once columns have been read."""
        return f"row {row} (from 0)"

    def place(self, name: str) -> int:
        """Return the place of the column with this name or, if there is none, with this number."""
        if name and self._times[name] > 1:
            numbers = " or ".join(str(place) for place, each in enumerate(self.names) if each == name)
            raise ValueError(f"{self.source} has {self._times[name]} columns {name!r}: choose by number, {numbers}")
        if name and name in self._place_of:
            return self._place_of[name]
        if name.isdecimal() and int(name) < len(self.names):
            return int(name)
        raise ValueError(f"{self.source} has no column {name!r}{self._suggestion(name)}")

    def label(self, place: int) -> str:
        """Return the name of a column or, if it is empty or not unique, its number: `place` accepts both."""
        name = self.names[place]
        return name if name and self._times[name] <= 1 else str(place)

    def others(self, excluded: Sequence[int]) -> list[int]:
        """Return the places of all columns of numbers but these, and but row names; a note names what is left out.

        ValueError if names are not unique.  Where no column has numbers, all are returned: `columns` says what is wrong
        with the first.
        """
        rest = sorted({*range(len(self.names))} - {*excluded})
        places = [place for place in rest if not INDEX.fullmatch(self.names[place])]
        texts = self.texts(places)
        if len(texts) < len(places):
            places = [place for place in places if place not in texts]
            self._note_texts(texts)
        for place in places:
            self.place(self.names[place])  # raises if another column has this name
        self._note_nameless([place for place in rest if INDEX.fullmatch(self.names[place])])
        return places

    def _note_texts(self, texts: dict[int, str]) -> None:
        """Add a note on columns that hold no numbers."""
        if texts:
            listed = [f"{self.label(place)} ({text})" for place, text in texts.items()]
            more = f" and {len(listed) - MAX_LISTED} more" if len(listed) > MAX_LISTED else ""
            self.notes.append(
                f"{self.source}: columns without numbers are left out: {', '.join(listed[:MAX_LISTED])}{more}"
            )

    def _note_nameless(self, places: list[int]) -> None:
        """Add a note on columns without names."""
        if places:
            self.notes.append(
                f"{self.source}: column {', '.join(map(str, places[:MAX_LISTED]))} has no name and is left out;"
                " --columns accepts numbers, too"
            )

    def _suggestion(self, name: str) -> str:
        """Return the columns there are or, of many, those with similar names."""
        if len(self.names) <= MAX_LISTED:
            return f"{did_you_mean(name, self.names)}; it has {', '.join(self.names)}"
        similar = close_to(name, self.names[:MAX_COMPARED], MAX_SIMILAR, SIMILAR)
        return f"; it has {len(self.names)} columns; similar names: {', '.join(similar) if similar else 'none'}"

    def _marked(self, X: np.ndarray, places: Sequence[int]) -> np.ndarray:
        """Return an array with NaN for numbers that stand for missing values; ValueError if none are accepted."""
        if self.missing.has_numbers and (marks := np.isin(X, self.missing.numbers)).any():
            X = np.where(marks, np.nan, X)
        if X.dtype.kind == "f" and not self.missing.accepted and (index := first_where(np.isnan, X)):
            column = self.label(places[index[1]])
            raise ValueError(
                f"{self.source}: {self.where(index[0])}, column {column!r} is a missing value: --drop-missing leaves"
                " out such rows, --keep-missing keeps them"
            )
        return X


class TextTable(Table):
    """A table in CSV or other delimited text."""

    def __init__(self, source: str, file: TextIOWrapper, missing: Missing) -> None:
        self.text = Delimited(source, file, missing)
        super().__init__(source, self.text.names, missing, self.text.notes)

    def columns(self, *groups: Sequence[int], kept: Sequence[int] = ()) -> list[np.ndarray]:
        return self.text.read(groups, kept)

    def texts(self, places: Sequence[int]) -> dict[int, str]:
        return self.text.texts(places)

    def others(self, excluded: Sequence[int]) -> list[int]:
        if len(self.names) > 1:
            self.text.advice = "; --columns A,B chooses other columns"
        elif len(self.names[0].split()) > 1:
            self.text.advice = f"; spaces do not separate cells: {', '.join(DELIMITERS.values())} do"
        return super().others(excluded)

    def where(self, row: int) -> str:
        return f"line {self.text.lines[row]}"


class ArrayTable(Table):
    """A table in an NPY file, whose columns are called x0, x1, ...

    The file is memory-mapped; columns are copied only if some of them are asked for.
    """

    def __init__(self, path: str, missing: Missing) -> None:
        with undamaged(path):
            array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray) or array.ndim not in (1, 2) or array.dtype.kind not in "biuf":
            raise ValueError(f"{path} must hold one array of numbers, of one or two dimensions")
        if isinstance(array, np.memmap) and array.offset + array.nbytes != os.path.getsize(path):
            raise ValueError(f"{path} is damaged: it has more bytes than {array.shape} numbers of type {array.dtype}")
        self.array = array if array.ndim == 2 else array[:, np.newaxis]
        super().__init__(path, [f"x{i}" for i in range(self.array.shape[1])], missing)

    def columns(self, *groups: Sequence[int], kept: Sequence[int] = ()) -> list[np.ndarray]:
        every = list(range(len(self.names)))
        arrays = [self.array if list(places) == every else self.array[:, places] for places in groups]
        marked = [self._marked(X, places) for X, places in zip(arrays, groups, strict=True)]
        return [*marked, *(self.array[:, place] for place in kept)]

    def texts(self, places: Sequence[int]) -> dict[int, str]:
        return {}


class ArrowTable(Table):
    """A table in Parquet or Arrow files, which Arrow reads."""

    def __init__(self, path: str, file: Source, missing: Missing) -> None:
        self.file = file
        if not file.names:
            raise ValueError(f"{path} has no columns")
        super().__init__(path, list(file.names), missing)

    def columns(self, *groups: Sequence[int], kept: Sequence[int] = ()) -> list[np.ndarray]:
        *names, kept_names = [[self.names[place] for place in places] for places in (*groups, kept)]
        dtypes = [np.dtype(np.float32 if self.file.types(group) == {"float"} else np.float64) for group in names]
        blocks = [[np.empty((0, len(group)), dtype)] for group, dtype in zip(names, dtypes, strict=True)]
        cells: list[list[object]] = [[] for _ in kept]
        for batch in self.file.batches(list(dict.fromkeys(chain(*names, kept_names)))):
            for of_group, group, dtype in zip(blocks, names, dtypes, strict=True):
                of_group.append(numbers_of(batch, group, dtype))
            for of_column, name in zip(cells, kept_names, strict=True):
                of_column.extend(batch.column(name).to_pylist())
        arrays = [self._marked(np.concatenate(X), places) for X, places in zip(blocks, groups, strict=True)]
        return [*arrays, *(as_objects(column) for column in cells)]

    def texts(self, places: Sequence[int]) -> dict[int, str]:
        return {place: found for place in places if (found := self._text(self.names[place]))}

    def _text(self, name: str) -> str:
        """Return the type of a column without numbers; "" for numbers."""
        try:
            self.file.types([name])
        except TypeError as error:
            return str(error).partition("got ")[2].partition(" in ")[0]
        except ValueError:  # there are two of this name, which is said later
            return ""
        return ""


def numbers_of(batch: Any, names: list[str], dtype: np.dtype) -> np.ndarray:
    """Return an array (n, columns) of columns of a batch of Arrow's, with NaN for null."""
    rows = np.empty((len(batch), len(names)), dtype)
    for place, name in enumerate(names):
        rows[:, place] = np.array(batch.column(name).to_numpy(zero_copy_only=False), dtype)
    return rows


def as_objects(values: list[object]) -> np.ndarray:
    """Return an array of objects, even if they are sequences of one length."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def open_arrow(path: str) -> Source:
    """Open an Arrow file or stream, mapped; ValueError if it is neither."""
    try:
        arrow, feather = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.feather")
    except ImportError as error:
        raise ImportError(f"{path} needs pyarrow: pip install pyarrow") from error
    with open(path, "rb") as file:
        is_file = file.read(6).startswith(ARROW_FILES)
    try:
        table = feather.read_table(path, memory_map=True) if is_file else arrow.ipc.open_stream(path).read_all()
    except (arrow.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} is damaged, or no Arrow file: {error}") from None
    return opened(table)


def open_parquet(path: str) -> Source:
    """Open a Parquet file, or a folder of them."""
    os.stat(path)  # Arrow does not say what is wrong with a path
    try:
        return opened(path)
    except ValueError as error:
        raise ValueError(str(error) if path in str(error) else f"{path}: {error}") from None


@contextmanager
def open_table(path: str, missing: Missing | None = None) -> Iterator[Table]:
    """Open a table: by the suffix of its file, .npy, .parquet or .arrow for instance, else text; "-" is text, too."""
    suffix, missing = Path(path).suffix.lower(), missing or Missing()
    if suffix == ".npy":
        yield ArrayTable(path, missing)
    elif suffix in PARQUET:
        yield ArrowTable(path, open_parquet(path), missing)
    elif suffix in ARROW:
        yield ArrowTable(path, open_arrow(path), missing)
    else:
        with open_text(path) as file:
            yield TextTable("standard input" if path == STANDARD else path, file, missing)


@contextmanager
def open_text(path: str) -> Iterator[TextIOWrapper]:
    """Open text as Delimited asks for it; what gzip has written is unpacked, whatever its name is."""
    piped = path == STANDARD
    with open(0 if piped else path, "rb", closefd=not piped) as raw:
        packed = raw.peek(2).startswith(GZIP)
        file = cast(BufferedReader, gzip.GzipFile(fileobj=raw)) if packed else raw
        try:
            yield TextIOWrapper(file, newline="", encoding="utf-8-sig", errors="surrogateescape")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path} is damaged: {error}") from None
