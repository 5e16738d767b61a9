"""The posterior of the mixing weights: a Dirichlet distribution, or the sticks of a Dirichlet process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import numpy as np

from fastem._typing import Array
from fastem.families.gaussian.variational.special import digamma, log_gamma, trigamma
from fastem.families.kept import kept


class Concentration(ABC):
    """A distribution of the mixing weights of k components: an immutable value.

    values are the parameters of the Dirichlet distributions that it consists of (a Beta distribution is one of two
    shares): the first axis are the shares of one.
    """

    def __init__(self, values: Array) -> None:
        self.values = values

    @classmethod
    @abstractmethod
    def prior(cls, concentration: float, k: int) -> Self:
        """Return the distribution without rows."""

    @abstractmethod
    def updated(self, row_counts: Array) -> Self:
        """Return the distribution that rows of these weights (k,) lead to."""

    @abstractmethod
    def by_component(self, terms: Array) -> Array:
        """Return (k,) the sums of terms, shaped as the parameters, over the shares whose product is each weight."""

    @kept
    def logs(self) -> Array:
        """The expectations of the logarithms of the shares, shaped as the parameters."""
        both = np.concatenate([self.values, self.values.sum(axis=0, keepdims=True)])
        found = digamma(both)
        return np.asarray(found[:-1] - found[-1])

    @property
    def expected_logs(self) -> Array:
        """The expectations (k,) of the logarithms of the mixing weights."""
        return self.by_component(self.logs)

    @property
    def expected(self) -> Array:
        """The expectations (k,) of the mixing weights, scaled to the sum 1."""
        weights = np.exp(self.by_component(np.log(self.values / self.values.sum(axis=0))))
        return np.asarray(weights / weights.sum())

    @kept
    def log_normalizer(self) -> float:
        """The logarithm of the integral of the density without its constant."""
        found = log_gamma(np.concatenate([self.values, self.values.sum(axis=0, keepdims=True)]))
        return float(found[:-1].sum() - found[-1].sum())

    def divergence(self, prior: Self) -> float:
        """Return the Kullback-Leibler divergence from the prior."""
        constant = prior.log_normalizer - self.log_normalizer
        return float(constant + ((self.values - prior.values) * self.logs).sum())

    def slopes(self, target: Self) -> Array:
        """Return (k,) minus the derivatives of the divergence from `target` by the weights of the rows."""
        moved = target.values - self.values
        pooled = moved.sum(axis=0) * trigamma(self.values.sum(axis=0))
        return self.by_component(moved * trigamma(self.values) - pooled)


class Dirichlet(Concentration):
    """A Dirichlet distribution with parameters (k,)."""

    @classmethod
    def prior(cls, concentration: float, k: int) -> Self:
        return cls(np.full(k, concentration))

    def updated(self, row_counts: Array) -> Self:
        return type(self)(self.values + row_counts)

    def by_component(self, terms: Array) -> Array:
        return terms


class Sticks(Concentration):
    """The truncated stick-breaking process of Blei and Jordan (2006): Beta distributions with parameters (2, k).

    Component c takes a share, Beta(a_c, b_c), of what those before it have left.
    """

    @classmethod
    def prior(cls, concentration: float, k: int) -> Self:
        return cls(np.stack([np.ones(k), np.full(k, concentration)]))

    def updated(self, row_counts: Array) -> Self:
        behind = np.append(np.cumsum(row_counts[::-1])[-2::-1], 0.0)
        return type(self)(self.values + np.stack([row_counts, behind]))

    def by_component(self, terms: Array) -> Array:
        taken, left = terms
        before = np.append(0.0, np.cumsum(left)[:-1])  # a difference of sums loses all bits: an empty rest has -1e10
        return np.asarray(taken + before)


CONCENTRATIONS: dict[str, type[Concentration]] = {"dirichlet_process": Sticks, "dirichlet_distribution": Dirichlet}
