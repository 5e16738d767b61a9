"""Check the settings of a fit, and convert them to numbers and paths."""

from __future__ import annotations

import math
import numbers
import os
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from fastem.exceptions import CollapsedComponentError
from fastem.validation.arrays import LARGEST_COUNT, check_not
from fastem.validation.parameters import as_array


def check_integer(value: Any, name: str, least: int, most: float = math.inf) -> None:
    as_integer(value, name, least, most)


def as_integer(value: Any, name: str, least: int, most: float = math.inf) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    if int(value) > most:
        raise ValueError(f"{name} must be at most {most}")
    return int(value)


def check_n_samples(n_samples: Any) -> None:
    if as_integer(n_samples, "n_samples", -sys.maxsize, LARGEST_COUNT) < 1:
        raise ValueError(f"Invalid value for 'n_samples': {n_samples}. The sampling requires at least one sample.")


def check_non_negative(value: Any, name: str) -> None:
    as_non_negative(value, name)


def as_non_negative(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:  # of a longer int
        number = np.inf
    if not 0 <= number < np.inf:
        raise ValueError(f"{name} must be finite and not negative, got {number}")
    return number


def check_bool(value: Any, name: str) -> None:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")


def as_reg_covar(value: Any, name: str, d: int) -> Any:
    """A finite number that is not negative, or one for each feature (d,)."""
    if type(value) is float and 0 <= value < np.inf:
        return value
    if not isinstance(value, np.ndarray):
        return as_non_negative(value, name)
    array = as_array(value, name, (d,))
    check_not(lambda block: block < 0, array, f"{name} must not be negative")
    return array


def as_number(value: Any, name: str, least: float, *, strictly: bool = False) -> float:
    number = as_non_negative(value, name)
    if number < least or (strictly and number == least) or number > LARGEST_COUNT:
        bound = "above" if strictly else "at least"
        raise ValueError(f"{name} must be {bound} {least:g} and at most 2^53, got {value}")
    return number


def check_instance(value: Any, name: str, expected: type) -> None:
    if not isinstance(value, expected):
        raise TypeError(f"{name} must be None or a {expected.__name__}, got {value!r}")


def check_no_prior(prior: Any) -> None:
    if prior is not None:
        raise ValueError("standard_errors are those of maximum likelihood: prior must be None")


def check_no_checkpoint(checkpoint: Any) -> None:
    if checkpoint is not None:
        raise ValueError("the checkpoint of estimator must be None: one file cannot serve several fits")


def check_no_masks(has_masks: bool) -> None:
    """Masks speak of components by number, which order_by changes."""
    if has_masks:
        raise ValueError("order_by must be None where fixed has masks: these speak of components by number")


def raise_collapsed(component: int, iteration: int, count: float, smallest_eigenvalue: float) -> None:
    """A component has collapsed, and on_collapse is "raise"."""
    raise CollapsedComponentError(
        f"component {component} collapsed at iteration {iteration}: its rows weigh {count:.3g}, the smallest "
        f"eigenvalue of its covariance is {smallest_eigenvalue:.3g} (reg_covar included; nan where it has lost all "
        "rows). Try fewer components, a larger reg_covar, a prior or another start"
    )


def check_on_collapse(on_collapse: str, fixed: bool) -> None:
    """A component that is reseeded or dropped does not keep what is fixed."""
    if on_collapse in ("reseed", "drop") and fixed:
        raise ValueError(f"on_collapse must be 'floor' or 'raise' where parameters are fixed, got {on_collapse!r}")


def raise_changed_setting(name: str, then: Any, now: Any) -> None:
    """A setting is no longer what it was in the fit whose results are asked for."""
    raise ValueError(
        f"{name} was {then!r} when this mixture was fitted, and is {now!r}: the fit cannot be used with it. Set {name} "
        "back, or fit again (with warm_start=False)"
    )


def check_same_fit(found: Any, expected: Mapping[str, Any], path: Any) -> None:
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


def check_choice(value: Any, name: str, options: Collection[str]) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")


def as_choices(values: Any, name: str, options: Collection[str]) -> list[str]:
    """Some of the options, in a list."""
    found = as_list(values, name)
    for value in found:
        check_choice(value, name, options)
    return found


def check_callable(value: Any, name: str) -> None:
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be None or a function, got {value!r}")


def as_list(values: Any, name: str) -> list[Any]:
    """Some values; a string is none of them, but one."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be several, in a list for instance, got {values!r}")
    found = list(values)
    if not found:
        raise ValueError(f"{name} must not be empty")
    return found


def check_no_trials(trials: Any, owner: str) -> None:
    if trials is not None:
        raise ValueError(f"trials belong to a BinomialMixture, and the estimator is a {owner}")


def check_n_panels(found: int, needed: int) -> None:
    if found != needed:
        raise ValueError(f"ax must have {needed} panels, got {found}")


def check_n_pairs(d: int, most: int) -> None:
    if d > most:
        raise ValueError(f"a picture of all pairs takes at most {most} features, got {d}: fit or draw some of them")


def check_path(value: Any, name: str) -> None:
    as_path(value, name)


def as_path(value: Any, name: str) -> Any:
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be a path, got {value!r}")
    found = os.fsdecode(os.fspath(value))
    if not found or "\0" in found:
        raise ValueError(f"{name} must be the name of a file, got {value!r}")
    return found


def check_can_be_saved(kind: type, base: type) -> None:
    """A subclass would come back as nothing that `load` knows."""
    if kind.__bases__[0] is not base:
        raise TypeError(f"save keeps the estimators of fastem, not a subclass, got a {kind.__name__}")


def check_dtype(dtype: Any) -> None:
    named = isinstance(dtype, (type, str, np.dtype)) and dtype in (np.float64, float, "float64")
    if not (named or dtype is None):
        raise ValueError(f"dtype must be None or float64, got {dtype!r}")


def as_float_dtype(dtype: Any) -> np.dtype:
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype must be None, float32 or float64, got {dtype!r}")
    found: np.dtype = np.dtype(dtype)
    return found


SOURCES = (np.random.Generator, np.random.RandomState, np.random.SeedSequence, np.random.BitGenerator)


def check_random_state(random_state: Any) -> None:
    """What random numbers can be drawn from: None, an int, or what NumPy has for it (numpy.random itself is its global
    RandomState)."""
    if random_state is not None and random_state is not np.random and not isinstance(random_state, SOURCES):
        check_integer(random_state, "random_state", 0)


def as_generator(random_state: Any) -> np.random.Generator:
    """A NumPy generator; a Generator is that itself, and a RandomState is advanced."""
    check_random_state(random_state)
    if random_state is np.random or isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(np.iinfo(np.int32).max, size=4))
    return np.random.default_rng(int(random_state) if isinstance(random_state, numbers.Integral) else random_state)
