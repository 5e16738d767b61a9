"""GaussianMixture in the place of scikit-learn's, as its users meet it: frames, pipelines, searches, files, trouble."""

import copy
import inspect
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone, is_classifier, is_clusterer, is_outlier_detector, is_regressor
from sklearn.mixture import GaussianMixture as Reference
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr, get_tags
from sklearn.utils.validation import check_is_fitted
from support import naive

import fastem
from fastem import GaussianMixture

KINDS = ("full", "tied", "diag", "spherical")
MATRICES = ("means_", "covariances_", "precisions_", "precisions_cholesky_")
METHODS = ("fit", "fit_predict", "predict", "predict_proba", "score", "score_samples", "sample", "bic", "aic")
FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame}
NAMES = ["length", "width"]


def clouds(d=2, n=200, seed=0):
    """Three clouds of standard deviation 1, four apart in every feature, in random order."""
    rng = np.random.default_rng(seed)
    X = np.concatenate([rng.normal(size=(n, d)) + 4 * center for center in range(3)])
    return rng.permutation(X)


def equal_start(X, kind):
    """The same start for both classes, in the precision of X: three rows of X, unit variances."""
    k, d = 3, X.shape[1]
    precisions = naive.reduce_covariances(np.tile(np.eye(d), (k, 1, 1)), np.full(k, 1 / k), kind)
    nearest = [int(np.abs(X - 4.0 * center).sum(axis=1).argmin()) for center in range(k)]
    arrays = {"weights_init": np.array([0.25, 0.25, 0.5]), "means_init": X[nearest], "precisions_init": precisions}
    starts = {name: array.astype(X.dtype) for name, array in arrays.items()}
    return {"n_components": k, "covariance_type": kind, **starts}


def fitted(X, **settings):
    return GaussianMixture(3, random_state=0, **settings).fit(X)


def framed(make, array, names=NAMES):
    return make({name: array[:, j] for j, name in enumerate(names)})


def complaint(function, *arguments):
    """Type and text of the error, or of the first warning, that a call ends in; None if it ends in neither."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            function(*arguments)
        except (ValueError, TypeError, UserWarning) as error:
            return type(error), str(error)
    return None


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


# -------------------------------------------------------------------------------------------------------------- frames


@pytest.fixture(params=FRAMES)
def library(request):
    return request.param


@pytest.fixture
def make(library):
    return FRAMES[library]


def test_a_frame_is_fitted_and_predicted_as_its_array(make):
    X = clouds()
    frame = framed(make, X)
    by_frame, by_array = fitted(frame), fitted(X)
    for name in ("weights_", *MATRICES):
        np.testing.assert_array_equal(getattr(by_frame, name), getattr(by_array, name), err_msg=name)
    for name in ("predict", "predict_proba", "score_samples", "score", "aic", "bic"):
        np.testing.assert_array_equal(getattr(by_frame, name)(frame), getattr(by_array, name)(X), err_msg=name)
    np.testing.assert_array_equal(GaussianMixture(3, random_state=0).fit_predict(frame), by_array.predict(X))


def test_a_frame_names_the_features(make):
    mixture = fitted(framed(make, clouds()))
    assert mixture.feature_names_in_.tolist() == NAMES
    assert mixture.feature_names_in_.dtype == object
    assert mixture.n_features_in_ == 2


def test_an_array_names_no_features_and_makes_older_names_forgotten(make):
    X = clouds()
    mixture = fitted(framed(make, X))
    mixture.fit(X)
    assert not hasattr(mixture, "feature_names_in_")
    assert mixture.n_features_in_ == 2


def test_columns_without_string_names_name_no_features():
    mixture = fitted(pd.DataFrame(clouds()))
    assert not hasattr(mixture, "feature_names_in_")


def test_names_that_are_strings_and_numbers_are_refused_as_scikit_learn_does():
    frame = pd.DataFrame(clouds(), columns=["length", 1])
    found, expected = complaint(fitted, frame), complaint(Reference(3).fit, frame)
    assert found == expected
    assert expected[0] is TypeError


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score", "bic", "aic"])
@pytest.mark.parametrize(
    "names",
    [["width", "length"], ["length", "depth"], ["length"], ["length", "width", "depth"]],
    ids=["reordered", "renamed", "one too few", "one too many"],
)
def test_other_columns_are_refused_as_scikit_learn_does(names, method, make):
    X = clouds(3)
    train, other = framed(make, X), framed(make, X, names)
    ours, theirs = fitted(train), Reference(3, random_state=0).fit(train)
    found, expected = complaint(getattr(ours, method), other), complaint(getattr(theirs, method), other)
    assert found == expected
    assert expected[0] is ValueError


def test_an_array_after_a_frame_warns_as_scikit_learn_does(make):
    X = clouds()
    mixture = fitted(framed(make, X))
    with pytest.warns(UserWarning, match="X does not have valid feature names, but GaussianMixture was fitted with"):
        labels = mixture.predict(X)
    np.testing.assert_array_equal(labels, fitted(X).predict(X))


def test_a_frame_after_an_array_warns_as_scikit_learn_does(make):
    X = clouds()
    with pytest.warns(UserWarning, match="X has feature names, but GaussianMixture was fitted without feature names"):
        fitted(X).predict(framed(make, X))


@pytest.mark.parametrize("dtype", [np.int64, np.int16, np.uint8, np.float32])
def test_frames_of_other_numbers_are_fitted_as_their_array(dtype, make):
    X = np.abs(clouds() * 10).astype(dtype)
    frame = framed(make, X)
    by_frame, by_array = fitted(frame), fitted(X)
    np.testing.assert_array_equal(by_frame.covariances_, by_array.covariances_)
    np.testing.assert_array_equal(by_frame.predict_proba(frame), by_array.predict_proba(X))
    assert by_frame.means_.dtype == (np.float32 if dtype == np.float32 else np.float64)


def test_a_frame_of_several_types_is_fitted_as_float64(make):
    X = clouds()
    whole = np.round(X[:, 0]).astype(np.int32)
    mixture = fitted(make({"length": whole, "width": X[:, 1]}))
    np.testing.assert_array_equal(mixture.means_, fitted(np.column_stack([whole, X[:, 1]])).means_)


@pytest.mark.parametrize("dtype", ["Float64", "Int64", "double[pyarrow]", "int64[pyarrow]", "object"])
def test_pandas_extension_types_are_fitted_as_their_array(dtype):
    X = np.round(clouds() * 10)
    frame = framed(pd.DataFrame, X).astype(dtype)
    np.testing.assert_array_equal(fitted(frame).covariances_, fitted(X).covariances_)


def with_a_gap(library, dtype):
    """Six rows of two columns, the second of which lacks a value."""
    whole, gap = [1, 2, 3, 11, 12, 13], [1, 2, None, 11, 12, 13]
    if library == "polars":
        kind = {"int": pl.Int64, "float": pl.Float64}[dtype]
        return pl.DataFrame({"length": pl.Series(whole, dtype=kind), "width": pl.Series(gap, dtype=kind)})
    return pd.DataFrame({"length": pd.Series(whole, dtype=dtype), "width": pd.Series(gap, dtype=dtype)})


MISSING = [
    ("pandas", "float64"),
    ("pandas", "Float64"),
    ("pandas", "Int64"),
    ("pandas", "double[pyarrow]"),
    ("pandas", "object"),
    ("polars", "float"),
    ("polars", "int"),
]


@pytest.mark.parametrize(("library", "dtype"), MISSING)
def test_a_missing_value_is_refused_by_a_value_error_that_names_x(library, dtype):
    frame = with_a_gap(library, dtype)
    with pytest.raises(ValueError, match=r"\bX\b"):
        Reference(2).fit(frame)
    with pytest.raises(ValueError, match=r"\bX\b"):
        GaussianMixture(2).fit(frame)


@pytest.mark.parametrize(("library", "dtype"), MISSING)
def test_a_missing_value_is_refused_by_predictions_too(library, dtype):
    frame = with_a_gap(library, dtype)
    complete = FRAMES[library]({name: [1.0, 2.0, 3.0, 11.0, 12.0, 13.0] for name in NAMES})
    with pytest.raises(ValueError, match=r"\bX\b"):
        GaussianMixture(2, random_state=0).fit(complete).predict(frame)


@pytest.mark.parametrize("make_column", [pd.Series, pl.Series, list])
def test_sample_weight_may_be_a_column(make_column):
    X, weights = clouds(), np.random.default_rng(1).random(600)
    mixture = GaussianMixture(3, random_state=0).fit(X, sample_weight=make_column(weights))
    expected = GaussianMixture(3, random_state=0).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(mixture.means_, expected.means_)


# ----------------------------------------------------------------------------------------------- pipelines and searches


def test_a_pipeline_scales_and_fits(make):
    X = clouds() * [1.0, 1000.0]
    frame = framed(make, X)
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(3, random_state=0)).fit(frame)
    scaled = StandardScaler().fit_transform(X)
    np.testing.assert_array_equal(pipeline.predict(frame), fitted(scaled).predict(scaled))
    assert pipeline.score(frame) == pytest.approx(fitted(scaled).score(scaled), rel=1e-12)


def test_a_pipeline_passes_frames_and_their_names_on(make, library):
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(3, random_state=0)).set_output(transform=library)
    pipeline.fit(framed(make, clouds()))
    assert pipeline[-1].feature_names_in_.tolist() == NAMES


def test_parameters_nested_in_a_pipeline_are_set_and_cloned():
    pipeline = Pipeline([("scale", StandardScaler()), ("mixture", GaussianMixture(3, random_state=0))])
    pipeline.set_params(mixture__n_components=2, mixture__covariance_type="diag")
    copied = clone(pipeline.fit(clouds()))
    assert copied["mixture"].get_params() == pipeline["mixture"].get_params()
    assert copied["mixture"].n_components == 2
    assert not hasattr(copied["mixture"], "means_")
    assert pipeline["mixture"].covariances_.shape == (2, 2)


def test_a_clone_holds_the_starts_and_no_fit():
    mixture = GaussianMixture(**equal_start(clouds(), "full")).fit(clouds())
    copied = clone(mixture)
    np.testing.assert_array_equal(copied.means_init, mixture.means_init)
    assert [name for name in vars(copied) if name.endswith("_")] == []


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_grid_search_chooses_as_with_scikit_learn(n_jobs):
    X = clouds()
    grid = {"n_components": [1, 2, 3], "covariance_type": list(KINDS)}

    def search(kind):
        # tol: both go on to the maximum, where their different starts are forgotten
        return GridSearchCV(kind(random_state=0, tol=1e-9, max_iter=2000, n_init=3), grid, cv=3, n_jobs=n_jobs).fit(X)

    with joblib.parallel_config(backend="threading"):
        ours, theirs = search(GaussianMixture), search(Reference)
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_params_["n_components"] == 3
    # tol leaves parameters uncertain by about sqrt(tol), scores by less
    assert ours.best_score_ == pytest.approx(theirs.best_score_, rel=1e-5)
    assert ours.score(X) == ours.best_estimator_.score(X)
    np.testing.assert_array_equal(ours.predict(X), ours.best_estimator_.predict(X))


@pytest.mark.parametrize("kind", KINDS)
def test_cross_validation_scores_equal_scikit_learns(kind):
    settings = {"n_components": 3, "covariance_type": kind, "random_state": 0, "tol": 1e-9, "max_iter": 2000}
    found = cross_val_score(GaussianMixture(**settings), clouds(), cv=4)
    # as above
    np.testing.assert_allclose(found, cross_val_score(Reference(**settings), clouds(), cv=4), rtol=1e-5)


# ---------------------------------------------------------------------------------------------------- metadata routing


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def weights_without_the_upper_cloud(X):
    """Ones, and 0 above: a fit that were passed no weights would be another."""
    return (X.sum(axis=1) < 12).astype(float)


@pytest.mark.usefixtures("routing")
def test_a_pipeline_routes_sample_weight_to_fit():
    X = clouds()
    weights = weights_without_the_upper_cloud(X)
    mixture = GaussianMixture(2, random_state=0).set_fit_request(sample_weight=True)
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    pipeline = make_pipeline(scaler, mixture).fit(X, sample_weight=weights)
    scaled = StandardScaler().fit_transform(X)
    expected = GaussianMixture(2, random_state=0).fit(scaled, sample_weight=weights)
    np.testing.assert_array_equal(pipeline[-1].means_, expected.means_)
    assert not np.allclose(expected.means_, GaussianMixture(2, random_state=0).fit(scaled).means_)


@pytest.mark.usefixtures("routing")
def test_a_pipeline_routes_sample_weight_to_score():
    X = clouds()
    weights = weights_without_the_upper_cloud(X)
    mixture = GaussianMixture(3, random_state=0).set_fit_request(sample_weight=False)
    pipeline = make_pipeline(StandardScaler(), mixture.set_score_request(sample_weight=True)).fit(X)
    scaled = pipeline[0].transform(X)
    assert pipeline.score(X, sample_weight=weights) == pipeline[-1].score(scaled, sample_weight=weights)
    assert pipeline.score(X, sample_weight=weights) != pipeline.score(X)


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize(("to_fit", "to_score"), [(True, True), (True, False), (False, True)])
def test_cross_validation_routes_sample_weight_where_it_is_requested(to_fit, to_score):
    X = clouds()
    weights = weights_without_the_upper_cloud(X)
    mixture = GaussianMixture(2, random_state=0)
    mixture.set_fit_request(sample_weight=to_fit).set_score_request(sample_weight=to_score)
    folds = KFold(3)
    found = cross_validate(mixture, X, cv=folds, params={"sample_weight": weights})["test_score"]
    expected = [
        GaussianMixture(2, random_state=0)
        .fit(X[train], sample_weight=weights[train] if to_fit else None)
        .score(X[test], sample_weight=weights[test] if to_score else None)
        for train, test in folds.split(X)
    ]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("routing")
def test_sample_weight_that_is_not_requested_is_refused():
    X = clouds()
    with pytest.raises(ValueError, match="sample_weight"):
        cross_validate(GaussianMixture(2), X, params={"sample_weight": np.ones(len(X))})


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
    assert [(ours[name].kind, ours[name].default) for name in theirs] == [(p.kind, p.default) for p in theirs.values()]
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


# -------------------------------------------------------------------------------------------------------------- trouble


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
