"""Quasi-Newton steps, gradients and priors in a kernel against those of the driver in Python, on both twins."""

import numpy as np
import pytest
from support.asserts import same_fit
from support.few_rows import (
    COUNTS,
    KINDS,
    assert_runs_in_a_kernel,
    assert_same_iterations,
    binomial,
    close,
    copy_of,
    events,
    fit_in_python,
    gammas,
    gaussian,
    poisson,
    successes,
    values,
)

import fastem
from fastem.data.base import PAIRS, STOP_RULES
from fastem.data.slots import SLOT_ROWS

RTOL = 1e-9
"""A Newton step is the quotient of differences that become small, and with them rounding grows: seen 1e-10."""

QUASI_NEWTON = {"acceleration": "quasi-newton", "max_iter": 200}
TOLS = {"loglik": 1e-7, "q": 1e-3, "aitken": 1e-6, "gradient": 1e-4}

pytestmark = pytest.mark.filterwarnings(
    "ignore::fastem.CollapsedComponentWarning",
    "ignore::fastem.ConvergenceWarning",
    "ignore::fastem.EmptyComponentWarning",
    "ignore::fastem.EqualComponentWarning",
)


def accelerated(mixture, twin, d, **settings):
    if isinstance(mixture, str):
        return gaussian(mixture, twin, d, **QUASI_NEWTON | settings)
    return mixture(twin, d, **QUASI_NEWTON | settings)


# ------------------------------------------------------------------------------------------------ the same iterations


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_a_gaussian_fit_takes_the_same_quasi_newton_steps(kind, d, calls, twin):
    mixture = accelerated(kind, twin, d, tol=1e-7)
    assert_runs_in_a_kernel(calls, mixture, values(d), rtol=RTOL)
    assert mixture.fit(values(d)).history_.step.count("accelerated") > 5


@pytest.mark.parametrize("d", [1, 3])
@COUNTS
def test_a_fit_of_counts_takes_the_same_quasi_newton_steps(mixture, rows, d, calls, twin):
    assert_runs_in_a_kernel(calls, accelerated(mixture, twin, d, tol=1e-8), rows(d), rtol=RTOL)


@pytest.mark.parametrize("stopping", STOP_RULES)
def test_every_stop_rule_stops_quasi_newton_steps_at_the_same_iteration(stopping, calls, twin):
    given = {"stopping": stopping, "tol": TOLS[stopping]}
    for mixture, rows in (("full", values), ("diag", values), (binomial, successes), (poisson, events)):
        calls.clear()
        assert_runs_in_a_kernel(calls, accelerated(mixture, twin, 2, **given), rows(2), rtol=RTOL)


def test_more_pairs_than_are_kept(calls, twin):
    """Overlapping components, and a start far from the maximum."""
    X = values(2, 1500) * 0.6
    mixture = accelerated("full", twin, 2, means_init=6.0 + np.eye(3)[:, :2], tol=1e-10, stopping="aitken")
    assert copy_of(mixture).fit(X).n_iter_ > PAIRS + 5
    calls.clear()
    assert_runs_in_a_kernel(calls, copy_of(mixture, max_iter=PAIRS + 5, tol=0.0), X, rtol=1e-6)


@pytest.mark.parametrize("n", [600, 2 * SLOT_ROWS + 77], ids=["one slot", "three slots"])
def test_weights_of_rows_and_several_slots(n, calls, twin):
    for mixture, rows in (("full", values), ("spherical", values), (binomial, successes), (poisson, events)):
        calls.clear()
        given = {"sample_weight": gammas(n), "rtol": RTOL}
        assert_runs_in_a_kernel(calls, accelerated(mixture, twin, 2), rows(2, n), **given)


FIXED = (
    ("weights",),
    ("covariances",),
    {"weights": [True, False, False], "means": [True, False, True]},
    {"covariances": [False, True, False]},
    ("weights", "means", "covariances"),
)


@pytest.mark.parametrize("fixed", FIXED, ids=str)
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_fixed_is_not_extrapolated(kind, d, fixed, calls, twin):
    assert_runs_in_a_kernel(calls, accelerated(kind, twin, d, fixed=fixed), values(d), rtol=RTOL)


@pytest.mark.parametrize("name", ["weights", "location"])
@COUNTS
def test_what_is_fixed_of_counts_is_not_extrapolated(mixture, rows, name, calls, twin):
    name = {"location": "probs" if mixture is binomial else "rates"}.get(name, name)
    for fixed in ((name,), {name: [True, False, False]}):
        calls.clear()
        assert_runs_in_a_kernel(calls, accelerated(mixture, twin, 2, fixed=fixed), rows(2), rtol=RTOL)


# -------------------------------------------------------------------------------------------------------------- priors


def gaussian_priors(d):
    own = 10.5 + np.arange(3)[:, np.newaxis] * np.linspace(1.2, 0.5, d)
    everything = {"concentration": 1.5, "mean": np.full(d, 9.0), "mean_precision": 2.5, "scale": np.eye(d) * 0.7 + 0.1}
    return {
        "weights": fastem.GaussianPrior(concentration=3.0),
        "means": fastem.GaussianPrior(mean=np.full(d, 9.0), mean_precision=2.5),
        "means of components": fastem.GaussianPrior(mean=own, mean_precision=2.5),
        "covariances": fastem.GaussianPrior(scale=everything["scale"]),
        "all": fastem.GaussianPrior(**everything, degrees_of_freedom=d + 4.5),
    }


@pytest.mark.parametrize("acceleration", [None, "quasi-newton"])
@pytest.mark.parametrize("prior", gaussian_priors(1))
@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.seconds
def test_a_gaussian_prior(kind, d, prior, acceleration, calls, twin):
    tol = 1e-6 if prior in ("covariances", "all") else 1e-4  # reg_covar moves the maximum: far on, the posterior falls
    mixture = gaussian(kind, twin, d, acceleration=acceleration, prior=gaussian_priors(d)[prior], tol=tol, max_iter=200)
    assert_runs_in_a_kernel(calls, mixture, values(d), rtol=RTOL)


@pytest.mark.parametrize("acceleration", [None, "quasi-newton"])
def test_priors_of_counts(acceleration, calls, twin):
    priors = (
        fastem.BinomialPrior(concentration=2.0, successes=3.0, failures=2.5),
        fastem.PoissonPrior(concentration=2.0, shape=3.0, rate=1.5),
    )
    for mixture, rows, prior in zip((binomial, poisson), (successes, events), priors, strict=True):
        calls.clear()
        assert_runs_in_a_kernel(calls, mixture(twin, 2, acceleration=acceleration, prior=prior), rows(2), rtol=RTOL)


# --------------------------------------------------------------------------------------------------- how a fit goes on

CASES = pytest.mark.parametrize(("mixture", "rows"), [("full", values), ("tied", values), (binomial, successes)])


@pytest.mark.parametrize("watched", ["callback", "checkpoint", "max_time"])
@CASES
def test_a_fit_that_is_watched_has_the_same_bits(mixture, rows, watched, twin, calls, tmp_path):
    whole = accelerated(mixture, twin, 2).fit(rows(2))
    calls.clear()
    settings = {"callback": lambda *_: None, "checkpoint": tmp_path / "fit", "max_time": 1e9}
    found = accelerated(mixture, twin, 2, **{watched: settings[watched]}).fit(rows(2))
    assert calls == [1] * whole.n_iter_
    np.testing.assert_array_equal(found.history_.loglik, whole.history_.loglik)
    for name in found.params_.parameter_names:
        np.testing.assert_array_equal(getattr(found.params_, name), getattr(whole.params_, name))
    assert (found.history_.step, found.remaining_gain_) == (whole.history_.step, whole.remaining_gain_)


@CASES
def test_a_call_that_ends_is_gone_on_with(mixture, rows, calls, twin, monkeypatch):
    whole = accelerated(mixture, twin, 2, stopping="aitken", tol=1e-7).fit(rows(2))
    for most in (1, 3):
        calls.clear()
        with monkeypatch.context() as patch:
            patch.setattr("fastem.data.rows.ITERATIONS", most)
            same_fit(accelerated(mixture, twin, 2, stopping="aitken", tol=1e-7).fit(rows(2)), whole)
        assert max(calls) == most


@CASES
def test_kernel_and_driver_take_turns(mixture, rows, calls, twin, monkeypatch):
    """Either goes on from the memory of the other."""
    expected = fit_in_python(accelerated(mixture, twin, 2), rows(2))
    turns = iter(range(10**6))
    monkeypatch.setattr("fastem.data.rows.ITERATIONS", 2)
    monkeypatch.setattr(fastem.Rows, "can_iterate", lambda *_: next(turns) % 3 > 0)
    found = accelerated(mixture, twin, 2).fit(rows(2))
    assert 0 < sum(calls) < found.n_iter_
    assert_same_iterations(found, expected, RTOL)


def test_a_checkpoint_goes_on_with_the_same_bits(twin, calls, tmp_path):
    def stop_after(count):
        return lambda iteration, *_: iteration == count

    whole = accelerated("full", twin, 2).fit(values(2))
    given = {"checkpoint": tmp_path / "fit", "checkpoint_every": 0.0}
    accelerated("full", twin, 2, callback=stop_after(8), **given).fit(values(2))
    calls.clear()
    found = accelerated("full", twin, 2, **given).fit(values(2))
    assert 0 < sum(calls) < whole.n_iter_
    np.testing.assert_array_equal(found.history_.loglik, whole.history_.loglik)
    np.testing.assert_array_equal(found.means_, whole.means_)


# ------------------------------------------------------------------------------------------------ lost components

ACCELERATION = pytest.mark.parametrize("acceleration", [None, "quasi-newton"])


@ACCELERATION
@pytest.mark.parametrize("fixed", [(), {"weights": [True, False, False]}, ("covariances",)], ids=str)
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.seconds
def test_a_component_that_loses_its_rows(kind, d, fixed, acceleration, calls, twin):
    means = np.concatenate([gaussian(kind, twin, d).means_init[:2], np.full((1, d), 1e4)])
    mixture = gaussian(kind, twin, d, means_init=means, fixed=fixed, acceleration=acceleration)
    assert_runs_in_a_kernel(calls, mixture, values(d), rtol=RTOL)
    assert mixture.fit(values(d)).weights_[2] == 0.0


@ACCELERATION
@pytest.mark.parametrize("scale", [None, np.eye(2)], ids=["no scale", "scale"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_component_that_the_prior_alone_holds(kind, scale, acceleration, calls, twin):
    means = np.concatenate([gaussian(kind, twin, 2).means_init[:2], np.full((1, 2), 1e4)])
    prior = fastem.GaussianPrior(concentration=2.0, scale=scale)
    mixture = gaussian(kind, twin, 2, means_init=means, prior=prior, acceleration=acceleration, tol=1e-4)
    assert_runs_in_a_kernel(calls, mixture, values(2), rtol=RTOL)
    assert 0.0 < mixture.fit(values(2)).weights_[2] < 0.01


@ACCELERATION
@COUNTS
def test_a_component_of_counts_that_loses_its_rows(mixture, rows, acceleration, calls, twin):
    start = {"probs_init": [[0.3], [0.5], [1.0]]} if mixture is binomial else {"rates_init": [[3.0], [4.0], [1e5]]}
    given = start | {"acceleration": acceleration}
    assert_runs_in_a_kernel(calls, mixture(twin, 1, **given), rows(1), rtol=RTOL)
    assert mixture(twin, 1, **given).fit(rows(1)).weights_[2] == 0.0


def with_equal_rows(d):
    """A third component has nothing but equal rows."""
    return np.concatenate([values(d), np.full((60, d), 30.0)])


@ACCELERATION
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_variance_that_is_what_is_added(kind, d, acceleration, calls, twin):
    """Extrapolations are raised to it, along every axis."""
    means = np.concatenate([gaussian(kind, twin, d).means_init[:2], np.full((1, d), 30.0)])
    mixture = gaussian(kind, twin, d, means_init=means, acceleration=acceleration, max_iter=80, tol=1e-4)
    assert_runs_in_a_kernel(calls, mixture, with_equal_rows(d), rtol=RTOL)
    assert bool(mixture.fit(with_equal_rows(d)).collapses_) == (kind != "tied")


def test_a_component_on_a_line_that_is_no_axis(calls, twin):
    for d in (2, 4):
        calls.clear()
        line = np.random.default_rng(d).normal(size=(80, 1)) * np.arange(1.0, d + 1) + 3.0
        means = np.concatenate([gaussian("full", twin, d).means_init[:2], np.full((1, d), 3.0)])
        mixture = gaussian("full", twin, d, means_init=means, **QUASI_NEWTON | {"tol": 1e-4})
        assert_runs_in_a_kernel(calls, mixture, np.concatenate([values(d), line]), rtol=1e-8)


# ------------------------------------------------------------------------------------------ what the driver has to see


@pytest.mark.parametrize("prior", [None, fastem.GaussianPrior(concentration=2.0)], ids=["alone", "prior"])
def test_sums_that_a_kernel_leaves_are_not_summed_again(prior, calls, twin, monkeypatch):
    """A component on equal rows stays at its floor: the M-step is the driver's each time, the sweep the kernel's."""
    X = with_equal_rows(2)
    means = np.concatenate([gaussian("full", twin, 2).means_init[:2], np.full((1, 2), 13.0)])
    mixture = gaussian("full", twin, 2, means_init=means, reg_covar=0.0, prior=prior, tol=1e-3)
    expected = fit_in_python(mixture, X)
    sweeps, sweep = [], fastem.Rows.sweep
    monkeypatch.setattr(fastem.Rows, "sweep", lambda *given: sweeps.append(1) or sweep(*given))
    found = mixture.fit(X)
    assert sum(calls) > 0
    assert len(calls) == found.n_iter_ - sum(calls)  # each leaves one iteration to the driver
    assert len(sweeps) == 1  # the last
    assert found.n_iter_ == expected.n_iter_
    close(found.loglik_, expected.loglik_, rtol=RTOL)  # on the way down to its floor a variance is rounding
