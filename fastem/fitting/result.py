"""The result of a fit: parameters, statistics, history, and a certificate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Generic

import numpy as np

from fastem._public import public
from fastem._typing import Array
from fastem.families.base import P, S

STEPS = ("start", "plain", "accelerated", "rejected", "reseeded", "dropped")
"""How the parameters of an iteration were reached."""


@public
@dataclass(frozen=True, eq=False)
class History:
    """One entry per iteration, at the parameters before its M-step; loglik = q + entropy.

    loglik: total log likelihood.  q: expected complete log likelihood, Q of Dempster, Laird and Rubin.
    entropy: of the responsibilities.  Natural logarithms, sums over the (weighted) rows.  step: how these parameters
    were reached, "start", "plain" (an EM step), "accelerated", "rejected" (an EM step, after a sweep at an
    extrapolation that had lowered the log likelihood), "reseeded" or "dropped" (collapsed components were).
    """

    loglik: Array  #: (n_iter,)
    q: Array  #: (n_iter,)
    entropy: Array  #: (n_iter,)
    step: tuple[str, ...] = ()  #: (n_iter,)

    def __len__(self) -> int:
        return len(self.loglik)


@public
@dataclass(frozen=True)
class Collapse:
    """A component that lost its extent or its rows: when, what was left of it, and what was done."""

    component: int
    iteration: int
    count: float  #: weight of its rows
    smallest_eigenvalue: float  #: of its covariance, reg_covar included; NaN where there is none
    action: str  #: "floor", "reseed" or "drop"


LOG_LIKELIHOOD, LOG_POSTERIOR, LOWER_BOUND = "log likelihood", "log posterior", "lower bound"
"""What EM raises: without a prior, with one, and where the parameters are posteriors themselves."""
NEAR = 1e-3
"""A fit whose mean log likelihood has more to gain is not at its maximum, whatever its stop rule says."""


SMALLEST_TOLD = 1e-6
"""Less of a log likelihood is nothing to anybody, and mostly rounding."""


@public
@dataclass(frozen=True)
class Ascent:
    """A certificate: the largest fall of the log likelihood from one iteration to the next, and what explains it.

    The M-step cannot lower it, but rounding can (docs/numerics.md derives the bound), and an extrapolation is taken
    that lowers it by 1e-12 of its size.  What a floor under the variances does, reg_covar or the resolution of the data
    for a component that has collapsed, is explained by neither.

    It holds where each fall is within its bound, and the bound tells something: it is at most 1e-4 of the log
    likelihood, or of the total weight of the rows if that is more.  Where a component is so thin that the log
    likelihood itself is not known to that, nothing is certified, whatever fell.
    """

    largest_fall: float  #: of those that nothing explains, if any; 0 where nothing fell; to reseed or drop is no fall
    bound: float  #: there, or where the run ended; infinite where it would tell nothing
    iteration: int  #: iterations before it; 0 where nothing fell

    @property
    def holds(self) -> bool:
        """Whether rounding explains every fall."""
        return self.largest_fall <= self.bound < math.inf


@dataclass(frozen=True)
class Start:
    """What became of one start: the mean log likelihood of all rows where it ended, iterations, and why it stopped.

    It is NaN for a start that has been screened out: only a part of the rows has been swept there.
    """

    mean_loglik: float
    n_iter: int
    stop_reason: str


@public
@dataclass(frozen=True, eq=False)
class Fit(Generic[P, S]):
    """The result of `em`: params and, at these params, their statistics; how it got there and why it stopped."""

    params: P
    stats: S
    history: History
    converged: bool
    stop_reason: str
    remaining_gain: float
    """What the log likelihood (a total) had still to gain at the last iteration, as `em` estimates it for "aitken";
    infinite where that is unknown."""
    cut_short: bool = False
    """Whether its time was over, it was interrupted, or its callback ended it."""
    collapses: tuple[Collapse, ...] = ()
    """The components that have collapsed, and what was done."""
    ascent: Ascent = Ascent(0.0, 0.0, 0)
    starts: tuple[Start, ...] = ()
    """What became of each start, the best first; empty where this is the fit of a single one."""
    bounds: Array = field(default_factory=lambda: np.empty(0))
    """Of variational fits, (n_iter,) the lower bound after each M-step, without constants."""
    objective: str = LOG_LIKELIHOOD
    """What `loglik` is, as `objective_of` names it."""

    @property
    def summary(self) -> str:
        """Return a line on how it ended, and how far from the maximum."""
        far = math.inf > self.remaining_gain > NEAR * self.stats.total
        return (
            f"{'converged' if self.converged else 'not converged'} after {self.n_iter} iterations"
            f" ({self.n_sweeps} sweeps): {self.stop_reason}; {self.criterion} {self.loglik:.6f},"
            f" {still_to_go(self.remaining_gain, SMALLEST_TOLD)}{', which it has not reached' if far else ''}"
        )

    @property
    def criterion(self) -> str:
        """Return the name of what `loglik` is, in full."""
        return f"{LOWER_BOUND} of the log evidence" if self.objective == LOWER_BOUND else self.objective

    @property
    def n_iter(self) -> int:
        """Return the number of iterations."""
        return len(self.history)

    @property
    def loglik(self) -> float:
        """Return the log likelihood (a total) at `params`."""
        return float(self.stats.loglik)

    @property
    def n_sweeps(self) -> int:
        """The number of passes over the data, the last one and those at rejected extrapolations included."""
        return self.n_iter + self.history.step.count("rejected") + 1

    @property
    def lower_bound(self) -> float:
        """The log likelihood before the last M-step, by which scikit-learn compares starts."""
        return float(self.history.loglik[-1]) if self.n_iter else self.loglik


def objective_of(params: object, prior: object) -> str:
    """Return the name of what EM raises at such parameters."""
    if hasattr(params, "bound"):
        return LOWER_BOUND
    return LOG_LIKELIHOOD if prior is None else LOG_POSTERIOR


def still_to_go(gain: float, least: float = 0.0) -> str:
    """Say how far below its maximum a log likelihood is; of less than `least` only that."""
    if math.isinf(gain):
        return "its distance from the maximum is unknown"
    if gain < least:
        return f"estimated to be less than {least:g} below its maximum"
    return f"estimated to be {gain:.2g} below its maximum"
