"""Components that a mixture lacks: where rows are denser than it says, however few they are."""

from __future__ import annotations

import numpy as np

from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.families.base import Family, P, S

CELLS = 32
"""Small components that are tried together, in one sweep of all rows."""
ROWS_PER_FEATURE = 2
"""A cell has about so many rows for each of d + 2 at least."""
SHARE = 1e-3
"""The share of the weight that all cells have while they are tried: so little that they do not see each other."""


LEAST_GAIN = 2.0
"""What one has to gain (a total), by estimate, to be tried: of 32 without meaning the best gains 3 or 4."""


def additions(
    rows: RowSource,
    few: Rows,
    family: Family[P, S],
    params: P,
    rng: np.random.Generator,
    most: int,
    least: float = LEAST_GAIN,
) -> list[P]:
    """Return mixtures with one component more, a small one where the rows are denser than the mixture; the best first.

    The slope of the log likelihood by the weight of a new component is its gradient function (Lindsay 1983), the excess
    sum w p(x) / f(x) - n.  One sweep of the mixture with cells of hardly any weight has the excess of each, and its
    M-step moves each to where the excess is.  A cell that holds a share m of the rows, where the mixture expects
    m / (1 + excess / n), has m - m / (1 + excess / n) of its own; to say so gains what a likelihood ratio of counts is.
    """
    k, cells = len(params.weights), cells_of(few, family, rng)
    if cells is None:
        return []
    joined = params.joined(cells, SHARE)
    stats = rows.in_float64().sweep(joined)
    total, masses = stats.row_counts.sum(), cells.weights
    ratios = np.maximum(stats.row_counts[k:] / (total * joined.weights[k:]), 1.0)
    gains, shares = total * masses * (np.log(ratios) - 1 + 1 / ratios), masses * (1 - 1 / ratios)
    reached = family.maximize(stats)
    best = [c for c in np.argsort(-gains, kind="stable")[:most].tolist() if gains[c] > least]
    return [with_component(params, reached, k + c, shares[c]) for c in best]


def with_component(params: P, others: P, c: int, share: float) -> P:
    """Return a mixture with a component of another one, which has this share of the weight."""
    one = others.select(np.array([c])).with_weights(np.ones(1))
    return params.joined(one, share)


def cells_of(few: Rows, family: Family[P, S], rng: np.random.Generator) -> P | None:
    """Return the components of clusters, their weights the shares of the rows; None where there are too few rows."""
    m = min(CELLS, len(few) // (ROWS_PER_FEATURE * (few.n_features + 2)))
    return family.of_parts(few, family.clusters(few, m, rng), m) if m > 1 else None
