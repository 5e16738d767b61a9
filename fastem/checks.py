"""Arrays and settings at the door.  Every message a user can meet is written here, and says what, and where."""

from __future__ import annotations

import numbers
import sys
import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np

from fastem.mapped import in_use, pieces

LARGEST = {np.dtype(np.float64): 1e140, np.dtype(np.float32): 1e18}
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

BLOCK = 1 << 16
"""Elements searched at a time for the first bad one."""


class EmptyComponentWarning(UserWarning):
    """A component lost all its points: it has kept its last parameters, at weight 0, or what a prior gives it."""


class IdentifiabilityWarning(UserWarning):
    """Different parameters have the same likelihood, whatever the rows."""


class BadValueError(ValueError):
    """A value that is refused: what is wrong with it, and where it stands."""

    def __init__(self, sentence: str, index: tuple[int, ...]) -> None:
        super().__init__(sentence, index)
        self.sentence, self.index = sentence, index

    def __str__(self) -> str:
        return f"{self.sentence} at {place(self.index)}"


# ------------------------------------------------------------------------------------------------------------- arrays


def numeric(values: Any, name: str, whole: bool = False) -> np.ndarray:
    """An array of native float32 or float64 or, where `whole` asks for it, of integers as they are; aligned; a copy
    only of what is none of these."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} is not an array: {error}") from None
    if hasattr(values, "toarray"):
        raise TypeError(f"{name}: sparse data was passed, but dense data is required; use {name}.toarray()")
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {array.dtype}")
    if array.dtype.kind == "O":
        array = numbers_of(array, name)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got {type(values).__name__} of dtype {array.dtype}")
    dtype = np.dtype(np.float32 if array.dtype.type is np.float32 else np.float64)
    if whole:
        dtype = COUNT_TYPES.get(array.dtype.newbyteorder("="), dtype)
    with in_use(array) if array.dtype != dtype else nullcontext():
        array = np.require(array, dtype, "A")
    return array if all(step % array.itemsize == 0 for step in array.strides) else array.copy()


def numbers_of(array: np.ndarray, name: str) -> np.ndarray:
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
    return array.astype(np.float64)


def first_where(bad: Callable[[np.ndarray], np.ndarray], array: np.ndarray) -> tuple[int, ...] | None:
    """Index of the first element, in row order, at which bad(block) is true."""
    rows = max(1, BLOCK // max(1, array[:1].size))
    for begin in range(0, len(array), rows):
        found = np.argwhere(bad(array[begin : begin + rows]))
        if len(found):
            return (begin + int(found[0][0]), *map(int, found[0][1:]))
    return None


def place(index: tuple[int, ...]) -> str:
    return f"row {index[0]}" + (f", column {index[1]}" if len(index) > 1 else "")


def refuse(bad: Callable[[np.ndarray], np.ndarray], array: np.ndarray, sentence: str) -> None:
    index = first_where(bad, array)
    if index is not None:
        raise BadValueError(f"{sentence}, got {array[index]}", index)


def finite(array: np.ndarray, name: str, largest: float = np.inf) -> np.ndarray:
    """Minimum and maximum carry a NaN and find what is too large, without memory; both are taken once."""
    low, high = map(float, extremes(array)) if array.size else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        refuse(lambda block: ~np.isfinite(block), array, f"{name} must be finite, without NaN or infinity")
    if max(high, -low) > largest:
        refuse(lambda block: np.abs(block) > largest, array, f"{name} must be below {largest} in magnitude; rescale it")
    return array


def extremes(array: np.ndarray) -> tuple[Any, Any]:
    """Minimum and maximum, NaN where there is one."""
    found = np.array([(piece.min(), piece.max()) for piece in pieces(array)])
    return found.min(), found.max()


def matrix(X: Any, *, n_features: int | None = None, owner: str = "mixture", fitting: bool = False) -> np.ndarray:
    """X as (n, d), n > 0, d > 0, finite."""
    array = two_dimensional(numeric(X, "X"), n_features, owner)
    return finite(array, "X", LARGEST[array.dtype] if fitting else np.inf)


def two_dimensional(array: np.ndarray, n_features: int | None, owner: str) -> np.ndarray:
    if array.ndim != 2:
        hint = " Reshape your data: X.reshape(-1, 1) if it has a single feature." if array.ndim == 1 else ""
        raise ValueError(f"X: Expected 2D array, got {array.ndim}D array instead, of shape {array.shape}.{hint}")
    if array.shape[0] == 0:
        raise ValueError(f"X: found array with 0 sample(s) (shape={array.shape}) while a minimum of 1 is required.")
    if array.shape[1] == 0:
        raise ValueError(f"X: found array with 0 feature(s) (shape={array.shape}) while a minimum of 1 is required.")
    if n_features is not None and array.shape[1] != n_features:
        raise ValueError(
            f"X has {array.shape[1]} features, but {owner} is expecting {n_features} features as input"
        )
    return array


def counts(
    X: Any, trials: Any, *, n_features: int | None = None, owner: str = "mixture"
) -> tuple[np.ndarray, np.ndarray]:
    """Successes and trials, both (n, d) and of one type, whole numbers with 0 <= successes <= trials."""
    array = numeric(X, "X", whole=True)
    single = array.ndim == 1 and n_features in (None, 1)
    array = two_dimensional(array[:, np.newaxis] if single else array, n_features, owner)
    whole_numbers(array, "X")
    if trials is None:
        raise TypeError("trials: the number of trials of each row is needed, an int or an array of shape (n,)")
    tosses = trials_like(array, numeric(trials, "trials", whole=True))
    fits = whole_numbers(tosses, "trials") <= largest_whole(array.dtype)
    dtype = array.dtype if fits else np.result_type(array.dtype, tosses.dtype)
    array, tosses = array.astype(dtype, copy=False), np.broadcast_to(tosses.astype(dtype, copy=False), array.shape)
    for begin in range(0, len(array), BLOCK):
        over = array[begin : begin + BLOCK] > tosses[begin : begin + BLOCK]
        if over.any():
            row, column = np.argwhere(over)[0]
            index = (begin + int(row), int(column))
            raise BadValueError(
                f"X must not exceed trials, got {array[index]:g} successes of {tosses[index]:g}", index
            )
    return array, tosses


def largest_whole(dtype: np.dtype) -> int:
    """The last whole number up to which a type has them all."""
    return np.iinfo(dtype).max if dtype.kind in "iu" else 2 ** (np.finfo(dtype).nmant + 1)


def trials_like(X: np.ndarray, trials: np.ndarray) -> np.ndarray:
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


def whole_numbers(array: np.ndarray, name: str) -> float:
    """The largest of them; ValueError if one is none."""
    low, high = extremes(array)
    if not (np.isfinite(low) and np.isfinite(high)):
        finite(array, name)
    if low < 0:
        refuse(lambda block: block < 0, array, f"Negative values in data: {name} must hold whole numbers from 0")
    if high > LARGEST_COUNT:
        refuse(lambda block: block > LARGEST_COUNT, array, f"{name} must not be above 2^53")
    if array.dtype.kind == "f":
        refuse(lambda block: block != np.floor(block), array, f"{name} must hold whole numbers")
    return float(high)


def sample_weights(sample_weight: Any, n: int) -> np.ndarray:
    """(n,) float64, not negative; None is 1 for every row, which takes no memory."""
    weights = weights_like(sample_weight, n)
    if sample_weight is not None:
        some_weight(weights_of_part(weights).max())
    return weights


def weights_like(sample_weight: Any, n: int) -> np.ndarray:
    """(n,) float64, whatever the values."""
    if sample_weight is None:
        return np.broadcast_to(np.float64(1.0), (n,))
    weights = numeric(sample_weight, "sample_weight").astype(np.float64, copy=False)
    if weights.ndim == 0:
        weights = np.broadcast_to(weights, (n,))
    if weights.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), one weight for each row of X, got {weights.shape}")
    return weights


def weights_of_part(weights: np.ndarray) -> np.ndarray:
    """Those of a part of the rows may all be 0."""
    finite(weights, "sample_weight")
    refuse(lambda block: block < 0, weights, "sample_weight must not be negative")
    return weights


def some_weight(largest: float) -> None:
    if not largest > 0:
        raise ValueError("sample_weight must hold a positive weight, got zeros only")


def chunks_alone(X: Any, trials: Any, sample_weight: Any) -> None:
    """Chunks bring all with them that is told of each row."""
    if X is not None or sample_weight is not None:
        raise TypeError("chunks take the place of X and bring their own sample_weight: pass None for both")
    if np.ndim(trials):
        raise TypeError("trials must be None or one number with chunks; those of rows come as chunks (X, trials)")


def number_column(schema: Any, name: str) -> str:
    """The type of a column of an Arrow schema, which must hold numbers."""
    if schema.get_field_index(name) < 0:
        raise ValueError(f"column {name!r} is missing, or there are several; the columns are {schema.names}")
    found = str(schema.field(name).type)
    if found not in ARROW_NUMBERS:
        raise TypeError(f"column {name!r} must hold numbers, got {found}")
    return found


def refuse_null(nulls: np.ndarray, name: str, begin: int) -> None:
    """The first of them, in rows from `begin` on."""
    raise BadValueError(f"column {name!r} must be finite, without null", (begin + int(nulls.argmax()),))


def enough_rows(n: int, n_components: int) -> None:
    if n < n_components:
        raise ValueError(f"Expected n_samples >= n_components but got n_components = {n_components}, n_samples = {n}")


# --------------------------------------------------------------------------------------------------------- parameters


def rank_two(values: Any, name: str) -> tuple[int, int]:
    shape = np.shape(values)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"The parameter {name!r} should have the shape of (k, d), but got {shape}")
    return shape


def same_shape(values: Any, name: str, shape: tuple[int, ...]) -> None:
    if np.shape(values) != shape:
        raise ValueError(f"The parameter {name!r} should have the shape of {shape}, but got {np.shape(values)}")


def rows_of_params(has_trials: bool, n_features: int, params_have_trials: bool, params_features: int) -> None:
    """Refuse parameters of another family, or of another number of features, than the rows at hand."""
    if has_trials != params_have_trials:
        kinds = {True: "counts, with trials", False: "real numbers, without trials"}
        raise ValueError(f"params are for {kinds[params_have_trials]}; the rows at hand are {kinds[has_trials]}")
    if n_features != params_features:
        raise ValueError(f"params have {params_features} features, but the rows at hand have {n_features}")


def shaped(values: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A finite float64 array of this very shape."""
    array = numeric(values, name).astype(np.float64)
    same_shape(array, name, shape)
    return finite(array, name)


def with_gaps(values: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """As shaped, but rows of NaN are left to be found."""
    array = numeric(values, name).astype(np.float64)
    same_shape(array, name, shape)
    finite(array[~np.isnan(array).all(axis=1)], name)
    return array


def mixing_weights(values: Any, name: str, k: int) -> np.ndarray:
    array = shaped(values, name, (k,))
    if (array < 0).any() or (array > 1).any():
        raise ValueError(  # scikit-learn's sentence, which names the smallest first
            f"The parameter {name!r} should be in the range [0, 1], but got max value {array.min():.5f}, "
            f"min value {array.max():.5f}"
        )
    if not np.isclose(array.sum(), 1.0, rtol=1e-6):
        raise ValueError(f"The parameter {name!r} should be normalized, but got sum(weights) = {array.sum():.5f}")
    return array / array.sum()


def probabilities(values: Any, name: str, shape: tuple[int, ...], gaps: bool = False) -> np.ndarray:
    array = numeric(values, name)
    array = (with_gaps if gaps else shaped)(array[:, np.newaxis] if array.ndim == 1 else array, name, shape)
    refuse(lambda block: (block < 0) | (block > 1), array, f"{name} must hold probabilities in [0, 1]")
    return array


def definite(values: Any, name: str, shape: tuple[int, ...], matrices: bool) -> np.ndarray:
    """Covariances or precisions of densities: positive numbers, or symmetric positive definite matrices."""
    array = shaped(values, name, shape)
    if not matrices:
        refuse(lambda block: block <= 0, array, f"{name!r} should be positive")
        return array
    for index, matrix in enumerate(array if array.ndim == 3 else array[np.newaxis]):
        if not np.allclose(matrix, matrix.T) or not np.linalg.eigvalsh(matrix)[0] > 0:
            raise ValueError(f"{name!r} should be symmetric, positive-definite; matrix {index} is not")
    return array


def identified(shares: np.ndarray, least: float) -> None:
    """Refuse an information matrix that is singular or not positive; shares are its eigenvalues, over those of what
    complete rows would tell."""
    if (np.abs(shares) <= least).any():
        raise ValueError(
            "The parameters are not identified by these rows: their information matrix is singular, and there are no "
            "standard errors. Components that are equal, or more parameters than rows, make it so; fewer components "
            "would do."
        )
    if not (shares > 0).all():
        raise ValueError(
            "The information matrix is not positive definite: the parameters are not at a maximum of the likelihood of "
            "these rows, and there are no standard errors. Fit with a smaller tol (and reg_covar), and pass the rows "
            "of the fit."
        )


# ----------------------------------------------------------------------------------------------------------- settings


def integer(value: Any, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def well_defined(eigenvalues: np.ndarray, least: float) -> None:
    """Refuse a start with a component that has no extent in some direction."""
    if eigenvalues.min() <= least:
        raise ValueError(
            "Fitting the mixture model failed because some components have ill-defined empirical covariance (for "
            "instance caused by singleton or collapsed samples). Try to decrease the number of components, increase "
            "reg_covar, or scale the input data."
        )


def sample_size(n_samples: Any) -> None:
    if integer(n_samples, "n_samples", -sys.maxsize) < 1:
        raise ValueError(f"Invalid value for 'n_samples': {n_samples}. The sampling requires at least one sample.")


def non_negative(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    number = float(value)
    if not 0 <= number < np.inf:
        raise ValueError(f"{name} must be finite and not negative, got {value}")
    return number


def at_least(value: Any, name: str, least: float, *, strictly: bool = False) -> float:
    number = non_negative(value, name)
    if number < least or (strictly and number == least) or number > LARGEST_COUNT:
        bound = "above" if strictly else "at least"
        raise ValueError(f"{name} must be {bound} {least:g} and at most 2^53, got {value}")
    return number


def square(values: Any, name: str) -> np.ndarray:
    """A symmetric, positive definite matrix (d, d)."""
    shape = np.shape(values)
    if len(shape) != 2 or shape[0] != shape[1] or not shape[0]:
        raise ValueError(f"{name} must be a square matrix, got shape {shape}")
    return definite(values, name, shape, matrices=True)


def instance(value: Any, name: str, expected: type) -> None:
    if not isinstance(value, expected):
        raise TypeError(f"{name} must be None or a {expected.__name__}, got {value!r}")


def all_or_none(held: np.ndarray, name: str) -> None:
    if held.any() and not held.all():
        raise ValueError(f"standard errors are told where all {name} are held or none; got {int(held.sum())} that are")


def no_prior(prior: Any) -> None:
    if prior is not None:
        raise ValueError("standard_errors are those of maximum likelihood: prior must be None")


def no_masks(fixed: Any) -> None:
    """Masks speak of components by number, which order_by changes."""
    if isinstance(fixed, Mapping):
        raise ValueError("order_by must be None where fixed has masks: these speak of components by number")


def identifiable(n_features: int, most: int, k: int) -> None:
    """Warn of a mixture of binomials, of at most so many trials, that others with as many components equal (Blischke
    1964)."""
    if n_features == 1 and k > 1 and most < 2 * k - 1:
        warnings.warn(
            f"a mixture of {k} binomials cannot be identified from rows of at most {most} trials: it takes "
            f"{2 * k - 1}, 2 k - 1.  Its likelihood is right, but other parameters have the same one",
            IdentifiabilityWarning,
            stacklevel=3,
        )


def choice(value: Any, name: str, options: Collection[str]) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")
    return value


def arithmetic(dtype: Any) -> None:
    if dtype is not None and dtype not in (np.float64, float, "float64"):
        raise ValueError(f"dtype must be None or float64, got {dtype!r}")


def real_type(dtype: Any) -> np.dtype:
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype must be None, float32 or float64, got {dtype!r}")
    return np.dtype(dtype)


def groups(fixed: Any, options: Collection[str], k: int) -> tuple[str, ...] | dict[str, np.ndarray]:
    """Parameters to hold at their start: names of groups, or a mask of the k components for each."""
    if isinstance(fixed, Mapping):
        return {choice(name, "fixed", options): mask(value, f"fixed[{name!r}]", k) for name, value in fixed.items()}
    if not isinstance(fixed, (tuple, list, set, frozenset)):
        raise TypeError(
            f"fixed must be a tuple of group names out of {', '.join(map(repr, options))}, or a dict of masks,"
            f" got {fixed!r}"
        )
    return tuple(choice(name, "fixed", options) for name in fixed)


def mask(value: Any, name: str, k: int) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype != bool or array.shape != (k,):
        raise ValueError(f"{name} must be a mask of shape ({k},), one bool for each component, got {value!r}")
    return array


def generator(random_state: Any) -> np.random.Generator:
    """A NumPy generator from None, a seed, a Generator or a RandomState (which it advances)."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(np.iinfo(np.int32).max, size=4))
    if random_state is not None:
        random_state = integer(random_state, "random_state", 0)
    return np.random.default_rng(random_state)
