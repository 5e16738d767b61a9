"""Against 60 digits, where numbers are at their worst: log densities, responsibilities, M-steps, log likelihoods.

An error is measured in what one rounding of everything that enters may do to it (docs/numerics.md).
"""

from functools import cache

import mpmath as mp
import numpy as np
import pytest
from support import exact, naive
from support.exact import LOG_PROB, RESP, SMALLEST_SHARE, SUMS, UNIT, row_units, shares_off
from support.sweeps import sweep

from fastem import BinomialParams, GaussianParams
from fastem.data.open import open_rows
from fastem.families.gaussian.tables import NEAR
from fastem.kernels.backend import Backend


def rows_of(rng, params, n):
    """n rows of the mixture, its components in turns."""
    full = naive.expand_covariances(params.covariances, params.covariance_type, *params.means.shape)
    labels = np.arange(n) % len(params.weights)
    z = rng.standard_normal((n, params.n_features))
    return params.means[labels] + np.einsum("nij,nj->ni", np.linalg.cholesky(full)[labels], z)


def correlated(condition, d=4):
    """Correlations whose eigenvalues go down to 1 / condition of the largest, along no axis."""
    rng = np.random.default_rng(d)
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0]
    matrix = (axes * np.logspace(0, -np.log10(condition), d)) @ axes.T
    sds = np.sqrt(matrix.diagonal())
    return matrix / sds / sds[:, np.newaxis]


def pair(covariance, apart=1.0, offset=0.0, weights=(0.4, 0.6), kind="full", near=False):
    """Two components with the same covariances, `apart` standard deviations along the first feature.

    `near` ones are so far apart by Mahalanobis's distance too: other features go along with the first.
    """
    sds = np.sqrt(covariance.diagonal())
    step = covariance[0] / sds[0] if near else sds * (np.arange(len(sds)) == 0)
    means = np.array([offset * sds, offset * sds + apart * step])
    both = np.array([covariance, covariance])
    return GaussianParams(np.array(weights), means, naive.reduce_covariances(both, np.array(weights), kind), kind)


def eight(kind, d=4, apart=1.0, offset=0.0, units=1.0, far=False):
    """Eight components without correlations, in pairs on either side of their middle, `apart` standard deviations from
    it at most, or in each direction."""
    steps = np.ones((4, d)) if far else np.random.default_rng(d).uniform(0.5, 1.0, (4, d)) / np.sqrt(d)
    sds = units * np.ones(d)
    means = offset * sds + apart * np.vstack([steps, -steps]) * sds
    variances = np.tile(sds**2, (8, 1)) * np.linspace(1.0, 0.5, 8)[:, np.newaxis] ** (not far)
    values = variances if kind == "diag" else variances[:, 0].copy()
    return GaussianParams(np.array([0.1, 0.1, 0.2, 0.1, 0.1, 0.1, 0.2, 0.1]), means, values, kind)


SCALES = {"variance_1e-100": 1e-100, "variance_1e-12": 1e-12, "variance_1e12": 1e12, "variance_1e100": 1e100}
UNITS = np.diag([1e-50, 1.0, 1e50])
MIXED = np.diag([1e-50, 1.0, 1e50, 1.0, 1e-9, 1e9, 1.0, 1e30])
FURTHEST = np.sqrt(NEAR * 8) * (1 - 1e-12)  # standard deviations of a mean from the middle, of eight features
FURTHEST_OF_EIGHT = np.sqrt(NEAR) * (1 - 1e-12)
EIGHT = {
    "plain": {},
    "many_features": {"d": 9, "apart": 3.0},
    "offset_1e8_sds": {"offset": 1e8},
    "variance_1e-100": {"units": 1e-50},
    "variance_1e100": {"units": 1e50},
    "nearly_equal": {"apart": 1e-9},
    "as_far_as_may_be": {"apart": FURTHEST_OF_EIGHT, "far": True},
    "farther": {"apart": 1.01 * FURTHEST_OF_EIGHT, "far": True},
    "far_apart": {"apart": 1e8},
}
NORMAL_CASES = {
    "condition_1": pair(correlated(1.0)),
    "condition_1e4": pair(correlated(1e4)),
    "condition_1e8": pair(correlated(1e8)),
    "condition_1e12": pair(correlated(1e12)),
    "offset_1e8_sds": pair(correlated(10.0), offset=1e8),
    "offset_1e8_sds_diag": pair(np.eye(3), offset=1e8, kind="diag"),
    **{name: pair(scale * correlated(10.0)) for name, scale in SCALES.items()},
    **{f"{name}_univariate": pair(scale * np.eye(1)) for name, scale in SCALES.items()},
    "mixed_units": pair(UNITS @ correlated(10.0, 3) @ UNITS),
    "mixed_units_diag": pair(UNITS @ UNITS, kind="diag"),
    "nearly_equal": pair(correlated(10.0), apart=1e-9),
    "far_apart": pair(correlated(10.0), apart=60.0),
    "weight_1e-300": pair(correlated(10.0), weights=(1e-300, 1.0)),
    "spherical": pair(np.eye(5), kind="spherical"),
    "tied": pair(correlated(100.0, 8), kind="tied"),
    "tied_condition_1e8": pair(correlated(1e8, 8), kind="tied", near=True),
    "tied_condition_1e12": pair(correlated(1e12, 8), kind="tied", near=True),
    "tied_condition_1e12_far": pair(correlated(1e12, 8), kind="tied"),
    "tied_condition_and_offset": pair(correlated(1e12, 8), offset=1e3, kind="tied", near=True),
    "tied_offset_1e8_sds": pair(correlated(10.0, 8), offset=1e8, kind="tied"),
    "tied_variance_1e-100": pair(1e-100 * correlated(10.0, 8), kind="tied"),
    "tied_variance_1e100": pair(1e100 * correlated(10.0, 8), kind="tied"),
    "tied_mixed_units": pair(MIXED @ correlated(10.0, 8) @ MIXED, kind="tied"),
    "tied_nearly_equal": pair(correlated(10.0, 8), apart=1e-9, kind="tied"),
    "tied_as_far_as_may_be": pair(correlated(1.0, 8), apart=2 * FURTHEST, kind="tied"),
    "tied_farther": pair(correlated(1.0, 8), apart=2.01 * FURTHEST, kind="tied"),
    "tied_far_apart": pair(correlated(10.0, 8), apart=1e8, kind="tied"),
    "tied_few": pair(correlated(100.0, 3), kind="tied"),
    "tied_many_features": pair(correlated(100.0, 17), kind="tied"),
    "many_features": pair(correlated(100.0, 17)),
    **{f"eight_{kind}_{name}": eight(kind, **given) for kind in ("diag", "spherical") for name, given in EIGHT.items()},
    "eight_diag_mixed_units": eight("diag", units=np.array([1e-50, 1.0, 1e50, 1e9])),
}


def full_covariances(params):
    return naive.expand_covariances(params.covariances, params.covariance_type, *params.means.shape)


def conditions(params):
    """(k,) of the correlations; 1 where there are none."""
    if not params.is_matrix or params.n_features == 1:
        return np.ones(len(params.weights))
    sds = np.sqrt(params.variances())[:, :, np.newaxis]
    return np.linalg.cond(full_covariances(params) / sds / sds.swapaxes(-1, -2))


@cache
def normal_case(name):
    """Parameters, rows (some of them 40 sds out) and the truth: of each row and component, in 60 digits."""
    params = NORMAL_CASES[name]
    X = rows_of(np.random.default_rng(0), params, 40)
    X[::8] += 40 * np.sqrt(params.variances()[0])
    densities, squares = exact.normal_densities(X, params.means, full_covariances(params))
    log_prob, resp = exact.posterior(densities, params.weights)
    unit = units(params, squares.astype(float))
    return params, X, log_prob, resp, unit


def units(params, squares):
    """(n, k) what one rounding of all that enters may change log(weight_k p_k(x_i)) by."""
    d = params.n_features
    scales = params.precision_factors()
    scales = scales if scales.ndim == 2 else scales.diagonal(axis1=1, axis2=2)
    sizes = np.abs(np.log(params.weights)) + np.abs(np.log(scales)).sum(axis=1) + d + from_middle(params)
    return UNIT * (sizes + conditions(params) * (d + squares))


def from_middle(params):
    """(k,) squares of the means' distances from their middle, where a sweep whitens rows about it."""
    if params.middle is None:
        return np.zeros(len(params.weights))
    offsets = params.means - params.middle
    return np.array([np.sum((L @ z) ** 2) for L, z in zip(params.precision_factors(), offsets, strict=True)])


normal = pytest.mark.parametrize("name", NORMAL_CASES)


@normal
def test_log_densities_and_responsibilities(name, twin):
    params, X, log_prob, resp, unit = normal_case(name)
    with open_rows(X, backend=twin) as rows:
        found = rows.posterior(params, "log_prob", "resp")
    assert (exact.errors(found.log_prob, log_prob) <= LOG_PROB * row_units(resp, unit)).all()
    allowed = RESP * shares_off(resp, unit) + UNIT * RESP * resp.astype(float) + SMALLEST_SHARE
    assert (exact.errors(found.resp, resp) <= allowed).all()


@cache
def normal_step_case(name):
    """The truth after an M-step; what wrong shares move of each count, mean and covariance, relative to its scale."""
    params, X, _, resp, unit = normal_case(name)
    truth, off = exact.normal_step(X, resp, params.means), shares_off(resp, unit)
    counts, residual = truth.counts.astype(float), np.abs(exact.exactly(X)[:, np.newaxis] - truth.means).astype(float)
    residual /= truth.spread
    lost = off.sum(axis=0), np.einsum("ik,ikj->kj", off, residual)
    lost += (np.einsum("ik,ikj,ikl->kjl", off, residual, residual),)
    return truth, [(each.T / counts).T for each in lost]


def scales_of(params, truth):
    """(k, d) of the rows about the means or, where a sweep whitens them once, about the middle of these."""
    return truth.spread if params.middle is None else np.hypot(truth.spread, params.means - params.middle)


@normal
def test_m_step(name, twin):
    params, X, _, _, _ = normal_case(name)
    truth, moved = normal_step_case(name)
    stats = sweep(params, X, twin)
    found, scale = stats.maximize(reg_covar=0.0), truth.spread[:, :, np.newaxis]
    counts, means, covariances = (RESP * each + SUMS * UNIT for each in moved)
    live = stats.live  # what is below 2^-900 of another component counts as that, and nothing is learnt from it
    assert live.all() == (name != "weight_1e-300")
    assert (exact.errors(stats.counts, truth.counts) <= counts * truth.counts.astype(float))[live].all()
    off = exact.errors(found.means, truth.means) - UNIT * np.abs(found.means)
    assert (off <= means * scales_of(params, truth))[live].all()
    if params.covariance_type == "full":
        assert (exact.errors(found.covariances, truth.covariances) <= covariances * scale * scale.swapaxes(-1, -2))[
            live
        ].all()


@pytest.mark.parametrize("name", [name for name in NORMAL_CASES if NORMAL_CASES[name].covariance_type == "tied"])
def test_m_step_of_a_tied_covariance(name, twin):
    params, X, _, _, _ = normal_case(name)
    truth, moved = normal_step_case(name)
    assert (params.middle is None) == name.endswith(("_far", "_farther", "_far_apart", "_few"))
    found = sweep(params, X, twin).maximize(reg_covar=0.0).covariances
    shares = truth.counts / truth.counts.sum()
    expected = (shares[:, np.newaxis, np.newaxis] * truth.covariances).sum(axis=0)
    scale = np.sqrt(shares.astype(float) @ scales_of(params, truth) ** 2)
    lost = np.einsum("k,kjl,kj,kl->jl", shares.astype(float), moved[2], truth.spread, truth.spread)
    assert (exact.errors(found, expected) <= RESP * lost + SUMS * UNIT * np.outer(scale, scale)).all()


@pytest.mark.parametrize("name", [name for name in NORMAL_CASES if not NORMAL_CASES[name].is_matrix])
def test_m_step_of_variances(name, twin):
    params, X, _, _, _ = normal_case(name)
    truth, moved = normal_step_case(name)
    assert (params.middle is None) == (not name.startswith("eight_") or name.endswith(("_farther", "_far_apart")))
    found = sweep(params, X, twin).maximize(reg_covar=0.0).covariances
    expected, lost = (each.diagonal(axis1=1, axis2=2) for each in (truth.covariances, moved[2]))
    scale = scales_of(params, truth)
    allowed = RESP * lost * truth.spread**2 + SUMS * UNIT * scale**2
    if params.covariance_type == "spherical":
        expected, allowed = expected.mean(axis=1), allowed.mean(axis=1)
    assert (exact.errors(found, expected) <= allowed).all()


@normal
def test_log_likelihoods_are_within_their_rounding(name, twin):
    params, X, log_prob, _, _ = normal_case(name)
    stats = sweep(params, X, twin)
    error = float(abs(mp.mpf(stats.loglik) - sum(log_prob)))
    assert error <= stats.rounding


@pytest.mark.parametrize("name", ["condition_1e8", "nearly_equal", "far_apart", "spherical", "many_features"])
def test_float32_rows_are_told_as_float64_rows(name, twin):
    """Posteriors are computed in float64 whatever the rows."""
    params, X, _, _, _ = normal_case(name)
    single = X.astype(np.float32)
    with open_rows(single, backend=twin) as rows, open_rows(single.astype(float), backend=twin) as same:
        np.testing.assert_array_equal(rows.posterior(params, "log_prob").log_prob,
                                      same.posterior(params, "log_prob").log_prob)  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- counts

COUNT_CASES = {
    "fair": ([0.4, 0.6], [[0.5], [0.3]], 100),
    "near_0": ([0.4, 0.6], [[1e-12], [1e-9]], 10**6),
    "near_1": ([0.4, 0.6], [[1 - 2.0**-53], [1 - 1e-9]], 10**6),
    "1e-300": ([0.4, 0.6], [[1e-300], [0.5]], 10),
    "a_million_trials": ([0.4, 0.6], [[0.3], [0.3001]], 10**6),
    "nearly_equal": ([0.4, 0.6], [[0.3], [0.3 + 1e-12]], 1000),
    "weight_1e-300": ([1e-300, 1.0], [[0.3], [0.7]], 1000),
    "many_columns": ([0.4, 0.6], [[0.3, 1e-6, 0.5], [0.4, 1 - 1e-6, 0.5]], 300),
}


@cache
def count_case(name):
    """Parameters, successes of each component's draws and the most extreme ones, trials, the truth and its units."""
    weights, probs, trials = COUNT_CASES[name]
    params = BinomialParams(np.array(weights), np.array(probs))
    rng, d = np.random.default_rng(0), params.n_features
    X = rng.binomial(trials, params.probs[np.arange(40) % 2]).astype(float)
    X[:4] = np.array([0, 1, trials - 1, trials])[:, np.newaxis]
    densities, coefficients, sizes = exact.binomial_densities(X, np.full((40, d), float(trials)), params.probs)
    log_prob, resp = exact.posterior(densities, params.weights)
    unit = UNIT * (sizes + np.abs(np.log(params.weights)) + d)
    return params, X, trials, log_prob, resp, unit, UNIT * coefficients


counted = pytest.mark.parametrize("name", COUNT_CASES)


@counted
def test_log_probabilities_and_responsibilities_of_counts(name, twin):
    params, X, trials, log_prob, resp, unit, coefficients = count_case(name)
    with open_rows(X, trials, has_trials=True, backend=twin) as rows:
        found = rows.posterior(params, "log_prob", "resp")
    assert (exact.errors(found.log_prob, log_prob) <= LOG_PROB * (row_units(resp, unit) + coefficients)).all()
    allowed = RESP * shares_off(resp, unit) + UNIT * RESP * resp.astype(float) + SMALLEST_SHARE
    assert (exact.errors(found.resp, resp) <= allowed).all()


@counted
def test_m_step_and_log_likelihood_of_counts(name, twin):
    params, X, trials, log_prob, resp, unit, coefficients = count_case(name)
    stats = sweep(params, X, twin, trials=trials)
    counts, off = resp.sum(axis=0), shares_off(resp, unit)
    probs = (resp.T @ exact.exactly(X)) / counts[:, np.newaxis] / trials
    moved = (off.T @ X) / (resp.T.astype(float) @ X) + (off.sum(axis=0) / counts.astype(float))[:, np.newaxis]
    allowed = (RESP * moved + SUMS * UNIT) * probs.astype(float) + SMALLEST_SHARE
    assert (exact.errors(stats.maximize().probs, probs) <= allowed)[stats.live].all()
    # the coefficients are no part of `rounding`: they are the same in every sweep
    assert float(abs(mp.mpf(stats.loglik) - sum(log_prob))) <= stats.rounding + LOG_PROB * coefficients.sum()


# -------------------------------------------------------------------------------------------------------------- exp2


def test_exp2_over_its_whole_range(twin):
    """One row at the mean of components of log density 0 and u: their responsibilities are as 1 to 2^u."""
    u = -np.concatenate([np.linspace(0, 890, 4001), np.linspace(0, 1.5, 1001), np.arange(891.0), 0.5 ** np.arange(60)])
    tables = np.r_[0.0, u], np.zeros((1 + len(u), 1)), np.zeros((1 + len(u), 1))
    resp, labels = np.empty((1, 1 + len(u))), np.empty(0, np.int32)
    Backend(twin).run("posterior_normal", (np.zeros((1, 1)),), tables, (np.empty(0), resp, labels), slot_rows=4096)
    truth = np.array([mp.mpf(2) ** mp.mpf(x) for x in u])
    relative = np.abs(exact.exactly(resp[0, 1:]) / mp.mpf(resp[0, 0]) / truth - 1).astype(float)
    assert relative.max() <= 5 * UNIT  # 2 units in the last place of exp2, and the product with 1 / sum
