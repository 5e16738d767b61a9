"""What of a table may reach a terminal: text, and no control character, which the terminal would obey."""

import csv
import io
import re

import pytest
from support.command_line import X

import fastem
from fastem._table import Table, aligned
from fastem.cli import main, streams

EVIL = "\x1b]0;title\x07"
"""Names the window of a terminal; others move the cursor, or answer as if the user had typed."""
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028]")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def table(folder):
    """A table with control characters in the names of its columns, and in its cells."""
    names = ["ea\x1bst", "nor\nth", EVIL, "\u202eid\x9b"]
    rows = [[*row, f"{EVIL}{number}", "a\tb"] for number, row in enumerate(X.tolist())]
    with open("evil.csv", "w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return "evil.csv"


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", "-k", "1..2", "--keep", "all", "--assign", "found.csv"),
        ("fit", "-k", "2", "--json"),
        ("fit", "-k", "2", "--columns", "2"),  # text
        ("fit", "-k", "2", "--columns", "nowhere"),
        ("fit", "-k", "2", "--family", "poisson"),
        ("fit", "-k", "2", "--plot", "evil.png", "--plot-columns", "nowhere"),
    ],
)
def test_no_control_character_is_printed(arguments, table, ran):
    command, *options = arguments
    _, out, err = ran(command, table, *options)
    assert out or err
    assert not CONTROL.search("\n".join([out, *err]))


def test_a_saved_model_prints_none(table, ran):
    ran("fit", table, "-k", "2", "--out", "model.npz")
    code, out, err = ran("describe", "model.npz")
    assert (code, err) == (0, [])
    assert r"ea\x1bst" in out
    assert r"nor\nth" in out
    assert not CONTROL.search(out)


def test_rows_on_a_terminal_are_escaped_but_not_in_pipes(table, ran, monkeypatch):
    ran("fit", table, "-k", "2", "--out", "model.npz")
    _, piped, _ = ran("predict", "model.npz", table, "--keep", "all")
    assert [row[2] for row in csv.reader(io.StringIO(piped))][1] == f"{EVIL}0"
    screen = Terminal()
    monkeypatch.setattr(streams.sys, "stdout", screen)
    assert main.main(["predict", "model.npz", table, "--keep", "all"]) == 0
    assert not CONTROL.search(screen.getvalue())
    assert len(screen.getvalue().splitlines()) == 1 + len(X)


def test_tables_of_results_have_none():
    cells = aligned(["name", EVIL], [["a\nb", "\x1b[2J"], ["c", "1"]], left=["name"])
    assert not CONTROL.search(cells)
    assert len({len(line) for line in cells.splitlines()}) == 1  # columns are as wide as what is shown
    assert not CONTROL.search(str(Table(["x"], [["1"]], lead=[EVIL], notes=[EVIL])))
    mixture = fastem.GaussianMixture(2, random_state=0).fit(X)
    for names in (["ea\x1bst", "nor\nth"], ["\x1b" * 40, "x"]):
        mixture.feature_names_in_ = names
        text = str(mixture.summary())
        assert not CONTROL.search(text)
        assert max(map(len, text.splitlines())) <= 80


def test_words_of_the_command_line_are_escaped_too(capsys):
    with pytest.raises(SystemExit):
        main.main(["fit", "--\x1b[2J", "x.csv"])
    assert r"there is no option --\x1b[2J" in capsys.readouterr().err
