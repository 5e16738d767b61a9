"""Convert rows and weights that a user passes to arrays, or say which row and column is wrong."""

from __future__ import annotations

import numbers
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from fastem.exceptions import BadValueError, place, warn
from fastem.kernels.mapped import in_use
from fastem.validation.extremes import extremes

LARGEST_MAGNITUDE = {np.dtype(np.float64): 1e140, np.dtype(np.float32): 1e18}
"""The largest magnitude that a fit accepts: beyond it a variance, in the precision of the rows, would overflow."""

COUNT_TYPES = {np.dtype(t): np.dtype(t) for t in (np.uint8, np.uint16, np.int32, np.int64)} | {
    np.dtype(bool): np.dtype(np.uint8),
    np.dtype(np.int8): np.dtype(np.int32),
    np.dtype(np.int16): np.dtype(np.int32),
    np.dtype(np.uint32): np.dtype(np.int64),
    np.dtype(np.uint64): np.dtype(np.int64),
}
"""Types of counts that a user passes, and the types in which kernels read them."""

ARROW_NUMBERS = {"bool", "float", "double", "halffloat"} | {f"{s}int{b}" for s in ("", "u") for b in (8, 16, 32, 64)}
"""Names that Arrow has for the types that are read as numbers."""

LARGEST_COUNT = 2**53
"""The largest whole number up to which float64 represents every whole number."""

TOTAL_WEIGHTS = 1e-100, 1e100
"""Limits of the total weight, within which neither mixing weights underflow nor sums overflow."""

LARGEST_SUM = 1e305
"""The largest sum of squares: far enough from overflow for sums of such sums."""

MISSING_ADVICE = "a mixture with missing='marginalize' takes it as a missing value"
"""What may help where a value of X is NaN or null."""

BLOCK = 1 << 16
"""Number of elements that are searched at a time for the first bad one."""


def as_numeric(values: object, name: str, whole: bool = False) -> np.ndarray:
    """Convert values to an aligned array of native float32 or float64, or of integers if `whole`.

    The array shares the memory of the values if they are such an array already.
    """
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:  # the last of a tensor with a gradient
        raise ValueError(f"{name} is not an array: {error}") from None
    if "numpy.ma" in sys.modules and isinstance(values, np.ma.MaskedArray) and values.mask.any():
        array = np.ma.filled(values.astype(object), np.nan)  # a masked value is a missing one
    if hasattr(values, "toarray"):
        raise TypeError(f"{name}: sparse data was passed, but dense data is required; use {name}.toarray()")
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {array.dtype}")
    if array.dtype.kind == "O":
        array = objects_as_float64(array, name)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got {type(values).__name__} of dtype {array.dtype}")
    dtype = np.dtype(np.float32 if array.dtype.type is np.float32 else np.float64)
    if whole:
        if array.dtype.kind == "u" and array.dtype.itemsize == 8:  # the largest would be negative in int64
            check_not(lambda block: block > LARGEST_COUNT, np.atleast_1d(array), f"{name} must not be above 2^53")
        dtype = COUNT_TYPES.get(array.dtype.newbyteorder("="), dtype)
    with np.errstate(over="ignore"), in_use(array) if array.dtype != dtype else nullcontext():  # of longdouble
        array = np.require(array, dtype, "A")
    return array if all(step % array.itemsize == 0 for step in array.strides) else array.copy()


def objects_as_float64(array: np.ndarray, name: str) -> np.ndarray:
    """Convert an object array of numbers to float64; None and pandas.NA become NaN."""
    array = array.copy()
    for index, value in np.ndenumerate(array):
        if value is None or type(value).__name__ == "NAType":  # pandas.NA, without pandas
            array[index] = np.nan
        elif isinstance(value, np.timedelta64) or not isinstance(value, numbers.Real):  # an integer for NumPy
            where = f" at {place(index)}" if index else ""
            raise TypeError(  # the words that scikit-learn asks for: argument, string, number
                f"{name} must hold real numbers, got {value!r:.200}{where}; the argument must be converted from"
                " strings or other objects to numbers"
            )
    try:
        return array.astype(np.float64)
    except OverflowError as error:
        raise ValueError(f"{name} must hold numbers that float64 can hold: {error}") from None


def first_where(bad: Callable[[np.ndarray], np.ndarray], array: np.ndarray) -> tuple[int, ...] | None:
    """Find the index of the first element, in row order, for which bad(elements) is true."""
    rows = max(1, BLOCK // max(1, array[:1].size))
    for begin in range(0, len(array), rows):
        places = np.argwhere(bad(array[begin : begin + rows]))
        if len(places):
            return (begin + int(places[0][0]), *map(int, places[0][1:]))
    return None


def check_not(bad: Callable[[np.ndarray], np.ndarray], array: np.ndarray, sentence: str, of_nan: str = "") -> None:
    """Raise BadValueError at the first element for which bad(elements) is true; of_nan is advice where that is NaN."""
    array = np.atleast_1d(array)
    index = first_where(bad, array)
    if index is not None:
        raise BadValueError(f"{sentence}, got {array[index]}", index, of_nan if np.isnan(array[index]) else "")


def check_finite(array: np.ndarray, name: str, largest: float = np.inf, *, missing: bool = False) -> None:
    """Raise BadValueError at the first element that is NaN, infinite or larger than `largest` in magnitude.

    The minimum and the maximum show whether there is one, without temporary memory.  NaN is allowed if `missing`.
    """
    low, high = map(float, extremes(array, missing)) if array.size else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        bad, without = (np.isinf, "") if missing else (lambda block: ~np.isfinite(block), "NaN or ")
        check_not(
            bad, array, f"{name} must be finite, without {without}infinity", MISSING_ADVICE if name == "X" else ""
        )
    if max(high, -low) > largest:
        check_not(
            lambda block: np.abs(block) > largest, array, f"{name} must be below {largest} in magnitude; rescale it"
        )


def as_matrix(
    X: object,
    *,
    n_features: int | None = None,
    owner: str = "mixture",
    fitting: bool = False,
    missing: bool = False,
) -> np.ndarray:
    """Convert X to an array (n, d) of finite numbers, or NaN if `missing`, with n > 0 and d > 0."""
    check_is_array(X)
    array = as_numeric(X, "X")
    check_two_dimensional(array, n_features, owner)
    check_finite(array, "X", LARGEST_MAGNITUDE[array.dtype] if fitting else np.inf, missing=missing)
    return array


def check_is_array(X: object) -> None:
    """Raise ValueError where X is left out, and TypeError where it is the path of a file, or an iterator."""
    if X is None:
        raise ValueError("X: Expected 2D array, got 0D array instead: X is missing; pass rows, or chunks")
    if isinstance(X, (str, os.PathLike)):
        raise TypeError(
            f"X must be an array, got the path {os.fspath(X)!r}: read it by fastem.from_arrow or numpy.load"
        )
    if isinstance(X, Iterator):
        raise TypeError(f"X must be an array, got a {type(X).__name__}: one that yields arrays of rows goes to chunks=")


def check_two_dimensional(array: np.ndarray, n_features: int | None, owner: str) -> None:
    """Raise ValueError unless X has two dimensions, neither of them empty, and `n_features` columns."""
    if array.ndim != 2:
        hint = " Reshape your data: (-1, 1) for one feature, (1, -1) for one row." if array.ndim == 1 else ""
        raise ValueError(f"X: Expected 2D array, got {array.ndim}D array instead, of shape {array.shape}.{hint}")
    if array.shape[0] == 0:
        raise ValueError(f"X: found array with 0 sample(s) (shape={array.shape}) while a minimum of 1 is required.")
    if array.shape[1] == 0:
        raise ValueError(f"X: found array with 0 feature(s) (shape={array.shape}) while a minimum of 1 is required.")
    check_n_features(array.shape[1], n_features, owner)


def check_n_features(n_columns: int, n_features: int | None, owner: str) -> None:
    """Raise ValueError if `owner` expects another number of features than X has."""
    if n_features is not None and n_columns != n_features:
        raise ValueError(f"X has {n_columns} features, but {owner} is expecting {n_features} features as input")


def as_count_matrix(
    X: object, *, n_features: int | None = None, owner: str = "mixture", missing: bool = False
) -> np.ndarray:
    """Convert X to an array (n, d) of whole numbers from 0, or NaN if `missing`; a vector (n,) becomes one column."""
    check_is_array(X)
    array = as_numeric(X, "X", whole=True)
    if array.ndim == 1 and n_features in (None, 1):
        array = array[:, np.newaxis]
    check_two_dimensional(array, n_features, owner)
    check_whole_numbers(array, "X", *extremes(array, missing), missing=missing)
    return array


def as_counts(
    X: object, trials: object, *, n_features: int | None = None, owner: str = "mixture", missing: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Convert successes and trials to two arrays (n, d) of one type, whole numbers with 0 <= successes <= trials.

    Where successes are missing, if that is allowed, both are 0.
    """
    successes = as_count_matrix(X, n_features=n_features, owner=owner, missing=missing)
    if trials is None:
        raise TypeError("trials: the number of trials of each row is needed, an int or an array of shape (n,)")
    n_trials = as_trials(successes, as_numeric(trials, "trials", whole=True))
    if missing and np.isnan(successes.max()):
        gaps = np.isnan(successes)
        successes, n_trials = np.where(gaps, 0, successes), np.where(gaps, 0, n_trials)
    fewest, most = extremes(n_trials)
    check_whole_numbers(n_trials, "trials", fewest, most)
    fits = most <= largest_whole_number(successes.dtype)
    dtype = successes.dtype if fits else np.result_type(successes.dtype, n_trials.dtype)
    successes = successes.astype(dtype, copy=False)
    n_trials = np.broadcast_to(n_trials.astype(dtype, copy=False), successes.shape)
    check_successes(successes, n_trials)
    return successes, n_trials


def check_successes(successes: np.ndarray, trials: np.ndarray) -> None:
    """Raise BadValueError at the first element with more successes than trials."""
    for begin in range(0, len(successes), BLOCK):
        above = successes[begin : begin + BLOCK] > trials[begin : begin + BLOCK]
        if above.any():
            row, column = map(int, np.argwhere(above)[0])
            index = begin + row, column
            sentence = f"X must not exceed trials, got {successes[index]:g} successes of {trials[index]:g}"
            raise BadValueError(sentence, index)


def largest_whole_number(dtype: np.dtype) -> int:
    """Return the largest whole number up to which a type represents every whole number."""
    return np.iinfo(dtype).max if dtype.kind in "iu" else 2 ** (np.finfo(dtype).nmant + 1)


def as_trials(X: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Reshape trials to (1, 1), (1, d), (n, 1) or (n, d), so that they broadcast to the shape of X."""
    n, d = X.shape
    if trials.ndim == 1 and n == d > 1 and len(trials) == n:
        raise ValueError(
            f"trials of shape ({n},) may belong to the rows of X or to its columns: pass shape ({n}, 1) for rows or"
            f" (1, {n}) for columns"
        )
    if trials.ndim == 1 and len(trials) == n:
        return trials[:, np.newaxis]
    if trials.ndim == 0 or (trials.ndim == 1 and len(trials) == d):
        return trials.reshape(1, -1)
    if trials.ndim != 2 or trials.shape[0] not in (1, n) or trials.shape[1] not in (1, d):
        raise ValueError(
            f"trials must be one number, one number for each row or column of X, or an array of shape {X.shape} as X;"
            f" got shape {trials.shape}"
        )
    return trials


def check_whole_numbers(
    array: np.ndarray, name: str, low: np.number, high: np.number, *, missing: bool = False
) -> None:
    """Raise BadValueError at the first element that is not a whole number from 0 to 2^53, nor NaN if `missing`.

    low, high : the extremes of the array
    """
    if not (np.isfinite(low) and np.isfinite(high)):
        check_finite(array, name, missing=missing)
    if low < 0:
        check_not(lambda block: block < 0, array, f"Negative values in data: {name} must hold whole numbers from 0")
    if high > LARGEST_COUNT:
        check_not(lambda block: block > LARGEST_COUNT, array, f"{name} must not be above 2^53")
    if array.dtype.kind == "f":
        sentence = f"{name} must hold whole numbers (np.rint rounds to the nearest one)"
        check_not(lambda block: (block != np.floor(block)) & ~np.isnan(block), array, sentence)


def as_sample_weight(sample_weight: object, n: int) -> np.ndarray:
    """Convert weights to a float64 array (n,) without negative values; None is 1 for every row, without memory."""
    weights = as_weights(sample_weight, n)
    if sample_weight is not None:
        check_weights(weights)
        check_total_weight(total_weight(weights))
    return weights


def as_weights(sample_weight: object, n: int) -> np.ndarray:
    """Convert weights to a float64 array (n,), whatever its values; one number is the weight of every row."""
    if sample_weight is None:
        return np.broadcast_to(np.float64(1.0), (n,))
    weights = as_numeric(sample_weight, "sample_weight").astype(np.float64, copy=False)
    if weights.ndim == 0:
        weights = np.broadcast_to(weights, (n,))
    if weights.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), one weight for each row of X, got {weights.shape}")
    return weights


def check_weights(weights: np.ndarray) -> None:
    """Raise BadValueError at the first weight that is negative or not finite; all of them may be 0."""
    check_finite(weights, "sample_weight")
    check_not(lambda block: block < 0, weights, "sample_weight must not be negative")


def total_weight(weights: np.ndarray) -> float:
    """Return the sum of the weights, which may be infinite."""
    with np.errstate(over="ignore"):
        return float(weights[0]) * len(weights) if weights.strides == (0,) else float(weights.sum())


def check_total_weight(total: float, *, missing: bool = False) -> None:
    """Raise ValueError if sums would overflow or weights underflow; missing: the total is that of rows with values."""
    if total == 0:
        none = " for a row of X that has a value, but none does" if missing else ", but all are zero"
        raise ValueError(f"sample_weight must hold a positive weight{none}")
    if not TOTAL_WEIGHTS[0] <= total <= TOTAL_WEIGHTS[1]:
        raise ValueError(
            f"sample_weight must have a sum from {TOTAL_WEIGHTS[0]} to {TOTAL_WEIGHTS[1]}; rescale it, got {total}"
        )


def check_squares(X: np.ndarray, total: float) -> None:
    """Raise ValueError if the sums of squares of rows with this total weight would overflow."""
    if total * LARGEST_MAGNITUDE[X.dtype] ** 2 < LARGEST_SUM:
        return
    low, high = map(float, extremes(X, missing=True))
    largest = max(high, -low)
    if total * largest * largest > LARGEST_SUM:
        raise ValueError(f"sample_weight, of sum {total}, is too large for rows as large as {largest}; rescale either")


def check_only_chunks(X: object, trials: ArrayLike | None, sample_weight: object) -> None:
    """Raise TypeError if values of rows are passed besides chunks, which have those of their own rows."""
    if X is not None or sample_weight is not None:
        raise TypeError(
            "chunks replace X and sample_weight: pass None for both, and weights in chunks (X, sample_weight)"
        )
    if trials is not None and np.ndim(trials):
        raise TypeError("trials must be None or one number with chunks; pass those of rows in chunks (X, trials)")


def check_no_weights(sample_weight: object) -> None:
    """Raise ValueError for rows with weights, where rows like them are to be drawn."""
    if sample_weight is not None:
        raise ValueError("X has weights, of which bootstrap_test takes no account: read rows without sample_weight")


def check_chunks(chunks: object) -> None:
    """Raise ValueError if the chunks are one array or data frame, whose rows would be taken for chunks."""
    shape = getattr(chunks, "shape", None)
    if isinstance(shape, tuple) and len(shape) < 3:
        raise ValueError(
            f"chunks must be an iterable of arrays of rows, got one {type(chunks).__name__} of shape {shape}: "
            "pass [X] for a single chunk, or list(X) if each row is a chunk of counts"
        )


def number_type(schema: Any, name: str, where: str) -> str:
    """Return the type of a column of numbers in an Arrow schema; `where` names the file or table for messages."""
    if (count := schema.names.count(name)) != 1:
        fault = "is missing" if not count else f"appears {count} times"
        raise ValueError(f"column {name!r} {fault} in {where}, whose columns are {schema.names}")
    number = str(schema.field(name).type)
    if number not in ARROW_NUMBERS:
        raise TypeError(f"column {name!r} must hold numbers, got {number} in {where}")
    return number


def raise_null(nulls: np.ndarray, name: str, begin: int) -> NoReturn:
    """Raise BadValueError at the first null of a column; `begin` is the number of its first row."""
    row = begin + int(nulls.argmax())
    raise BadValueError(f"column {name!r} must be finite, without null", (row,), MISSING_ADVICE)


def check_enough_rows(n: int, n_components: int) -> None:
    """Raise ValueError if there are fewer rows than components."""
    if n < n_components:
        raise ValueError(f"Expected n_samples >= n_components but got n_components = {n_components}, n_samples = {n}")


def check_several_rows(n: int, n_features: int, owner: str) -> None:
    """Raise ValueError, in scikit-learn's words, if there is a single row, which has no variance."""
    if n == 1:
        shape = f"(shape=(1, {n_features}))"
        raise ValueError(f"Found array with 1 sample(s) {shape} while a minimum of 2 is required by {owner}.")


def check_folds(n: int, folds: int) -> None:
    """Raise ValueError if there are fewer rows than folds of cross-validation."""
    if n < folds:
        raise ValueError(f"folds must be at most the number of rows of X, {n}, got {folds}")


def check_distinct_rows(k: int, most: int, name: str, of_what: str) -> None:
    """Raise ValueError if there are fewer distinct rows than components."""
    if k > most:
        raise ValueError(f"{name} must be at most {most}, the number of distinct rows {of_what}, got {k}")


def as_sizes(sizes: list[int], most: int, of_what: str) -> list[int]:
    """Return the numbers of components that are at most the number of distinct rows, and warn of the others."""
    check_distinct_rows(min(sizes), most, "n_components", of_what)
    fitting = [k for k in sizes if k <= most]
    if len(fitting) < len(sizes):
        warn(
            f"n_components above {most} are left out: there are {most} distinct rows {of_what}, which cannot support "
            "more components"
        )
    return fitting
