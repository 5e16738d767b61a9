"""Where a fit begins whose rows are known in part."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array
from fastem.data.kmeans import start_size
from fastem.data.rows import Rows
from fastem.families.base import Family, P, S
from fastem.families.known import KnownRows


def of_known(rows: KnownRows, family: Family[P, S], k: int, rng: np.random.Generator) -> P | None:
    """Return the M-step on the rows that are known, if every component has some, else None.

    Variances are no more precise than these rows prove: of few rows they are nearly those of all components together.
    """
    sample, labels = known_sample(rows, k, rng)
    counts = np.bincount(labels, sample.sample_weight, minlength=k).astype(np.float64)
    if not (counts > 0).all():
        return None
    params = family.of_parts(sample, labels, k)
    return params.with_proven_variances(counts, list(range(k)), np.zeros(rows.n_features))


def numbered(rows: KnownRows, params: P, rng: np.random.Generator) -> P:
    """Return the components in the order that gives the known rows the most of their responsibilities."""
    k = len(params.weights)
    sample, labels = known_sample(rows, k, rng)
    if not len(labels):
        return params
    weighted = sample.posterior(params, "resp").resp * sample.sample_weight[:, np.newaxis]
    agreement = np.zeros((k, k))
    np.add.at(agreement, labels, weighted)
    return params.select(matched(agreement))


def matched(agreement: Array) -> NDArray[np.intp]:
    """Return a component (k,) for each label, by the largest of agreement (labels, components) that is left."""
    found, left = np.empty(len(agreement), np.intp), agreement.copy()
    for _ in range(len(found)):
        label, component = divmod(int(left.argmax()), len(found))
        found[label] = component
        left[label], left[:, component] = -np.inf, -np.inf
    return found


def known_sample(rows: KnownRows, k: int, rng: np.random.Generator) -> tuple[Rows, NDArray[np.intp]]:
    """Return the known rows, or as many as a start looks at, and their labels."""
    positions, size = np.flatnonzero(rows.labels >= 0), start_size(rows, k)
    if len(positions) > size:
        positions = np.sort(rng.choice(positions, size, replace=False, shuffle=False))
    return rows.take(positions), rows.labels[positions]
