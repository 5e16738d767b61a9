"""Rows and counts, cut into chunks."""

import numpy as np

from fastem.data.slots import SLOT_ROWS

N = 3 * SLOT_ROWS + 1234


def rows(n=N, d=2, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) + 3.0 * rng.integers(3, size=(n, 1))).astype(dtype)


def cut(size, *arrays):
    """A source that gives chunks of so many rows."""

    def source():
        for begin in range(0, len(arrays[0]), size):
            chunk = tuple(array[begin : begin + size] for array in arrays)
            yield chunk if len(chunk) > 1 else chunk[0]

    return source


def assert_same_bits(a, b):
    """Of two fits."""
    for name in ("weights_", "means_", "covariances_", "probs_", "loglik_", "entropy_", "aic_", "starts_"):
        if hasattr(a, name):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    np.testing.assert_array_equal(a.history_.loglik, b.history_.loglik)


def counts(n, d=1, seed=0):
    rng = np.random.default_rng(seed)
    trials = rng.integers(5, 9, size=(n, d))
    return rng.binomial(trials, rng.choice([0.2, 0.7], size=(n, 1))), trials, rng.random(n)
