"""What the tests of the naive loop ask of the data sets."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

ROUNDING = 1e-12        # sums of about a thousand terms, each right to a few eps = 2.2e-16


def close(actual, desired, digits=ROUNDING):
    """Equal to `digits` of the largest entry: entries near 0 carry the absolute error of the others."""
    assert_allclose(actual, desired, rtol=digits, atol=digits * np.max(np.abs(desired)))


def named(worlds, *, without=(), only=None):
    return [pytest.param(w, id=w.name) for w in worlds if w.name not in without and (only is None or w.name in only)]


def ones(world):
    return np.ones(len(world.X))


def some_weights(world):
    """Sample weights between 0 and 3, zeros among them."""
    rng = np.random.default_rng(31)
    return rng.choice([0.0, 0.5, 1.0, 3.0], size=len(world.X))
