"""Fits of few rows, in a kernel and by the driver in Python, and how alike they are."""

import math
from contextlib import contextmanager

import numpy as np
import pytest

import fastem

KINDS = ("full", "tied", "diag", "spherical")

RTOL = 1e-12
"""Of the size of what is compared.  One sweep is good to 1e-14 (test_bits.py); tens of iterations carry that on."""


def copy_of(mixture, **settings):
    return type(mixture)(**mixture.get_params() | settings)


@contextmanager
def in_python():
    """The driver takes each iteration, as if rows were many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastem.data.base.PARALLEL_WORK", 0)
        yield


def fit_in_python(mixture, *rows, **given):
    with in_python():
        return copy_of(mixture).fit(*rows, **given)


def close(found, expected, size=None, rtol=RTOL):
    size = np.abs(expected).max() if size is None else size
    np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * size)


def assert_same_iterations(found, expected, rtol=RTOL):
    assert (found.n_iter_, found.stop_reason_) == (expected.n_iter_, expected.stop_reason_)
    assert (found.converged_, found.n_sweeps_) == (expected.converged_, expected.n_sweeps_)
    assert found.history_.step == expected.history_.step
    size = abs(expected.loglik_) + expected.counts_.sum()
    for name in ("loglik", "q", "entropy"):
        close(getattr(found.history_, name), getattr(expected.history_, name), size, rtol)
    for name in ("weights", "means", "covariances", "probs", "rates"):
        if hasattr(expected.params_, name):
            close(getattr(found.params_, name), getattr(expected.params_, name), rtol=rtol)
    close(found.counts_, expected.counts_, rtol=rtol)
    close(found.loglik_, expected.loglik_, size, rtol)
    assert_same_certificate(found, expected, size * rtol / RTOL)


def assert_same_certificate(found, expected, size):
    """Aitken's rule divides by the last gain, and so does what rounding changes in it."""
    assert found.ascent_.holds == expected.ascent_.holds
    close(found.ascent_.largest_fall, expected.ascent_.largest_fall, size)
    assert math.isfinite(found.remaining_gain_) == math.isfinite(expected.remaining_gain_)
    if math.isfinite(expected.remaining_gain_):
        assert found.remaining_gain_ == pytest.approx(expected.remaining_gain_, rel=1e-4, abs=RTOL * size)


def assert_runs_in_a_kernel(calls, mixture, *rows, rtol=RTOL, **given):
    """All of its iterations, and as in Python."""
    found = copy_of(mixture).fit(*rows, **given)
    assert sum(calls) == found.n_iter_ > 0
    before = len(calls)
    assert_same_iterations(found, fit_in_python(mixture, *rows, **given), rtol)
    assert len(calls) == before


def values(d, n=600):
    """Three components that overlap."""
    rng = np.random.default_rng(d)
    means = 1.5 * np.arange(3)[:, np.newaxis] * np.linspace(1.0, 0.3, d)
    labels = rng.integers(3, size=n)
    return means[labels] + rng.normal(size=(n, d)) * np.linspace(0.5, 1.0, 3)[labels, np.newaxis] + 10.0


def gaussian(kind, twin, d, **settings):
    """From a start that is given: it costs no k-means."""
    A = np.eye(d) + 0.1
    start = {"full": np.tile(A, (3, 1, 1)), "tied": A, "diag": np.full((3, d), 2.0), "spherical": np.full(3, 2.0)}
    given = {"weights_init": [0.2, 0.3, 0.5], "precisions_init": start[kind], "random_state": 0}
    means = 10.0 + np.arange(3)[:, np.newaxis] * np.linspace(1.2, 0.5, d)
    plain = {"backend": twin, "covariance_type": kind, "means_init": means, "tol": 1e-5, "max_iter": 40}
    return fastem.GaussianMixture(3, **given | plain | settings)


def gammas(n):
    return np.random.default_rng(5).gamma(1.0, size=n)


def counts(d, n=600):
    rng = np.random.default_rng(d)
    return rng.integers(3, size=(n, 1)), rng


def successes(d, n=600):
    labels, rng = counts(d, n)
    return rng.binomial(25, np.array([0.2, 0.4, 0.7])[labels] * np.ones(d))


def events(d, n=600):
    labels, rng = counts(d, n)
    return rng.poisson(np.array([2.0, 5.0, 11.0])[labels] * np.ones(d))


PLAIN = {"acceleration": None, "tol": 1e-5, "max_iter": 60, "stopping": "loglik"}


def binomial(twin, d, **settings):
    start = {"weights_init": [0.2, 0.3, 0.5], "probs_init": np.array([[0.3], [0.5], [0.6]]) * np.ones(d)}
    return fastem.BinomialMixture(3, n_trials=25, backend=twin, **start | PLAIN | settings)


def poisson(twin, d, **settings):
    start = {"weights_init": [0.2, 0.3, 0.5], "rates_init": np.array([[3.0], [4.0], [9.0]]) * np.ones(d)}
    return fastem.PoissonMixture(3, backend=twin, **start | PLAIN | settings)


COUNTS = pytest.mark.parametrize(("mixture", "rows"), [(binomial, successes), (poisson, events)])
