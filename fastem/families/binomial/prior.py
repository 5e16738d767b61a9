"""The prior of a binomial mixture, as statistics that are added to those of the rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fastem._public import public
from fastem._typing import Array
from fastem.families.binomial.model import SMALLEST_PROB, BinomialParams, BinomialStats
from fastem.families.weights import dirichlet, dirichlet_constant
from fastem.validation.settings import as_number


@public
@dataclass(frozen=True)
class BinomialPrior:
    """Prior of a binomial mixture, for BinomialMixture(prior=...): Dirichlet on the weights, Beta on the probabilities.

    Parameters
    ----------
    concentration : float, default=1
        Of the symmetric Dirichlet distribution of the mixing weights, at least 1: concentration - 1 rows more for each
        component.
    successes, failures : float, default=1
        Parameters of the Beta distribution of every probability, at least 1: successes - 1 more successes and
        failures - 1 more failures.  With 1 and 1 the distribution is flat.

    Raises
    ------
    ValueError, TypeError
        If a parameter is no number of at least 1: a mode in the interior need not exist.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, chapters 2 and 22.

    Examples
    --------
    >>> import fastem
    >>> coin = fastem.BinomialMixture(1, prior=fastem.BinomialPrior(successes=2, failures=2))
    >>> coin.fit([3], trials=3).probs_  # (3 + 1) / (3 + 2)
    array([[0.8]])
    """

    concentration: float = 1.0
    successes: float = 1.0
    failures: float = 1.0

    def __post_init__(self) -> None:
        for name in ("concentration", "successes", "failures"):
            object.__setattr__(self, name, as_number(getattr(self, name), name, 1.0))

    def stats(self, params: BinomialParams) -> BinomialStats:
        """Return what it adds to the statistics of the rows at these parameters; loglik is its log density there."""
        zero = BinomialStats.zero(params)
        return replace(
            zero,
            counts=zero.counts + (self.concentration - 1),
            successes=zero.successes + (self.successes - 1),
            failures=zero.failures + (self.failures - 1),
            loglik=dirichlet(params.weights, self.concentration) + self._beta(params.probs),
        )

    def terms(self, params: BinomialParams) -> Array:
        """Return the prior as a kernel reads it, with the constant of its log density."""
        constant = dirichlet_constant(len(params.weights), self.concentration) + params.probs.size * self._constant
        return np.array([self.concentration - 1, constant, self.successes - 1, self.failures - 1])

    def _beta(self, probs: Array) -> float:
        """Return the log density of the probabilities, summed over components and columns: Beta."""
        a, b, p = self.successes, self.failures, np.clip(probs, SMALLEST_PROB, 1 - SMALLEST_PROB)
        return float(((a - 1) * np.log(p) + (b - 1) * np.log1p(-p) + self._constant).sum())

    @property
    def _constant(self) -> float:
        """The constant of the log density of one probability."""
        a, b = self.successes, self.failures
        return math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
