"""The number of components is chosen group by group."""

import numpy as np
import pytest
from support.groups import all_families, assert_equal_bits, family, results

import fastem
from fastem.estimators.fit_many import fit_many

SIZES = (1, 2, 3)


def of_each_size(rows, offsets, fit, **options):
    return [fit(rows, offsets, n_components=k, **options) for k in SIZES]


def fits_of(name, **options):
    """How the rows of a family are fitted, by any number of components."""
    rows, offsets, _ = all_families()[name]
    if name == "binomial":
        return fit_many(rows[:, 0], offsets, family=name, trials=rows[:, 1], **options)
    return fit_many(rows, offsets, family=name, **options)


@family
@pytest.mark.parametrize("criterion", ["bic", "aic"])
def test_a_group_has_the_size_of_its_lowest_criterion(family, criterion):
    each = [fits_of(family, n_components=k) for k in SIZES]
    fits = fits_of(family, n_components=SIZES, criterion=criterion)
    expected = np.stack([getattr(found, criterion) for found in each], axis=1)
    np.testing.assert_array_equal(fits.criteria, expected)
    np.testing.assert_array_equal(fits.n_components, 1 + np.nanargmin(expected, axis=1))
    np.testing.assert_array_equal(getattr(fits, criterion), np.nanmin(expected, axis=1))
    assert len(set(fits.n_components)) > 1
    for g, k in enumerate(fits.n_components):
        assert fits.weights.shape[1] == max(SIZES)
        assert np.isnan(fits.weights[g, k:]).all()
        np.testing.assert_array_equal(fits.weights[g, :k], each[k - 1].weights[g])
        assert len(fits[g].weights) == k


def test_one_size_is_that_fit():
    for sizes in ([2], range(2, 3), (2, 2)):
        assert_equal_bits(fits_of("gaussian", n_components=sizes), fits_of("gaussian", n_components=2))


def test_responsibilities_behind_the_components_are_0():
    rng = np.random.default_rng(4)
    values = rng.standard_normal((6, 100)) + 20 * (rng.random((6, 100)) < 0.4) * (np.arange(6) % 2)[:, np.newaxis]
    fits = fit_many(values, n_components=(1, 2))
    assert list(fits.n_components) == [1, 2] * 3
    resp = fits.predict_proba(values).reshape(6, 100, 2)
    np.testing.assert_allclose(resp.sum(axis=2), 1.0)
    assert (resp[::2, :, 1:] == 0).all()
    assert (fits.labels(values)[::2] == 0).all()
    assert repr(fits) == "<ManyGaussianFits: 6 groups, 1 to 2 components; 6 CONVERGED>"


def test_icl_is_bic_and_twice_the_entropy():
    rng = np.random.default_rng(1)
    values = rng.standard_normal((5, 80)) + 3 * (rng.random((5, 80)) < 0.4)
    fits = fit_many(values, n_components=SIZES, criterion="icl")
    for k in SIZES:
        found = fit_many(values, n_components=k)
        entropy = [
            -np.sum(resp * np.log(np.where(resp > 0, resp, 1)))
            for resp in (fastem.posterior(found[g], values[g][:, np.newaxis]).resp for g in range(5))
        ]
        np.testing.assert_allclose(fits.criteria[:, k - 1], found.bic + 2 * np.array(entropy), rtol=1e-10)
    labels = np.tile(np.arange(5), 80)
    named = fit_many(values.T.ravel(), groups=labels, n_components=SIZES, criterion="icl", sample_weight=np.ones(400))
    np.testing.assert_allclose(named.criteria, fits.criteria, rtol=1e-6)
    times = np.arange(400).reshape(5, 80) % 3 + 1
    weighted = fit_many(values, n_components=SIZES, criterion="icl", sample_weight=times)
    repeated = fit_many(
        np.repeat(values, times.ravel()), np.cumsum([0, *times.sum(axis=1)]), n_components=SIZES, criterion="icl"
    )
    np.testing.assert_allclose(weighted.criteria, repeated.criteria, rtol=1e-4)


def test_groups_too_small_for_a_size_have_another():
    fits = fit_many([0.0, 9.0, 1.0, 5.0, np.nan, 4.0], [0, 1, 4, 6], n_components=(1, 2, 3))
    assert list(fits.status) == [fastem.FitStatus.CONVERGED, fastem.FitStatus.CONVERGED, fastem.FitStatus.NOT_FINITE]
    assert fits.n_components[0] == 1
    assert fits.n_components[2] == 0
    assert np.isnan(fits.criteria[0, 1:]).all()
    assert {len(value) for value in results(fits).values()} == {3}
