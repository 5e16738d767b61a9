"""A callback sees each iteration of a fit, and can end it."""

import numpy as np
import pytest
from support import datasets

import fastem

X = datasets.overlapping.X
SETTINGS = {"random_state": 0, "tol": 1e-9, "max_iter": 30, "init_params": "kmeans"}


def calls_of(fit):
    """The arguments of all calls during a fit."""
    calls = []
    fit(lambda *arguments: calls.append(arguments))
    return calls


@pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning")
@pytest.mark.parametrize("acceleration", [None, "quasi-newton"])
def test_it_is_called_once_for_each_iteration(acceleration):
    mixture = fastem.GaussianMixture(3, acceleration=acceleration, **SETTINGS)
    calls = calls_of(lambda callback: mixture.set_params(callback=callback).fit(X))
    iterations, logliks, seconds = zip(*calls, strict=True)
    assert iterations == tuple(range(1, mixture.n_iter_ + 1))
    np.testing.assert_array_equal(logliks, mixture.history_.loglik)
    assert 0 <= seconds[0] <= seconds[-1]
    assert list(seconds) == sorted(seconds)


@pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning")
def test_it_changes_nothing_of_a_fit():
    plain = fastem.GaussianMixture(3, **SETTINGS).fit(X)
    watched = fastem.GaussianMixture(3, callback=lambda *arguments: False, **SETTINGS).fit(X)
    np.testing.assert_array_equal(watched.means_, plain.means_)
    assert watched.history_.loglik.tolist() == plain.history_.loglik.tolist()


def test_true_ends_the_fit_where_it_swept_last():
    mixture = fastem.GaussianMixture(3, callback=lambda iteration, loglik, seconds: iteration == 5, **SETTINGS)
    with pytest.warns(fastem.ConvergenceWarning, match="cut short in its start 1; .*: callback returned True"):
        mixture.fit(X)
    assert (mixture.stop_reason_, mixture.converged_, mixture.cut_short_) == ("callback returned True", False, True)
    with pytest.warns(fastem.ConvergenceWarning):
        shorter = fastem.GaussianMixture(3, **(SETTINGS | {"max_iter": mixture.n_iter_})).fit(X)
    np.testing.assert_array_equal(mixture.means_, shorter.means_)


def test_no_other_start_begins_after_true():
    mixture = fastem.GaussianMixture(3, n_init=3, callback=lambda *arguments: True, **SETTINGS)
    with pytest.warns(fastem.ConvergenceWarning, match="cut short in its start 1"):
        mixture.fit(X)
    assert len(mixture.starts_) == 1


def test_short_runs_on_a_part_of_the_rows_are_not_reported():
    rows = np.random.default_rng(0).normal(size=(20_000, 1)) + np.repeat([0.0, 6.0], 10_000)[:, np.newaxis]
    mixture = fastem.GaussianMixture(2, n_init=5, random_state=0)
    calls = calls_of(lambda callback: mixture.set_params(callback=callback).fit(rows))
    assert len(calls) == sum(start.n_iter for start in mixture.starts_ if "screened" not in start.stop_reason)
    assert all(loglik < -20_000 for _, loglik, _ in calls)  # of all rows


def test_what_it_raises_leaves_the_estimator_as_it_was():
    mixture = fastem.GaussianMixture(3, callback=lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        mixture.fit(X)
    assert not hasattr(mixture, "weights_")


def test_em_and_mixtures_of_counts_call_it():
    coins = fastem.BinomialMixture(2)
    assert len(calls_of(lambda callback: coins.set_params(callback=callback).fit([2, 9, 3, 8], trials=10))) > 1
    start = fastem.GaussianParams(np.array([0.5, 0.5]), np.array([[0.0], [10.0]]), np.ones((2, 1, 1)))

    def em(callback):
        rows = [[0.0], [1.0], [9.0], [10.0]]
        fastem.em(lambda p: fastem.accumulate(p, rows), lambda stats: stats.maximize(), start, callback=callback)

    assert [call[0] for call in calls_of(em)] == list(range(1, len(calls_of(em)) + 1))


def test_what_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match="callback must be None or a function, got 3"):
        fastem.GaussianMixture(3, callback=3).fit(X)


def test_a_file_does_not_keep_it(tmp_path):
    fastem.GaussianMixture(1, callback=print).fit([[1.0], [3.0]]).save(tmp_path / "mixture.npz")
    assert fastem.load(tmp_path / "mixture.npz").callback is None


def test_a_checkpoint_does_not_depend_on_it(tmp_path):
    path, settings = tmp_path / "fit.npz", SETTINGS | {"checkpoint_every": 0}
    with pytest.warns(fastem.ConvergenceWarning):
        fastem.GaussianMixture(3, callback=lambda i, *rest: i == 4, checkpoint=path, **settings).fit(X)
    with pytest.warns(fastem.ConvergenceWarning):
        again = fastem.GaussianMixture(3, checkpoint=path, **settings).fit(X)
    with pytest.warns(fastem.ConvergenceWarning):
        whole = fastem.GaussianMixture(3, **settings).fit(X)
    np.testing.assert_array_equal(again.means_, whole.means_)
