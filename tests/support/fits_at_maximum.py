"""Fits that have reached their maximum, and the naive derivatives of their log likelihood."""

import copy
from functools import cached_property

import numpy as np
import pytest

from fastem import BinomialMixture, GaussianMixture
from fastem.inference.standard_errors import METHODS
from support import naive
from support.sweeps import KINDS

methods = pytest.mark.parametrize("method", METHODS)
kinds = pytest.mark.parametrize("kind", KINDS)
AT_MAXIMUM = {"tol": 1e-10, "stopping": "gradient", "acceleration": "quasi-newton", "max_iter": 5_000}


FITS, TRUTHS = {}, {}
"""What was asked for before, by the name of its data set and its settings, with the data set itself."""


def once(kept, key, world, make):
    """Return a copy of what `make` makes of the world, which it does once for each key."""
    known, found = kept.get((world.name, key), (None, None))
    if known is not world:
        found = make()
        kept[world.name, key] = world, found
    return copy.deepcopy(found)


def gaussian(world, kind="full", **settings):
    """At the maximum that the world's start leads to."""
    return once(FITS, f"{kind} {settings}", world, lambda: fit_gaussian(world, kind, settings))


def fit_gaussian(world, kind, settings):
    covariances = naive.reduce_covariances(world.covariances, world.weights, kind)
    precisions = np.linalg.inv(covariances) if kind in ("full", "tied") else 1 / covariances
    inits = {"weights_init": world.weights, "means_init": world.means, "precisions_init": precisions}
    options = AT_MAXIMUM | inits | settings
    return GaussianMixture(len(world.weights), covariance_type=kind, reg_covar=0.0, **options).fit(world.X)


def binomial(world, **settings):
    return once(FITS, f"{settings}", world, lambda: fit_binomial(world, settings))


def fit_binomial(world, settings):
    options = AT_MAXIMUM | {"weights_init": world.weights, "probs_init": world.probs} | settings
    return BinomialMixture(len(world.weights), **options).fit(world.X, trials=world.trials)


def pack(mixture):
    """All parameters in the documented order: weights, means, probs or rates, variances or lower triangles."""
    for name in ("probs_", "rates_"):
        if hasattr(mixture, name):
            return np.concatenate([mixture.weights_, getattr(mixture, name).ravel()])
    covariances, d = mixture.covariances_, mixture.means_.shape[1]
    if mixture.covariance_type in ("full", "tied"):
        covariances = [S[i, j] for S in covariances.reshape(-1, d, d) for i in range(d) for j in range(i + 1)]
    return np.concatenate([mixture.weights_, mixture.means_.ravel(), np.ravel(covariances)])


def unpack_covariances(values, kind, k, d):
    if kind not in ("full", "tied"):
        return values.reshape((k, d) if kind == "diag" else k)
    values, matrices = iter(values), np.zeros((k if kind == "full" else 1, d, d))
    for S in matrices:
        for i in range(d):
            for j in range(i + 1):
                S[i, j] = S[j, i] = next(values)
    return matrices if kind == "full" else matrices[0]


def log_density(mixture, vector, X, trials):
    """(n,) log p(x) at the packed parameters."""
    k = len(mixture.weights_)
    if trials is not None:
        log_densities = naive.binomial_log_density(X, trials, vector[k:].reshape(k, -1))
    else:
        d, kind = X.shape[1], mixture.covariance_type
        covariances = unpack_covariances(vector[k + k * d :], kind, k, d)
        covariances = naive.expand_covariances(covariances, kind, k, d)
        log_densities = naive.normal_log_density(X, vector[k : k + k * d].reshape(k, d), covariances)
    return naive.posterior(log_densities, vector[:k])[0]


class Truth:
    """Derivatives of log p(x) by the free parameters, where the last free weight is 1 minus the others.

    Central differences over a 40th of a standard error and half of that, extrapolated.
    """

    def __init__(self, mixture, X, trials=None, errors=None, free=None):
        self.mixture, self.X, self.trials, self.at = mixture, X, trials, pack(mixture)
        k = len(mixture.weights_)
        free = np.ones(len(self.at), bool) if free is None else free
        self.directions = np.eye(len(self.at))[free]  # free parameters by all
        weights = np.flatnonzero(free[:k])
        if len(weights):
            self.directions[: len(weights), weights[-1]] = -1.0
            self.directions = np.delete(self.directions, len(weights) - 1, axis=0)
        self.steps = 0.025 * np.sqrt(errors.parameters_covariance.diagonal()[self.directions.argmax(axis=1)])

    def __call__(self, shift):
        return log_density(self.mixture, self.at + shift, self.X, self.trials)

    @cached_property
    def scores(self):
        """(n, free)."""

        def slope(step):
            return (self(step) - self(-step)) / 2

        shifts = self.steps[:, None] * self.directions
        return np.array([(8 * slope(s / 2) - slope(s)) / 3 for s in shifts]).T / self.steps

    @cached_property
    def hessian(self):
        def curvature(a, b):
            return sum(sign * self(a + sign * b).sum() + sign * self(-a - sign * b).sum() for sign in (1, -1)) / 4

        shifts = self.steps[:, None] * self.directions
        found = np.empty((len(shifts), len(shifts)))
        for i, a in enumerate(shifts):
            for j, b in enumerate(shifts[: i + 1]):
                found[i, j] = found[j, i] = (16 * curvature(a / 2, b / 2) - curvature(a, b)) / 3
        return found / np.outer(self.steps, self.steps)

    def covariance(self, method):
        """Of all parameters: the inverse information of the free ones, carried to the last weight."""
        products = self.scores.T @ self.scores
        inverse = np.linalg.inv(products if method == "opg" else -self.hessian)
        if method == "sandwich":
            inverse = inverse @ products @ inverse
        return self.directions.T @ inverse @ self.directions


def truth_of(mixture, world, trials=None, fixed=()):
    """Return the Truth of a fit of gaussian or binomial: the same for all methods, in steps by the errors of one."""
    key = f"{getattr(mixture, 'covariance_type', '')} {fixed}"
    known, truth = TRUTHS.get((world.name, key), (None, None))
    if known is not world:
        errors = mixture.standard_errors(world.X, **({} if trials is None else {"trials": trials}))
        free = errors.parameters_covariance.diagonal() > 0
        truth = Truth(mixture, world.X, trials, errors, free)
        TRUTHS[world.name, key] = world, truth
    return truth


def agree(found, expected, tolerance=1e-7):
    """Covariances, measured in standard errors.  The rounding of the differences is seen as 2e-8 here, at the most."""
    variances = expected.diagonal()
    units = np.sqrt(np.outer(variances, variances)) + (expected == 0)  # what is fixed has 0, exactly
    np.testing.assert_allclose(found / units, expected / units, rtol=0, atol=tolerance)
