"""Where the fits of many groups begin and end: few carriers are found, and what is left to gain is little."""

import numpy as np
import pytest
from support.groups import AS_EM, all_families, family

from fastem.estimators.fit_many import fit_many

ROWS = 500
CARRIERS = 0.02
OVER = 1.0  # of a log likelihood: what a test would notice
MOST = 0.05  # share of the groups


def carriers(name, m=60):
    """Groups of which 2 % of the rows are of another kind, how they are fitted, and the truth."""
    rng = np.random.default_rng([2, m])
    second = rng.random((m, ROWS)) < CARRIERS
    shares = {"weights_init": [1 - CARRIERS, CARRIERS]}
    if name == "gaussian":
        truth = {"means_init": [0.0, 4.0], "variances_init": [1.0, 1.0]}
        return rng.standard_normal(second.shape) + 4 * second, {}, shares | truth
    if name == "binomial":
        return rng.binomial(30, np.where(second, 0.3, 0.02)), {"trials": 30}, shares | {"probs_init": [0.02, 0.3]}
    return rng.poisson(np.where(second, 20.0, 8.0)), {}, shares | {"rates_init": [8.0, 20.0]}


@family
def test_few_carriers_are_found(family):
    values, options, truth = carriers(family)
    options |= {"n_components": 2, "family": family}
    maximum = fit_many(values, tol=1e-9, max_iter=20_000, **options, **truth).loglik
    fits = fit_many(values, **options)
    assert np.mean(fits.loglik < maximum - OVER) <= MOST
    blocks = fit_many(values, tol=1e-3, **options, **AS_EM)
    assert fits.loglik.sum() > blocks.loglik.sum() + len(fits)


@family
def test_acceleration_ends_at_the_maximum_of_plain_em(family, twin):
    rows, offsets, fit = all_families()[family]
    start = fit(rows, offsets, max_iter=0, **AS_EM)
    given = {f"{name}_init": getattr(start, name) for name in ("weights", *start.parameter_names)}
    plain = fit(rows, offsets, tol=0.0, max_iter=20_000, acceleration=None, backend=twin, **given)
    fast = fit(rows, offsets, tol=0.0, max_iter=2_000, backend=twin, **given)
    assert np.mean(np.abs(fast.loglik - plain.loglik) < 1e-6) >= 0.9  # of few rows some end at another maximum


@family
def test_what_is_left_to_gain_is_what_tol_says(family, twin):
    values, options, _ = carriers(family, m=20)
    options |= {"n_components": 2, "family": family, "backend": twin}
    for tol in (0.1, 1e-3):
        fits = fit_many(values, tol=tol, **options)
        given = {f"{name}_init": getattr(fits, name) for name in ("weights", *fits.parameter_names)}
        ended = fit_many(values, tol=1e-10, max_iter=20_000, **options, **given)
        left = (ended.loglik - fits.loglik)[fits.converged]
        assert np.median(left) < tol
        assert np.mean(left < 10 * tol) > 0.7  # an estimate
    assert not fit_many(values, tol=1e-3, max_iter=3, **options).converged.all()


@family
def test_the_log_likelihood_is_that_of_the_parameters(family, twin):
    """Where an extrapolation has come last too."""
    rows, offsets, fit = all_families()[family]
    for most in range(8):
        fits = fit(rows, offsets, max_iter=most, backend=twin)
        assert (fits.n_iter <= most).all()
        given = {f"{name}_init": getattr(fits, name) for name in ("weights", *fits.parameter_names)}
        again = fit(rows, offsets, max_iter=0, backend=twin, **given)
        np.testing.assert_allclose(again.loglik, fits.loglik, rtol=1e-12, atol=1e-12)


@family
def test_more_iterations_are_never_worse(family, twin):
    rows, offsets, fit = all_families()[family]
    logliks = [fit(rows, offsets, max_iter=most, tol=0.0, backend=twin).loglik for most in (3, 5, 9, 17, 33)]
    assert (np.diff(logliks, axis=0) > -1e-5).all()  # what is added to variances lets it fall


@pytest.mark.parametrize("wide", [0.05, 0.5])
def test_components_of_one_mean_are_told_apart(wide):
    rng = np.random.default_rng(0)
    spread = np.where(rng.random((40, ROWS)) < wide, 5.0, 1.0)
    fits = fit_many(spread * rng.standard_normal(spread.shape), n_components=2)
    ratio = fits.variances.max(axis=1) / fits.variances.min(axis=1)
    assert np.mean(ratio > 8) > 0.9


def test_a_part_of_rows_without_trials_has_a_probability(twin):
    options = {"family": "binomial", "trials": np.array([2.0, 1, 1, 0, 0]), "max_iter": 0, "backend": twin}
    found = fit_many([0.0] * 5, [0, 5], 3, **options)
    assert np.isfinite(found.probs).all()
