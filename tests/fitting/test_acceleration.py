"""Acceleration: the same maximum in fewer sweeps, and never a worse likelihood for it."""

from dataclasses import replace

import numpy as np
import pytest
from support import datasets, naive
from support.em_runs import accelerations, em, every
from support.real_data import read
from support.sweeps import KINDS, binomial_params, normal_params

import fastem
from fastem import BinomialMixture, GaussianMixture
from fastem.fitting.acceleration import ACCELERATORS, Anderson, QuasiNewton


def fields(params):
    return [value for value in vars(params).values() if isinstance(value, np.ndarray)]


# -------------------------------------------------------------------------------------------------------------- vectors


@every
def test_a_vector_leads_back_to_its_parameters(world, kind):
    params, at = normal_params(world, kind), normal_params(replace(world, means=world.means + 1.0), kind)
    back = at.from_vector(params.to_vector(at))
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(getattr(back, name), getattr(params, name), rtol=1e-12, atol=1e-12)
    coins = binomial_params(datasets.three_coins)
    back = coins.from_vector(coins.to_vector(coins))
    np.testing.assert_allclose(back.probs, coins.probs, rtol=1e-12)
    np.testing.assert_allclose(back.weights, coins.weights, rtol=1e-12)


@every
def test_any_vector_is_a_mixture(world, kind):
    at = normal_params(world, kind)
    size, rng = len(at.to_vector(at)), np.random.default_rng(0)
    for scale in (0.1, 1.0):  # factors of e^5 and more leave matrices that are definite on paper alone
        at.from_vector(scale * rng.normal(size=size)).check()
    coins = binomial_params(datasets.three_coins)
    coins.from_vector(50 * rng.normal(size=len(coins.to_vector(coins)))).check()


@pytest.mark.parametrize("fixed", [("weights",), ("means",), ("covariances",), ("weights", "means", "covariances")])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_fixed_is_no_part_of_a_vector(kind, fixed):
    at = normal_params(datasets.overlapping, kind)
    other = at.from_vector(1 + at.to_vector(at, fixed), fixed)
    for name in ("weights", "means", "covariances"):
        same = np.array_equal(getattr(other, name), getattr(at, name))
        assert same == (name in fixed) or name == "weights"  # adding 1 to log weights changes nothing
    assert len(at.to_vector(at, ("weights", "means", "covariances"))) == 0


@every
def test_coordinates_are_counted_without_a_vector(world, kind):
    params, coins = normal_params(world, kind), binomial_params(datasets.three_coins)
    assert coins.n_coordinates(coins.as_fixed(())) == len(coins.to_vector(coins))
    first = np.arange(len(params.weights)) == 0
    for fixed in ((), ("weights",), ("means", "covariances"), {"weights": first, "means": first}):
        assert params.n_coordinates(params.as_fixed(fixed)) == len(params.to_vector(params, fixed))


# ---------------------------------------------------------------------------------------------------------------- fits


@accelerations
@every
@pytest.mark.seconds
def test_the_same_maximum_in_no_more_sweeps(world, kind, acceleration):
    start = normal_params(world, kind)
    plain, fast = em(start, world.X), em(start, world.X, acceleration=acceleration)
    # a fit ends where an iteration gains less than 1e-12 per row; plain EM has up to 1e-9 still to gain there
    assert fast.loglik >= plain.loglik - 1e-8 * len(world.X)
    assert fast.n_sweeps <= plain.n_iter + 6


@accelerations
@every
@pytest.mark.seconds
def test_the_log_likelihood_on_record_never_falls(world, kind, acceleration):
    fit = em(normal_params(world, kind), world.X, acceleration=acceleration)
    assert (np.diff(fit.history.loglik) >= -1e-12 * np.abs(fit.history.loglik[1:])).all()
    assert fit.loglik >= fit.history.loglik[-1] - 1e-12 * abs(fit.loglik)
    np.testing.assert_allclose(fit.history.q + fit.history.entropy, fit.history.loglik, rtol=1e-10)
    assert len(fit.history.step) == fit.n_iter
    assert set(fit.history.step) <= {"start", "plain", "accelerated", "rejected"}


@pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning")
def test_saxony_in_sixty_sweeps():
    """Lindsey (1995).  Plain EM takes 2,840 sweeps from here; the maximum is -12492.406222."""
    boys, girls, families = read("saxony.csv").T
    settings = {"weights_init": [0.5, 0.5], "probs_init": [0.45, 0.6], "tol": 1e-13, "max_iter": 60}
    mixture = BinomialMixture(2, acceleration="anderson", **settings)
    mixture.fit(boys, trials=boys + girls, sample_weight=families)
    assert mixture.loglik_ > -12492.40623
    assert mixture.n_sweeps_ <= 60


@pytest.mark.parametrize(("k", "distance"), [(2, 1.5), (3, 2.0)])
@pytest.mark.seconds
def test_overlapping_components_take_tens_of_sweeps(k, distance):
    rng = np.random.default_rng(0)
    X = (np.arange(k) * distance)[rng.integers(k, size=20_000)] + rng.normal(size=20_000)
    quantiles = np.quantile(X, (np.arange(k) + 0.5) / k)
    start = fastem.GaussianParams(np.full(k, 1 / k), quantiles[:, None], np.full((k, 1), (X.std() / k) ** 2), "diag")
    fit = em(start, X[:, None], acceleration="anderson", max_iter=400)
    plain = em(start, X[:, None], max_iter=1500)
    assert fit.n_sweeps < 400
    assert fit.loglik > plain.loglik


@accelerations
@pytest.mark.parametrize("group", ["weights", "means", "covariances"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fixed_group_keeps_its_bits(kind, group, acceleration):
    start = normal_params(datasets.overlapping, kind)
    fit = em(start, datasets.overlapping.X, acceleration=acceleration, fixed=(group,), max_iter=50)
    np.testing.assert_array_equal(getattr(fit.params, group), getattr(start, group))
    assert "accelerated" in fit.history.step


@accelerations
@pytest.mark.seconds
def test_same_bits_for_any_number_of_threads(acceleration, monkeypatch):
    monkeypatch.setattr("fastem.kernels.backend.PARALLEL_WORK", 0)
    X = np.random.default_rng(0).normal(size=(9_000, 2))
    settings = {"random_state": 0, "acceleration": acceleration, "tol": 1e-7, "max_iter": 1000, "stopping": "loglik"}
    one, two = (GaussianMixture(3, n_threads=n, **settings).fit(X) for n in (1, 2))
    np.testing.assert_array_equal(one.covariances_, two.covariances_)
    assert one.history_.step == two.history_.step


# --------------------------------------------------------------------------------------------------------------- guard


class Wild(Anderson):
    """Goes uphill every other time, but far too far."""

    calls = 0

    def direction(self, x, f, gradient):
        self.calls += 1
        return 100.0 * gradient / np.linalg.norm(gradient) if self.calls % 2 else None


@pytest.fixture
def wild(monkeypatch):
    monkeypatch.setitem(ACCELERATORS, "anderson", Wild)
    monkeypatch.setattr("fastem.fitting.acceleration.TRUST_RADIUS", np.inf)


@pytest.mark.usefixtures("wild")
def test_a_rejected_extrapolation_costs_one_sweep_and_nothing_else():
    start, X = normal_params(datasets.overlapping, "full"), datasets.overlapping.X
    plain, rejected = em(start, X, max_iter=3, tol=0.0), em(start, X, max_iter=3, tol=0.0, acceleration="anderson")
    np.testing.assert_array_equal(rejected.history.loglik, plain.history.loglik)
    for a, b in zip(fields(rejected.params), fields(plain.params), strict=True):
        np.testing.assert_array_equal(a, b)
    assert rejected.history.step == ("start", "rejected", "plain")
    assert (plain.n_sweeps, rejected.n_sweeps) == (4, 5)


@pytest.mark.usefixtures("wild")
def test_after_a_rejection_less_is_dared():
    fit = em(normal_params(datasets.overlapping, "full"), datasets.overlapping.X, max_iter=60, acceleration="anderson")
    assert fit.history.step[1] == "rejected"
    assert "accelerated" in fit.history.step


@pytest.mark.usefixtures("wild")
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 0.0])
def test_a_way_that_is_no_number_or_leads_down_is_not_taken(value, monkeypatch):
    monkeypatch.setattr(Wild, "direction", lambda self, x, f, gradient: gradient * value)
    fit = em(normal_params(datasets.overlapping, "full"), datasets.overlapping.X, max_iter=5, acceleration="anderson")
    assert set(fit.history.step) == {"start", "plain"}


@accelerations
def test_where_all_is_fixed_there_is_nowhere_to_go(acceleration):
    start = normal_params(datasets.overlapping, "full")
    fixed = ("weights", "means", "covariances")
    for stopping in ("loglik", "aitken", "gradient"):
        options = {"acceleration": acceleration, "fixed": fixed, "stopping": stopping, "max_iter": 5}
        fit = em(start, datasets.overlapping.X, **options)
        assert fit.converged
    for name in fixed:
        np.testing.assert_array_equal(getattr(fit.params, name), getattr(start, name))


def test_an_unknown_acceleration_is_refused():
    some = "'anderson', 'squarem', 'quasi-newton', got 'turbo'"
    with pytest.raises(ValueError, match=f"acceleration must be one of {some}"):
        em(normal_params(datasets.overlapping, "full"), datasets.overlapping.X, acceleration="turbo")
    with pytest.raises(ValueError, match=f"acceleration must be one of 'auto', {some}"):
        GaussianMixture(2, acceleration="turbo").fit(datasets.overlapping.X)


@accelerations
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_degenerate_data_end_in_a_finite_fit(acceleration):
    X = np.repeat([[0.0, 0.0], [1.0, 5.0], [2.0, 3.0]], 5, axis=0)
    mixture = GaussianMixture(4, random_state=0, acceleration=acceleration, max_iter=50).fit(X)
    assert np.isfinite(mixture.loglik_)
    expected = naive.posterior(naive.normal_log_density(X, mixture.means_, mixture.covariances_), mixture.weights_)[
        0
    ].sum()
    assert mixture.loglik_ == pytest.approx(expected, rel=1e-9)


@accelerations
@pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning", "ignore::fastem.EmptyComponentWarning")
@pytest.mark.parametrize("seed", [42, 7, 11])
@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")
def test_collapsing_components_end_in_a_finite_fit(acceleration, seed):
    """With covariances that LAPACK takes for singular on the way."""
    X = np.random.default_rng(seed).normal(size=(60, 3))
    settings = {"random_state": seed, "max_iter": 200, "tol": 1e-8, "init_params": "random_from_data", "reg_covar": 0.0}
    mixture = GaussianMixture(4, acceleration=acceleration, **settings).fit(X)
    assert np.isfinite(mixture.loglik_)


@pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning", "ignore::fastem.EmptyComponentWarning")
@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")
def test_steps_too_small_to_have_a_length_are_plain():
    X = np.random.default_rng(0).integers(0, 3, (100, 1)).astype(float)
    settings = {"random_state": 0, "max_iter": 60, "tol": 1e-6, "init_params": "random_from_data"}
    assert np.isfinite(GaussianMixture(4, reg_covar="auto", acceleration="quasi-newton", **settings).fit(X).loglik_)


def test_an_extrapolation_that_overflows_is_not_taken(monkeypatch):
    monkeypatch.setattr("fastem.fitting.acceleration.TRUST_RADIUS", np.inf)
    monkeypatch.setattr(Anderson, "direction", lambda self, x, f, gradient: 1e6 * np.sign(gradient))
    fit = em(normal_params(datasets.overlapping, "full"), datasets.overlapping.X, max_iter=5, acceleration="anderson")
    assert set(fit.history.step) <= {"start", "plain", "rejected"}
    assert np.isfinite(fit.loglik)


def test_a_quasi_newton_way_is_that_of_dense_updates():
    """BFGS, formula by formula, from the metric H in which f = H g (Nocedal and Wright 2006, equation 6.17)."""
    rng = np.random.default_rng(0)
    p = 6
    A, B = rng.normal(size=(2, p, p))
    hessian, metric = A @ A.T + np.eye(p), B @ B.T + np.eye(p)
    method, dense, before = QuasiNewton(), metric, None
    for x in rng.normal(size=(5, p)):
        g = -hessian @ x
        way = method.direction(x, metric @ g, g)
        if before is None:
            assert way is None
        else:
            s, y = x - before[0], before[1] - g
            V = np.eye(p) - np.outer(y, s) / (y @ s)
            dense = V.T @ dense @ V + np.outer(s, s) / (y @ s)
            np.testing.assert_allclose(way, dense @ g, rtol=1e-10)
        before = x, g
