"""Models on disk: what is saved comes back."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.asserts import same_fit
from support.saved_models import HEADS, MODELS, X, fitted

import fastem

pytestmark = pytest.mark.filterwarnings("ignore::fastem.EmptyComponentWarning")
RELEASED = sorted((Path(__file__).parents[1] / "released").glob("*.npz"))


@pytest.mark.parametrize("name", MODELS)
def test_what_is_saved_comes_back(name, tmp_path):
    mixture = fitted(name)
    mixture.save(tmp_path / "model.npz")
    again = fastem.load(tmp_path / "model.npz")
    assert type(again) is type(mixture)
    same_fit(again, mixture)
    rows = HEADS if name == "counts" else X
    np.testing.assert_array_equal(again.predict_proba(rows), mixture.predict_proba(rows))
    assert str(again.diagnose()) == str(mixture.diagnose())
    settings, expected = again.get_params(deep=False), mixture.get_params(deep=False)
    if name == "full":
        assert settings.pop("random_state") is None  # a generator is no value
        del expected["random_state"]
    assert {key: repr(value) for key, value in settings.items()} == {k: repr(value) for k, value in expected.items()}


def test_precision_and_names_of_features_come_back(tmp_path):
    frame = pd.DataFrame(X.astype(np.float32), columns=["height", "weight"])
    mixture = fastem.GaussianMixture(2, random_state=0).fit(frame)
    mixture.save(str(tmp_path / "model.npz"))
    again = fastem.load(str(tmp_path / "model.npz"))
    assert again.means_.dtype == np.float32
    assert again.feature_names_in_.tolist() == ["height", "weight"]
    np.testing.assert_array_equal(again.score_samples(frame), mixture.score_samples(frame))


@pytest.mark.parametrize("mixture", [fastem.GaussianMixture(2, random_state=0), fastem.BinomialMixture(2, n_trials=10)])
def test_what_partial_fit_remembers_comes_back(mixture, tmp_path):
    rows = HEADS if mixture.get_params().get("n_trials") else X
    mixture.partial_fit(rows[:100]).partial_fit(rows[100:])
    mixture.save(tmp_path / "model.npz")
    again = fastem.load(tmp_path / "model.npz")
    assert str(again.diagnose()) == str(mixture.diagnose())
    again.partial_fit(rows)
    mixture.partial_fit(rows)
    np.testing.assert_array_equal(again.weights_, mixture.weights_)
    assert again.stats_.total == mixture.stats_.total


@pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning")  # between floors, as rounding has it
def test_rows_on_a_line_in_any_units_come_back(tmp_path):
    """Covariances that are as good as singular are those of a mixture, as the floor has left them."""
    for dtype in (np.float64, np.float32):
        line = (np.random.default_rng(0).normal(size=(50, 1)) * [1e-3, 1e4, 2.0]).astype(dtype)
        variances = line.astype(float).var(axis=0)
        start = {"weights_init": [0.5, 0.5], "means_init": line[:2]}
        start["precisions_init"] = np.array([np.diag(1 / variances)] * 2)
        mixture = fastem.GaussianMixture(2, reg_covar=0.0, **start).fit(line)
        mixture.save(tmp_path / "model.npz")
        same_fit(fastem.load(tmp_path / "model.npz"), mixture)


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_files_of_released_versions_stay_readable(path):
    """Named after version and model; the predictions of that version stand in the JSON beside it."""
    mixture, told = fastem.load(path), json.loads(path.with_suffix(".json").read_text())
    np.testing.assert_allclose(mixture.score_samples(told["X"]), told["score_samples"], rtol=1e-9)
    assert mixture.predict(told["X"]).tolist() == told["predict"]


def test_there_are_files_of_released_versions():
    assert {path.stem for path in RELEASED} >= {"0.1.0-normal", "0.1.0-binomial"}


def test_only_what_is_fitted_can_be_saved(tmp_path):
    with pytest.raises(fastem.NotFittedError):
        fastem.GaussianMixture(2).save(tmp_path / "model.npz")
    with pytest.raises(TypeError, match="path must be a path, got 3"):
        fitted("full").save(3)
    with pytest.raises(TypeError, match="path must be a path, got None"):
        fastem.load(None)


def test_where_nothing_can_be_written_the_old_file_stays(tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    fitted("full").save(path)
    before = path.read_bytes()
    with pytest.raises(OSError, match="missing"):
        fitted("full").save(tmp_path / "missing" / "model.npz")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fitted("diag").save(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["model.npz"]


class OfAUser(fastem.GaussianMixture):
    """A subclass."""


def test_what_load_would_not_know_is_not_saved(tmp_path):
    with pytest.raises(TypeError, match="save writes the estimators of fastem, not a subclass, got a OfAUser"):
        OfAUser(2).fit(X).save(tmp_path / "model.npz")
    mixture = fastem.GaussianMixture(2, random_state=0, means_init=np.array([[0.0, 0], [4, 4]], object)).fit(X)
    mixture.note = "of the user's"
    mixture.set_params(precisions_init=None)
    mixture.save(tmp_path / "model.npz")
    again = fastem.load(tmp_path / "model.npz")
    assert not hasattr(again, "note")
    same_fit(again.fit(X), mixture)
    framed = fastem.GaussianMixture(2, random_state=0, means_init=pd.DataFrame([[0.0, 0.0], [4.0, 4.0]])).fit(X)
    framed.save(tmp_path / "model.npz")
    same_fit(fastem.load(tmp_path / "model.npz"), framed)


@pytest.mark.skipif(os.name == "nt", reason="links, modes and pipes of POSIX")
def test_links_are_followed_permissions_kept_and_what_is_no_file_refused(tmp_path):
    path, link = tmp_path / "model.npz", tmp_path / "link.npz"
    fitted("full").save(path)
    path.chmod(0o640)
    link.symlink_to(path)
    fitted("diag").save(link)
    assert link.is_symlink()
    assert fastem.load(path).covariance_type == "diag"
    assert path.stat().st_mode & 0o777 == 0o640
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is not a regular file, and cannot be replaced"):
        fitted("full").save(tmp_path / "pipe")


def test_two_that_write_one_file_leave_one_of_the_two(tmp_path):
    path, models = tmp_path / "model.npz", [fitted("full"), fitted("diag")]
    models[0].save(path)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            saved = [pool.submit(model.save, path) for model in models]
            assert fastem.load(path).covariance_type in ("full", "diag")
            for each in saved:
                each.result()
    assert [each.name for each in tmp_path.iterdir()] == ["model.npz"]


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_a_name_that_is_none_is_refused(path):
    with pytest.raises(ValueError, match="path must be the name of a file"):
        fitted("full").save(path)
    with pytest.raises(ValueError, match="path must be the name of a file"):
        fastem.load(path)


def test_a_missing_file_is_that():
    with pytest.raises(FileNotFoundError):
        fastem.load("/nowhere/model.npz")


@pytest.mark.parametrize("there", [True, False])
def test_a_fit_of_a_loaded_model_writes_nothing_where_its_file_says(there, tmp_path):
    journal = tmp_path / "of somebody.checkpoint"
    fastem.GaussianMixture(2, random_state=0, checkpoint=journal).fit(X).save(tmp_path / "model.npz")
    before = journal.read_bytes()
    if not there:
        journal.unlink()
    mixture = fastem.load(tmp_path / "model.npz")
    assert mixture.checkpoint is None
    mixture.fit(X + 1.0)
    mixture.set_params(warm_start=True).fit(X + 1.0).partial_fit(X)
    assert (journal.read_bytes() == before) if there else not journal.exists()
