"""Subclasses: what overrides a method that only scikit-learn calls is refused; all others are fitted as they say."""

import pickle

import numpy as np
import pytest
import sklearn.mixture
from sklearn.base import BaseEstimator, DensityMixin, clone
from sklearn.mixture._base import BaseMixture

import fastem
from fastem import BinomialMixture, GaussianMixture
from fastem.estimators.hooks import INSTEAD, OF_PREDICTIONS
from fastem.estimators.registry import estimator_type
from fastem.estimators.sklearn_names import SklearnNames
from fastem.families.registry import NAMES

X = np.concatenate([np.random.default_rng(0).normal(size=(50, 2)), np.random.default_rng(1).normal(size=(50, 2)) + 6])

THEIRS = sorted(
    name
    for name in {**vars(BaseMixture), **vars(sklearn.mixture.GaussianMixture)}
    if name.startswith("_") and not name.startswith("__") and callable(getattr(sklearn.mixture.GaussianMixture, name))
    and not hasattr(BaseEstimator, name) and not hasattr(DensityMixin, name)
)  # fmt: skip


def never(self, *args, **kwargs):
    raise AssertionError("is not called")


def subclass(*bases, **members):
    return type("OfAUser", bases, members)


def test_the_table_has_every_hook_of_the_installed_scikit_learn_that_is_not_called_here():
    called_here = {name for name in THEIRS if hasattr(GaussianMixture, name) and name not in vars(SklearnNames)}
    assert called_here == {"_n_parameters"}
    assert set(THEIRS) - called_here <= set(INSTEAD)
    found = [name for name in INSTEAD if hasattr(GaussianMixture, name) and not hasattr(BaseEstimator, name)]
    assert set(found) <= set(vars(SklearnNames))
    assert len(THEIRS) > 15


@pytest.mark.parametrize("hook", INSTEAD)
@pytest.mark.parametrize("base", [estimator_type(name) for name in NAMES])
def test_a_hook_that_would_have_no_effect_is_refused_by_name(base, hook):
    kind, trials = subclass(base, **{hook: never}), {"trials": 10} if base is BinomialMixture else {}
    rows = np.array([1, 9, 2, 8])[:, np.newaxis]
    with pytest.raises(TypeError, match=f"OfAUser overrides {hook}, which .* no effect. In its place, .{{30,}}"):
        kind(2).fit(rows, **trials)
    with pytest.raises(TypeError, match=f"overrides {hook}"):
        kind(2).partial_fit(rows, **trials)
    with pytest.raises(TypeError, match=f"overrides {hook}"):
        fastem.select(rows, [1], estimator=kind(), **trials)


@pytest.mark.parametrize("hook", INSTEAD)
@pytest.mark.parametrize(
    "name", ["predict", "predict_proba", "score_samples", "score", "aic", "bic", "standard_errors"]
)
@pytest.mark.seconds
def test_predictions_are_refused_where_scikit_learn_would_call_the_hook(name, hook):
    mixture = GaussianMixture(2, random_state=0).fit(X)
    mixture.__class__ = subclass(GaussianMixture, **{hook: never})
    if hook in OF_PREDICTIONS:
        with pytest.raises(TypeError, match=f"overrides {hook}"):
            getattr(mixture, name)(X)
    else:
        getattr(mixture, name)(X)


def test_it_is_found_wherever_it_comes_from():
    mixin = type("Mixin", (), {"_m_step": never})
    for kind in (subclass(mixin, GaussianMixture), subclass(GaussianMixture, mixin),
                 subclass(subclass(GaussianMixture, _m_step=never))):  # fmt: skip
        with pytest.raises(TypeError, match="overrides _m_step"):
            kind(2).fit(X)
    mixture = GaussianMixture(2)
    mixture._m_step = never
    with pytest.raises(TypeError, match="overrides _m_step"):
        mixture.fit(X)


def test_base_classes_of_scikit_learn_are_no_override():
    subclass(GaussianMixture, sklearn.mixture.GaussianMixture)(2, random_state=0).fit(X).predict(X)


class Scaled(GaussianMixture):
    """Overrides what is public, adds methods and private names of its own, some of which fastem has too."""

    def fit(self, X, y=None, **rest):
        return super().fit(self._shrunk(X), y, **rest)

    def predict(self, X):
        return super().predict(self._shrunk(X))

    def _shrunk(self, X):
        return np.asarray(X) / 10

    def _helper(self):
        return 3

    def _n_parameters(self):
        return super()._n_parameters() + 1


def test_a_subclass_may_override_what_is_called_and_add_what_it_likes():
    mixture, plain = Scaled(2, random_state=0).fit(X), GaussianMixture(2, random_state=0).fit(X / 10)
    np.testing.assert_array_equal(mixture.means_, plain.means_)
    np.testing.assert_array_equal(mixture.predict(X), plain.predict(X / 10))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(mixture)).predict(X), plain.predict(X / 10))
    assert clone(mixture).get_params() == mixture.get_params()
    assert mixture.n_parameters_ == plain.n_parameters_ + 1
    assert mixture.aic_ == plain.aic_ + 2
    assert mixture.aic(X / 10) == pytest.approx(mixture.aic_, rel=1e-12)


class OwnLoop(GaussianMixture):
    """Calls its own methods of these names, in a fit of its own."""

    def fit(self, X, y=None):
        self.weights_, self.means_, self.covariances_ = self._m_step(X, self._e_step(X))
        return self

    def _e_step(self, X):
        return np.eye(2)[(X[:, 0] > 3).astype(int)]

    def _m_step(self, X, resp):
        return resp.mean(axis=0), resp.T @ X / resp.sum(axis=0)[:, np.newaxis], np.tile(np.eye(2), (2, 1, 1))


def test_a_subclass_with_a_fit_of_its_own_may_name_its_steps_as_it_likes():
    labels = OwnLoop(2).fit(X).predict(X)
    assert (labels[:50] == 0).all()
    assert (labels[50:] == 1).all()
