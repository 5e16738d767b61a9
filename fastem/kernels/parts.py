"""Parts of rows in memory: their moments, clusters that are merged, components that are split.

One compiled call each, whichever twin sweeps: as `spread_rows`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.kernels.twins import cython_twin

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
STRUCTURES = {"full": 0, "diag": 1, "spherical": 2}
"""Numbers of the covariance types that a component has of its own."""


class Parts(NamedTuple):
    """Weights and moments of parts of the rows."""

    counts: Array  #    (k,)
    means: Array  #     (k, d)
    scatters: Array  #  (k, d, d) about the means, or (k, d) their diagonals


class Splits(NamedTuple):
    """What takes the place of each of m components: two of them."""

    gains: Array  #    (m,)       of the log likelihood of its rows; -inf where it has too few
    weights: Array  #  (m, 2)
    means: Array  #    (m, 2, d)
    spread: Array  #   (m, .)     covariances of both, as their structure has them


def part_moments(X: np.ndarray, sample_weight: Array, labels: NDArray[np.int64], k: int, full: bool) -> Parts:
    """Return the moments of k parts of the rows, of matrices or of their diagonals."""
    d = X.shape[1]
    counts, means, scatters = np.zeros(k), np.zeros((k, d)), np.zeros((k, d, d if full else 1))
    cython_twin().part_moments(X, sample_weight, labels, counts, means, scatters)
    return Parts(counts, means, scatters if full else scatters[:, :, 0])


def merge_clusters(parts: Parts, pooled: Array, prior: float, k: int) -> NDArray[np.int64]:
    """Return (m,) the numbers, 0 .. k - 1, of the clusters that m parts with matrices are merged to; it changes them.

    Each has `prior` rows of the pooled scatter of a row.
    """
    merged = np.empty(len(parts.counts), np.int64)
    cython_twin().merge_clusters(*parts, pooled, prior, k, merged)
    return np.unique(merged, return_inverse=True)[1].astype(np.int64)


def split_components(
    X: Array,
    sample_weight: Array,
    labels: NDArray[np.int32],
    components: NDArray[np.int32],
    uniforms: Array,
    added: Array,
    units: Array,
    structure: str,
    *,
    least: float,
    most: int,
    trial: int,
    iterations: int,
) -> Splits:
    """Return the best of some beginnings with two components on the rows of one, after some iterations of EM.

    Beginnings are compared after `trial` iterations, and the best of them goes on.

    uniforms (m, r, 3) from 0 to 1 are what r rounds of beginnings draw, `added` (d,) is added to variances, axes are
    compared in units (d,).  A component with less than `least` rows is not split; at most `most` rows are looked at.
    """
    m, d, number = len(components), X.shape[1], STRUCTURES[structure]
    found = Splits(np.empty(m), np.empty((m, 2)), np.empty((m, 2, d)), np.empty((m, 2 * (d * d, d, 1)[number])))
    workspace = np.empty((most, d)), np.empty(most)
    rules = number, least, trial, iterations
    cython_twin().split_components(
        X, sample_weight, labels, components, uniforms, added, units, *rules, *workspace, *found
    )
    return found


def partial_em(
    X: Array,
    sample_weight: Array,
    resp: Array,
    log_prob: Array,
    places: NDArray[np.int32],
    shares: Array,
    starts: tuple[Array, Array, Array],
    added: Array,
    structure: str,
    *,
    foreign: float,
    iterations: int,
) -> Array:
    """Run EM of c components from each of m starts, on the rows of which these components have a share.

    Returns (m,) what the log likelihood gains; starts, the weights (m, c), means (m, c, d) and spread (m, .), become
    where EM leads.

    places (m, c) are the components in the mixture of which resp (n, .) and log_prob (n,) are, and shares (m,) their
    weight there.  A row of which they have no more than `foreign` is not looked at.
    """
    gains, workspace = np.empty(len(places)), (np.empty(X.shape), np.empty(len(X)))
    rules = STRUCTURES[structure], foreign, iterations
    cython_twin().partial_em(
        X, sample_weight, resp, log_prob, places, shares, added, *rules, *workspace, gains, *starts
    )
    return gains
