"""Columns that are odd in a fit are remarked on, and fitted all the same."""

import numpy as np
import pytest
from support.command_line import X, as_csv, said

N = len(X)
COLUMNS = {"east": X[:, 0], "north": X[:, 1]}


def fitted(folder, ran, columns, *options):
    (folder / "odd.csv").write_text(as_csv(columns))
    code, out, err = ran("fit", "odd.csv", "-k", "2", *options)
    assert (code, "GaussianMixture: 2 components" in out) == (0, True)
    return err


@pytest.mark.parametrize("first", [0, 1])
def test_numbers_of_rows_are_remarked_on(first, folder, ran):
    numbered = {"row": range(first, first + N), **COLUMNS}
    assert fitted(folder, ran, numbered) == [
        "fastem: odd.csv: column 'row' numbers the rows, and is fitted: --columns A,B leaves it out"
    ]
    assert fitted(folder, ran, numbered, "--columns", "row,east") == []  # as it was asked for


@pytest.mark.parametrize("column", [range(7, 7 + N), np.arange(N) // 2, [*range(N - 1), 0], X[:, 0].round()])
def test_other_whole_numbers_are_not(column, folder, ran):
    assert fitted(folder, ran, {"x": column, **COLUMNS}) == []


def test_a_column_of_one_value_is(folder, ran):
    line = "fastem: odd.csv: column 'x' is 1.5 in all rows, and tells no groups apart"
    for options in ([], ["--columns", "x,east,north"]):
        assert fitted(folder, ran, {"x": [1.5] * N, **COLUMNS}, *options) == [line]
    assert fitted(folder, ran, {"x": [1.5] * (N - 1) + [2.5], **COLUMNS}) == []


def test_few_rows_in_order_are_measurements(folder, ran):
    (folder / "few.csv").write_text("x\n" + "\n".join(map(str, range(1, 16))))
    said(ran, "fit", "few.csv", "-k", "1")
