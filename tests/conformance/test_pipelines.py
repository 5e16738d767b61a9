"""GaussianMixture in scikit-learn's pipelines, searches and metadata routing."""

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.mixture import GaussianMixture as Reference
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from support.drop_in import KINDS, NAMES, clouds, equal_start, fitted, framed

from fastem import GaussianMixture

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
@pytest.mark.seconds
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
