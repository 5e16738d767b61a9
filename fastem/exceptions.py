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
