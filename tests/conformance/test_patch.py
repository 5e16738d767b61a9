"""scikit-learn's mixtures replaced by fastem's: wherever their names are, until they are given back."""

import copy
import pickle
import sys
import types

import numpy as np
import pytest
import sklearn
import sklearn.mixture
from sklearn.base import clone
from sklearn.mixture import _bayesian_mixture, _gaussian_mixture
from sklearn.mixture._base import BaseMixture
from sklearn.model_selection import GridSearchCV
from support.drop_in import clouds

import fastem
from fastem.estimators import sklearn_patch

THEIRS = {name: getattr(sklearn.mixture, name) for name in ("GaussianMixture", "BayesianGaussianMixture")}
HOMES = {"GaussianMixture": _gaussian_mixture, "BayesianGaussianMixture": _bayesian_mixture}


@pytest.fixture(autouse=True)
def given_back():
    yield
    fastem.unpatch_sklearn()


@pytest.fixture
def client(monkeypatch):
    """A module that has imported scikit-learn's class before, under a name of its own."""
    module = types.ModuleType("a_client_of_mixtures")
    module.Model = THEIRS["GaussianMixture"]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def all_names():
    """Every name of a loaded module for one of scikit-learn's mixtures or one of fastem's."""
    classes = {id(kind) for kind in (*THEIRS.values(), fastem.GaussianMixture, fastem.BayesianGaussianMixture)}
    return {
        (key, name): value
        for key, module in list(sys.modules.items())
        for name, value in list(getattr(module, "__dict__", {}).items())
        if id(value) in classes
    }


@pytest.mark.parametrize("name", THEIRS)
def test_every_name_is_replaced_and_given_back(name, client):
    before = all_names()
    fastem.patch_sklearn()
    for place in (sklearn.mixture, HOMES[name]):
        assert getattr(place, name) is getattr(fastem, name)
    assert client.Model is fastem.GaussianMixture
    assert not [key for key, value in all_names().items() if value in THEIRS.values()]
    fastem.unpatch_sklearn()
    assert all_names() == before
    assert client.Model is THEIRS["GaussianMixture"]


def test_a_patch_ends_with_its_statement_and_after_an_error():
    with fastem.patch_sklearn():
        assert sklearn.mixture.GaussianMixture is fastem.GaussianMixture
    assert sklearn.mixture.GaussianMixture is THEIRS["GaussianMixture"]
    with pytest.raises(ZeroDivisionError), fastem.patch_sklearn():
        _ = 1 / 0
    assert sklearn.mixture.GaussianMixture is THEIRS["GaussianMixture"]


def test_a_second_patch_is_none():
    """The inner statement leaves what the outer has made, and one call gives everything back."""
    with fastem.patch_sklearn():
        with fastem.patch_sklearn():
            pass
        assert sklearn.mixture.GaussianMixture is fastem.GaussianMixture
        fastem.patch_sklearn()
    assert sklearn.mixture.GaussianMixture is THEIRS["GaussianMixture"]
    fastem.unpatch_sklearn()
    fastem.unpatch_sklearn()


def test_a_name_that_its_module_has_changed_since_is_left_alone(client):
    fastem.patch_sklearn()
    client.Model = int
    fastem.unpatch_sklearn()
    assert client.Model is int


def test_modules_that_are_loaded_when_they_are_used_stay_unloaded(monkeypatch):
    class Lazy(types.ModuleType):
        def __getattribute__(self, name):
            raise AssertionError(f"{name} was read")

    monkeypatch.setitem(sys.modules, "lazy", Lazy("lazy"))
    monkeypatch.setitem(sys.modules, "no_module", object())
    with fastem.patch_sklearn():
        assert sklearn.mixture.GaussianMixture is fastem.GaussianMixture


# ----------------------------------------------------------------------------------------------------------- isinstance


@pytest.mark.parametrize("name", THEIRS)
def test_fastems_are_scikit_learns_without_a_patch(name):
    ours = getattr(fastem, name)
    assert isinstance(ours(), THEIRS[name])
    assert isinstance(ours(), BaseMixture)
    assert issubclass(ours, THEIRS[name])
    assert issubclass(type("OfAUser", (ours,), {}), THEIRS[name])
    assert not issubclass(THEIRS[name], ours)
    assert not isinstance(THEIRS[name](), ours)


def test_a_gaussian_mixture_is_no_bayesian_one_and_counts_are_no_gaussians():
    assert not isinstance(fastem.GaussianMixture(), THEIRS["BayesianGaussianMixture"])
    assert not isinstance(fastem.PoissonMixture(), BaseMixture)


@pytest.mark.parametrize("name", THEIRS)
def test_what_was_made_before_the_patch_is_of_the_class_by_its_name(name):
    before = THEIRS[name]()
    with fastem.patch_sklearn():
        assert isinstance(before, getattr(sklearn.mixture, name))
        assert isinstance(getattr(sklearn.mixture, name)(), getattr(sklearn.mixture, name))
        assert not isinstance(fastem.PoissonMixture(), getattr(sklearn.mixture, name))
        assert not isinstance(before, type("OfAUser", (getattr(fastem, name),), {}))
    assert not isinstance(before, getattr(fastem, name))


# ------------------------------------------------------------------------------------------------------- while patched


@pytest.mark.parametrize("name", THEIRS)
def test_copies_and_pickles_while_patched(name):
    X = clouds()
    with fastem.patch_sklearn():
        mixture = getattr(sklearn.mixture, name)(n_components=3, random_state=0).fit(X)
        unfitted = clone(mixture)
        assert type(unfitted) is getattr(fastem, name)
        assert unfitted.get_params() == mixture.get_params()
        stored = pickle.dumps(mixture)
        np.testing.assert_array_equal(pickle.loads(stored).predict_proba(X), mixture.predict_proba(X))
    assert type(pickle.loads(stored)) is getattr(fastem, name)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda mixture: pickle.loads(pickle.dumps(mixture))])
@pytest.mark.parametrize("name", THEIRS)
def test_what_was_made_before_is_still_copied(name, copied):
    """A pickle names its class, and that name is another's while the patch lasts."""
    X = clouds()
    before = THEIRS[name](n_components=3, random_state=0).fit(X)
    with fastem.patch_sklearn():
        other = copied(before)
    assert type(other) is THEIRS[name]
    np.testing.assert_array_equal(other.predict_proba(X), before.predict_proba(X))
    assert type(clone(before)) is THEIRS[name]


@pytest.mark.parametrize("name", THEIRS)
def test_pickles_of_scikit_learn_are_read_as_fastems(name):
    X = clouds()
    before = THEIRS[name](n_components=3, random_state=0).fit(X)
    stored = pickle.dumps(before)
    with fastem.patch_sklearn():
        other = pickle.loads(stored)
    assert type(other) is getattr(fastem, name)
    # both are a few roundings from the exact probabilities
    np.testing.assert_allclose(other.predict_proba(X), before.predict_proba(X), rtol=1e-10, atol=1e-14)
    assert other.fit(X).converged_


def test_a_search_fits_fastems_mixtures():
    with fastem.patch_sklearn():
        estimator = sklearn.mixture.GaussianMixture(random_state=0)
        search = GridSearchCV(estimator, {"n_components": [2, 3], "init_params": ["auto", "kmeans"]}, cv=3)
        search.fit(clouds())
    assert type(search.best_estimator_) is fastem.GaussianMixture
    assert search.best_params_["n_components"] == 3


def test_a_patched_default_is_fastems():
    with fastem.patch_sklearn():
        assert sklearn.mixture.GaussianMixture().init_params == "auto"


@pytest.mark.parametrize("patched_first", [True, False])
def test_a_subclass_with_a_step_of_its_own_keeps_the_base_that_it_was_made_with(patched_first):
    rows = clouds()

    def made():
        def m_step(self, *args, **kwargs):
            return THEIRS["GaussianMixture"]._m_step(self, *args, **kwargs)

        return type("Weighted", (sklearn.mixture.GaussianMixture,), {"_m_step": m_step})

    early = None if patched_first else made()
    with fastem.patch_sklearn():
        if patched_first:
            with pytest.raises(
                TypeError, match=r"overrides _m_step.*imported before patch_sklearn\(\) is called keeps"
            ):
                made()(2).fit(rows)
        else:
            assert early(2, random_state=0).fit(rows).converged_


def test_without_scikit_learn_the_error_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.mixture", None)
    with pytest.raises(ImportError, match="patch_sklearn needs scikit-learn: pip install scikit-learn"):
        fastem.patch_sklearn()
    assert not sklearn_patch.REPLACED
