"""Same bits for any number of threads, on each twin and instruction set; between those, same numbers to rounding."""

import numpy as np
import pytest
from support import datasets, naive

from fastem.data.open import open_rows
from fastem.data.slots import SLOT_ROWS
from fastem.families.binomial.model import BinomialParams
from fastem.families.gaussian.model import GaussianParams
from fastem.kernels.twins import built_sets, processor_sets

KINDS = ("full", "tied", "diag", "spherical")
ROWS = 9 * SLOT_ROWS + 11
THREADS = (1, 2, 3, 8)
FLOATS = [np.float64, pytest.param(np.float32, marks=pytest.mark.row_type)]
COUNTS = [np.float64, pytest.param(np.uint8, marks=pytest.mark.row_type)]


def arrays(value):
    """The arrays of statistics or of what a kernel tells of rows."""
    values = vars(value).items() if hasattr(value, "params") else enumerate(value)
    return [np.asarray(each) for name, each in values if name != "params"]


def bits(value):
    return [each.tobytes() for each in arrays(value)]


def normal_params(rng, d, kind):
    A = rng.normal(size=(3, d, d))
    weights, covariances = np.array([0.5, 0.3, 0.2]), A @ A.swapaxes(-1, -2) + np.eye(d)
    return GaussianParams(weights, rng.normal(size=(3, d)), naive.reduce_covariances(covariances, weights, kind), kind)


def assert_same_bits(call, X, twin, trials=None, sample_weight=None):
    """For any number of threads."""
    found = []
    for n_threads in THREADS:
        options = {"has_trials": trials is not None, "backend": twin, "n_threads": n_threads}
        with open_rows(X, trials, sample_weight, **options) as rows:
            found.append(bits(call(rows)))
    assert all(each == found[0] for each in found[1:])


@pytest.fixture(autouse=True)
def threads_for_few_rows(monkeypatch):
    monkeypatch.setattr("fastem.kernels.backend.PARALLEL_WORK", 0)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("d", [1, 2, 9])
@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_of_normal_kernels(kind, d, dtype, twin):
    rng = np.random.default_rng(d)
    params, X, w = normal_params(rng, d, kind), rng.normal(size=(ROWS, d)).astype(dtype), rng.random(ROWS)
    assert_same_bits(lambda rows: rows.sweep(params), X, twin)
    assert_same_bits(lambda rows: rows.sweep(params), X, twin, sample_weight=w)
    assert_same_bits(lambda rows: rows.posterior(params, "log_prob", "resp", "labels"), X, twin)


@pytest.mark.parametrize("dtype", FLOATS)
def test_same_bits_of_nearest(dtype, twin):
    rng = np.random.default_rng(0)
    X, centers = rng.normal(size=(ROWS, 3)).astype(dtype), rng.normal(size=(4, 3))
    assert_same_bits(lambda rows: rows.nearest(centers, np.ones(3)), X, twin, sample_weight=rng.random(ROWS))


@pytest.mark.parametrize("dtype", COUNTS)
def test_same_bits_of_binomial_kernels(dtype, twin):
    rng = np.random.default_rng(0)
    params = BinomialParams(np.array([0.4, 0.6]), np.array([[0.2, 0.7], [0.5, 0.1]]))
    X = rng.binomial(20, 0.4, size=(ROWS, 2)).astype(dtype)
    assert_same_bits(lambda rows: rows.sweep(params), X, twin, 20, rng.random(ROWS))
    assert_same_bits(lambda rows: rows.posterior(params, "log_prob", "resp", "labels"), X, twin, 20)


def test_same_bits_however_many_slots_are_held_at_a_time(twin, monkeypatch):
    rng = np.random.default_rng(0)
    X, params = rng.normal(size=(ROWS, 2)), normal_params(rng, 2, "diag")
    with open_rows(X, backend=twin, n_threads=2) as rows:
        whole = bits(rows.sweep(params))
        monkeypatch.setattr("fastem.data.rows.SUMS_BYTES", 0)
        assert bits(rows.sweep(params)) == whole


# ----------------------------------------------------------------------------------- between twins and instruction sets

BETWEEN = 1e-14
"""Of the size of a sum.  1,500 terms, each good to a few units in the last place, added in another order and with other
contractions; seen: 1.6e-15 at the most, of avx512, avx2, baseline and the Numba twin, over all worlds and types."""


def swept(world, kind, twin):
    covariances = naive.reduce_covariances(world.covariances, world.weights, kind)
    with open_rows(world.X, backend=twin) as rows:
        return rows.sweep(GaussianParams(world.weights, world.means, covariances, kind))


def swept_counts(world, twin):
    with open_rows(world.X, world.trials, has_trials=True, backend=twin) as rows:
        return rows.sweep(BinomialParams(world.weights, world.probs))


def sizes(stats, n):
    """What a difference of each sum is measured by: its largest entry, or the largest of what cancels in it."""
    found = {name: np.abs(value).max() for name, value in vars(stats).items() if name != "params"}
    found["entropy"] = n
    if "first" in found:
        found["first"] = np.sqrt(found["second"] * n)
    return found


def largest_difference(found, expected, n):
    size = sizes(expected, n)
    return max(np.abs(getattr(found, name) - getattr(expected, name)).max() / size[name] for name in size if size[name])


def elsewhere(sweep, monkeypatch):
    """The same sweep by every other build of the kernels that runs here."""
    for isa in set(processor_sets()) & set(built_sets()):
        monkeypatch.setenv("FASTEM_ISA", isa)
        yield sweep("cython")
    yield sweep("numba")


@pytest.mark.numba
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("world", datasets.NORMAL_WORLDS, ids=lambda world: world.name)
def test_normal_sums_of_numba_and_all_instruction_sets_agree(world, kind, monkeypatch):
    first, *others = elsewhere(lambda twin: swept(world, kind, twin), monkeypatch)
    for each in others:
        assert largest_difference(each, first, len(world.X)) < BETWEEN


@pytest.mark.numba
@pytest.mark.parametrize("world", datasets.COUNTS_WORLDS, ids=lambda world: world.name)
def test_binomial_sums_of_numba_and_all_instruction_sets_agree(world, monkeypatch):
    first, *others = elsewhere(lambda twin: swept_counts(world, twin), monkeypatch)
    for each in others:
        assert largest_difference(each, first, len(world.X)) < BETWEEN
