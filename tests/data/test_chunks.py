"""Rows that come in chunks or from mapped files: the bits of rows in memory, little memory, faults that say where."""

import threading
from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import clone
from support.chunks import N, assert_same_bits, counts, cut, rows
from support.processes import python

import fastem
from fastem.data import chunks as chunks_module
from fastem.data.chunk_source import rechunk
from fastem.data.slots import SLOT_ROWS


@pytest.fixture
def short_blocks(monkeypatch):
    """Blocks of one slot, so that small data have several."""
    monkeypatch.setattr(chunks_module, "BUFFER_BYTES", 1)


# ---------------------------------------------------------------------------------------------------------------- bits


@pytest.mark.parametrize("size", [1, 7, 1000, N])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n_threads", "kind"), [(1, "full"), (2, "full"), (2, "diag")])
@pytest.mark.seconds
def test_chunks_have_the_bits_of_rows_in_memory(size, weighted, n_threads, kind, short_blocks):
    n = N if size > 1 else SLOT_ROWS + 100
    X, w = rows(n), np.random.default_rng(1).random(n) if weighted else None
    settings = {"covariance_type": kind, "random_state": 0, "max_iter": 2, "tol": 0.0}
    with pytest.warns(fastem.ConvergenceWarning):
        memory = fastem.GaussianMixture(3, **settings).fit(X, sample_weight=w)
    source = cut(size, X, w) if weighted else cut(size, X)
    with pytest.warns(fastem.ConvergenceWarning):
        assert_same_bits(memory, fastem.GaussianMixture(3, n_threads=n_threads, **settings).fit(chunks=source))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "settings",
    [
        {"n_init": 5, "init_params": "random"},
        {"reg_covar": "auto", "acceleration": "quasi-newton", "tol": 1e-8},
        {"prior": fastem.GaussianPrior(mean=[0.0], scale=[[1.0]])},
        {"means_init": [[0.0], [np.nan], [6.0]], "init_params": "k-means++"},
    ],
    ids=["screened", "accelerated", "prior", "gaps"],
)
def test_every_kind_of_fit_has_the_same_bits(settings, dtype, twin):
    X = rows(d=1, dtype=dtype)
    mixture = fastem.GaussianMixture(3, random_state=0, backend=twin, max_iter=500, **settings).fit(X)
    from_chunks = fastem.GaussianMixture(3, random_state=0, backend=twin, max_iter=500, **settings)
    assert_same_bits(mixture, from_chunks.fit(chunks=cut(5000, X)))
    assert from_chunks.means_.dtype == dtype
    assert from_chunks.n_features_in_ == 1


@pytest.mark.parametrize("size", [7, 1000, 9_000])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.seconds
def test_chunks_of_counts_have_the_bits_of_rows_in_memory(size, weighted):
    X, trials, w = counts(9_000, d=2)
    arrays = (X, trials, w) if weighted else (X, trials)
    memory = fastem.BinomialMixture(2, random_state=0).fit(X, trials=trials, sample_weight=w if weighted else None)
    assert_same_bits(memory, fastem.BinomialMixture(2, random_state=0).fit(chunks=cut(size, *arrays)))


@pytest.mark.parametrize("most", [20, 1 << 40])
@pytest.mark.parametrize("n", [N, 140_000])
def test_counts_are_collapsed_or_swept_as_rows_in_memory_are(n, most, short_blocks):
    """Few trials: rows are collapsed; many: each is a row of its own, and all are swept."""
    rng = np.random.default_rng(0)
    X = rng.binomial(most, rng.choice([0.2, 0.7], size=n))
    mixture = fastem.BinomialMixture(2, n_trials=most, random_state=0, max_iter=5)
    memory = clone(mixture).fit(X)
    with fastem.open_chunks(cut(9000, X), has_trials=True, trials=most) as opened:
        assert (opened.collapsed() is opened) == (most > 20)
    assert_same_bits(memory, mixture.fit(chunks=cut(9000, X)))


def test_a_source_may_use_its_arrays_again(short_blocks):
    X, buffer = rows(), np.empty((1000, 2))

    def source():
        for begin in range(0, N, 1000):
            part = buffer[: min(1000, N - begin)]
            part[...] = X[begin : begin + 1000]
            yield part

    assert_same_bits(
        fastem.GaussianMixture(3, random_state=0).fit(X), fastem.GaussianMixture(3, random_state=0).fit(chunks=source)
    )


@pytest.mark.parametrize("lasting", [True, False])
@pytest.mark.parametrize("sizes", [[1, 5, 4096], [50_000], [20_000, 3, 20_000], [0, 8192, 8192, 1]])
def test_blocks_are_the_rows_in_whole_slots(sizes, lasting, monkeypatch):
    monkeypatch.setattr("fastem.data.chunk_source.LONG_ROWS", 2 * SLOT_ROWS)
    length = 2 * SLOT_ROWS
    numbers = np.arange(sum(sizes)).reshape(-1, 1)
    numbers.flags.writeable = not lasting
    edges = np.cumsum([0, *sizes])
    chunks = [(numbers[a:b],) for a, b in pairwise(edges)]
    blocks = [block for (block,) in rechunk(iter(chunks), length)]
    np.testing.assert_array_equal(np.concatenate(blocks), numbers)
    assert all(len(block) % SLOT_ROWS == 0 for block in blocks[:-1])
    assert max(map(len, blocks)) <= length
    assert any(np.shares_memory(block, numbers) for block in blocks) == (lasting and max(sizes) >= length)


def test_posteriors_come_block_by_block(short_blocks):
    X = rows()
    params = fastem.GaussianMixture(3, random_state=0).fit(X).params_
    with fastem.open_chunks(cut(1000, X)) as opened:
        found = np.concatenate([block.log_prob for block in opened.posteriors(params, "log_prob")])
    np.testing.assert_array_equal(found, fastem.posterior(params, X).log_prob)


def test_rows_are_taken_in_the_order_of_their_positions(short_blocks):
    X, w = rows(), np.random.default_rng(1).random(N)
    positions = np.random.default_rng(2).permutation(N)[:500]
    with fastem.open_chunks(cut(999, X, w)) as opened:
        few = opened.take(positions)
    np.testing.assert_array_equal(few.data[0], X[positions])
    np.testing.assert_array_equal(few.sample_weight, w[positions])


@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")
def test_rows_of_weight_zero_start_no_component(short_blocks):
    """Those drawn for the start have none, but for a few."""
    X, w = rows(20_000), np.zeros(20_000)
    w[[3, 4000, 19_000, 19_500]] = 1.0
    settings = {"means_init": [[0.0, 0.0], [3.0, 3.0]], "random_state": 1}
    memory = fastem.GaussianMixture(2, **settings).fit(X, sample_weight=w)
    assert_same_bits(memory, fastem.GaussianMixture(2, **settings).fit(chunks=cut(999, X, w)))


# --------------------------------------------------------------------------------------------------------- mapped files


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_mapped_file_has_the_bits_of_memory(order, tmp_path, monkeypatch):
    monkeypatch.setattr("fastem.kernels.mapped.BYTES_AT_A_TIME", 1 << 16)
    X = np.asarray(rows(), order=order)
    np.save(tmp_path / "rows.npy", X)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    settings = {"n_components": 3, "random_state": 0}
    assert_same_bits(fastem.GaussianMixture(**settings).fit(X), fastem.GaussianMixture(**settings).fit(mapped))


def test_pages_of_changes_that_are_in_no_file_are_kept(tmp_path):
    """Mode "c": to give its pages back would lose them."""
    np.save(tmp_path / "rows.npy", np.zeros((N, 2)))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="c")
    mapped[...] = rows()
    fastem.GaussianMixture(3, random_state=0).fit(mapped)
    np.testing.assert_array_equal(mapped, rows())


LIMITED = """
import resource, warnings
from pathlib import Path
import numpy as np, fastem
n, path = 1 << 26, {path!r}
with open(path, "wb") as file:
    file.truncate(8 * n)  # 512 MiB of zeros, which take no room on the disk
X = np.memmap(path, np.float64, "r", shape=(n, 1))
mixture = fastem.GaussianMixture(2, max_iter=1, random_state=0)
def held(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))
before = held("VmHWM")
resource.setrlimit(resource.RLIMIT_DATA, (held("VmData") + (160 << 20), resource.RLIM_INFINITY))
warnings.simplefilter("ignore")
{fit}
print(mixture.loglik_ > 0, (held("VmHWM") - before) >> 20)
"""


@pytest.mark.process
@pytest.mark.parametrize(
    "fit",
    ["mixture.fit(X)", "mixture.fit(chunks=lambda: (X[b : b + 1_000_003] for b in range(0, n, 1_000_003)))"],
    ids=["mapped", "chunks"],
)
@pytest.mark.slow
def test_rows_beyond_memory_fit(fit, tmp_path):
    """512 MiB of rows, 160 MiB to allocate; resident memory, pages of the file included, grows by less than that."""
    fitted, grown = python(LIMITED.format(path=str(tmp_path / "zeros"), fit=fit)).split()
    assert fitted == "True"
    assert int(grown) < 160


# --------------------------------------------------------------------------------------------------------------- faults


class Counted:
    """A source that behaves in so many passes, and then as `fault(chunks)` has it."""

    def __init__(self, X, passes, fault):
        self.X, self.left, self.fault = X, passes, fault

    def __iter__(self):
        self.left -= 1
        chunks = [self.X[begin : begin + 5000] for begin in range(0, len(self.X), 5000)]
        return iter(chunks if self.left >= 0 else self.fault(chunks))


def raising(chunks):
    yield chunks[0]
    raise OSError("the disk is gone")


def spoilt(chunks):
    late = chunks[2].copy()
    late[321, 1] = np.nan
    return [*chunks[:2], late]


FAULTS = {
    "fewer": (
        lambda chunks: chunks[:-1],
        ValueError,
        r"chunks gave 10000 rows in pass \d+, but 13522 when they",
    ),
    "none": (lambda chunks: [], ValueError, r"chunks gave 0 rows in pass \d+, but 13522"),
    "more": (lambda chunks: [*chunks, chunks[0]], ValueError, "chunks gave 18522 rows in pass"),
    "raises": (raising, OSError, "the disk is gone"),
    "columns": (lambda chunks: [chunks[0], chunks[1][:, :1]], ValueError, "chunk 1, from row 5000: 1 columns"),
    "flat": (lambda chunks: [chunks[0], chunks[1][:, 0]], ValueError, "chunk 1, from row 5000: X: Expected 2D"),
    "nan": (spoilt, ValueError, "chunk 2: X must be finite.*got nan at row 10321, column 1"),
}


@pytest.mark.parametrize(
    ("name", "passes"),
    [(name, passes) for name in FAULTS for passes in (0, 1, 4) if passes or name not in ("fewer", "none", "more")],
)
@pytest.mark.seconds
def test_a_fault_names_its_place_and_leaves_the_estimator(name, passes, swept_in_python):
    fault, error, message = FAULTS[name]
    mixture = fastem.GaussianMixture(3, random_state=0, tol=1e-9).fit(rows(seed=1))
    before, threads = dict(vars(mixture)), threading.active_count()
    source = Counted(rows(), passes, fault)
    with pytest.raises(error, match=message) as caught:
        mixture.fit(chunks=source)
    assert vars(mixture) == before
    assert threading.active_count() == threads
    if name == "raises":
        assert caught.value.__notes__ == ["while reading chunk 1 of chunks"]


@pytest.mark.parametrize(  # whole numbers are copied when they are read
    ("length", "dtype"), [(None, np.float64), (999, np.float64), (50_000, np.float64), (999, np.int64)]
)
def test_a_mapped_file_that_lost_rows_is_named(length, dtype, tmp_path, short_blocks):
    """To read them would end the process."""
    path = tmp_path / "rows.npy"
    np.save(path, rows(100_000, dtype=dtype))
    mapped = np.load(path, mmap_mode="r")
    start = fastem.GaussianParams(np.ones(1), np.zeros((1, 2)), np.eye(2)[np.newaxis])
    opened = fastem.open_chunks(cut(length, mapped)) if length else fastem.open_rows(mapped)
    with opened:
        opened.sweep(start)
        with path.open("r+b") as file:
            file.truncate(100_000)
        with pytest.raises(ValueError, match=r"rows\.npy has 100000 bytes, but had 1600128 when it was mapped"):
            opened.sweep(start)
    with pytest.raises(ValueError, match=r"rows\.npy has 100000 bytes"):
        fastem.GaussianMixture(2).fit(mapped)


def test_a_short_mapped_file_that_lost_rows_is_named(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, rows(1000))
    with fastem.open_rows(np.load(path, mmap_mode="r")) as opened:
        with path.open("r+b") as file:
            file.truncate(100)
        with pytest.raises(ValueError, match="rows are lost"):
            opened.sweep(fastem.GaussianParams(np.ones(1), np.zeros((1, 2)), np.eye(2)[np.newaxis]))


def test_a_file_that_disappears_is_named(tmp_path):
    paths = [tmp_path / f"{i}.npy" for i in range(3)]
    for path in paths:
        np.save(path, rows(6000))
    start = fastem.GaussianParams(np.ones(1), np.zeros((1, 2)), np.eye(2)[np.newaxis])
    with fastem.open_chunks(lambda: map(np.load, paths)) as opened:
        opened.sweep(start)
        paths[1].unlink()
        with pytest.raises(FileNotFoundError, match=r"1\.npy") as caught:
            opened.sweep(start)
    assert caught.value.__notes__ == ["while reading chunk 1 of chunks"]


X = rows(100)
BAD_SOURCES = [
    ("rows.npy", TypeError, "chunks must be a sequence of arrays, .* got str"),
    (7, TypeError, "chunks must be a sequence .* got int"),
    ({"a": X}, TypeError, "chunks must be a sequence .* got dict"),
    (iter([X]), ValueError, "chunks are read more than once here, but a list_iterator is used up by the first"),
    ((part for part in [X]), ValueError, "a generator is used up"),
    ([], ValueError, "chunks: found 0 rows"),
    ([X[:0]], ValueError, "chunks: found 0 rows"),
    ([X[:1]], ValueError, "Expected n_samples >= n_components"),
    ([X, X.astype(np.float32)], ValueError, "chunk 1, from row 100: 2 columns read as float32.* before have .*float64"),
    ([X, (X, np.ones(100))], ValueError, "chunk 1, from row 100: .* with sample_weight; the chunks .* without"),
    ([(X, np.ones(99))], ValueError, r"chunk 0, from row 0: sample_weight must have shape \(100,\)"),
    ([(X, np.zeros(100))], ValueError, "sample_weight must hold a positive weight"),
    ([(X, np.ones(100)), (X, -np.ones(100))], ValueError, "chunk 1: sample_weight must not be negative.* at row 100"),
    ([(X, None, None)], ValueError, r"a chunk is X or a tuple \(X, sample_weight\), got a tuple of 3"),
    ([X * 1e150], ValueError, "chunk 0: X must be below .* rescale it.* at row 0, column 0"),
    ([["a", "b"]], TypeError, "chunk 0, from row 0: X must hold real numbers"),
    (lambda: 7, TypeError, "chunks must be a function that returns an iterator, got one that returned 7"),
    (lambda: None, TypeError, "chunks must be a function .* returned None"),
    (lambda: {"a": X}, TypeError, "chunks must be a function .* returned {'a'"),
    (lambda: X, ValueError, r"chunks must be an iterable of arrays of rows, got one ndarray of shape \(100, 2\)"),
]


@pytest.mark.parametrize(("chunks", "error", "message"), BAD_SOURCES)
def test_bad_sources(chunks, error, message):
    mixture = fastem.GaussianMixture(2)
    before = dict(vars(mixture))
    with pytest.raises(error, match=message):
        mixture.fit(chunks=chunks)
    assert vars(mixture) == before


def test_bad_counts_in_chunks():
    with pytest.raises(ValueError, match=r"chunk 1: X must not exceed trials, got 11 .* at row 4, column 0"):
        fastem.BinomialMixture(1).fit(chunks=[[1, 2, 3], [1, 11]], trials=10)
    with pytest.raises(TypeError, match="chunk 0, from row 0: trials: the number of trials of each row is needed"):
        fastem.BinomialMixture(1).fit(chunks=[[1, 2, 3]])
    with pytest.raises(TypeError, match="trials must be None or one number with chunks"):
        fastem.BinomialMixture(1).fit(chunks=[[1, 2, 3]], trials=[5, 5, 5])


def test_chunks_stand_alone():
    with pytest.raises(TypeError, match="chunks replace X"):
        fastem.GaussianMixture(2).fit(X, chunks=[X])
    with pytest.raises(TypeError, match="chunks replace X"):
        fastem.GaussianMixture(2).fit(chunks=[X], sample_weight=np.ones(100))
    with pytest.raises(ValueError, match="X: Expected 2D array"):
        fastem.GaussianMixture(2).fit()
    with pytest.raises(ValueError, match="warm_sweeps must be None with chunks"):
        fastem.GaussianMixture(2, warm_sweeps="auto").fit(chunks=[X])


def test_trials_of_a_chunk_belong_to_its_rows():
    """Also where it has as many rows as columns."""
    found = fastem.BinomialMixture(1).fit(chunks=[([[1, 2], [3, 4]], [5, 10])])
    np.testing.assert_allclose(found.probs_, [[4 / 15, 6 / 15]], rtol=1e-14)  # two divisions
