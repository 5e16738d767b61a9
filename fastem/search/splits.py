"""Splits of one component, judged on its own rows alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from fastem.data.kmeans import thinned
from fastem.data.rows import Rows
from fastem.families.base import P, S
from fastem.search.climb import Climb, Reached

MOST_ROWS = 1000
"""Rows of a component that its split is judged on, or twice as many as it must have if that is more."""
TRIAL_ITERATIONS, ITERATIONS = 5, 10
"""Iterations of a pair of components on these rows before it is compared with others, and of the best of them."""
ROWS_PER_FEATURE = 4
"""A component is not split unless it has so many rows for each of d + 2: halves could not be told from its tails."""


@dataclass(frozen=True)
class Split(Generic[P]):
    """The best pair of components in the place of one; None where it has too few rows."""

    component: int
    gain: float  # of the log likelihood (a total)
    pair: P | None

    def of(self, params: P) -> P:
        """Return the mixture with the pair, the second of it behind the others."""
        assert self.pair is not None
        return params.with_pair(self.component, self.pair)


def best_splits(
    climb: Climb[P, S], params: P, components: Iterable[int], labels: NDArray[np.int32], rng: np.random.Generator
) -> dict[int, Split[P]]:
    """Return the best split of each component: labels (n,) say whose rows they are."""
    family, numbers = climb.family.of_one_component(), list(components)
    least, most = limits(climb.rows)
    found = family.splits(
        climb.rows, params, labels, numbers, rng,
        least=least, most=most, trial=TRIAL_ITERATIONS, iterations=ITERATIONS,
    )  # fmt: skip
    sums = 2 * params.sums_length // len(params.weights)
    steps = 3 * TRIAL_ITERATIONS + ITERATIONS
    climb.budget.spend(len(numbers) * steps * min(most, len(climb.rows)) * sums)
    if found is None:
        return {c: best_split(climb, c, np.flatnonzero(labels == c), rng) for c in numbers}
    pairs = zip(numbers, found, strict=True)
    return {c: Split(c, gain, pair if gain > -math.inf else None) for c, (gain, pair) in pairs}


def limits(rows: Rows) -> tuple[int, int]:
    """Return how many rows a component must have to be split, and how many are looked at."""
    least = ROWS_PER_FEATURE * (rows.n_features + 2)
    return least, max(MOST_ROWS, 2 * least)


def best_split(climb: Climb[P, S], c: int, positions: NDArray[np.intp], rng: np.random.Generator) -> Split[P]:
    """Run EM with two components on the rows of one, from each pair that the family proposes."""
    weight, (least, most) = float(climb.rows.sample_weight[positions].sum()), limits(climb.rows)
    if max(weight, len(positions)) < least:
        return Split(c, -math.inf, None)
    rows = thinned(climb.rows.take(positions), most)
    family = climb.family.of_one_component()
    own = climb.on(rows, family)
    one = family.of_parts(rows, np.zeros(len(rows), np.intp), 1)
    before = own(one, 1).loglik
    runs: list[Reached[P]] = [own(pair, TRIAL_ITERATIONS) for pair in family.pairs(rows, one, rng)]
    best = own(max(runs, key=lambda run: run.loglik).params, ITERATIONS - TRIAL_ITERATIONS)
    return Split(c, (best.loglik - before) * weight / own.total, best.params)
