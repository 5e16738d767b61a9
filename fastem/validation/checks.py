"""Parameters and settings at the door: every message says what is wrong, and where."""

from __future__ import annotations

import math
import numbers
import os
import sys
import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from fastem.exceptions import CollapsedComponentError, IdentifiabilityWarning
from fastem.kernels import linear
from fastem.validation import inputs


def table(values: Any, name: str) -> np.ndarray:
    """A parameter as the kernels read it: float64, aligned; the same array where it is that already."""
    if type(values) is np.ndarray and values.dtype == np.float64 and values.flags.aligned:
        return values
    return inputs.numeric(values, name).astype(np.float64)


def rank_two(values: np.ndarray, name: str) -> tuple[int, int]:
    shape = values.shape
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"The parameter {name!r} should have the shape of (k, d), but got {shape}")
    return shape


def same_shape(values: np.ndarray, name: str, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise ValueError(f"The parameter {name!r} should have the shape of {shape}, but got {values.shape}")


def mixture_params(params: Any) -> None:
    if not hasattr(params, "kernel"):
        raise TypeError(f"params must be those of a mixture, GaussianParams or BinomialParams, got {params!r}")


def rows_of_params(has_trials: bool, n_features: int, params_have_trials: bool, params_features: int) -> None:
    """Refuse parameters of another family, or of another number of features, than the rows at hand."""
    if has_trials != params_have_trials:
        kinds = {True: "counts, with trials", False: "real numbers, without trials"}
        raise ValueError(f"params are for {kinds[params_have_trials]}; the rows at hand are {kinds[has_trials]}")
    if n_features != params_features:
        raise ValueError(f"params have {params_features} features, but the rows at hand have {n_features}")


def same_features(n_features_in: Any, n_features: int) -> None:
    if n_features_in != n_features:
        raise ValueError(f"n_features_in_ is {n_features_in}, but the parameters have {n_features} features")


def shaped(values: Any, name: str, shape: tuple[int, ...], largest: float = np.inf) -> np.ndarray:
    """A finite float64 array of this very shape."""
    array = table(values, name)
    same_shape(array, name, shape)
    return inputs.finite(array, name, largest)


def with_gaps(values: Any, name: str, shape: tuple[int, ...], largest: float = np.inf) -> np.ndarray:
    """As shaped, but rows of NaN are left to be found."""
    array = table(values, name)
    same_shape(array, name, shape)
    inputs.finite(array[~np.isnan(array).all(axis=1)], name, largest)
    return array


def holding(dtype: Any, exactly: Iterable[np.ndarray], nearly: Iterable[np.ndarray]) -> Any:
    """float64 where `dtype` does not hold some arrays exactly, or others at all: a precision beyond 1e38 in float32."""
    largest = np.finfo(dtype).max
    with np.errstate(over="ignore"):
        held = all((array.astype(dtype) == array).all() for array in exactly)
    return dtype if held and all(np.abs(array).max() <= largest for array in nearly) else np.float64


def large_enough(magnitudes: np.ndarray, smallest: float) -> None:
    """Refuse features (d,) that are neither 0 nor as large as `smallest`."""
    tiny = (magnitudes > 0) & (magnitudes < smallest)
    if tiny.any():
        column = int(tiny.argmax())
        raise ValueError(
            f"X has values of magnitude {magnitudes[column]:.0e} in column {column}; below {smallest:.0e} a variance"
            " cannot be told from 0: rescale it"
        )


def centers(values: Any, name: str, shape: tuple[int, ...], gaps: bool = False) -> np.ndarray:
    """Means, which are within reach of rows: squares of their distances do not overflow."""
    return (with_gaps if gaps else shaped)(values, name, shape, inputs.LARGEST[np.dtype(np.float64)])


def mixing_weights(values: Any, name: str, k: int) -> np.ndarray:
    array = shaped(values, name, (k,))
    if (array < 0).any() or (array > 1).any():
        raise ValueError(  # scikit-learn's sentence, which names the smallest first
            f"The parameter {name!r} should be in the range [0, 1], but got max value {array.min():.5f}, "
            f"min value {array.max():.5f}"
        )
    if not np.isclose(array.sum(), 1.0, rtol=1e-6):
        raise ValueError(f"The parameter {name!r} should be normalized, but got sum(weights) = {array.sum():.5f}")
    return np.asarray(array / array.sum())


def probabilities(values: Any, name: str, shape: tuple[int, ...], gaps: bool = False) -> np.ndarray:
    array = inputs.numeric(values, name)
    array = (with_gaps if gaps else shaped)(array[:, np.newaxis] if array.ndim == 1 else array, name, shape)
    inputs.refuse(lambda block: (block < 0) | (block > 1), array, f"{name} must hold probabilities in [0, 1]")
    return array


def definite(values: Any, name: str, shape: tuple[int, ...], matrices: bool, rounding: float = 0.0) -> np.ndarray:
    """Covariances or precisions of densities: positive numbers, or symmetric positive definite matrices, up to what
    rounding has done to their elements."""
    array = shaped(values, name, shape)
    if not matrices:
        inputs.refuse(lambda block: block <= 0, array, f"{name!r} should be positive")
        return array
    for index, matrix in enumerate(array if array.ndim == 3 else array[np.newaxis]):
        if not is_definite(matrix, -rounding * len(matrix)):
            raise ValueError(f"{name!r} should be symmetric, positive-definite; matrix {index} is not")
    return array


def is_definite(matrix: np.ndarray, least: float) -> bool:
    """Symmetric, and eigenvalues of its correlations, which have no units, above `least`."""
    variances = matrix.diagonal()
    if not (variances > 0).all():
        return False
    sds = np.sqrt(variances)
    with np.errstate(over="ignore"):
        correlations = matrix / sds / sds[:, np.newaxis]
    if not (np.abs(correlations) < 2).all():  # 1 at the most; infinity is no number to LAPACK
        return False
    return np.allclose(correlations, correlations.T) and bool(linear.eigvalsh(correlations)[0] > least)


def variances_within(variances: np.ndarray, name: str, least: float, most: float) -> None:
    """Refuse precisions that are those of no rows: sums of squares would overflow, or their inverses."""
    inputs.refuse(
        lambda block: ~((block >= least) & (block <= most)),
        variances,
        f"{name} must be inverses of variances from {least:g} to {most:g}; rescale X: a variance would be",
    )


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


def integer(value: Any, name: str, least: int, most: float = math.inf) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    if int(value) > most:
        raise ValueError(f"{name} must be at most {most}")
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
    if integer(n_samples, "n_samples", -sys.maxsize, inputs.LARGEST_COUNT) < 1:
        raise ValueError(f"Invalid value for 'n_samples': {n_samples}. The sampling requires at least one sample.")


def non_negative(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:  # of a longer int
        number = np.inf
    if not 0 <= number < np.inf:
        raise ValueError(f"{name} must be finite and not negative, got {number}")
    return number


def flag(value: Any, name: str) -> None:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")


def added_variance(value: Any, name: str, d: int) -> Any:
    """A finite number that is not negative, or one for each feature (d,)."""
    if type(value) is float and 0 <= value < np.inf:
        return value
    if not isinstance(value, np.ndarray):
        return non_negative(value, name)
    array = shaped(value, name, (d,))
    inputs.refuse(lambda block: block < 0, array, f"{name} must not be negative")
    return array


def in_reach(*information: np.ndarray) -> None:
    """Refuse information that has overflowed."""
    if not all(np.isfinite(each).all() for each in information):
        raise ValueError(
            "X has rows so many standard deviations from every component that their information overflows, and there "
            "are no standard errors: the parameters are not at a maximum of the likelihood of these rows"
        )


def storable(roots: np.ndarray) -> None:
    """Refuse standard errors of which the squares overflow."""
    if not np.abs(roots).max(initial=0.0) < inputs.LARGEST[np.dtype(np.float64)]:
        raise ValueError("X is too large for standard errors: those of variances overflow; rescale it")


def at_least(value: Any, name: str, least: float, *, strictly: bool = False) -> float:
    number = non_negative(value, name)
    if number < least or (strictly and number == least) or number > inputs.LARGEST_COUNT:
        bound = "above" if strictly else "at least"
        raise ValueError(f"{name} must be {bound} {least:g} and at most 2^53, got {value}")
    return number


def square(values: Any, name: str) -> np.ndarray:
    """A symmetric, positive definite matrix (d, d)."""
    array = table(values, name)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not array.size:
        raise ValueError(f"{name} must be a square matrix, got shape {array.shape}")
    return definite(array, name, array.shape, matrices=True)


def instance(value: Any, name: str, expected: type) -> None:
    if not isinstance(value, expected):
        raise TypeError(f"{name} must be None or a {expected.__name__}, got {value!r}")


def all_or_none(held: np.ndarray, name: str) -> None:
    if held.any() and not held.all():
        raise ValueError(f"standard errors are told where all {name} are held or none; got {int(held.sum())} that are")


def no_prior(prior: Any) -> None:
    if prior is not None:
        raise ValueError("standard_errors are those of maximum likelihood: prior must be None")


def no_checkpoint(checkpoint: Any) -> None:
    if checkpoint is not None:
        raise ValueError("the checkpoint of estimator must be None: one file cannot serve several fits")


def no_masks(fixed: Any) -> None:
    """Masks speak of components by number, which order_by changes."""
    if isinstance(fixed, Mapping):
        raise ValueError("order_by must be None where fixed has masks: these speak of components by number")


def no_collapse(component: int, iteration: int, count: float, smallest_eigenvalue: float) -> None:
    """A component has collapsed, and on_collapse is "raise"."""
    raise CollapsedComponentError(
        f"component {component} collapsed at iteration {iteration}: its rows weigh {count:.3g}, the smallest "
        f"eigenvalue of its covariance is {smallest_eigenvalue:.3g} (reg_covar included; nan where it has lost all "
        "rows). Try fewer components, a larger reg_covar, a prior or another start"
    )


def unheld(on_collapse: str, fixed: Any) -> None:
    """A component that is reseeded or dropped does not keep what is held."""
    if on_collapse in ("reseed", "drop") and fixed:
        raise ValueError(f"on_collapse must be 'floor' or 'raise' where parameters are fixed, got {on_collapse!r}")


def changed_setting(name: str, then: Any, now: Any) -> None:
    """A setting is no longer what it was in the fit whose results are asked for."""
    raise ValueError(
        f"{name} was {then!r} when this mixture was fitted, and is {now!r}: the fit cannot be used with it. Set {name} "
        "back, or fit again (with warm_start=False)"
    )


def same_fit(found: Any, expected: Mapping[str, Any], path: Any) -> None:
    """Refuse a checkpoint that another fit has written; say in what it differs."""
    if found == expected:
        return
    found = found if isinstance(found, dict) else {}
    missing = "missing"
    name = next(name for name in [*expected, *found] if found.get(name, missing) != expected.get(name, missing))
    raise ValueError(
        f"checkpoint {path} was written by another fit: {name} was {found.get(name)!r}, and is {expected.get(name)!r};"
        " delete it or give another path"
    )


def identifiable(n_features: int, most: int, k: int) -> None:
    """Warn of a mixture of binomials, of at most so many trials, that others with as many components equal (Blischke
    1964)."""
    if n_features == 1 and k > 1 and most < 2 * k - 1:
        warnings.warn(
            f"a mixture of {k} binomials cannot be identified from rows of at most {most} trials: it takes "
            f"{2 * k - 1}, 2 k - 1.  Its likelihood is right, but other parameters have the same one",
            IdentifiabilityWarning,
            stacklevel=4,
        )


def choice(value: Any, name: str, options: Collection[str]) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")
    return value


def function(value: Any, name: str) -> None:
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be None or a function, got {value!r}")


def listed(values: Any, name: str) -> list[Any]:
    """Some values; a string is none of them, but one."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be several, in a list for instance, got {values!r}")
    found = list(values)
    if not found:
        raise ValueError(f"{name} must not be empty")
    return found


def no_trials(trials: Any, owner: str) -> None:
    if trials is not None:
        raise ValueError(f"trials belong to a BinomialMixture, and the estimator is a {owner}")


def enough_panels(found: int, needed: int) -> None:
    if found != needed:
        raise ValueError(f"ax must have {needed} panels, got {found}")


def few_features(d: int, most: int) -> None:
    if d > most:
        raise ValueError(f"a picture of all pairs takes at most {most} features, got {d}: fit or draw some of them")


def path(value: Any, name: str) -> Any:
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be a path, got {value!r}")
    found = os.fsdecode(os.fspath(value))
    if not found or "\0" in found:
        raise ValueError(f"{name} must be the name of a file, got {value!r}")
    return found


def saveable(kind: type, base: type) -> None:
    """A subclass would come back as nothing that `load` knows."""
    if kind.__bases__[0] is not base:
        raise TypeError(f"save keeps the estimators of fastem, not a subclass, got a {kind.__name__}")


def arithmetic(dtype: Any) -> None:
    named = isinstance(dtype, (type, str, np.dtype)) and dtype in (np.float64, float, "float64")
    if not (named or dtype is None):
        raise ValueError(f"dtype must be None or float64, got {dtype!r}")


def real_type(dtype: Any) -> np.dtype:
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype must be None, float32 or float64, got {dtype!r}")
    found: np.dtype = np.dtype(dtype)
    return found


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
    try:
        array = np.asarray(value)
    except ValueError:  # ragged
        array = np.empty(0)
    if array.dtype != bool or array.shape != (k,):
        raise ValueError(f"{name} must be a mask of shape ({k},), one bool for each component, got {value!r}")
    return array


def seed(random_state: Any) -> Any:
    """What random numbers can be drawn from: None, an int, or what NumPy has for it (numpy.random itself is its global
    RandomState)."""
    if random_state is None or random_state is np.random or isinstance(random_state, SOURCES):
        return random_state
    return integer(random_state, "random_state", 0)


SOURCES = (np.random.Generator, np.random.RandomState, np.random.SeedSequence, np.random.BitGenerator)


def generator(random_state: Any) -> np.random.Generator:
    """A NumPy generator; a Generator is that itself, and a RandomState is advanced."""
    found = seed(random_state)
    if found is np.random or isinstance(found, np.random.RandomState):
        return np.random.default_rng(found.randint(np.iinfo(np.int32).max, size=4))
    return np.random.default_rng(found)
