"""The docstring of a method that takes trials is that of the method without, and an entry more."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeVar

TRIALS = """\
trials : int or array-like of shape (n,), (d,) or (n, d), default=None
    Trials of all rows, of each row, of each column or of each place: whole numbers.  A place of 0 trials is ignored.
    None takes n_trials."""
EXAMPLES = "\n\nExamples\n--------\n"

Method = TypeVar("Method", bound=Callable[..., object])


def documented_like(method: Callable[..., object]) -> Callable[[Method], Method]:
    """Give a method the docstring of one without trials; examples remain its own.  A decorator."""

    def document(own: Method) -> Method:
        shared, ours = inspect.getdoc(method), inspect.getdoc(own)
        if shared and ours:  # there are none under python -OO
            own.__doc__ = with_trials(shared.split(EXAMPLES)[0]) + "".join(ours.partition(EXAMPLES)[1:])
        return own

    return document


def with_trials(text: str) -> str:
    """Return the docstring of a method with an entry for the trials behind those of X and y."""
    lines = text.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("X : ")) + 1
    while lines[place].startswith((" ", "y : ")):
        place += 1
    return "\n".join([*lines[:place], TRIALS, *lines[place:]])
