"""The demo: a line a data set, a table of equal answers, and a page that shows all of it."""

import ast
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import matplotlib as mpl
import numpy as np
import pytest

from fastem._table import Table

with mpl.rc_context():  # `pictures` changes settings, of which other tests shall not know
    import demo
    import page
    import pictures
    import speed

EXAMPLES = Path(demo.__file__).parent
SMALL = speed.cases.Case("full", 2000, 2, 3)


class Shown(HTMLParser):
    """The texts and the pictures of a page."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.sources, self.alternatives = [], [], []
        self.feed(text)

    def handle_data(self, data):
        self.texts.append(data)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.sources.append(unquote(dict(attrs)["src"]))
            self.alternatives.append(dict(attrs)["alt"])


def has_verdict(script):
    functions = {node.name for node in ast.parse(script.read_text()).body if isinstance(node, ast.FunctionDef)}
    return "verdict" in functions


def test_no_example_is_forgotten():
    assert set(demo.EXAMPLES.values()) == {script.stem for script in EXAMPLES.glob("*.py") if has_verdict(script)}


def test_an_example_is_one_line(capsys):
    story = demo.run("Two coins", verbose=False)
    assert capsys.readouterr().out == f"Two coins: {story.verdict}\n"


def test_verbose_prints_the_numbers_too(capsys):
    story = demo.run("Two coins", verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Two coins:"
    assert "  coin A: weight 0.5000  p 0.79678290" in lines
    assert lines[-2:] == [story.verdict, ""]


def test_a_line_names_the_pictures(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    example = SimpleNamespace(main=lambda: ("found", [tmp_path / "a.png", tmp_path / "b.png"]))
    monkeypatch.setattr(demo, "import_module", lambda name: example)
    demo.run("Galaxies", verbose=False)
    assert capsys.readouterr().out == "Galaxies: found -> a.png, b.png\n"


@pytest.mark.parametrize(("given", "missing"), [([], "scikit-learn matplotlib"), (["--numba"], "numba")])
def test_what_is_not_installed_is_said_first(given, missing, capsys, monkeypatch):
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        demo.main(given)
    assert f"{missing}\n" in capsys.readouterr().err


def test_the_page_has_all_pictures_and_words_whatever_they_are():
    stories = [
        page.Story('a < "b"', 'means "1" & <script>2', [Path("some/a%20b#.png"), Path("c&d'\".gif")]),
        page.Story("none", "no picture"),
    ]
    shown = Shown(page.html("<title>", stories, Table(["<n>"], [["1 & 2"]])))
    assert shown.sources == ["a%20b#.png", "c&d'\".gif"]
    assert shown.alternatives == ['a < "b"'] * 2
    assert {"<title>", 'a < "b"', 'Means "1" & <script>2.', "No picture.", "<n>", "1 & 2"} <= set(shown.texts)


def test_a_row_says_how_many_times_as_long_scikit_learn_takes():
    times = {speed.OURS: 0.01, speed.THEIRS: 0.5, speed.NUMBA: 0.02}
    assert speed.row(SMALL, times) == ["full", "2,000", "2", "3", "10.0 ms", "500.0 ms", "20.0 ms", "50 x"]


@pytest.mark.parametrize("case", speed.CASES, ids=lambda case: case.shape)
def test_both_packages_find_the_same(case):
    small = speed.cases.Case(case.family, 2000, case.d, case.k)
    calls = speed.contestants(speed.cases.make(small), numba=False)
    assert list(calls) == ["fastem", "scikit-learn"]
    assert [call().n_iter_ for call in calls.values()] == [speed.ITERATIONS] * 2
    speed.check_equal(calls)


def test_answers_that_differ_are_not_timed():
    def found(mean):
        return lambda: SimpleNamespace(weights_=np.ones(1), means_=np.array([[mean]]), covariances_=np.ones((1, 1, 1)))

    speed.check_equal({"ours": found(1.0), "theirs": found(1.0 + 1e-9)})
    with pytest.raises(AssertionError):
        speed.check_equal({"ours": found(1.0), "theirs": found(1.001)})


@pytest.mark.slow
def test_the_demo_ends_with_its_page(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pictures, "OUTPUT", tmp_path / "output")
    monkeypatch.setattr(speed, "CASES", (SMALL,))
    with mpl.rc_context():
        demo.main([])
    *_, hint, last = capsys.readouterr().out.splitlines()
    assert last == "output/index.html"
    assert hint.endswith(f"python3 -m webbrowser {(tmp_path / last).as_uri()}")
    shown = Shown(Path(last).read_text())
    assert set(shown.sources) == {path.name for path in (tmp_path / "output").iterdir()} - {"index.html"}
    assert set(demo.EXAMPLES) <= set(shown.texts)
    assert {"full", "2,000"} <= set(shown.texts)
