"""GaussianMixture on data that make trouble: offsets, outliers, duplicates, constants."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as Reference
from support import naive
from support.drop_in import KINDS, MATRICES, clouds, fitted

from fastem import GaussianMixture


def assert_sound(mixture, X):
    """Finite, weights that sum to 1, positive definite covariances, predictions for every row."""
    k, d = mixture.means_.shape
    for name in ("weights_", *MATRICES):
        assert np.isfinite(getattr(mixture, name)).all(), name
    assert np.isfinite([mixture.loglik_, mixture.lower_bound_]).all()
    assert mixture.weights_.sum() == pytest.approx(1.0, abs=1e-12)
    assert (mixture.weights_ >= 0).all()
    covariances = naive.expand_covariances(mixture.covariances_, mixture.covariance_type, k, d)
    assert (np.linalg.eigvalsh(covariances) > 0).all()
    assert np.isfinite(mixture.score_samples(X)).all()
    # k responsibilities, each rounded once
    np.testing.assert_allclose(mixture.predict_proba(X).sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "offset", "rtol"),
    [
        (np.float32, 1e4, 1e-5),  # the mean in float32 moves no variance; eps(float32) for each attribute, times 100
        (np.float64, 1e8, 1e-6),  # eps(float64) * 1e8 = 2e-8 is the rounding of a mean that the next sweep starts from
    ],
)
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_an_offset_moves_no_variance(kind, k, dtype, offset, rtol):
    """The subtraction of the offset is exact, so that both fits see the same distances."""
    far = (clouds() + offset).astype(dtype)
    near = far - dtype(offset)
    np.testing.assert_array_equal(near.astype(np.float64) + offset, far.astype(np.float64))
    settings = {"covariance_type": kind, "random_state": 0, "tol": 1e-9, "max_iter": 1000}
    a, b = GaussianMixture(k, **settings).fit(far), GaussianMixture(k, **settings).fit(near)
    order, other = a.means_[:, 0].argsort(), b.means_[:, 0].argsort()
    found, expected = (
        naive.expand_covariances(mixture.covariances_, kind, k, 2)[at] for mixture, at in ((a, order), (b, other))
    )
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)  # the variances are about 1
    np.testing.assert_array_equal(np.argsort(order)[a.predict(far)], np.argsort(other)[b.predict(near)])


@pytest.mark.parametrize("kind", KINDS)
def test_one_component_at_an_offset_has_the_variance_of_its_rows(kind):
    X = (clouds() + 1e8)[:, :1]
    mixture = GaussianMixture(1, covariance_type=kind, reg_covar=0.0).fit(X)
    # two-pass variance; numpy's mean of 600 values near 1e8 is off by some 1e-7, its square enters
    assert mixture.covariances_.item() == pytest.approx(X.var(), rel=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")
def test_two_points_far_apart_have_only_the_regularisation(kind, dtype):
    X = np.array([[9999], [0]], dtype=dtype)
    mixture = GaussianMixture(2, covariance_type=kind, reg_covar=0.1, random_state=0).fit(X)
    np.testing.assert_allclose(mixture.covariances_, 0.1, atol=1e-6)  # 0.1 in float32 is off by 1.5e-9
    # a responsibility is never quite 0
    np.testing.assert_allclose(np.sort(mixture.means_.ravel()), [0, 9999], atol=1e-12)
    np.testing.assert_allclose(mixture.weights_, [0.5, 0.5], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_component_of_two_points_far_apart(dtype):
    X = np.array([[9999], [0]], dtype=dtype)
    mixture = GaussianMixture(1, reg_covar=0.1).fit(X)
    # (9999 / 2)^2 + 0.1, rounded to the precision of X
    assert mixture.covariances_.item() == pytest.approx(4999.5**2 + 0.1, rel=2 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize(("dtype", "far"), [(np.float64, 1e200), (np.float64, -1.7e308), (np.float32, 3e38)])
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_far_out_is_shared_out(kind, d, dtype, far):
    mixture = fitted(clouds(d).astype(dtype), covariance_type=kind)
    X = np.full((1, d), far, dtype=dtype)
    resp = mixture.predict_proba(X)
    assert np.isfinite(resp).all()
    assert resp.sum() == pytest.approx(1.0, abs=4 * float(np.finfo(dtype).eps))  # three terms and their sum, rounded
    assert mixture.predict(X)[0] == resp.argmax()
    assert not np.isnan(mixture.score_samples(X)).any()


@pytest.mark.parametrize("constant", [0.0, 7.0, 1e6])
@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_column_is_fitted(kind, constant):
    X = np.column_stack([clouds(), np.full(600, constant)])
    mixture = fitted(X, covariance_type=kind)
    assert_sound(mixture, X)
    np.testing.assert_allclose(mixture.means_[:, 2], constant, rtol=1e-12)
    assert len(np.unique(mixture.predict(X))) == 3
    if kind != "spherical":
        variances = naive.expand_covariances(mixture.covariances_, kind, 3, 3)[:, 2, 2]
        np.testing.assert_allclose(variances, 1e-6, rtol=1e-6)  # reg_covar and nothing else


@pytest.mark.parametrize("kind", ["full", "tied", "diag"])
def test_a_constant_column_without_regularisation_is_refused_as_scikit_learn_does(kind):
    X = np.column_stack([clouds(), np.zeros(600)])
    settings = {"covariance_type": kind, "reg_covar": 0.0, "random_state": 0}
    for make in (GaussianMixture, Reference):
        with pytest.raises(ValueError, match="ill-defined empirical covariance"):
            make(3, **settings).fit(X)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random_from_data"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")
def test_every_distinct_row_of_many_duplicates_can_have_its_component(kind, init_params):
    distinct = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0], [30.0, 30.0]])
    X = np.repeat(distinct, 100, axis=0)
    mixture = GaussianMixture(5, covariance_type=kind, init_params=init_params, random_state=0, n_init=10).fit(X)
    assert_sound(mixture, X)
    if init_params == "random_from_data":
        return  # may draw a row twice, and then has fewer components than rows
    assert len(np.unique(mixture.predict(X))) == 5
    np.testing.assert_allclose(mixture.weights_, 0.2, rtol=1e-9)
    found = naive.expand_covariances(mixture.covariances_, kind, 5, 2)
    np.testing.assert_allclose(found, np.tile(1e-6 * np.eye(2), (5, 1, 1)), atol=1e-12)  # reg_covar and nothing else


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random_from_data"])
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")
def test_as_many_components_as_rows(kind, d, init_params):
    X = clouds(d)[:8]
    mixture = GaussianMixture(8, covariance_type=kind, init_params=init_params, random_state=0).fit(X)
    assert_sound(mixture, X)
    assert sorted(mixture.predict(X)) == list(range(8))
    np.testing.assert_allclose(mixture.means_[mixture.predict(X)], X, atol=1e-9)


@pytest.mark.filterwarnings("ignore::fastem.EmptyComponentWarning")
@pytest.mark.parametrize("far", [1e3, 1e6, 1e12])
@pytest.mark.parametrize("kind", KINDS)
def test_a_component_that_starts_out_of_reach_leaves_the_fit_sound(kind, far):
    X = clouds()
    mixture = fitted(X, covariance_type=kind, means_init=[[0.0, 0.0], [6.0, 6.0], [far, far]])
    assert_sound(mixture, X)
