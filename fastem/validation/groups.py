"""Convert what a user passes to `fit_many`: values, offsets and starts of many groups of rows.

Values of rows are not checked here: the kernels report the groups that cannot be fitted.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from fastem.validation.arrays import COUNT_TYPES, TOTAL_WEIGHTS, as_numeric, as_weights, check_not, check_weights
from fastem.validation.settings import as_integer

MOST_COMPONENTS = 1 << 10
"""Limit of n_components, unless a group has more rows: the results need memory for every component."""

LABELS = "; labels, one for each value, go to groups="
"""What is said of offsets that look like them: they come first where arguments have no names."""


def as_column(values: object, name: str, whole: bool = False, has_columns: bool = False) -> np.ndarray:
    """Convert values to an array of numbers, any of which may be NaN: (n,) or, with columns, (n, d)."""
    array = as_numeric(values, name, whole)
    if has_columns:
        if array.ndim != 2 or not array.shape[1]:
            raise ValueError(f"{name} must have rows of at least one column; got shape {array.shape}")
        return array
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, with one group after the other; got shape {array.shape}")
    return array


def as_count_columns(values: object, trials: object, has_columns: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Convert successes and trials to two arrays of one type, (n,) or (n, d); kernels check that they are counts."""
    array = as_column(values, "values", whole=True, has_columns=has_columns)
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
    try:
        array = as_numeric(values, "offsets", whole=True)
    except TypeError as error:
        raise TypeError(f"{error}{LABELS}") from None
    if array.dtype.kind == "f":
        raise TypeError(f"offsets must hold integers, got {array.dtype}")
    if array.ndim != 1 or not len(array):
        raise ValueError(f"offsets must have shape (m + 1,), one more than there are groups; got {array.shape}")
    array = array.astype(np.int64)
    if array[0] != 0 or array[-1] != n:
        hint = LABELS if len(array) == n else ""
        raise ValueError(
            f"offsets must begin at 0 and end at {n}, the number of values, got {array[0]} and {array[-1]}{hint}"
        )
    falling = np.flatnonzero(array[1:] < array[:-1])
    if len(falling):
        group = int(falling[0])
        raise ValueError(f"offsets must not decrease, got {array[group + 1]} after {array[group]} for group {group}")
    return array


class Grouping(NamedTuple):
    """Which rows are of which group."""

    offsets: np.ndarray  # (m + 1,) where each group begins
    names: np.ndarray | None = None  # (m,) labels
    order: np.ndarray | None = None  # (n,) rows group by group, where they came otherwise


def dimensions(values: object) -> int:
    """Return the number of dimensions of values."""
    try:
        return np.ndim(values)  # type: ignore[arg-type]
    except ValueError:  # ragged: they are refused by name where they are converted
        return 1


def has_columns(values: object, offsets: object, groups: object) -> bool:
    """Return whether rows have several columns: in an array (m, l, d), or (n, d) with offsets or labels."""
    return dimensions(values) == (2 if offsets is not None or groups is not None else 3)


def one_behind_the_other(values: Any, columns: bool) -> Any:
    """Return the rows of all groups one behind the other, where they come as an array with a group in each row."""
    if dimensions(values) != 2 + columns:
        return values
    array = np.asarray(values)
    return array.reshape(-1, array.shape[-1]) if columns else array.reshape(-1)


def beside(other: Any, name: str, values: Any, columns: bool, own_columns: bool) -> Any:
    """Return trials or weights one behind the other, as rows are that come as an array with a group in each row."""
    if dimensions(values) != 2 + columns or dimensions(other) != 2 + own_columns:
        return other
    shape = np.shape(values)[: 2 + own_columns]
    if np.shape(other) != shape:
        raise ValueError(f"{name} must have shape {shape}, as values have, got {np.shape(other)}")
    return one_behind_the_other(other, own_columns)


def as_grouping(values: Any, n: int, offsets: object, groups: object) -> Grouping:
    """Convert what says how n values are grouped: offsets, labels or, of a matrix, its rows."""
    if offsets is not None and groups is not None:
        raise TypeError("values need offsets or groups, got both")
    if offsets is None and groups is None:
        if dimensions(values) not in (2, 3):
            raise TypeError("values need offsets or groups, or to be an array with a group in each row; got neither")
        m, length = np.shape(values)[:2]
        return Grouping(np.arange(m + 1) * length, names_of_rows(values))
    if groups is None:
        return Grouping(as_offsets(offsets, n))
    names, order, edges = as_labelled_groups(groups, n)
    return Grouping(edges, names, order)


def numbers_of_groups(
    values: Any, n: int, offsets: object, groups: object, fitted: Grouping, columns: bool
) -> np.ndarray:
    """Return the number of the group of each of n rows (n,): of those of a fit, or of others in the same groups."""
    m = len(fitted.offsets) - 1
    if offsets is None and groups is None and dimensions(values) != 2 + columns:
        found, numbers = fitted, np.arange(m)
        check_length(n, int(fitted.offsets[-1]))
    else:
        found = as_grouping(values, n, offsets, groups)
        numbers = numbers_of_names(found, fitted.names, m)
    repeated = np.repeat(numbers, np.diff(found.offsets))
    if found.order is None:
        return repeated
    given = np.empty_like(repeated)
    given[found.order] = repeated
    return given


def numbers_of_names(found: Grouping, known: np.ndarray | None, m: int) -> np.ndarray:
    """Return which of m groups of a fit each group is: that of its name or, without names, of its position."""
    if found.names is None or (known is None and found.order is None):
        if len(found.offsets) != m + 1:
            raise ValueError(f"values must have rows of {m} groups, as the fit has; got {len(found.offsets) - 1}")
        return np.arange(m)
    place_of = {name: number for number, name in enumerate(range(m) if known is None else known)}
    for number, name in enumerate(found.names):
        if name not in place_of:
            row = number if found.order is None else found.order[found.offsets[number]]
            raise ValueError(f"groups must be labels of the fit, got {name!r} at row {row}")
    return np.array([place_of[name] for name in found.names], np.intp)


def names_of_rows(values: Any) -> np.ndarray | None:
    """Return the labels of the rows of a data frame; None where there are none, or they are not unique."""
    index = getattr(values, "index", None)
    if not hasattr(values, "columns") or index is None or not index.is_unique:
        return None
    names = np.asarray(index)
    return None if np.array_equal(names, np.arange(len(names))) else names


def as_labelled_groups(labels: object, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Convert labels of n rows to the groups that they name.

    Returns
    -------
    names : (m,) array
        The labels that there are, in ascending order; in the order of the rows where they cannot be compared.
    order : (n,) array
        The rows, group by group, each group in the order in which its rows came.
    offsets : (m + 1,) array
        Group g is rows order[offsets[g] : offsets[g + 1]].
    """
    try:
        array = np.asarray(labels)
    except (ValueError, RuntimeError) as error:  # ragged, or no array
        raise ValueError(f"groups is not an array: {error}") from None
    if array.dtype.kind == "V":
        raise TypeError(f"groups must have labels that can be keys of a dict, got records of dtype {array.dtype}")
    if array.shape != (n,):
        raise ValueError(f"groups must have one label for each of the {n} values, got shape {array.shape}")
    check_no_missing_label(array)
    try:
        names, codes = np.unique(array, return_inverse=True)
    except TypeError:  # of labels that cannot be compared
        names, codes = labels_as_met(array)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(names)))])
    return names, np.argsort(codes, kind="stable"), offsets


def check_no_missing_label(labels: np.ndarray) -> None:
    """Raise ValueError at the first label that is None, NaN, NaT or pandas.NA."""
    if labels.dtype.kind in "OfmM":
        missing = [each is None or type(each).__name__ in ("NAType", "NaTType") or each != each for each in labels]
        if any(missing):
            row = missing.index(True)
            raise ValueError(f"groups must have a label for each row, got {labels[row]!r} at row {row}")


def labels_as_met(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct labels (m,) in the order of the rows, and which of them each row has (n,)."""
    place_of: dict[object, int] = {}
    try:
        codes = np.array([place_of.setdefault(label, len(place_of)) for label in labels.tolist()])
    except TypeError as error:
        raise TypeError(f"groups must have labels that can be told apart by a dict: {error}") from None
    names = np.empty(len(place_of), object)
    names[:] = list(place_of)
    return names, codes


def as_sizes(n_components: Any, edges: np.ndarray) -> tuple[int, ...]:
    """Convert the numbers of components to try in every group, or the only one, to ints that rise."""
    most = max(int(np.diff(edges).max(initial=0)), MOST_COMPONENTS)
    if dimensions(n_components) == 0:
        return (as_integer(n_components, "n_components", 1, most=most),)
    sizes = tuple(sorted({as_integer(each, "n_components", 1, most=most) for each in n_components}))
    if not sizes:
        raise ValueError("n_components must have a number of components to try, got none")
    return sizes


def as_group(group: object, m: int) -> int:
    """Convert the number of one of m groups, from the end where it is negative; IndexError where there is none."""
    number = as_integer(group, "group", -sys.maxsize)
    if not -m <= number < m:
        raise IndexError(f"group must be a number from 0 to {m - 1}, or from {-m}, got {number}")
    return number % m


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


def check_length(n: int, expected: int) -> None:
    """Raise ValueError unless there are as many values as in the groups of the fit."""
    if n != expected:
        raise ValueError(
            f"values must have {expected} rows, as the groups of the fit have, or groups or offsets; got {n}"
        )


def check_family_arguments(given: Mapping[str, object], family: str) -> None:
    """Raise TypeError if an argument of another family is not None."""
    for name, value in given.items():
        if value is not None:
            raise TypeError(f"{name} must be left out for family={family!r}")
