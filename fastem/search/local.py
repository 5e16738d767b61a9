"""Moves that are tried on the components alone that they touch, each row with what the others leave of it.

EM of these components, on rows whose weights are their responsibilities, is the partial EM of Ueda et al. (2000).  What
it gains is no more than the whole mixture does.  It costs a third of an iteration for three of five components, and a
tenth for three of ten: so it tells which moves are worth an EM of all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic

import numpy as np

from fastem.data.base import Posterior
from fastem.families.base import P, S
from fastem.kernels.linear import dot
from fastem.search.climb import CALL_WORK, Climb
from fastem.search.splits import Split

ITERATIONS = 10
"""Of the components that a move touches, before it is compared with others."""
FOREIGN = 1e-3
"""A row is not looked at of which these components have no more than this share."""


@dataclass(frozen=True)
class Move(Generic[P]):
    """A split, and components that become one: two that are merged, or the neighbour of one that is removed."""

    split: Split[P]
    merged: tuple[int, ...]  # the first of them is where the one will be; none where the neighbour is split
    freed: int  # the place of the second half
    gain: float  # estimated, per unit of weight

    @property
    def places(self) -> list[int]:
        """The components that are touched, and where those are that come instead."""
        return [self.split.component, self.freed, *self.merged[:1]]

    def begin(self, params: P) -> P:
        """Return these components after the move, as a mixture of their own."""
        pair = self.split.pair
        assert pair is not None
        if not self.merged:
            return pair
        merged = np.array(self.merged)
        weight = params.weights[merged].sum()
        few = params.select(merged)
        one = few.with_weights(few.weights / weight).pooled()
        return pair.joined(one, weight / (weight + params.weights[self.split.component]))


@dataclass(frozen=True)
class Tried(Generic[P]):
    """Where EM of the components that a move touches has led, and what it has gained (a total)."""

    places: list[int]
    components: P
    gain: float = -math.inf

    def of(self, params: P) -> P:
        """Return the mixture after the move."""
        return params.with_components(self.places, self.components)


@dataclass(frozen=True)
class Trials(Generic[P, S]):
    """Moves from some parameters, tried on some of the rows."""

    climb: Climb[P, S]
    params: P
    known: Posterior  # resp and log_prob of these rows

    @classmethod
    def of(cls, climb: Climb[P, S], params: P, known: Posterior) -> Trials[P, S]:
        """Take fewer rows, where there are many: these only say which moves are tried on all, of which `known` is."""
        rows = climb.coarse(len(params.weights)).rows
        if rows is not climb.rows:
            known = rows.posterior(params, "resp", "log_prob")
        return cls(climb.on(rows, climb.family.of_one_component()), params, known)

    def __call__(self, moves: list[Move[P]], most: int) -> list[Tried[P]]:
        """Run EM of the components that each move touches, while there is time; return the best, at the most so many.

        It runs in a kernel if it can, in calls of some tenths of a second.
        """
        begun, found = [Tried(move.places, move.begin(self.params)) for move in moves], list[Tried[P]]()
        work = ITERATIONS * len(self.climb.rows) * 3 * self.params.sums_length // len(self.params.weights)
        at_once = max(1, CALL_WORK // work)
        for begin in range(0, len(begun), at_once):
            if self.climb.is_over:
                break
            some = begun[begin : begin + at_once]
            runs = self._in_kernel(some) if work <= CALL_WORK else None
            found += map(self._one_by_one, some) if runs is None else runs
        return sorted(found, key=lambda each: -each.gain)[:most]

    def _in_kernel(self, begun: list[Tried[P]]) -> list[Tried[P]] | None:
        """Go on with all in one call of a kernel; None where there is none."""
        starts = [(each.places, each.components) for each in begun]
        found = self.climb.family.partial_runs(
            self.climb.rows, self.known, self.params, starts, foreign=FOREIGN, iterations=ITERATIONS
        )
        if found is None:
            return None
        self.climb.budget.spend(len(begun) * ITERATIONS * len(self.climb.rows) * begun[0].components.sums_length)
        return [Tried(each.places, reached, gain) for each, (gain, reached) in zip(begun, found, strict=True)]

    def _one_by_one(self, begun: Tried[P]) -> Tried[P]:
        """Go on with one in a call of its own."""
        resp = self.known.resp[:, begun.places].sum(axis=1)
        mine = np.flatnonzero(resp > FOREIGN)
        rows = self.climb.rows.weighted(resp).take(mine)
        found = self.climb.on(rows, self.climb.family)(begun.components, ITERATIONS)
        share = self.params.weights[begun.places].sum()  # as a mixture of their own their weights sum to 1
        before = dot(rows.sample_weight, self.known.log_prob[mine] + np.log(resp[mine] / share))
        return Tried(begun.places, found.params, found.loglik - before)
