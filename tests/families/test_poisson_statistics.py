"""Poisson statistics are values: a zero, a plus, an M-step, a gradient; starts and priors."""

import math

import numpy as np
import pytest
from scipy import stats as scipys
from support import datasets, naive
from support.asserts import assert_no_fall_but_rounding
from support.sweeps import binomial_params, poisson_params, sweep

import fastem
from fastem import PoissonMixture, PoissonParams, PoissonPrior
from fastem.data.open import open_rows
from fastem.families.counts import log_factorial
from fastem.families.params import same
from fastem.families.poisson.starts import find_rates

worlds = pytest.mark.parametrize("world", datasets.EVENTS_WORLDS, ids=lambda world: world.name)
inner = pytest.mark.parametrize(
    "world", [datasets.two_rates, datasets.three_rates, datasets.three_columns], ids=lambda world: world.name
)
NAMES = ("counts", "events", "exposure", "loglik", "entropy")
RNG = np.random.default_rng(0)


def poisson(*rates, weights=None):
    k = len(rates)
    return PoissonParams(np.full(k, 1 / k) if weights is None else np.array(weights), np.array(rates, dtype=float))


def em_steps(params, n_iter, step):
    for _ in range(n_iter):
        found = step(params)
        yield found
        params = found.maximize()


# ---------------------------------------------------------------------------------------------------------- addition


@worlds
def test_zero_is_neutral(world):
    stats = sweep(poisson_params(world), world.X, "cython")
    zero = type(stats).zero(stats.params)
    for total in (zero + stats, stats + zero, sum([stats], start=zero)):
        for name in NAMES:
            np.testing.assert_array_equal(getattr(total, name), getattr(stats, name))


def test_statistics_at_other_parameters_do_not_add_and_other_families_are_others():
    world = datasets.two_rates
    stats = sweep(poisson_params(world), world.X, "cython")
    with pytest.raises(ValueError, match="different parameters do not add"):
        stats + sweep(stats.maximize(), world.X, "cython")
    assert same(poisson_params(world), poisson_params(world))
    assert not same(poisson_params(world), binomial_params(datasets.two_coins))


def test_twice_the_statistics_are_those_of_twice_the_weight():
    world = datasets.three_columns
    params = poisson_params(world)
    twice = 2.0 * np.ones(len(world.X))
    for name in NAMES:
        found = getattr(sweep(params, world.X, "cython") * 2.0, name)
        np.testing.assert_allclose(found, getattr(sweep(params, world.X, "cython", twice), name), rtol=1e-13)


def test_merged_statistics_lead_to_the_fit_of_all_rows():
    world = datasets.three_columns
    params = poisson_params(world)
    parts = [fastem.accumulate(params, part) for part in np.split(world.X, [100, 500])]
    whole = fastem.accumulate(params, world.X).maximize()
    np.testing.assert_allclose(fastem.merge(*parts).maximize().rates, whole.rates, rtol=1e-13)


# ----------------------------------------------------------------------------------------------------------- the M-step


@worlds
def test_em_equals_naive_em(world, twin):
    params = poisson_params(world)
    for _ in range(5):
        params = sweep(params, world.X, twin).maximize()
    expected = naive.poisson_em(world.X, np.ones(len(world.X)), world.weights, world.rates, 5)
    # of many_events the logarithms are 1.4e7, and rounding moves responsibilities by 1e-9
    rtol = 1e-11 if world.name != "many_events" else 1e-7
    np.testing.assert_allclose(params.weights, expected[0], rtol=rtol)
    np.testing.assert_allclose(params.rates, expected[1], rtol=rtol, atol=1e-250)


@worlds
def test_loglik_never_falls_but_by_rounding_and_is_q_plus_entropy(world, twin):
    trace = list(em_steps(poisson_params(world), 60, lambda params: sweep(params, world.X, twin)))
    assert_no_fall_but_rounding(trace)
    for stats in trace:
        size = np.abs(naive.xlogy(world.X, world.X)).sum()  # the logarithms, which cancel
        assert stats.rounding <= 1e-12 * max(size, abs(stats.loglik), len(world.X))
        assert stats.loglik == pytest.approx(stats.q + stats.entropy, rel=1e-12)
        assert stats.entropy >= -1e-9


@pytest.mark.parametrize("group", ["weights", "rates"])
@worlds
def test_what_is_fixed_keeps_its_bits(world, group):
    params = poisson_params(world)
    stats = sweep(params, world.X, "cython")
    np.testing.assert_array_equal(getattr(stats.maximize(fixed=(group,)), group), getattr(params, group))
    other = {"weights": "rates", "rates": "weights"}[group]
    found, expected = (getattr(stats.maximize(fixed=fixed), other) for fixed in ((group,), ()))
    np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_a_mask_holds_the_rates_of_its_components():
    world = datasets.three_rates
    params = poisson_params(world)
    stats = sweep(params, world.X, "cython")
    found = stats.maximize(fixed={"rates": [False, True, False], "weights": [True, False, False]})
    np.testing.assert_array_equal(found.rates[1], params.rates[1])
    np.testing.assert_array_equal(found.rates[[0, 2]], stats.maximize().rates[[0, 2]])
    assert found.weights[0] == params.weights[0]
    assert found.weights.sum() == pytest.approx(1.0, rel=1e-15)


def test_an_empty_component_keeps_its_rates_at_weight_zero(twin):
    params = poisson([1.0], [1e6], [7.0])
    for _ in range(3):
        params = sweep(params, datasets.two_rates.X, twin).maximize()
    assert params.weights[1] == 0.0
    assert params.rates[1, 0] == 1e6
    assert np.isfinite(sweep(params, datasets.two_rates.X, twin).loglik)


def test_what_was_seen_gets_no_rate_of_zero_and_what_was_not_gets_it(twin):
    stats = sweep(poisson([1e-300, 5.0], [3.0, 5.0]), np.array([[0, 0], [0, 0], [4, 0]], float), twin)
    found = stats.maximize()
    assert (found.rates[:, 0] > 0).all()
    np.testing.assert_array_equal(found.rates[:, 1], 0.0)


def test_rates_are_in_the_unit_of_the_exposure_that_a_prior_adds():
    stats = sweep(poisson([2.0]), np.array([[3.0], [5.0]]), "cython")
    prior = PoissonPrior(shape=3.0, rate=2.0).stats(stats.params)
    assert (stats + prior).maximize().rates[0, 0] == pytest.approx((8 + 2) / (2 + 2), rel=1e-15)
    assert (stats + prior).maximize().weights.tolist() == [1.0]


# ------------------------------------------------------------------------------------------------ vectors and gradients


def gradients(params, rows, fixed=(), prior=None, step=1e-5):
    """As the M-step tells it, and by central differences, good to step^2 and to rounding / step."""

    def total(params):
        found = rows.sweep(params)
        return found if prior is None else found + prior.stats(params)

    stats = total(params)
    middle = params.to_vector(params, fixed)
    above, below = (
        np.array([total(params.from_vector(middle + s * e, fixed)).loglik for e in step * np.eye(len(middle))])
        for s in (1, -1)
    )
    return stats.gradient(stats.maximize(fixed=fixed), params, fixed), (above - below) / (2 * step)


@pytest.mark.parametrize("fixed", [(), ("weights",), ("rates",), {"rates": [True, False]}])
@pytest.mark.parametrize("world", [datasets.two_rates, datasets.three_columns], ids=lambda world: world.name)
def test_the_gradient_is_that_of_the_log_likelihood(world, fixed):
    with open_rows(world.X, row_kind="counts") as rows:
        found, expected = gradients(poisson_params(world), rows, fixed)
    np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(expected).max())


def test_the_gradient_of_a_posterior_is_that_of_its_log_density():
    world, prior = datasets.three_columns, PoissonPrior(concentration=4.0, shape=20.0, rate=5.0)
    with open_rows(world.X, row_kind="counts") as rows:
        found, expected = gradients(poisson_params(world), rows, prior=prior)
    np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(expected).max())


@inner
def test_a_vector_leads_back_to_its_parameters_and_any_vector_is_a_mixture(world):
    params = poisson_params(world)
    back = params.from_vector(params.to_vector(params))
    np.testing.assert_allclose(back.rates, params.rates, rtol=1e-13)
    np.testing.assert_allclose(back.weights, params.weights, rtol=1e-13)
    size, rng = len(params.to_vector(params)), np.random.default_rng(0)
    for scale in (1.0, 50.0, 1e4):
        params.from_vector(scale * rng.normal(size=size)).check()
    assert len(params.to_vector(params, ("weights", "rates"))) == 0
    same_rates = params.from_vector(1 + params.to_vector(params, ("rates",)), ("rates",))
    np.testing.assert_array_equal(same_rates.rates, params.rates)


def test_a_rate_of_zero_has_a_vector():
    params = poisson([0.0, 1.0], [2.0, 3.0])
    vector = params.to_vector(params)
    assert np.isfinite(vector).all()
    back = params.from_vector(vector)
    np.testing.assert_allclose(back.rates[1], params.rates[1], rtol=1e-13)
    assert back.rates[0, 0] < 1e-250


def test_number_of_free_parameters():
    params = poisson([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    assert params.n_parameters == 7
    assert params.n_free(("weights",)) == 6
    assert params.n_free({"rates": [True, False]}) == 4
    assert params.n_own_parameters == 3


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: PoissonParams(np.ones(1), np.array([0.5])), ValueError, "rates"),
        (lambda: PoissonParams(np.ones(2), np.ones((1, 1))), ValueError, "'weights' should have the shape of"),
        (lambda: PoissonParams(np.ones(1), np.array([["a"]])), TypeError, "rates"),
        (lambda: poisson([-1.0]).check(), ValueError, r"rates must be between 0 and 2\^53"),
        (lambda: poisson([1.0], [np.nan]).check(), ValueError, "rates"),
        (lambda: poisson([1.0], [2.0**54]).check(), ValueError, r"rates must be between 0 and 2\^53"),
        (lambda: poisson([1.0], [2.0], weights=[0.5, 0.6]).check(), ValueError, "weights"),
    ],
)
def test_parameters_that_are_none(make, error, message):
    with pytest.raises(error, match=message):
        make()


# --------------------------------------------------------------------------------------------------------------- priors


@worlds
def test_the_density_of_a_prior_is_scipys(world):
    params = poisson_params(world)
    if not params.rates.all():
        return  # a Gamma density of shape above 1 is 0 there
    prior = PoissonPrior(concentration=2.5, shape=3.0, rate=1.5)
    expected = scipys.gamma(3.0, scale=1 / 1.5).logpdf(params.rates).sum()
    if len(params.weights) > 1:
        expected += scipys.dirichlet(np.full(len(params.weights), 2.5)).logpdf(params.weights)
    assert prior.stats(params).loglik == pytest.approx(expected, rel=1e-12)


def test_an_improper_prior_lacks_a_constant():
    found = [PoissonPrior(shape=3.0).stats(poisson([rate])).loglik for rate in (2.0, 8.0)]
    assert found[1] - found[0] == pytest.approx(2 * math.log(4), rel=1e-14)
    assert PoissonPrior().stats(poisson([2.0], [8.0])).loglik == 0


def test_one_component_ends_at_the_closed_form():
    X, prior = np.array([[3, 0], [9, 0], [4, 0]]), PoissonPrior(shape=5.0, rate=3.0)
    mixture = PoissonMixture(1, prior=prior).fit(X)
    np.testing.assert_allclose(mixture.rates_, [[(16 + 4) / (3 + 3), 4 / 6]], rtol=1e-12)
    assert mixture.log_posterior_ == pytest.approx(mixture.loglik_ + prior.stats(mixture.params_).loglik, rel=1e-12)
    improper = PoissonMixture(1, prior=PoissonPrior(shape=3.0)).fit(X)
    np.testing.assert_allclose(improper.rates_, [[18 / 3, 2 / 3]], rtol=1e-12)


def test_a_flat_prior_is_none():
    X = datasets.two_rates.X
    start = {"init_params": "quantiles"}  # a search would begin with other bits
    flat, none = (PoissonMixture(2, prior=prior, **start).fit(X) for prior in (PoissonPrior(), None))
    np.testing.assert_allclose(flat.rates_, none.rates_, rtol=1e-12)


@pytest.mark.filterwarnings(
    "ignore::fastem.EqualComponentWarning"
)  # both have what the prior says of rows without events
def test_a_prior_keeps_a_component_without_rows_alive_and_off_the_edge():
    prior = PoissonPrior(concentration=2.0, shape=2.0, rate=1.0)
    settings = {"rates_init": [0.1, 50.0], "max_iter": 2_000, "tol": 1e-10}
    mixture = PoissonMixture(2, prior=prior, **settings).fit(np.zeros(50, int))
    assert mixture.weights_.min() > 0.01
    assert mixture.rates_.min() > 0
    assert len(mixture.empty_components_) == 0


@pytest.mark.parametrize("acceleration", [None, "anderson", "squarem", "quasi-newton"])
def test_the_log_posterior_never_falls_and_ends_at_a_mode(acceleration):
    world, prior = datasets.three_columns, PoissonPrior(concentration=3.0, shape=4.0, rate=2.0)
    mixture = PoissonMixture(2, prior=prior, tol=1e-10, max_iter=5_000, acceleration=acceleration, random_state=0)
    mixture.fit(world.X)
    assert mixture.converged_
    assert (np.diff(mixture.history_.loglik) >= -1e-12 * np.abs(mixture.history_.loglik[1:])).all()
    with open_rows(world.X, row_kind="counts") as rows:
        stats = rows.sweep(mixture.params_) + prior.stats(mixture.params_)
    slopes = stats.gradient(stats.maximize(), mixture.params_)
    assert np.abs(slopes).max() / len(world.X) < 1e-3


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"shape": 0.5}, ValueError, "shape must be at least 1 and at most .*, got 0.5"),
        ({"rate": -1.0}, ValueError, "rate must be finite and not negative"),
        ({"rate": np.inf}, ValueError, "rate must be finite and not negative"),
        ({"rate": "one"}, TypeError, "rate must be a number"),
        ({"concentration": "one"}, TypeError, "concentration must be a number"),
        ({"concentration": 0.5}, ValueError, "concentration must be at least 1"),
    ],
)
def test_bad_priors(settings, error, message):
    with pytest.raises(error, match=message):
        PoissonPrior(**settings)


# --------------------------------------------------------------------------------------------------------------- starts


@pytest.mark.parametrize("method", ["auto", "quantiles", "kmeans", "random"])
@worlds
def test_a_start_is_a_mixture_without_rates_of_zero(world, method):
    with open_rows(world.X, row_kind="counts") as rows:
        found = find_rates(rows, 3, method=method, rng=np.random.default_rng(0))
    assert found.shape == (3, world.X.shape[1])
    assert (found > 0).all()
    if method != "random":
        assert (np.diff(found[:, 0]) >= 0).all()


def test_a_start_of_quantiles_is_that_of_the_counts():
    with open_rows(np.array([0, 4, 9, 100]), row_kind="counts") as rows:
        found = find_rates(rows, 2, method="quantiles", rng=np.random.default_rng(0))
    np.testing.assert_allclose(found.ravel(), [0.5, 9.5], rtol=1e-14)


@pytest.mark.parametrize("method", ["quantiles", "kmeans"])
def test_rows_of_weight_zero_do_not_move_a_start(method):
    counts, w = np.array([1.0, 2, 3, 7, 8, 9, 0, 0, 500]), np.r_[np.ones(6), np.zeros(3)]
    found = []
    for X, weights in ((counts, w), (counts[:6], None)):
        with open_rows(X, None, weights, row_kind="counts") as rows:
            found.append(find_rates(rows, 2, method=method, rng=np.random.default_rng(0)))
    np.testing.assert_array_equal(*found)


@pytest.mark.filterwarnings("ignore::fastem.EqualComponentWarning", "ignore::fastem.EmptyComponentWarning")
@pytest.mark.parametrize("method", ["quantiles", "kmeans", "random"])
def test_no_rate_of_a_start_is_above_the_largest_count(method, twin):
    for k in (2, 3):
        mixture = PoissonMixture(k, init_params=method, max_iter=0, random_state=0, backend=twin).fit([2**53] * 3)
        mixture.params_.check()


@pytest.mark.parametrize("count", [0, 7])
def test_equal_rows_have_a_start_of_different_rates(count):
    with open_rows(np.full(9, count), row_kind="counts") as rows:
        found = find_rates(rows, 3, method="quantiles", rng=np.random.default_rng(0))
    assert len(np.unique(found)) == 3
    assert (found > 0).all()


def test_what_a_start_is_given_it_keeps():
    mixture = PoissonMixture(3, rates_init=[5.0, np.nan, 40.0], weights_init=[0.2, 0.3, 0.5], max_iter=0)
    mixture.fit(datasets.three_rates.X)
    assert mixture.rates_[[0, 2], 0].tolist() == [5.0, 40.0]
    assert np.isfinite(mixture.rates_).all()
    assert mixture.weights_.tolist() == [0.2, 0.3, 0.5]


# ------------------------------------------------------------------------------------------------------------ constants


def test_log_factorial_is_exact_up_to_the_largest_count():
    n = np.concatenate([np.arange(1000.0), 2.0 ** np.arange(10, 54)])
    np.testing.assert_allclose(log_factorial(n), [math.lgamma(x + 1) for x in n], rtol=5e-16, atol=1e-15)
