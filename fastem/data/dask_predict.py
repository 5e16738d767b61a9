"""Predictions of Dask collections: lazily, a task for each block."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

import numpy as np

from fastem.data.open import open_rows
from fastem.exceptions import BadValueError
from fastem.validation.arrays import check_total_weight, check_weights
from fastem.validation.settings import as_non_negative


def is_dask(X: Any) -> bool:
    """Without Dask."""
    return hasattr(type(X), "__dask_graph__")


def described_by(X: Any) -> Any:
    """What has the names of the columns: of a Dask DataFrame, a frame without rows."""
    return X._meta if is_dask(X) else X


def matrix(X: Any, has_trials: bool = False) -> Any:
    """As a Dask array of whole rows in each block."""
    array = X.to_dask_array() if hasattr(X, "to_dask_array") else X
    if has_trials and array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2:
        raise ValueError(f"X: Expected 2D array, got {array.ndim}D array instead, of shape {array.shape}.")
    return array.rechunk({1: -1}) if array.numblocks[1] > 1 else array


def is_number(value: Any) -> bool:
    return value is not None and not is_dask(value) and np.ndim(value) == 0


def along(values: Any, X: Any, name: str) -> Any:
    """A Dask array cut as X is."""
    if not is_dask(values):
        raise TypeError(f"{name} must be a Dask collection where X is one, got {type(values).__name__}")
    array = values.to_dask_array() if hasattr(values, "to_dask_array") else values
    if not (np.isnan(X.shape[0]) or np.isnan(array.shape[0])):
        if array.shape[0] != X.shape[0]:
            raise ValueError(f"{name} must have one entry for each row of X, {X.shape[0]}, got {array.shape[0]}")
        array = array.rechunk({0: X.chunks[0], **({1: -1} if array.ndim > 1 else {})})
    if array.numblocks[0] != X.numblocks[0]:
        raise ValueError(f"{name} has {array.numblocks[0]} blocks, but X has {X.numblocks[0]}")
    return array


def lazy_posterior(
    params: Any, X: Any, trials: Any, wanted: str, *, owner: str, backend: str, precision: Any = None
) -> Any:
    """A Dask array of what `Rows.told` tells of each row; nothing is read yet."""
    map_blocks = importlib.import_module("dask.array").map_blocks
    array = matrix(X, params.has_trials)
    arrays = [array] if trials is None or is_number(trials) else [array, columned(along(trials, array, "trials"))]
    options = {"n_features": params.n_features, "has_trials": params.has_trials, "backend": backend, "owner": owner}
    precision = precision or (np.float32 if array.dtype == np.float32 else np.float64)
    one = trials if is_number(trials) else None
    call = partial(told_of_block, params=params, wanted=wanted, precision=precision, one=one, **options)
    dtype = np.dtype(np.intp if wanted == "labels" else precision)
    if wanted == "resp":
        shape = {"chunks": (array.chunks[0], (len(params.weights),)), "meta": np.empty((0, 0), dtype)}
    else:
        shape = {"drop_axis": 1, "meta": np.empty(0, dtype)}
    return map_blocks(call, *arrays, dtype=dtype, **shape)


def columned(trials: Any) -> Any:
    return trials[:, np.newaxis] if trials.ndim == 1 else trials


def told_of_block(
    X: np.ndarray,
    trials: Any = None,
    *,
    params: Any,
    wanted: str,
    precision: Any,
    one: Any,
    block_id: tuple[int, ...] = (0,),
    **options: Any,
) -> np.ndarray:
    """One thread, as in a fit; the number of the block is told where something is wrong with it."""
    if not len(X):
        return np.empty((0, len(params.weights)) if wanted == "resp" else 0)
    try:
        with open_rows(X, one if trials is None else trials, n_threads=1, **options) as rows:
            return rows.told(params, wanted, precision)
    except BadValueError as error:
        raise BadValueError(f"block {block_id[0]}: {error.sentence}, in the block", error.index) from None


def mean_of(log_prob: Any, sample_weight: Any) -> tuple[float, float]:
    """Weighted mean and total weight of a Dask array of float64, in one pass."""
    arrays, values = importlib.import_module("dask.array"), log_prob
    if sample_weight is None:
        weights = arrays.ones_like(values)
    elif is_number(sample_weight):
        weights = arrays.full_like(values, as_non_negative(sample_weight, "sample_weight"))
    else:
        cut = along(sample_weight, values, "sample_weight").astype(np.float64)
        weights = cut.map_blocks(checked_weights, dtype=np.float64, meta=np.empty(0))
    total, weighted = importlib.import_module("dask").compute(weights.sum(), (weights * values).sum())
    check_total_weight(float(total))
    return float(weighted / total), float(total)


def checked_weights(weights: np.ndarray) -> np.ndarray:
    """Return one block of weights, which are finite and not negative."""
    check_weights(weights)
    return weights
