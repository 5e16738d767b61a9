"""Predictions of rows that are read some at a time: for arrays of results, for means, and for files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import numpy as np

from fastem._typing import ArrayLike, DType, PathLike
from fastem.data.base import chosen_backend
from fastem.data.chunk_source import Chunkable
from fastem.data.dask_predict import is_dask, is_number
from fastem.data.one_pass import ROWS_AT_A_TIME, chunks_of_dask, read_once
from fastem.data.rows import Rows
from fastem.data.table_writer import open_table
from fastem.estimators.model import open_in_memory, trials_of
from fastem.estimators.state import MixtureState
from fastem.kernels.linear import dot
from fastem.validation.arrays import check_only_chunks, check_total_weight
from fastem.validation.settings import as_path

COLUMNS: dict[str, type[np.generic]] = {"component": np.int32, "probability": np.float64, "log_density": np.float64}
"""The columns of a file of predictions."""


def parts_of(
    mixture: MixtureState, X: ArrayLike | None, trials: ArrayLike | None, chunks: Chunkable | None
) -> Iterator[Rows]:
    """Yield the rows of a call some at a time, wherever they are: in memory, on Dask, or in chunks."""
    if chunks is not None:
        check_only_chunks(X, trials, None)
        yield from parts_of_chunks(mixture, chunks, trials_of(mixture, trials))
    elif is_dask(X):
        trials = trials_of(mixture, trials)
        of_partitions = chunks_of_dask(X, trials, mixture.family.row_kind)
        yield from parts_of_chunks(mixture, of_partitions, trials if is_number(trials) else None)
    else:
        rows = open_in_memory(mixture, cast(ArrayLike, X), trials, n_features=mixture.params_.n_features)
        with rows:
            yield from rows.slices(ROWS_AT_A_TIME)


def parts_of_chunks(mixture: MixtureState, chunks: Chunkable, trials: int | None) -> Iterator[Rows]:
    """Yield the rows of chunks some at a time; trials are those of chunks that come without."""
    kind, backend = mixture.family.row_kind, chosen_backend(None, mixture.backend, mixture.n_threads)
    owner, n_features = type(mixture).__name__, mixture.params_.n_features
    missing = mixture.missing == "marginalize"
    return read_once(chunks, kind, trials, backend, n_features=n_features, owner=owner, missing=missing)


def predict_chunks(
    mixture: MixtureState, trials: ArrayLike | None, chunks: Chunkable, wanted: str, precision: DType
) -> np.ndarray:
    """Return one of the predictions of `Rows.predict` for each row of the chunks."""
    params = mixture.params_
    return np.concatenate([rows.predict(params, wanted, precision) for rows in parts_of(mixture, None, trials, chunks)])


def mean_of_chunks(mixture: MixtureState, trials: ArrayLike | None, chunks: Chunkable) -> tuple[float, float]:
    """Return the weighted mean log density of the rows of the chunks, and their total weight."""
    params, sums, weights = mixture.params_, list[float](), list[float]()
    for rows in parts_of(mixture, None, trials, chunks):
        own = rows.weight_of_values
        sums.append(dot(own, rows.predict(params, "log_prob", np.float64)))
        weights.append(float(own.sum()))
    total = math.fsum(weights)
    check_total_weight(total, missing=mixture.missing == "marginalize")
    return math.fsum(sums) / total, total


def write_predictions(
    mixture: MixtureState, path: PathLike, X: ArrayLike | None, chunks: Chunkable | None, trials: ArrayLike | None
) -> int:
    """Write the component of each row, its probability and the log density to a file; return the number of rows."""
    params, n = mixture.params_, 0
    with open_table(as_path(path, "path"), COLUMNS) as write:
        for rows in parts_of(mixture, X, trials, chunks):
            found = rows.posterior(params, "log_prob", "resp", "labels")
            write({"component": found.labels, "probability": found.resp.max(axis=1), "log_density": found.log_prob})
            n += len(rows)
    return n
