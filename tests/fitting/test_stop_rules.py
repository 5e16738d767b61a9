"""When a fit stops: by what it has still to gain, and at a gradient of zero."""

from dataclasses import replace

import numpy as np
import pytest
from support import datasets
from support.em_runs import METHODS, accelerations, em, every
from support.sweeps import binomial_params, normal_params

import fastem
from fastem import GaussianMixture
from fastem.fitting.acceleration import Extrapolation
from fastem.inference.aitken import still_to_gain


def test_gains_that_fall_by_the_same_factor_are_summed():
    gains = 3.0 * 0.9 ** np.arange(200)
    logliks = (np.cumsum(gains) - 1000).tolist()
    assert still_to_gain(logliks[:10]) == pytest.approx(gains[10:].sum(), rel=1e-6)
    assert still_to_gain([-5.0, -4.0, -3.0]) == np.inf  # gains that do not fall
    assert still_to_gain([-5.0, -4.0]) == np.inf
    assert still_to_gain([-5.0, -4.0, -4.0]) == 0.0
    assert still_to_gain([-5.0, -4.0, -4.5]) == np.inf  # a fall tells nothing


def test_aitken_stops_near_the_maximum_where_the_change_of_the_log_likelihood_does_not():
    rng = np.random.default_rng(0)
    X = (rng.random(5_000) < 0.5)[:, None] * 2.0 + rng.normal(size=(5_000, 1))
    start = fastem.GaussianParams(np.array([0.6, 0.4]), np.array([[-0.5], [2.0]]), np.ones((2, 1)), "diag")
    best = em(start, X, acceleration="anderson").loglik
    early, late = em(start, X, tol=1e-6), em(start, X, tol=1e-6, stopping="aitken")
    assert (best - late.loglik) / 5_000 < 2e-6  # an estimate: right to a factor of two
    assert (best - early.loglik) / 5_000 > 1e-5
    assert early.remaining_gain == pytest.approx(best - early.loglik, rel=1.0)
    assert late.stop_reason == "estimated remaining gain below tol=1e-06"


def two_apart(n=5_000):
    """Two components, two standard deviations apart: plain EM takes thousands of sweeps."""
    rng = np.random.default_rng(0)
    X = (rng.random(n) < 0.5)[:, None] * 2.0 + rng.normal(size=(n, 1))
    return X, fastem.GaussianParams(np.array([0.6, 0.4]), np.array([[-0.5], [2.0]]), np.ones((2, 1)), "diag")


@pytest.mark.parametrize("acceleration", ["anderson", "quasi-newton"])
@pytest.mark.parametrize("stopping", ["aitken", "gradient"])
def test_an_accelerated_fit_knows_when_it_is_at_the_maximum(acceleration, stopping):
    X, start = two_apart()
    best = em(start, X, acceleration="quasi-newton", tol=1e-14).loglik
    fit = em(start, X, acceleration=acceleration, stopping=stopping, tol=1e-8)
    assert fit.converged
    assert fit.n_sweeps < 100
    assert (best - fit.loglik) / len(X) < 1e-7  # an estimate: right to a factor of ten
    assert fit.remaining_gain / len(X) < 1e-7


@every
def test_the_gradient_is_that_of_the_log_likelihood(world, kind):
    for fixed in ((), ("means",), ("weights", "covariances")):
        compare_gradients(normal_params(world, kind), world.X, None, fixed)


@pytest.mark.parametrize("world", [datasets.three_coins, datasets.three_questions], ids=lambda world: world.name)
@pytest.mark.parametrize("fixed", [(), ("weights",), ("probs",)])
def test_the_gradient_of_coins_is_that_of_the_log_likelihood(world, fixed):
    compare_gradients(binomial_params(world), world.X, world.trials, fixed)


def compare_gradients(params, X, trials, fixed, step=1e-5):
    """With central differences, good to step^2 and to rounding / step."""
    extra = {} if params.row_kind.is_counts else {"reg_covar": 0.0}
    with fastem.open_rows(X, trials, row_kind=params.row_kind) as rows:
        stats = rows.sweep(params)
        found = stats.gradient(stats.maximize(fixed=fixed, **extra), params, fixed)
        middle = params.to_vector(params, fixed)
        expected = []
        for e in step * np.eye(len(middle)):
            above, below = (rows.sweep(params.from_vector(middle + sign * e, fixed)).loglik for sign in (1, -1))
            expected.append((above - below) / (2 * step))
    np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(expected).max())


@accelerations
def test_a_maximum_under_reg_covar_is_one_to_the_gradient(acceleration):
    start, options = (
        normal_params(datasets.overlapping, "full"),
        {"stopping": "gradient", "tol": 1e-7, "max_iter": 5_000},
    )
    with fastem.open_rows(datasets.overlapping.X) as rows:
        fit = fastem.em(
            rows.sweep, lambda stats: stats.maximize(reg_covar=0.1), start, acceleration=acceleration, **options
        )
    assert fit.converged


@pytest.mark.parametrize("stopping", ["aitken", "gradient"])
@pytest.mark.parametrize("acceleration", [None, *METHODS])
def test_a_mixture_of_one_is_at_its_maximum_after_a_few_sweeps(stopping, acceleration):
    mixture = GaussianMixture(1, reg_covar=0.0, stopping=stopping, acceleration=acceleration, tol=1e-9)
    assert mixture.fit(datasets.one_component.X).converged_
    assert mixture.n_iter_ <= 6


def test_a_line_tells_how_a_fit_ended():
    X, start = two_apart()
    fit = em(start, X, acceleration="quasi-newton", stopping="aitken", tol=1e-8)
    assert fit.summary == (
        f"converged after {fit.n_iter} iterations ({fit.n_sweeps} sweeps): estimated remaining gain below tol=1e-08;"
        f" log likelihood {fit.loglik:.6f}, estimated to be {fit.remaining_gain:.2g} below its maximum"
    )
    short = em(start, X, max_iter=3, tol=0.0)
    assert short.summary.startswith("not converged after 3 iterations (4 sweeps): max_iter=3 reached; log likelihood")
    assert em(start, X, max_iter=1).summary.endswith("its distance from the maximum is unknown")


def test_a_way_that_leads_nowhere_tells_no_gain():
    """The estimates before it are not of this place."""

    class Lost:
        def direction(self, x, f, gradient):
            return -gradient

        def reject(self):
            pass

    world = datasets.overlapping
    start = normal_params(world, "full")
    stats = fastem.accumulate(start, world.X)
    at = Extrapolation("anderson", start, ())
    at.accelerator, at.gains = Lost(), [1e-9] * 3
    reached = stats.maximize(reg_covar=0.0)
    at.after(start, stats.loglik, reached, stats.gradient(reached, start))
    assert at.gain == np.inf


def test_a_converged_fit_with_much_to_gain_says_that_it_is_not_at_its_maximum():
    X, start = two_apart()
    fit = em(start, X, tol=0.2)
    assert fit.converged
    assert ("not at its maximum" in fit.summary) == (fit.remaining_gain > 1e-3 * len(X))
    far = replace(fit, remaining_gain=2e-3 * len(X))
    assert far.summary.endswith("estimated to be 10 below its maximum, which it has not reached")
    assert "not at its maximum" not in replace(fit, remaining_gain=0.5e-3 * len(X)).summary


def test_a_fit_says_how_far_from_the_maximum_it_stopped():
    X = np.random.default_rng(0).normal(size=(2_000, 1)) + np.repeat([0.0, 2.0], 1_000)[:, None]
    with pytest.warns(fastem.ConvergenceWarning, match=r"estimated to be \S+ below its maximum"):
        mixture = GaussianMixture(2, random_state=0, tol=0.0, max_iter=20).fit(X)
    end = GaussianMixture(2, random_state=0, tol=1e-12, max_iter=5_000, acceleration="anderson").fit(X)
    assert mixture.remaining_gain_ == pytest.approx((end.loglik_ - mixture.loglik_) / 2_000, rel=1.0)
