"""Rows of Arrow, chunks and Dask collections are predicted and selected from as the same rows in memory are."""

import csv
import re
import sys
import tracemalloc

import dask.array
import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from support.chunks import counts, cut, rows

import fastem
from fastem.data import one_pass

X = rows(20_000)
WEIGHTS = np.random.default_rng(1).integers(1, 4, size=len(X)).astype(float)
HEADS, TRIALS, _ = counts(20_000, 2)
CALLS = np.random.default_rng(2).poisson(np.repeat([1.0, 9.0], 10_000))[:, np.newaxis]
NAMES = ["east", "north"]


def arrow(*arrays, names=NAMES, **options):
    columns = {f"{prefix}{name}": array[:, i] for prefix, array in zip(("", "n_"), arrays, strict=False)
               for i, name in enumerate(names[: array.shape[1]])}  # fmt: skip
    columns["w"] = WEIGHTS
    trials = {"trials": [f"n_{name}" for name in names]} if len(arrays) > 1 else {}
    return fastem.from_arrow(pyarrow.table(columns), names[: arrays[0].shape[1]], **trials, **options)


def worlds(data, trials=None):
    """The same rows as arguments of a method, by where they are."""
    arrays = [data] if trials is None else [data, trials]
    others = {} if trials is None else {"trials": dask.array.from_array(trials, chunks=(7000, trials.shape[1]))}
    return {
        "arrow": {"X": arrow(*arrays)},
        "arrow as chunks": {"chunks": arrow(*arrays)},
        "chunks": {"chunks": cut(3001, *arrays)},
        "dask": {"X": dask.array.from_array(data, chunks=(7000, data.shape[1])), **others},
    }


GAUSSIAN = fastem.GaussianMixture(2, random_state=0, tol=1e-6).fit(X, sample_weight=WEIGHTS)
FAMILIES = {
    "gaussian": (GAUSSIAN, {"X": X}),
    "binomial": (fastem.BinomialMixture(2).fit(HEADS, trials=TRIALS), {"X": HEADS, "trials": TRIALS}),
    "poisson": (fastem.PoissonMixture(2).fit(CALLS), {"X": CALLS}),
}
CASES = [
    (mixture, memory, where)
    for mixture, memory in FAMILIES.values()
    for where in worlds(*memory.values()).values()
]  # fmt: skip
IDS = [f"{family}, {place}" for family, (_, memory) in FAMILIES.items() for place in worlds(*memory.values())]


@pytest.mark.parametrize(("mixture", "memory", "where"), CASES, ids=IDS)
def test_predictions_have_the_bits_of_rows_in_memory(mixture, memory, where):
    for name in ("predict", "predict_proba", "score_samples"):
        found = getattr(mixture, name)(**where)
        np.testing.assert_array_equal(found, getattr(mixture, name)(**memory), err_msg=name)
        assert found.dtype == getattr(mixture, name)(**memory).dtype


@pytest.mark.parametrize(("mixture", "memory", "where"), CASES, ids=IDS)
def test_scores_and_standard_errors_are_those_of_rows_in_memory(mixture, memory, where):
    for name in ("score", "aic", "bic"):
        assert getattr(mixture, name)(**where) == pytest.approx(getattr(mixture, name)(**memory), rel=1e-12)
    found, expected = mixture.standard_errors(**where), mixture.standard_errors(**memory)
    np.testing.assert_allclose(found.parameters_covariance, expected.parameters_covariance, rtol=1e-9, atol=1e-15)


ONE_PASS = ["predict", "predict_proba", "score_samples", "log_prob_components", "score", "aic", "bic"]


@pytest.mark.parametrize("name", ONE_PASS)
@pytest.mark.parametrize(("mixture", "memory"), FAMILIES.values(), ids=FAMILIES)
def test_an_iterator_will_do_where_rows_are_read_once(mixture, memory, name):
    call = getattr(mixture, name)
    parts = cut(3001, *memory.values())()
    np.testing.assert_array_equal(call(chunks=parts), call(chunks=cut(3001, *memory.values())))
    with pytest.raises(ValueError, match=r"chunks: found 0 rows.*: has this iterator been read before"):
        call(chunks=parts)


def test_a_file_of_predictions_can_be_written_from_a_generator(tmp_path):
    GAUSSIAN.predict_to(tmp_path / "once.csv", chunks=cut(3001, X)())
    GAUSSIAN.predict_to(tmp_path / "again.csv", X)
    assert (tmp_path / "once.csv").read_text() == (tmp_path / "again.csv").read_text()


@pytest.mark.parametrize(
    "call", [GAUSSIAN.standard_errors, GAUSSIAN.improve, fastem.select], ids=lambda call: call.__name__
)
def test_an_iterator_is_refused_where_rows_are_read_again(call):
    with pytest.raises(ValueError, match="chunks are read more than once here, but a generator is used up"):
        call(chunks=(part for part in [X]))


@pytest.mark.parametrize("mixture", [fastem.GaussianMixture(2), fastem.BinomialMixture(2), fastem.PoissonMixture(2)])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((row for row in X), "X must be an array, got a generator: one that yields arrays of rows goes to chunks="),
        ("rows.csv", "X must be an array, got the path 'rows.csv': read it by fastem.from_arrow or numpy.load"),
    ],
    ids=["generator", "path"],
)
def test_what_is_no_array_is_named(mixture, rows, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        mixture.fit(rows)


@pytest.mark.parametrize("name", ONE_PASS)
def test_a_function_that_returns_no_chunks_is_named(name):
    call = getattr(GAUSSIAN, name)
    with pytest.raises(TypeError, match=r"chunks must be a function that returns an iterator, .* returned None"):
        call(chunks=lambda: None)
    with pytest.raises(ValueError, match="chunks must be an iterable of arrays of rows, got one ndarray"):
        call(chunks=lambda: X)
    with pytest.raises(TypeError) as caught:
        call(chunks=lambda number: [X])
    assert caught.value.__notes__ == ["while calling chunks, without arguments, for a pass over the rows"]


def test_weights_of_chunks_count_in_scores():
    weighted = arrow(X, sample_weight="w")
    for name in ("score", "aic", "bic"):
        expected = getattr(GAUSSIAN, name)(X, sample_weight=WEIGHTS)
        assert getattr(GAUSSIAN, name)(weighted) == pytest.approx(expected, rel=1e-12)
        assert getattr(GAUSSIAN, name)(chunks=cut(999, X, WEIGHTS)) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_array_equal(GAUSSIAN.predict(weighted), GAUSSIAN.predict(X))


def test_float32_chunks_have_float32_predictions():
    single = X.astype(np.float32)
    found = GAUSSIAN.predict_proba(chunks=cut(1234, single))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, GAUSSIAN.predict_proba(single))


def test_arrow_rows_are_fitted_and_improved_in_the_place_of_x():
    fitted = fastem.GaussianMixture(2, random_state=0, tol=1e-6).fit(arrow(X, sample_weight="w"))
    np.testing.assert_array_equal(fitted.means_, GAUSSIAN.means_)
    assert fitted.improve(arrow(X, sample_weight="w")).loglik_ >= GAUSSIAN.loglik_
    fitted.partial_fit(arrow(X))
    np.testing.assert_array_equal(
        fastem.GaussianMixture(2, random_state=0).fit_predict(arrow(X)),
        fastem.GaussianMixture(2, random_state=0).fit_predict(X),
    )


def test_columns_of_arrow_are_names_of_features_as_those_of_a_frame_are():
    mixture = fastem.GaussianMixture(2, random_state=0).fit(arrow(X))
    assert mixture.feature_names_in_.tolist() == NAMES
    np.testing.assert_array_equal(mixture.predict(arrow(X)), mixture.predict(pd.DataFrame(X, columns=NAMES)))
    with pytest.raises(ValueError, match="feature names should match those that were passed during fit"):
        mixture.predict(arrow(X, names=["north", "east"]))
    mixture.predict(chunks=cut(5000, X))  # chunks have no names, and are not complained about


def test_rows_of_arrow_name_the_features_in_chunks_too():
    """Columns in another order are no rows of the fit, wherever they come."""
    table = pyarrow.table(dict(zip(NAMES, X[:2000].T, strict=True)))
    right, swapped = (fastem.from_arrow(table, names) for names in (NAMES, NAMES[::-1]))
    fitted = fastem.GaussianMixture(2, random_state=0).fit(chunks=right)
    assert fitted.feature_names_in_.tolist() == NAMES
    for refused in (lambda: fitted.predict(swapped), lambda: fitted.predict(chunks=swapped)):
        with pytest.raises(ValueError, match="feature names"):
            refused()
    np.testing.assert_array_equal(fitted.predict(chunks=right), fitted.predict(right))


def test_what_is_refused_of_a_fit_is_refused_of_a_prediction_in_the_same_words():
    for arguments, message in [
        ({"X": X, "chunks": [X]}, "chunks replace X and sample_weight"),
        ({"chunks": X}, "chunks must be an iterable of arrays of rows, got one ndarray"),
        ({"chunks": []}, "chunks: found 0 rows, a minimum of 1 is required"),
        ({"chunks": [X, np.full((1, 2), np.nan)]}, "chunk 1: X must be finite, without NaN or infinity"),
    ]:
        for name in ("fit", "predict", "score"):
            with pytest.raises((ValueError, TypeError), match=message):
                getattr(fastem.GaussianMixture().fit(X), name)(**arguments)
        with pytest.raises((ValueError, TypeError), match=message):
            fastem.select(n_components=[1], **arguments)
    for arguments in ({"X": X[:, :1]}, {"chunks": [X[:, :1]]}):
        with pytest.raises(ValueError, match="X has 1 features, but GaussianMixture is expecting 2 features as input"):
            GAUSSIAN.predict(**arguments)
        with pytest.raises(ValueError, match="X has 1 features, but GaussianMixture is expecting 2 features as input"):
            GAUSSIAN.standard_errors(**arguments)


# ------------------------------------------------------------------------------------------------------------ selection


@pytest.mark.parametrize("criterion", ["bic", "cv"])
@pytest.mark.parametrize("place", ["arrow", "arrow as chunks", "chunks"])
def test_a_selection_is_that_of_rows_in_memory(criterion, place):
    few = X[:3000]
    where = {"arrow": {"X": fastem.from_arrow(pyarrow.table(dict(zip(NAMES, few.T, strict=True))), NAMES)},
             "chunks": {"chunks": cut(700, few)}}  # fmt: skip
    where["arrow as chunks"] = {"chunks": where["arrow"]["X"]}
    settings = {"criterion": criterion, "n_components": range(1, 4), "folds": 2}
    settings |= {"estimator": fastem.GaussianMixture(init_params="kmeans", random_state=0, max_iter=300)}
    found, expected = fastem.select(**where[place], **settings), fastem.select(few, **settings)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-9)


def test_a_selection_of_counts_in_chunks_is_that_of_rows_in_memory():
    settings = {"n_components": range(1, 3), "estimator": fastem.BinomialMixture(random_state=0)}
    found = fastem.select(chunks=cut(4000, HEADS, TRIALS), **settings)
    np.testing.assert_allclose(found.values, fastem.select(HEADS, trials=TRIALS, **settings).values, rtol=1e-9)


def test_a_folder_of_a_selection_knows_the_rows_of_chunks(tmp_path):
    few, quick = X[:500], fastem.GaussianMixture(init_params="kmeans", random_state=0)
    memory = fastem.select(few, [1, 2], estimator=quick, checkpoint=tmp_path)
    again = fastem.select(chunks=cut(200, few), n_components=[1, 2], estimator=quick, checkpoint=tmp_path)
    assert again.values.tolist() == memory.values.tolist()
    with pytest.raises(ValueError, match="was written by another fit"):
        fastem.select(chunks=cut(200, few + 1), n_components=[1, 2], estimator=quick, checkpoint=tmp_path)


def test_a_bootstrap_test_takes_rows_of_arrow_without_weights():
    few = pyarrow.table({"x": X[:60, 0], "w": np.arange(60.0)})
    found = fastem.bootstrap_test(fastem.from_arrow(few, "x"), 1, n_bootstrap=3)
    assert found.statistic == fastem.bootstrap_test(X[:60, :1], 1, n_bootstrap=3).statistic
    with pytest.raises(ValueError, match="X has weights"):
        fastem.bootstrap_test(fastem.from_arrow(few, "x", sample_weight="w"), 1)


# ---------------------------------------------------------------------------------------------------------------- files


def read_back(path):
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path).to_pydict()
    with path.open() as file:
        header, *lines = csv.reader(file)
    return {
        name: [float(cell) for cell in column] for name, column in zip(header, zip(*lines, strict=True), strict=True)
    }


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(("mixture", "memory", "where"), [*CASES, (GAUSSIAN, {"X": X}, {"X": X})], ids=[*IDS, "memory"])
def test_a_file_of_predictions_has_every_bit_of_them(mixture, memory, where, suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(one_pass, "ROWS_AT_A_TIME", 2 * 4096)
    path = tmp_path / f"labels{suffix}"
    assert mixture.predict_to(path, **where) == len(memory["X"])
    found = read_back(path)
    assert list(found) == ["component", "probability", "log_density"]
    np.testing.assert_array_equal(found["component"], mixture.predict(**memory))
    np.testing.assert_array_equal(found["probability"], mixture.predict_proba(**memory).max(axis=1))
    np.testing.assert_array_equal(found["log_density"], mixture.score_samples(**memory))


def test_a_file_is_replaced_when_the_new_one_is_complete(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("before")

    def broken():
        yield X
        assert path.read_text() == "before"
        yield X
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        GAUSSIAN.predict_to(path, chunks=broken)
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["labels.csv"]
    GAUSSIAN.predict_to(path, X[:3])
    assert len(path.read_text().splitlines()) == 4


def test_rows_are_read_once_and_not_kept(tmp_path):
    """What is traced at its highest does not grow with the number of rows."""

    def peak(n):
        passes.clear()
        tracemalloc.start()
        assert GAUSSIAN.predict_to(tmp_path / "labels.parquet", chunks=lambda: source(n)) == n * len(X)
        assert len(passes) == 1
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    def source(n):
        passes.append(n)
        yield from (X.copy() for _ in range(n))

    passes = []
    peak(1)  # imports
    assert peak(60) < 1.2 * peak(15)


def test_other_suffixes_and_a_missing_pyarrow_are_told(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"the suffix of path must be one of '.csv', '.parquet', got '.txt'"):
        GAUSSIAN.predict_to(tmp_path / "labels.txt", X)
    with pytest.raises(fastem.NotFittedError):
        fastem.GaussianMixture().predict_to(tmp_path / "labels.csv", X)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match="Parquet needs pyarrow"):
        GAUSSIAN.predict_to(tmp_path / "labels.parquet", X)
    assert not list(tmp_path.iterdir())
