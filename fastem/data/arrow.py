"""Rows of Parquet files, Arrow tables and data sets as chunks of a fit.  Arrow is imported when it is needed."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.lib import format as npy

from fastem._public import public
from fastem._typing import DType, PathLike, RowKind
from fastem.data.base import check_has_trials
from fastem.exceptions import warn
from fastem.kernels.mapped import BYTES_AT_A_TIME, check_mapped
from fastem.validation.arrays import ARROW_NUMBERS, number_type, raise_null
from fastem.validation.settings import as_float_dtype, as_integer, as_name, as_path

BATCH_ROWS = 1 << 17
"""The largest number of rows in a batch of Arrow's."""
PREFETCHED = 1
"""Batches and files that Arrow prefetches, instead of 16 and 4: all of them are in memory."""
SCAN = {"batch_size": BATCH_ROWS, "batch_readahead": PREFETCHED, "fragment_readahead": PREFETCHED}

FLOATS = ("halffloat", "float", "double")
"""Names of the floating-point types of Arrow, the narrower ones first."""
TYPED_FORMATS = ("parquet", "arrow", "feather", "orc")
"""Formats whose columns have types of their own; those of text are given by the data set."""
MOST_NAMED = 4
"""How many files a warning names, where more are ignored."""
PARQUET_SUFFIXES = (".parquet", ".pq")
HIDDEN = ("_", ".")
"""Arrow ignores names in a folder that begin so."""


class File(NamedTuple):
    """A Parquet file as it was when it was first opened."""

    path: str
    stamp: tuple[int, int]  # modification time and size
    schema: Any
    n: int


class Files:
    """Parquet files, each read by its own types: a cast to those of the first may lose digits of a later one.

    ParquetFile decodes a batch at a time, where a data set of Arrow's decodes whole row groups.
    """

    def __init__(self, source: PathLike) -> None:
        arrow, dataset = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.dataset")
        found = dataset.dataset(source, format="parquet", schema=arrow.schema([]))  # without opening the first
        self.name, self.filesystem = str(source), found.filesystem
        self.files = [self._file(path) for path in found.files]
        if not self.files:
            raise ValueError(f"{source} holds no Parquet files")
        warn_of_ignored_files(source)

    @property
    def names(self) -> list[str]:
        """The columns of the first file, then those that only others have."""
        first, *others = [file.schema.names for file in self.files]
        return [*first, *dict.fromkeys(name for names in others for name in names if name not in first)]

    def types(self, names: Sequence[str]) -> set[str]:
        """Return the types of these columns in all files; a file without rows may lack them."""
        files = [file for file in self.files if file.n] or self.files[:1]
        return {number_type(file.schema, name, file.path) for file in files for name in names}

    def count_rows(self) -> int:
        """Return the number of rows of all files, as it was when they were first opened."""
        return sum(file.n for file in self.files)

    def batches(self, names: list[str]) -> Iterator[Any]:
        """Yield record batches of these columns, file by file; ValueError if a file has changed since."""
        for file in self.files:
            if self._stamp(file.path) != file.stamp:
                raise ValueError(f"{file.path} has changed since from_arrow looked at it: call from_arrow again")
            if file.n:
                with self._opened(file.path) as opened:
                    yield from opened.iter_batches(BATCH_ROWS, columns=names)

    def _file(self, path: str) -> File:
        """Read the schema and the number of rows of a file."""
        stamp = self._stamp(path)
        with self._opened(path) as opened:
            return File(path, stamp, opened.schema_arrow, opened.metadata.num_rows)

    def _opened(self, path: str) -> Any:
        """Open a file; checksums of its pages are verified, where it has any."""
        parquet = importlib.import_module("pyarrow.parquet")
        options = {"pre_buffer": False, "page_checksum_verification": True}
        return parquet.ParquetFile(path, filesystem=self.filesystem, **options)

    def _stamp(self, path: str) -> tuple[int, int]:
        """Return the modification time, in ns, and the size in bytes, by which a changed file is known."""
        (found,) = self.filesystem.get_file_info([path])
        return found.mtime_ns, found.size


def warn_of_ignored_files(folder: PathLike) -> None:
    """Warn of Parquet files that Arrow ignores because of their names."""
    inside = [path.relative_to(folder) for path in sorted(Path(folder).rglob("*")) if path.suffix in PARQUET_SUFFIXES]
    left_out = [str(path) for path in inside if any(part.startswith(HIDDEN) for part in path.parts)]
    if left_out:
        more = f" and {len(left_out) - MOST_NAMED} more" if len(left_out) > MOST_NAMED else ""
        named = ", ".join(left_out[:MOST_NAMED]) + more
        warn(f"{folder}: {named} left out, since names that begin with _ or . are no data")


class Table:
    """A `pyarrow.Table`."""

    def __init__(self, table: Any) -> None:
        self.name, self.table = "a pyarrow.Table", table
        self.names = list(table.schema.names)

    def types(self, names: Sequence[str]) -> set[str]:
        """Return the types of these columns."""
        return {number_type(self.table.schema, name, self.name) for name in names}

    def count_rows(self) -> int:
        """Return the number of rows."""
        return len(self.table)

    def batches(self, names: list[str]) -> Iterator[Any]:
        """Yield record batches of these columns, each of which may be named more than once."""
        yield from self.table.select(list(dict.fromkeys(names))).to_batches(max_chunksize=BATCH_ROWS)


class DataSet:
    """A `pyarrow.dataset.Dataset`, which casts to the types of its schema."""

    def __init__(self, dataset: Any) -> None:
        self.name, self.dataset = f"a pyarrow {type(dataset).__name__}", dataset
        self.names = list(dataset.schema.names)

    def types(self, names: Sequence[str]) -> set[str]:
        """Return the types of its schema; TypeError where those of a file hold more numbers."""
        found = {name: number_type(self.dataset.schema, name, self.name) for name in names}
        for path, schema in self._typed_files():
            for name, read in found.items():
                if name in schema.names and loses(held := str(schema.field(name).type), read):
                    raise TypeError(
                        f"column {name!r} of {path} holds {held}, which the data set reads as {read}:"
                        " open it with a schema whose types hold those of all files, or pass the path"
                    )
        return set(found.values())

    def count_rows(self) -> int:
        """Return the number of rows that pass the filter of the data set, if it has one."""
        return int(self.dataset.count_rows())

    def batches(self, names: list[str]) -> Iterator[Any]:
        """Yield record batches of these columns; checksums of Parquet pages are verified."""
        yield from self.dataset.to_batches(columns=names, **SCAN, **self._checksums())

    def _checksums(self) -> dict[str, object]:
        """Return the options by which Arrow verifies the checksums of pages, where all files are Parquet."""
        if getattr(getattr(self.dataset, "format", None), "default_extname", "") != "parquet":
            return {}
        options = importlib.import_module("pyarrow.dataset").ParquetFragmentScanOptions
        return {"fragment_scan_options": options(page_checksum_verification=True, pre_buffer=False)}

    def _typed_files(self) -> Iterator[tuple[str, Any]]:
        """Yield paths and schemas of its files, or of those of its children; also where it is filtered."""
        for part in [self.dataset, *getattr(self.dataset, "children", [])]:
            if hasattr(part, "files") and part.format.default_extname in TYPED_FORMATS:
                yield from ((path, part.format.inspect(path, part.filesystem)) for path in part.files)


def loses(held: str, read: str) -> bool:
    """Return whether Arrow would lose digits in a cast without an error; to whole numbers there would be one."""
    if held == read or held not in ARROW_NUMBERS:
        return False
    return read == "bool" or (held in FLOATS and read in FLOATS and FLOATS.index(held) > FLOATS.index(read))


Source = Files | Table | DataSet


@public
class ArrowRows:
    """Columns that Arrow reads as chunks, again each time they are iterated."""

    def __init__(
        self,
        source: Source,
        columns: list[str],
        trials: list[str] | int | None,
        weight: list[str],
        dtype: np.dtype,
        cache: PathLike | None,
    ) -> None:
        self.name = source.name  # for messages
        self.source = source
        self.columns = columns
        self.trials = trials
        self.weight = weight
        self.names = columns + (trials if isinstance(trials, list) else []) + weight
        self.dtype = dtype
        self.cache = None if cache is None else Path(cache)
        self.nulls = False  # whether X may have nulls
        self.place_of_trials = trials is not None  # whether weights are third in a chunk
        self._cached: np.ndarray | None = None

    def __getstate__(self) -> dict[str, object]:
        """Return the state without the open cache: another process has one of its own."""
        return self.__dict__ | {"_cached": None}

    def for_rows(self, row_kind: RowKind, nulls: bool) -> ArrowRows:
        """Return the same rows as chunks of this kind; if nulls may be, with NaN where X has one."""
        check_has_trials(row_kind, self.trials)
        other = copy(self)
        other.nulls, other.place_of_trials = nulls, row_kind is RowKind.COUNTS_WITH_TRIALS
        return other

    def __repr__(self) -> str:
        return f"<ArrowRows: {', '.join(self.names)} of {self.name}>"

    def without_rows(self) -> Any:
        """Return a table of Arrow's with the columns of X and no rows, by which their names are known."""
        arrow = importlib.import_module("pyarrow")
        return arrow.schema([(name, arrow.from_numpy_dtype(self.dtype)) for name in self.columns]).empty_table()

    def __iter__(self) -> Iterator[tuple[np.ndarray | int | None, ...]]:
        return map(self._split, self._rows())

    def _rows(self) -> Iterator[np.ndarray]:
        """Yield (rows, columns) of one type: those of the source or, if there is a cache, slices of the cached file."""
        if self.cache is None:
            yield from self._batches()
            return
        if self._cached is None:
            self._cached = self._filled(self.cache)
        rows = self._cached
        check_mapped(rows)
        length = max(1, BYTES_AT_A_TIME // (self.dtype.itemsize * len(self.names)))
        yield from (rows[begin : begin + length] for begin in range(0, len(rows), length))

    def _split(self, rows: np.ndarray) -> tuple[np.ndarray | int | None, ...]:
        """Return (X,), then trials (None where they are known otherwise) and sample_weight where there are any."""
        end = len(self.columns)
        parts: list[np.ndarray | int | None] = [rows[:, :end]]
        if self.place_of_trials:
            parts.append(rows[:, end : end + len(self.trials)] if isinstance(self.trials, list) else self.trials)
        return (*parts, rows[:, -1]) if self.weight else tuple(parts)

    def _batches(self) -> Iterator[np.ndarray]:
        """Yield (rows, columns) of each batch; ValueError for a null."""
        begin = 0
        for batch in self.source.batches(self.names):
            rows = np.empty((len(batch), len(self.names)), self.dtype)
            for place, name in enumerate(self.names):
                column = batch.column(name)
                if column.null_count and not (self.nulls and name in self.columns):
                    raise_null(column.is_null().to_numpy(zero_copy_only=False), name, begin)
                rows[:, place] = column.to_numpy(zero_copy_only=False)
            begin += len(batch)
            rows.flags.writeable = False  # it is not used again, and need not be copied
            yield rows

    def _filled(self, cache: Path) -> np.ndarray:
        """Write the cache, and return all rows, mapped from the file that this call has written.

        Others may replace the cache at any time; a file that is mapped stays as it was.  If it was replaced before it
        could be mapped, it is written once more.
        """
        while True:
            written = self._write(cache)
            with cache.open("rb") as file:
                if os.path.samestat(written, os.fstat(file.fileno())):
                    return mapped(file)

    def _write(self, cache: Path) -> os.stat_result:
        """Write a file with a name of its own, and rename it to that of the cache when it is complete."""
        shape = (self.source.count_rows(), len(self.names))
        header = {"descr": npy.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        unfinished = cache.with_name(f"{cache.name}.{os.urandom(8).hex()}.unfinished")
        try:
            with unfinished.open("xb") as file:
                npy.write_array_header_2_0(file, header)
                for rows in self._batches():
                    rows.tofile(file)
                written = os.fstat(file.fileno())
            unfinished.replace(cache)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink()
            raise
        return written


def mapped(file: BinaryIO) -> np.ndarray:
    """Map the array of an open .npy file, of two dimensions in C order."""
    npy.read_magic(file)
    shape, _, dtype = npy.read_array_header_2_0(file)
    return np.memmap(file, dtype, "r", file.tell(), shape) if shape[0] else np.empty(shape, dtype)


def from_arrow(
    source: object,
    columns: str | Sequence[str],
    *,
    sample_weight: str | None = None,
    trials: str | Sequence[str] | int | None = None,
    dtype: DType = None,
    cache: PathLike | None = None,
) -> ArrowRows:
    """Read Parquet files, an Arrow table or a data set as chunks for `fit(chunks=...)` and `open_chunks`.

    Needs pyarrow: ``pip install pyarrow``.

    Parameters
    ----------
    source : path, pyarrow.Table or pyarrow.dataset.Dataset
        A Parquet file, a folder of them, or what Arrow has opened: other formats, files in a store, filtered rows.
        The files of a folder may differ in their types of numbers; those whose names begin with _ or . are left out,
        with a warning.  Checksums of pages are looked at, where a file has any.
    columns : str or sequence of str
        The columns of X.
    sample_weight : str, default=None
        The column of weights.
    trials : str, sequence of str or int, default=None
        Of counts: the column of trials, those for each column of X, or one number.
    dtype : {None, float32, float64}, default=None
        What rows are read as; None is float32 where all columns are, and float64 for all others.
    cache : path, default=None
        A .npy file to write the rows to in the first pass; later ones read it, mapped.  It is written anew by each
        `from_arrow`, and not deleted.  Several may use one name at once: each reads what it has written itself.

    Returns
    -------
    ArrowRows
        To be iterated, again and again.

    Raises
    ------
    ImportError
        Without pyarrow.
    ValueError, TypeError
        For columns that are not there, are there twice or hold no numbers, by file; in a pass, for the first null, by
        row and column, and for a file that is another one than `from_arrow` has seen.

    Examples
    --------
    >>> import pyarrow, fastem
    >>> table = pyarrow.table({"height": [1.0, 2.0, 3.0, 11.0, 12.0, 13.0]})
    >>> fastem.GaussianMixture(2, random_state=0).fit(chunks=fastem.from_arrow(table, "height")).weights_
    array([0.5, 0.5])
    """
    found = opened(source)
    names = named(columns, "columns")
    trials_columns: list[str] | int | None = None
    if trials is not None:
        of_all = isinstance(trials, (int, float, np.number))
        trials_columns = as_integer(trials, "trials", 0) if of_all else named(cast(str, trials), "trials")
    weight = [] if sample_weight is None else [as_name(sample_weight, "sample_weight")]
    cache = None if cache is None else as_path(cache, "cache")
    types = found.types(names + (trials_columns if isinstance(trials_columns, list) else []) + weight)
    if dtype is None:
        dtype = np.float32 if types == {"float"} else np.float64
    return ArrowRows(found, names, trials_columns, weight, as_float_dtype(dtype), cache)


def opened(source: object) -> Source:
    """Return what reads the columns: of Parquet files, or of what the caller has opened."""
    try:
        arrow, dataset = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.dataset")
    except ImportError as error:
        raise ImportError("from_arrow needs pyarrow: pip install pyarrow") from error
    if isinstance(source, (str, os.PathLike)):
        return Files(as_path(source, "source"))
    if isinstance(source, arrow.Table):
        return Table(source)
    if isinstance(source, dataset.Dataset):
        return DataSet(source)
    raise TypeError(f"source must be a path, a pyarrow.Table or a pyarrow.dataset.Dataset, got {type(source).__name__}")


def named(columns: str | Sequence[str], name: str) -> list[str]:
    """Return the names of columns as a list; one may be given alone."""
    try:
        found = [columns] if isinstance(columns, str) else list(columns)
    except TypeError:  # a number, say
        found = []
    if not found or not all(isinstance(each, str) for each in found):
        raise TypeError(f"{name} must be a name or names of columns, got {columns!r:.200}")
    return found
