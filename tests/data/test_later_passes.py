"""Rows that come again in each sweep are those of the first pass, or the fit is refused: chunks, Dask, memory."""

import threading

import dask
import dask.array as da
import numpy as np
import pytest
from support.changing import Changing
from support.chunks import cut, rows
from support.processes import python

import fastem
from fastem.data import dask_partitions
from fastem.data.chunk_source import SAMPLED_STEP
from fastem.data.slots import SLOT_ROWS

pytestmark = pytest.mark.usefixtures("swept_in_python")  # few rows are read once

N = 3 * SLOT_ROWS + 1234
WEIGHTS = np.random.default_rng(1).random(N) + 0.5


def mixture(**settings):
    return fastem.GaussianMixture(2, **({"random_state": 0, "tol": 1e-9, "max_iter": 50} | settings))


class Turning:
    """Chunks that are `before` in so many passes, and then `after`, or only in the one pass that follows."""

    def __init__(self, passes, before, after, once=False):
        self.left, self.before, self.after, self.once = passes, before, after, once

    def __iter__(self):
        self.left -= 1
        changed = self.left == -1 if self.once else self.left < 0
        return iter(self.after if changed else self.before)


def chunks_of(*arrays):
    return list(cut(5000, *arrays)())


def refused(before, after, message, passes, twin="cython", once=False, **settings):
    """By all that a fit does, and the estimator stays as it was."""
    found = mixture(backend=twin, **settings).fit(rows(500, seed=1))
    state, threads = dict(vars(found)), threading.active_count()
    with pytest.raises(ValueError, match=message):
        found.fit(chunks=Turning(passes, before, after, once))
    assert vars(found) == state
    assert threading.active_count() == threads


X = rows(N)
OTHER_FORMS = {
    "narrower": (chunks_of(X), chunks_of(X[:, :1]), "chunk 0, from row 0: 1 columns .*; the chunks had 2 columns"),
    "wider": (
        chunks_of(X),
        chunks_of(np.hstack([X, X])),
        "chunk 0, from row 0: 4 columns .*; the chunks had 2 columns",
    ),
    "float32": (chunks_of(X), chunks_of(X.astype(np.float32)), "read as float32, .* had 2 columns read as float64"),
    "float64": (chunks_of(X.astype(np.float32)), chunks_of(X), "read as float64, .* had 2 columns read as float32"),
    "weights": (chunks_of(X), chunks_of(X, WEIGHTS), "with sample_weight; the chunks had .* without sample_weight"),
    "none": (chunks_of(X, WEIGHTS), chunks_of(X), "without sample_weight; the chunks had .* with sample_weight when"),
}


@pytest.mark.parametrize("name", OTHER_FORMS)
@pytest.mark.parametrize("passes", [1, 2, 3])
def test_chunks_of_another_form_in_a_later_pass_are_refused(name, passes, twin):
    refused(*OTHER_FORMS[name], passes, twin)


@pytest.mark.process
@pytest.mark.numba
def test_narrower_chunks_in_a_later_pass_on_numba_do_not_end_the_process(tmp_path):
    """Long read-only ones are swept where they are: kernels would read what lies behind them."""
    code = f"""
import numpy as np, fastem
n, d, passes = 65536, 3000, iter(range(99))
wide = np.broadcast_to(np.random.default_rng(0).normal(size=(n, 1)), (n, d))
np.zeros(n).tofile({str(tmp_path / "thin.bin")!r})
thin = np.memmap({str(tmp_path / "thin.bin")!r}, mode="r", shape=(n, 1))
settings = {{"covariance_type": "diag", "init_params": "random_from_data", "max_iter": 2, "n_threads": 1}}
try:
    fastem.GaussianMixture(1, backend="numba", **settings).fit(
        chunks=lambda: iter([wide if next(passes) < 2 else thin]))
except ValueError as error:
    print(error)"""
    assert "chunk 0, from row 0: 1 columns" in python(code)


def permuted(array):
    return array[np.random.default_rng(0).permutation(len(array))]


IN_ANOTHER_ORDER = "chunk [0-2]: row [0-9]+ is another one in pass [2-4] than when it was first read"
OTHER_ROWS = {
    "values": (chunks_of(X), chunks_of(X + 1000), "chunk 0: row 0 is another one in pass"),
    "one chunk": (chunks_of(X), [*chunks_of(X)[:1], X[5000:10000] + 1e-9, X[10000:]], "chunk 1: row 5120 is another"),
    "rows": (chunks_of(X), chunks_of(permuted(X)), IN_ANOTHER_ORDER),
    "chunks": (chunks_of(X[:10_000]), chunks_of(X[:10_000])[::-1], IN_ANOTHER_ORDER),
    "columns": (chunks_of(X), chunks_of(X[:, ::-1]), "chunk 0: row 0 is another one in pass"),
    "weights": (chunks_of(X, WEIGHTS), chunks_of(X, permuted(WEIGHTS)), IN_ANOTHER_ORDER),
    "negative": (chunks_of(X, WEIGHTS), chunks_of(X, -WEIGHTS), "chunk 0: row 0 is another one in pass"),
}


@pytest.mark.parametrize("name", OTHER_ROWS)
@pytest.mark.parametrize("passes", [1, 2, 3])
def test_other_rows_or_another_order_in_a_later_pass_are_refused(name, passes):
    refused(*OTHER_ROWS[name], passes)


def test_counts_of_a_later_pass_are_those_of_the_first():
    counts, trials = np.random.default_rng(0).integers(0, 9, size=(N, 1)), np.full((N, 1), 1 << 30)
    counts += np.arange(N)[:, np.newaxis]  # none are equal, so that all are swept
    for after in ((counts + 1, trials), (counts, trials + 1)):
        with pytest.raises(ValueError, match="chunk 0: row 0 is another one in pass 3"):
            fastem.BinomialMixture(2).fit(chunks=Turning(2, chunks_of(counts, trials), chunks_of(*after)))


def test_one_negative_weight_in_a_later_pass_is_refused():
    """No row of a sample, but the weights have another sum."""
    spoilt = WEIGHTS.copy()
    spoilt[SAMPLED_STEP + 5] *= -1
    message = "sample_weight: the weights add up to .*, but to .* when they were first read"
    refused(chunks_of(X, WEIGHTS), chunks_of(X, spoilt), message, 2)


def test_the_same_rows_may_be_cut_otherwise_and_be_whole_numbers_of_another_type():
    memory = mixture(tol=1e-3).fit(X)
    found = mixture(tol=1e-3).fit(chunks=Turning(1, list(cut(999, X)()), chunks_of(X)))
    np.testing.assert_array_equal(found.means_, memory.means_)
    many = np.arange(N)[:, np.newaxis] % 1000
    source = Turning(1, chunks_of(many, many + 1000), chunks_of(many.astype(np.int32), (many + 1000).astype(np.uint16)))
    fastem.BinomialMixture(1).fit(chunks=source)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("acceleration", [None, "anderson", "squarem", "quasi-newton"])
@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.seconds
def test_a_pass_that_is_not_finite_makes_no_parameters(kind, acceleration, passes):
    """One bad read: all rows, or one that is no row of a sample, and the next pass is good again."""
    spoilt = X.copy()
    spoilt[SAMPLED_STEP + 5] = np.nan
    options = {"once": True, "covariance_type": kind, "acceleration": acceleration}
    refused(chunks_of(X), chunks_of(X * np.nan), "chunk 0: row 0 is another one in pass", passes, **options)
    if passes != 1 or not acceleration:  # what an extrapolation finds is given up, and the EM step before it is right
        message = "the sums over the rows are not finite: rows have changed since they were checked"
        positions = np.random.default_rng(0).choice(N, 8192, replace=False, shuffle=False)
        if passes > 1 or SAMPLED_STEP + 5 in positions:
            refused(chunks_of(X), chunks_of(spoilt), message, passes, **options)


class Spoiling:
    """Sets a value of X that is being fitted, as another thread may, at the so many-th sweep."""

    def __init__(self, X, sweeps, value, monkeypatch):
        sweep, left = fastem.Rows.sweep, iter(range(sweeps))

        def spoilt(rows, params):
            if next(left, None) is None and len(rows) == len(X):
                X[17, 1] = value
            return sweep(rows, params)

        monkeypatch.setattr("fastem.data.rows.Rows.sweep", spoilt)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("sweeps", [0, 1, 3, 5])
@pytest.mark.parametrize("kind", ["full", "diag"])
def test_rows_in_memory_that_are_overwritten_are_named(kind, sweeps, value, twin, monkeypatch):
    own, found = rows(3000), mixture(covariance_type=kind, backend=twin, max_iter=5, init_params="random")
    Spoiling(own, sweeps, value, monkeypatch)
    with pytest.raises(ValueError, match=rf"X must be finite, .* got {value} at row 17, column 1"):
        found.fit(own)
    assert not hasattr(found, "means_")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
@pytest.mark.parametrize("number", [2, 3, 4])
@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_a_row_that_is_out_of_reach_in_one_pass_alone_is_a_value_error(kind, number, value):
    """Whichever pass it is, of a start or of a sweep; the row is none of those that are known again."""
    own, passes = rows(3000), iter(range(1, 100))
    spoilt = own.copy()
    spoilt[17, 1] = value
    chunks = lambda: iter([spoilt if next(passes) == number else own])  # noqa: E731
    with pytest.raises(ValueError, match=r"finite|must be below"):
        mixture(covariance_type=kind, max_iter=5).fit(chunks=chunks)


def test_sums_that_are_not_finite_make_no_parameters():
    """Also for who sums by himself; and `em` refuses any log likelihood that is no number."""
    params = fastem.GaussianParams(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
    stats = fastem.accumulate(params, [[1.0], [2.0]])
    with pytest.raises(ValueError, match="the sums over the rows are not finite"):
        (stats * np.nan).maximize()
    coins = fastem.BinomialParams(np.ones(1), np.full((1, 1), 0.5))
    with pytest.raises(ValueError, match="the sums over the rows are not finite"):
        (fastem.accumulate(coins, [1, 2], trials=3) * np.nan).maximize()
    with pytest.raises(ValueError, match="the sums over the rows are not finite"):
        fastem.em(lambda params: stats * np.nan, lambda stats: params, params, max_iter=0)


# ---------------------------------------------------------------------------------------------------------------- Dask


LAZY = da.from_array(X, chunks=(SLOT_ROWS, 2))
LATE = {
    "narrower": (
        lambda X: X[:, :1],
        "partition 1, from row 4096: 1 columns .*; it had 2 columns .* when it was first read",
    ),
    "wider": (lambda X: np.hstack([X, X]), "partition 1, from row 4096: 4 columns"),
    "float32": (lambda X: X.astype(np.float32), "read as float32, .*; it had 2 columns read as float64"),
    "values": (lambda X: X + 1000, "partition 1, from row 4096: other rows than when it was first read"),
    "order": (permuted, "partition 1, from row 4096: other rows"),
    "nan": (lambda X: X * np.nan, "partition 1, from row 4096: other rows"),
    "shorter": (lambda X: X[:-1], "partition 1, from row 4096: 4095 rows; it had 4096 when it was first read"),
}


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize("times", [1, 3])
def test_a_block_that_is_made_anew_otherwise_is_refused(name, times, twin):
    late, message = LATE[name]
    found = mixture(backend=twin)
    with dask.config.set(scheduler="synchronous"), pytest.raises(ValueError, match=message):
        found.fit(LAZY.map_blocks(Changing(times, late), dtype=np.float64))
    assert not hasattr(found, "means_")


def test_blocks_of_random_numbers_without_a_seed_are_refused():
    def drawn(block):
        return np.random.default_rng().normal(size=block.shape)

    with pytest.raises(ValueError, match=r"partition 0, from row 0: other rows .* random numbers need a seed"):
        mixture().fit(LAZY.map_blocks(drawn, dtype=np.float64))
    seeded = da.random.default_rng(0).normal(size=(N, 2), chunks=(SLOT_ROWS, 2))
    found, memory = mixture(tol=1e-3).fit(seeded), mixture(tol=1e-3).fit(seeded.compute())
    np.testing.assert_array_equal(found.means_, memory.means_)


def test_negative_weights_of_a_block_made_anew_are_refused():
    spoilt = WEIGHTS[SLOT_ROWS : 2 * SLOT_ROWS].copy()
    spoilt[5] *= -1
    weights = da.from_array(WEIGHTS, chunks=SLOT_ROWS).map_blocks(Changing(3, lambda w: spoilt), dtype=np.float64)
    with dask.config.set(scheduler="synchronous"), pytest.raises(ValueError, match="sample_weight: the weights add up"):
        mixture().fit(LAZY, sample_weight=weights)


def test_a_block_that_a_cluster_has_made_anew_with_bad_values_is_named():
    """It comes as the error that its check has found."""
    blocks = dask_partitions.open_partitions(LAZY, None, None)
    known = blocks._pieces[0].known
    with pytest.raises(ValueError, match="partition 0, from row 0: when it was read again, X must be finite"):
        blocks.reader.same(ValueError("X must be finite"), None, call=len, known=known)
