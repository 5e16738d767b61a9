"""Predictions of Dask collections: lazy, a task for each partition."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol, TypeGuard, cast

import numpy as np
from numpy.typing import ArrayLike

from fastem._typing import DType, RowKind, SweptParams, SweptStats
from fastem.data.base import BY_COMPONENT
from fastem.data.open import open_rows
from fastem.exceptions import BadValueError
from fastem.validation.arrays import as_numeric, check_total_weight, check_weights
from fastem.validation.missing import without_values
from fastem.validation.settings import as_non_negative


class DaskArray(Protocol):
    """What is used of a `dask.array.Array`."""

    @property
    def shape(self) -> tuple[float, ...]:
        """The length of each dimension; NaN where one is unknown."""

    @property
    def ndim(self) -> int: ...
    @property
    def dtype(self) -> np.dtype: ...
    @property
    def chunks(self) -> tuple[tuple[float, ...], ...]: ...
    @property
    def numblocks(self) -> tuple[int, ...]: ...
    def __getitem__(self, key: object) -> DaskArray: ...
    def __mul__(self, other: DaskArray) -> DaskArray: ...
    def sum(self) -> DaskArray: ...
    def astype(self, dtype: DType) -> DaskArray: ...
    def rechunk(self, chunks: Mapping[int, object]) -> DaskArray: ...
    def to_delayed(self) -> np.ndarray: ...
    def map_blocks(self, call: Callable[..., np.ndarray], *, dtype: DType, meta: np.ndarray) -> DaskArray: ...


class DaskFrame(Protocol):
    """What is used of a Dask data frame or series."""

    @property
    def _meta(self) -> ArrayLike: ...
    def to_dask_array(self) -> DaskArray: ...


DaskCollection = DaskArray | DaskFrame


def is_dask(X: object) -> TypeGuard[DaskCollection]:
    """Return True for Dask collections, without importing Dask."""
    return hasattr(type(X), "__dask_graph__")


def as_dask_array(values: DaskCollection) -> DaskArray:
    """Return a Dask array of a Dask collection."""
    return values.to_dask_array() if hasattr(values, "to_dask_array") else values


def matrix(X: DaskCollection, row_kind: RowKind) -> DaskArray:
    """Return a Dask array of whole rows in each partition."""
    array = as_dask_array(X)
    if row_kind.is_counts and array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2:
        raise ValueError(f"X: Expected 2D array, got {array.ndim}D array instead, of shape {array.shape}.")
    return array.rechunk({1: -1}) if array.numblocks[1] > 1 else array


def is_number(value: object) -> TypeGuard[int]:
    """Return whether this is one number for all rows."""
    return value is not None and not is_dask(value) and np.ndim(cast(ArrayLike, value)) == 0


def align_chunks(values: object, X: DaskArray, name: str) -> DaskArray:
    """Return a Dask array whose partitions have the rows of those of X."""
    if not is_dask(values):
        raise TypeError(f"{name} must be a Dask collection where X is one, got {type(values).__name__}")
    array = as_dask_array(values)
    if not (np.isnan(X.shape[0]) or np.isnan(array.shape[0])):
        if array.shape[0] != X.shape[0]:
            raise ValueError(f"{name} must have one entry for each row of X, {X.shape[0]}, got {array.shape[0]}")
        array = array.rechunk({0: X.chunks[0], **({1: -1} if array.ndim > 1 else {})})
    if array.numblocks[0] != X.numblocks[0]:
        raise ValueError(f"{name} has {array.numblocks[0]} partitions, but X has {X.numblocks[0]}")
    return array


def lazy_posterior(
    params: SweptParams[SweptStats],
    X: DaskCollection,
    trials: object,
    wanted: str,
    *,
    owner: str,
    backend: str,
    missing: str = "raise",
    precision: DType = None,
) -> DaskArray:
    """Return a Dask array of what `Rows.predict` finds for each row; nothing is read yet."""
    array = matrix(X, params.row_kind)
    constant = trials if is_number(trials) else None
    arrays = [array] if trials is None or constant is not None else [array, columns_of_trials(trials, array)]
    precision = precision or (np.float32 if array.dtype == np.float32 else np.float64)
    call = partial(
        predict_partition,
        params=params,
        wanted=wanted,
        precision=precision,
        constant=constant,
        owner=owner,
        backend=backend,
        missing=missing,
    )
    dtype = np.dtype(np.intp if wanted == "labels" else precision)
    if wanted in ("resp", BY_COMPONENT):
        shape = {"chunks": (array.chunks[0], (len(params.all_weights),)), "meta": np.empty((0, 0), dtype)}
    else:
        shape = {"drop_axis": 1, "meta": np.empty(0, dtype)}
    map_blocks = importlib.import_module("dask.array").map_blocks
    lazy: DaskArray = map_blocks(call, *arrays, dtype=dtype, **shape)
    return lazy


def columns_of_trials(trials: object, X: DaskArray) -> DaskArray:
    """Return trials as a Dask array of two dimensions, with the partitions of X."""
    array = align_chunks(trials, X, "trials")
    return array[:, np.newaxis] if array.ndim == 1 else array


def predict_partition(
    X: np.ndarray,
    trials: np.ndarray | None = None,
    *,
    params: SweptParams[SweptStats],
    wanted: str,
    precision: DType,
    constant: ArrayLike | None,
    owner: str,
    backend: str,
    missing: str = "raise",
    block_id: tuple[int, ...] = (0,),
) -> np.ndarray:
    """Predict with one thread, as in a fit; an error names the partition in which something is wrong."""
    if not len(X):
        return np.empty((0, len(params.all_weights)) if wanted in ("resp", BY_COMPONENT) else 0)
    trials_of_rows = constant if trials is None else trials
    kind, d = params.row_kind, params.n_features
    try:
        with open_rows(
            X, trials_of_rows, n_features=d, owner=owner, row_kind=kind, missing=missing, backend=backend, n_threads=1
        ) as rows:
            return rows.predict(params, wanted, precision)
    except BadValueError as error:
        number = block_id[0]
        sentence = f"partition {number}: {error.sentence}, in the partition"
        raise BadValueError(sentence, error.index, error.advice) from None


def having_values(X: DaskCollection, row_kind: RowKind) -> DaskArray:
    """Return a Dask array (n,) of 1.0, and 0.0 for rows of which every value is missing."""
    array = importlib.import_module("dask.array")
    found: DaskArray = array.map_blocks(
        lambda rows: 1.0 - without_values(as_numeric(rows, "X")),
        matrix(X, row_kind),
        dtype=np.float64,
        drop_axis=1,
        meta=np.empty(0),
    )
    return found


def mean_of(log_prob: DaskArray, sample_weight: object, present: DaskArray | None = None) -> tuple[float, float]:
    """Return the weighted mean and the total weight of a Dask array of float64, in one pass.

    present (n,) is 0 for rows that have no weight in any case.
    """
    arrays = importlib.import_module("dask.array")
    weights: DaskArray
    if sample_weight is None:
        weights = arrays.ones_like(log_prob)
    elif is_number(sample_weight):
        weights = arrays.full_like(log_prob, as_non_negative(sample_weight, "sample_weight"))
    else:
        cut = align_chunks(sample_weight, log_prob, "sample_weight").astype(np.float64)
        weights = cut.map_blocks(checked_weights, dtype=np.float64, meta=np.empty(0))
    if present is not None:
        weights = weights * present
    total, weighted = importlib.import_module("dask").compute(weights.sum(), (weights * log_prob).sum())
    check_total_weight(float(total), missing=present is not None)
    return float(weighted / total), float(total)


def checked_weights(weights: np.ndarray) -> np.ndarray:
    """Return the weights of one partition, which are finite and not negative."""
    check_weights(weights)
    return weights
