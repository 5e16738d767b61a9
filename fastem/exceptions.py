"""Warnings and errors."""

from __future__ import annotations

from fastem._public import public


@public
class EmptyComponentWarning(UserWarning):
    """A component lost all its points: it has kept its last parameters, at weight 0, or what a prior gives it."""


@public
class EqualComponentWarning(UserWarning):
    """A component equals another one: EM cannot part them, and a mixture of different ones may be far more likely."""


@public
class IdentifiabilityWarning(UserWarning):
    """Different parameters have the same likelihood, whatever the rows."""


@public
class CollapsedComponentError(ValueError):
    """A component has collapsed in a fit with on_collapse="raise"."""


@public
class BadValueError(ValueError):
    """A value that is refused: what is wrong with it, and where it stands."""

    def __init__(self, sentence: str, index: tuple[int, ...]) -> None:
        super().__init__(sentence, index)
        self.sentence, self.index = sentence, index

    def __str__(self) -> str:
        return f"{self.sentence} at {place(self.index)}"


def place(index: tuple[int, ...]) -> str:
    return f"row {index[0]}" + (f", column {index[1]}" if len(index) > 1 else "")
