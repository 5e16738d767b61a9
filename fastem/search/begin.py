"""Where a search begins: at what the family draws, and at one component that is split until there are k."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastem.families.base import P, S
from fastem.search.climb import Climb, Reached
from fastem.search.splits import Split, best_splits

FIRST_ITERATIONS = 10
"""Iterations after which beginnings are compared, and the best go on."""
SAME = 1e-4
"""Beginnings agree where their log likelihoods are within this, per unit of weight."""
BETWEEN = 2
"""Iterations from one split to the next."""
TRIED, SPLIT_ITERATIONS = 3, 5
"""Splits that are compared on all rows, where a mixture gets one component more, and iterations before they are."""


def beginnings(climb: Climb[P, S], k: int, rng: np.random.Generator) -> Iterator[Reached[P]]:
    """Yield where EM gets in a few iterations from each beginning, while there is time.

    A component is split where nothing is fixed, and where the other beginnings do not agree.
    """
    logliks: list[float] = []
    for params in climb.family.beginnings(climb.rows, k, rng):
        climb.budget.begin(params.sums_length)
        run = climb(params, FIRST_ITERATIONS)
        logliks.append(run.loglik)
        yield run
        if climb.is_over:
            return
    agree = len(logliks) > 2 and max(logliks) - min(logliks) < SAME * climb.total
    if not climb.fixed and not agree and (found := grown(climb, k, rng)) is not None:
        yield climb(found, FIRST_ITERATIONS)


def one_more(climb: Climb[P, S], params: P, rng: np.random.Generator) -> P:
    """Return a mixture with one component more: of the best splits, the one that is best after EM on all rows."""
    alive = np.flatnonzero(params.weights > 0)
    labels = climb.rows.posterior(params, "labels").labels
    splits = [each for each in best_splits(climb, params, alive.tolist(), labels, rng).values() if each.pair]
    starts = [split.of(params) for split in sorted(splits, key=lambda split: -split.gain)[:TRIED]]
    if not starts:  # too few rows each
        starts = [params.split(int(np.argmax(params.weights)))]
    return max((climb(start, SPLIT_ITERATIONS) for start in starts), key=lambda run: run.loglik).params


def grown(climb: Climb[P, S], k: int, rng: np.random.Generator) -> P | None:
    """Return one component, and the best split of any until there are k; None where none can be split."""
    params = climb.family.of_parts(climb.rows, np.zeros(len(climb.rows), np.intp), 1)
    known: dict[int, Split[P]] = {}
    while len(params.weights) < k:
        labels = climb.rows.posterior(params, "labels").labels
        known |= best_splits(climb, params, [c for c in range(len(params.weights)) if c not in known], labels, rng)
        if climb.is_over or not any(split.pair for split in known.values()):
            return None
        split = max(known.values(), key=lambda split: split.gain)
        params = climb(split.of(params), BETWEEN).params
        known.pop(split.component)
    return params
