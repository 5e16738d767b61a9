"""Wrong usage is one sentence, with the word that was probably meant; help has examples, and takes no time."""

import re
import shlex
import subprocess
import sys

import pytest
from support.command_line import POINTS, said

from fastem.cli import arguments, main


@pytest.fixture
def refused(capsys):
    """Run a command that is wrong usage -> the first line on standard error."""

    def run(*words):
        with pytest.raises(SystemExit) as end:
            main.main(words)
        out, err = capsys.readouterr()
        first, second = err.splitlines()
        assert (end.value.code, out) == (2, "")
        assert second == f"{first.partition(': error: ')[0]} --help describes the options"
        return first

    return run


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "fastem: error: a command is missing: fit, predict, describe, bench, doctor"),
        (["ftt", "x"], "fastem: error: there is no command 'ftt': did you mean fit?; there are fit, predict,"),
        (["qqq"], "fastem: error: there is no command 'qqq'; there are fit"),
        (
            ["fit", "--colums", "a,b", "x.csv"],
            "fastem fit: error: there is no option --colums: did you mean --columns?",
        ),
        (["fit", "x.csv", "--dropmissing"], "there is no option --dropmissing: did you mean --drop-missing?"),
        (["fit", "x.csv", "--colour=red"], "fastem fit: error: there is no option --colour"),
        (["fit", "x.csv", "y.csv"], "fastem fit: error: 'y.csv' is one argument too many"),
        (["fit"], "fastem fit: error: the following arguments are required: FILE"),
        (
            ["fit", "x.csv", "-k", "1:4"],
            "argument -k/--n-components: '1:4' is not understood: give a number, or a range such as 1..8",
        ),
        (["fit", "x.csv", "-k", "two"], "argument -k/--n-components: 'two' is not understood"),
        (
            ["fit", "x.csv", "-k", "4-2"],
            "argument -k/--n-components: '4-2' must begin at 1 or above, and not end below its beginning",
        ),
        (["fit", "x.csv", "-k", "0"], "argument -k/--n-components: '0' must begin at 1 or above"),
        (["fit", "x.csv", "--out", ""], "fastem fit: error: argument --out: '' is empty, and no name"),
        (["fit", "x.csv", "--assign="], "argument --assign: '' is empty"),
        (["fit", "x.csv", "--plot", " "], "argument --plot: ' ' is empty"),
        (["fit", "x.csv", "--weight", ""], "argument --weight: '' is empty"),
        (["fit", "x.csv", "--trials", ""], "argument --trials: '' is empty"),
        (["fit", ""], "fastem fit: error: argument FILE: '' is empty"),
        (["fit", "x.csv", "--seed", "-1"], "argument --seed: '-1' must be a whole number from 0"),
        (["predict", "m.npz", "x.csv", "--out", ""], "fastem predict: error: argument --out: '' is empty"),
        (["predict", "", "x.csv"], "argument MODEL: '' is empty"),
        (["describe", ""], "argument MODEL: '' is empty"),
        (["predict", "m.npz"], "fastem predict: error: the following arguments are required: FILE"),
    ],
)
def test_wrong_usage_is_one_sentence(words, sentence, refused):
    assert sentence in refused(*words)


@pytest.mark.parametrize(("text", "sizes"), [("3", [3]), ("1..4", [1, 2, 3, 4]), ("2-4", [2, 3, 4]), ("5-5", [5])])
def test_ranges(text, sizes):
    assert list(arguments.as_range(text)) == sizes


def test_options_may_be_shortened_as_long_as_they_are_clear(folder, ran):
    assert said(ran, "fit", "rows.csv", "--col", "east", "-k", "1") == said(
        ran, "fit", "rows.csv", "--columns=east", "-k", "1"
    )


@pytest.mark.parametrize("command", [[], ["fit"], ["predict"]])
def test_examples_of_the_help_are_usage(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        main.main([*command, "--help"])
    text = capsys.readouterr().out
    examples = re.findall(r"^  (fastem .*)$", text, re.MULTILINE)
    assert end.value.code == 0
    assert len(examples) >= 3
    for example in examples:
        arguments.parse(shlex.split(example)[1:])
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.process
@pytest.mark.parametrize("command", [["--help"], ["fit", "--help"], ["fit", "x.csv", "-k", "0"], ["--version"]])
def test_help_and_wrong_usage_load_no_numpy(command):
    code = f"import sys, fastem.cli.main as m\ntry: m.main({command!r})\nfinally: assert 'numpy' not in sys.modules"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert "Assertion" not in run.stderr


@pytest.mark.process
def test_a_fit_loads_no_more_than_it_needs(folder):
    names = ["sklearn", "pandas", "numba", "pyarrow", "matplotlib", "scipy", "importlib.metadata", "rich"]
    names += ["numpy.ma", "concurrent.futures", "multiprocessing", "html", "difflib", "fastem.families.binomial"]
    code = (
        "import sys, os, fastem.cli.main as m\n"
        "assert m.main(['fit', 'rows.csv', '-k', '2']) == 0\n"
        f"print([name for name in {names} if name in sys.modules], os.environ['OPENBLAS_NUM_THREADS'])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert run.stdout.splitlines()[-1] == "[] 1", run.stderr


def test_k_is_one_to_eight_where_it_is_not_given_and_no_more_than_rows(folder, ran):
    _, out, err = ran("fit", "rows.csv", *POINTS)
    assert [line.split(":")[1] for line in err if "again" not in line] == [f" k = {k}" for k in range(1, 9)]
    assert "GaussianMixture: 2 components" in out
    (folder / "few.csv").write_text("x\n1\n2\n4\n9\n11\n")
    _, _, err = ran("fit", "few.csv", "--max-iter", "3")
    assert sum(": k = " in line and "again" not in line for line in err) == 5
    assert not any("left out" in line for line in err)
