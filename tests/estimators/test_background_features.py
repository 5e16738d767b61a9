"""Some features of mixtures with a background: in a box along the features it is uniform in each of them."""

import numpy as np
import pytest
from support.sweeps import KINDS

from fastem import GaussianMixture

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(600, 3)), RNG.uniform(-10, 12, (100, 3))])
X[300:600] += [3.0, 0.0, 1.0]
GAPS = np.where(RNG.random(X.shape) < 0.3, np.nan, X)
kinds = pytest.mark.parametrize("kind", KINDS)
uses = pytest.mark.parametrize(
    "use",
    [lambda m: m.marginal(0), lambda m: m.conditional(0, 1.0), lambda m: m.impute(GAPS)],
    ids=["marginal", "conditional", "impute"],
)


def fitted(kind="full", rows=X, noise=True):
    return GaussianMixture(2, covariance_type=kind, noise=noise, random_state=0).fit(rows)


@pytest.mark.parametrize("given", [[0], [2, 1]])
@pytest.mark.parametrize("noise", [True, 1e-3], ids=["box", "density"])
@kinds
def test_a_density_is_the_marginal_times_the_conditional(kind, noise, given):
    mixture, rows = fitted(kind, noise=noise), X[np.r_[:9, 640:649]]
    left = [feature for feature in range(3) if feature not in given]
    marginal = mixture.marginal(given).score_samples(rows[:, given])
    conditional = [mixture.conditional(given, row[given]).score_samples(row[np.newaxis, left])[0] for row in rows]
    np.testing.assert_allclose(marginal + conditional, mixture.score_samples(rows), rtol=1e-12)


@kinds
def test_the_weights_of_a_conditional_are_the_probabilities_of_the_marginal(kind):
    mixture = fitted(kind)
    found = mixture.conditional([1, 2], X[650, [1, 2]])
    shares = mixture.marginal([1, 2]).predict_proba(X[650:651, [1, 2]])[0]
    np.testing.assert_allclose([*found.weights_, found.noise_weight_], shares, rtol=1e-14)
    np.testing.assert_array_equal(found.noise_box_, mixture.noise_box_[:2, :1])
    assert found.noise is True


@kinds
def test_what_is_missing_is_the_mean_of_the_conditional_of_its_row(kind):
    mixture = fitted(kind)
    found = mixture.impute(GAPS)
    for row, gaps in zip(found[::50], GAPS[::50], strict=True):
        given = np.flatnonzero(~np.isnan(gaps))
        if 0 < len(given) < 3:
            left = mixture.conditional(given.tolist(), gaps[given])
            middle = left.noise_box_[0] + left.noise_box_[1:].sum(axis=0) / 2
            expected = left.weights_ @ left.means_ + left.noise_weight_ * middle
            np.testing.assert_allclose(row[np.isnan(gaps)], expected, rtol=1e-10)
    whole = mixture.weights_ @ mixture.means_ + mixture.noise_weight_ * (
        mixture.noise_box_[0] + mixture.noise_box_[1:].sum(axis=0) / 2
    )
    np.testing.assert_allclose(mixture.impute(np.full((1, 3), np.nan))[0], whole, rtol=1e-12)


@kinds
def test_draws_of_rows_of_the_background_fill_its_box(kind):
    mixture = fitted(kind)
    drawn = mixture.impute(np.tile([[11.0, np.nan, -9.0]], (20_000, 1)), draw=True)[:, 1]
    low, length = mixture.noise_box_[0, 1], mixture.noise_box_[2, 1]
    levels = np.linspace(0, 1, 11)
    np.testing.assert_allclose(np.quantile(drawn, levels), low + length * levels, atol=0.02 * length)
    far = mixture.impute(np.tile([[0.0, np.nan, 0.0]], (20_000, 1)), draw=True)[:, 1]
    assert abs(far.mean()) < 0.1
    assert ((low <= drawn) & (drawn <= low + length)).all()


@uses
def test_a_box_along_principal_axes_is_uniform_in_no_feature(use):
    turned = X @ np.array([[1.0, 0.99, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 1.0]])
    with pytest.raises(ValueError, match="needs the density of the background in some of the features"):
        use(fitted(rows=turned))


@uses
def test_a_box_without_extent_has_no_density_of_a_feature(use):
    flat = X * [1.0, 1.0, 0.0]
    with pytest.raises(ValueError, match="needs the density of the background in some of the features"):
        use(fitted(rows=flat, noise=1e-3))
