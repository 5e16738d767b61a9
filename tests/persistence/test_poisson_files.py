"""Poisson mixtures and their statistics on disk: what is saved comes back; what is damaged is a ValueError."""

from dataclasses import replace

import numpy as np
import pytest
from support import datasets
from support.asserts import same_fit
from support.sweeps import poisson_params

import fastem
from fastem import PoissonMixture, PoissonPrior
from fastem._storage import read, write
from fastem.estimators.base import MODEL, MODEL_LAYOUT

X = datasets.three_columns.X
MODELS = {
    "plain": PoissonMixture(2, order_by="rates"),
    "fixed": PoissonMixture(2, fixed={"rates": np.array([True, False])}, rates_init=[[2, 1, 30], [5, 4, 12]]),
    "prior": PoissonMixture(2, prior=PoissonPrior(2.0, 3.0, 1.5), random_state=0),
    "empty": PoissonMixture(2, weights_init=[1.0, 0.0], random_state=0),
}
pytestmark = pytest.mark.filterwarnings("ignore::fastem.EmptyComponentWarning")


@pytest.mark.parametrize("name", MODELS)
def test_what_is_saved_comes_back(name, tmp_path):
    mixture = MODELS[name].fit(X)
    mixture.save(tmp_path / "model.npz")
    again = fastem.load(tmp_path / "model.npz")
    assert type(again) is PoissonMixture
    same_fit(again, mixture)
    np.testing.assert_array_equal(again.predict_proba(X), mixture.predict_proba(X))
    assert str(again.diagnose()) == str(mixture.diagnose())
    settings, expected = again.get_params(deep=False), mixture.get_params(deep=False)
    assert {key: repr(value) for key, value in settings.items()} == {k: repr(v) for k, v in expected.items()}


def test_what_partial_fit_remembers_comes_back(tmp_path):
    mixture = PoissonMixture(2, random_state=0).partial_fit(X[:400]).partial_fit(X[400:])
    mixture.save(tmp_path / "model.npz")
    again = fastem.load(tmp_path / "model.npz").partial_fit(X)
    np.testing.assert_array_equal(again.rates_, mixture.partial_fit(X).rates_)
    assert again.stats_.total == mixture.stats_.total


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf, 2.0**60])
def test_rates_that_are_none_are_refused(bad, tmp_path):
    path = tmp_path / "model.npz"
    MODELS["plain"].fit(X).save(path)
    header, arrays = read(path, MODEL, MODEL_LAYOUT)
    arrays[header["attributes"]["dict"]["rates_"]["array"]] = np.full((2, 3), bad)
    write(path, MODEL, MODEL_LAYOUT, header, arrays)
    with pytest.raises(ValueError, match=r"model\.npz"):
        fastem.load(path)


def test_sums_come_back_and_go_on(tmp_path):
    sums = fastem.accumulate(poisson_params(datasets.three_columns), X)
    sums.save(tmp_path / "sums.npz")
    again = fastem.load_stats(tmp_path / "sums.npz")
    assert type(again) is fastem.PoissonStats
    for name in (*sums.sum_names(), "loglik"):
        np.testing.assert_array_equal(getattr(again, name), getattr(sums, name))
    np.testing.assert_array_equal((again + sums).maximize().rates, (sums + sums).maximize().rates)


@pytest.mark.parametrize("name", ["events", "exposure", "counts"])
def test_sums_that_are_not_finite_are_refused(name, tmp_path):
    sums = fastem.accumulate(poisson_params(datasets.three_columns), X)
    damaged = replace(sums, **{name: np.full_like(getattr(sums, name), np.nan)})
    damaged.save(tmp_path / "sums.npz")
    with pytest.raises(ValueError, match=r"sums\.npz"):
        fastem.load_stats(tmp_path / "sums.npz")
