"""Splits and merges: a component is split, and two others are merged, or one is removed, so that there are k again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic

import numpy as np

from fastem._typing import Array
from fastem.data.rows import Rows
from fastem.families.base import P, S
from fastem.families.diagnosis import is_suspect
from fastem.search.additions import additions
from fastem.search.climb import Climb, Reached
from fastem.search.splits import Split, best_splits

GAIN = 1e-4
"""What a move has to gain per unit of weight."""
HOPELESS = 0.02
"""A move that is so far below after a few iterations, per unit of weight, is given up."""
TRIED = 10
"""Moves that are tried in a round."""
NEEDED = -0.2
"""The estimated gain per unit of weight below which no move is tried."""
PARTNERS = 2
"""Merges, and removals, that are tried with each split."""
TRIAL_ITERATIONS = 8
"""Iterations of a move before it is judged."""
ADDED, LEAST_RARE = 2, 4.0
"""Small components that are tried, each with PARTNERS merges, and what one has to gain (a total) by estimate."""
CLIMB_ITERATIONS, CLIMB_TOL = 200, 1e-4
"""A climb ends where less than this is left to gain per unit of weight, or after so many iterations."""


@dataclass(frozen=True)
class Move(Generic[P]):
    """A split, and the component that is merged into another one, or removed."""

    split: Split[P]
    i: int
    j: int | None  # None where i is removed
    gain: float  # estimated, per unit of weight

    def of(self, params: P) -> P:
        """Return the mixture after the move, of as many components."""
        longer = self.split.of(params)
        return longer.without(self.i) if self.j is None else longer.merge(self.i, self.j)


def to_maximum(climb: Climb[P, S], at: P, least: float = -np.inf) -> Reached[P]:
    """Climb to the maximum of the rows, or give up where that will be below `least`."""
    return climb(at, CLIMB_ITERATIONS, CLIMB_TOL, least)


def improved(climb: Climb[P, S], at: Reached[P], rng: np.random.Generator) -> Reached[P]:
    """Return where splits and merges lead, in as many rounds as there are components; `at` where none gains."""
    for _ in range(len(at.params.weights)):
        found = (move.of(at.params) for move in moves(climb, at.params, rng)[:TRIED] if move.gain >= NEEDED)
        better = next(successes(climb, at, found), None)
        if better is None:
            break
        at = better
    return at


def with_rare(climb: Climb[P, S], at: Reached[P], few: Rows, rng: np.random.Generator) -> Reached[P]:
    """Return where small components lead that are added, and two others merged; `at` where none gains.

    They are added where the rows are denser than the mixture says, in clusters of a few of these rows.
    """
    least = max(LEAST_RARE, GAIN * climb.total)
    for _ in range(len(at.params.weights)):
        longer = additions(climb.rows, few, climb.family, at.params, rng, ADDED, least)
        found = (shorter for params in longer for shorter in with_pairs_merged(params))
        better = next(successes(climb, at, found), None)
        if better is None:
            break
        at = better
    return at


def with_pairs_merged(params: P) -> list[P]:
    """Return mixtures in which a pair of components is merged that are close, and not the last."""
    losses = params.merge_losses()[:-1, :-1]
    pairs = [divmod(int(place), len(losses)) for place in np.argsort(losses, axis=None, kind="stable")[:PARTNERS]]
    return [params.merge(i, j) for i, j in pairs if np.isfinite(losses[i, j])]


def successes(climb: Climb[P, S], at: Reached[P], found: Iterable[P]) -> Iterator[Reached[P]]:
    """Yield where moves have led that gain, and to no component that is suspect and was not before."""
    total = climb.total
    for params in found:
        if climb.is_over:
            break
        run = climb(params, TRIAL_ITERATIONS)
        least = at.loglik + GAIN * total
        if run.loglik < at.loglik - HOPELESS * total:
            continue
        run = to_maximum(climb, run.params, least)
        if run.loglik > least and n_suspects(climb, run.params) <= n_suspects(climb, at.params):
            yield run


def moves(climb: Climb[P, S], params: P, rng: np.random.Generator) -> list[Move[P]]:
    """Return moves in the order of their estimated gains."""
    k, total, weights = len(params.weights), climb.total, climb.rows.sample_weight
    found = climb.rows.posterior(params, "resp", "labels")
    splits = best_splits(climb, params, range(k), found.labels, rng)
    losses = params.merge_losses()
    removals = removal_losses(found.resp[:, :k], weights, params.weights)
    pairs = [divmod(int(place), k) for place in np.argsort(losses, axis=None)[: k * (k - 1) // 2][: 3 * k]]
    lightest = np.argsort(removals, kind="stable").tolist()
    moves: list[Move[P]] = []
    for c, split in splits.items():
        if split.pair is None:
            continue
        gain = split.gain / total
        merges = [pair for pair in pairs if c not in pair][:PARTNERS]
        moves += [Move(split, i, j, gain - losses[i, j]) for i, j in merges]
        moves += [Move(split, j, None, gain - removals[j]) for j in lightest[: PARTNERS + 1] if j != c]
    return sorted(moves, key=lambda move: -move.gain)


def removal_losses(resp: Array, sample_weight: Array, weights: Array) -> Array:
    """Return (k,) what the mean log likelihood loses where a component is removed, and nothing else changes."""
    rest = 1 - 1e-12
    lost = np.einsum("n,nk->k", sample_weight, -np.log1p(-np.minimum(resp, rest))) / sample_weight.sum()
    return np.asarray(lost + np.log1p(-np.minimum(weights, rest)))


def n_suspects(climb: Climb[P, S], params: P) -> int:
    """Count the components that may be of a spurious maximum."""
    return int(is_suspect(params, params.weights * climb.total, climb.family.collapsed(params)).sum())
