"""Convert what a user passes to `fit_many`: values, offsets and starts of many groups of rows.

Values of rows are not checked here: the kernels report the groups that cannot be fitted.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fastem.validation.arrays import COUNT_TYPES, TOTAL_WEIGHTS, as_numeric, as_weights, check_not, check_weights
from fastem.validation.settings import as_integer

MOST_COMPONENTS = 1 << 10
"""Limit of n_components, unless a group has more rows: the results need memory for every component."""


def as_column(values: object, name: str, whole: bool = False) -> np.ndarray:
    """Convert values to an array (n,) of numbers, any of which may be NaN."""
    array = as_numeric(values, name, whole)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, with one group after the other; got shape {array.shape}")
    return array


def as_count_columns(values: object, trials: object) -> tuple[np.ndarray, np.ndarray]:
    """Convert successes and trials to two arrays (n,) of one type; kernels check that they are counts."""
    array = as_column(values, "values", whole=True)
    if trials is None:
        raise TypeError("trials: the number of trials of each row is needed, an int or an array of shape (n,)")
    n_trials = as_numeric(trials, "trials", whole=True)
    if n_trials.shape not in ((), array.shape):
        raise ValueError(f"trials must be one number or have the shape of values, {array.shape}; got {n_trials.shape}")
    dtype = np.result_type(array.dtype, type_for(n_trials))
    return array.astype(dtype, copy=False), np.broadcast_to(n_trials.astype(dtype, copy=False), array.shape)


def type_for(trials: np.ndarray) -> np.dtype:
    """Return the type of the trials; one int for all rows gets the smallest type of counts that represents it."""
    if trials.ndim or trials.dtype.kind == "f":
        return trials.dtype
    return COUNT_TYPES[np.min_scalar_type(trials[()])]


def as_offsets(values: object, n: int) -> np.ndarray:
    """Convert offsets to an int64 array (m + 1,) that rises from 0 to n."""
    array = as_numeric(values, "offsets", whole=True)
    if array.dtype.kind == "f":
        raise TypeError(f"offsets must hold integers, got {array.dtype}")
    if array.ndim != 1 or not len(array):
        raise ValueError(f"offsets must have shape (m + 1,), one more than there are groups; got {array.shape}")
    array = array.astype(np.int64)
    if array[0] != 0 or array[-1] != n:
        raise ValueError(
            f"offsets must begin at 0 and end at {n}, the number of values, got {array[0]} and {array[-1]}"
        )
    falling = np.flatnonzero(array[1:] < array[:-1])
    if len(falling):
        group = int(falling[0])
        raise ValueError(f"offsets must not decrease, got {array[group + 1]} after {array[group]} for group {group}")
    return array


def as_n_components(n_components: object, edges: np.ndarray) -> int:
    """Convert the number of components of every group to int."""
    longest = int(np.diff(edges).max(initial=0))
    return as_integer(n_components, "n_components", 1, most=max(longest, MOST_COMPONENTS))


def as_starts(values: object, name: str, shape: tuple[int, int], low: float, high: float) -> np.ndarray:
    """Convert starting values of each group (m, k), or of all groups (k,), to an array (m, k) that may be written to.

    The kernels choose the values that are NaN, or all values if there are None.
    """
    if values is None:
        return np.full(shape, np.nan)
    array = as_numeric(values, name).astype(np.float64)
    if array.shape not in (shape, shape[1:]):
        raise ValueError(f"{name} must have shape {shape} or {shape[1:]}, got {array.shape}")
    rows = array.reshape(-1, shape[1])
    check_not(lambda block: (block < low) | (block > high), rows, f"{name} must be between {low:g} and {high:g}")
    return np.array(np.broadcast_to(array, shape), order="C")


def as_starting_weights(values: object, name: str, shape: tuple[int, int]) -> np.ndarray:
    """Convert starting weights as `as_starts` does; those of each group must have the sum 1."""
    array = as_starts(values, name, shape, 0.0, 1.0)
    if values is None:
        return array
    totals = array.sum(axis=1, keepdims=True)
    check_not(lambda block: ~(np.abs(block - 1) <= 1e-6), totals, f"{name} must have a sum of 1 in every group")
    return np.asarray(array / totals)


def as_row_weights(sample_weight: object, n: int) -> np.ndarray:
    """Convert weights to an array (n,); each must be 0 or within the limits of a total weight."""
    weights, (low, high) = as_weights(sample_weight, n), TOTAL_WEIGHTS
    if sample_weight is not None:
        check_weights(weights)
        sentence = f"sample_weight must be 0 or between {low} and {high}; rescale it"
        check_not(lambda block: (block != 0) & ((block < low) | (block > high)), weights, sentence)
    return weights


def check_length(values: np.ndarray, name: str, n: int) -> None:
    """Raise ValueError unless there are as many values as in the groups of the fit."""
    if len(values) != n:
        raise ValueError(f"{name} must have {n} rows, as the groups of the fit have; got {len(values)}")


def check_family_arguments(given: Mapping[str, object], family: str) -> None:
    """Raise TypeError if an argument of another family is not None."""
    for name, value in given.items():
        if value is not None:
            raise TypeError(f"{name} must be left out for family={family!r}")
