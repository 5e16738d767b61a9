"""Parts of rows, clusters that are merged, components that are split: beside the same in plain NumPy."""

import numpy as np
import pytest

import fastem
from fastem import GaussianParams
from fastem.kernels.parts import Parts, merge_clusters, part_moments, split_components

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("d", [1, 3])
def test_moments_of_parts_are_those_of_numpy(d, full):
    X, w, labels = RNG.normal(size=(80, d)) + 1e3, RNG.random(80), RNG.integers(4, size=80)
    counts, means, scatters = part_moments(X, w, labels, 5, full)  # nothing is of part 4
    for c in range(4):
        own, weights = X[labels == c], w[labels == c]
        mean = np.average(own, axis=0, weights=weights)
        scatter = (weights * (own - mean).T) @ (own - mean)
        np.testing.assert_allclose(counts[c], weights.sum(), rtol=1e-14)
        np.testing.assert_allclose(means[c], mean, rtol=1e-14)
        np.testing.assert_allclose(scatters[c], scatter if full else scatter.diagonal(), rtol=1e-9, atol=1e-9)
    assert counts[4] == 0
    assert not scatters[4].any()


def naive_merges(counts, means, scatters, pooled, prior, k):
    """Greedy merges by the loss of the classification likelihood; -> sets of parts."""
    clusters = [({i}, *each) for i, each in enumerate(zip(counts, means, scatters, strict=True))]

    def likelihood(n, scatter):
        return -n / 2 * np.linalg.slogdet((scatter + prior * pooled) / (n + prior))[1]

    def union(a, b):
        n, apart = a[1] + b[1], a[2] - b[2]
        scatter = a[3] + b[3] + a[1] * b[1] / n * np.outer(apart, apart)
        return a[0] | b[0], n, (a[1] * a[2] + b[1] * b[2]) / n, scatter

    while len(clusters) > k:
        pairs = [(a, b) for i, a in enumerate(clusters) for b in clusters[:i]]
        losses = [likelihood(*a[1::2]) + likelihood(*b[1::2]) - likelihood(*union(a, b)[1::2]) for a, b in pairs]
        a, b = pairs[int(np.argmin(losses))]
        clusters = [each for each in clusters if each is not a and each is not b] + [union(a, b)]
    return {frozenset(each[0]) for each in clusters}


@pytest.mark.parametrize("d", [1, 2, 4])
@pytest.mark.parametrize("k", [1, 3, 7])
def test_clusters_are_merged_as_by_the_naive_loop(d, k):
    m = 12
    counts, means = RNG.integers(2, 30, m).astype(float), 4.0 * RNG.normal(size=(m, d))
    roots = RNG.normal(size=(m, d, d))
    scatters = counts[:, np.newaxis, np.newaxis] * (roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(d))
    pooled = scatters.sum(axis=0) / counts.sum()
    expected = naive_merges(counts, means, scatters, pooled, d + 2.0, k)
    numbers = merge_clusters(Parts(counts.copy(), means.copy(), scatters.copy()), pooled, d + 2.0, k)
    assert {frozenset(np.flatnonzero(numbers == c).tolist()) for c in range(k)} == expected


def two_halves(d):
    """Rows of component 1, which are two clusters, among others; weights; labels."""
    halves = np.concatenate([RNG.normal(size=(150, d)), 0.7 * RNG.normal(size=(250, d)) + 4.0])
    X = np.concatenate([halves, RNG.normal(size=(60, d)) - 20.0])
    return X, RNG.uniform(0.5, 1.5, len(X)), np.repeat(np.array([1, 0], np.int32), [400, 60])


def maximum(X, w, start):
    plain = {"tol": 1e-12, "max_iter": 5_000, "stopping": "aitken"}
    with fastem.open_rows(X, None, w) as rows:
        return fastem.em(rows.sweep, lambda stats: stats.maximize(reg_covar=1e-3), start, **plain)


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("rounds", [0, 1])
def test_a_split_ends_where_em_on_these_rows_does(d, kind, rounds):
    X, w, labels = two_halves(d)
    own, weights = X[labels == 1], w[labels == 1]
    found = split_components(
        X, w, labels, np.array([1], np.int32), RNG.random((1, rounds, 3)), np.full(d, 1e-3), np.ones(d), kind,
        least=20, most=1_000, trial=200, iterations=400,
    )  # fmt: skip
    one = maximum(own, weights, GaussianParams.from_variances(own[:1], np.full(d, 9.0), kind))
    means = np.stack([np.zeros(d), np.full(d, 4.0)])
    two = maximum(own, weights, GaussianParams.from_variances(means, np.ones(d), kind))
    assert found.gains[0] == pytest.approx(two.loglik - one.loglik, rel=1e-6)
    order = np.argsort(found.means[0, :, 0])
    np.testing.assert_allclose(found.weights[0, order], two.params.weights, rtol=1e-5)
    np.testing.assert_allclose(found.means[0, order], two.params.means, rtol=1e-4, atol=1e-4)
    spread = found.spread[0].reshape(2, -1)[order]
    np.testing.assert_allclose(spread, two.params.covariances.reshape(2, -1), rtol=1e-3, atol=1e-4)


def test_a_component_of_few_rows_is_not_split():
    X, w, labels = two_halves(2)
    found = split_components(
        X, w, labels, np.array([0, 1], np.int32), RNG.random((2, 1, 3)), np.zeros(2), np.ones(2), "full",
        least=100, most=1_000, trial=5, iterations=5,
    )  # fmt: skip
    assert found.gains[0] == -np.inf
    assert found.gains[1] > 0


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_a_part_of_many_rows_is_judged_as_all_of_them(kind):
    """At most 100 of 400 rows are looked at; the gain is that of all, to what 100 rows can tell."""
    X, w, labels = two_halves(2)
    whole, part = (
        split_components(
            X, w, labels, np.array([1], np.int32), np.empty((1, 0, 3)), np.full(2, 1e-3), np.ones(2), kind,
            least=20, most=most, trial=20, iterations=100,
        ).gains[0]
        for most in (1_000, 100)
    )  # fmt: skip
    assert part == pytest.approx(whole, rel=0.3)
