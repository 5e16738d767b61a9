"""Moves that are tried on the components alone that they touch, each row with what the others leave of it.

EM of these components, on rows whose weights are their responsibilities, is the partial EM of Ueda et al. (2000).  What
it gains is no more than the whole mixture does.  It costs a third of an iteration for three of five components, and a
tenth for three of ten: so it tells which moves are worth an EM of all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic

import numpy as np

from fastem.data.base import Posterior
from fastem.families.base import P, S
from fastem.kernels.linear import dot
from fastem.search.climb import Climb
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
        one = replace(few, weights=few.weights / weight).pooled()
        return pair.joined(one, weight / (weight + params.weights[self.split.component]))


@dataclass(frozen=True)
class Tried(Generic[P]):
    """The mixture that a move leads to, and what EM of the components that it touches has gained (a total)."""

    params: P
    gain: float


@dataclass(frozen=True)
class Trials(Generic[P, S]):
    """Moves from some parameters, tried on some of the rows."""

    climb: Climb[P, S]
    params: P
    known: Posterior  # resp and log_prob of these rows

    @classmethod
    def of(cls, climb: Climb[P, S], params: P) -> Trials[P, S]:
        """Take fewer rows, where there are many: these only say which moves are tried on all."""
        rows = climb.coarse(len(params.weights)).rows
        on_part = climb.on(rows, climb.family.of_one_component())
        return cls(on_part, params, rows.posterior(params, "resp", "log_prob"))

    def __call__(self, move: Move[P]) -> Tried[P]:
        """Run EM of the components that a move touches."""
        resp = self.known.resp[:, move.places].sum(axis=1)
        mine = np.flatnonzero(resp > FOREIGN)
        rows = self.climb.rows.weighted(resp).take(mine)
        found = self.climb.on(rows, self.climb.family)(move.begin(self.params), ITERATIONS)
        share = self.params.weights[move.places].sum()  # as a mixture of their own their weights sum to 1
        before = dot(rows.sample_weight, self.known.log_prob[mine] + np.log(resp[mine] / share))
        return Tried(self.params.with_components(move.places, found.params), found.loglik - before)
