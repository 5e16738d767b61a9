"""Rows from Parquet files and Arrow tables: the bits of rows in memory, whatever the row groups; nulls are named."""

import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import pytest
from support.chunks import N, assert_same_bits, counts, rows

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
@pytest.mark.seconds
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


def folder_of(tmp_path, *columns):
    """A folder of Parquet files with one column each, `a`, of these values; 0.parquet, 1.parquet, ..."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for i, values in enumerate(columns):
        pyarrow.parquet.write_table(pyarrow.table({"a": values}), folder / f"{i}.parquet")
    return folder


def read(source, columns="a", **options):
    """The values of a column, and the type they are read as."""
    chunks = [X for (X,) in fastem.from_arrow(source, columns, **options)]
    return np.concatenate(chunks).ravel(), chunks[0].dtype


FINE = [1 / 3, 16777217.0, 1e300, 0.1]
"""Numbers that no narrower type holds."""


@pytest.mark.parametrize("options", [{}, {"dtype": np.float64}, {"cache": "cache.npy"}], ids=["", "dtype", "cache"])
@pytest.mark.parametrize("fine_first", [False, True])
@pytest.mark.parametrize(
    "other",
    [[True, False], np.array([0.5, 2.0], np.float16), np.array([0.5, 2.0], np.float32), np.array([-5, 7], np.int8),
     np.array([2**40, 5]), pyarrow.array([0.5, 2.0]).dictionary_encode()],
    ids=["bool", "float16", "float32", "int8", "int64", "dictionary"],
)  # fmt: skip
def test_each_file_of_a_folder_is_read_by_its_own_types(other, fine_first, options, tmp_path, monkeypatch):
    """Whichever comes first: nothing that a later file holds is lost."""
    monkeypatch.chdir(tmp_path)
    files = [FINE, other] if fine_first else [other, FINE]
    found, read_as = read(folder_of(tmp_path, *files), **options)
    assert read_as == np.float64
    expected = [np.array(pyarrow.array(values).to_pylist(), float) for values in files]
    np.testing.assert_array_equal(found, np.concatenate(expected))


def test_rows_are_float32_where_all_files_are_or_where_it_is_asked_for(tmp_path):
    single = np.array([0.5, 1 / 3], np.float32)
    assert read(folder_of(tmp_path, single, single))[1] == np.float32
    (tmp_path / "more").mkdir()
    found, read_as = read(folder_of(tmp_path / "more", FINE[:2], single), dtype=np.float32)
    assert read_as == np.float32
    np.testing.assert_array_equal(found, np.array([*FINE[:2], *single], np.float32))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["x"], "column 'a' must hold numbers, got string in .*1.parquet"),
        (pyarrow.array([None]), "column 'a' must hold numbers, got null in .*1.parquet"),
        (pyarrow.array([1], pyarrow.decimal128(5, 2)), "got decimal128.* in .*1.parquet"),
        (pyarrow.array([1], pyarrow.timestamp("s")), "got timestamp.* in .*1.parquet"),
    ],
    ids=["string", "null", "decimal", "timestamp"],
)
def test_a_file_whose_column_holds_no_numbers_is_named(values, message, tmp_path):
    with pytest.raises(TypeError, match=message):
        fastem.from_arrow(folder_of(tmp_path, FINE, values), "a")


def test_a_file_that_lacks_a_column_is_named_unless_it_has_no_rows(tmp_path):
    folder = folder_of(tmp_path, FINE, FINE)
    other = pyarrow.table({"b": [1.0, 2.0]})
    pyarrow.parquet.write_table(other[:0], folder / "1.parquet")
    assert read(folder)[0].tolist() == FINE
    pyarrow.parquet.write_table(other, folder / "1.parquet")
    with pytest.raises(ValueError, match=r"column 'a' is missing in .*1.parquet, whose columns are \['b'\]"):
        fastem.from_arrow(folder, "a")


def test_two_columns_of_a_name_are_refused_by_file_where_they_are_asked_for(tmp_path):
    twice = pyarrow.Table.from_arrays([pyarrow.array([float(i)]) for i in range(3)], ["a", "a", "b"])
    pyarrow.parquet.write_table(twice, tmp_path / "twice.parquet")
    for source, where in ((tmp_path / "twice.parquet", "twice.parquet"), (twice, "pyarrow.Table")):
        assert read(source, "b")[0].tolist() == [2.0]
        with pytest.raises(ValueError, match=f"column 'a' appears 2 times in .*{where}, whose columns are"):
            fastem.from_arrow(source, "a")


def test_parquet_files_that_are_left_out_for_their_names_are_told(tmp_path):
    folder = folder_of(tmp_path, FINE)
    (folder / "_SUCCESS").touch()
    assert read(folder)[0].tolist() == FINE
    for name in ("_x.parquet", ".y.parquet"):
        pyarrow.parquet.write_table(pyarrow.table({"a": FINE}), folder / name)
    with pytest.warns(UserWarning, match=r"folder: \.y\.parquet, _x\.parquet left out, since names that begin") as told:
        assert read(folder)[0].tolist() == FINE
    assert told[0].filename == __file__


def test_a_folder_without_parquet_files_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no Parquet files"):
        fastem.from_arrow(tmp_path, "a")


@pytest.mark.parametrize("first", [[True, False], np.array([0.5], np.float16), np.array([0.5], np.float32)])
@pytest.mark.parametrize("filtered", [False, True])
def test_a_data_set_that_would_lose_what_a_file_holds_is_refused(first, filtered, tmp_path):
    """Arrow casts to its schema, which is that of the first file, and says nothing."""
    folder = folder_of(tmp_path, first, FINE)
    dataset = pyarrow.dataset.dataset(folder)
    with pytest.raises(TypeError, match=r"column 'a' of .*1.parquet holds double, which the data set reads as"):
        fastem.from_arrow(dataset.filter(pyarrow.dataset.field("a").is_valid()) if filtered else dataset, "a")
    wide = pyarrow.dataset.dataset(folder, schema=pyarrow.schema({"a": pyarrow.float64()}))
    if first is not True and not isinstance(first, list):
        assert read(wide)[0].tolist() == [0.5, *FINE]


def damaged(path, at=2000):
    content = bytearray(path.read_bytes())
    content[at] ^= 0x40
    path.write_bytes(content)


def test_checksums_of_pages_are_looked_at(tmp_path):
    path, options = tmp_path / "rows.parquet", {"compression": "none", "use_dictionary": False}
    pyarrow.parquet.write_table(pyarrow.table({"a": np.arange(5000.0)}), path, write_page_checksum=True, **options)
    assert read(path)[0].tolist() == list(range(5000))
    damaged(path)
    for source in (
        path,
        pyarrow.dataset.dataset(path),
        pyarrow.dataset.dataset(path).filter(pyarrow.dataset.field("a") > 0),
    ):
        with pytest.raises(OSError, match="CRC checksum verification failed"):
            fastem.GaussianMixture(1).fit(chunks=fastem.from_arrow(source, "a"))


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
    start = fastem.GaussianParams(np.ones(1), np.zeros((1, 2)), np.eye(2)[np.newaxis])
    with fastem.open_chunks(fastem.from_arrow(path, COLUMNS, cache=cache)) as opened:
        opened.sweep(start)
        (cache or path).write_bytes((cache or path).read_bytes()[:1000])
        with pytest.raises((OSError, ValueError)) as caught:
            opened.sweep(start)
    assert caught.value.__notes__ == [f"while reading chunk 0 of {path}"]


@pytest.mark.parametrize("column", ["a", "b"])
def test_a_file_that_is_replaced_between_sweeps_is_named(column, tmp_path):
    """By as many other rows, or by one without the column."""
    folder = folder_of(tmp_path, FINE, FINE)
    start = fastem.GaussianParams(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
    with fastem.open_chunks(fastem.from_arrow(folder, "a")) as opened:
        opened.sweep(start)
        pyarrow.parquet.write_table(pyarrow.table({column: [5.0, 6.0, 7.0, 9.5]}), folder / "1.parquet")
        with pytest.raises(ValueError, match=r"1.parquet has changed since from_arrow looked at it"):
            opened.sweep(start)


# --------------------------------------------------------------------------------------------------------------- caches


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_unfinished_cache_is_none(tmp_path):
    """What stops half way leaves nothing, and the next pass starts anew."""
    X = rows()
    source = fastem.from_arrow(table(X), COLUMNS, cache=tmp_path / "cache.npy")
    batches, source._batches = source._batches, lambda: iter([X[:5], 7])
    with pytest.raises(AttributeError):
        next(iter(source))
    assert not left_in(tmp_path)
    source._batches = batches
    np.testing.assert_array_equal(np.concatenate([chunk for (chunk,) in source]), X)


def test_a_cache_that_another_has_replaced_stays_what_it_was(tmp_path):
    """One name, two sources, in turns: each reads its own rows, and the file is the last one written."""
    cache, low, high = tmp_path / "cache.npy", rows(), rows() + 100.0
    first, second = (fastem.from_arrow(table(X), COLUMNS, cache=cache) for X in (low, high))
    for _ in range(2):
        for source, X in ((first, low), (second, high)):
            np.testing.assert_array_equal(np.concatenate([chunk for (chunk,) in source]), X)
    np.testing.assert_array_equal(np.load(cache), high)
    copy = pickle.loads(pickle.dumps(fastem.from_arrow(file(tmp_path / "rows.parquet", low), COLUMNS, cache=cache)))
    np.testing.assert_array_equal(np.concatenate([chunk for (chunk,) in copy]), low)
    assert left_in(tmp_path) == ["cache.npy", "rows.parquet"]


def test_a_cache_that_was_replaced_before_it_could_be_mapped_is_written_once_more(tmp_path, monkeypatch):
    X, calls = rows(), []
    source = fastem.from_arrow(table(X), COLUMNS, cache=tmp_path / "cache.npy")
    write = source._write

    def overtaken(cache):
        found = write(cache)
        if not calls:
            np.save(tmp_path / "other.npy", X + 1)
            (tmp_path / "other.npy").replace(cache)
        calls.append(cache)
        return found

    monkeypatch.setattr(source, "_write", overtaken)
    np.testing.assert_array_equal(np.concatenate([chunk for (chunk,) in source]), X)
    assert len(calls) == 2


CACHED = """
import sys, fastem
name, cache = sys.argv[1:]
for _ in range(10):
    source = fastem.from_arrow(name, "a", cache=cache)
    print(float(fastem.GaussianMixture(1, n_threads=1, random_state=0).fit(chunks=source).means_[0, 0]))
"""


@pytest.mark.process
@pytest.mark.slow
def test_two_threads_and_two_processes_may_use_one_name(tmp_path):
    """Each fit is that of its own rows, whoever writes when."""
    cache, expected = tmp_path / "cache.npy", {}
    for name, offset in (("low", 0.0), ("high", 10.0)):
        values = np.random.default_rng(0).normal(offset, size=60_000)
        pyarrow.parquet.write_table(pyarrow.table({"a": values}), tmp_path / name)
        expected[name] = float(fastem.GaussianMixture(1, random_state=0).fit(values[:, np.newaxis]).means_[0, 0])

    def fits(name):
        for _ in range(10):
            source = fastem.from_arrow(tmp_path / name, "a", cache=cache)
            yield float(fastem.GaussianMixture(1, n_threads=1, random_state=0).fit(chunks=source).means_[0, 0])

    command = [sys.executable, "-c", CACHED]
    others = {
        name: subprocess.Popen([*command, tmp_path / name, cache], stdout=subprocess.PIPE, text=True)
        for name in expected
    }
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(expected, pool.map(lambda name: list(fits(name)), expected), strict=True))
    for name, process in others.items():
        out, _ = process.communicate(timeout=120)
        assert (process.returncode, [float(line) for line in out.split()]) == (0, [expected[name]] * 10)
        assert found[name] == [expected[name]] * 10
    assert left_in(tmp_path) == ["cache.npy", "high", "low"]


@pytest.mark.parametrize(
    ("source", "columns", "options", "error", "message"),
    [
        (7, "a", {}, TypeError, "source must be a path, .* got int"),
        (
            table(rows(5)),
            "west",
            {},
            ValueError,
            "column 'west' is missing in a pyarrow.Table, whose columns are .*'east', 'north'",
        ),
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
    with pytest.raises(ImportError, match=r"from_arrow needs pyarrow: pip install pyarrow"):
        fastem.from_arrow("rows.parquet", "a")
