"""Predictions are made with factors that are kept: they are made once, and anew whatever has changed."""

import copy
import pickle

import numpy as np
import pytest

import fastem
from fastem.data.rows import POSTERIOR_WORK, TILE_ROWS
from fastem.families.gaussian import full
from fastem.families.gaussian.model import GaussianParams
from fastem.kernels.backend import Backend

KINDS = ("full", "tied", "diag", "spherical")
RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(60, 3)) @ np.tril(RNG.normal(size=(3, 3)) + 2), RNG.normal(size=(40, 3)) + 6])


def fitted(kind="full", **settings):
    mixture = fastem.GaussianMixture(2, covariance_type=kind, random_state=0, **settings).fit(X)
    mixture.predict(X[:1])  # what is kept has been made
    return mixture


def told(mixture):
    return mixture.score_samples(X), mixture.predict_proba(X), mixture.predict(X)


def expected(weights, means, covariances, kind):
    found = fastem.posterior(GaussianParams(*map(np.array, (weights, means, covariances)), kind), X)
    return found.log_prob, found.resp, found.labels


def assert_tells(mixture, weights, means, covariances, exactly=True):
    """Predictions, and all attributes, are those of one model."""
    kind = mixture.covariance_type
    for found, right in zip(told(mixture), expected(weights, means, covariances, kind), strict=True):
        np.testing.assert_allclose(found, right, rtol=0 if exactly else 1e-9, atol=0 if exactly else 1e-12)
    params = mixture.params_
    np.testing.assert_allclose(mixture.covariances_, params.covariances, rtol=1e-12)
    np.testing.assert_allclose(mixture.precisions_cholesky_, params.precisions_cholesky(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(mixture.precisions_, params.precisions(), rtol=1e-9, atol=1e-12)


def parameters(mixture):
    return [np.array(each) for each in (mixture.weights_, mixture.means_, mixture.covariances_)]


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_that_are_assigned_are_those_of_the_next_prediction(kind):
    mixture = fitted(kind)
    weights, means, covariances = parameters(mixture)
    mixture.covariances_ = 2 * covariances
    assert_tells(mixture, weights, means, 2 * covariances)
    mixture.means_, mixture.weights_ = means + 1, weights[::-1]
    assert_tells(mixture, weights[::-1], means + 1, 2 * covariances)
    mixture.means_ = (means - 1).tolist()
    assert_tells(mixture, weights[::-1], means - 1, 2 * covariances)


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_that_are_changed_in_place_are_too(kind):
    mixture = fitted(kind)
    weights, means, covariances = parameters(mixture)
    mixture.means_[0] = 5.0
    means[0] = 5.0
    assert_tells(mixture, weights, means, covariances)
    mixture.weights_[:] = [0.9, 0.1]
    assert_tells(mixture, [0.9, 0.1], means, covariances)
    mixture.covariances_ = own = 3 * covariances
    assert_tells(mixture, [0.9, 0.1], means, 3 * covariances)
    own *= 2  # a user's array stays his own
    assert_tells(mixture, [0.9, 0.1], means, 6 * covariances)


@pytest.mark.parametrize("kind", KINDS)
def test_precisions_cholesky_by_hand_is_what_predictions_go_by(kind):
    """As with scikit-learn; `covariances_` follows."""
    mixture = fitted(kind)
    weights, means, covariances = parameters(mixture)
    mixture.precisions_cholesky_ = mixture.precisions_cholesky_ / 2
    assert_tells(mixture, weights, means, 4 * covariances, exactly=False)
    own = np.array(mixture.precisions_cholesky_)
    mixture.precisions_cholesky_ = own
    own *= 2
    assert_tells(mixture, weights, means, covariances, exactly=False)
    by_hand = fastem.GaussianMixture(2, covariance_type=kind)
    by_hand.weights_, by_hand.means_, by_hand.precisions_cholesky_ = weights, means, mixture.precisions_cholesky_
    for found, right in zip(told(by_hand), told(mixture), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_other_arrays_are_those_of_another_size(kind):
    mixture, other = fitted(kind), fastem.GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
    mixture.weights_, mixture.means_, mixture.covariances_ = other.weights_, other.means_, other.covariances_
    assert_tells(mixture, *parameters(other))


@pytest.mark.parametrize("name", ["covariances_", "precisions_", "precisions_cholesky_"])
@pytest.mark.parametrize("kind", KINDS)
def test_large_arrays_of_a_fit_are_read_only_also_where_they_have_been_copied(tmp_path, kind, name):
    mixture = fitted(kind)
    mixture.save(tmp_path / "model.npz")
    for each in (mixture, *copies(mixture), fastem.load(tmp_path / "model.npz")):
        with pytest.raises(ValueError, match="read-only"):
            getattr(each, name)[0] = 5.0
        with pytest.raises(ValueError, match="read-only"):
            each.params_.means[0] = 5.0


def copies(mixture):
    return copy.copy(mixture), copy.deepcopy(mixture), pickle.loads(pickle.dumps(mixture))


@pytest.mark.parametrize("kind", KINDS)
def test_copies_tell_the_same_and_go_their_own_way(tmp_path, kind):
    mixture = fitted(kind)
    before, (weights, means, covariances) = told(mixture), parameters(mixture)
    mixture.save(tmp_path / "model.npz")
    for other in (*copies(mixture), fastem.load(tmp_path / "model.npz")):
        for found, right in zip(told(other), before, strict=True):
            np.testing.assert_array_equal(found, right)
        other.means_, other.covariances_ = means + 1, 2 * covariances
        assert_tells(other, weights, means + 1, 2 * covariances)
        for found, right in zip(told(mixture), before, strict=True):
            np.testing.assert_array_equal(found, right)


def test_what_has_been_assigned_goes_with_copies_and_files(tmp_path):
    mixture = fitted()
    weights, means, covariances = parameters(mixture)
    mixture.precisions_cholesky_ = mixture.precisions_cholesky_ / 2
    mixture.save(tmp_path / "model.npz")
    for other in (*copies(mixture), fastem.load(tmp_path / "model.npz")):
        assert_tells(other, weights, means, 4 * covariances, exactly=False)


def test_a_copy_leaves_a_users_array_as_it_is():
    mixture = fitted()
    mixture.covariances_ = own = 2 * mixture.covariances_
    copy.copy(mixture)
    own *= 2


def test_a_new_fit_tells_the_new_model():
    mixture = fitted()
    mixture.fit(X[:50])
    assert_tells(mixture, *parameters(mixture))
    mixture.partial_fit(X[50:])
    assert_tells(mixture, *parameters(mixture))


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_held_by_a_fit_stay_a_users_own(kind):
    mixture = fitted(kind, warm_start=True, fixed=("weights", "means", "covariances"))
    _, means, covariances = parameters(mixture)
    mixture.means_, mixture.covariances_ = means, covariances
    mixture.fit(X)
    means += 1
    covariances *= 2
    np.testing.assert_array_equal(mixture.covariances_, covariances / 2)


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_matrices_are_inverted_once(monkeypatch, kind):
    inverted = []

    def counted(covariances):
        inverted.append(len(covariances))
        return inverse_cholesky(covariances)

    inverse_cholesky = full.inverse_cholesky
    mixture = fastem.GaussianMixture(2, covariance_type=kind, random_state=0).fit(X)
    monkeypatch.setattr(full, "inverse_cholesky", counted)
    for _ in range(3):
        told(mixture)
        mixture.score(X)
    assert len(inverted) <= 1
    other = pickle.loads(pickle.dumps(mixture))
    inverted.clear()
    for _ in range(3):
        told(other)
    assert len(inverted) == 1


@pytest.mark.parametrize("d", [1, 2, 7, 9, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_told_the_same_alone_and_among_others(twin, kind, d):
    rng = np.random.default_rng(d)
    rows = rng.normal(size=(300, d)) * 3
    params = GaussianParams.from_variances(rng.normal(size=(3, d)), rng.uniform(0.5, 2, d), kind)
    whole = fastem.posterior(params, rows, backend=twin)
    for i in [*range(0, 300, 29), 299]:
        for found, right in zip(fastem.posterior(params, rows[i : i + 1], backend=twin), whole, strict=True):
            np.testing.assert_array_equal(found, right[i : i + 1])
    for length in (15, 16, 17, 33, 129):
        for found, right in zip(fastem.posterior(params, rows[:length], backend=twin), whole, strict=True):
            np.testing.assert_array_equal(found, right[:length])


@pytest.mark.parametrize("threads", [1, 3])
def test_long_predictions_are_made_in_portions_of_the_same_bits(monkeypatch, twin, threads):
    """An interruption waits for the end of one."""
    mixture = fitted(n_threads=threads, backend=twin)
    rows = np.tile(X, (30, 1))
    before = [mixture.score_samples(rows), mixture.predict_proba(rows), mixture.predict(rows)]
    run, lengths = Backend.run, []

    def counted(self, name, parts, *others, **options):
        lengths.append(len(parts[0]))
        run(self, name, parts, *others, **options)

    monkeypatch.setattr(Backend, "run", counted)
    monkeypatch.setattr("fastem.data.rows.POSTERIOR_WORK", 2 * TILE_ROWS * 100)
    after = [mixture.score_samples(rows), mixture.predict_proba(rows), mixture.predict(rows)]
    assert max(lengths) <= 2 * threads * TILE_ROWS
    for found, right in zip(after, before, strict=True):
        np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize(("d", "k", "kind"), [(1, 3, "full"), (8, 10, "full"), (784, 4, "full"), (2, 200, "diag")])
@pytest.mark.seconds
def test_a_portion_of_a_prediction_is_short(d, k, kind):
    """Whatever the model: rows x elements of its tables, each some nanoseconds at the most."""
    params = GaussianParams.from_variances(np.zeros((k, d)), np.ones(d), kind)
    with fastem.open_rows(np.broadcast_to(np.zeros((1, d)), (3_000_000, d)), n_threads=1) as rows:
        spans = list(rows._posterior_slices(params))
    longest = max(len(range(*span.indices(3_000_000))) for span in spans)
    assert longest == TILE_ROWS or longest * sum(t.size for t in params.tables()) <= POSTERIOR_WORK
    assert longest <= 1 << 20
