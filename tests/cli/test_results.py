"""What a fit and its predictions are written to: the component of each row, models that remember columns, pictures."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from support.command_line import HEADS, POINTS, RNG, TOSSES, WEIGHTS, X, as_csv, said

import fastem
from fastem.cli import fit, writing

RELEASED = Path(__file__).parents[1] / "released"
IDS = [f"{i:03}" for i in range(len(X))]


@pytest.fixture
def model(folder, ran):
    """A table with names of rows, and a model of it."""
    (folder / "named.csv").write_text(as_csv({"id": IDS, "east": X[:, 0], "north": X[:, 1]}).replace("'", ""))
    said(ran, "fit", "named.csv", "--columns", "east,north", "-k", "2", "--out", "model.npz")
    return fastem.load("model.npz")


def lines_of(text):
    return [line.split(",") for line in text.splitlines()]


def refused(ran, *arguments):
    code, out, (*_, line) = ran(*arguments)
    assert (code, out) == (2, "")
    return line


# ----------------------------------------------------------------------------------------- the component of each row


def test_columns_are_kept_as_they_stand(model, ran):
    found = lines_of(said(ran, "predict", "model.npz", "named.csv", "--keep", "id"))
    assert found[0] == ["id", "component", "probability", "log_density"]
    assert [row[0] for row in found[1:]] == IDS  # with their zeros
    every = lines_of(said(ran, "predict", "model.npz", "named.csv", "--keep", "all"))
    assert every[0] == ["id", "east", "north", "component", "probability", "log_density"]
    assert [row[:3] for row in every] == lines_of(Path("named.csv").read_text())
    assert [row[3:] for row in every] == [row[1:] for row in found]


@pytest.mark.parametrize("file", ["named.parquet", "named.json"])
def test_kept_cells_are_numbers_in_files_of_types_but_for_codes(file, model, ran):
    said(ran, "predict", "model.npz", "named.csv", "--keep", "all", "--out", file)
    found = json.loads(Path(file).read_text()) if "json" in file else pyarrow.parquet.read_table(file).to_pydict()
    assert found["id"] == IDS
    assert found["east"] == X[:, 0].tolist()
    assert all(isinstance(each, int) for each in found["component"])


def test_cells_of_quoted_and_packed_text_are_kept(model, ran):
    text = "id,east,north\n" + "\n".join(f'"a,{i}",{x!r},{y!r}' for i, (x, y) in enumerate(X.tolist()))
    Path("quoted.csv.gz").write_bytes(gzip.compress(text.encode()))
    found = said(ran, "predict", "model.npz", "quoted.csv.gz", "--keep", "id").splitlines()
    assert found[1].startswith('"a,0",')
    said(ran, "predict", "model.npz", "quoted.csv.gz", "--keep", "id", "--out", "found.tsv.gz")
    assert gzip.decompress(Path("found.tsv.gz").read_bytes()).decode().splitlines()[1].startswith("a,0\t")


def test_arrays_and_arrow_columns_are_kept(model, ran):
    table = pyarrow.table({"id": [*range(199), None], "when": ["x"] * 200, "east": X[:, 0], "north": X[:, 1]})
    pyarrow.parquet.write_table(table, "t.parquet")
    found = lines_of(said(ran, "predict", "model.npz", "t.parquet", "--keep", "when,id"))
    assert [found[1][:2], found[200][:2]] == [["x", "0"], ["x", ""]]
    found = lines_of(said(ran, "predict", "model.npz", "rows.npy", "--columns", "x0,x1", "--keep", "x1"))
    assert [float(row[0]) for row in found[1:]] == X[:, 1].tolist()


def test_a_kept_column_does_not_hide_a_result(model, ran):
    Path("named.csv").write_text(Path("named.csv").read_text().replace("id", "component", 1))
    code, out, (line,) = ran("predict", "model.npz", "named.csv", "--keep", "all")
    assert code == 0
    assert line == "fastem: named.csv: its column 'component' is not kept, since the result has one of this name"
    assert lines_of(out)[0] == ["east", "north", "component", "probability", "log_density"]


def test_columns_that_are_not_kept_are_told_in_the_order_of_the_table(model, ran):
    names = ["probability_1", "log_density", "component", "probability_0", "probability"]
    columns = {"east": X[:, 0], "north": X[:, 1], **dict.fromkeys(names, range(len(X)))}
    Path("again.csv").write_text(as_csv(columns))
    _, _, err = ran("predict", "model.npz", "again.csv", "--keep", "all", "--probabilities")
    assert [line.split("'")[1] for line in err] == names


def test_rows_that_are_left_out_have_no_line(model, ran):
    text = Path("named.csv").read_text().splitlines()
    Path("holes.csv").write_text("\n".join([*text[:3], "2,,1", *text[4:]]))
    assert "line 4, column 'east' is '', a missing value" in refused(ran, "predict", "model.npz", "holes.csv")
    code, out, (line,) = ran("predict", "model.npz", "holes.csv", "--drop-missing", "--keep", "id")
    assert (code, line) == (0, "fastem: holes.csv: 1 of 200 rows are left out: they have missing values")
    assert [row[0] for row in lines_of(out)[1:]] == [*IDS[:2], *IDS[3:]]


def test_a_fit_assigns_as_predict_does(model, ran):
    options = ["--keep", "id", "--probabilities"]
    fit_options = ["fit", "named.csv", "--columns", "east,north", "-k", "2"]
    assert said(ran, *fit_options, "--assign", "a.csv", *options) == said(ran, "describe", "model.npz")
    assert Path("a.csv").read_text() == said(ran, "predict", "model.npz", "named.csv", *options)
    for option in (["--keep", "id"], ["--probabilities"]):
        assert f"{option[0]} is for the file of --assign" in refused(ran, *fit_options, *option)


def test_columns_that_are_kept_are_not_fitted(folder, ran):
    (folder / "t.csv").write_text(as_csv({"id": range(5, 205), "x": X[:, 0]}))
    said(ran, "fit", "t.csv", "--keep", "id", "--assign", "a.csv", "-k", "1", "--out", "m.npz")
    assert list(fastem.load("m.npz").feature_names_in_) == ["x"]
    said(ran, "fit", "t.csv", "--keep", "all", "--assign", "a.csv", "-k", "1", "--out", "m.npz")
    assert list(fastem.load("m.npz").feature_names_in_) == ["id", "x"]


@pytest.mark.parametrize("name", ["found.xlsx", "found", "found.csv.bz2", "csv"])
def test_files_of_other_suffixes_are_refused_before_any_work(name, model, ran, monkeypatch):
    monkeypatch.setattr(fit, "read_rows", None)
    formats = "the name of the file must end in .csv, .tsv, .csv.gz, .tsv.gz, .parquet, .pq or .json"
    assert refused(ran, "predict", "none.npz", "none.csv", "--out", name).endswith(f"--out {name}: {formats}")
    assert refused(ran, "fit", "none.csv", "--assign", name).endswith(f"--assign {name}: {formats}")
    assert refused(ran, "fit", "none.csv", "--out", "m.json").endswith(
        "--out m.json: the name of the file must end in .npz"
    )


@pytest.mark.parametrize(
    ("cells", "expected"),
    [(["1", "-2"], [1, -2]), (["1", "2.50"], [1.0, 2.5]), (["01", "2"], None), (["1", ""], None), (["1", "nan"], None),
     (["1_0", "2"], None), (["1", "9" * 30], None), (["a", "b"], None)],
)  # fmt: skip
def test_types_of_cells(cells, expected):
    found = writing.typed(np.array(cells, np.dtypes.StringDType())).tolist()
    assert found == (cells if expected is None else expected)
    assert [*map(type, found)] == [*map(type, cells if expected is None else expected)]


# ------------------------------------------------------------------------------------- what a model remembers of tables


@pytest.mark.parametrize(
    ("options", "other"),
    [
        (["--columns", "alt", "--trials", "depth"], {"alt": HEADS, "depth": TOSSES}),
        (["--successes", "alt", "--failures", "ref"], {"ref": TOSSES - HEADS, "alt": HEADS}),
        (["--columns", "alt", "--trials", "60"], {"alt": HEADS}),
    ],
)
def test_a_model_remembers_trials_and_failures(options, other, folder, ran):
    (folder / "t.csv").write_text(as_csv({"alt": HEADS, "ref": TOSSES - HEADS, "depth": TOSSES}))
    (folder / "other.csv").write_text(as_csv(other))
    said(ran, "fit", "t.csv", *options, "-k", "2", "--out", "model.npz")
    found = said(ran, "predict", "model.npz", "other.csv")
    mixture = fastem.load("model.npz")
    del mixture.feature_names_in_
    trials = 60 if "60" in options else TOSSES
    assert [int(row[0]) for row in lines_of(found)[1:]] == mixture.predict(HEADS, trials=trials).tolist()
    assert found != said(ran, "predict", "model.npz", "other.csv", "--trials", "70")


def test_a_model_remembers_words(folder, ran):
    (folder / "t.csv").write_text("x\n1\n2\n?\n4\n")
    ran("fit", "t.csv", "-k", "1", "--missing", "?", "--drop-missing", "--out", "model.npz")
    code, out, _ = ran("predict", "model.npz", "t.csv", "--drop-missing")
    assert (code, len(out.splitlines())) == (0, 4)
    assert "line 4, column 'x' is '?', a missing value: --drop-missing" in refused(ran, "predict", "model.npz", "t.csv")
    assert fastem.load("model.npz").missing_words_.tolist() == ["?"]


def test_a_model_of_counts_that_remembers_no_trials_asks_for_them(folder, ran):
    """As those do that Python has saved, or version 0.1.0."""
    fastem.BinomialMixture(2, random_state=0).fit(HEADS, trials=TOSSES).save("model.npz")
    (folder / "t.csv").write_text(as_csv({"alt": HEADS, "depth": TOSSES, "ref": TOSSES - HEADS}))
    line = refused(ran, "predict", "model.npz", "t.csv", "--columns", "alt")
    assert line.endswith("model.npz needs the trials of each row: --trials, a column or a number, or --failures")
    by_trials = said(ran, "predict", "model.npz", "t.csv", "--columns", "alt", "--trials", "depth")
    assert by_trials == said(ran, "predict", "model.npz", "t.csv", "--successes", "alt", "--failures", "ref")


def test_models_of_the_released_version_predict(folder, ran):
    d = fastem.load(RELEASED / "0.1.0-normal.npz").n_features_in_
    np.save("t.npy", RNG.normal(size=(20, d)))
    assert len(said(ran, "predict", str(RELEASED / "0.1.0-normal.npz"), "t.npy").splitlines()) == 21


# -------------------------------------------------------------------------------------------------------------- results


@pytest.fixture
def wide(folder):
    rows = np.concatenate([RNG.normal(size=(60, 8)), RNG.normal(size=(60, 8)) + 5])
    (folder / "wide.csv").write_text(as_csv({f"a long name of column {i}": rows[:, i] for i in range(8)}))
    return folder


def test_a_picture_that_fails_costs_neither_model_nor_table(folder, ran, monkeypatch):
    def failing(*_, **__):
        raise ValueError("no ink")

    expected = said(ran, "fit", "rows.csv", *POINTS, "-k", "2")
    monkeypatch.setattr(fit, "plot", failing)
    options = ["--out", "m.npz", "--assign", "a.csv", "--plot", "p.png"]
    assert ran("fit", "rows.csv", *POINTS, "-k", "2", *options) == (2, expected, ["fastem: error: no ink"])
    assert fastem.load("m.npz").n_components == 2
    assert len(Path("a.csv").read_text().splitlines()) == 201


def test_a_wide_table_is_fitted_whatever_becomes_of_its_picture(wide, ran):
    _, out, _ = ran("fit", "wide.csv", "-k", "2", "--out", "m.npz", "--plot", "p.png")
    assert "GaussianMixture: 2 components" in out
    assert fastem.load("m.npz").n_features_in_ == 8


def test_columns_of_a_picture_are_handed_to_the_display(wide, ran, monkeypatch):
    seen = []

    class Display:
        @classmethod
        def from_estimator(cls, mixture, X, **options):
            seen.append(options["features"])
            raise ValueError("seen")

    monkeypatch.setattr(fit, "display_type", lambda family: Display)
    ran(
        "fit",
        "wide.csv",
        "-k",
        "1",
        "--plot",
        "p.png",
        "--plot-columns",
        "a long name of column 7,a long name of column 0",
    )
    assert seen == [[7, 0]]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--plot", "p.png", "--plot-columns", "eats"],
            "--plot-columns: 'eats' is not fitted: did you mean east?",
        ),
        (["--plot-columns", "east"], "--plot-columns is for the picture of --plot"),
        (["--covariance", "ful"], "--covariance must be one of"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_fit(options, sentence, folder, ran, monkeypatch):
    monkeypatch.setattr(fit, "select", None)
    assert sentence in refused(ran, "fit", "rows.csv", *POINTS, *options)


@pytest.mark.parametrize("columns", [66, 80, 132])
def test_text_fits_the_terminal(columns, wide, ran, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    for file in ("rows.csv", "wide.csv"):
        _, out, _ = ran("fit", file, "-k", "1..3")
        assert max(map(len, out.splitlines())) <= columns


def test_many_features_have_a_line_each(wide, ran):
    lines = said(ran, "fit", "wide.csv", "-k", "2").splitlines()
    assert lines[-17].split() == ["component", "weight", "feature", "mean", "sd"]
    assert [line.split()[0] for line in (lines[-16], lines[-8])] == ["0", "1"]
    assert "a long name of column 7" in lines[-1]
    means = (
        fastem.GaussianMixture(2, random_state=0, order_by="means")
        .fit(np.loadtxt("wide.csv", delimiter=",", skiprows=1))
        .means_
    )
    np.testing.assert_allclose(float(lines[-1].split()[-2]), means[1, 7], rtol=1e-5)


def test_rows_are_an_integer_where_weights_are_whole(folder, ran):
    for options, expected in (([], 200), (["--weight", "w"], WEIGHTS.sum())):
        out = said(ran, "fit", "rows.csv", *POINTS, *options, "-k", "2", "--json")
        assert f'"rows": {expected},' in out


def test_a_candidate_that_is_fitted_again_says_why(folder, ran):
    _, _, err = ran("fit", str(Path(__file__).parents[2] / "examples" / "data" / "galaxies.csv"))
    assert any(": k = 7 again, better from k = 8 with two components merged: bic 1588.52" in line for line in err)
    _, _, err = ran("fit", "rows.csv", *POINTS, "-k", "1..3")
    assert any(": k = 3 again, better by splits and merges: bic" in line for line in err)


def test_the_largest_number_of_components_is_no_sure_choice(folder, ran):
    _, _, err = ran("fit", "rows.csv", *POINTS, "-k", "1..2")
    assert err[-1] == "fastem: k = 2, the best, is the largest that was tried: -k 1..4 looks further"
    _, _, err = ran("fit", "rows.csv", *POINTS, "-k", "1..3")
    assert "further" not in err[-1]


def test_the_page_shows_the_tables_that_are_printed(folder, ran, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    root = Path(__file__).parents[2]
    _, out, _ = ran("fit", str(root / "examples" / "data" / "old_faithful.csv"))
    page = (root / "docs" / "cli.md").read_text().replace("\n    ", "\n")
    candidates, mixture = out.split("\n\n")
    assert candidates in page
    assert mixture.rstrip() in page


# ------------------------------------------------------------------------------------------------- Bayesian mixtures


def test_a_bayesian_mixture_is_fitted_saved_drawn_and_used(folder, ran):
    """With the components that rows do not need empty, and no complaint about them."""
    Path("rows.csv").write_text(as_csv({"east": X[:, 0], "north": X[:, 1]}))
    results = ("--out", "model.npz", "--assign", "assigned.csv", "--plot", "plot.png")
    text = said(ran, "fit", "rows.csv", "--bayesian", "-k", "5", *results)
    assert text.startswith("BayesianGaussianMixture: 5 components")
    assert "AIC" not in text
    assert Path("plot.png").stat().st_size > 1000
    described = json.loads(said(ran, "describe", "model.npz", "--json"))
    assert described["class"] == "BayesianGaussianMixture"
    assert sum(weight > 0.05 for weight in described["weights"]) == 2
    assert described["complaints"] == []
    assert said(ran, "predict", "model.npz", "rows.csv") == Path("assigned.csv").read_text()
    assert "--bayesian is for --family gaussian" in refused(ran, "fit", "rows.csv", "--bayesian", "--family", "poisson")
    assert "--bayesian is for --family gaussian" in refused(ran, "fit", "rows.csv", "--bayesian", "--criterion", "icl")
    assert "stay empty: -k 5, not 2..5" in refused(ran, "fit", "rows.csv", "--bayesian", "-k", "2..5")


def test_a_mixture_of_one_column_is_described_with_its_cut_points(folder, ran):
    (folder / "one.csv").write_text(as_csv({"east": X[:, 0]}))
    said(ran, "fit", "one.csv", "-k", "2", "--out", "one.npz")
    (cut,) = fastem.load("one.npz").cut_points()
    assert f"cut points: {cut:.6g}" in said(ran, "describe", "one.npz").splitlines()
    assert json.loads(said(ran, "describe", "one.npz", "--json"))["cut_points"] == [cut]
