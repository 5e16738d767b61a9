"""Rows of Parquet files, Arrow tables and data sets as chunks of a fit.  Arrow reads them, and is loaded when asked."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from fastem import checks, inputs
from fastem.mapped import BYTES_AT_A_TIME

BATCH_ROWS = 1 << 17
"""Rows that Arrow hands over at a time, at the most."""
AHEAD = 1
"""Batches and files that Arrow reads ahead, in the place of its own 16 and 4: all of them are memory."""
SCAN = {"batch_size": BATCH_ROWS, "batch_readahead": AHEAD, "fragment_readahead": AHEAD}


class ArrowRows:
    """Columns of an Arrow data set as chunks, read anew each time they are iterated."""

    def __init__(
        self,
        name: str,
        dataset: Any,
        columns: list[str],
        trials: Any,
        weight: list[str],
        dtype: Any,
        cache: Any,
        of_files: bool = False,
    ) -> None:
        """of_files: dataset is Parquet files as they are, without filters or columns that are not in them."""
        self.name = name  # for messages
        self.dataset = dataset
        self.columns = columns
        self.trials = trials
        self.weight = weight
        self.names = columns + (trials if isinstance(trials, list) else []) + weight
        self.dtype = dtype
        self.cache = None if cache is None else Path(cache)
        self.of_files = of_files
        self._is_cached = False

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return map(self._split, self._rows())

    def _rows(self) -> Iterator[np.ndarray]:
        if self.cache is None:
            yield from self._batches()
            return
        if not self._is_cached:
            self._fill(self.cache)
            self._is_cached = True
        rows = np.load(self.cache, mmap_mode="r")
        length = max(1, BYTES_AT_A_TIME // (self.dtype.itemsize * len(self.names)))
        yield from (rows[begin : begin + length] for begin in range(0, len(rows), length))

    def _split(self, rows: np.ndarray) -> tuple[Any, ...]:
        """(X,), then trials and sample_weight where there are any."""
        end = len(self.columns)
        parts: list[Any] = [rows[:, :end]]
        if self.trials is not None:
            parts.append(rows[:, end : end + len(self.trials)] if isinstance(self.trials, list) else self.trials)
        return (*parts, rows[:, -1]) if self.weight else tuple(parts)

    def _batches(self) -> Iterator[np.ndarray]:
        """(rows, columns) of each batch; ValueError for a null."""
        begin = 0
        for batch in self._scanned():
            rows = np.empty((len(batch), len(self.names)), self.dtype)
            for place, name in enumerate(self.names):
                column = batch.column(name)
                if column.null_count:
                    inputs.refuse_null(column.is_null().to_numpy(zero_copy_only=False), name, begin)
                rows[:, place] = column.to_numpy(zero_copy_only=False)
            begin += len(batch)
            rows.flags.writeable = False  # it is not used again, and need not be copied
            yield rows

    def _scanned(self) -> Iterator[Any]:
        """Record batches of Arrow's."""
        if not self.of_files:
            yield from self.dataset.to_batches(columns=self.names, **SCAN)
            return
        for file in self.dataset.get_fragments():
            yield from self._of_file(file)

    def _of_file(self, file: Any) -> Iterator[Any]:
        """A batch is decoded at a time; a whole row group, as Arrow's data sets do, where it takes these to make the
        types those of the first file."""
        if self._types(file.physical_schema) != self._types(self.dataset.schema):
            yield from file.to_batches(schema=self.dataset.schema, columns=self.names, **SCAN)
            return
        parquet = importlib.import_module("pyarrow.parquet")
        with parquet.ParquetFile(file.path, filesystem=file.filesystem, pre_buffer=False) as own:
            yield from own.iter_batches(BATCH_ROWS, columns=self.names)

    def _types(self, schema: Any) -> list[Any]:
        return [schema.field(name).type for name in self.names if name in schema.names]

    def _fill(self, cache: Path) -> None:
        """Write all rows to the cache, which is there when it is complete."""
        shape = (self.dataset.count_rows(), len(self.names))
        header = {"descr": npy.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        unfinished = cache.with_name(cache.name + ".unfinished")
        with unfinished.open("wb") as file:
            npy.write_array_header_2_0(file, header)
            for rows in self._batches():
                rows.tofile(file)
        os.replace(unfinished, cache)


def from_arrow(
    source: Any,
    columns: Any,
    *,
    sample_weight: str | None = None,
    trials: Any = None,
    dtype: Any = None,
    cache: Any = None,
) -> ArrowRows:
    """Rows of Parquet files, of an Arrow table or of a data set: chunks for `fit(chunks=...)` and `open_chunks`.

    Needs pyarrow: ``pip install 'fastem[arrow]'``.

    Parameters
    ----------
    source : path, pyarrow.Table or pyarrow.dataset.Dataset
        A Parquet file, a folder of them, or what Arrow has opened: other formats, files in a store, filtered rows.
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
        `from_arrow`, and not deleted.

    Returns
    -------
    ArrowRows
        To be iterated, again and again.

    Raises
    ------
    ImportError
        Without pyarrow.
    ValueError, TypeError
        For columns that are not there or hold no numbers; in a pass, for the first null, by row and column.

    Examples
    --------
    >>> import pyarrow, fastem
    >>> table = pyarrow.table({"height": [1.0, 2.0, 3.0, 11.0, 12.0, 13.0]})
    >>> fastem.GaussianMixture(2, random_state=0).fit(chunks=fastem.from_arrow(table, "height")).weights_
    array([0.5, 0.5])
    """
    dataset = opened(source)
    names = named(columns, "columns")
    tosses = trials if trials is None or isinstance(trials, int) else named(trials, "trials")
    weight = [] if sample_weight is None else named(sample_weight, "sample_weight")
    every = names + (tosses if isinstance(tosses, list) else []) + weight
    single = [inputs.number_column(dataset.schema, name) == "float" for name in every]
    if dtype is None:
        dtype = np.float32 if all(single) else np.float64
    of_files = isinstance(source, (str, os.PathLike))
    name = str(source) if of_files else type(source).__name__
    return ArrowRows(name, dataset, names, tosses, weight, checks.real_type(dtype), cache, of_files)


def opened(source: Any) -> Any:
    """A pyarrow data set."""
    try:
        arrow, dataset = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.dataset")
    except ImportError as error:
        raise ImportError("from_arrow needs pyarrow: pip install 'fastem[arrow]'") from error
    if isinstance(source, dataset.Dataset):
        return source
    if not isinstance(source, (str, os.PathLike, arrow.Table)):
        raise TypeError(
            f"source must be a path, a pyarrow.Table or a pyarrow.dataset.Dataset, got {type(source).__name__}"
        )
    if isinstance(source, arrow.Table):
        return dataset.dataset(source)
    lean = dataset.ParquetFragmentScanOptions(pre_buffer=False)  # half the memory, as fast from a disk
    return dataset.dataset(source, format=dataset.ParquetFileFormat(default_fragment_scan_options=lean))


def named(columns: Any, name: str) -> list[str]:
    """Names of columns, of which one may stand alone."""
    found = [columns] if isinstance(columns, str) else list(columns)
    if not found or not all(isinstance(each, str) for each in found):
        raise TypeError(f"{name} must be a name or names of columns, got {columns!r}")
    return found
