"""Warnings and errors, and how a warning is issued."""

from __future__ import annotations

import os
import sys
import warnings

from fastem._public import public

_SKIPPED = (os.path.dirname(__file__) + os.sep, "<frozen importlib")
"""Files whose lines no warning points at: those of this package, and the import system between it and its caller."""


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that points at the line that called fastem, however deep the function that warns.

    From Python 3.12 on, `warnings.warn(..., skip_file_prefixes=...)` does the same.
    """
    frame = sys._getframe(1)  # noqa: SLF001 - Python's own name
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_SKIPPED):
        frame = frame.f_back
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    module = frame.f_globals.get("__name__") or "<string>"  # as Python's own; without a module nothing would be issued
    warnings.warn_explicit(message, category, frame.f_code.co_filename, frame.f_lineno, module, registry)


@public
class EmptyComponentWarning(UserWarning):
    """A component lost all its points: it has kept its last parameters, at weight 0, or what a prior gives it."""


@public
class EqualComponentWarning(UserWarning):
    """A component equals an earlier one: EM never separates them, although different ones may be far more likely."""


@public
class CollapsedComponentWarning(UserWarning):
    """A component closed in on few or equal rows: the floor of its variances decides how likely it is, not the rows."""


@public
class IdentifiabilityWarning(UserWarning):
    """Different parameters have the same likelihood, whatever the rows."""


@public
class CollapsedComponentError(ValueError):
    """A component has collapsed in a fit with on_collapse="raise"."""


@public
class BadValueError(ValueError):
    """A value is wrong: `sentence` says what is wrong, `index` where the value is, and `advice` what may help."""

    def __init__(self, sentence: str, index: tuple[int, ...], advice: str = "") -> None:
        super().__init__(sentence, index, advice)
        self.sentence, self.index, self.advice = sentence, index, advice

    def __str__(self) -> str:
        return f"{self.sentence} at {place(self.index)}{self.advice and '; '}{self.advice}"


def place(index: tuple[int, ...]) -> str:
    """Return the place of an element in words: row 3, column 1."""
    return f"row {index[0]}" + (f", column {index[1]}" if len(index) > 1 else "")
