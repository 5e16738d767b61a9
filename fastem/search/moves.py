"""Splits and merges: a component is split, and two others are merged, or one is removed, so that there are k again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from fastem._typing import Array
from fastem.data.base import Posterior
from fastem.data.rows import Rows
from fastem.families.base import P, S
from fastem.families.diagnosis import is_suspect
from fastem.kernels.linear import outer_sums
from fastem.search.additions import additions
from fastem.search.climb import Climb, Reached
from fastem.search.local import Move, Trials
from fastem.search.splits import best_splits

GAIN = 1e-4
"""What a move has to gain per unit of weight."""
HOPELESS = 0.05
"""A move that is so far below after a few iterations, per unit of weight, is given up."""
TRIED, FULLY = 10, 6
"""Moves that are tried in a round, on the components that they touch, and those of them that EM of all goes on with."""
NEEDED = -0.2
"""The estimated gain per unit of weight below which no move is tried."""
PARTNERS = 2
"""Merges, and removals, that are tried with each split."""
TRIAL_ITERATIONS = 4
"""Iterations of all components before a move is judged."""
ADDED, LEAST_RARE = 2, 4.0
"""Small components that are tried, each with PARTNERS merges, and what one has to gain (a total) by estimate."""
CLIMB_ITERATIONS, CLIMB_TOL = 200, 1e-6
"""A climb ends where less than this is left to gain per unit of weight, or after so many iterations.

What quasi-Newton steps estimate is too small where EM is slow, and from there to the maximum they take few more.
"""


def to_maximum(climb: Climb[P, S], at: P, least: float = -np.inf) -> Reached[P]:
    """Climb to the maximum of the rows, or give up where that will be below `least`."""
    return climb(at, CLIMB_ITERATIONS, CLIMB_TOL, least)


def improved(climb: Climb[P, S], at: Reached[P], rng: np.random.Generator, ends: list[float]) -> Reached[P]:
    """Return where splits and merges lead, in as many rounds as there are components; `at` where none gains.

    `ends` are log likelihoods at which such paths have ended, to which this one is added.  A path that gets to one of
    them ends there too: it is the same maximum, or as good.
    """
    for _ in range(len(at.params.weights)):
        if any(abs(at.loglik - end) < GAIN * climb.total for end in ends):
            break
        better = next(successes(climb, at, best_moves(climb, at.params, rng)), None)
        if better is None:
            break
        at = better
    ends.append(at.loglik)
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
        least = at.loglik + GAIN * total
        run = climb(params, TRIAL_ITERATIONS)
        if run.loglik < at.loglik - HOPELESS * total or run.highest < least:
            continue
        run = to_maximum(climb, run.params, least)
        if run.loglik > least and not more_suspects(climb, run.params, at.params):
            yield run


def best_moves(climb: Climb[P, S], params: P, rng: np.random.Generator) -> Iterator[P]:
    """Yield where moves lead, on the components that they touch: the best of those of the largest estimated gains."""
    known = climb.rows.posterior(params, "resp", "labels", "log_prob")
    found = Trials.of(climb, params, known)(moves(climb, params, known, rng)[:TRIED], FULLY)
    return (each.of(params) for each in found)


def moves(climb: Climb[P, S], params: P, known: Posterior, rng: np.random.Generator) -> list[Move[P]]:
    """Return moves in the order of their estimated gains, but none that is estimated to lose much.

    `known` are resp and labels of the rows.
    """
    k, total, weights = len(params.weights), climb.total, climb.rows.sample_weight
    resp, splits = known.resp[:, :k], best_splits(climb, params, range(k), known.labels, rng)
    losses, removals = params.merge_losses(), removal_losses(resp, weights, params.weights)
    pairs = [divmod(int(place), k) for place in np.argsort(losses, axis=None)[: k * (k - 1) // 2][: 3 * k]]
    lightest, neighbours = np.argsort(removals, kind="stable").tolist(), nearest(resp, weights, params.weights)
    found: list[Move[P]] = []
    for c, split in splits.items():
        if split.pair is None:
            continue
        gain = split.gain / total
        merges = [pair for pair in pairs if c not in pair][:PARTNERS]
        found += [Move(split, (i, j), j, gain - losses[i, j]) for i, j in merges]
        removed = [j for j in lightest[: PARTNERS + 1] if j != c]
        found += [Move(split, tuple({neighbours[j]} - {c}), j, gain - removals[j]) for j in removed]
    return sorted((move for move in found if move.gain >= NEEDED), key=lambda move: -move.gain)


def nearest(resp: Array, sample_weight: Array, weights: Array) -> list[int]:
    """Return for each component which other one, that is not empty, shares the most with it."""
    shared = outer_sums(resp * sample_weight[:, np.newaxis], resp)
    shared[:, weights <= 0] = -1.0
    np.fill_diagonal(shared, -1.0)
    return [int(c) for c in shared.argmax(axis=1)]


def removal_losses(resp: Array, sample_weight: Array, weights: Array) -> Array:
    """Return (k,) what the mean log likelihood loses where a component is removed, and nothing else changes."""
    rest = 1 - 1e-12
    lost = np.einsum("n,nk->k", sample_weight, -np.log1p(-np.minimum(resp, rest))) / sample_weight.sum()
    return np.asarray(lost + np.log1p(-np.minimum(weights, rest)))


def more_suspects(climb: Climb[P, S], params: P, before: P) -> bool:
    """Return whether more components may be of a spurious maximum than were before."""
    found = n_suspects(climb, params)
    return found > 0 and found > n_suspects(climb, before)


def n_suspects(climb: Climb[P, S], params: P) -> int:
    """Count the components that may be of a spurious maximum."""
    return int(is_suspect(params, params.weights * climb.total, climb.family.collapsed(params)).sum())
