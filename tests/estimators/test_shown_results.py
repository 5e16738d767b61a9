"""Results show themselves: as text in a console, as HTML in a notebook, as a data frame of pandas."""

import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import fastem
from fastem._table import MOST_ROWS, Table, aligned, columns_of

RNG = np.random.default_rng(0)
PAIR = np.concatenate([RNG.normal(size=(60, 1)), [[9.0], [9.0]]])
PLANE = np.concatenate([RNG.normal(size=(100, 2)), RNG.normal(size=(50, 2)) + 6.0])
QUICK = fastem.GaussianMixture(init_params="kmeans", random_state=0, tol=1e-6, max_iter=500)


def results():
    mixture = fastem.GaussianMixture(2, random_state=0, tol=1e-6).fit(PLANE)
    with pytest.warns(fastem.CollapsedComponentWarning):
        on_a_pair = fastem.GaussianMixture(2, random_state=0).fit(PAIR)
    return {
        "Selection": fastem.select(PLANE, range(1, 4), ("full", "diag"), estimator=QUICK),
        "StandardErrors": mixture.standard_errors(PLANE),
        "Diagnosis": on_a_pair.diagnose(),
        "BootstrapTest": fastem.BootstrapTest(1, 2.0, np.array([1.0, 2.0, 3.0])),
        "ManyFits": fastem.fit_many(np.arange(60.0), np.arange(0, 61, 5)),
    }


RESULTS = results()


class Cells(HTMLParser):
    """The texts of the cells of a table, and whether every tag was closed."""

    def __init__(self, html):
        super().__init__()
        self.open, self.cells = [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] in ("td", "th"):
            self.cells.append(data)


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_a_console_gets_short_lines_and_no_arrays(result):
    text = repr(result)
    assert str(result) == text
    assert max(map(len, text.splitlines())) <= 80
    assert "array(" not in text
    assert " object at " not in text


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_a_notebook_gets_a_table(result):
    found = Cells(result._repr_html_())
    assert found.open == []
    assert len(found.cells) > 4


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_pandas_gets_a_frame(result):
    assert isinstance(result.to_frame(), pd.DataFrame)


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_without_pandas_a_frame_is_an_import_error_that_says_what_to_install(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="to_frame needs pandas: pip install pandas"):
        result.to_frame()


def test_a_selection_of_a_billion_rows_fits_in_80_columns():
    candidate = RESULTS["Selection"].candidates[0]
    large = {
        "loglik": -1.4e10,
        "bic": 2.8e10,
        "icl": 2.8e10,
        "aic": 2.8e10,
        "cv": 2.8e10,
        "covariance_type": "spherical",
    }
    candidates = [type(candidate)(**vars(candidate) | large | {"n_suspect": 1, "cv": cv}) for cv in (2.8e10, 2.9e10)]
    found = fastem.Selection("cv", tuple(candidates), RESULTS["Selection"].mixtures[:2])
    assert max(map(len, repr(found).splitlines())) <= 80
    assert "1000000000 " in repr(found)  # the difference to the best


def test_the_frame_of_a_selection_has_all_of_each_candidate():
    found = RESULTS["Selection"]
    frame = found.to_frame()
    for i, candidate in enumerate(found.candidates):
        for name, value in vars(candidate).items():
            assert frame[name][i] == value or value != value
    assert frame["best"].idxmax() == found.best_index
    assert frame["best"].sum() == 1
    np.testing.assert_array_equal(frame["difference"], found.values - found.values.min())


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_standard_errors_are_told_by_name_with_their_estimates(kind):
    mixture = fastem.GaussianMixture(2, covariance_type=kind, random_state=0, tol=1e-8).fit(PLANE)
    errors = mixture.standard_errors(PLANE)
    frame = errors.to_frame()
    assert len(frame) == len(errors.parameters_covariance) == len(repr(errors).splitlines()) - 1
    for name, (estimate, error) in frame.iterrows():
        parameter, index = name.rstrip("]").split("[")
        place = tuple(map(int, index.split(",")))
        assert estimate == pytest.approx(getattr(mixture, f"{parameter}_")[place], rel=1e-12)
        assert error == getattr(errors, parameter)[place]
        assert list(place[-2:]) == sorted(place[-2:], reverse=True) or parameter != "covariances" or kind == "diag"
    np.testing.assert_array_equal(frame["standard error"], np.sqrt(errors.parameters_covariance.diagonal()))


def test_a_diagnosis_marks_what_it_complains_about():
    lines = repr(RESULTS["Diagnosis"]).splitlines()
    assert [line[0] for line in lines[1:3]] == [" ", "!"]
    assert lines[3:] == ["component 1 has no extent of its own in some direction"]
    assert RESULTS["Diagnosis"].to_frame()["complaints"].tolist() == ["", "has no extent of its own in some direction"]


def test_labels_of_groups_are_escaped():
    fits = fastem.fit_many(np.arange(20.0), groups=np.repeat(["<b>", "a&b"], 10))
    assert "<b>" not in fits._repr_html_()
    assert Cells(fits._repr_html_()).cells[5] == "<b>"


def test_of_many_rows_the_first_are_shown_and_the_others_counted():
    table = Table(["a"], [[str(i)] for i in range(MOST_ROWS + 1000)], ["above"], ["below"])
    lines = str(table).splitlines()
    assert lines[0] == "above"
    assert lines[-2:] == ["and 1,000 more rows: see to_frame()", "below"]
    assert len(lines) == MOST_ROWS + 4
    assert table.html().count("<tr>") == MOST_ROWS + 1


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("высота", 6), ("身高", 4), ("\uff58", 2), ("e\u0301", 1), ("µ ± 1", 5)]
)
def test_columns_of_a_terminal(text, columns):
    assert columns_of(text) == columns
    (line,) = aligned([text], []).splitlines()
    assert line == text


def test_wide_characters_take_two_columns():
    lines = aligned(["身高", "x"], [["1", "2"], ["10000", "3"]]).splitlines()
    assert lines == [" 身高  x", "    1  2", "10000  3"]


def test_columns_of_words_are_aligned_on_the_left_and_no_line_ends_in_spaces():
    assert aligned(["n", "word"], [["1", "a"], ["22", ""]], ["word"]) == " n  word\n 1  a\n22"
