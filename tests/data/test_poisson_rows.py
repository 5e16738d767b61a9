"""Rows of a Poisson fit, wherever they are: any type, equal rows as one, chunks, Arrow, Dask, parts that come once."""

import numpy as np
import pytest
from support import datasets
from support.chunks import assert_same_bits, cut

import fastem
from fastem import PoissonMixture
from fastem.data.slots import SLOT_ROWS

RNG = np.random.default_rng(0)
N = 3 * SLOT_ROWS + 1234
X = RNG.poisson(np.array([[2.0, 9.0], [30.0, 1.0]])[RNG.integers(2, size=N)])
WEIGHTS = RNG.random(N)
DISTINCT = RNG.poisson(np.array([[2000.0, 900.0], [3000.0, 100.0]])[RNG.integers(2, size=N)])
"""Nearly all rows differ."""


def same(a, b):
    assert_same_bits(a, b)
    np.testing.assert_array_equal(a.rates_, b.rates_)


def fitted(*args, **options):
    return PoissonMixture(2, random_state=0, max_iter=30).fit(*args, **options)


@pytest.mark.parametrize("rows", [X, DISTINCT], ids=["equal", "distinct"])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64, np.uint64, np.int16, np.float32, np.float64, object])
def test_counts_of_any_type_have_the_same_fit(dtype, rows):
    same(fitted(rows.astype(dtype)), fitted(rows.astype(float)))


def test_a_vector_is_one_column_and_so_are_lists_and_frames():
    pd = pytest.importorskip("pandas")
    rows = X[:500, 0]
    expected = fitted(rows)
    for other in (rows.tolist(), rows[:, np.newaxis], pd.Series(rows), pd.DataFrame({"calls": rows})):
        same(fitted(other), expected)
    assert fitted(pd.DataFrame({"calls": rows})).feature_names_in_.tolist() == ["calls"]


def test_attributes_and_predictions_of_integers_are_float64():
    mixture = fitted(X.astype(np.uint8))
    assert mixture.rates_.dtype == mixture.predict_proba(X.astype(np.uint8)).dtype == np.float64


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("init_params", ["quantiles", "kmeans", "random"])
@pytest.mark.parametrize("d", [1, 2])
def test_a_fit_of_equal_rows_as_one_is_that_of_all_rows(d, init_params, weighted, monkeypatch):
    rows, weights = X[:5_000, :d], RNG.gamma(1.0, size=5_000) if weighted else None
    options = {"init_params": init_params, "random_state": 0, "tol": 1e-9}
    few = PoissonMixture(2, **options).fit(rows, sample_weight=weights)
    collapsed = fastem.Rows.collapsed
    monkeypatch.setattr(fastem.Rows, "collapsed", lambda self, most=0.5: self if most < 1 else collapsed(self, most))
    whole = PoissonMixture(2, **options).fit(rows, sample_weight=weights)
    np.testing.assert_allclose(few.rates_, whole.rates_, rtol=1e-9)
    assert few.loglik_ == pytest.approx(whole.loglik_, rel=1e-12)
    assert few.bic_ == pytest.approx(few.bic(rows, sample_weight=weights), rel=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rows", [X, DISTINCT], ids=["equal", "distinct"])
@pytest.mark.parametrize("size", [777, SLOT_ROWS, 2 * SLOT_ROWS + 5])
def test_a_fit_of_chunks_has_the_bits_of_memory(size, rows, weighted):
    arrays = (rows, WEIGHTS) if weighted else (rows,)
    same(fitted(chunks=cut(size, *arrays)), fitted(rows, sample_weight=WEIGHTS if weighted else None))


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ([[1, 2, 3], [1, -1]], r"chunk 1: Negative values.* -1 at row 4"),
        ([[1, 2], [1, 0.5]], r"chunk 1: X must hold whole numbers.* 0.5 at row 3"),
        ([[1, np.nan], [1, 2]], "row 1"),
        ([[[1, 2]], [[1]]], "chunk 1"),
    ],
)
def test_what_is_wrong_with_a_chunk_is_named(chunks, message):
    with pytest.raises(ValueError, match=message):
        PoissonMixture(1).fit(chunks=chunks)


def test_columns_of_arrow_have_the_bits_of_memory():
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": X[:, 0], "b": X[:, 1], "w": WEIGHTS})
    source = fastem.from_arrow(table, ["a", "b"], sample_weight="w")
    same(fitted(chunks=source), fitted(X, sample_weight=WEIGHTS))


@pytest.mark.process
@pytest.mark.parametrize("rows", [X, DISTINCT], ids=["equal", "distinct"])
def test_a_dask_array_has_the_fit_the_predictions_and_the_errors_of_memory(rows):
    da = pytest.importorskip("dask.array")
    lazy, weights = da.from_array(rows, chunks=(SLOT_ROWS, 2)), da.from_array(WEIGHTS, chunks=SLOT_ROWS)
    found, memory = fitted(lazy, sample_weight=weights), fitted(rows, sample_weight=WEIGHTS)
    np.testing.assert_allclose(found.rates_, memory.rates_, rtol=1e-9)
    assert found.loglik_ == pytest.approx(memory.loglik_, rel=1e-12)
    np.testing.assert_array_equal(memory.predict(lazy).compute(), memory.predict(rows))
    np.testing.assert_array_equal(memory.predict_proba(lazy).compute(), memory.predict_proba(rows))
    np.testing.assert_array_equal(memory.score_samples(lazy).compute(), memory.score_samples(rows))
    errors, expected = (memory.standard_errors(each) for each in (lazy, rows))
    np.testing.assert_allclose(errors.rates, expected.rates, rtol=1e-9)
    parts = PoissonMixture(2, random_state=0).partial_fit(lazy)
    np.testing.assert_allclose(parts.rates_, PoissonMixture(2, random_state=0).partial_fit(rows).rates_, rtol=1e-9)
    with pytest.raises(ValueError, match="Negative values"):
        fitted(da.from_array(-rows, chunks=(SLOT_ROWS, 2)))


def test_parts_that_come_once_lead_near_the_fit_of_all_rows():
    whole = PoissonMixture(2, order_by="rates").fit(X)
    parts = PoissonMixture(2, order_by="rates")
    for part in np.array_split(X, 20):
        parts.partial_fit(part)
    np.testing.assert_allclose(parts.rates_, whole.rates_, rtol=0.02)
    np.testing.assert_allclose(parts.weights_, whole.weights_, atol=0.02)
    assert parts.stats_.total == N


def test_distinct_counts_are_for_counts_with_trials_and_a_sum_of_sites_is_a_fit():
    params = fastem.PoissonParams(np.full(2, 0.5), np.array([[3.0, 8.0], [20.0, 2.0]]))
    sites = [fastem.accumulate(params, part) for part in np.array_split(X, 3)]
    found = fastem.merge(*sites).maximize()
    np.testing.assert_allclose(found.rates, fastem.accumulate(params, X).maximize().rates, rtol=1e-12)


@pytest.mark.parametrize("world", datasets.EVENTS_WORLDS, ids=lambda world: world.name)
def test_a_fit_of_every_data_set_ends_on_both_twins(world, twin):
    mixture = PoissonMixture(len(world.weights), random_state=0, backend=twin).fit(world.X)
    assert mixture.converged_
    assert mixture.weights_ @ mixture.rates_ == pytest.approx(world.X.mean(axis=0), rel=1e-6, abs=1e-12)
