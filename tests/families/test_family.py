"""A family joins its values: what it finds is what they find, with the settings of its model."""

import numpy as np
import pytest

import fastem
from fastem.data.open import open_rows
from fastem.families.fixed import Fixed
from fastem.families.gaussian.family import GaussianFamily
from fastem.families.registry import NAMES, family_type

FAMILIES = {name: family_type(name) for name in NAMES}

X = np.random.default_rng(0).normal(size=(100, 2)) + np.repeat([[0.0, 0.0], [5.0, 9.0]], 50, axis=0)
COUNTS = np.random.default_rng(0).binomial(20, np.repeat([0.2, 0.7], 50))[:, np.newaxis]
ROWS = {
    "gaussian": open_rows(X, fitting=True),
    "binomial": open_rows(COUNTS, 20, has_trials=True),
    "poisson": open_rows(COUNTS, row_kind="counts"),
}
named = pytest.mark.parametrize("name", FAMILIES)


def start(family, k=2, **settings):
    settings = {"method": family.start_methods[0], "rng": np.random.default_rng(0)} | settings
    return family.start(ROWS[family.name], k, **settings)


@named
def test_a_family_is_made_of_its_values(name):
    family = FAMILIES[name]()
    params = start(family)
    stats = ROWS[name].sweep(params)
    assert (type(params), type(stats)) == (family.params_type, family.stats_type)
    assert family.parameter_names == params.parameter_names
    assert family.start_methods
    assert type(family.prior_type().stats(params)) is family.stats_type


@named
def test_its_m_step_is_that_of_its_statistics(name):
    family = FAMILIES[name]()
    stats = ROWS[name].sweep(start(family))
    for fixed in ((), ("weights",)):
        found = family.maximize(stats, Fixed.parse(fixed, family.parameter_names, 2))
        expected = stats.maximize(fixed=fixed)
        for parameter in family.parameter_names:
            np.testing.assert_array_equal(getattr(found, parameter), getattr(expected, parameter))


@named
@pytest.mark.parametrize("name_of_init", ["weights", "first own"])
def test_a_start_takes_what_it_is_given(name, name_of_init):
    family = FAMILIES[name]()
    parameter = "weights" if name_of_init == "weights" else family.parameter_names[1]
    given = getattr(start(family), parameter)[::-1].copy()
    if parameter != "weights":
        given[0] = np.nan
    found = getattr(start(family, init={parameter: given}), parameter)
    np.testing.assert_array_equal(found[1:], given[1:])
    assert np.isfinite(found).all()


def test_reg_covar_auto_becomes_numbers_of_the_rows():
    family = GaussianFamily(reg_covar="auto")
    stats = ROWS["gaussian"].sweep(start(GaussianFamily()))
    with pytest.raises(ValueError, match="call for_rows first"):
        family.maximize(stats)
    ready = family.for_rows(ROWS["gaussian"], np.random.default_rng(0))
    np.testing.assert_allclose(ready.reg_covar, 1e-6 * X.var(axis=0))
    assert GaussianFamily().for_rows(ROWS["gaussian"], np.random.default_rng(0)).reg_covar == 1e-6


def test_only_components_without_a_variance_of_their_own_have_collapsed():
    family = GaussianFamily("spherical", 1e-3)
    params = fastem.GaussianParams(np.full(2, 0.5), np.zeros((2, 2)), np.array([1e-3, 2.0]), "spherical")
    assert family.collapsed(params).tolist() == [True, False]
    for name in set(NAMES) - {"gaussian"}:
        assert FAMILIES[name]().collapsed(start(FAMILIES[name]())).tolist() == [False, False]


def test_the_floor_is_that_of_the_model():
    family = GaussianFamily("spherical", 0.5)
    reached = fastem.GaussianParams(np.full(2, 0.5), np.zeros((2, 2)), np.ones(2), "spherical")
    proposal = fastem.GaussianParams(np.full(2, 0.5), np.zeros((2, 2)), np.array([0.1, 2.0]), "spherical")
    np.testing.assert_allclose(family.apply_floor(proposal, reached).covariances, [0.5, 2.0])
    for name in set(NAMES) - {"gaussian"}:
        params = start(FAMILIES[name]())
        assert FAMILIES[name]().apply_floor(params, params) is params
        assert FAMILIES[name]().apply_floor(params, params, has_missing=True) is params


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_where_values_are_missing_a_component_near_the_floor_keeps_the_covariance_that_it_has_reached(kind):
    family, means = GaussianFamily(kind, 0.5), np.zeros((3, 2))
    one = fastem.GaussianParams.from_variances(means, np.ones(2), kind)

    def with_variances(*variances):
        scale = np.reshape(variances, (3, *[1] * (one.covariances.ndim - 1)))
        return fastem.GaussianParams(one.weights, means, scale * one.covariances, kind)

    reached, proposal = with_variances(0.8, 200.0, 200.0), with_variances(0.5, 8.0, 400.0)
    found = family.apply_floor(proposal, reached, has_missing=True).variances()
    np.testing.assert_allclose(found[:, 0], [0.8, 50.0, 400.0])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"covariance_type": "round"}, ValueError, "covariance_type must be one of"),
        ({"reg_covar": -1.0}, ValueError, "reg_covar must be finite and not negative"),
        ({"reg_covar": "small"}, TypeError, "reg_covar must be a number"),
    ],
)
def test_settings_are_checked_once(settings, error, message):
    with pytest.raises(error, match=message):
        GaussianFamily(**settings)


def test_what_is_fixed_is_a_mask_for_each_name():
    names = ("weights", "means")
    by_name = Fixed.parse(("means",), names, 3)
    by_mask = Fixed.parse({"means": [True, False, False]}, names, 3)
    assert by_name.mask("means").all()
    assert by_mask.free("means").tolist() == [False, True, True]
    assert not by_mask.mask("weights").any()
    assert (bool(by_mask), bool(Fixed.parse((), names, 3)), bool(Fixed.parse({}, names, 3))) == (True, False, False)
    assert (by_name.by_component, by_mask.by_component) == (False, True)
    assert Fixed.parse(by_mask, names, 3) is by_mask
    assert Fixed.parse(Fixed(3), names, 2).mask("means").shape == (2,)
    with pytest.raises(ValueError, match="fixed has masks of 3 components, but the mixture has 2"):
        Fixed.parse(by_mask, names, 2)
