"""Gaussian components of parts of the rows: of clusters, of clusters that are merged, of halves of a component."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array
from fastem.data.kmeans import spread_centers
from fastem.data.rows import Rows
from fastem.families.gaussian.matrices import SMALLEST_VARIANCE
from fastem.families.gaussian.model import GaussianParams, GaussianStats
from fastem.families.gaussian.starts import feature_scale
from fastem.families.weights import EMPTY
from fastem.kernels.linear import inverse_cholesky, outer_sums, product, weighted_sum

QUICK_STEPS, QUICK_TOL = 10, 1e-2
"""k-means of a beginning: EM goes on from there, and moves the centers more than more steps would."""
MERGE_STEPS = 3
"""Steps of k-means before clusters are merged: they need not be good, there are too many of them."""
CLUSTERS = 3
"""Clusters that are merged, for each component."""
NARROW, BROAD, NARROW_SHARE = 0.35, 2.0, 0.6
"""A component as a narrow one with this share of the rows, and a broad one about the same place."""
FAR_SHARE, NEAR_SHARE = 0.02, 0.1
"""A far row is one of so many that are farthest from the mean; what is near it is the nearest tenth."""
PADDING = 1e-3
"""The share of a component's variances that is added to those of its halves, which may be of few rows."""


class Parts:
    """Weights and moments of parts of the rows: counts (k,), means (k, d), scatters (k, d, d) or diagonals (k, d)."""

    def __init__(self, X: Array, weights: Array, labels: NDArray[np.intp], k: int, is_matrix: bool) -> None:
        d = X.shape[1]
        order = np.argsort(labels, kind="stable")
        edges = np.searchsorted(labels[order], np.arange(k + 1)).tolist()
        X, weights = X[order], weights[order]
        self.counts, self.means = np.zeros(k), np.zeros((k, d))
        self.scatters = np.zeros((k, d, d) if is_matrix else (k, d))
        for c, (begin, end) in enumerate(pairwise(edges)):
            w = weights[begin:end]
            count = float(w.sum())
            if count > 0:
                mean = weighted_sum(w, X[begin:end]) / count
                z = X[begin:end] - mean
                self.counts[c], self.means[c] = count, mean
                weighted = w[:, np.newaxis] * z
                self.scatters[c] = outer_sums(weighted, z) if is_matrix else (weighted * z).sum(axis=0)


def of_parts(
    rows: Rows, labels: NDArray[np.intp], k: int, covariance_type: str, reg_covar: float | Array
) -> GaussianParams:
    """Return the M-step on rows that are each of one component; one without rows takes the moments of all rows."""
    X, weights = rows.data[0], rows.sample_weight
    mean = weighted_sum(weights, X) / weights.sum()
    residual = X - mean
    variances = np.maximum(weighted_sum(weights, residual**2) / weights.sum(), SMALLEST_VARIANCE)
    origin = GaussianParams.from_variances(np.tile(mean, (k, 1)), variances, covariance_type)
    parts = Parts(residual, weights, labels, k, origin.is_matrix)
    n = parts.counts
    first = n[:, np.newaxis] * parts.means
    second = parts.scatters + origin.structure.outer(first, parts.means)
    found = GaussianStats(origin, n, 0.0, 0.0, first, second, n, n, row_counts=n).maximize(reg_covar=reg_covar)
    if not n.min() > EMPTY * n.sum():  # weight 0 never returns
        shares = np.maximum(n / n.sum(), 1 / len(rows))
        found = found.with_values(shares / shares.sum(), found.means, found.structure)
    return found


def quick_clusters(rows: Rows, k: int, scale: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return labels (n,) of k-means that is stopped early."""
    centers, last = spread_centers(rows, k, scale, rng), np.inf
    for _ in range(QUICK_STEPS):
        _, labels, counts, first, inertia = rows.nearest(centers, scale)
        if last - inertia <= QUICK_TOL * inertia:
            break
        last, centers = inertia, centers + first / np.where(counts > 0, counts, 1.0)[:, np.newaxis]
    return labels.astype(np.intp)


def merged_clusters(rows: Rows, k: int, scale: Array, rng: np.random.Generator) -> NDArray[np.intp] | None:
    """Return labels (n,) of many clusters that are merged until there are k; None where rows are too few for many.

    Each merge is the one after which the rows are most likely, if each was known to be of its own Gaussian: the
    classification likelihood of Banfield and Raftery (1993), with scatters that have d + 2 rows of the pooled one.
    """
    X, weights = rows.data[0], rows.sample_weight
    d = X.shape[1]
    K = min(CLUSTERS * k, len(X) // (2 * (d + 2)))
    if k >= K:
        return None
    centers = spread_centers(rows, K, scale, rng)
    for _ in range(MERGE_STEPS):
        _, _, counts, first, _ = rows.nearest(centers, scale)
        centers = centers + first / np.where(counts > 0, counts, 1.0)[:, np.newaxis]
    labels = rows.nearest(centers, scale)[1].astype(np.intp)
    mean = weighted_sum(weights, X) / weights.sum()
    parts = Parts((X - mean) * scale, weights, labels, K, is_matrix=True)
    return np.asarray(merge_parts(parts, k)[labels])


def merge_parts(parts: Parts, k: int) -> NDArray[np.intp]:
    """Return the numbers (K,), 0 .. k - 1, of the clusters that parts are merged to."""
    n, means, scatters = parts.counts, parts.means, parts.scatters
    K, d = means.shape
    pooled, prior = scatters.sum(axis=0) / n.sum(), d + 2.0
    np.einsum("ii->i", pooled)[...] += 1e-9

    def half_log_dets(count: Array, scatter: Array) -> Array:
        matrices = (scatter + prior * pooled) / (count + prior)[:, np.newaxis, np.newaxis]
        found = inverse_cholesky(matrices)
        return np.full(len(count), np.inf) if found is None else 0.5 * np.log(found[1]).sum(axis=1)

    own = n * half_log_dets(n, scatters)
    losses = np.full((K, K), np.inf)

    def update(i: int, others: NDArray[np.intp]) -> None:
        count, delta = n[i] + n[others], means[i] - means[others]
        between = (n[i] * n[others] / np.maximum(count, 1e-300))[:, np.newaxis, np.newaxis] * (
            delta[:, :, np.newaxis] * delta[:, np.newaxis, :]
        )
        found = count * half_log_dets(count, scatters[i] + scatters[others] + between) - own[i] - own[others]
        losses[np.minimum(i, others), np.maximum(i, others)] = found

    alive, mapping = np.ones(K, np.bool_), np.arange(K)
    for i in range(K - 1):
        update(i, np.arange(i + 1, K))
    for _ in range(K - k):
        i, j = divmod(int(losses.argmin()), K)
        count, delta = n[i] + n[j], means[i] - means[j]
        scatters[i] += scatters[j] + n[i] * n[j] / max(count, 1e-300) * delta[:, np.newaxis] * delta
        means[i], n[i] = (n[i] * means[i] + n[j] * means[j]) / max(count, 1e-300), count
        own[i] = n[i] * half_log_dets(n[i : i + 1], scatters[i : i + 1])[0]
        alive[j], mapping[mapping == j] = False, i
        losses[j] = losses[:, j] = np.inf
        others = np.flatnonzero(alive)
        update(i, others[others != i])
    return np.asarray((np.cumsum(alive) - 1)[mapping])


def beginnings(
    rows: Rows, k: int, covariance_type: str, reg_covar: float | Array, rng: np.random.Generator
) -> Iterator[GaussianParams]:
    """Yield components of two k-means, and of clusters that are merged."""
    scale = feature_scale(rows.data[0], rows.sample_weight)
    for _ in range(2):
        yield of_parts(rows, quick_clusters(rows, k, scale, rng), k, covariance_type, reg_covar)
    if (labels := merged_clusters(rows, k, scale, rng)) is not None:
        yield of_parts(rows, labels, k, covariance_type, reg_covar)


def pairs(
    rows: Rows, one: GaussianParams, reg_covar: float | Array, rng: np.random.Generator
) -> Iterator[GaussianParams]:
    """Yield pairs of components that may take the place of one, with the rows of this one.

    They are halves along its longest axis; a narrow and a broad one; what is nearer to either of two random rows
    (Verbeek, Vlassis and Krose 2003); what is near a far row, and the rest.
    """
    yield one.split(0)
    covariances = one.structure.like(np.concatenate([NARROW * one.covariances, BROAD * one.covariances])).values
    step = 1e-3 * np.sqrt(one.variances())
    weights = np.array([NARROW_SHARE, 1 - NARROW_SHARE])
    yield GaussianParams(weights, np.concatenate([one.means, one.means + step]), covariances, one.covariance_type)
    factor, z = one.precision_factors()[0], rows.data[0] - one.means[0]
    z = product(z, factor.T) if factor.ndim == 2 else z * factor
    reg_covar = reg_covar + PADDING * one.variances()[0]
    weights = np.cumsum(rows.sample_weight)
    first, second = np.searchsorted(weights, rng.random(2) * weights[-1])
    yield from halves(rows, squares(z - z[first]) < squares(z - z[second]), one, reg_covar)
    order = np.argsort(squares(z), kind="stable")
    behind = weights[-1] - np.cumsum(rows.sample_weight[order])  # what lies farther out
    far = z[order[np.searchsorted(-behind, -FAR_SHARE * rng.random() * weights[-1])]]
    distances = squares(z - far)
    order = np.argsort(distances, kind="stable")
    near = np.cumsum(rows.sample_weight[order]) <= max(z.shape[1] + 2.0, NEAR_SHARE * weights[-1])
    side = np.zeros(len(z), np.bool_)
    side[order[near]] = True
    yield from halves(rows, side, one, reg_covar)


def squares(z: Array) -> Array:
    """Return the squared lengths (n,) of vectors (n, d)."""
    return np.asarray((z * z).sum(axis=1))


def halves(
    rows: Rows, side: NDArray[np.bool_], one: GaussianParams, reg_covar: float | Array
) -> Iterator[GaussianParams]:
    """Yield the components of both sides, if there are rows enough."""
    count = int(side.sum())
    if min(count, len(side) - count) > rows.n_features:
        yield of_parts(rows, side.astype(np.intp), 2, one.covariance_type, reg_covar)
