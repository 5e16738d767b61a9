"""Rows of which components are known, in fits with a background: -1 is unknown, be it of a component or of neither."""

import numpy as np
import pytest
from support.sweeps import KINDS

import fastem
from fastem import GaussianMixture

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(600, 2)), RNG.uniform(-10, 12, (100, 2))])
X[300:600, 0] += 3.0
TRUTH = np.repeat([0, 1, -1], [300, 300, 100])
LABELS = np.where(RNG.random(700) < 0.3, TRUTH, -1)
kinds = pytest.mark.parametrize("kind", KINDS)
noises = pytest.mark.parametrize("noise", [True, 1 / 400], ids=["box", "density"])


def fitted(kind="full", k=2, labels=LABELS, rows=X, **settings):
    return GaussianMixture(k, covariance_type=kind, random_state=0, **{"noise": True} | settings).fit(
        rows, labels=labels
    )


@noises
@kinds
def test_the_log_likelihood_of_a_known_row_is_that_of_its_component_alone(kind, noise):
    mixture = fitted(kind, noise=noise, reg_covar=0.0, acceleration="quasi-newton")
    logs, known = mixture.log_prob_components(X), LABELS >= 0
    right = np.logaddexp.reduce(logs[~known], axis=1).sum() + logs[known, LABELS[known]].sum()
    assert mixture.loglik_ == pytest.approx(right, rel=1e-12)
    assert mixture.ascent_.holds
    assert mixture.counts_.sum() < len(X)


@kinds
def test_one_more_em_step_by_hand_stays(kind):
    mixture = fitted(kind, reg_covar=0.0, tol=1e-12, max_iter=5000, stopping="loglik")
    resp, known = mixture.predict_proba(X), LABELS >= 0
    resp[known] = np.eye(3)[LABELS[known]]
    np.testing.assert_allclose(resp.mean(axis=0), [*mixture.weights_, mixture.noise_weight_], atol=1e-5)
    np.testing.assert_allclose(resp[:, :2].T @ X / resp[:, :2].sum(axis=0)[:, None], mixture.means_, atol=1e-4)


@kinds
def test_where_all_rows_are_known_nothing_is_left_for_the_background(kind):
    inside = TRUTH >= 0
    mixture = fitted(kind, labels=TRUTH[inside], rows=X[inside], reg_covar=0.0)
    without = GaussianMixture(2, covariance_type=kind, reg_covar=0.0, random_state=0)
    without.fit(X[inside], labels=TRUTH[inside])
    assert mixture.noise_weight_ == 0
    np.testing.assert_allclose(mixture.means_, without.means_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(mixture.covariances_, without.covariances_, rtol=1e-9, atol=1e-12)


def test_where_none_is_known_the_fit_is_the_one_without_labels():
    start = {"means_init": [[0.0, 0.0], [3.0, 0.0]], "weights_init": [0.45, 0.45], "precisions_init": [1.0, 1.0]}
    settings = {"tol": 1e-12, "max_iter": 5000, "stopping": "loglik", **start}
    found = fitted("spherical", labels=np.full(len(X), -1), **settings)
    expected = GaussianMixture(2, covariance_type="spherical", noise=True, random_state=0, **settings).fit(X)
    np.testing.assert_allclose(found.means_, expected.means_, rtol=1e-6, atol=1e-9)
    assert found.noise_weight_ == pytest.approx(expected.noise_weight_, rel=1e-6)


@kinds
def test_a_fit_may_begin_at_labels(kind):
    begun = GaussianMixture(2, covariance_type=kind, noise=True, max_iter=0).fit(X, labels_init=TRUTH)
    means = [X[:300].mean(axis=0), X[300:600].mean(axis=0)]
    np.testing.assert_allclose(begun.means_, means, rtol=1e-12)
    assert begun.noise_weight_ == pytest.approx(0.05)
    found = GaussianMixture(2, covariance_type=kind, noise=True).fit(X, labels_init=TRUTH)
    assert 0.1 < found.noise_weight_ < 0.2


def test_a_component_of_which_no_row_is_known_is_found_and_others_have_their_numbers():
    found = fitted(labels=np.where(LABELS == 0, 1, -1))
    np.testing.assert_allclose(found.means_, [[3.0, 0.0], [0.0, 0.0]], atol=0.3)


def test_rows_have_the_same_fit_wherever_they_are():
    da = pytest.importorskip("dask.array")
    expected = fitted()
    mixture = GaussianMixture(2, noise=True, random_state=0)
    chunks = mixture.fit(chunks=[X[:90], X[90:]], labels=LABELS)
    np.testing.assert_array_equal(chunks.means_, expected.means_)
    lazy = mixture.fit(da.from_array(X, chunks=(150, 2)), labels=LABELS)
    assert lazy.loglik_ == pytest.approx(expected.loglik_, rel=1e-12)
    single = mixture.fit(X.astype(np.float32), labels=LABELS)
    assert single.loglik_ == pytest.approx(expected.loglik_, rel=1e-4)


def test_a_row_cannot_be_known_to_be_of_the_background():
    with pytest.raises(ValueError, match=r"labels must be numbers of components from 0 to 1, or -1 where .* unknown"):
        fitted(labels=np.where(TRUTH < 0, 2, TRUTH))


def test_a_sweep_of_one_component_alone_leaves_the_background_nothing():
    params = fitted().params_
    with fastem.open_rows(X) as rows:
        stats = rows.sweep(params.alone(1))
    assert stats.counts.tolist() == [pytest.approx(len(X))]
    assert stats.noise_count < 1e-200
