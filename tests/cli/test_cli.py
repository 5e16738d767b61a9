"""The command line: results on standard output, everything else on standard error."""

import io
import json
import re

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from support.command_line import COINS, COLUMNS, HEADS, POINTS, RNG, TOSSES, WEIGHTS, X, as_csv, said

import fastem
from fastem.cli import speed
from fastem.selection.criteria import THOROUGH


def alone(k, **settings):
    return fastem.GaussianMixture(
        k, **{**THOROUGH, "reg_covar": "auto", "random_state": 0, "order_by": "means"} | settings
    )


# ---------------------------------------------------------------------------------------------------------------- fit


@pytest.mark.parametrize("file", ["rows.csv", "rows.parquet", "rows.npy"])
def test_a_fit_is_that_of_the_estimator(file, folder, ran):
    columns = [] if file == "rows.npy" else POINTS
    told = json.loads(said(ran, "fit", file, *columns, "-k", "2", "--json"))
    mixture = alone(2).fit(X)
    assert told["columns"] == (["x0", "x1"] if file == "rows.npy" else ["east", "north"])
    assert (told["class"], told["covariance_type"], told["rows"]) == ("GaussianMixture", "full", 200)
    for name in ("weights", "means", "covariances"):
        assert told[name] == getattr(mixture, f"{name}_").tolist()
    for name in ("loglik", "bic", "icl", "n_iter", "converged", "stop_reason"):
        assert told[name] == getattr(mixture, f"{name}_")


@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")
def test_settings_reach_the_fit(folder, ran):
    settings = ["--covariance", "diag", "--seed", "3", "--n-init", "3", "--tol", "0.01", "--max-iter", "7"]
    told = json.loads(said(ran, "fit", "rows.csv", *POINTS, "--weight", "w", "-k", "3", *settings, "--json"))
    mixture = alone(3, covariance_type="diag", init_params="auto", random_state=3, n_init=3, tol=0.01, max_iter=7)
    assert told["loglik"] == mixture.fit(X, sample_weight=WEIGHTS).loglik_
    assert told["rows"] == WEIGHTS.sum()


@pytest.mark.parametrize("trials", ["tosses", "60"])
def test_coins(trials, folder, ran):
    told = json.loads(said(ran, "fit", "rows.csv", *COINS[:-1], trials, "-k", "2", "--json"))
    mixture = fastem.BinomialMixture(2, random_state=0, order_by="probs", **(THOROUGH | {"init_params": "auto"}))
    mixture.fit(HEADS, trials=TOSSES if trials == "tosses" else 60)
    assert told["probs"] == mixture.probs_.tolist()
    assert told["n_trials"] == (None if trials == "tosses" else 60)


def test_columns_of_an_array_are_chosen_by_name(folder, ran):
    told = json.loads(said(ran, "fit", "rows.npy", "--columns", "x1,x0", "-k", "1", "--json"))
    assert told["columns"] == ["x1", "x0"]
    np.testing.assert_allclose(told["means"], [X.mean(axis=0)[::-1]], rtol=1e-9)


def test_columns_are_chosen_by_number(folder, ran):
    by_number = said(ran, "fit", "rows.csv", "--columns", "1,0", "--weight", "2", "-k", "1", "--json")
    assert by_number == said(ran, "fit", "rows.csv", "--columns", "north,east", "--weight", "w", "-k", "1", "--json")


def test_a_name_goes_before_a_number(folder, ran):
    (folder / "turned.csv").write_text(as_csv({"a": X[:, 0], "0": X[:, 1]}))
    code, out, (line,) = ran("fit", "turned.csv", "--columns", "0", "-k", "1", "--json")
    told = json.loads(out)
    assert code == 0
    assert line == "fastem: turned.csv: its first line is taken for the header, though a column is called '0'"
    assert told["means"] == [[pytest.approx(X[:, 1].mean())]]


def test_odd_names_of_files_and_columns_are_names(folder, ran):
    odd = "r\u00f6 ws & 'q\".csv"
    (folder / odd).write_text('"a,1","b ""x"""\n' + "\n".join(f'"{x}","{y}"' for x, y in X.tolist()))
    told = json.loads(
        said(ran, "fit", odd, "--columns", '"a,1", "b ""x"""', "-k", "1", "--out", f"{odd}.npz", "--json")
    )
    assert told["columns"] == ["a,1", 'b "x"']
    np.testing.assert_allclose(told["means"], [X.mean(axis=0)], rtol=1e-9)
    assert len(said(ran, "predict", f"{odd}.npz", odd).splitlines()) == len(X) + 1


@pytest.mark.parametrize("weight", ["w", "2"])
def test_all_columns_are_taken_but_weights_and_trials(weight, folder, ran):
    told = json.loads(said(ran, "fit", "rows.csv", "--weight", weight, "-k", "1", "--json"))
    assert told["columns"] == ["east", "north", "heads", "tosses"]


def test_k_is_chosen_and_candidates_are_told_on_the_way(folder, ran):
    code, out, err = ran("fit", "rows.csv", *POINTS, "-k", "1..3", "--json")
    told = json.loads(out)
    assert (code, told["n_components"]) == (0, 2)
    assert [each["n_components"] for each in told["candidates"]] == [1, 2, 3]
    assert told["candidates"][0]["cv"] is None  # JSON has no NaN
    last = dict(re.fullmatch(r"fastem: k = (\d).*: bic ([\d.]+), \d+ sweeps", line).groups() for line in err)
    assert last == {str(each["n_components"]): f"{each['bic']:.2f}" for each in told["candidates"]}
    _, out, err = ran("fit", "rows.csv", *POINTS, "-k", "1..2", "--criterion", "cv", "--json")
    assert err[0].startswith(f"fastem: k = 1: cv {json.loads(out)['candidates'][0]['cv']:.2f}")


@pytest.mark.seconds
def test_an_outlier_hides_no_components_and_sizes_above_the_rows_are_left_out(folder, ran):
    rows = np.concatenate([RNG.normal(0, 1, 40), RNG.normal(10, 1, 40), [1000.0]])
    (folder / "outlier.csv").write_text(as_csv({"x": rows}))
    _, out, _ = ran("fit", "outlier.csv", "-k", "1..4", "--json")
    assert json.loads(out)["n_components"] == 3
    (folder / "few.csv").write_text(as_csv({"x": np.arange(5.0)}))
    code, out, err = ran("fit", "few.csv", "-k", f"1..1{'0' * 30}", "--json")
    assert code == 0
    assert len(json.loads(out)["candidates"]) == 5
    assert err[0].startswith("fastem: warning: n_components above 5 are left out")


def test_text_has_the_table_and_the_components(folder, ran):
    _, out, _ = ran("fit", "rows.csv", *POINTS, "-k", "1..2")
    lines = out.splitlines()
    assert lines[2].startswith("*  ")
    assert lines[3] == "* best by bic; n = 200 in bic and icl"
    assert lines[5] == "GaussianMixture: 2 components, full covariances; 200 rows"
    (heading,) = (number for number, line in enumerate(lines) if line.startswith("component"))
    mixture = alone(2).fit(X)
    expected = [mixture.weights_[0], *mixture.means_[0], *np.sqrt(np.diag(mixture.covariances_[0]))]
    found = [float(cell) for cell in lines[heading + 1].split()[1:]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)  # six digits


def test_a_warning_is_a_message(folder, ran):
    code, out, (line,) = ran("fit", "rows.csv", *POINTS, "-k", "3", "--max-iter", "1")
    assert code == 0
    assert out.startswith("GaussianMixture")
    assert line.startswith("fastem: warning: Best performing initialization did not converge.")


@pytest.mark.parametrize("options", [POINTS, [*POINTS, "--weight", "w"], COINS], ids=["points", "weights", "coins"])
def test_a_picture_is_drawn(options, folder, ran):
    said(ran, "fit", "rows.csv", *options, "-k", "2", "--plot", "picture.png")
    assert (folder / "picture.png").read_bytes()[:4] == b"\x89PNG"


# ---------------------------------------------------------------------------------------------------- models and rows


@pytest.mark.parametrize("out", ["found.csv", "found.tsv", "found.csv.gz", "found.parquet", "found.json", "-"])
def test_predictions_are_those_of_the_model(out, folder, ran):
    said(ran, "fit", "rows.csv", *POINTS, "-k", "2", "--out", "model.npz")
    text = said(ran, "predict", "model.npz", "rows.parquet", "--out", out, "--probabilities")
    if out.endswith(".parquet"):
        found = pyarrow.parquet.read_table(out).to_pydict()
    elif out.endswith(".json"):
        found = json.loads((folder / out).read_text())
    else:
        file, delimiter = io.StringIO(text) if out == "-" else out, "\t" if "tsv" in out else ","
        rows = np.genfromtxt(file, delimiter=delimiter, names=True)
        found = {name: rows[name].tolist() for name in rows.dtype.names}
    mixture = alone(2).fit(X)
    assert list(found) == ["component", "probability", "log_density", "probability_0", "probability_1"]
    assert found["component"] == mixture.predict(X).tolist()
    resp = mixture.predict_proba(X)
    assert found["probability"] == resp.max(axis=1).tolist()
    assert found["log_density"] == mixture.score_samples(X).tolist()
    assert found["probability_1"] == resp[:, 1].tolist()  # every digit


def test_a_model_knows_its_columns(folder, ran):
    """In a file that has them in another order, and others."""
    said(ran, "fit", "rows.csv", *POINTS, "-k", "2", "--out", "model.npz")
    turned = {name: COLUMNS[name] for name in ("w", "north", "east")}
    (folder / "turned.csv").write_text(as_csv(turned))
    assert said(ran, "predict", "model.npz", "turned.csv") == said(ran, "predict", "model.npz", "rows.csv")
    code, _, (line,) = ran("predict", "model.npz", "turned.csv", "--columns", "w")
    assert code == 2
    assert line == "fastem: error: model.npz was fitted to 2 columns, but turned.csv has 1: w; --columns chooses some"


def test_coins_are_predicted_with_trials(folder, ran):
    said(ran, "fit", "rows.csv", *COINS, "-k", "2", "--out", "model.npz")
    rows = said(ran, "predict", "model.npz", "rows.csv").splitlines()
    assert said(ran, "predict", "model.npz", "rows.csv", "--trials", "tosses").splitlines() == rows
    mixture = fastem.load("model.npz")
    del mixture.feature_names_in_
    assert [int(row.split(",")[0]) for row in rows[1:]] == mixture.predict(HEADS, trials=TOSSES).tolist()


def test_a_model_is_described_as_it_was_when_fitted(folder, ran):
    text = said(ran, "fit", "rows.csv", *POINTS, "-k", "2", "--out", "model.npz")
    assert said(ran, "describe", "model.npz") == text
    told = json.loads(said(ran, "describe", "model.npz", "--json"))
    assert told["bic"] == alone(2).fit(X).bic_


def test_complaints_are_told(folder, ran):
    (folder / "pair.csv").write_text("x\n" + "\n".join(map(repr, [*X[:60, 0].tolist(), 99.0, 99.0])))
    assert said(ran, "fit", "pair.csv", "-k", "2").endswith("component 1 has no extent of its own in some direction\n")


# ------------------------------------------------------------------------------------------------------ bench, doctor


def test_bench_tells_times_and_whether_answers_agree(ran, monkeypatch):
    monkeypatch.setattr(speed, "SHAPES", ((20_000, 2, 2, "full"), (20_000, 1, 2, "diag")))
    code, out, err = ran("bench", "--quick")
    lines = [line.split() for line in out.splitlines()[2:]]
    assert [line[:4] for line in lines] == [["2000", "2", "2", "full"], ["2000", "1", "2", "diag"]]
    assert all(float(cell) > 0 for line in lines for cell in line[4:7])
    assert all(float(line[7]) < speed.TOLERANCE for line in lines)
    assert (code, len(err)) == (0, 2)
    monkeypatch.setattr(speed, "difference", lambda ours, theirs: 1e-3)
    code, _, err = ran("bench", "--quick")
    assert (code, err[-1]) == (1, "fastem: the answers differ from scikit-learn's")


def test_bench_does_without_scikit_learn(ran, monkeypatch):
    monkeypatch.setattr(speed, "SHAPES", ((20_000, 2, 2, "full"),))
    monkeypatch.setattr(speed.importlib.util, "find_spec", lambda name: None)
    code, out, _ = ran("bench", "--quick")
    assert (code, out.split()[-3:]) == (0, ["nan", "nan", "nan"])


def test_the_difference_of_answers_is_seen():
    ours, theirs = alone(2).fit(X), alone(2).fit(X)
    assert speed.difference(ours, theirs) == 0
    theirs.means_ = ours.means_ * 1.01
    assert speed.difference(ours, theirs) == pytest.approx(0.01 / 1.01)
