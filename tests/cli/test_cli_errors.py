"""The command line where something is wrong: one sentence and an exit code; and its pipes."""

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import entry_points

import numpy as np
import pytest
from support.command_line import COINS, POINTS, RNG, X, said

import fastem
from fastem.cli import fit, main

# ------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "rows.csv has no header: its first line must name the columns"),
        ("1,2\n3,4\n", "rows.csv has no header: its first line '1,2' is all numbers"),
        ("a,b\n1,2\n3,x\n", "rows.csv: line 3, column 'b' is 'x', not a number"),
        (
            "a,b\n1,2\n\n3,\n",
            "rows.csv: line 4, column 'b' is '', a missing value: --drop-missing leaves",
        ),
        ("a,b\n1,2\n3\n", "rows.csv: line 3, column 'b' is missing"),
        ('"a\nb",c\n1,2\n3,x\n', "rows.csv: line 4, column 'c' is 'x', not a number"),
        (
            "a,b\n1,2\n3,nan\n",
            "rows.csv: line 3, column 'b' is 'nan', a missing value: --drop-missing leaves",
        ),
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
        (["fit", "rows.npy", "--columns", "x2"], "rows.npy has no column 'x2': did you mean x1?; it has x0, x1"),
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
        (
            ["fit", "rows.csv", *POINTS, "--trials", "9", "--family", "gaussian"],
            "--trials are for --family binomial, not gaussian",
        ),
        (["fit", "rows.csv", *COINS[:4]], "--family binomial needs --trials"),
        (["fit", "rows.csv", *COINS[:-1], "9"], "rows.csv: line 2: 'heads' is 31 but --trials is 9"),
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
    said(ran, "fit", "rows.csv", *POINTS, "-k", "1", "--out", "model.npz")
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
    assert err.startswith("fastem")
    assert ": error: " in err.splitlines()[0]
    assert err.splitlines()[1].endswith("--help describes the options")
    assert len(err.splitlines()) == 2


def test_a_model_of_a_newer_version_is_told(folder, ran):
    said(ran, "fit", "rows.csv", *POINTS, "-k", "1", "--out", "model.npz")
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

    monkeypatch.setattr(fit, "select", interrupted)
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
    assert program("fit", "rows.npy", "-k", "1", "--out", "model.npz").returncode == 0
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
