"""Gaussian components of parts of the rows: of clusters, of clusters that are merged, of a component that is split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array
from fastem.data.base import Posterior
from fastem.data.kmeans import spread_centers
from fastem.data.rows import Rows
from fastem.families.gaussian.matrices import SMALLEST_VARIANCE
from fastem.families.gaussian.model import GaussianParams, GaussianStats
from fastem.families.gaussian.starts import COLLAPSED, feature_scale, relative_extents
from fastem.families.gaussian.structures import STRUCTURES
from fastem.families.weights import EMPTY
from fastem.kernels.linear import weighted_sum
from fastem.kernels.parts import Parts, merge_clusters, part_moments, partial_em, split_components
from fastem.validation.parameters import check_well_defined

QUICK_STEPS, QUICK_TOL = 10, 1e-2
"""k-means of a beginning: EM goes on from there, and moves the centers more than more steps would."""
MERGE_STEPS = 3
"""Steps of k-means before clusters are merged: they need not be good, there are too many of them."""
CLUSTERS, MOST_CLUSTERS = 3, 300
"""Clusters that are merged, for each component; the losses of pairs are compared at each merge."""
MOST_FEATURES = 128
"""A kernel splits components of up to so many features: it makes matrices of all types."""
SPLIT_ROUNDS = 1
"""How often a split begins at random rows of a component, beside what is always the same."""


def of_parts(
    rows: Rows, labels: NDArray[np.int64], k: int, covariance_type: str, reg_covar: float | Array
) -> GaussianParams:
    """Return the M-step on rows that are each of one component; one without rows takes the moments of all rows."""
    X, weights = rows.data[0], rows.sample_weight
    mean = weighted_sum(weights, X) / weights.sum()
    residual = X - mean
    variances = np.maximum(weighted_sum(weights, residual**2) / weights.sum(), SMALLEST_VARIANCE)
    origin = GaussianParams.from_variances(np.tile(mean, (k, 1)), variances, covariance_type)
    n, means, scatters = part_moments(residual, weights, labels, k, origin.is_matrix)
    first = n[:, np.newaxis] * means
    second = scatters + origin.structure.outer(first, means)
    found = GaussianStats(origin, n, 0.0, 0.0, first, second, n, n, row_counts=n).maximize(reg_covar=reg_covar)
    if n.min() > EMPTY * n.sum():
        return found
    shares = np.maximum(n / n.sum(), 1 / len(rows))  # weight 0 never returns
    return found.with_values(shares / shares.sum(), found.means, found.structure)


def quick_clusters(rows: Rows, k: int, scale: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return labels (n,) of k-means that is stopped early."""
    centers, last = spread_centers(rows, k, scale, rng), np.inf
    for _ in range(QUICK_STEPS):
        _, labels, counts, first, inertia = rows.nearest(centers, scale)
        if last - inertia <= QUICK_TOL * inertia:
            break
        last, centers = inertia, centers + first / np.where(counts > 0, counts, 1.0)[:, np.newaxis]
    return labels.astype(np.int64)


def merged_clusters(rows: Rows, k: int, scale: Array, rng: np.random.Generator) -> NDArray[np.int64] | None:
    """Return labels (n,) of many clusters that are merged until there are k; None where rows are too few for many.

    Each merge is the one after which the rows are most likely, if each was known to be of its own Gaussian: the
    classification likelihood of Banfield and Raftery (1993), with scatters that have d + 2 rows of the pooled one.
    """
    X, weights = rows.data[0], rows.sample_weight
    d = X.shape[1]
    m = min(CLUSTERS * k, len(X) // (2 * (d + 2)), MOST_CLUSTERS)
    if m <= k:
        return None
    centers = spread_centers(rows, m, scale, rng)
    for _ in range(MERGE_STEPS):
        _, _, counts, first, _ = rows.nearest(centers, scale)
        centers = centers + first / np.where(counts > 0, counts, 1.0)[:, np.newaxis]
    labels = rows.nearest(centers, scale)[1].astype(np.int64)
    mean = weighted_sum(weights, X) / weights.sum()
    parts = Parts(*part_moments((X - mean) * scale, weights, labels, m, full=True))
    pooled = parts.scatters.sum(axis=0) / parts.counts.sum()
    np.einsum("ii->i", pooled)[...] += 1e-9  # of features that are constant, or depend on each other
    return np.asarray(merge_clusters(parts, pooled, d + 2.0, k)[labels])


def beginnings(
    rows: Rows, k: int, covariance_type: str, reg_covar: float | Array, rng: np.random.Generator
) -> Iterator[GaussianParams]:
    """Yield components of two k-means, and of clusters that are merged."""
    scale = feature_scale(rows.data[0], rows.sample_weight)
    first = of_parts(rows, quick_clusters(rows, k, scale, rng), k, covariance_type, reg_covar)
    if not np.any(reg_covar):
        check_well_defined(relative_extents(first, scale), COLLAPSED)
    yield first
    yield of_parts(rows, quick_clusters(rows, k, scale, rng), k, covariance_type, reg_covar)
    if (labels := merged_clusters(rows, k, scale, rng)) is not None:
        yield of_parts(rows, labels, k, covariance_type, reg_covar)


def splits(
    rows: Rows,
    labels: NDArray[np.int32],
    components: list[int],
    units: Array,
    covariance_type: str,
    reg_covar: float | Array,
    rng: np.random.Generator,
    **limits: int,
) -> list[tuple[float, GaussianParams]] | None:
    """Return the gain of the log likelihood by the best split of each component, and the pair that it leads to.

    None where there are too many features.
    """
    X, d = np.ascontiguousarray(rows.data[0], np.float64), rows.n_features
    if d > MOST_FEATURES:
        return None
    added = np.full(d, reg_covar)
    uniforms = rng.random((len(components), SPLIT_ROUNDS, 3))
    numbers = np.asarray(components, np.int32)
    found = split_components(X, rows.sample_weight, labels, numbers, uniforms, added, units, covariance_type, **limits)
    shape = STRUCTURES[covariance_type].shape(2, d)
    return [
        (
            gain,
            GaussianParams.unchecked(weights=w, means=m, covariances=s.reshape(shape), covariance_type=covariance_type),
        )
        for gain, w, m, s in zip(found.gains.tolist(), *found[1:], strict=True)
    ]


def partial_runs(
    rows: Rows,
    known: Posterior,
    weights: Array,
    starts: list[tuple[list[int], GaussianParams]],
    reg_covar: float | Array,
    *,
    foreign: float,
    iterations: int,
) -> list[tuple[float, GaussianParams]]:
    """Return what EM of a few components gains from each start, and where it leads.

    weights (k,) are those of the mixture of which `known` are resp and log_prob of the rows.
    """
    X, d = np.ascontiguousarray(rows.data[0], np.float64), rows.n_features
    found: dict[int, tuple[float, GaussianParams]] = {}
    for c in {len(places) for places, _ in starts}:
        of_size = [i for i, (places, _) in enumerate(starts) if len(places) == c]
        places, params = np.array([starts[i][0] for i in of_size], np.int32), [starts[i][1] for i in of_size]
        w, means, spread = (np.stack(each) for each in zip(*(one.state() for one in params), strict=True))
        gains = partial_em(
            X, rows.sample_weight, known.resp, known.log_prob, places, weights[places].sum(axis=1), (w, means, spread),
            np.full(d, reg_covar), params[0].covariance_type, foreign=foreign, iterations=iterations,
        )  # fmt: skip
        for i, one, gain, *state in zip(of_size, params, gains.tolist(), w, means, spread, strict=True):
            found[i] = gain, one.with_state(*state)
    return [found[i] for i in range(len(starts))]
