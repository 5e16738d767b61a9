"""Columns of text, missing values, packed and Arrow files, successes and failures: what is read, and what is said."""

import gzip
import json

import numpy as np
import pyarrow
import pyarrow.feather
import pytest
from support.command_line import HEADS, TOSSES, X, as_csv, said

import fastem

NAMES = [f"g{i}" for i in range(len(X))]
TAILS = TOSSES - HEADS


def means(ran, *arguments):
    """The mean of each column of one component, and what was said."""
    code, out, err = ran("fit", *arguments, "-k", "1", "--json")
    assert code == 0, err
    told = json.loads(out)
    return dict(zip(told["columns"], told["means"][0], strict=True)), told["rows"], err


def refused(ran, *arguments):
    code, out, (*_, line) = ran(*arguments)
    assert (code, out) == (2, "")
    return line


def mean(rows):
    return pytest.approx({"x": X[rows, 0].mean(), "y": X[rows, 1].mean()}, rel=1e-9)


def text_of(changes=(), names=NAMES):
    """Rows with a gene, x and y; some cells are changed."""
    cells = [["gene", "x", "y"], *([name, *map(repr, row)] for name, row in zip(names, X.tolist(), strict=True))]
    for line, column, cell in changes:
        cells[line - 1][column] = cell
    return "\n".join(map(",".join, cells)) + "\n"


# ------------------------------------------------------------------------------------------------------------- columns


def test_columns_of_text_are_left_out_with_one_note(folder, ran):
    days = [f"2024-01-{i % 28 + 1:02}" for i in range(len(X))]
    (folder / "t.csv").write_text(as_csv({"x": X[:, 0], "y": X[:, 1]}).replace("\n", ",{},{}\n").format(
        "gene", "day", *(each for pair in zip(NAMES, days, strict=True) for each in pair)
    ))  # fmt: skip
    found, rows, err = means(ran, "t.csv")
    assert (found, rows) == (mean(slice(None)), len(X))
    assert err == ["fastem: t.csv: columns without numbers are left out: gene ('g0'), day ('2024-01-01')"]
    assert means(ran, "t.csv", "--columns", "x,y")[2] == []
    assert "t.csv: line 2, column 'gene' is 'g0', not a number" in refused(ran, "fit", "t.csv", "--columns", "gene,x")


def test_a_column_of_numbers_with_some_text_is_not_left_out(folder, ran):
    (folder / "t.csv").write_text(text_of(names=[*map(str, range(len(X) - 1)), "X"]))
    line = refused(ran, "fit", "t.csv")
    assert line.endswith("t.csv: line 201, column 'gene' is 'X', not a number; --columns A,B chooses other columns")


@pytest.mark.parametrize("cell", ["12%", "1,000", "1 000,5", "1'000"])
def test_numbers_in_another_form_are_not_taken_for_text(cell, folder, ran):
    (folder / "t.csv").write_text(f'x,y\n1,"{cell}"\n2,"{cell}"\n')
    assert f"line 2, column 'y' is {cell!r}, not a number" in refused(ran, "fit", "t.csv") or "'" in cell


def test_a_table_of_text_alone_is_refused_with_its_first_cell(folder, ran):
    (folder / "t.csv").write_text("a,b\nx,y\nz,w\n")
    assert "t.csv: line 2, column 'a' is 'x', not a number" in refused(ran, "fit", "t.csv")


@pytest.mark.parametrize("suffix", [".arrow", ".feather", ".parquet"])
def test_arrow_tables(suffix, folder, ran):
    y = [*X[:-1, 1].tolist(), None]
    table = pyarrow.table({"gene": NAMES, "x": X[:, 0], "y": y, "flag": [True] * 199 + [None]})
    if suffix == ".arrow":
        with pyarrow.OSFile("t.arrow", "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    elif suffix == ".feather":
        pyarrow.feather.write_feather(table, "t.feather")
    else:
        pyarrow.parquet.write_table(table, "t.parquet")
    line = refused(ran, "fit", f"t{suffix}")
    assert f"t{suffix}: row 199 (from 0), column 'y' is a missing value: --drop-missing leaves out such rows" in line
    found, rows, err = means(ran, f"t{suffix}", "--drop-missing")
    assert (found.pop("flag"), found) == (1.0, mean(slice(199)))
    assert rows == 199
    assert err[:2] == [
        f"fastem: t{suffix}: columns without numbers are left out: gene (string)",
        f"fastem: t{suffix}: 1 of 200 rows are left out: they have missing values",
    ]


def test_a_file_that_is_no_arrow_file_is_refused(folder, ran):
    (folder / "t.arrow").write_text("x,y\n1,2\n")
    assert "t.arrow is damaged, or no Arrow file" in refused(ran, "fit", "t.arrow")
    assert refused(ran, "fit", "no.feather") == "fastem: error: no.feather: No such file or directory"


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv", "t.tsv.gz"])
def test_packed_text_is_known_by_its_content(name, folder, ran):
    text = text_of().replace(",", "\t" if "tsv" in name else ",")
    (folder / name).write_bytes(gzip.compress(text.encode()))
    found, rows, err = means(ran, name)
    assert (found, rows) == (mean(slice(None)), len(X))
    assert err == [f"fastem: {name}: columns without numbers are left out: gene ('g0')"]  # tabs in a .tsv are expected


# ------------------------------------------------------------------------------------------------------ missing values


@pytest.mark.parametrize("cell", ["", " ", "NA", "nan", "NaN", "null", "NULL"])
def test_rows_with_missing_values_are_left_out_and_counted(cell, folder, ran):
    (folder / "t.csv").write_text(text_of([(5, 1, cell), (9, 2, cell), (9, 1, cell)]))
    sentence = f"t.csv: line 5, column 'x' is {cell.strip()!r}, a missing value: --drop-missing leaves out such rows"
    assert sentence in refused(ran, "fit", "t.csv", "--columns", "x,y")
    found, rows, err = means(ran, "t.csv", "--columns", "x,y", "--drop-missing")
    assert (found, rows) == (mean(np.delete(np.arange(200), [3, 7])), 198)
    assert err == ["fastem: t.csv: 2 of 200 rows are left out: they have missing values"]


@pytest.mark.parametrize(("word", "cell"), [(".", "."), ("-", "-"), ("unknown", "Unknown"), ("-9,?", "-9")])
def test_words_that_count_as_missing(word, cell, folder, ran):
    (folder / "t.csv").write_text(text_of([(5, 1, cell)]))
    found, rows, _ = means(ran, "t.csv", "--columns", "x,y", "--drop-missing", "--missing", word)
    assert (found, rows) == (mean(np.delete(np.arange(200), 3)), 199)
    assert "a missing value: --drop-missing" in refused(ran, "fit", "t.csv", "--columns", "x", "--missing", word)
    if cell in ".-":
        line = refused(ran, "fit", "t.csv", "--columns", "x,y", "--drop-missing")
        assert line.endswith(f"column 'x' is {cell!r}, not a number: --missing {cell} counts it as missing")


def test_numbers_that_count_as_missing_in_arrays(folder, ran):
    rows = X.copy()
    rows[[3, 7], [0, 1]] = -9, np.nan
    np.save("t.npy", rows)
    found, n, _ = means(ran, "t.npy", "--drop-missing", "--missing", "-9")
    assert list(found.values()) == pytest.approx(list(X[np.delete(np.arange(200), [3, 7])].mean(axis=0)))
    assert n == 198
    assert "t.npy: row 7 (from 0), column 'x1' is a missing value" in refused(ran, "fit", "t.npy")


def test_infinity_is_no_number_to_fit(folder, ran):
    (folder / "t.csv").write_text(text_of([(5, 1, "inf")]))
    for options in ([], ["--drop-missing"]):
        assert refused(ran, "fit", "t.csv", *options).endswith("line 5, column 'x' is 'inf', not a finite number")


@pytest.mark.parametrize(
    "words",
    ["--columns east,east", "--columns 0,east", "--columns east --weight east", "--columns heads --trials heads",
     "--successes heads --failures heads"],
)  # fmt: skip
def test_a_column_has_one_purpose(words, folder, ran):
    code, _, err = ran("fit", "rows.csv", "-k", "1", *words.split())
    assert code == 2
    assert "is named twice: it can have one purpose" in err[-1]


def test_features_may_share_their_trials(folder, ran):
    code, _, _ = ran("fit", "rows.csv", "-k", "1", "--columns", "heads,w", "--trials", "tosses,tosses")
    assert code == 0


def test_a_column_without_values_is_named(folder, ran):
    (folder / "t.csv").write_text("x,y\n1,NA\n,NA\n3,\n")
    line = refused(ran, "fit", "t.csv", "--drop-missing")
    assert line == "fastem: error: t.csv: all rows have a missing value, most often in column 'y'"


@pytest.mark.parametrize("rows", ["1,2\n", "1,2\n,3\n"])
def test_a_single_row_is_refused(rows, folder, ran):
    (folder / "t.csv").write_text(f"x,y\n{rows}")
    assert "t.csv has one row: a fit needs two at least" in refused(ran, "fit", "t.csv", "--drop-missing")


def test_an_array_without_rows_is_refused_as_such(folder, ran):
    np.save(folder / "t.npy", np.empty((0, 2)))
    assert "t.npy has no rows: a fit needs two at least" in refused(ran, "fit", "t.npy")


# -------------------------------------------------------------------------------------------------------------- counts


@pytest.fixture
def alleles(folder):
    """A table of two sites with references and alternatives; its lines are numbered from 1."""
    columns = {"ref": TAILS, "alt": HEADS, "depth": TOSSES, "ref2": TAILS[::-1], "alt2": HEADS[::-1]}
    (folder / "alleles.csv").write_text(as_csv(columns))
    return folder


def test_successes_and_failures_are_successes_and_trials(alleles, ran):
    by_failures = said(ran, "fit", "alleles.csv", "--successes", "alt", "--failures", "ref", "-k", "2", "--json")
    by_trials = said(ran, "fit", "alleles.csv", "--columns", "alt", "--trials", "depth", "-k", "2", "--json")
    assert (
        by_failures == by_trials == said(ran, "fit", "alleles.csv", "--succ", "alt", "--tr", "depth", "-k2", "--json")
    )
    assert json.loads(by_failures)["class"] == "BinomialMixture"  # without --family


def test_several_successes(alleles, ran):
    options = ["--successes", "alt,alt2", "--failures", "ref,ref2", "-k", "2"]
    told = json.loads(said(ran, "fit", "alleles.csv", *options, "--json"))
    both = np.column_stack([HEADS, HEADS[::-1]]), np.column_stack([TOSSES, TOSSES[::-1]])
    assert told["columns"] == ["alt", "alt2"]
    mixture = fastem.BinomialMixture(2, random_state=0, tol=1e-9).fit(both[0], trials=both[1])
    assert told["loglik"] == pytest.approx(mixture.loglik_, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--failures", "ref"], "--failures needs --successes"),
        (["--successes", "alt"], "--successes needs --failures or --trials"),
        (["--successes", "alt", "--failures", "ref", "--trials", "9"], "--trials and --failures cannot both be given"),
        (["--columns", "alt", "--successes", "alt", "--trials", "9"], "--columns and --successes cannot both be given"),
        (["--successes", "alt,alt2", "--failures", "ref"], "--failures must be as many columns as the successes, 2"),
        (["--columns", "alt,alt2,ref", "--trials", "depth,depth"], "--trials must be one column, or as many as are"),
        (["--successes", "alt", "--failures", "rfe"], "has no column 'rfe': did you mean ref?"),
        (["--family", "binomial"], "--family binomial needs --trials, a column or a number, or --successes with"),
        (["--family", "poisson", "--successes", "alt", "--failures", "ref"], "--failures are for --family binomial"),
    ],
)
def test_half_of_the_counts_is_refused(options, sentence, alleles, ran):
    assert sentence in refused(ran, "fit", "alleles.csv", *options)


@pytest.mark.parametrize(
    ("line", "options", "sentence"),
    [
        ("17,21,17,1,1", ["--columns", "alt", "--trials", "depth"], "line 7: 'alt' is 21 but 'depth' is 17"),
        ("17,2.5,17,1,1", ["--successes", "alt", "--failures", "ref"], "line 7: 'alt' is 2.5, but counts are whole"),
        ("-1,21,17,1,1", ["--successes", "alt", "--failures", "ref"], "line 7: 'ref' is -1, but counts are whole numb"),
        ("1,2,17.5,1,1", ["--columns", "alt", "--trials", "depth"], "line 7: 'depth' is 17.5, but counts are whole"),
        ("1,99,17,1,1", ["--columns", "alt", "--trials", "60"], "line 7: 'alt' is 99 but --trials is 60"),
        ("1,1,-17,1,1", ["--columns", "alt", "--weight", "depth"], "line 7: 'depth' is -17, but weights are not neg"),
    ],
)
def test_wrong_counts_are_told_by_column_and_line(line, options, sentence, alleles, ran):
    lines = (alleles / "alleles.csv").read_text().splitlines()
    lines[2:2], lines[6] = ["", ""], line  # blank lines are no rows
    (alleles / "alleles.csv").write_text("\n".join(lines))
    assert f"alleles.csv: {sentence}" in refused(ran, "fit", "alleles.csv", *options)


def test_lines_are_those_of_the_file_where_rows_are_left_out(alleles, ran):
    lines = (alleles / "alleles.csv").read_text().splitlines()
    lines[3], lines[6] = "NA,1,2,3,4", "17,21,17,1,1"
    (alleles / "alleles.csv").write_text("\n".join(lines))
    options = ["--columns", "alt", "--trials", "depth"]
    assert "line 7: 'alt' is 21 but" in refused(ran, "fit", "alleles.csv", *options)
    assert "line 7: 'alt' is 21" in refused(ran, "fit", "alleles.csv", *options, "--drop-missing", "--weight", "ref")


def test_rows_with_missing_values_are_kept_where_that_is_asked(ran, folder):
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(9, 1, (60, 2))])
    lines = [f"{x:.3f},{'' if i % 5 == 0 else f'{y:.3f}'}" for i, (x, y) in enumerate(rows)]
    (folder / "gaps.csv").write_text("x,y\n" + "\n".join(lines) + "\n")
    code, _, _ = ran("fit", "gaps.csv", "-k", "2", "--keep-missing", "--out", "model.npz", "--assign", "found.csv")
    assert code == 0
    code, out, _ = ran("fit", "gaps.csv", "-k", "2", "--keep-missing", "--standard-errors", "--plot", "picture.png")
    assert code == 0
    assert "±" in out
    assert (folder / "picture.png").stat().st_size > 0
    model = fastem.load(folder / "model.npz")
    assert model.missing == "marginalize"
    assert model.counts_.sum() == pytest.approx(120)
    assert len((folder / "found.csv").read_text().splitlines()) == 121
    code, out, _ = ran("predict", "model.npz", "gaps.csv")
    assert code == 0
    assert len(out.splitlines()) == 121
    for option in ("--drop-missing", "--bayesian"):
        assert ran("fit", "gaps.csv", "-k", "2", "--keep-missing", option)[0] == 2
