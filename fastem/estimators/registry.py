"""The estimators, by family and by name."""

from __future__ import annotations

from fastem.estimators.base import Mixture
from fastem.estimators.bayesian_mixture import BayesianGaussianMixture
from fastem.families.registry import NAMES, class_of


def estimator_type(family: str) -> type[Mixture]:
    """Return the estimator of a family."""
    return class_of(family, f"estimators.{family}_mixture", "Mixture")


def estimators() -> dict[str, type[Mixture]]:
    """Return all estimators by the names of their classes."""
    kinds: list[type[Mixture]] = [*map(estimator_type, NAMES), BayesianGaussianMixture]
    return {found.__name__: found for found in kinds}
