"""The prior of a Poisson mixture, as statistics that are added to those of the rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fastem._public import public
from fastem._typing import Array
from fastem.families.poisson.model import SMALLEST_RATE, PoissonParams, PoissonStats
from fastem.families.weights import dirichlet, dirichlet_constant
from fastem.validation.settings import as_non_negative, as_number


@public
@dataclass(frozen=True)
class PoissonPrior:
    """Prior of a Poisson mixture, for PoissonMixture(prior=...): Dirichlet on the weights, Gamma on the rates.

    Parameters
    ----------
    concentration : float, default=1
        Of the symmetric Dirichlet distribution of the mixing weights, at least 1: concentration - 1 rows more for each
        component.
    shape : float, default=1
        Of the Gamma distribution of every rate, at least 1: shape - 1 events more.
    rate : float, default=0
        Of the Gamma distribution of every rate, at least 0: these events were seen in `rate` rows.  The mode is
        (shape - 1) / rate.  With 0 the distribution is improper, and its log density lacks a constant; with shape 1 and
        rate 0 it is flat.

    Raises
    ------
    ValueError, TypeError
        If a parameter is no number in its range: below it a mode in the interior need not exist.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, chapters 2 and 22.

    Examples
    --------
    >>> import fastem
    >>> calls = fastem.PoissonMixture(1, prior=fastem.PoissonPrior(shape=3, rate=1))
    >>> calls.fit([4]).rates_  # (4 + 3 - 1) / (1 + 1)
    array([[3.]])
    """

    concentration: float = 1.0
    shape: float = 1.0
    rate: float = 0.0

    def __post_init__(self) -> None:
        for name in ("concentration", "shape"):
            object.__setattr__(self, name, as_number(getattr(self, name), name, 1.0))
        object.__setattr__(self, "rate", as_non_negative(self.rate, "rate"))

    def stats(self, params: PoissonParams) -> PoissonStats:
        """Return what it adds to the statistics of the rows at these parameters; loglik is its log density there."""
        zero = PoissonStats.zero(params)
        return replace(
            zero,
            counts=zero.counts + (self.concentration - 1),
            events=zero.events + (self.shape - 1),
            exposure=zero.exposure + self.rate,
            loglik=dirichlet(params.weights, self.concentration) + self._gamma(params.rates),
        )

    def terms(self, params: PoissonParams) -> Array:
        """Return the prior as a kernel reads it, with the constant of its log density."""
        constant = dirichlet_constant(len(params.weights), self.concentration) + params.rates.size * self._constant
        return np.array([self.concentration - 1, constant, self.shape - 1, self.rate])

    def _gamma(self, rates: Array) -> float:
        logs = (self.shape - 1) * np.log(np.maximum(rates, SMALLEST_RATE))
        return float((logs - self.rate * rates + self._constant).sum())

    @property
    def _constant(self) -> float:
        """The constant of the log density of one rate."""
        return self.shape * math.log(self.rate) - math.lgamma(self.shape) if self.rate > 0 else 0.0
