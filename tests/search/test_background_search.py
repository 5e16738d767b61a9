"""The search for a mixture with a background, whose EM runs in Python."""

import math

import numpy as np
import pytest

from fastem import GaussianMixture
from fastem.data.open import open_rows
from fastem.families.fixed import Fixed
from fastem.families.gaussian.background.family import BackgroundFamily
from fastem.search.climb import Climb


def world(seed):
    """Two to four groups in one to three dimensions, on a background of 1 to 30 %, and what they are drawn of."""
    rng = np.random.default_rng(seed)
    k, d, n = rng.integers(2, 5), rng.integers(1, 4), 1_000
    share = math.exp(rng.uniform(math.log(0.01), math.log(0.3)))
    means = 4 * rng.normal(size=(k, d))
    labels = rng.choice(k + 1, size=n, p=[*np.full(k, (1 - share) / k), share])
    rows = rng.normal(size=(n, d)) + means[np.minimum(labels, k - 1)]
    low, high = means.min(axis=0) - 8, means.max(axis=0) + 8
    rows[labels == k] = rng.uniform(low, high, ((labels == k).sum(), d))
    return rows, k, means, share


@pytest.mark.seconds
def test_a_search_gets_as_high_as_a_fit_that_begins_at_the_truth():
    below = 0
    for seed in range(20):
        rows, k, means, share = world(seed)
        found = GaussianMixture(k, noise=True, random_state=0, max_iter=1000).fit(rows)
        precisions = np.stack([np.eye(rows.shape[1])] * k)
        start = {"weights_init": np.full(k, (1 - share) / k), "means_init": means, "precisions_init": precisions}
        settings = {"noise": True, "max_iter": 1000, "stopping": "gain", "acceleration": "quasi-newton"}
        truth = GaussianMixture(k, **settings, **start).fit(rows)
        below += found.loglik_ < truth.loglik_ - 1e-3 * len(rows)
    assert below <= 2  # 3 % of 260 other worlds


def test_a_climb_ends_where_little_is_left_to_gain():
    rows, k = world(1)[:2]
    opened, rng = open_rows(rows, fitting=True), np.random.default_rng(0)
    family = BackgroundFamily("full", 1e-6).for_rows(opened, rng)
    climb = Climb(opened, family, Fixed(k))
    start = family.start(opened, k, method="random", rng=rng)
    short, long = climb(start, 500, 1e-4), climb(start, 500, 0.0)
    assert short.loglik == pytest.approx(long.loglik, abs=2e-4 * len(rows))
    assert short.loglik < long.loglik
    assert short.loglik > climb(start, 5).loglik + 1e-2 * len(rows)
