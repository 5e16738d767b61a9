"""How values are written: cells of text as they were read, numbers as numbers, JSON that every parser accepts."""

import json
import math

import numpy as np
import pyarrow.parquet
import pytest

from fastem.cli.writing import write_table

CELLS = [
    ["9007199254740993", "9007199254740992"],  # float64 has one number for both
    ["-9223372036854775808", "9223372036854775807"],
    ["18446744073709551615", "18446744073709551616"],
    ["9223372036854775808", "-1"],
    ["12345678901234567890", "2.5"],
    ["1" * 5000, "2"],
    ["007", "8"],
    ["+4930123456", "110"],
    ["1_000", "2"],
    ["٣", "4"],
    ["", "5"],
    ["nan", "6"],
    ["1e999", "7"],
    ["1.1", "1.10"],  # versions: one number, two names
    ["0.1000000000000000055", "0.1"],
]


def written(tmp_path, suffix, values):
    """A column, as it is read from a file that it was written to."""
    path = tmp_path / f"written{suffix}"
    write_table(str(path), {"id": values})
    if suffix == ".json":
        return json.loads(path.read_text(), parse_constant=pytest.fail)["id"]
    return pyarrow.parquet.read_table(path).column("id").to_pylist()


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
@pytest.mark.parametrize("cells", CELLS, ids=lambda cells: cells[0][:20])
def test_ids_are_written_back_as_they_were_read(cells, suffix, tmp_path):
    found = written(tmp_path, suffix, np.array(cells, np.dtypes.StringDType()))
    assert [*map(str, found)] == cells


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
def test_measurements_are_numbers_however_they_are_written(suffix, tmp_path):
    cells = np.array(["1.50", "1.50", "1e3", "1.000000000000000056e-01", "-2", "0.0", "-0.0"], np.dtypes.StringDType())
    assert written(tmp_path, suffix, cells) == [1.5, 1.5, 1000.0, 0.1, -2.0, 0.0, 0.0]


def test_json_has_null_for_what_is_not_finite(tmp_path):
    assert written(tmp_path, ".json", np.array([1.5, -math.inf, math.nan])) == [1.5, None, None]


@pytest.mark.parametrize("values", [[2**64 - 1, 3], [2**64 - 1, None]])
def test_parquet_has_whole_numbers_beyond_int64(values, tmp_path):
    assert written(tmp_path, ".parquet", np.array(values, object)) == values
