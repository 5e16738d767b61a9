"""Rows that are read once, some at a time: wherever they are, what is made of them is all that stays in memory."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import closing

from fastem._typing import ArrayLike, RowKind
from fastem.data.arrow import ArrowRows
from fastem.data.chunk_source import Arrays, Chunk, Chunkable, Source, prefetch, rechunk
from fastem.data.dask_predict import DaskCollection, columns_of_trials, is_dask, is_number, matrix
from fastem.data.rows import Rows
from fastem.data.slots import SLOT_ROWS
from fastem.kernels.backend import Backend
from fastem.validation.arrays import check_n_features
from fastem.validation.missing import has_missing
from fastem.validation.settings import as_integer

ROWS_AT_A_TIME = 16 * SLOT_ROWS
"""Rows that are in memory together: their responsibilities are some MiB."""


def as_chunks(X: ArrayLike | None, chunks: Chunkable | None) -> tuple[ArrayLike | None, Chunkable | None]:
    """Return X and the chunks, one of which is None: rows that Arrow reads are chunks in the place of X, too."""
    given: object = X
    return (None, given) if chunks is None and isinstance(given, ArrowRows) else (X, chunks)


def named_rows(X: object, chunks: object) -> object:
    """Return what may name the columns: X, or rows of Arrow that come as chunks."""
    return chunks if X is None and isinstance(chunks, ArrowRows) else X


def described_by(X: object) -> object:
    """Return what has the names of the columns: X itself, or a frame or a table without rows."""
    if isinstance(X, ArrowRows):
        return X.without_rows()
    return getattr(X, "_meta", X) if is_dask(X) else X


def read_once(
    chunks: Chunkable,
    row_kind: RowKind,
    trials: int | None,
    backend: Backend,
    *,
    n_features: int,
    owner: str,
    missing: bool = False,
) -> Iterator[Rows]:
    """Yield the rows of chunks, checked; each some are read while those before are in use.

    trials are those of chunks that come without.  ValueError for rows of another length than `owner` expects.
    """
    constant = None if trials is None else as_integer(trials, "trials", 0)
    source = Source(chunks, row_kind, constant, once=True, missing=missing)
    n = 0
    with backend, closing(prefetch(rechunk(of_length(source, n_features, owner), ROWS_AT_A_TIME))) as buffers:
        for arrays in buffers:
            n += len(arrays[0])
            yield Rows.of(arrays, row_kind, backend, None, missing and has_missing(arrays[0]))
    if not n:
        used_up = ": has this iterator been read before?" if isinstance(chunks, Iterator) else ""
        raise ValueError(f"chunks: found 0 rows, a minimum of 1 is required{used_up}")


def of_length(source: Source, n_features: int, owner: str) -> Iterator[Arrays]:
    """Yield the checked arrays of each chunk, whose rows have so many columns."""
    for _, arrays in source.read():
        check_n_features(arrays[0].shape[1], n_features, owner)
        yield arrays


def chunks_of_dask(X: DaskCollection, trials: object, row_kind: RowKind) -> Callable[[], Iterator[Chunk]]:
    """Return a function that computes the partitions of a Dask collection one after the other, as chunks."""
    array = matrix(X, row_kind)
    arrays = [array] if trials is None or is_number(trials) else [array, columns_of_trials(trials, array)]
    compute = importlib.import_module("dask").compute

    def chunks() -> Iterator[Chunk]:
        parts = zip(*(each.to_delayed().ravel() for each in arrays), strict=True)
        return (compute(*part) for part in parts)

    return chunks
