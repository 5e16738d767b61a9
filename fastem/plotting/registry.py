"""The pictures, by family."""

from __future__ import annotations

from typing import Any

from fastem.families.registry import class_of


def display_type(family: str) -> type[Any]:
    """Return the display of the mixtures of a family."""
    return class_of(family, f"plotting.{family}", "MixtureDisplay")
