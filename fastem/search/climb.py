"""EM on the rows that a search looks at: many short runs, each in as few calls as it takes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Generic, NamedTuple

from fastem.data.base import StopRule
from fastem.data.rows import Rows
from fastem.families.base import Family, P, Prior, S
from fastem.families.fixed import Fixed

CALL_WORK = 1 << 28
"""Rows x sums x iterations in one call of a kernel, some tenths of a second: an interruption waits for its end."""
PATIENCE = 8
"""Iterations after which a run is asked whether it can still get where it has to."""
DOUBT = 3.0
"""What a run has still to gain is estimated; it is given up where so many times that would not be enough."""
SWEEPS, LEAST_WORK = 30.0, 2.0**36
"""What a search may cost: about what a fit from one start does, or some seconds."""
NO_CHANGE = 1e-12
"""A change by less than this share of the log likelihood is none."""


class Budget:
    """How much a search may sweep, in rows x sums: the same on any machine, so that what it finds is as well.

    It is as much as so many sweeps of all rows that the fit has, or what a small fit has time for in any case.
    """

    def __init__(self, n_rows: int) -> None:
        self.n_rows, self.left = n_rows, math.inf

    def begin(self, sums_length: int) -> None:
        """Set the limit, once it is known how many sums there are."""
        self.left = min(self.left, max(LEAST_WORK, SWEEPS * self.n_rows * sums_length))

    def spend(self, work: float) -> None:
        """Take note of work that has been done."""
        self.left -= work


class Reached(NamedTuple, Generic[P]):
    """Where a run of EM has got to, and the log likelihood (a total) before its last M-step."""

    params: P
    loglik: float


@dataclass(frozen=True)
class Climb(Generic[P, S]):
    """EM of a family on rows in memory, with what is fixed, and a prior."""

    rows: Rows
    family: Family[P, S]
    fixed: Fixed
    prior: Prior[P, S] | None = None
    deadline: float = math.inf
    budget: Budget = field(default_factory=lambda: Budget(0))

    @property
    def total(self) -> float:
        """The weight of the rows."""
        return float(self.rows.sample_weight.sum())

    @property
    def is_over(self) -> bool:
        """Whether there is no time left, or no budget."""
        return self.budget.left <= 0 or time.monotonic() >= self.deadline

    def on(self, rows: Rows, family: Family[P, S]) -> Climb[P, S]:
        """Return EM on some of the rows, of components that are all free."""
        return Climb(rows, family, Fixed(0), deadline=self.deadline, budget=self.budget)

    def __call__(self, params: P, most: int, tol: float = 0.0, least: float = -math.inf) -> Reached[P]:
        """Run EM until the log likelihood has less than tol to gain per unit of weight, as Aitken's rule estimates it.

        It ends after `most` iterations, where it will hardly get to the log likelihood `least`, and when the time is
        over.
        """
        total, logliks, done = self.total, list[float](), 0
        per_call = max(1, CALL_WORK // (len(self.rows) * params.sums_length))
        if least > -math.inf:
            per_call = min(per_call, PATIENCE)
        while done < most:
            params, found = self._iterations(params, logliks, tol, min(per_call, most - done))
            self.budget.spend(len(found) * len(self.rows) * params.sums_length)
            done, logliks = done + len(found), [*logliks, *found][-3:]
            gain = still_to_gain(logliks)
            if gain < tol * total or logliks[-1] + DOUBT * gain < least or self.is_over:
                break
        return Reached(params, logliks[-1])

    def _iterations(self, params: P, logliks: list[float], tol: float, most: int) -> tuple[P, list[float]]:
        """Run some iterations, at least one, in a kernel if it can; return the log likelihood of each."""
        if self.prior is None:
            rule = StopRule("aitken", tol, -math.inf, logliks[-2:])
            fixed = params.as_fixed(self.fixed) if self.fixed else Fixed(len(params.weights))
            found = self.rows.iterate(params, self.family.m_step(params, fixed), rule, most)
            if len(found.trace):
                return found.params, found.trace[:, 0].tolist()
        stats = self.rows.sweep(params)
        if self.prior is not None:
            stats = stats + self.prior.stats(params)
        return self.family.maximize(stats, self.fixed if self.fixed else None), [float(stats.loglik)]


def still_to_gain(logliks: list[float]) -> float:
    """Estimate by Aitken's rule, from the last three log likelihoods, what there is still to gain; else infinite."""
    if len(logliks) < 3:
        return math.inf
    before, last = logliks[-2] - logliks[-3], logliks[-1] - logliks[-2]
    if abs(last) <= NO_CHANGE * abs(logliks[-1]):
        return 0.0
    return last * last / (before - last) if 0 <= last < before else math.inf
