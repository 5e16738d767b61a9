"""The structures of covariances, by the value of covariance_type."""

from __future__ import annotations

from fastem.families.gaussian.covariance import Covariance
from fastem.families.gaussian.diagonal import Diagonal, Spherical
from fastem.families.gaussian.full import Full, Tied

STRUCTURES: dict[str, type[Covariance]] = {"full": Full, "tied": Tied, "diag": Diagonal, "spherical": Spherical}
COVARIANCE_TYPES = tuple(STRUCTURES)
