"""EM on the rows that a search looks at: many short runs, each in as few calls as it takes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import Generic, NamedTuple

from fastem._typing import MStep
from fastem.data.base import Position, StopRule, at_start
from fastem.data.kmeans import thinned
from fastem.data.rows import Rows
from fastem.families.base import Family, P, Prior, S
from fastem.families.fixed import Fixed
from fastem.inference.aitken import still_to_gain

CALL_WORK = 1 << 28
"""Rows x sums x iterations in one call of a kernel, some tenths of a second: an interruption waits for its end."""
COARSE_ROWS, COARSE_ROWS_PER_MEAN = 1 << 11, 16
"""Rows that tell good starts and moves from bad ones, or so many for each of k (d + 1) numbers."""
PLAIN = 1
"""How an EM step reaches its parameters, as `Position` has it."""
PATIENCE = 8
"""Iterations after which a run is asked whether it can still get where it has to."""
DOUBT = 6.0
"""What a run has still to gain is estimated; it is given up where so many times that would not be enough."""
SWEEPS, LEAST_WORK = 30.0, 2.0**36
"""What a search may cost: about what a fit from one start does, or some seconds."""


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
    """Where a run of EM has got to, the log likelihood (a total) before its last M-step, and what it hardly exceeds."""

    params: P
    loglik: float
    highest: float


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

    def coarse(self, k: int) -> Climb[P, S]:
        """Return EM on fewer rows, at even steps of their weight: they tell good starts and moves from bad ones."""
        most = max(COARSE_ROWS, COARSE_ROWS_PER_MEAN * k * (self.rows.n_features + 1))
        return replace(self, rows=thinned(self.rows, most))

    def on(self, rows: Rows, family: Family[P, S]) -> Climb[P, S]:
        """Return EM on some of the rows, of components that are all free."""
        return Climb(rows, family, Fixed(0), deadline=self.deadline, budget=self.budget)

    def __call__(self, params: P, most: int, tol: float = 0.0, least: float = -math.inf) -> Reached[P]:
        """Run EM until the log likelihood has less than tol to gain per unit of weight, as Aitken's rule estimates it.

        It ends after `most` iterations, where it will hardly get to the log likelihood `least`, and when the time is
        over.
        """
        total, logliks, done, distance, highest = self.total, list[float](), 0, math.inf, math.inf
        per_call = max(1, CALL_WORK // (len(self.rows) * params.sums_length))
        if least > -math.inf:
            per_call = min(per_call, PATIENCE)
        run, position = self._run(params, tol), at_start(params)
        while done < most and not distance < tol:
            position, found, distance = self._iterations(run, position, min(per_call, most - done))
            self.budget.spend(len(found) * len(self.rows) * params.sums_length)
            done, logliks = done + len(found), [*logliks, *found][-3:]
            highest = logliks[-1] + DOUBT * min(distance * total, still_to_gain(logliks))
            if highest < least or self.is_over:
                break
        return Reached(position.reached, logliks[-1], highest)

    def _run(self, params: P, tol: float) -> tuple[MStep, StopRule]:
        """Return the settings of a run in a kernel: one to a maximum takes quasi-Newton steps."""
        fixed = params.as_fixed(self.fixed) if self.fixed else Fixed(len(params.weights))
        accelerated = tol > 0
        n_coordinates = params.n_coordinates(fixed) if accelerated else 0
        return self.family.m_step(params, fixed, self.prior), StopRule("aitken", tol, accelerated, n_coordinates)

    def _iterations(
        self, run: tuple[MStep, StopRule], position: Position[P], most: int
    ) -> tuple[Position[P], list[float], float]:
        """Run some iterations, at least one, in a kernel if it can.

        Returns where they lead, the log likelihood of each, and what the mean one has still to gain.
        """
        pending = None
        if self.family.has_iterate:
            found = self.rows.iterate(position, *run, most)
            if len(found.trace):
                return found.position, found.trace[:, 0].tolist(), found.distance
            position, pending = found.position, found.pending
        stats = pending or self.rows.sweep(position.params)
        if self.prior is not None:
            stats = stats + self.prior.stats(position.params)
        reached, loglik = self.family.maximize(stats, self.fixed if self.fixed else None), float(stats.loglik)
        known = [*position.logliks, loglik]
        position = position._replace(params=reached, reached=reached, step=PLAIN, logliks=known[-2:])
        distance = math.inf if self.family.has_iterate else still_to_gain(known[-3:]) / self.total
        return position, [loglik], distance
