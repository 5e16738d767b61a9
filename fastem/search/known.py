"""Where a fit begins whose rows are known in part."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array
from fastem.data.kmeans import start_size, subsample
from fastem.data.rows import Rows
from fastem.families.base import Family, P, S
from fastem.families.known import KnownRows


def of_known(rows: KnownRows, family: Family[P, S], k: int, rng: np.random.Generator) -> P | None:
    """Return the M-step on the rows that are known, if every component has some, else None.

    Variances are no more precise than these rows prove: of few rows they are nearly those of all components together.
    """
    if (found := known_sample(rows, k, rng)) is None:
        return None
    sample, labels = found
    counts = np.bincount(labels, sample.sample_weight, minlength=k).astype(np.float64)
    if not counts.all():
        return None
    params = family.of_parts(sample, labels, k)
    return params.with_proven_variances(counts, list(range(k)), np.zeros(rows.n_features))


def numbered(rows: KnownRows, params: P, rng: np.random.Generator) -> P:
    """Return the components in the order that gives the known rows the most of their responsibilities."""
    k = len(params.weights)
    if (found := known_sample(rows, k, rng)) is None:
        return params
    sample, labels = found
    weighted = sample.posterior(params, "resp").resp[:, :k] * sample.sample_weight[:, np.newaxis]
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


def known_sample(rows: KnownRows, k: int, rng: np.random.Generator) -> tuple[Rows, NDArray[np.intp]] | None:
    """Return rows of each component of which some are known, and their labels: as many as a start looks at, or all.

    None where no row that has weight is known.
    """
    weighted = {c: part for c, part in rows.known.items() if len(part.first_weighted(1))}
    if not weighted:
        return None
    size = -(-start_size(rows, k) // len(weighted))
    samples = [subsample(part, size, rng) for part in weighted.values()]
    labels = np.repeat(list(weighted), [len(sample) for sample in samples])
    arrays = zip(*((*sample.data, sample.sample_weight) for sample in samples), strict=True)
    first = samples[0]
    return Rows.of([np.concatenate(each) for each in arrays], first.row_kind, first.backend, first.dtype), labels
