"""Rows at the door: what they are read as, and the first place of what cannot be read."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from fastem.exceptions import BadValueError, place, warn
from fastem.kernels.mapped import in_use, slices

LARGEST_MAGNITUDE = {np.dtype(np.float64): 1e140, np.dtype(np.float32): 1e18}
"""Rows beyond this are refused by a fit: a variance, in the precision of the rows, would overflow."""

COUNT_TYPES = {np.dtype(t): np.dtype(t) for t in (np.uint8, np.uint16, np.int32, np.int64)} | {
    np.dtype(bool): np.dtype(np.uint8),
    np.dtype(np.int8): np.dtype(np.int32),
    np.dtype(np.int16): np.dtype(np.int32),
    np.dtype(np.uint32): np.dtype(np.int64),
    np.dtype(np.uint64): np.dtype(np.int64),
}
"""Types in which counts come, and those in which kernels read them."""

ARROW_NUMBERS = {"bool", "float", "double", "halffloat"} | {f"{s}int{b}" for s in ("", "u") for b in (8, 16, 32, 64)}
"""Arrow's names of types that are read as numbers."""

LARGEST_COUNT = 2**53
"""The last whole number before float64 has gaps."""

TOTAL_WEIGHTS = 1e-100, 1e100
"""Between these lies a total weight of which neither shares underflow nor sums overflow."""

LARGEST_SUM = 1e305
"""What a sum of squares may be: far enough from overflow for sums of sums."""

BLOCK = 1 << 16
"""Elements searched at a time for the first bad one."""


def as_numeric(values: Any, name: str, whole: bool = False) -> np.ndarray:
    """An array of native float32 or float64 or, where `whole` asks for it, of integers as they are; aligned; a copy
    only of what is none of these."""
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{name} is not an array: {error}") from None
    if isinstance(values, np.ma.MaskedArray) and values.mask.any():
        array = np.ma.filled(values.astype(object), np.nan)  # masked is missing
    if hasattr(values, "toarray"):
        raise TypeError(f"{name}: sparse data was passed, but dense data is required; use {name}.toarray()")
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {array.dtype}")
    if array.dtype.kind == "O":
        array = as_numbers(array, name)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got {type(values).__name__} of dtype {array.dtype}")
    dtype = np.dtype(np.float32 if array.dtype.type is np.float32 else np.float64)
    if whole:
        if array.dtype.kind == "u" and array.dtype.itemsize == 8:  # int64 takes the largest for negative ones
            check_not(lambda block: block > LARGEST_COUNT, np.atleast_1d(array), f"{name} must not be above 2^53")
        dtype = COUNT_TYPES.get(array.dtype.newbyteorder("="), dtype)
    with np.errstate(over="ignore"), in_use(array) if array.dtype != dtype else nullcontext():  # of longdouble
        array = np.require(array, dtype, "A")
    return array if all(step % array.itemsize == 0 for step in array.strides) else array.copy()


def as_numbers(array: np.ndarray, name: str) -> np.ndarray:
    """An object array as float64, if it holds numbers and nothing else; a missing value becomes NaN."""
    array = array.copy()
    for index, value in np.ndenumerate(array):
        if value is None or type(value).__name__ == "NAType":  # pandas.NA, without pandas
            array[index] = np.nan
        elif not isinstance(value, numbers.Real):
            where = f" at {place(index)}" if index else ""
            raise TypeError(
                f"{name} must hold real numbers (an argument must be no string, only a number), got {value!r}{where}"
            )
    try:
        return array.astype(np.float64)
    except OverflowError as error:
        raise ValueError(f"{name} must hold numbers that float64 can hold: {error}") from None


def first_where(bad: Callable[[np.ndarray], np.ndarray], array: np.ndarray) -> tuple[int, ...] | None:
    """Index of the first element, in row order, at which bad(block) is true."""
    rows = max(1, BLOCK // max(1, array[:1].size))
    for begin in range(0, len(array), rows):
        found = np.argwhere(bad(array[begin : begin + rows]))
        if len(found):
            return (begin + int(found[0][0]), *map(int, found[0][1:]))
    return None


def check_not(bad: Callable[[np.ndarray], np.ndarray], array: np.ndarray, sentence: str) -> None:
    index = first_where(bad, array)
    if index is not None:
        raise BadValueError(f"{sentence}, got {array[index]}", index)


def check_finite(array: np.ndarray, name: str, largest: float = np.inf) -> None:
    """Minimum and maximum carry a NaN and find what is too large, without memory; both are taken once."""
    low, high = map(float, extremes(array)) if array.size else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        check_not(lambda block: ~np.isfinite(block), array, f"{name} must be finite, without NaN or infinity")
    if max(high, -low) > largest:
        check_not(
            lambda block: np.abs(block) > largest, array, f"{name} must be below {largest} in magnitude; rescale it"
        )


def extremes(array: np.ndarray) -> tuple[Any, Any]:
    """Minimum and maximum, NaN where there is one."""
    found = np.array([(piece.min(), piece.max()) for piece in slices(array)])
    return found.min(), found.max()


def as_matrix(X: Any, *, n_features: int | None = None, owner: str = "mixture", fitting: bool = False) -> np.ndarray:
    """X as (n, d), n > 0, d > 0, finite."""
    array = as_numeric(X, "X")
    check_two_dimensional(array, n_features, owner)
    check_finite(array, "X", LARGEST_MAGNITUDE[array.dtype] if fitting else np.inf)
    return array


def check_two_dimensional(array: np.ndarray, n_features: int | None, owner: str) -> None:
    if array.ndim != 2:
        hint = " Reshape your data: X.reshape(-1, 1) if it has a single feature." if array.ndim == 1 else ""
        raise ValueError(f"X: Expected 2D array, got {array.ndim}D array instead, of shape {array.shape}.{hint}")
    if array.shape[0] == 0:
        raise ValueError(f"X: found array with 0 sample(s) (shape={array.shape}) while a minimum of 1 is required.")
    if array.shape[1] == 0:
        raise ValueError(f"X: found array with 0 feature(s) (shape={array.shape}) while a minimum of 1 is required.")
    check_n_features(array.shape[1], n_features, owner)


def check_n_features(found: int, n_features: int | None, owner: str) -> None:
    if n_features is not None and found != n_features:
        raise ValueError(f"X has {found} features, but {owner} is expecting {n_features} features as input")


def as_count_matrix(X: Any, *, n_features: int | None = None, owner: str = "mixture") -> np.ndarray:
    """X as (n, d) whole numbers from 0; (n,) are rows of one feature."""
    array = as_numeric(X, "X", whole=True)
    column = array.ndim == 1 and n_features in (None, 1)
    array = array[:, np.newaxis] if column else array
    check_two_dimensional(array, n_features, owner)
    check_whole_numbers(array, "X", *extremes(array))
    return array


def as_counts(
    X: Any, trials: Any, *, n_features: int | None = None, owner: str = "mixture"
) -> tuple[np.ndarray, np.ndarray]:
    """Successes and trials, both (n, d) and of one type, whole numbers with 0 <= successes <= trials."""
    array = as_count_matrix(X, n_features=n_features, owner=owner)
    if trials is None:
        raise TypeError("trials: the number of trials of each row is needed, an int or an array of shape (n,)")
    tosses = as_trials(array, as_numeric(trials, "trials", whole=True))
    fewest, most = extremes(tosses)
    check_whole_numbers(tosses, "trials", fewest, most)
    fits = most <= largest_whole_number(array.dtype)
    dtype = array.dtype if fits else np.result_type(array.dtype, tosses.dtype)
    array, tosses = array.astype(dtype, copy=False), np.broadcast_to(tosses.astype(dtype, copy=False), array.shape)
    for begin in range(0, len(array), BLOCK):
        over = array[begin : begin + BLOCK] > tosses[begin : begin + BLOCK]
        if over.any():
            row, column = np.argwhere(over)[0]
            index = (begin + int(row), int(column))
            raise BadValueError(f"X must not exceed trials, got {array[index]:g} successes of {tosses[index]:g}", index)
    return array, tosses


def largest_whole_number(dtype: np.dtype) -> int:
    """The last whole number up to which a type has them all."""
    return np.iinfo(dtype).max if dtype.kind in "iu" else 2 ** (np.finfo(dtype).nmant + 1)


def as_trials(X: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """(1, 1), (1, d), (n, 1) or (n, d): one number, or one for each column, row or place of X."""
    n, d = X.shape
    if trials.ndim == 1 and n == d > 1 and len(trials) == n:
        raise ValueError(
            f"trials of shape ({n},) may belong to the rows of X or to its columns: pass ({n}, 1) or (1, {n})"
        )
    if trials.ndim == 1 and len(trials) == n:
        return trials[:, np.newaxis]
    if trials.ndim == 0 or (trials.ndim == 1 and len(trials) == d):
        return trials.reshape(1, -1)
    if trials.ndim != 2 or trials.shape[0] not in (1, n) or trials.shape[1] not in (1, d):
        raise ValueError(
            f"trials must be one number, one for each row or column of X, or match X, of shape {X.shape};"
            f" got shape {trials.shape}"
        )
    return trials


def check_whole_numbers(array: np.ndarray, name: str, low: Any, high: Any) -> None:
    """low, high: the extremes of the array."""
    if not (np.isfinite(low) and np.isfinite(high)):
        check_finite(array, name)
    if low < 0:
        check_not(lambda block: block < 0, array, f"Negative values in data: {name} must hold whole numbers from 0")
    if high > LARGEST_COUNT:
        check_not(lambda block: block > LARGEST_COUNT, array, f"{name} must not be above 2^53")
    if array.dtype.kind == "f":
        sentence = f"{name} must hold whole numbers (np.rint rounds what is nearly one)"
        check_not(lambda block: block != np.floor(block), array, sentence)


def as_sample_weight(sample_weight: Any, n: int) -> np.ndarray:
    """(n,) float64, not negative; None is 1 for every row, which takes no memory."""
    weights = as_weights(sample_weight, n)
    if sample_weight is not None:
        check_weights(weights)
        check_total_weight(total_weight(weights))
    return weights


def as_weights(sample_weight: Any, n: int) -> np.ndarray:
    """(n,) float64, whatever the values."""
    if sample_weight is None:
        return np.broadcast_to(np.float64(1.0), (n,))
    weights = as_numeric(sample_weight, "sample_weight").astype(np.float64, copy=False)
    if weights.ndim == 0:
        weights = np.broadcast_to(weights, (n,))
    if weights.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), one weight for each row of X, got {weights.shape}")
    return weights


def check_weights(weights: np.ndarray) -> None:
    """Those of a part of the rows may all be 0."""
    check_finite(weights, "sample_weight")
    check_not(lambda block: block < 0, weights, "sample_weight must not be negative")


def total_weight(weights: np.ndarray) -> float:
    with np.errstate(over="ignore"):
        return float(weights[0]) * len(weights) if weights.strides == (0,) else float(weights.sum())


def check_total_weight(total: float) -> None:
    """Refuse a total weight of which shares underflow or sums overflow."""
    if total == 0:
        raise ValueError("sample_weight must hold a positive weight, got zeros only")
    if not TOTAL_WEIGHTS[0] <= total <= TOTAL_WEIGHTS[1]:
        raise ValueError(
            f"sample_weight must have a sum from {TOTAL_WEIGHTS[0]} to {TOTAL_WEIGHTS[1]}; rescale it, got {total}"
        )


def check_squares(X: np.ndarray, total: float) -> None:
    """Refuse rows, of so much weight in all, whose sums of squares would overflow."""
    if total * LARGEST_MAGNITUDE[X.dtype] ** 2 < LARGEST_SUM:
        return
    largest = max(float(X.max()), -float(X.min()))
    if total * largest * largest > LARGEST_SUM:
        raise ValueError(f"sample_weight, of sum {total}, is too large for rows as large as {largest}; rescale either")


def check_only_chunks(X: Any, trials: Any, sample_weight: Any) -> None:
    """Chunks bring all with them that is told of each row."""
    if X is not None or sample_weight is not None:
        raise TypeError("chunks take the place of X and bring their own sample_weight: pass None for both")
    if np.ndim(trials):
        raise TypeError("trials must be None or one number with chunks; those of rows come as chunks (X, trials)")


def check_chunks(chunks: Any) -> None:
    """Refuse what is itself one chunk, an array or a data frame: its rows are none."""
    shape = getattr(chunks, "shape", None)
    if isinstance(shape, tuple) and len(shape) < 3:
        raise ValueError(
            f"chunks must give arrays of rows, one after the other, got one {type(chunks).__name__} of shape {shape}: "
            "pass [X] for a single chunk, list(X) for chunks of counts of one column"
        )


def number_type(schema: Any, name: str, where: str) -> str:
    """The type of a column of an Arrow schema, which must hold numbers; `where` is what it is the schema of."""
    if (count := schema.names.count(name)) != 1:
        found = "is missing" if not count else f"is there {count} times"
        raise ValueError(f"column {name!r} {found} in {where}, whose columns are {schema.names}")
    found = str(schema.field(name).type)
    if found not in ARROW_NUMBERS:
        raise TypeError(f"column {name!r} must hold numbers, got {found} in {where}")
    return found


def raise_null(nulls: np.ndarray, name: str, begin: int) -> None:
    """The first of them, in rows from `begin` on."""
    raise BadValueError(f"column {name!r} must be finite, without null", (begin + int(nulls.argmax()),))


def check_enough_rows(n: int, n_components: int) -> None:
    if n < n_components:
        raise ValueError(f"Expected n_samples >= n_components but got n_components = {n_components}, n_samples = {n}")


def check_folds(n: int, folds: int) -> None:
    if n < folds:
        raise ValueError(f"folds must be at most the number of rows of X, {n}, got {folds}")


def check_distinct_rows(k: int, most: int, name: str, of_what: str) -> None:
    if k > most:
        raise ValueError(f"{name} must be at most {most}, the distinct rows {of_what}, got {k}")


def as_sizes(sizes: list[int], most: int, of_what: str) -> list[int]:
    """The numbers of components that so many distinct rows can tell apart; a warning if there are others."""
    check_distinct_rows(min(sizes), most, "n_components", of_what)
    fitting = [k for k in sizes if k <= most]
    if len(fitting) < len(sizes):
        warn(
            f"n_components above {most} are left out: there are {most} distinct rows {of_what}, and more components "
            "than these cannot be told apart"
        )
    return fitting


ROWS_PER_PARAMETER = 10
"""With fewer, what a penalty of log n parameters weighs is anybody's guess."""


def weights_do_not_count_rows(
    total: float, n: int, n_parameters: int, first_weighted: Callable[[int], np.ndarray]
) -> bool:
    """Are these weights of n rows little for so many parameters, though more rows have weight than they weigh?"""
    rows = total * (1 + 1e-6)  # their sum may be rounded
    if rows >= n or rows >= ROWS_PER_PARAMETER * max(n_parameters, 1):
        return False
    return len(first_weighted(int(rows) + 1)) > rows


def warn_of_weights(total: float) -> None:
    warn(
        f"sample_weight has the sum {total:.4g}, which bic_, icl_ and diagnose() take for the number of rows: less "
        f"than {ROWS_PER_PARAMETER} for each parameter. Where weights do not count rows, scale them to mean 1: "
        "sample_weight * len(X) / sample_weight.sum()"
    )
