"""Standard errors of rows that lack values are the curvature of the likelihood of those that are there."""

import dask.array as da
import numpy as np
import pytest
from support import naive
from support.fits_at_maximum import AT_MAXIMUM, Truth, agree, kinds, methods, unpack_covariances
from support.sweeps import KINDS

from fastem import BinomialMixture, GaussianMixture, PoissonMixture
from fastem.inference.standard_errors import METHODS

RNG = np.random.default_rng(0)
MEANS = np.array([[0.0, 0.0, 0.0], [2.0, -2.0, 1.0]])
MIXED = np.array([[1.0, 0.6, 0.3], [0.0, 0.8, -0.5], [0.0, 0.0, 0.7]])
X = MEANS[RNG.integers(2, size=400)] + RNG.standard_normal((400, 3)) @ MIXED
GAPS = np.where(RNG.random(X.shape) < 0.25, np.nan, X)
COUNTS = RNG.poisson(np.array([[2.0, 9.0], [6.0, 3.0]])[RNG.integers(2, size=400)]).astype(float)
COUNTS[RNG.random(COUNTS.shape) < 0.25] = np.nan
FITS = {}


def fitted(kind, rows=GAPS):
    """At a maximum; the fit of a kind is made once."""
    key = kind, rows is GAPS
    if key not in FITS:
        options = {"covariance_type": kind, "reg_covar": 0.0, "missing": "marginalize", "means_init": MEANS}
        FITS[key] = GaussianMixture(2, **options, **AT_MAXIMUM).fit(rows)
    return FITS[key]


def density_of_what_is_there(X, density):
    """(n, k) log densities, `density` being that of some rows in some of the columns (d,)."""
    found = np.zeros((len(X), 2))
    missing = np.isnan(X)
    for pattern in np.unique(missing, axis=0):
        rows = (missing == pattern).all(axis=1)
        if not pattern.all():
            found[rows] = density(X[rows][:, ~pattern], ~pattern)
    return found


class GaussianTruth(Truth):
    def __call__(self, shift):
        vector, kind, d = self.at + shift, self.mixture.covariance_type, self.X.shape[1]
        means = vector[2 : 2 + 2 * d].reshape(2, d)
        packed = unpack_covariances(vector[2 + 2 * d :], kind, 2, d)
        covariances = naive.expand_covariances(packed, kind, 2, d)

        def density(rows, o):
            return naive.normal_log_density(rows, means[:, o], covariances[:, o][:, :, o])

        return naive.posterior(density_of_what_is_there(self.X, density), vector[:2])[0]


class PoissonTruth(Truth):
    def __call__(self, shift):
        vector = self.at + shift
        rates = vector[2:].reshape(2, -1)
        densities = density_of_what_is_there(self.X, lambda rows, o: naive.poisson_log_density(rows, rates[:, o]))
        return naive.posterior(densities, vector[:2])[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.seconds
def test_information_is_that_of_differences(kind):
    mixture = fitted(kind)
    truth = GaussianTruth(mixture, GAPS, errors=mixture.standard_errors(GAPS))
    for method in METHODS:
        agree(mixture.standard_errors(GAPS, method=method).parameters_covariance, truth.covariance(method), 1e-6)


@pytest.mark.seconds
def test_information_of_counts_is_that_of_differences():
    settings = {"missing": "marginalize", "rates_init": [[2.0, 9.0], [6.0, 3.0]]}
    mixture = PoissonMixture(2, **settings, **AT_MAXIMUM).fit(COUNTS)
    truth = PoissonTruth(mixture, COUNTS, errors=mixture.standard_errors(COUNTS))
    for method in METHODS:
        agree(mixture.standard_errors(COUNTS, method=method).parameters_covariance, truth.covariance(method), 1e-6)


@methods
def test_a_missing_count_of_successes_is_one_of_no_trials(method):
    successes = RNG.binomial(10, np.array([[0.2, 0.9], [0.6, 0.5]])[RNG.integers(2, size=300)]).astype(float)
    successes[::7, 0] = np.nan
    mixture = BinomialMixture(2, missing="marginalize", random_state=0, **AT_MAXIMUM).fit(successes, trials=10)
    found = mixture.standard_errors(successes, trials=10, method=method)
    trials = np.where(np.isnan(successes), 0, 10)
    expected = mixture.standard_errors(np.nan_to_num(successes), trials=trials, method=method)
    agree(found.parameters_covariance, expected.parameters_covariance, 1e-12)


def test_of_one_component_without_correlations_they_are_those_of_the_values_of_each_column():
    settings = {"covariance_type": "diag", "reg_covar": 0.0, "missing": "marginalize", "tol": 1e-13}
    errors = GaussianMixture(1, **settings, stopping="loglik", max_iter=10_000).fit(GAPS).standard_errors(GAPS)
    sizes, variances = (~np.isnan(GAPS)).sum(axis=0), np.nanvar(GAPS, axis=0)
    np.testing.assert_allclose(errors.means[0], np.sqrt(variances / sizes), rtol=1e-6)
    np.testing.assert_allclose(errors.covariances[0], variances * np.sqrt(2 / sizes), rtol=1e-6)


@methods
@kinds
def test_a_row_without_values_says_nothing(kind, method):
    mixture = fitted(kind)
    more = np.insert(GAPS, [5, 200], np.nan, axis=0)
    found, expected = (mixture.standard_errors(rows, method=method) for rows in (more, GAPS))
    agree(found.parameters_covariance, expected.parameters_covariance, 1e-12)


@methods
@kinds
def test_what_complete_rows_say_does_not_depend_on_a_row_that_lacks_a_value(kind, method):
    """A row of weight 0 has all rows take the way of rows with gaps."""
    mixture, weights = fitted(kind, X), np.append(np.ones(len(X)), 0.0)
    found = mixture.standard_errors(np.vstack([X, [[np.nan, 1.0, 1.0]]]), sample_weight=weights, method=method)
    agree(found.parameters_covariance, mixture.standard_errors(X, method=method).parameters_covariance, 1e-10)


@methods
@kinds
def test_rows_have_the_same_errors_wherever_they_are(kind, method):
    mixture, weights = fitted(kind), RNG.integers(0, 3, size=len(GAPS)).astype(float)
    expected = mixture.standard_errors(GAPS, sample_weight=weights, method=method).parameters_covariance
    cuts = (slice(0, 90), slice(90, None))
    chunks = [(GAPS[cut], weights[cut]) for cut in cuts]
    lazy, lazy_weights = da.from_array(GAPS, chunks=(150, 3)), da.from_array(weights, chunks=150)
    for found in (
        mixture.standard_errors(chunks=chunks, method=method),
        mixture.standard_errors(lazy, sample_weight=lazy_weights, method=method),
    ):
        agree(found.parameters_covariance, expected, 1e-10)  # another order of sums, of what is inverted


def test_gaps_cost_precision():
    complete, gaps = (fitted("full", rows).standard_errors(rows) for rows in (X, GAPS))
    assert (gaps.means > complete.means).all()
