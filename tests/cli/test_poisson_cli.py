"""The command line with --family poisson: fit, predict, describe, plot, wrong input."""

import json

import numpy as np
import pandas as pd
import pytest

import fastem
from fastem.cli import main
from fastem.selection.select import THOROUGH

RNG = np.random.default_rng(0)
CALLS = RNG.poisson(RNG.choice([3.0, 20.0], size=200))
VISITS = RNG.poisson(4.0, size=200)
WEIGHTS = RNG.integers(1, 4, size=200)
FIT = ["fit", "rows.csv", "--family", "poisson", "--columns", "calls"]


@pytest.fixture
def ran(tmp_path, monkeypatch, capsys):
    """Run a command in a folder with a table -> exit code, standard output, lines of standard error."""
    rows = "\n".join(map(",".join, np.column_stack([CALLS, VISITS, WEIGHTS]).astype(str)))
    (tmp_path / "rows.csv").write_text(f"calls,visits,w\n{rows}\n")
    (tmp_path / "bad.csv").write_text("calls\n1\n-2\n")
    (tmp_path / "half.csv").write_text("calls\n1\n2.5\n")
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main.main(arguments)
        out, err = capsys.readouterr()
        return code, out, err.splitlines()

    return run


def said(ran, *arguments):
    code, out, err = ran(*arguments)
    assert (code, err) == (0, [])
    return out


def alone(k, **settings):
    return fastem.PoissonMixture(k, **{**THOROUGH, "random_state": 0, "order_by": "rates"} | settings)


def test_a_fit_is_that_of_the_estimator(ran):
    found = json.loads(said(ran, *FIT, "-k", "2", "--weight", "w", "--json"))
    mixture = alone(2, init_params="auto").fit(CALLS, sample_weight=WEIGHTS)
    assert (found["class"], found["columns"], found["rows"]) == ("PoissonMixture", ["calls"], WEIGHTS.sum())
    np.testing.assert_allclose(found["weights"], mixture.weights_, rtol=1e-12)
    np.testing.assert_allclose(found["rates"], mixture.rates_, rtol=1e-12)
    assert found["bic"] == pytest.approx(mixture.bic_, rel=1e-12)


def test_a_range_is_chosen_from_and_text_shows_the_rates(ran):
    code, text, _ = ran(*FIT, "-k", "1..2")
    assert code == 0
    assert "rate calls" in text
    assert f"{alone(2).fit(CALLS).rates_[1, 0]:.4g}"[:4] in text


def test_a_saved_model_predicts_and_is_described(ran, tmp_path):
    said(ran, "fit", "rows.csv", "--family", "poisson", "--columns", "calls,visits", "-k", "2", "--out", "model.npz")
    mixture = fastem.load(tmp_path / "model.npz")
    rows = pd.DataFrame({"calls": CALLS, "visits": VISITS})
    lines = said(ran, "predict", "model.npz", "rows.csv", "--columns", "calls,visits").splitlines()
    assert lines[0].startswith("component,")
    assert [int(line.split(",")[0]) for line in lines[1:]] == mixture.predict(rows).tolist()
    described = json.loads(said(ran, "describe", "model.npz", "--json"))
    np.testing.assert_allclose(described["rates"], mixture.rates_, rtol=1e-12)
    assert "PoissonMixture" in said(ran, "describe", "model.npz")


def test_a_plot_is_written(ran, tmp_path):
    pytest.importorskip("matplotlib")
    said(ran, *FIT, "-k", "2", "--plot", "calls.png")
    assert (tmp_path / "calls.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*FIT, "--trials", "9"], "--trials are for --family binomial, not poisson"),
        (["fit", "bad.csv", "--family", "poisson"], "bad.csv: line 3: 'calls' is -2, but counts are whole numbers"),
        (["fit", "half.csv", "--family", "poisson"], "half.csv: line 3: 'calls' is 2.5, but counts are whole numbers"),
        ([*FIT[:-1], "colls"], "rows.csv has no column 'colls'"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(ran, arguments, message):
    code, out, err = ran(*arguments)
    assert (code, out, len(err)) == (2, "", 1)
    assert message in err[0]


def test_trials_of_a_poisson_model_are_refused(ran):
    said(ran, *FIT, "-k", "1", "--out", "model.npz")
    code, _, (line,) = ran("predict", "model.npz", "rows.csv", "--columns", "calls", "--trials", "9")
    assert code == 2
    assert "--trials are for a binomial mixture, but model.npz is a PoissonMixture" in line
