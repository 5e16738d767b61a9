"""Write a table row by row to a CSV or a Parquet file, which appears when it is complete."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fastem._storage import replacing
from fastem.validation.settings import check_choice

CSV, PARQUET = ".csv", ".parquet"
SUFFIXES = (CSV, PARQUET)

Columns = Mapping[str, np.ndarray]
Write = Callable[[Columns], None]
"""Writes the next rows, an array for each column."""


@contextmanager
def open_table(path: str, types: Mapping[str, type[np.generic]]) -> Iterator[Write]:
    """Yield what writes the next rows of a table with columns of these types; ValueError for another suffix.

    At any time there is the old file at `path` or the new one, and the old one stays where an error ends the block.
    """
    suffix = Path(path).suffix.lower()
    check_choice(suffix, "the suffix of path", SUFFIXES)
    with (csv_table if suffix == CSV else parquet_table)(path, types) as write:
        yield write


@contextmanager
def csv_table(path: str, types: Mapping[str, type[np.generic]]) -> Iterator[Write]:
    """Yield what writes rows of CSV; every number has as many digits as identify it."""
    with replacing(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(types)
        yield lambda columns: writer.writerows(zip(*(columns[name].tolist() for name in types), strict=True))


@contextmanager
def parquet_table(path: str, types: Mapping[str, type[np.generic]]) -> Iterator[Write]:
    """Yield what writes row groups of Parquet."""
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install pyarrow") from error
    schema = arrow.schema([(name, arrow.from_numpy_dtype(kind)) for name, kind in types.items()])
    with replacing(path) as file, parquet.ParquetWriter(file, schema) as writer:
        yield lambda columns: writer.write_table(arrow.table(dict(columns), schema=schema))
