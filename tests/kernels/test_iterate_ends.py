"""EM in a kernel: what it leaves to the driver in Python, how a fit goes on, and its stop rule."""

import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.asserts import same_fit
from support.few_rows import (
    KINDS,
    RTOL,
    assert_same_iterations,
    close,
    copy_of,
    fit_in_python,
    gaussian,
    in_python,
    values,
)

import fastem
from fastem.data.base import PAIRS, STOP_RULES, Position, StopRule
from fastem.data.iterations import FIELDS
from fastem.data.open import open_rows
from fastem.data.rows import ITERATIONS
from fastem.data.slots import SLOT_ROWS
from fastem.families.gaussian.family import GaussianFamily
from fastem.fitting.result import STEPS

pytestmark = pytest.mark.filterwarnings(
    "ignore::fastem.CollapsedComponentWarning",
    "ignore::fastem.ConvergenceWarning",
    "ignore::fastem.EmptyComponentWarning",
    "ignore::fastem.EqualComponentWarning",
)


# ---------------------------------------------------------------------------------------- what is left to the driver


@pytest.mark.parametrize("reg_covar", [0.0, 1e-6])
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_a_variance_at_its_floor(kind, d, reg_covar, calls, twin):
    """A component on equal rows has a variance that is rounding or, above it, what is added."""
    X = np.concatenate([values(d), np.full((60, d), 30.0)])
    means = np.concatenate([gaussian(kind, twin, d).means_init[:2], np.full((1, d), 30.0)])
    mixture = gaussian(kind, twin, d, means_init=means, reg_covar=reg_covar, max_iter=80)
    found, expected = mixture.fit(X), fit_in_python(mixture, X)
    assert expected.collapses_
    assert sum(calls) < found.n_iter_ or reg_covar
    assert [each.component for each in found.collapses_] == [each.component for each in expected.collapses_]
    assert (found.n_iter_, found.stop_reason_) == (expected.n_iter_, expected.stop_reason_)
    thin = RTOL if reg_covar else 1e-9  # a variance of 1e-30: its density moves with every bit of the mean
    close(found.history_.loglik, expected.history_.loglik, rtol=thin)
    close(found.means_, expected.means_, rtol=thin)
    close(found.covariances_, expected.covariances_, rtol=thin)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_in_a_plane(kind, calls, twin):
    """With nothing added their covariance is singular."""
    X = values(2)[:, [0, 0]] * [1.0, 2.0]
    means = (10.0 + np.arange(3)[:, np.newaxis]) * [1.0, 2.0]
    mixture = gaussian(kind, twin, 2, means_init=means, reg_covar=0.0)
    found, expected = copy_of(mixture).fit(X), fit_in_python(mixture, X)
    assert (found.n_iter_, found.stop_reason_) == (expected.n_iter_, expected.stop_reason_)
    if kind in ("full", "tied"):
        assert sum(calls) < found.n_iter_
    else:
        assert sum(calls) == found.n_iter_
        assert_same_iterations(found, expected)


@pytest.mark.parametrize("far", [1e8, 1e100])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_are_far_out(kind, far, calls, twin):
    X = values(2)
    X[7, 0] = far
    mixture = gaussian(kind, twin, 2, tol=0.0, max_iter=6)  # far on, all that tells the others apart is rounding
    found, expected = mixture.fit(X), fit_in_python(mixture, X)
    assert (found.n_iter_, found.stop_reason_) == (expected.n_iter_, expected.stop_reason_)
    close(found.history_.loglik, expected.history_.loglik)
    close(found.means_, expected.means_)
    close(found.covariances_, expected.covariances_)


def test_sums_that_are_not_finite(calls, twin):
    """The log likelihood of far rows with weights overflows, which the driver takes for the lowest."""
    X = values(1)
    mixture = gaussian("full", twin, 1, means_init=[[9.0], [10.0], [1e120]], max_iter=5)
    given = {"sample_weight": np.full(len(X), 1e10)}
    X[3] = -1e130
    found, expected = mixture.fit(X, **given), fit_in_python(mixture, X, **given)
    assert_same_iterations(found, expected)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_log_likelihood_that_falls(kind, d, calls, twin):
    """What is added to variances moves the M-step away from the maximum of Q."""
    mixture = gaussian(kind, twin, d, reg_covar=1.0, tol=0.0, max_iter=30)
    found, expected = mixture.fit(values(d)), fit_in_python(mixture, values(d))
    falls = [before - after for before, after in pairwise(expected.history_.loglik)]
    assert max(falls) > 1e-6
    assert sum(calls) < found.n_iter_
    assert_same_iterations(found, expected)
    assert found.ascent_.iteration == expected.ascent_.iteration > 0
    assert found.ascent_.largest_fall == pytest.approx(max(falls), rel=1e-6)


# ------------------------------------------------------------------------------------------------ how a fit goes on


@pytest.mark.parametrize("max_iter", [0, 1, 2])
def test_few_iterations(max_iter, calls, twin):
    mixture = gaussian("full", twin, 2, max_iter=max_iter)
    assert_same_iterations(mixture.fit(values(2)), fit_in_python(mixture, values(2)))
    assert sum(calls) == max_iter


def test_more_iterations_than_a_call_takes(calls, twin):
    mixture = gaussian("diag", twin, 2, tol=0.0, max_iter=ITERATIONS + 30)
    found, expected = mixture.fit(values(2)), fit_in_python(mixture, values(2))
    assert sum(calls) >= ITERATIONS
    assert len(calls) > 1
    # at its maximum EM is still, but for rounding: hundreds of steps, each of some units in the last place
    assert_same_iterations(found, expected, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fall_within_rounding_is_told_where_it_happened(kind, calls, twin, monkeypatch):
    """At its maximum EM rises and falls by units in the last place."""
    monkeypatch.setattr("fastem.data.rows.ITERATIONS", 50)
    found = gaussian(kind, twin, 2, tol=0.0, max_iter=3000).fit(values(2))
    falls = [before - after for before, after in pairwise([*found.history_.loglik, found.loglik_])]
    assert sum(calls) > 50
    assert found.ascent_.holds
    assert found.ascent_.largest_fall == max(falls) > 0.0
    assert found.ascent_.iteration == 1 + np.argmax(falls)


def test_a_call_that_ends_is_gone_on_with(calls, twin, monkeypatch):
    for stopping in STOP_RULES:
        mixture = gaussian("full", twin, 2, stopping=stopping, tol=1e-4)
        whole = copy_of(mixture).fit(values(2))
        for most in (1, 2, 3):
            calls.clear()
            with monkeypatch.context() as patch:
                patch.setattr("fastem.data.rows.ITERATIONS", most)
                same_fit(copy_of(mixture).fit(values(2)), whole)
            assert max(calls) == most


def test_a_warm_start_goes_on(twin, calls):
    mixture = gaussian("full", twin, 2, warm_start=True, max_iter=5, tol=1e-9)
    expected = copy_of(mixture)
    for _ in range(3):
        mixture.fit(values(2))
        with in_python():
            expected.fit(values(2))
        assert_same_iterations(mixture, expected)
    assert sum(calls) == 15


def test_partial_fits(twin, calls):
    mixture = gaussian("diag", twin, 2)
    expected = copy_of(mixture)
    for batch in np.array_split(values(2), 3):
        mixture.partial_fit(batch)
        with in_python():
            expected.partial_fit(batch)
        close(mixture.means_, expected.means_)
        close(mixture.covariances_, expected.covariances_)
    assert sum(calls) > 0


def test_a_selection(twin, calls):
    estimator = fastem.GaussianMixture(backend=twin, tol=1e-5, max_iter=40, random_state=0)
    given = {"n_components": range(1, 4), "covariance_types": ["full", "tied"], "split_merge": False}
    found = fastem.select(values(2), estimator=estimator, **given)
    assert sum(calls) > 0
    with in_python():
        expected = fastem.select(values(2), estimator=estimator, **given)
    assert found.best.n_components == expected.best.n_components
    assert_same_iterations(found.best, expected.best)


@pytest.mark.parametrize("watched", ["callback", "checkpoint", "max_time"])
def test_a_fit_that_is_watched_has_the_same_bits(watched, twin, calls, tmp_path):
    whole = gaussian("full", twin, 2).fit(values(2))
    calls.clear()
    settings = {"callback": lambda *_: None, "checkpoint": tmp_path / "fit", "max_time": 1e9}
    found = gaussian("full", twin, 2, **{watched: settings[watched]}).fit(values(2))
    assert calls == [1] * whole.n_iter_
    np.testing.assert_array_equal(found.history_.loglik, whole.history_.loglik)
    np.testing.assert_array_equal(found.means_, whole.means_)
    np.testing.assert_array_equal(found.covariances_, whole.covariances_)
    assert (found.stop_reason_, found.remaining_gain_) == (whole.stop_reason_, whole.remaining_gain_)


def interrupted(monkeypatch):
    """The second call of a kernel is interrupted."""
    iterate, begun = fastem.Rows.iterate, []

    def once(*arguments):
        begun.append(None)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return iterate(*arguments)

    monkeypatch.setattr("fastem.data.rows.ITERATIONS", 7)
    monkeypatch.setattr(fastem.Rows, "iterate", once)


def test_an_interruption_between_two_calls_returns_where_the_first_swept_last(twin, monkeypatch):
    expected = fit_in_python(gaussian("full", twin, 2, max_iter=6), values(2))
    interrupted(monkeypatch)
    found = gaussian("full", twin, 2, on_interrupt="return").fit(values(2))
    assert (found.n_iter_, found.stop_reason_, found.cut_short_) == (6, "interrupted", True)
    close(found.history_.loglik, expected.history_.loglik)
    close(found.loglik_, expected.loglik_)
    close(found.means_, expected.means_)
    close(found.covariances_, expected.covariances_)
    close(found.counts_, expected.counts_)


def test_an_interruption_between_two_calls_leaves_the_mixture_as_it_was(twin, monkeypatch):
    interrupted(monkeypatch)
    mixture = gaussian("full", twin, 2)
    with pytest.raises(KeyboardInterrupt):
        mixture.fit(values(2))
    assert not hasattr(mixture, "means_")


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits_whatever_the_number_of_threads(kind, twin, calls):
    X = values(2, 2 * SLOT_ROWS + 77)
    expected = gaussian(kind, twin, 2, n_threads=1).fit(X)
    same_fit(gaussian(kind, twin, 2, n_threads=2).fit(X), expected)
    assert sum(calls) == 2 * expected.n_iter_


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_of_few_rows_have_the_bits_of_memory(kind, twin, calls):
    X = values(2)
    expected = gaussian(kind, twin, 2).fit(X)
    same_fit(gaussian(kind, twin, 2).fit(chunks=[X[:200], X[200:]]), expected)
    assert sum(calls) >= 2 * expected.n_iter_


# ---------------------------------------------------------------------------------------------------- the stop rule

KERNELS = Path(fastem.__file__).parent / "kernels"


def struct_fields():
    (body,) = re.findall(r"cdef struct Run:(.*?)\n\n", (KERNELS / "iterate.pxi").read_text(), re.DOTALL)
    return re.findall(r"^    double (\w+)", body, re.MULTILINE)


def test_a_run_has_one_order():
    """That of the struct, and of what the rows hand to either twin."""
    assert struct_fields() == list(FIELDS)


def test_a_kernel_is_handed_what_the_driver_knows():
    given = {}

    def kernel(*arguments):
        run = arguments[-1]
        given.update(zip(FIELDS, run.tolist(), strict=True))
        run[FIELDS.index("fall")], run[FIELDS.index("fell_at")] = 0.5, 3.0
        return 1

    with open_rows(np.arange(4.0)[:, np.newaxis], sample_weight=[1.0, 2.0, 3.0, 4.0]) as rows:
        rows.backend.kernels = SimpleNamespace(iterate_normal=kernel)
        params = fastem.GaussianParams(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
        m_step = GaussianFamily().m_step(params, params.as_fixed(()))
        scalars = {"trust_radius": 5.0, "size": 0.5, "limited": True, "gains": [7.0, 8.0], "last": [], "pairs": []}
        at = Position(params, params, 1, -3.0, [-8.0, -7.0], **scalars)
        found = rows.iterate(at, m_step, StopRule("aitken", 0.25, False, 0), 5)
    known = {"known": 2.0, "before": -8.0, "previous": -7.0, "fall": 0.0, "fell_at": 0.0, "step": 1.0, "pending": 0.0}
    memory = {"accelerated": 0.0, "trust_radius": 5.0, "size": 0.5, "limited": 1.0, "seen": 0.0, "pairs": 0.0}
    gains = {"gains": 2.0, "gain_0": 0.0, "gain_1": 7.0, "gain_2": 8.0, "distance": np.inf, "oldest": 0.0}
    rule = {"code": 2.0, "tol": 0.25, "total": 10.0, "base": 0.0, "criterion": -3.0}
    assert given == rule | known | memory | gains
    assert (found.fall, found.fell_at, found.position.gains) == (0.5, 3, [7.0, 8.0])


@pytest.mark.numba
def test_the_numba_twin_names_a_run_alike():
    from fastem.kernels.numba import accelerate  # Numba may be missing

    names = {"accelerated": "is_accelerated"}  # a step has that name
    assert [getattr(accelerate, names.get(name, name).upper()) for name in FIELDS] == list(range(len(FIELDS)))
    assert [getattr(accelerate, name.upper()) for name in STOP_RULES] == [0, 1, 2, 3]
    assert [getattr(accelerate, name.upper()) for name in STEPS[:4]] == [0, 1, 2, 3]
    assert accelerate.MOST_PAIRS == PAIRS
