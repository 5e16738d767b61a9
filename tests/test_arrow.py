"""Rows from Parquet files and Arrow tables: the bits of rows in memory, whatever the row groups; nulls are named."""

import sys
import threading

import numpy as np
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import pytest
from test_chunks import N, assert_same_bits, counts, rows

import fastem

COLUMNS = ["east", "north"]


def table(X, **more):
    return pyarrow.table({name: X[:, i] for i, name in enumerate(COLUMNS)} | more)


def file(path, X, group=1000, **more):
    pyarrow.parquet.write_table(table(X, **more), path, row_group_size=group)
    return path


@pytest.mark.parametrize("group", [100, 4096, 5000, N])
@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_parquet_has_the_bits_of_rows_in_memory(group, cached, n_threads, tmp_path):
    X, w = rows(), np.random.default_rng(1).random(N)
    memory = fastem.GaussianMixture(3, random_state=0).fit(X, sample_weight=w)
    cache = tmp_path / "cache.npy" if cached else None
    source = fastem.from_arrow(file(tmp_path / "rows.parquet", X, group, w=w), COLUMNS, sample_weight="w", cache=cache)
    assert_same_bits(memory, fastem.GaussianMixture(3, random_state=0, n_threads=n_threads).fit(chunks=source))
    if cached:
        np.testing.assert_array_equal(np.load(cache), np.column_stack([X, w]))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["cache.npy", "rows.parquet"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tables_datasets_and_folders(dtype, tmp_path):
    """float32 columns are float32 rows; a folder holds the rows of its files in the order of their names."""
    X = rows(dtype=dtype)
    memory = fastem.GaussianMixture(3, random_state=0).fit(X)
    folder = tmp_path / "files"
    folder.mkdir()
    for i in range(3):
        file(folder / f"part-{i}.parquet", X[i * 5000 : (i + 1) * 5000])
    for source in (table(X), pyarrow.dataset.dataset(table(X)), folder, str(folder)):
        found = fastem.GaussianMixture(3, random_state=0).fit(chunks=fastem.from_arrow(source, COLUMNS))
        assert_same_bits(memory, found)
        assert found.means_.dtype == dtype


def test_a_file_of_other_types_is_read_as_the_first(tmp_path):
    """And a column that it lacks is nulls, as Arrow has it."""
    X = np.round(rows(3000))
    file(tmp_path / "0.parquet", X[:1000])
    file(tmp_path / "1.parquet", X[1000:2000].astype(np.float32))
    file(tmp_path / "2.parquet", X[2000:])
    found = [chunk for (chunk,) in fastem.from_arrow(tmp_path, COLUMNS)]
    np.testing.assert_array_equal(np.concatenate(found), X)
    pyarrow.parquet.write_table(table(X[:5]).select(["east"]), tmp_path / "3.parquet")
    with pytest.raises(ValueError, match="column 'north' must be finite, without null at row 3000"):
        list(fastem.from_arrow(tmp_path, COLUMNS))


def test_columns_are_those_asked_for_in_their_order():
    X = rows(100)
    ((found,),) = fastem.from_arrow(table(X), COLUMNS[::-1])
    np.testing.assert_array_equal(found, X[:, ::-1])
    ((found, w),) = fastem.from_arrow(table(X), "north", sample_weight="east", dtype=np.float32)
    np.testing.assert_array_equal(found, X[:, 1:].astype(np.float32))
    np.testing.assert_array_equal(w, X[:, 0].astype(np.float32))


@pytest.mark.parametrize("columns", [["n", "m"], "n", 8])
def test_counts(columns):
    X, trials, w = counts(20_000, d=2)
    trials = np.full_like(trials, 8) if columns != ["n", "m"] else trials
    tosses = {} if columns == 8 else {"n": trials[:, 0], "m": trials[:, 1]}
    source = fastem.from_arrow(table(X, w=w, **tosses), COLUMNS, trials=columns, sample_weight="w")
    memory = fastem.BinomialMixture(2, random_state=0).fit(X, trials=trials, sample_weight=w)
    assert_same_bits(memory, fastem.BinomialMixture(2, random_state=0).fit(chunks=source))


def test_a_null_is_named(tmp_path):
    X = rows()
    nulls = np.arange(N) == 9000
    bad = table(X).set_column(1, "north", pyarrow.array(X[:, 1], mask=nulls))
    pyarrow.parquet.write_table(bad, tmp_path / "rows.parquet", row_group_size=4000)
    threads = threading.active_count()
    with pytest.raises(ValueError, match="column 'north' must be finite, without null at row 9000"):
        fastem.GaussianMixture(2).fit(chunks=fastem.from_arrow(tmp_path / "rows.parquet", COLUMNS))
    X[9000, 1] = np.nan
    with pytest.raises(ValueError, match=r"X must be finite.* got nan at row 9000, column 1"):
        fastem.GaussianMixture(2).fit(chunks=fastem.from_arrow(table(X), COLUMNS))
    assert threading.active_count() == threads


@pytest.mark.parametrize("cached", [False, True])
def test_a_file_that_changes_between_sweeps_is_named(cached, tmp_path):
    path, cache = file(tmp_path / "rows.parquet", rows()), tmp_path / "cache.npy" if cached else None
    start = fastem.NormalParams(np.ones(1), np.zeros((1, 2)), np.eye(2)[np.newaxis])
    with fastem.open_chunks(fastem.from_arrow(path, COLUMNS, cache=cache)) as opened:
        opened.sweep(start)
        (cache or path).write_bytes((cache or path).read_bytes()[:1000])
        with pytest.raises((OSError, ValueError)) as caught:
            opened.sweep(start)
    assert caught.value.__notes__ == [f"while reading chunk 0 of {path}"]


def test_an_unfinished_cache_is_none(tmp_path):
    """What stops half way leaves no file that looks complete, and the next pass starts anew."""
    X = rows()
    source = fastem.from_arrow(table(X), COLUMNS, cache=tmp_path / "cache.npy")
    batches, source._batches = source._batches, lambda: iter([X[:5], 7])
    with pytest.raises(AttributeError):
        next(iter(source))
    assert not (tmp_path / "cache.npy").exists()
    source._batches = batches
    np.testing.assert_array_equal(np.concatenate([chunk for (chunk,) in source]), X)


@pytest.mark.parametrize(
    ("source", "columns", "options", "error", "message"),
    [
        (7, "a", {}, TypeError, "source must be a path, .* got int"),
        (table(rows(5)), "west", {}, ValueError, "column 'west' is missing, .* columns are .*'east', 'north'"),
        (table(rows(5)), [], {}, TypeError, r"columns must be a name or names of columns, got \[\]"),
        (table(rows(5)), [0], {}, TypeError, r"columns must be a name or names of columns, got \[0\]"),
        (table(rows(5)), "east", {"trials": [0.5]}, TypeError, "trials must be a name or names"),
        (pyarrow.table({"a": ["x"]}), "a", {}, TypeError, "column 'a' must hold numbers, got string"),
        (table(rows(5)), "east", {"dtype": np.int32}, ValueError, "dtype must be None, float32 or float64"),
    ],
)
def test_bad_sources(source, columns, options, error, message):
    with pytest.raises(error, match=message):
        fastem.from_arrow(source, columns, **options)


def test_without_arrow(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"from_arrow needs pyarrow: pip install 'fastem\[arrow\]'"):
        fastem.from_arrow("rows.parquet", "a")
