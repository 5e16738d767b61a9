"""The families of the package: the only list of them.

A family NAME is the folder families/NAME and, by the same convention, the modules estimators/NAME_mixture.py,
estimators/many_NAME.py, plotting/NAME.py and fastem/NAME.py; its classes are NameFamily, NameParams, NameMixture ...
Whoever needs a class of a family finds it here by these names: nothing is imported before.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastem.families.base import Family

NAMES = (
    "gaussian",
    "binomial",
    "poisson",
)


WITHIN = ("gaussian.background",)
"""Families within a family, which have its name and its estimator: folders in that of the family."""


def class_of(name: str, module: str, ending: str, before: str = "") -> type[Any]:
    """Return the class that has the name of a family between two words, from a module of fastem."""
    found: type[Any] = getattr(import_module(f"fastem.{module}"), f"{before}{name.capitalize()}{ending}")
    return found


def family_type(name: str) -> type[Family[Any, Any]]:
    """Return the class of a family, by its name."""
    return class_of(name, f"families.{name}.family", "Family")


def stored_families() -> list[type[Family[Any, Any]]]:
    """Return the classes of all families whose parameters and statistics files may hold."""
    within = [class_of(path.split(".")[-1], f"families.{path}.family", "Family") for path in WITHIN]
    return [*map(family_type, NAMES), *within]
