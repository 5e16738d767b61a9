"""Parameters that are held, component by component; starts with gaps; criteria; the order of components."""

import math
import warnings

import numpy as np
import pytest
from support import datasets
from support.sweeps import KINDS, normal_params

import fastem
from fastem import BinomialMixture, GaussianMixture

X = datasets.overlapping.X
MASK = np.array([True, False, False])


def started(**settings):
    start = normal_params(datasets.overlapping, settings.get("covariance_type", "full"))
    settings = {"tol": 1e-9, "max_iter": 3_000, "reg_covar": 0.0} | settings
    return GaussianMixture(
        3, weights_init=start.weights, means_init=start.means, precisions_init=start.precisions(), **settings
    ), start


@pytest.mark.parametrize("acceleration", [None, "anderson", "quasi-newton", "squarem"])
@pytest.mark.parametrize("group", ["weights", "means", "covariances"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_mask_holds_has_the_same_bits_and_the_rest_moves(kind, group, acceleration):
    if (kind, group) == ("tied", "covariances"):
        pytest.skip("a tied covariance belongs to no component")
    mixture, start = started(covariance_type=kind, fixed={group: MASK}, acceleration=acceleration, max_iter=200)
    start = (
        start
        if group != "covariances"
        else fastem.GaussianParams.from_precisions(start.weights, start.means, start.precisions(), kind)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture.fit(X)
    found, before = getattr(mixture, group + "_"), getattr(start, group)
    np.testing.assert_array_equal(found[0], before[0])
    assert (found[1:] != before[1:]).all()
    assert mixture.weights_.sum() == pytest.approx(1.0, abs=1e-12)
    assert (np.diff(mixture.history_.loglik) >= -1e-12 * np.abs(mixture.history_.loglik[1:])).all()


def test_a_tied_covariance_is_held_where_that_of_any_component_is():
    mixture, start = started(covariance_type="tied", fixed={"covariances": MASK})
    mixture.fit(X)
    held = fastem.GaussianParams.from_precisions(start.weights, start.means, start.precisions(), "tied").covariances
    np.testing.assert_array_equal(mixture.covariances_, held)
    assert mixture.n_parameters_ == 2 + 6
    assert (np.diff(mixture.history_.loglik) >= -1e-12 * np.abs(mixture.history_.loglik[1:])).all()


def test_a_covariance_that_is_held_is_not_raised_to_the_resolution_of_the_data():
    tiny = 1e-40
    at = fastem.GaussianParams(np.full(2, 0.5), np.zeros((2, 1)), np.array([[tiny], [1.0]]), "diag")
    rows = np.append(np.random.default_rng(0).normal(size=100), np.zeros(5))
    stats = fastem.accumulate(at, rows[:, np.newaxis])
    found = stats.maximize(fixed={"covariances": [True, False]}, reg_covar=0.0)
    assert found.covariances[0, 0] == tiny
    assert found.covariances[1, 0] != 1.0
    assert stats.maximize(reg_covar=0.0).covariances[0, 0] > tiny


def test_weights_that_leave_nothing_leave_no_less():
    start = {"weights_init": [0.5000002, 0.5000002, 1e-8], "means_init": [[0.0, 0.0], [1.5, 1.0], [-1.0, 2.0]]}
    mixture = GaussianMixture(3, fixed={"weights": [True, True, False]}, random_state=0, **start)
    with pytest.warns(fastem.EmptyComponentWarning):
        mixture.fit(X)
    assert mixture.weights_.min() >= 0
    assert np.isfinite(mixture.loglik_)


def test_names_are_masks_of_all():
    by_name, by_mask = (started(fixed=fixed)[0].fit(X) for fixed in (("means",), {"means": np.ones(3, bool)}))
    np.testing.assert_array_equal(by_name.covariances_, by_mask.covariances_)


@pytest.mark.parametrize("acceleration", [None, "quasi-newton"])
def test_a_held_weight_leaves_the_others_at_their_conditional_maximum(acceleration):
    """Given w_0, the other weights are proportional to their counts."""
    mixture, start = started(fixed={"weights": MASK}, acceleration=acceleration, stopping="aitken")
    mixture.fit(X)
    counts = fastem.accumulate(mixture.params_, X).counts[1:]
    np.testing.assert_allclose(mixture.weights_[1:], (1 - start.weights[0]) * counts / counts.sum(), rtol=1e-4)


def test_an_error_clone_is_held_and_the_others_are_found():
    rng = np.random.default_rng(0)
    truth = np.array([0.001, 0.5, 0.2, 0.35])
    trials = rng.integers(80, 200, size=20_000)
    reads = rng.binomial(trials, truth[rng.choice(4, size=20_000, p=[0.1, 0.4, 0.3, 0.2])])
    clones = BinomialMixture(
        4, probs_init=[0.001, 0.5, np.nan, np.nan], fixed={"probs": [True, True, False, False]}, tol=1e-9, max_iter=500
    ).fit(reads, trials=trials)
    np.testing.assert_array_equal(clones.probs_[:2, 0], [0.001, 0.5])
    np.testing.assert_allclose(np.sort(clones.probs_[2:, 0]), [0.2, 0.35], atol=0.01)
    assert clones.n_parameters_ == 3 + 2


def test_gaps_among_starting_means_are_found():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(500, 2)) + center for center in ([0, 0], [10, 0], [0, 10])])
    means = [[np.nan] * 2, [0.0, 0.0], [np.nan] * 2]
    mixture = GaussianMixture(3, means_init=means, fixed={"means": [False, True, False]}, random_state=0).fit(rows)
    np.testing.assert_array_equal(mixture.means_[1], [0.0, 0.0])
    np.testing.assert_allclose(mixture.means_[[0, 2]], [[0, 10], [10, 0]], atol=0.3)
    with pytest.raises(ValueError, match="means must be finite"):
        GaussianMixture(2, means_init=[[np.nan, 1.0], [0.0, 0.0]]).fit(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_criteria_of_a_fit_are_those_of_its_rows(kind):
    mixture = GaussianMixture(3, covariance_type=kind, random_state=0, tol=1e-8, max_iter=500).fit(X)
    resp = np.maximum(mixture.predict_proba(X), 1e-300)
    assert mixture.aic_ == pytest.approx(mixture.aic(X), rel=1e-10)
    assert mixture.bic_ == pytest.approx(mixture.bic(X), rel=1e-10)
    assert mixture.entropy_ == pytest.approx(-(resp * np.log(resp)).sum(), rel=1e-9)
    assert mixture.icl_ == pytest.approx(mixture.bic_ + 2 * mixture.entropy_, rel=1e-12)


def test_what_is_held_is_no_parameter():
    free = {"full": 2 + 6 + 9, "tied": 2 + 6 + 3, "diag": 2 + 6 + 6, "spherical": 2 + 6 + 3}
    for kind, number in free.items():
        assert started(covariance_type=kind, max_iter=2_000)[0].fit(X).n_parameters_ == number
    held = started(fixed={"weights": MASK, "means": MASK})[0].fit(X)
    assert held.n_parameters_ == 1 + 4 + 9
    assert held.bic_ == pytest.approx(14 * math.log(len(X)) - 2 * held.loglik_, rel=1e-12)
    assert held.bic(X) == pytest.approx(held.bic_, rel=1e-10)


@pytest.mark.parametrize("by", ["weights", "means"])
def test_components_can_be_ordered(by):
    plain = GaussianMixture(3, random_state=0).fit(X)
    ordered = GaussianMixture(3, random_state=0, order_by=by).fit(X)
    keys = getattr(ordered, by + "_").reshape(3, -1)[:, 0]
    assert (np.diff(keys) >= 0).all()
    order = np.argsort(getattr(plain, by + "_").reshape(3, -1)[:, 0])
    np.testing.assert_array_equal(ordered.covariances_, plain.covariances_[order])
    np.testing.assert_allclose(ordered.predict_proba(X), plain.predict_proba(X)[:, order], rtol=1e-12)


def test_coins_can_be_ordered():
    world = datasets.three_coins
    coins = BinomialMixture(3, order_by="probs", probs_init=[0.8, 0.1, 0.5]).fit(world.X, trials=world.trials)
    assert (np.diff(coins.probs_[:, 0]) > 0).all()
