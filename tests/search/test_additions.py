"""Components that a mixture lacks: found where rows are denser than it says, however few they are."""

import numpy as np
import pytest

import fastem
from fastem.data.kmeans import subsample
from fastem.families.binomial.family import BinomialFamily
from fastem.families.gaussian.family import GaussianFamily
from fastem.families.gaussian.structures import COVARIANCE_TYPES
from fastem.families.poisson.family import PoissonFamily
from fastem.search.additions import CELLS, additions, cells_of

N, RARE = 60_000, 600
RNG = np.random.default_rng(0)


def gaussian(kind):
    """-> rows of two Gaussians, one of them rare and narrow, their family, and the fit of one component."""
    X = np.concatenate([RNG.normal(0.0, 3.0, size=(N, 2)), RNG.normal([4.0, -3.0], 0.3, size=(RARE, 2))])
    one = fastem.GaussianMixture(1, covariance_type=kind).fit(X)
    return fastem.open_rows(X, fitting=True), GaussianFamily(kind), one


def counts(name):
    """-> the same of counts: few rows of a rate that the others hardly have."""
    if name == "poisson":
        X = np.concatenate([RNG.poisson(5.0, size=(N, 1)), RNG.poisson(14.0, size=(RARE, 1))])
        return fastem.open_rows(X, row_kind="counts", fitting=True), PoissonFamily(), fastem.PoissonMixture(1).fit(X)
    X = np.concatenate([RNG.binomial(20, 0.2, size=(N, 1)), RNG.binomial(20, 0.7, size=(RARE, 1))])
    rows = fastem.open_rows(X, 20, has_trials=True, fitting=True)
    return rows, BinomialFamily(), fastem.BinomialMixture(1, n_trials=20).fit(X)


def added(rows, family, mixture, most=1):
    rng = np.random.default_rng(1)
    return additions(rows, subsample(rows, 8192, rng), family, mixture.params_, rng, most)


@pytest.mark.parametrize("kind", [kind for kind in COVARIANCE_TYPES if kind != "tied"])
def test_rare_rows_are_found(kind):
    """A hundredth of the rows: 80 of those that a search looks at."""
    rows, family, mixture = gaussian(kind)
    with rows:
        (found,) = added(rows, family, mixture)
        found.check()
        np.testing.assert_allclose(found.means[1], [4.0, -3.0], atol=1.0)
        assert 0 < found.weights[1] < 3 * RARE / N
        assert rows.sweep(found).loglik > mixture.loglik_ + 50


@pytest.mark.parametrize(("name", "rate"), [("poisson", 14.0), ("binomial", 0.7)])
def test_rare_counts_are_found(name, rate):
    rows, family, mixture = counts(name)
    with rows:
        (found,) = added(rows, family, mixture)
        found.check()
        assert found.order(found.parameter_names[1]).tolist() == [0, 1]
        assert getattr(found, found.parameter_names[1])[1, 0] == pytest.approx(rate, rel=0.3)
        assert rows.sweep(found).loglik > mixture.loglik_ + 50


def test_the_excess_is_the_slope_of_the_likelihood():
    """By the weight of a component that is added: (l(share) - l(0)) / share, for a small share."""
    rows, _, mixture = gaussian("full")
    one = fastem.GaussianParams(np.ones(1), np.array([[4.0, -3.0]]), np.array([0.2 * np.eye(2)]))
    with rows:
        both = mixture.params_.joined(one, 1e-7)
        slope = (rows.sweep(both).loglik - rows.sweep(mixture.params_).loglik) / 1e-7
        excess = rows.sweep(both).counts[1] / 1e-7 - len(rows)
    assert slope == pytest.approx(excess, rel=1e-3)


def test_where_nothing_is_lacking_additions_gain_little():
    X = np.random.default_rng(3).normal(size=(20_000, 2))
    mixture = fastem.GaussianMixture(1).fit(X)
    with fastem.open_rows(X, fitting=True) as rows:
        for found in added(rows, GaussianFamily(), mixture, most=CELLS):
            assert rows.sweep(found).loglik < mixture.loglik_ + 10


def test_few_rows_have_no_cells():
    with fastem.open_rows(RNG.normal(size=(12, 2)), fitting=True) as rows:
        assert cells_of(rows, GaussianFamily(), RNG) is None


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_joined_mixtures_share_the_weight(kind):
    X, settings = RNG.normal(size=(99, 2)), {"covariance_type": kind, "random_state": 0}
    a, b = (fastem.GaussianMixture(k, **settings).fit(X) for k in (2, 3))
    found = a.params_.joined(b.params_, 0.25)
    found.check()
    np.testing.assert_allclose(found.weights, [*(0.75 * a.weights_), *(0.25 * b.weights_)])
    np.testing.assert_array_equal(found.means, np.concatenate([a.means_, b.means_]))
    if kind != "tied":
        np.testing.assert_array_equal(found.covariances, np.concatenate([a.covariances_, b.covariances_]))
    else:
        np.testing.assert_array_equal(found.covariances, a.covariances_)
