"""A fit that is stopped, by its time or by Ctrl-C, returns where it was."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
import warnings
from functools import partial

import numpy as np
import pytest
from support.asserts import same_fit
from support.stopping import CLOSE, SETTINGS, binomial, normal

import fastem
from fastem.families.gaussian.family import GaussianFamily
from fastem.fitting.acceleration import Extrapolation

pytestmark = pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning")


def interrupted_at(sweep_number, monkeypatch):
    """From now on the sweep of this number is interrupted, as by Ctrl-C."""
    sweep, count = fastem.Rows.sweep, 0

    def interrupted(rows, params):
        nonlocal count
        count += 1
        if count == sweep_number:
            raise KeyboardInterrupt
        return sweep(rows, params)

    monkeypatch.setattr(fastem.Rows, "sweep", interrupted)


# ---------------------------------------------------------------------------------------------------- time, interrupts


@pytest.mark.parametrize("fit", [partial(normal, init_params="kmeans"), partial(binomial, init_params="quantiles")])
def test_a_fit_whose_time_is_over_is_the_fit_of_its_iterations(fit):
    short = fit(max_time=0.0)
    assert (short.n_iter_, short.cut_short_, short.converged_) == (0, True, False)
    assert short.stop_reason_ == "max_time is over"
    assert not fit(max_time=1e9).cut_short_
    start = fit(max_iter=0)
    np.testing.assert_array_equal(short.weights_, start.weights_)
    assert short.loglik_ == start.loglik_


def test_time_is_that_of_all_starts(monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    mixture = normal(n_init=3, max_time=50, init_params="random")
    assert mixture.cut_short_
    assert 1 <= len(mixture.starts_) < 3 or mixture.starts_[-1].n_iter < 50


@pytest.mark.parametrize("sweep", [2, 7])
@pytest.mark.parametrize("fit", [normal, binomial])
def test_an_interrupted_fit_returns_where_it_swept_last(fit, sweep, monkeypatch, swept_in_python):
    expected = fit(max_iter=sweep - 2)
    interrupted_at(sweep, monkeypatch)
    found = fit(on_interrupt="return")
    assert (found.stop_reason_, found.cut_short_) == ("interrupted", True)
    assert found.n_iter_ == sweep - 2
    np.testing.assert_array_equal(found.weights_, expected.weights_)
    np.testing.assert_array_equal(found.history_.loglik, expected.history_.loglik)
    assert found.loglik_ == expected.loglik_


@pytest.mark.parametrize(("sweep", "on_interrupt"), [(1, "return"), (5, "raise")])
def test_an_interruption_that_returns_nothing_leaves_the_estimator_as_it_was(
    sweep, on_interrupt, monkeypatch, swept_in_python
):
    mixture = fastem.GaussianMixture(3, on_interrupt=on_interrupt, **SETTINGS).fit(CLOSE)
    before = dict(vars(mixture))
    interrupted_at(sweep, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        mixture.fit(CLOSE + 1)
    assert vars(mixture) == before


def test_an_interruption_between_starts_returns_the_starts_before(monkeypatch):
    start, count = GaussianFamily.start, 0

    def interrupted(*arguments, **options):
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt
        return start(*arguments, **options)

    expected = normal(n_init=1, init_params="kmeans")
    monkeypatch.setattr(GaussianFamily, "start", interrupted)
    found = normal(n_init=3, on_interrupt="return", init_params="kmeans")
    assert found.cut_short_
    assert len(found.starts_) == 1
    np.testing.assert_array_equal(found.means_, expected.means_)


LONG = """
import sys, warnings
import numpy as np, fastem
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(int(sys.argv[2]), 4))
fit = lambda n_iter: fastem.GaussianMixture(
    16, tol=0.0, max_iter=n_iter, init_params="random_from_data", random_state=0, backend=sys.argv[1],
    on_interrupt=sys.argv[3],
).fit(X)
fit(1)
print("ready", flush=True)
try:
    mixture = fit(10**9)
    print("returned", mixture.n_iter_, mixture.stop_reason_)
except KeyboardInterrupt:
    print("raised")
"""


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("on_interrupt", ["raise", "return"])
def test_ctrl_c_ends_a_long_fit(twin, on_interrupt):
    """It is a sweep of a second on one core that is interrupted, and not waited for."""
    command = [sys.executable, "-c", LONG, twin, "2000000", on_interrupt]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        how = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert how.split()[0] == {"raise": "raised", "return": "returned"}[on_interrupt]


# --------------------------------------------------------------------------------------------------------- checkpoints


@pytest.mark.seconds
def test_a_run_torn_on_the_way_to_another_start_is_not_kept(tmp_path, monkeypatch):
    """The lead of the second start on parts of the rows raises: the first is returned, the last good file stays."""
    X = np.concatenate([CLOSE] * 40)
    settings = {"n_init": 2, "warm_sweeps": "auto", "acceleration": "anderson", "tol": 1e-7, "max_iter": 30}

    def fit(**more):
        return fastem.GaussianMixture(3, random_state=0, **settings, **more).fit(X)

    whole, after, path = fit(), Extrapolation.after, tmp_path / "fit.npz"
    for last in (20, 38, 40, 42, 60):  # 38 to 43 are in the lead of the second start
        calls = itertools.count(1)

        def torn(*arguments, calls=calls, last=last):
            if next(calls) == last:
                raise KeyboardInterrupt
            return after(*arguments)

        path.unlink(missing_ok=True)
        monkeypatch.setattr(Extrapolation, "after", torn)
        with contextlib.suppress(KeyboardInterrupt):
            fit(checkpoint=path, checkpoint_every=0, on_interrupt="return")
        monkeypatch.setattr(Extrapolation, "after", after)
        same_fit(fit(checkpoint=path), whole)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_an_interruption_while_attributes_are_set_leaves_the_estimator_as_it_was(call, error, monkeypatch):
    mixture = fastem.GaussianMixture(3, **SETTINGS).fit(CLOSE[:, :1])
    before = dict(vars(mixture))

    def torn(*arguments):
        raise error

    monkeypatch.setattr("fastem.estimators.attributes.arrays_of", torn)
    with pytest.raises(error):
        getattr(mixture, call)(CLOSE if call == "fit" else CLOSE[:, :1])
    assert vars(mixture) == before


def test_a_warning_that_is_an_error_leaves_the_estimator_as_it_was():
    mixture = fastem.GaussianMixture(3, **(SETTINGS | {"max_iter": 1}))
    with warnings.catch_warnings(action="error"), pytest.raises(fastem.ConvergenceWarning):
        mixture.fit(CLOSE)
    assert not hasattr(mixture, "weights_")
    assert not hasattr(mixture, "n_features_in_")
