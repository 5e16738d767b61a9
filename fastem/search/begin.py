"""Where a search begins: at what the family draws, and at one component that is split until there are k."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastem.families.base import P, S
from fastem.search.climb import Climb, Reached
from fastem.search.splits import Split, best_splits

FIRST_ITERATIONS = 10
"""Iterations after which beginnings are compared, and the best go on."""
BETWEEN = 2
"""Iterations from one split to the next."""


def beginnings(climb: Climb[P, S], k: int, rng: np.random.Generator) -> Iterator[Reached[P]]:
    """Yield where EM gets in a few iterations from each beginning, while there is time.

    A component is split only where nothing is fixed.
    """
    for params in climb.family.beginnings(climb.rows, k, rng):
        climb.budget.begin(params.sums_length)
        yield climb(params, FIRST_ITERATIONS)
        if climb.is_over:
            return
    if not climb.fixed and (found := grown(climb, k, rng)) is not None:
        yield climb(found, FIRST_ITERATIONS)


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
