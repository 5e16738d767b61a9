"""Rows in groups at the door: values, counts, offsets and starts, checked; what is wrong with the rows of a group is
for the kernels to find."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastem.validation.arrays import COUNT_TYPES, TOTAL_WEIGHTS, as_numeric, as_weights, check_not, check_weights
from fastem.validation.settings import as_integer

MOST_COMPONENTS = 1 << 10
"""Or as many as the longest group has rows: beyond, there is nothing to fit, and results take memory all the same."""


def as_column(values: Any, name: str, whole: bool = False) -> np.ndarray:
    """(n,) numbers, of which any may be NaN."""
    array = as_numeric(values, name, whole)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, all groups one behind the other; got shape {array.shape}")
    return array


def as_count_columns(values: Any, trials: Any) -> tuple[np.ndarray, np.ndarray]:
    """Successes and trials, both (n,) and of one type; what is no count is left to be found."""
    array = as_column(values, "values", whole=True)
    if trials is None:
        raise TypeError("trials: the number of trials of each row is needed, an int or an array of shape (n,)")
    tosses = as_numeric(trials, "trials", whole=True)
    if tosses.shape not in ((), array.shape):
        raise ValueError(f"trials must be one number or have the shape of values, {array.shape}; got {tosses.shape}")
    dtype = np.result_type(array.dtype, type_for(tosses))
    return array.astype(dtype, copy=False), np.broadcast_to(tosses.astype(dtype, copy=False), array.shape)


def type_for(tosses: np.ndarray) -> np.dtype:
    """Of these; an int has no type of its own to keep, and takes the smallest."""
    if tosses.ndim or tosses.dtype.kind == "f":
        return tosses.dtype
    needed = np.min_scalar_type(tosses[()])
    return COUNT_TYPES[needed]


def as_offsets(values: Any, n: int) -> np.ndarray:
    """(m + 1,) int64 that rise from 0 to n."""
    array = as_numeric(values, "offsets", whole=True)
    if array.dtype.kind == "f":
        raise TypeError(f"offsets must hold integers, got {array.dtype}")
    if array.ndim != 1 or not len(array):
        raise ValueError(f"offsets must have shape (m + 1,), one more than there are groups; got {array.shape}")
    array = array.astype(np.int64)
    if array[0] != 0 or array[-1] != n:
        raise ValueError(f"offsets must begin at 0 and end at the {n} values, got {array[0]} and {array[-1]}")
    fall = np.flatnonzero(array[1:] < array[:-1])
    if len(fall):
        at = int(fall[0])
        raise ValueError(f"offsets must not fall, got {array[at + 1]} after {array[at]}, the end of group {at}")
    return array


def as_n_components(n_components: Any, edges: np.ndarray) -> int:
    longest = int(np.diff(edges).max(initial=0))
    return as_integer(n_components, "n_components", 1, most=max(longest, MOST_COMPONENTS))


def as_starts(values: Any, name: str, shape: tuple[int, int], low: float, high: float) -> np.ndarray:
    """(m, k) to be written to: those of each group or, (k,), of all; NaN, and None for all, is to be found."""
    if values is None:
        return np.full(shape, np.nan)
    array = as_numeric(values, name).astype(np.float64)
    if array.shape not in (shape, shape[1:]):
        raise ValueError(f"{name} must have shape {shape} or {shape[1:]}, got {array.shape}")
    rows = array.reshape(-1, shape[1])
    check_not(lambda block: (block < low) | (block > high), rows, f"{name} must lie from {low:g} to {high:g}")
    return np.array(np.broadcast_to(array, shape), order="C")


def as_starting_weights(values: Any, name: str, shape: tuple[int, int]) -> np.ndarray:
    """As starts, but of the mixing weights of a group all are given."""
    array = as_starts(values, name, shape, 0.0, 1.0)
    if values is None:
        return array
    totals = array.sum(axis=1, keepdims=True)
    check_not(lambda block: ~(np.abs(block - 1) <= 1e-6), totals, f"{name} must have a sum of 1 in every group")
    return np.asarray(array / totals)


def as_row_weights(sample_weight: Any, n: int) -> np.ndarray:
    """(n,), each 0 or of a size of which shares do not underflow."""
    weights, (low, high) = as_weights(sample_weight, n), TOTAL_WEIGHTS
    if sample_weight is not None:
        check_weights(weights)
        sentence = f"sample_weight must be 0 or lie from {low} to {high}; rescale it"
        check_not(lambda block: (block != 0) & ((block < low) | (block > high)), weights, sentence)
    return weights


def check_length(values: np.ndarray, name: str, n: int) -> None:
    if len(values) != n:
        raise ValueError(f"{name} must have {n} rows, as the groups of the fit; got {len(values)}")


def check_family_arguments(given: dict[str, Any], family: str) -> None:
    """Refuse what belongs to another family."""
    for name, value in given.items():
        if value is not None:
            raise TypeError(f"{name} must be left out where family={family!r}")
