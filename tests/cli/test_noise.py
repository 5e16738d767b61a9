"""The command line with --noise: rows that belong to no Gaussian component are -1."""

import json

import numpy as np
import pandas as pd
import pytest

from fastem import GaussianMixture
from fastem.selection.criteria import THOROUGH

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(0, 1, (150, 2)), RNG.normal([6, 0], 1, (150, 2)), RNG.uniform(-15, 20, (40, 2))])
FIT = ["fit", "rows.csv", "--noise", "-k", "2"]


@pytest.fixture
def table(tmp_path, monkeypatch):
    pd.DataFrame(X, columns=["a", "b"]).to_csv(tmp_path / "rows.csv", index=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mixture():
    settings = THOROUGH | {"init_params": "auto", "reg_covar": "auto", "order_by": "means", "random_state": 0}
    return GaussianMixture(2, noise=True, **settings).fit(X)


def test_a_fit_is_that_of_the_estimator(table, ran, mixture):
    code, out, _ = ran(*FIT, "--json")
    found = json.loads(out)
    assert (code, found["rows"], found["n_parameters"]) == (0, 340, 12)
    assert found["noise_weight"] == pytest.approx(mixture.noise_weight_)
    np.testing.assert_allclose(found["means"], mixture.means_)
    _, out, _ = ran(*FIT)
    assert "2 components and a background, full covariances; 340 rows" in out
    assert [line.split()[:2] for line in out.splitlines()][-1] == ["noise", f"{mixture.noise_weight_:.6g}"]


def test_rows_of_the_background_are_minus_one(table, ran, mixture):
    code, _, err = ran(*FIT, "--out", "model.npz", "--assign", "fit.csv", "--probabilities")
    assert (code, err) == (0, [])
    assert ran("predict", "model.npz", "rows.csv", "--probabilities", "--out", "again.csv")[0] == 0
    frame = pd.read_csv("fit.csv")
    pd.testing.assert_frame_equal(frame, pd.read_csv("again.csv"))
    assert frame.columns.tolist() == [
        "component", "probability", "log_density", "probability_0", "probability_1", "probability_noise"
    ]  # fmt: skip
    np.testing.assert_array_equal(frame["component"], mixture.predict(X))
    np.testing.assert_allclose(frame.iloc[:, 3:], mixture.predict_proba(X), atol=1e-12)
    np.testing.assert_allclose(frame["probability"], mixture.predict_proba(X).max(axis=1))


def test_rows_with_gaps_count_by_what_they_have(table, ran, mixture):
    gaps = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
    pd.DataFrame(gaps, columns=["a", "b"]).to_csv("rows.csv", index=False)
    code, out, _ = ran(*FIT, "--keep-missing", "--out", "model.npz", "--assign", "fit.csv", "--json")
    found, expected = json.loads(out), mixture.set_params(missing="marginalize").fit(gaps)
    assert code == 0
    assert found["noise_weight"] == pytest.approx(expected.noise_weight_)
    assert ran("predict", "model.npz", "rows.csv", "--out", "again.csv")[0] == 0
    frame = pd.read_csv("again.csv")
    pd.testing.assert_frame_equal(pd.read_csv("fit.csv"), frame)
    np.testing.assert_array_equal(frame["component"], expected.predict(gaps))
    assert (frame["component"] == -1).any()


@pytest.mark.parametrize("others", [["--family", "poisson"], ["--bayesian"]])
def test_other_mixtures_have_no_background(table, ran, others):
    code, _, err = ran(*FIT, *others)
    assert code != 0
    assert "--noise is for --family gaussian, without --bayesian" in err[-1]


def test_a_saved_mixture_is_described_and_drawn(table, ran):
    assert ran(*FIT, "--out", "model.npz", "--plot", "fit.png")[0] == 0
    code, out, err = ran("describe", "model.npz")
    assert (code, err) == (0, [])
    assert "and a background" in out
