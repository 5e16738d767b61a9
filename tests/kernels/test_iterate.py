"""EM in a kernel against EM by the driver in Python, on both twins: the same iterations."""

import numpy as np
import pytest
from support.asserts import same_fit
from support.few_rows import (
    COUNTS,
    KINDS,
    assert_runs_in_a_kernel,
    binomial,
    close,
    fit_in_python,
    gammas,
    gaussian,
    values,
)

import fastem
from fastem.data.base import STOP_RULES
from fastem.data.slots import SLOT_ROWS

DIMENSIONS = (1, 2, 3, 5, 9)

pytestmark = pytest.mark.filterwarnings(
    "ignore::fastem.ConvergenceWarning", "ignore::fastem.EmptyComponentWarning", "ignore::fastem.EqualComponentWarning"
)


STOPPING = pytest.mark.parametrize("stopping", STOP_RULES)


# ------------------------------------------------------------------------------------------------ the same iterations


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_gaussian_fit_in_a_kernel_is_that_of_the_driver(kind, d, calls, twin):
    assert_runs_in_a_kernel(calls, gaussian(kind, twin, d), values(d))


@pytest.mark.parametrize("d", [1, 3])
@COUNTS
def test_a_fit_of_counts_in_a_kernel_is_that_of_the_driver(mixture, rows, d, calls, twin):
    assert_runs_in_a_kernel(calls, mixture(twin, d), rows(d))


@STOPPING
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_every_stop_rule_stops_at_the_same_iteration(kind, d, stopping, calls, twin):
    tol = {"loglik": 1e-4, "q": 1e-1, "aitken": 1e-3, "gradient": 1e-2}[stopping]
    mixture = gaussian(kind, twin, d, stopping=stopping, tol=tol, max_iter=500)
    assert_runs_in_a_kernel(calls, mixture, values(d))
    assert mixture.fit(values(d)).converged_


@STOPPING
@COUNTS
def test_every_stop_rule_stops_counts_at_the_same_iteration(mixture, rows, stopping, calls, twin):
    tol = {"loglik": 1e-4, "q": 1e-2, "aitken": 1e-3, "gradient": 1e-3}[stopping]
    assert_runs_in_a_kernel(calls, mixture(twin, 2, stopping=stopping, tol=tol, max_iter=500), rows(2))


@pytest.mark.parametrize("n", [600, 2 * SLOT_ROWS + 77], ids=["one slot", "three slots"])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_rows_and_several_slots(kind, n, calls, twin):
    for d in (1, 2):
        calls.clear()
        assert_runs_in_a_kernel(calls, gaussian(kind, twin, d), values(d, n), sample_weight=gammas(n))
    calls.clear()
    assert_runs_in_a_kernel(calls, gaussian(kind, twin, 2), values(2, n))


@pytest.mark.parametrize("n", [600, 2 * SLOT_ROWS + 77], ids=["one slot", "three slots"])
@COUNTS
def test_weights_of_counts_and_several_slots(mixture, rows, n, calls, twin):
    assert_runs_in_a_kernel(calls, mixture(twin, 3), rows(3, n), sample_weight=gammas(n))


@pytest.mark.parametrize("reg_covar", [0.0, 1e-3, "auto"])
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_added_to_variances(kind, d, reg_covar, calls, twin):
    X = values(d) * np.linspace(1.0, 30.0, d)
    given = {"means_init": gaussian(kind, twin, d).means_init * np.linspace(1.0, 30.0, d), "precisions_init": None}
    tol = 1e-4 if reg_covar == 1e-3 else 1e-5  # it moves the maximum of Q: far on, the log likelihood falls
    assert_runs_in_a_kernel(calls, gaussian(kind, twin, d, reg_covar=reg_covar, tol=tol, **given), X)


FIXED = (
    ("weights",),
    ("means",),
    ("covariances",),
    ("weights", "means"),
    {"weights": [True, False, False]},
    {"means": [True, False, True], "weights": [False, True, False]},
    {"covariances": [True, True, True], "means": [False, True, False]},
)


@pytest.mark.parametrize("fixed", FIXED, ids=str)
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.seconds
def test_what_is_fixed_stays(kind, d, fixed, calls, twin):
    mixture = gaussian(kind, twin, d, fixed=fixed)
    assert_runs_in_a_kernel(calls, mixture, values(d))
    found, start = mixture.fit(values(d)), gaussian(kind, twin, d, max_iter=0).fit(values(d))
    for name in fixed:
        mask = fixed[name] if isinstance(fixed, dict) else [True] * 3
        stays = slice(None) if (name, kind) == ("covariances", "tied") else np.array(mask)
        np.testing.assert_array_equal(getattr(found.params_, name)[stays], getattr(start.params_, name)[stays])


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_covariances_of_some_components_stay(kind, d, calls, twin):
    """One that all components share stays where it stays for any of them."""
    assert_runs_in_a_kernel(calls, gaussian(kind, twin, d, fixed={"covariances": [False, True, False]}), values(d))


@pytest.mark.parametrize("mask", [None, [True, False, False]], ids=["all", "one"])
@pytest.mark.parametrize("name", ["weights", "location"])
@COUNTS
def test_what_is_fixed_of_counts_stays(mixture, rows, name, mask, calls, twin):
    name = {"location": "probs" if mixture is binomial else "rates"}.get(name, name)
    fixed = (name,) if mask is None else {name: mask}
    assert_runs_in_a_kernel(calls, mixture(twin, 2, fixed=fixed), rows(2))


@pytest.mark.row_type
@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("kind", ["full", "diag"])
def test_rows_of_float32_are_summed_in_float64(kind, d, calls, twin):
    """The driver sums tiles of them in float32; the parameters of the fit are rounded to it."""
    X = values(d).astype(np.float32)
    found = gaussian(kind, twin, d, max_iter=20, tol=0.0).fit(X)
    assert sum(calls) == found.n_iter_ == 20
    expected = fit_in_python(gaussian(kind, twin, d, max_iter=20, tol=0.0), X.astype(np.float64))
    close(found.history_.loglik, expected.history_.loglik)
    close(found.means_, expected.means_, rtol=2.0**-23)
    close(found.covariances_, expected.covariances_, rtol=2.0**-23)


@pytest.mark.parametrize("kind", KINDS)
def test_one_component(kind, calls, twin):
    mixture = fastem.GaussianMixture(1, covariance_type=kind, backend=twin, tol=1e-9)
    for d in (1, 2):
        calls.clear()
        assert_runs_in_a_kernel(calls, mixture, values(d))


def test_rows_of_any_layout(calls, twin):
    X = values(3)
    expected = gaussian("full", twin, 3).fit(X)
    for other in (np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], X[::-1].copy()[::-1]):
        same_fit(gaussian("full", twin, 3).fit(other), expected)
    assert sum(calls) == 4 * expected.n_iter_
