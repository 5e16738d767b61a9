"""The families of the package, by name: the only list of them."""

from __future__ import annotations

from typing import Any

from fastem.families.base import Family
from fastem.families.binomial.family import BinomialFamily
from fastem.families.gaussian.family import GaussianFamily

FAMILIES: dict[str, type[Family[Any, Any]]] = {family.name: family for family in (GaussianFamily, BinomialFamily)}
