"""log_prob_components: weight times density of each component, whatever else the row belongs to."""

import numpy as np
import pytest
from scipy import stats
from support.drop_in import clouds

import fastem

KINDS = ("full", "tied", "diag", "spherical")
K, D = 3, 4
RNG = np.random.default_rng(0)
X = (RNG.normal(size=(1_000, D)) @ (np.eye(D) + 0.3)) * [1.0, 10.0, 100.0, 1e3] + 5
COUNTS = RNG.integers(0, 9, size=(700, 2))


def gaussian(kind):
    return fastem.GaussianMixture(K, covariance_type=kind, init_params="kmeans", random_state=0).fit(X)


MATRICES = {
    "full": list,
    "tied": lambda covariance: [covariance] * K,
    "diag": lambda variances: map(np.diag, variances),
    "spherical": lambda variances: [variance * np.eye(D) for variance in variances],
}


@pytest.mark.parametrize("kind", KINDS)
def test_gaussian_components_are_scipys(kind):
    mixture = gaussian(kind)
    densities = [
        stats.multivariate_normal(mean, covariance).logpdf(X)
        for mean, covariance in zip(mixture.means_, MATRICES[kind](mixture.covariances_), strict=True)
    ]
    right = np.log(mixture.weights_) + np.stack(densities, axis=1)
    # roundings of the factors, times the condition of the correlations
    np.testing.assert_allclose(mixture.log_prob_components(X), right, rtol=1e-12)


def test_components_of_counts_are_scipys():
    poisson = fastem.PoissonMixture(2, random_state=0).fit(COUNTS)
    right = np.log(poisson.weights_) + stats.poisson(poisson.rates_).logpmf(COUNTS[:, np.newaxis]).sum(axis=2)
    np.testing.assert_allclose(poisson.log_prob_components(COUNTS), right, rtol=1e-12)
    trials = COUNTS + RNG.integers(1, 5, size=COUNTS.shape)
    binomial = fastem.BinomialMixture(2, random_state=0).fit(COUNTS, trials=trials)
    densities = stats.binom(trials[:, np.newaxis], binomial.probs_).logpmf(COUNTS[:, np.newaxis]).sum(axis=2)
    found = binomial.log_prob_components(COUNTS, trials=trials)
    np.testing.assert_allclose(found, np.log(binomial.weights_) + densities, rtol=1e-12)


MIXTURES = {
    "gaussian": lambda: (fastem.GaussianMixture(3, random_state=0), clouds()),
    "bayesian": lambda: (fastem.BayesianGaussianMixture(3, random_state=0), clouds()),
    "poisson": lambda: (fastem.PoissonMixture(2, random_state=0), COUNTS),
    "binomial": lambda: (fastem.BinomialMixture(2, n_trials=9, random_state=0), COUNTS),
}


@pytest.fixture(params=MIXTURES)
def mixture_and_rows(request):
    mixture, rows = MIXTURES[request.param]()
    return mixture.fit(rows), rows


def test_their_sum_is_the_density_and_their_shares_are_the_probabilities(mixture_and_rows):
    mixture, rows = mixture_and_rows
    found = mixture.log_prob_components(rows)
    np.testing.assert_allclose(np.logaddexp.reduce(found, axis=1), mixture.score_samples(rows), rtol=1e-12)
    shares = np.exp(found - mixture.score_samples(rows)[:, np.newaxis])
    np.testing.assert_allclose(shares, mixture.predict_proba(rows), rtol=1e-10, atol=1e-14)
    np.testing.assert_array_equal(found.argmax(axis=1), mixture.predict(rows))


def test_all_ways_to_hand_over_rows_give_the_same(mixture_and_rows):
    dask = pytest.importorskip("dask.array")
    mixture, rows = mixture_and_rows
    found = mixture.log_prob_components(rows)
    chunks = np.array_split(rows, 3)
    np.testing.assert_array_equal(mixture.log_prob_components(chunks=chunks), found)
    lazy = mixture.log_prob_components(dask.from_array(rows, chunks=(250, -1)))
    assert lazy.shape == found.shape
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), found)


def test_a_component_without_weight_is_minus_infinity_in_both_precisions():
    mixture = gaussian("full")
    mixture.weights_ = np.array([0.0, 0.5, 0.5])
    for dtype in (np.float32, np.float64):
        found = mixture.log_prob_components(X.astype(dtype))
        assert found.dtype == dtype
        assert (found[:, 0] == -np.inf).all()
        assert np.isfinite(found[:, 1:]).all()


def test_rows_far_from_all_components_have_finite_values():
    found = gaussian("diag").log_prob_components(X[:3] * 1e150)
    assert np.isfinite(found).all()
    assert (found < -1e290).all()


def test_before_a_fit_and_on_wrong_rows_it_raises():
    with pytest.raises(fastem.NotFittedError):
        fastem.GaussianMixture().log_prob_components(X)
    with pytest.raises(ValueError, match="X has 2 features, but GaussianMixture is expecting 4"):
        gaussian("full").log_prob_components(X[:, :2])
