"""Check the settings of a fit, and convert them to numbers and paths."""

from __future__ import annotations

import math
import numbers
import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import DTypeLike

from fastem._typing import PathLike
from fastem.exceptions import CollapsedComponentError
from fastem.validation.arrays import LARGEST_COUNT, check_not
from fastem.validation.parameters import as_array

LONGEST_SHOWN = 1 << 63
"""Of larger integers a message has no digits: they can be thousands."""

NO_NUMBERS = (bool, np.timedelta64)
"""Types that Python and NumPy count among the integers, and that are not meant where a number is asked for."""


def check_integer(value: object, name: str, least: int, most: float = math.inf) -> None:
    """Raise an error as `as_integer` does."""
    as_integer(value, name, least, most)


def as_integer(value: object, name: str, least: int, most: float = math.inf) -> int:
    """Convert an integer of any type to int; TypeError for any other value, ValueError outside the limits."""
    if isinstance(value, NO_NUMBERS) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an int, got {value!r:.200}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    if int(value) > most:
        got = f", got {value}" if value < LONGEST_SHOWN else ""
        raise ValueError(f"{name} must be at most {most}{got}")
    return int(value)


def check_n_samples(n_samples: object) -> None:
    """Raise an error unless a sample of this size can be drawn."""
    if as_integer(n_samples, "n_samples", -sys.maxsize, LARGEST_COUNT) < 1:
        raise ValueError(f"Invalid value for 'n_samples': {n_samples}. The sampling requires at least one sample.")


def check_non_negative(value: object, name: str) -> None:
    """Raise an error as `as_non_negative` does."""
    as_non_negative(value, name)


LEAST_POSITIVE = 1e-100
"""The least of numbers that are logarithms and divisors later; nobody can tell it from 0."""


def check_positive(value: object, name: str) -> None:
    """Raise an error unless the value is a number above 0, with room for its square, and at most 2^53."""
    as_number(value, name, 0.0, strictly=True)
    as_number(value, name, LEAST_POSITIVE)


def as_non_negative(value: object, name: str) -> float:
    """Convert a number to float; TypeError for any other value, ValueError if it is negative or not finite."""
    if isinstance(value, NO_NUMBERS) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r:.200}")
    try:
        number = float(value)
    except OverflowError:  # an int that is too long for float
        number = np.inf
    if not 0 <= number < np.inf:
        raise ValueError(f"{name} must be finite and not negative, got {number}")
    return number


def check_bool(value: object, name: str) -> None:
    """Raise TypeError unless the value is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r:.200}")


def check_noise(value: object, name: str) -> None:
    """Allow None, True, False and a density, a number above 0: of many features it may be far below 1."""
    if value is None or isinstance(value, (bool, np.bool_)):
        return
    if not as_non_negative(value, name) > 0:
        raise ValueError(f"{name} must be True or a density above 0, got {value!r:.200}")


def as_reg_covar(value: object, name: str, d: int) -> float | np.ndarray:
    """Convert what is added to variances to a number that is not negative, or to an array (d,) of such numbers."""
    if type(value) is float and 0 <= value < np.inf:
        return value
    if not isinstance(value, np.ndarray):
        return as_non_negative(value, name)
    array = as_array(value, name, (d,))
    check_not(lambda block: block < 0, array, f"{name} must not be negative")
    return array


def as_number(value: object, name: str, least: float, *, strictly: bool = False) -> float:
    """Convert a number that is at least (or, if `strictly`, above) `least` to float."""
    number = as_non_negative(value, name)
    if number < least or (strictly and number == least) or number > LARGEST_COUNT:
        bound = "above" if strictly else "at least"
        raise ValueError(f"{name} must be {bound} {least:g} and at most 2^53, got {value}")
    return number


def check_one_feature(n_features: int, use: str) -> None:
    """Raise ValueError where rows have several features."""
    if n_features != 1:
        raise ValueError(f"{use} is for rows of one feature, but these have {n_features}: take marginal(feature) first")


def check_instance(value: object, name: str, expected: type) -> None:
    """Raise TypeError unless the value is of the expected class."""
    if not isinstance(value, expected):
        raise TypeError(f"{name} must be None or a {expected.__name__}, got {value!r:.200}")


def check_kind(value: object, name: str, expected: type) -> None:
    """Raise TypeError unless the value is of the expected class."""
    if not isinstance(value, expected):
        raise TypeError(f"{name} must be a {expected.__name__}, got {type(value).__name__}")


def check_told(value: object, name: str, told: object) -> None:
    """Raise ValueError if a setting is another than parameters that are given tell."""
    if value != told:
        raise ValueError(f"{name} is {told!r} by the parameters: leave it out, got {value!r:.200}")


def check_no_prior(prior: object) -> None:
    """Raise ValueError if there is a prior, of which standard errors take no account."""
    if prior is not None:
        raise ValueError("standard_errors are defined for maximum likelihood only: prior must be None")


def check_no_background(has_background: bool, use: str) -> None:
    """Raise ValueError for a mixture with a background, of which the use of it knows nothing."""
    if has_background:
        raise ValueError(f"{use} knows no background: it needs a fit with noise=None")


def check_background(has_marginals: bool, use: str) -> None:
    """Raise ValueError for a background whose box does not lie along the features, or does not extend along each."""
    if not has_marginals:
        raise ValueError(
            f"{use} needs the density of the background in some of the features: it is known where the box "
            "(noise_box_) lies along the features, as a fit with missing='marginalize' makes it, and extends along each"
        )


def check_no_checkpoint(checkpoint: object) -> None:
    """Raise ValueError if the estimator of several fits has a checkpoint."""
    if checkpoint is not None:
        raise ValueError("the checkpoint of estimator must be None, since several fits cannot share one file")


def check_improvable(has_own: bool, has_checkpoint: bool) -> None:
    """Raise ValueError where components cannot be split and merged, or a checkpoint is to be kept of that."""
    if has_own:
        raise ValueError(
            "improve splits and merges components, which needs fixed=() and one mean in the prior: others are not alike"
        )
    if has_checkpoint:
        raise ValueError("improve goes on from a fit, and keeps no checkpoint of that: set checkpoint to None")


def check_no_masks(has_masks: bool) -> None:
    """Raise ValueError if components are to be ordered, and masks refer to them by their positions."""
    if has_masks:
        raise ValueError(
            "order_by must be None where fixed has masks: masks refer to components by position, which order_by changes"
        )


def check_no_moves(order_by: str | None, on_collapse: str) -> None:
    """Raise ValueError if components may change places, and the prior has a mean for each by its position."""
    if order_by is not None:
        raise ValueError("order_by must be None where the prior has a mean for each component, by its position")
    if on_collapse in ("reseed", "drop"):
        raise ValueError(
            f"on_collapse must be 'floor' or 'raise' where the prior has a mean for each component, got {on_collapse!r}"
        )


def raise_collapsed(component: int, iteration: int, count: float, smallest_eigenvalue: float) -> NoReturn:
    """Raise the error for a component that has collapsed in a fit with on_collapse="raise"."""
    raise CollapsedComponentError(
        f"component {component} collapsed at iteration {iteration}: the total weight of its rows is {count:.3g}, and "
        f"the smallest eigenvalue of its covariance is {smallest_eigenvalue:.3g} (reg_covar included; nan if it has "
        "lost all rows). Try fewer components, a larger reg_covar, a prior or another start"
    )


def check_on_collapse(on_collapse: str, fixed: bool) -> None:
    """Raise ValueError if parameters are fixed, which a component that is reseeded or dropped would not keep."""
    if on_collapse in ("reseed", "drop") and fixed:
        raise ValueError(f"on_collapse must be 'floor' or 'raise' where parameters are fixed, got {on_collapse!r}")


def raise_changed_setting(name: str, then: object, now: object) -> NoReturn:
    """Raise the error for a setting that has changed since the fit whose results are asked for."""
    raise ValueError(
        f"{name} was {then!r} when this mixture was fitted, and is now {now!r}: the results of the fit do not apply. "
        f"Set {name} back to {then!r}, or fit again (with warm_start=False)"
    )


def check_same_fit(identity: object, expected: Mapping[str, object], path: PathLike) -> None:
    """Raise ValueError if the identity of the fit that wrote a checkpoint is not as expected.

    A setting that its writer did not know is as if it had been None.
    """
    written = identity if isinstance(identity, dict) else {}
    for name in [*expected, *written]:
        if written.get(name) != expected.get(name):
            raise ValueError(
                f"checkpoint {path} was written by another fit: {name} was {written.get(name)!r}, and is now"
                f" {expected.get(name)!r}; delete the file or choose another path"
            )


def check_choice(value: object, name: str, options: Collection[str]) -> None:
    """Raise an error as `as_choice` does."""
    as_choice(value, name, options)


def as_choice(value: object, name: str, options: Collection[str]) -> str:
    """Return one of the options; TypeError for what is no text, ValueError for any other text."""
    message = f"{name} must be one of {', '.join(map(repr, options))}, got {value!r:.200}"
    if not isinstance(value, str):
        raise TypeError(message)
    if value not in options:
        raise ValueError(message)
    return value


def as_choices(values: object, name: str, options: Collection[str]) -> list[str]:
    """Convert several of the options to a list."""
    return [as_choice(value, name, options) for value in as_list(values, name)]


def as_list(values: object, name: str) -> list[object]:
    """Convert an iterable to a list, which must not be empty; TypeError for a single value, and for text."""
    if isinstance(values, str) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        raise TypeError(
            f"{name} must be a list or another iterable, for instance [{values!r:.200}], got {values!r:.200}"
        )
    result = list(values)
    if not result:
        raise ValueError(f"{name} must not be empty")
    return result


def as_name(value: object, name: str) -> str:
    """Return the name of a column; TypeError for any other value."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be the name of a column, got {value!r:.200}")
    return value


def as_places(values: object, name: str, names: Sequence[str], most: int) -> list[int]:
    """Convert numbers or names of columns, at most so many and each once, to numbers."""
    places = [as_place(value, name, names) for value in as_list(values, name)]
    if len(places) > most or len(set(places)) < len(places):
        raise ValueError(f"{name} must be at most {most} different columns, got {values!r:.200}")
    return places


def as_features(values: object, name: str, names: Sequence[str], most: int | None = None) -> list[int]:
    """Convert numbers or names of features, or a single one of them, to numbers."""
    several = [values] if isinstance(values, (str, numbers.Integral)) else values
    return as_places(several, name, names, len(names) if most is None else most)


def as_place(value: object, name: str, names: Sequence[str]) -> int:
    """Convert the number or the name of a column to its number."""
    if isinstance(value, str):
        check_choice(value, name, names)
        return names.index(value)
    return as_integer(value, name, 0, len(names) - 1)


def check_function(value: object, name: str) -> None:
    """Raise TypeError unless the value can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be a function, got {value!r:.200}")


def check_callable(value: object, name: str) -> None:
    """Raise TypeError unless the value is None or can be called."""
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be None or a function, got {value!r:.200}")


def check_no_trials(trials: object, owner: str) -> None:
    """Raise ValueError if trials are passed to an estimator that has none."""
    if trials is not None:
        raise ValueError(f"trials are for a BinomialMixture, but the estimator is a {owner}: pass None")


def check_path(value: object, name: str) -> None:
    """Raise an error as `as_path` does."""
    as_path(value, name)


def as_path(value: object, name: str) -> str:
    """Convert the name of a file to text; TypeError for any other value, ValueError if it can be no name."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be a path, got {value!r:.200}")
    path = os.fsdecode(os.fspath(value))
    if not path or "\0" in path:
        raise ValueError(f"{name} must be the name of a file, got {value!r:.200}")
    return path


def check_can_be_saved(kind: type) -> None:
    """Raise TypeError for a subclass of an estimator, which `load` would not know."""
    if kind.__module__ != "fastem":
        raise TypeError(f"save writes the estimators of fastem, not a subclass, got a {kind.__name__}")


def check_dtype(dtype: object) -> None:
    """Raise ValueError unless the type of the arithmetic is None or float64."""
    if dtype is not None and not is_one_of(dtype, np.float64, float, "float64"):
        raise ValueError(f"dtype must be None or float64, got {dtype!r:.200}")


def is_one_of(dtype: object, *types: type | str) -> bool:
    """Return whether a type is one of these; an array, which would be compared element by element, is none."""
    return isinstance(dtype, (type, str, np.dtype)) and dtype in types


def as_float_dtype(dtype: DTypeLike) -> np.dtype[np.floating]:
    """Convert the name or class of a type of floating point numbers to a NumPy dtype."""
    for kind in (np.float32, np.float64):
        if is_one_of(dtype, kind, kind.__name__):
            return np.dtype(kind)
    raise ValueError(f"dtype must be None, float32 or float64, got {dtype!r:.200}")


SEEDS = (np.random.Generator, np.random.BitGenerator, np.random.SeedSequence)


def check_random_state(random_state: object) -> None:
    """Raise an error unless random numbers can be drawn: from None, an int, or a generator or seed of NumPy.

    numpy.random itself stands for its global RandomState.
    """
    is_source = random_state is np.random or isinstance(random_state, (np.random.RandomState, *SEEDS))
    if random_state is not None and not is_source:
        check_integer(random_state, "random_state", 0)


def as_generator(random_state: object) -> np.random.Generator:
    """Convert `random_state` to a NumPy generator; a Generator is returned, and a RandomState is advanced.

    None and numpy.random draw a seed from NumPy's global state: after np.random.seed, results are the same again.
    """
    most = np.iinfo(np.int32).max
    if random_state is np.random or random_state is None:
        return np.random.default_rng(np.random.randint(most, size=4))
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(most, size=4))
    if isinstance(random_state, SEEDS):
        return np.random.default_rng(random_state)
    return np.random.default_rng(as_integer(random_state, "random_state", 0))
