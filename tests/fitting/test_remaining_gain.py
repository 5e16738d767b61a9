"""What is left to gain: half the Newton decrement, and the stop rule that asks for it."""

import numpy as np
import pytest
from support import datasets

import fastem
from fastem._typing import RowKind
from fastem.data.open import open_rows
from fastem.inference import remaining
from fastem.inference.remaining import RemainingGain, Scores, half_decrement
from fastem.inference.standard_errors import Coordinates, information, sums_of, weights_scores

RNG = np.random.default_rng(5)
LABELS = RNG.integers(3, size=900)
X = np.array([[0.0, 0.0], [2.5, 0.0], [0.0, 3.0]])[LABELS] + RNG.normal(size=(900, 2))
COUNTS = RNG.binomial(12, np.array([[0.2, 0.5], [0.5, 0.3], [0.8, 0.6]])[LABELS])
KINDS = ("full", "tied", "diag", "spherical")


def gaussian(kind="full", **settings):
    return fastem.GaussianMixture(3, covariance_type=kind, random_state=0, reg_covar=0.0, **settings)


def binomial(**settings):
    return fastem.BinomialMixture(3, n_trials=12, random_state=0, **settings)


def poisson(**settings):
    return fastem.PoissonMixture(3, random_state=0, **settings)


def opened(mixture, rows):
    trials = 12 if mixture.family.row_kind is RowKind.COUNTS_WITH_TRIALS else None
    return open_rows(rows, trials, None, row_kind=mixture.family.row_kind, backend="auto", n_threads=1, owner="")


def before_the_end(mixture, rows):
    """Parameters on the way to a maximum, and the log likelihood there."""
    end = mixture.set_params(tol=1e-9, max_iter=3_000).fit(rows)
    names = [name for name in end.family.init_names if hasattr(end, f"{name}_")]
    moved = {f"{name}_init": getattr(end, f"{name}_") * (1.0 if name == "weights" else 1.01) for name in names}
    plain = {"stopping": "loglik", "acceleration": None, "max_iter": 2, "tol": 0.0}
    return type(mixture)(**(mixture.get_params() | plain | moved)).fit(rows), end


@pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning")
@pytest.mark.parametrize(
    ("mixture", "rows"), [*((gaussian(kind), X) for kind in KINDS), (binomial(), COUNTS), (poisson(), COUNTS)]
)
def test_it_is_what_the_same_fit_goes_on_to_gain(mixture, rows):
    early, end = before_the_end(mixture, rows)
    with opened(mixture, rows) as opened_rows:
        reached = early.family.maximize(opened_rows.sweep(early.params_))
        found = RemainingGain(opened_rows, ())(early.params_, reached)
    gain = (end.loglik_ - early.loglik_) / len(rows)
    assert gain > 1e-8
    assert found.is_reliable
    assert found.gain == pytest.approx(gain, rel=0.1)


@pytest.mark.parametrize(
    ("mixture", "rows"), [*((gaussian(kind), X) for kind in KINDS), (binomial(), COUNTS), (poisson(), COUNTS)]
)
def test_the_em_step_in_complete_information_is_the_gradient(mixture, rows):
    """Of rows alone, to the first order: next to the end, where the step is short."""
    params = mixture.set_params(tol=1e-7, max_iter=2_000).fit(rows).params_
    with opened(mixture, rows) as opened_rows:
        at = Coordinates(params, params.as_fixed(()))
        reached = mixture.family.maximize(opened_rows.sweep(params))
        sums = sums_of(opened_rows, params, at, squared=False)
        resp, slopes = opened_rows.posterior(params, "resp").resp, weights_scores(at.weights)
        gradient = np.zeros(len(at))
        for c, columns in enumerate(at.of_components()):
            scores = np.hstack([np.tile(slopes[c], (len(rows), 1)), params.scores(c, *opened_rows.data)[0]])
            np.add.at(gradient, columns, resp[:, c] @ scores)
    found = sums.complete * remaining.displacement(params, reached, at)
    np.testing.assert_allclose(found, gradient, atol=1e-3 * abs(gradient).max() + 1e-9)


@pytest.mark.parametrize(
    ("mixture", "rows"), [*((gaussian(kind), X) for kind in KINDS), (binomial(), COUNTS), (poisson(), COUNTS)]
)
def test_the_information_times_a_vector_is_that_of_the_sums(mixture, rows):
    """But for components to which a row hardly belongs."""
    params = mixture.fit(rows).params_
    with opened(mixture, rows) as opened_rows:
        at = Coordinates(params, params.as_fixed(()))
        found, sums = Scores.of(opened_rows, params, at), sums_of(opened_rows, params, at, squared=False)
    x = RNG.normal(size=len(at))
    np.testing.assert_allclose(found.complete, sums.complete, atol=1e-4 * sums.complete.max())
    for method, times in (("louis", found.louis), ("opg", found.opg)):
        whole = information(sums, at, method) @ x
        np.testing.assert_allclose(times(x), whole, atol=1e-3 * abs(whole).max())


def test_half_the_decrement_is_that_of_the_solution():
    root, slopes = RNG.normal(size=(30, 12)), RNG.normal(size=12)
    matrix = root.T @ root
    found = half_decrement(lambda x: matrix @ x, slopes)
    assert found == pytest.approx(slopes @ np.linalg.solve(matrix, slopes) / 2, rel=0.05)
    assert half_decrement(lambda x: -matrix @ x, slopes) is None
    assert half_decrement(lambda x: matrix @ x, np.zeros(12)) == 0.0


def flat(seed):
    """Two components that overlap so much that EM crawls."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2_000, 2)) + 1.2 * rng.integers(2, size=(2_000, 1))


def test_a_fit_that_says_converged_is_near_its_maximum():
    """By "gain", from k-means, where the change of the log likelihood is soon below tol."""
    near, far = 0, 0
    for seed in range(8):
        rows, settings = flat(seed), {"init_params": "kmeans", "random_state": 0, "max_iter": 3_000}
        found, plain = (
            fastem.GaussianMixture(2, stopping=rule, acceleration=how, **settings).fit(rows)
            for rule, how in (("gain", "quasi-newton"), ("loglik", None))
        )
        start = {"weights_init": found.weights_, "means_init": found.means_, "precisions_init": found.precisions_}
        strict = {"stopping": "aitken", "acceleration": "quasi-newton", "tol": 1e-9, "max_iter": 3_000}
        end = fastem.GaussianMixture(2, **start, **strict).fit(rows)
        near += end.loglik_ - found.loglik_ < 1e-3 * len(rows)
        far += end.loglik_ - plain.loglik_ > 1e-3 * len(rows)
    assert (near, far >= 3) == (8, True)


def test_the_scores_have_to_agree(monkeypatch):
    """A run that is told that much is left goes on to a stricter proposal, up to the last one."""
    asked = []

    def said(self, params, reached):
        asked.append(params)
        return remaining.Remaining(1.0, True)

    monkeypatch.setattr(RemainingGain, "__call__", said)
    mixture = fastem.GaussianMixture(2, random_state=0, max_iter=3_000).fit(flat(0))
    assert len(asked) == 3
    assert mixture.converged_
    assert mixture.remaining_gain_ == pytest.approx(1.0)


@pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning")
def test_what_is_left_after_the_last_iteration_is_told():
    found = fastem.GaussianMixture(2, random_state=0, init_params="kmeans", stopping="gain", max_iter=3).fit(flat(1))
    assert not found.converged_
    assert "estimated to have" in found.summary_ or "unknown" in found.summary_


def test_without_a_search_the_stop_rule_is_scikit_learns():
    rows = datasets.overlapping.X
    searched = fastem.GaussianMixture(3, random_state=0).fit(rows)
    assert searched.stop_reason_ == "remaining gain below tol=0.001"
    starts = ({"init_params": "kmeans"}, {"means_init": searched.means_})
    for settings in starts:
        found = fastem.GaussianMixture(3, random_state=0, **settings).fit(rows)
        assert found.stop_reason_ == "change of loglik below tol=0.001"
        assert set(found.history_.step) == {"start", "plain"}


def test_many_parameters_for_the_rows_tell_nothing():
    rows = np.random.default_rng(0).normal(size=(150, 20))
    found = fastem.GaussianMixture(2, random_state=0, init_params="kmeans", stopping="gain", max_iter=500).fit(rows)
    assert found.converged_
    assert found.stop_reason_ == "estimated remaining gain below tol=0.001"  # by the last iterations alone
