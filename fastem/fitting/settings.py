"""The settings of a fit.  Each is declared once: its default, what it may be, and what its documentation says."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import Field, dataclass, field, fields
from functools import partial
from textwrap import fill
from typing import Any, TypeVar

from fastem._typing import PathLike
from fastem.fitting.acceleration import ACCELERATORS
from fastem.fitting.collapse import POLICIES
from fastem.validation.settings import (
    check_callable,
    check_choice,
    check_integer,
    check_non_negative,
    check_path,
)

STOPPING = {
    "loglik": "change of loglik",
    "q": "change of q",
    "gain": "remaining gain",
    "aitken": "estimated remaining gain",
    "gradient": "gradient",
}
"""Stop rules, and what each looks at."""
VARIATIONAL = {"bound": "change of the lower bound", "aitken": STOPPING["aitken"], "gradient": STOPPING["gradient"]}
"""Those of fits that have a posterior of the parameters."""

ON_INTERRUPT = ("raise", "return")

Callback = Callable[[int, float, float], object]
"""iteration, log likelihood, seconds since the run began -> whether the fit shall stop."""

Check = Callable[[object, str], object]
"""value, name -> ValueError or TypeError where it is none that the setting may have."""

T = TypeVar("T", bound=type)
WIDTH = 112
"""Characters of a line of documentation."""


def setting(
    default: object, kind: str, doc: str, check: Check, *, alters_fit: bool = True, keyword_only: bool = True
) -> Any:
    """Declare a setting by its default, what it may be (for readers, and as a check) and its documentation.

    alters_fit: whether a fit with another value ends elsewhere.  A checkpoint of such a fit cannot be gone on with.
    """
    metadata = {"kind": kind, "doc": inspect.cleandoc(doc), "check": check, "alters_fit": alters_fit}
    return field(default=default, kw_only=keyword_only, metadata=metadata)


def redeclared(base: type, name: str, default: object = ..., **changes: object) -> Any:
    """Declare a setting of a base class again, with another default or other documentation."""
    found = next(each for each in fields(base) if each.name == name)
    return field(
        default=found.default if default is ... else default, kw_only=True, metadata={**found.metadata, **changes}
    )


def optional(check: Check) -> Check:
    """Allow None beside what a check allows."""
    return lambda value, name: None if value is None else check(value, name)


def one_of(options: Collection[str]) -> Check:
    """Allow one of some names."""
    return partial(check_choice, options=options)


def at_least(least: int) -> Check:
    """Allow integers from `least` on."""
    return partial(check_integer, least=least)


def verbosity(value: object, name: str) -> None:
    """Allow True and False, as scikit-learn does, and integers from 0."""
    if not isinstance(value, bool):
        check_integer(value, name, 0)


def anything(value: object, name: str) -> None:
    """Leave the check to those who know what else it depends on."""


def documented(*first: str) -> Callable[[T], T]:
    """Write the settings of a dataclass into its docstring, in the place of {settings}; a decorator.

    first: the names of the settings that matter for most fits, in this order.
    """

    def document(kind: T) -> T:
        if kind.__doc__ is not None:  # there is none under python -OO
            text = "\n".join(map(documentation, in_reading_order(kind, first)))
            kind.__doc__ = kind.__doc__.replace("    {settings}", text)
        return kind

    return document


def in_reading_order(kind: type, first: tuple[str, ...]) -> list[Field[Any]]:
    """Return the settings of a dataclass: first those of these names, then its own, then those of its bases."""
    shared = {each.name for base in kind.__mro__[1:] for each in getattr(base, "__dataclass_fields__", {}).values()}
    others = [each for each in fields(kind) if each.name not in first]
    named = {each.name: each for each in fields(kind)}
    return [named[name] for name in first] + sorted(others, key=lambda each: each.name in shared)


def documentation(declared: Field[Any]) -> str:
    """Write the entry of a setting in a numpydoc section."""
    indent, (kind, doc) = " " * 4, (declared.metadata["kind"], declared.metadata["doc"])
    words = [fill(each, WIDTH, break_on_hyphens=False, break_long_words=False) for each in doc.split("\n\n")]
    lines = "\n".join(words).splitlines()
    return "\n".join(
        [f"{indent}{declared.name} : {kind}, default={shown(declared.default)}", *(2 * indent + s for s in lines)]
    )


def shown(value: object) -> str:
    """Write a default as it is written in a call."""
    return f'"{value}"' if isinstance(value, str) else repr(value)


@dataclass(eq=False, repr=False)
class FitSettings:
    """How a fit begins, iterates, stops, and what it reports meanwhile."""

    tol: float = setting(
        1e-3, "float", "Stop when the change of the criterion (see `stopping`) falls below tol.", check_non_negative
    )
    max_iter: int = setting(100, "int", "EM iterations of each start at the most; 0 leaves the start.", at_least(0))
    n_init: int = setting(
        1,
        "int",
        """Number of starts; the best fit is kept.  With more than 3 starts, and more rows than a start looks at (see
        init_params), every start first takes up to 10 iterations on a subsample of that size, and the best 3 go on over
        all rows.""",
        at_least(1),
    )
    fixed: Any = setting(
        (),
        "tuple of names of parameters, or dict",
        """Parameters that stay at their start, by name; or, for each name, a mask (k,) of the components whose
        parameters stay.  Fixed values are returned unchanged.""",
        anything,
    )
    prior: Any = setting(
        None,
        "prior of the family",
        """With a prior the fit ends at the mode of the posterior.  `history_`, `lower_bounds_` and `starts_` then have
        log posteriors.""",
        anything,
    )
    stopping: str = setting(
        "loglik",
        '{"loglik", "q", "gain", "aitken", "gradient"}',
        """What falls below tol: "loglik" is the change of the mean log likelihood, as in scikit-learn; "q" the change
        of Q, the expected complete log likelihood (a total); "gain" what the mean log likelihood has still to gain, by
        its gradient and the information of some of the rows; "aitken" the same, estimated from the last iterations
        alone; "gradient" the length of its gradient, means and standard deviations being measured in standard
        deviations (see `em`).""",
        one_of(STOPPING),
    )
    acceleration: str | None = setting(
        None,
        '{None, "anderson", "squarem", "quasi-newton"}',
        """None is plain EM.  The others extrapolate from its iterations: where components overlap and tol is small,
        they take tens of sweeps instead of thousands ("quasi-newton" takes the fewest).  An extrapolation that lowers
        the log likelihood is given up, and the EM step that is known already is taken.""",
        optional(one_of(ACCELERATORS)),
    )
    warm_sweeps: str | None = setting(
        None,
        '{None, "auto"}',
        """"auto" begins with EM on parts of the rows, every 13th and, of more rows, every 61st, 251st and 1,021st
        before, each of at least as many rows as a start looks at: on a part until what it has still to gain is less
        than its rows can tell.  With many rows, where EM is slow, this needs fewer sweeps over all of them.""",
        optional(one_of(("auto",))),
    )
    on_collapse: str = setting(
        "floor",
        '{"floor", "reseed", "drop", "raise"}',
        """What happens to a component that loses all its rows or, in some direction, all extent of its own (reg_covar
        is not its own).  "floor": the floor under its variances keeps it, and one without rows keeps its last
        parameters at weight 0.  "reseed": it takes half of the heaviest component, which is split along its longest
        axis, at most twice for each component.  "drop": the fit goes on without it.  "raise": CollapsedComponentError.
        `collapses_` lists what happened; with "floor", what is seen where the fit ends.""",
        one_of(POLICIES),
    )
    max_time: float | None = setting(
        None,
        "float",
        """Seconds for the fit, looked at after each sweep.  When they are over it ends at the best parameters so far,
        those of a fit with `max_iter=n_iter_`; of several starts those not begun are left out.""",
        optional(check_non_negative),
        alters_fit=False,
    )
    on_interrupt: str = setting(
        "raise",
        '{"raise", "return"}',
        """What Ctrl-C does: "raise" is KeyboardInterrupt, and the estimator stays as it was; "return" ends the fit,
        after the first sweep over the rows, as `max_time` does.""",
        one_of(ON_INTERRUPT),
        alters_fit=False,
    )
    callback: Callback | None = setting(
        None,
        "callable",
        """Called after each iteration as ``callback(iteration, loglik, seconds)``: the number of the iteration from its
        start, the log likelihood (a total), and seconds since that start began.  If it returns True, the fit ends as
        when `max_time` is over.""",
        optional(check_callable),
        alters_fit=False,
    )
    checkpoint: PathLike | None = setting(
        None,
        "path",
        """A file that keeps the state of the fit every `checkpoint_every` seconds.  If it is there when a fit begins,
        the fit goes on from it, and ends with the same bits as one that was never stopped.  It stays when the fit has
        ended (then a fit on the same rows is done at once).  ValueError where it was written by another model or
        version, for other rows, or from another warm start.""",
        optional(check_path),
        alters_fit=False,
    )
    checkpoint_every: float = setting(
        60.0, "float", "Seconds; 0 is after each iteration.", check_non_negative, alters_fit=False
    )
    verbose: int = setting(
        0,
        "int",
        """1 prints a line every `verbose_interval` iterations, 2 with change and time.  With 0, a fit that takes over a
        second shows a bar on standard error where that is a terminal, unless FASTEM_PROGRESS is 0.""",
        verbosity,
        alters_fit=False,
    )
    verbose_interval: int = setting(10, "int", "Iterations from one line to the next.", at_least(1), alters_fit=False)


def check_each(settings: FitSettings) -> None:
    """Raise ValueError or TypeError for a setting that is not what it may be."""
    for each in fields(settings):
        each.metadata["check"](getattr(settings, each.name), each.name)


def of_a_fit(settings: FitSettings, **changes: object) -> FitSettings:
    """Return the settings that a fit needs, of a value that may have more."""
    return FitSettings(**{each.name: getattr(settings, each.name) for each in fields(FitSettings)} | changes)


def unaltering(kind: type) -> set[str]:
    """Return the names of the settings of a dataclass that do not alter where a fit ends."""
    return {each.name for each in fields(kind) if not each.metadata["alters_fit"]}
