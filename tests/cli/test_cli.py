"""The command line: results on standard output, everything else on standard error, exit codes as told."""

import io
import json
import os
import signal
import subprocess
import sys
from importlib.metadata import entry_points

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

import fastem
from fastem.cli import commands, main, speed
from fastem.selection.select import THOROUGH

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(150, 2)), RNG.normal(size=(50, 2)) + 8.0])
TOSSES = RNG.integers(20, 60, size=200)
HEADS = RNG.binomial(TOSSES, RNG.choice([0.1, 0.6], size=200))
WEIGHTS = RNG.integers(1, 4, size=200)
COLUMNS = {"east": X[:, 0], "north": X[:, 1], "w": WEIGHTS, "heads": HEADS, "tosses": TOSSES}
POINTS = ["--columns", "east,north"]
COINS = ["--family", "binomial", "--columns", "heads", "--trials", "tosses"]


def as_csv(columns):
    rows = zip(*(np.asarray(values).tolist() for values in columns.values()), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(repr, row)) for row in rows)]) + "\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The same rows in all formats; it is the current folder."""
    (tmp_path / "rows.csv").write_text(as_csv(COLUMNS))
    pyarrow.parquet.write_table(pyarrow.table(COLUMNS), tmp_path / "rows.parquet")
    np.save(tmp_path / "rows.npy", X)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ran(capsys):
    """Run a command -> exit code, standard output, lines of standard error."""

    def run(*arguments):
        code = main.main(arguments)
        out, err = capsys.readouterr()
        return code, out, err.splitlines()

    return run


def said(ran, *arguments):
    """Standard output of a command that has nothing to say beside it."""
    code, out, err = ran(*arguments)
    assert (code, err) == (0, [])
    return out


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


def test_settings_reach_the_fit(folder, ran):
    settings = ["--covariance", "diag", "--seed", "3", "--n-init", "2", "--tol", "0.01", "--max-iter", "7"]
    told = json.loads(said(ran, "fit", "rows.csv", *POINTS, "--weight", "w", "-k", "3", *settings, "--json"))
    mixture = alone(3, covariance_type="diag", random_state=3, n_init=2, tol=0.01, max_iter=7)
    assert told["loglik"] == mixture.fit(X, sample_weight=WEIGHTS).loglik_
    assert told["rows"] == WEIGHTS.sum()


@pytest.mark.parametrize("trials", ["tosses", "60"])
def test_coins(trials, folder, ran):
    told = json.loads(said(ran, "fit", "rows.csv", *COINS[:-1], trials, "-k", "2", "--json"))
    mixture = fastem.BinomialMixture(2, random_state=0, order_by="probs", **THOROUGH)
    mixture.fit(HEADS, trials=TOSSES if trials == "tosses" else 60)
    assert told["probs"] == mixture.probs_.tolist()
    assert told["n_trials"] == (None if trials == "tosses" else 60)


def test_columns_of_an_array_are_chosen_by_name(folder, ran):
    told = json.loads(said(ran, "fit", "rows.npy", "--columns", "x1,x0", "--json"))
    assert told["columns"] == ["x1", "x0"]
    np.testing.assert_allclose(told["means"], [X.mean(axis=0)[::-1]], rtol=1e-9)


def test_columns_are_chosen_by_number(folder, ran):
    by_number = said(ran, "fit", "rows.csv", "--columns", "1,0", "--weight", "2", "--json")
    assert by_number == said(ran, "fit", "rows.csv", "--columns", "north,east", "--weight", "w", "--json")


def test_a_name_goes_before_a_number(folder, ran):
    (folder / "turned.csv").write_text(as_csv({"a": X[:, 0], "0": X[:, 1]}))
    code, out, (line,) = ran("fit", "turned.csv", "--columns", "0", "--json")
    told = json.loads(out)
    assert code == 0
    assert line == "fastem: turned.csv: its first line is taken for the header, though a column is called '0'"
    assert told["means"] == [[pytest.approx(X[:, 1].mean())]]


def test_odd_names_of_files_and_columns_are_names(folder, ran):
    odd = "r\u00f6 ws & 'q\".csv"
    (folder / odd).write_text('"a,1","b ""x"""\n' + "\n".join(f'"{x}","{y}"' for x, y in X.tolist()))
    told = json.loads(said(ran, "fit", odd, "--columns", '"a,1", "b ""x"""', "--out", f"{odd}.npz", "--json"))
    assert told["columns"] == ["a,1", 'b "x"']
    np.testing.assert_allclose(told["means"], [X.mean(axis=0)], rtol=1e-9)
    assert len(said(ran, "predict", f"{odd}.npz", odd).splitlines()) == len(X) + 1


@pytest.mark.parametrize("weight", ["w", "2"])
def test_all_columns_are_taken_but_weights_and_trials(weight, folder, ran):
    told = json.loads(said(ran, "fit", "rows.csv", "--weight", weight, "--json"))
    assert told["columns"] == ["east", "north", "heads", "tosses"]


def test_k_is_chosen_and_candidates_are_told_on_the_way(folder, ran):
    code, out, err = ran("fit", "rows.csv", *POINTS, "-k", "1..3", "--json")
    told = json.loads(out)
    assert (code, told["n_components"]) == (0, 2)
    assert [each["n_components"] for each in told["candidates"]] == [1, 2, 3]
    assert told["candidates"][0]["cv"] is None  # JSON has no NaN
    assert [line.split(",")[0] for line in err] == [
        f"fastem: k = {each['n_components']}: bic {each['bic']:.2f}" for each in told["candidates"]
    ]
    _, out, err = ran("fit", "rows.csv", *POINTS, "-k", "1..2", "--criterion", "cv", "--json")
    assert err[0].startswith(f"fastem: k = 1: cv {json.loads(out)['candidates'][0]['cv']:.2f}")


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
    assert lines[3] == "n = 200 in bic and icl"
    assert lines[5] == "GaussianMixture: 2 components, full covariances; 200 rows"
    assert lines[9].split("  ")[0] == "component"
    mixture = alone(2).fit(X)
    expected = [mixture.weights_[0], *mixture.means_[0], *np.sqrt(np.diag(mixture.covariances_[0]))]
    np.testing.assert_allclose([float(cell) for cell in lines[10].split()[1:]], expected, rtol=1e-5)  # six digits


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


@pytest.mark.parametrize("out", ["found.csv", "found.parquet", "found.json", "-"])
def test_predictions_are_those_of_the_model(out, folder, ran):
    said(ran, "fit", "rows.csv", *POINTS, "-k", "2", "--out", "model.npz")
    text = said(ran, "predict", "model.npz", "rows.parquet", "--out", out)
    if out.endswith(".parquet"):
        found = pyarrow.parquet.read_table(out).to_pydict()
    elif out.endswith(".json"):
        found = json.loads((folder / out).read_text())
    else:
        rows = np.genfromtxt(io.StringIO(text) if out == "-" else out, delimiter=",", names=True)
        found = {name: rows[name].tolist() for name in rows.dtype.names}
    mixture = alone(2).fit(X)
    assert list(found) == ["component", "probability_0", "probability_1"]
    assert found["component"] == mixture.predict(X).tolist()
    resp = mixture.predict_proba(X)
    assert found["probability_1"] == resp[:, 1].tolist()  # every digit


def test_a_model_knows_its_columns(folder, ran):
    """In a file that has them in another order, and others."""
    said(ran, "fit", "rows.csv", *POINTS, "-k", "2", "--out", "model.npz")
    turned = {name: COLUMNS[name] for name in ("w", "north", "east")}
    (folder / "turned.csv").write_text(as_csv(turned))
    assert said(ran, "predict", "model.npz", "turned.csv") == said(ran, "predict", "model.npz", "rows.csv")
    code, _, (line,) = ran("predict", "model.npz", "turned.csv", "--columns", "w")
    assert code == 2
    assert "X has 1 features, but GaussianMixture is expecting 2" in line


def test_coins_are_predicted_with_trials(folder, ran):
    said(ran, "fit", "rows.csv", *COINS, "-k", "2", "--out", "model.npz")
    rows = said(ran, "predict", "model.npz", "rows.csv", "--trials", "tosses").splitlines()
    mixture = fastem.load("model.npz")
    del mixture.feature_names_in_
    assert [int(row.split(",")[0]) for row in rows[1:]] == mixture.predict(HEADS, trials=TOSSES).tolist()
    code, _, (line,) = ran("predict", "model.npz", "rows.csv")
    assert code == 2
    assert line.startswith("fastem: error: trials: the number of trials of each row is needed")


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


# ------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "rows.csv has no header: its first line must name the columns"),
        ("1,2\n3,4\n", "rows.csv has no header: its first line '1,2' is all numbers"),
        ("a,b\n1,2\n3,x\n", "rows.csv: line 3, column 'b' is 'x', not a number"),
        ("a,b\n1,2\n\n3,\n", "rows.csv: line 4, column 'b' is '', not a number"),
        ("a,b\n1,2\n3\n", "rows.csv: line 3, column 'b' is missing"),
        ('"a\nb",c\n1,2\n3,x\n', "rows.csv: line 4, column 'c' is 'x', not a number"),
        ("a,b\n1,2\n3,nan\n", "X must be finite, without NaN or infinity, got nan at row 1, column 1"),
        ("a,b\n", "rows.csv has no rows below its header 'a,b'"),
        ("a,a\n1,2\n", "rows.csv has 2 columns 'a': choose by number, 0 or 1"),
        ("a,b\n1,2\n\xff", "rows.csv: line 3 has the byte 0xff, which is not UTF-8: save the file as UTF-8"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_place(text, sentence, folder, ran):
    (folder / "rows.csv").write_bytes(text.encode("latin-1"))
    code, out, (line,) = ran("fit", "rows.csv")
    assert (code, out) == (2, "")
    assert line.startswith("fastem: error: ")
    assert sentence in line


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fit", "missing.csv"], "missing.csv: No such file or directory"),
        (["fit", "missing.npy"], "missing.npy: No such file or directory"),
        (["fit", "missing.parquet"], "missing.parquet: No such file or directory"),
        (["fit", "rows.csv", "--columns", "up"], "rows.csv has no column 'up'; it has east, north, w, heads, tosses"),
        (["fit", "rows.npy", "--columns", "x2"], "rows.npy has no column 'x2'; it has x0, x1"),
        (["fit", "rows.csv", "--weight", "up"], "rows.csv has no column 'up'"),
        (
            ["fit", "rows.csv", *POINTS, "-k", "300"],
            "n_components must be at most 200, the number of distinct rows of X, got 300",
        ),
        (["fit", "rows.csv", *POINTS, "-k", f"300..1{'0' * 30}"], "n_components must be at most 200, the number"),
        (["fit", "rows.csv", "--columns", "5"], "rows.csv has no column '5'; it has east, north, w, heads, tosses"),
        (["fit", "rows.csv", "--columns", "east,"], "rows.csv has no column ''"),
        (["fit", "rows.csv", "--columns", ""], "rows.csv has no column ''"),
        (["fit", "folder"], "folder: Is a directory"),
        (["fit", "folder.parquet"], "folder.parquet holds no Parquet files"),
        (["fit", "rows.csv", *POINTS, "--tol", "-1"], "tol must be finite and not negative"),
        (["fit", "rows.csv", *POINTS, "--trials", "9"], "--trials are for --family binomial"),
        (["fit", "rows.csv", *COINS[:4]], "--family binomial needs --trials"),
        (["fit", "rows.csv", *COINS[:-1], "9"], "X must not exceed trials"),
        (["fit", "rows.csv", "--out", "no/model.npz"], "no/model.npz cannot be written: there is no folder no"),
        (["fit", "rows.csv", "--plot", "no/picture.png"], "no/picture.png cannot be written"),
        (["fit", "rows.csv", "--out", "folder"], "folder cannot be written: it is a folder"),
        (["fit", "rows.csv", "--plot", "folder"], "folder cannot be written: it is a folder"),
        (["fit", "rows.csv", "--plot", "x.jpgg"], "the suffix of --plot must be one of"),
        (["predict", "rows.npy", "folder"], "is damaged or not a file of fastem"),
        (["describe", "rows.npy"], "is damaged or not a file of fastem"),
        (["predict", "rows.npy", "rows.csv"], "is damaged or not a file of fastem"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence, folder, ran):
    (folder / "folder").mkdir()
    (folder / "folder.parquet").mkdir()
    code, out, (line,) = ran(*arguments)
    assert (code, out) == (2, "")
    assert line.startswith("fastem: error: ")
    assert sentence in line


@pytest.mark.parametrize("content", ["cube", "text", "npz", "bytes"])
def test_arrays_that_are_no_table_are_refused(content, folder, ran):
    with open("rows.npy", "wb") as file:
        if content == "bytes":
            file.write(b"\x93NUMPY")
        elif content == "npz":
            np.savez(file, X=X)
        else:
            np.save(file, np.zeros((2, 2, 2)) if content == "cube" else np.array(["a", "b"]))
    code, _, (line,) = ran("fit", "rows.npy")
    assert code == 2
    assert "rows.npy" in line


def test_trials_of_a_model_that_takes_none_are_refused(folder, ran):
    said(ran, "fit", "rows.csv", *POINTS, "--out", "model.npz")
    code, _, (line,) = ran("predict", "model.npz", "rows.csv", "--trials", "9")
    assert code == 2
    assert "--trials are for a binomial mixture, but model.npz is a GaussianMixture" in line


@pytest.mark.parametrize(
    "arguments", [[], ["fit"], ["fit", "x", "-k", "two"], ["fit", "x", "-k", "3..1"], ["fit", "x", "-k", "0"], ["sing"]]
)
def test_bad_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main.main(arguments)
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: fastem")


def test_a_model_of_a_newer_version_is_told(folder, ran):
    said(ran, "fit", "rows.csv", *POINTS, "--out", "model.npz")
    with np.load("model.npz") as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].tobytes()) | {"layout": 2, "fastem": "9.1"}
    np.savez("model.npz", **arrays | {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)})
    for command in (["describe", "model.npz"], ["predict", "model.npz", "rows.csv"]):
        code, out, (line,) = ran(*command)
        assert (code, out) == (2, "")
        assert "model.npz has layout 2 of a fastem model, written by fastem 9.1; this is fastem" in line


def test_json_has_no_number_that_is_none(folder, ran):
    """JSON has no NaN and no infinity; a fit without an iteration has both."""
    code, out, _ = ran("fit", "rows.csv", *POINTS, "-k", "1..2", "--max-iter", "0", "--json")

    def refused(constant):
        raise AssertionError(constant)

    assert code == 0
    assert json.loads(out, parse_constant=refused)["candidates"][0]["cv"] is None


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as end:
        main.main(["--version"])
    assert (end.value.code, capsys.readouterr().out) == (0, f"fastem {fastem.__version__}\n")


def test_an_interruption_is_told(folder, ran, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "select", interrupted)
    assert ran("fit", "rows.csv") == (130, "", ["fastem: interrupted"])


# -------------------------------------------------------------------------------------------------------------- pipes


def program(*arguments, **options):
    command = [sys.executable, "-m", "fastem", *arguments]
    return subprocess.run(command, capture_output=True, timeout=300, **options)


@pytest.mark.process
def test_commands_are_piped(folder):
    text = (folder / "rows.csv").read_bytes()
    run = program("fit", "-", *POINTS, "-k", "2", "--out", "model.npz", input=b"\xef\xbb\xbf" + text)
    assert (run.returncode, run.stderr) == (0, b"")
    assert run.stdout.startswith(b"GaussianMixture: 2 components")
    run = program("predict", "model.npz", "-", input=text)
    assert (run.returncode, run.stderr) == (0, b"")
    assert len(run.stdout.splitlines()) == 201


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="other systems have no such pipes")
@pytest.mark.parametrize("rows", [200, 100_000], ids=["all at the end", "on the way"])
def test_a_closed_pipe_is_no_traceback(rows, folder):
    np.save("rows.npy", np.resize(X, (rows, 2)))
    assert program("fit", "rows.npy", "--out", "model.npz").returncode == 0
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "fastem", "predict", "model.npz", "rows.npy"]
    run = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=300)
    os.close(writer)
    assert (run.returncode, run.stderr) == (141, b"")


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="other systems have no such signal")
def test_an_interrupted_fit_ends_without_a_traceback(folder):
    """It would take hours."""
    np.save("rows.npy", RNG.normal(size=(200_000, 8)))
    command = [sys.executable, "-m", "fastem", "fit", "rows.npy", "-k", "1..200", "--out", "model.npz"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        first = run.stderr.readline()  # k = 1 is done, and the next one under way
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=300)
    assert first.startswith(b"fastem: k = 1: ")
    assert (run.returncode, out, err.splitlines()[-1]) == (130, b"", b"fastem: interrupted")
    assert b"Traceback" not in err
    assert not (folder / "model.npz").exists()


def test_the_console_script_is_the_command_line():
    (script,) = entry_points(group="console_scripts", name="fastem")
    assert script.load() is main.main
