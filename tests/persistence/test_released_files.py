"""Files that version 0.1.0 has written are read by every later one: statistics, checkpoints, selections."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import fastem
from fastem.selection.select import THOROUGH

FOLDER = Path(__file__).parents[1] / "released" / "0.1.0"
EXPECTED = json.loads((FOLDER / "more.json").read_text())
X = np.array(EXPECTED["X"])


def test_a_partial_fit_goes_on_from_its_sums():
    mixture = fastem.load(FOLDER / "partial.npz")
    np.testing.assert_array_equal(mixture.means_, EXPECTED["partial_means"])
    assert isinstance(mixture.prior, fastem.GaussianPrior)
    assert isinstance(mixture.stats_, fastem.GaussianStats)
    assert np.isfinite(mixture.partial_fit(X).means_).all()


def test_statistics_have_the_same_bits():
    stats = fastem.load_stats(FOLDER / "sums-normal.npz")
    assert stats.loglik == EXPECTED["sums_normal_loglik"]
    np.testing.assert_array_equal(stats.first, EXPECTED["sums_normal_first"])
    assert fastem.load_stats(FOLDER / "sums-binomial.npz").total == 4.0


def test_a_fit_goes_on_from_its_checkpoint(tmp_path):
    path = shutil.copy(FOLDER / "checkpoint.npz", tmp_path)
    settings = {"tol": 1e-12, "max_iter": 200, "acceleration": "anderson", "random_state": 0, "init_params": "kmeans"}
    mixture = fastem.GaussianMixture(2, **settings, checkpoint=path).fit(X)
    assert mixture.n_iter_ == EXPECTED["n_iter"]
    assert mixture.loglik_ == pytest.approx(EXPECTED["loglik"], rel=1e-12)  # its last iterations are made here


def test_a_selection_takes_the_mixtures_of_its_folder(tmp_path):
    folder = shutil.copytree(FOLDER / "selection", tmp_path / "selection")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    estimator = fastem.GaussianMixture(**(THOROUGH | {"n_init": 5}), reg_covar="auto", random_state=0)  # as it was then
    kept = fastem.load(folder / "3.npz")
    fastem.select(X, range(1, 4), estimator=estimator, checkpoint=folder)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after | {"3.npz": before["3.npz"]} == before
    largest = fastem.load(folder / "3.npz")  # from where splits and merges lead, it is fitted for the first time
    assert largest.loglik_ > kept.loglik_
    assert set(largest.starts_) > set(kept.starts_)
    assert (kept.neighbours_, largest.neighbours_) == ([2], [2, 3])
