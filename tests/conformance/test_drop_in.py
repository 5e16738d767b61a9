"""GaussianMixture in the place of scikit-learn's, as its users meet it: interface, way to a fit, copies."""

import copy
import inspect
import pickle

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor
from sklearn.mixture import GaussianMixture as Reference
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr, get_tags
from sklearn.utils.validation import check_is_fitted
from support.drop_in import KINDS, MATRICES, NAMES, clouds, equal_start, fitted, framed

import fastem
from fastem import GaussianMixture

METHODS = ("fit", "fit_predict", "predict", "predict_proba", "score", "score_samples", "sample", "bic", "aic")


# -------------------------------------------------------------------------------------------- what scikit-learn asks it


def test_tags_and_type_are_scikit_learns():
    ours, theirs = GaussianMixture(), Reference()
    assert get_tags(ours) == get_tags(theirs)
    assert get_tags(ours).estimator_type == "density_estimator"
    for asks in (is_classifier, is_regressor, is_clusterer, is_outlier_detector):
        assert asks(ours) == asks(theirs)


def test_it_knows_whether_it_is_fitted():
    mixture = GaussianMixture(3, random_state=0)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        check_is_fitted(mixture)
    check_is_fitted(mixture.fit(clouds()))


@pytest.mark.parametrize("is_fitted", [False, True])
def test_it_is_shown_as_html(is_fitted):
    mixture = GaussianMixture(3, random_state=0)
    if is_fitted:
        mixture.fit(clouds())
    assert "GaussianMixture" in mixture._repr_html_()
    pipeline = estimator_html_repr(make_pipeline(StandardScaler(), mixture))
    assert "GaussianMixture" in pipeline
    assert "StandardScaler" in pipeline


def test_constructor_takes_what_scikit_learns_takes():
    """Keyword-only arguments have no order."""
    ours = inspect.signature(GaussianMixture).parameters
    theirs = inspect.signature(Reference).parameters
    assert next(iter(ours)) == next(iter(theirs)) == "n_components"
    defaults = {name: theirs[name].default for name in theirs} | {"init_params": "auto"}
    assert {name: ours[name].default for name in theirs} == defaults
    assert all(ours[name].kind is theirs[name].kind for name in theirs)
    assert all(ours[name].kind is inspect.Parameter.KEYWORD_ONLY for name in ours.keys() - theirs.keys())


@pytest.mark.parametrize("method", METHODS)
def test_methods_take_what_scikit_learns_take(method):
    ours = list(inspect.signature(getattr(GaussianMixture, method)).parameters.values())
    theirs = list(inspect.signature(getattr(Reference, method)).parameters.values())
    assert [p.name for p in ours[: len(theirs)]] == [p.name for p in theirs]
    # fit has a default for X, where chunks may stand in its place: what scikit-learn takes is taken
    assert all(a.default == b.default for a, b in zip(ours, theirs, strict=False) if a.name != "X")
    assert all(p.default is not p.empty for p in ours[len(theirs) :])


def test_no_public_name_of_scikit_learns_is_missing():
    X = clouds()
    assert {name for name in dir(Reference(3).fit(X)) if not name.startswith("_")} <= set(dir(fitted(X)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_fitted_attributes_are_scikit_learns(kind, dtype):
    X = clouds().astype(dtype)
    settings = equal_start(X, kind)
    ours, theirs = GaussianMixture(**settings).fit(X), Reference(**settings).fit(X)
    names = [name for name in vars(theirs) if name.endswith("_")]
    assert {"weights_", *MATRICES, "converged_", "n_iter_", "lower_bound_", "n_features_in_"} <= set(names)
    for name in names:
        found, expected = np.asarray(getattr(ours, name)), np.asarray(getattr(theirs, name))
        assert (name, found.shape) == (name, expected.shape)
        # scikit-learn's bound of a float32 fit is float32 or float64 by version; ours is a sum in float64
        assert found.dtype == expected.dtype or (name.startswith("lower_bound") and found.dtype == np.float64), name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_results_have_scikit_learns_shapes_and_types(kind, dtype):
    X = clouds().astype(dtype)
    settings = equal_start(X, kind)
    ours, theirs = GaussianMixture(**settings).fit(X), Reference(**settings).fit(X)
    for name in ("predict", "predict_proba", "score_samples"):
        found, expected = getattr(ours, name)(X), getattr(theirs, name)(X)
        assert (name, found.shape, found.dtype) == (name, expected.shape, expected.dtype)
    for found, expected in zip(ours.sample(7), theirs.sample(7), strict=True):
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)


@pytest.mark.parametrize("name", ["score", "aic", "bic"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_score_is_a_float(dtype, name):
    X = clouds().astype(dtype)
    assert isinstance(getattr(fitted(X), name)(X), float)


def test_warnings_and_errors_are_scikit_learns():
    assert fastem.ConvergenceWarning is sklearn.exceptions.ConvergenceWarning
    assert fastem.NotFittedError is sklearn.exceptions.NotFittedError
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        GaussianMixture(3, max_iter=1, random_state=0, tol=0.0).fit(clouds())


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score", "score_samples", "bic", "aic", "sample"])
def test_what_is_not_fitted_raises_scikit_learns_error(method):
    arguments = () if method == "sample" else (clouds(),)
    with pytest.raises(sklearn.exceptions.NotFittedError) as ours:
        getattr(GaussianMixture(3), method)(*arguments)
    with pytest.raises(sklearn.exceptions.NotFittedError) as theirs:
        getattr(Reference(3), method)(*arguments)
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("n_init", [1, 3])
@pytest.mark.parametrize("tol", [1e-3, 1e-9])
@pytest.mark.parametrize("kind", KINDS)
def test_the_way_to_the_fit_is_scikit_learns(kind, tol, n_init):
    """From equal starts: the same iterations, and the same bound at each."""
    X = clouds(3)
    settings = {**equal_start(X, kind), "tol": tol, "max_iter": 500, "n_init": n_init}
    ours, theirs = GaussianMixture(**settings).fit(X), Reference(**settings).fit(X)
    assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, theirs.converged_)
    # sums of 600 terms, each of a few roundings, carried through the iterations
    np.testing.assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=1e-10)
    assert ours.lower_bound_ == ours.lower_bounds_[-1]


# --------------------------------------------------------------------------------------------------- files and copies


def through_a_file(mixture, folder):
    joblib.dump(mixture, folder / "mixture.joblib")
    return joblib.load(folder / "mixture.joblib")


COPIES = {
    "pickle": lambda mixture, folder: pickle.loads(pickle.dumps(mixture)),
    "deepcopy": lambda mixture, folder: copy.deepcopy(mixture),
    "joblib": through_a_file,
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_of_a_fit_has_all_of_it(kind, copied, make, tmp_path):
    frame = framed(make, clouds())
    mixture = fitted(frame, covariance_type=kind)
    other = copied(mixture, tmp_path)
    assert set(vars(other)) == set(vars(mixture))
    assert other.get_params() == mixture.get_params()
    assert other.feature_names_in_.tolist() == NAMES
    np.testing.assert_array_equal(other.predict_proba(frame), mixture.predict_proba(frame))
    np.testing.assert_array_equal(other.score_samples(frame), mixture.score_samples(frame))


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_is_fitted_without_a_change_to_the_first(copied, tmp_path):
    mixture = fitted(clouds())
    means = mixture.means_.copy()
    other = copied(mixture, tmp_path).fit(clouds(seed=1) + 100)
    np.testing.assert_array_equal(mixture.means_, means)
    assert (other.means_ > 90).all()


# -------------------------------------------------------------------------------------------------------------- float32


@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_float32(kind):
    X = clouds().astype(np.float32)
    mixture = fitted(X, covariance_type=kind)
    assert {getattr(mixture, name).dtype for name in ("weights_", *MATRICES)} == {np.dtype(np.float32)}
    assert mixture.predict_proba(X).dtype == mixture.score_samples(X).dtype == np.float32
    assert mixture.predict(X).dtype == np.intp
    wide = fitted(X.astype(np.float64), covariance_type=kind)
    # sums of a tile are float32, good to 1e-6 of the size of what is summed: a mean near 0 has lost digits
    np.testing.assert_allclose(mixture.means_, wide.means_, rtol=1e-6, atol=1e-6 * np.abs(wide.means_).max())
    np.testing.assert_array_equal(mixture.predict(X), wide.predict(X))


@pytest.mark.parametrize("kind", [fastem.GaussianMixture, fastem.BayesianGaussianMixture])
def test_a_single_row_is_refused_in_scikit_learns_words(kind):
    theirs = getattr(sklearn.mixture, kind.__name__)(n_components=1)
    messages = []
    for mixture in (kind(1), theirs):
        with pytest.raises(ValueError, match=r"Found array with 1 sample\(s\)") as raised:
            mixture.fit([[1.0, 2.0]])
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


def test_a_single_row_that_counts_for_many_is_as_many():
    one, many = GaussianMixture(1), GaussianMixture(1)
    one.fit([[1.0, 2.0]], sample_weight=[5.0])
    many.fit([[1.0, 2.0]] * 5)
    np.testing.assert_array_equal(one.means_, many.means_)
    np.testing.assert_array_equal(one.covariances_, many.covariances_)
    one.partial_fit([[3.0, 2.0]])  # rows may come one by one
    assert fastem.PoissonMixture(1).fit([3]).rates_ == 3.0  # a count has a variance
