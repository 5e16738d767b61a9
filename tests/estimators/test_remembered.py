"""Settings that change after a fit: what was found with others is used as it was found, or refused by name."""

import copy
import pickle

import numpy as np
import pytest

import fastem
from fastem import BinomialMixture, GaussianMixture, GaussianPrior
from fastem.estimators import fitted_settings
from fastem.estimators.registry import estimator_type
from fastem.families.registry import NAMES

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(60, 2)) @ [[1.0, -0.9], [0.0, 0.3]], RNG.normal(size=(40, 2)) + 5.0])
HEADS = RNG.binomial(10, 0.4, size=(50, 2))
KINDS = ("full", "tied", "diag", "spherical")

READERS = {
    "predict": lambda m: m.predict(X),
    "predict_proba": lambda m: m.predict_proba(X),
    "score_samples": lambda m: m.score_samples(X),
    "score": lambda m: m.score(X),
    "aic": lambda m: m.aic(X),
    "bic": lambda m: m.bic(X),
    "sample": lambda m: m.set_params(random_state=0).sample(5)[0],
    "params_": lambda m: m.params_.means,
    "diagnose": lambda m: str(m.diagnose()),
    "standard_errors": lambda m: m.standard_errors(X).means,
}

OTHERS = {
    "missing": "marginalize",
    "callback": print,
    "n_components": 3, "tol": 0.5, "reg_covar": 9.0, "max_iter": 1, "n_init": 4, "init_params": "random",
    "weights_init": [1.0, 0.0], "means_init": np.zeros((2, 2)), "precisions_init": np.ones(7), "random_state": 5,
    "warm_start": True, "verbose": 2, "verbose_interval": 3, "order_by": "weights", "stopping": "q",
    "acceleration": "anderson", "warm_sweeps": "auto", "on_collapse": "drop", "max_time": 1.0, "on_interrupt": "return",
    "checkpoint": "nowhere/at/all", "checkpoint_every": 1.0, "backend": "cython", "n_threads": 1,
}  # fmt: skip
"""Settings that change nothing that has been found, each with another value than that of the fit."""


def fitted(kind="full", **settings):
    settings = {"tol": 1e-9, "max_iter": 2000, "random_state": 0, "reg_covar": 0.0, "init_params": "kmeans"} | settings
    return GaussianMixture(2, covariance_type=kind, **settings).fit(X)


def refused(call, setting):
    with pytest.raises(ValueError, match=f"{setting} was .* when this mixture was fitted, and is .*fit again"):
        call()


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
@pytest.mark.seconds
def test_arrays_are_not_read_as_those_of_another_covariance_type(kind, other, name):
    """Two components in two dimensions: tied and diagonal covariances have one shape."""
    mixture = fitted(kind)
    expected = READERS[name](mixture)
    mixture.covariance_type = other
    if other != kind:
        refused(lambda: READERS[name](mixture), "covariance_type")
        mixture.set_params(covariance_type=kind)
    np.testing.assert_array_equal(READERS[name](mixture), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_a_fit_goes_on_as_its_own_covariance_type_alone(kind, other, tmp_path):
    mixture = fitted(kind).set_params(covariance_type=other, warm_start=True)
    if other == kind:
        mixture.save(tmp_path / "model.npz")
        assert mixture.fit(X).n_iter_ <= 2
        mixture.partial_fit(X)
        return
    before = dict(vars(mixture))
    refused(lambda: mixture.fit(X), "covariance_type")
    refused(lambda: mixture.partial_fit(X), "covariance_type")
    refused(lambda: mixture.save(tmp_path / "model.npz"), "covariance_type")
    assert vars(mixture) == before
    again = mixture.set_params(warm_start=False).fit(X)
    np.testing.assert_array_equal(again.covariances_, fitted(other).covariances_)
    again.predict(X)


def test_a_partial_fit_remembers_too():
    mixture = GaussianMixture(2, covariance_type="tied", random_state=0).partial_fit(X)
    refused(lambda: mixture.set_params(covariance_type="diag").predict(X), "covariance_type")


def test_the_table_names_every_setting_there_is():
    """A new setting has to be said to change nothing, or to be refused where it has changed."""
    for kind in map(estimator_type, NAMES):
        settings = set(kind().get_params(deep=False)) - {"probs_init", "rates_init", "n_trials"}
        assert settings <= set(fitted_settings.SETTINGS) | set(OTHERS)


@pytest.mark.parametrize("setting", OTHERS)
def test_other_settings_change_nothing_that_was_found(setting, capsys):
    mixture = fitted()
    expected = {name: read(mixture) for name, read in READERS.items()}
    mixture.set_params(**{setting: OTHERS[setting]})
    for name, read in READERS.items():
        np.testing.assert_array_equal(read(mixture), expected[name])


def test_a_fit_goes_on_with_as_many_components_as_it_had():
    mixture = fitted().set_params(n_components=3, warm_start=True)
    refused(lambda: mixture.fit(X), "n_components")
    refused(lambda: mixture.partial_fit(X), "n_components")
    dropped = GaussianMixture(
        3, on_collapse="drop", weights_init=[0.5, 0.5, 0.0], means_init=[[0, 0], [5, 5], [9, 9]], warm_start=True
    ).fit(X)
    assert len(dropped.weights_) == 2
    assert len(dropped.fit(X).weights_) == 2
    dropped.set_params(n_components=5, weights_init=None, means_init=None)
    refused(lambda: dropped.fit(X), "n_components")


FIXED_NOW = [
    (3, TypeError, "fixed must be a tuple of parameter names"),
    ("means", TypeError, "fixed must be a tuple of parameter names"),
    (("mean",), ValueError, "fixed must be one of 'weights', 'means', 'covariances', got 'mean'"),
    ({"means": [True]}, ValueError, r"fixed\['means'\] must be a mask of shape \(2,\)"),
    ({"means": [True, False, False]}, ValueError, r"fixed\['means'\] must be a mask of shape \(2,\)"),
    (("means",), ValueError, r"fixed was \(\) when this mixture was fitted, and is now \['means'\]"),
    ({"means": [True, False]}, ValueError, r"fixed was \(\) .* is now \{'means': \[True, False\]\}"),
]


@pytest.mark.parametrize(("fixed", "error", "message"), FIXED_NOW)
@pytest.mark.parametrize("name", ["aic", "bic", "standard_errors"])
def test_what_is_not_counted_is_what_the_fit_held(fixed, error, message, name):
    mixture = fitted().set_params(fixed=fixed)
    with pytest.raises(error, match=message):
        READERS[name](mixture)
    mixture.predict(X)
    for same in ((), [], {}, frozenset()):
        READERS[name](mixture.set_params(fixed=same))


def test_a_mask_that_is_changed_in_place_has_changed():
    mask = np.array([True, False])
    mixture = GaussianMixture(2, fixed={"means": mask}, means_init=[[0, 0], [5, 5]], random_state=0).fit(X)
    assert mixture.aic(X) == pytest.approx(mixture.aic_, rel=1e-12)
    mask[1] = True
    refused(lambda: mixture.aic(X), "fixed")


def test_standard_errors_are_not_those_of_a_fit_with_a_prior():
    mixture = fitted(prior=GaussianPrior(mean=[2.0, 2.0], mean_precision=1.0)).set_params(prior=None)
    refused(lambda: mixture.standard_errors(X), "prior")
    mixture.bic(X)  # no parameter more or less


def test_counts_remember_as_well():
    mixture = BinomialMixture(2, n_trials=10, probs_init=[[0.2, 0.3], [0.6, 0.7]]).fit(HEADS)
    assert mixture.aic(HEADS) == pytest.approx(mixture.aic_, rel=1e-12)
    refused(lambda: mixture.set_params(fixed=("probs",)).aic(HEADS), "fixed")
    mixture.set_params(fixed=(), n_components=3).predict(HEADS)
    refused(lambda: mixture.set_params(warm_start=True, probs_init=None).fit(HEADS), "n_components")
    expected = BinomialMixture(2, n_trials=20)  # n_trials is trials= where that is not given, and of the rows
    expected.weights_, expected.probs_ = mixture.weights_, mixture.probs_
    np.testing.assert_array_equal(
        mixture.set_params(n_trials=20).score_samples(HEADS), expected.score_samples(HEADS, trials=20)
    )


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_remember(copied):
    mixture = copied(fitted("tied"))
    refused(lambda: mixture.set_params(covariance_type="diag").score(X), "covariance_type")


def test_files_remember(tmp_path):
    fitted("tied", fixed=("weights",), prior=GaussianPrior(scale=np.eye(2))).save(tmp_path / "model.npz")
    mixture = fastem.load(tmp_path / "model.npz")
    assert mixture.settings_ == fitted("tied", fixed=("weights",), prior=GaussianPrior(scale=np.eye(2))).settings_
    refused(lambda: mixture.set_params(covariance_type="diag").score(X), "covariance_type")


# ------------------------------------------------------------------------------------------------- arrays of the user's


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", ["covariances_", "precisions_cholesky_"])
def test_a_mixture_may_be_put_together_by_hand(kind, given):
    """As with scikit-learn's, whose predictions read `precisions_cholesky_`."""
    mixture, own = fitted(kind), GaussianMixture(2, covariance_type=kind)
    for name in ("weights_", "means_", given):
        setattr(own, name, getattr(mixture, name).tolist())
    np.testing.assert_allclose(own.score_samples(X), mixture.score_samples(X), rtol=1e-10)
    assert own.set_params(fixed=("means",)).aic(X) < mixture.aic(X)  # nothing is remembered: the settings say
    with pytest.raises(fastem.NotFittedError):
        own.diagnose()


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_put_together_by_hand_is_saved(kind, tmp_path):
    mixture, own = fitted(kind), GaussianMixture(2, covariance_type=kind)
    own.weights_, own.means_, own.covariances_ = mixture.weights_, mixture.means_, mixture.covariances_
    own.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(fastem.load(tmp_path / "model.npz").score_samples(X), mixture.score_samples(X))


NO_MIXTURE = [
    ("means_", lambda value: value[:1], "should have the shape of"),
    ("means_", lambda value: value[:, :1], "should have the shape of|n_features_in_ is 2, but the parameters have 1"),
    ("means_", lambda value: value.ravel(), "should have the shape of"),
    ("means_", lambda value: value * np.nan, "means must be finite"),
    ("means_", lambda value: "far", "means_ must hold real numbers"),
    ("weights_", lambda value: value[:1], "should have the shape of"),
    ("weights_", lambda value: value * 2, "should be"),
    ("weights_", lambda value: value - 1, "should be in the range"),
    ("covariances_", lambda value: value[:1], "should have the shape of"),
    ("covariances_", lambda value: -value, "should be .*positive"),
    ("covariances_", lambda value: value * np.inf, "covariances must be finite"),
]


@pytest.mark.parametrize(("name", "change", "message"), NO_MIXTURE)
@pytest.mark.parametrize("kind", KINDS)
def test_arrays_that_are_none_of_a_mixture_are_refused(kind, name, change, message):
    mixture = fitted(kind)
    setattr(mixture, name, change(getattr(mixture, name)))
    for read in READERS.values():
        with pytest.raises((ValueError, TypeError), match=message):
            read(mixture)
