"""The estimators, by family and by name."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fastem.estimators.base import Mixture
from fastem.families.registry import NAMES, class_of


def estimator_type(family: str) -> type[Mixture]:
    """Return the estimator of a family."""
    return class_of(family, f"estimators.{family}_mixture", "Mixture")


def bayesian_type() -> type[Any]:
    """Return the estimator by variational Bayes, whose posteriors are modules that few fits need."""
    found: type[Any] = import_module("fastem.estimators.bayesian_mixture").BayesianGaussianMixture
    return found


def estimators() -> dict[str, type[Mixture]]:
    """Return all estimators by the names of their classes."""
    kinds: list[type[Mixture]] = [*map(estimator_type, NAMES), bayesian_type()]
    return {found.__name__: found for found in kinds}
