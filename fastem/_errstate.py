"""The floating-point error handling of fastem's own arithmetic: the default of NumPy, whatever the caller has set."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
T = TypeVar("T")

inside: ContextVar[bool] = ContextVar("inside", default=False)


def own(function: Callable[P, T]) -> Callable[P, T]:
    """Make a function compute with this error handling; calls within it leave it as it is.

    A row far away from a component has a density of 0, and products and squares of such numbers underflow as they
    should: ``np.errstate(all="raise")`` around a fit is about the caller's own numbers.  Where numbers of ours may
    overflow, a narrower context says so, which inner calls leave as it is.
    """

    @wraps(function)
    def within(*args: P.args, **settings: P.kwargs) -> T:
        if inside.get():
            return function(*args, **settings)
        token = inside.set(True)
        try:
            with np.errstate(divide="warn", over="warn", invalid="warn", under="ignore"):
                return function(*args, **settings)
        finally:
            inside.reset(token)

    return within


def own_methods(kind: type[T]) -> type[T]:
    """Make the public methods of a class compute with this error handling."""
    for name, method in list(vars(kind).items()):
        if inspect.isfunction(method) and not name.startswith("_"):
            setattr(kind, name, own(method))
    return kind
