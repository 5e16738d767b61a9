"""Standard errors: laws, what is fixed or at a boundary, and refusals."""

import numpy as np
import pytest
from support import datasets, naive
from support.fits_at_maximum import Truth, agree, binomial, gaussian, kinds, methods, truth_of

import fastem
from fastem import BinomialMixture, GaussianMixture, GaussianParams
from fastem.inference.standard_errors import standard_errors

# ----------------------------------------------------------------------------------------------------------------- laws


@pytest.mark.parametrize("method", ["louis", "opg"])
@kinds
def test_a_weight_counts_as_equal_rows(kind, method):
    world = datasets.overlapping
    w = np.random.default_rng(0).integers(0, 4, size=len(world.X))
    mixture = gaussian(world, kind).set_params(warm_start=True).fit(world.X, sample_weight=w)
    weighted = mixture.standard_errors(world.X, sample_weight=w, method=method)
    repeated = mixture.standard_errors(np.repeat(world.X, w, axis=0), method=method)
    agree(weighted.parameters_covariance, repeated.parameters_covariance, 1e-9)


@kinds
def test_a_sandwich_knows_no_scale_of_the_weights(kind):
    """Sampling weights: what the others take for more rows, or fewer."""
    world = datasets.overlapping
    w = np.random.default_rng(0).uniform(0.5, 2.0, size=len(world.X))
    mixture = gaussian(world, kind).set_params(warm_start=True).fit(world.X, sample_weight=w)
    one, small = (
        mixture.standard_errors(world.X, sample_weight=scale * w, method="sandwich") for scale in (1.0, 1 / 400)
    )
    agree(small.parameters_covariance, one.parameters_covariance, 1e-9)
    louis, fewer = (mixture.standard_errors(world.X, sample_weight=scale * w) for scale in (1.0, 1 / 400))
    agree(fewer.parameters_covariance, 400 * louis.parameters_covariance, 1e-9)


def test_a_sandwich_does_not_join_equal_rows():
    world = datasets.two_coins
    mixture = binomial(world)
    X, trials = np.concatenate([world.X, world.X]), np.concatenate([world.trials, world.trials])
    once = mixture.standard_errors(world.X, trials=world.trials, method="sandwich")
    twice = mixture.standard_errors(X, trials=trials, method="sandwich")
    agree(2 * twice.parameters_covariance, once.parameters_covariance, 1e-9)


@kinds
def test_permuting_components_permutes(kind):
    world, order = datasets.overlapping, [2, 0, 1]
    mixture = gaussian(world, kind)
    before = mixture.standard_errors(world.X)
    for name in ("weights_", "means_") if kind == "tied" else ("weights_", "means_", "covariances_"):
        setattr(mixture, name, getattr(mixture, name)[order])
    after = mixture.standard_errors(world.X)
    np.testing.assert_allclose(after.weights, before.weights[order], rtol=1e-9)
    np.testing.assert_allclose(after.means, before.means[order], rtol=1e-9)
    np.testing.assert_allclose(
        after.covariances, before.covariances if kind == "tied" else before.covariances[order], rtol=1e-9
    )


@kinds
def test_units_and_origin_do_not_matter(kind):
    """To the rounding of X + 1e3, 1e-13 of a standard deviation."""
    world, mixture = datasets.overlapping, gaussian(datasets.overlapping, kind)
    before = mixture.standard_errors(world.X)
    mixture.means_, mixture.covariances_ = 1e-8 * (mixture.means_ + 1e3), 1e-16 * mixture.covariances_
    after = mixture.standard_errors(1e-8 * (world.X + 1e3))
    np.testing.assert_allclose(after.weights, before.weights, rtol=1e-8)
    np.testing.assert_allclose(after.means, 1e-8 * before.means, rtol=1e-8)
    np.testing.assert_allclose(after.covariances, 1e-16 * before.covariances, rtol=1e-8)


def test_the_size_of_a_block_does_not_matter(monkeypatch):
    world, mixture = datasets.overlapping, gaussian(datasets.overlapping)
    whole = mixture.standard_errors(world.X)
    monkeypatch.setattr("fastem.inference.standard_errors.BLOCK_BYTES", 8 * 18 * 100)
    agree(mixture.standard_errors(world.X).parameters_covariance, whole.parameters_covariance, 1e-10)


def test_float32_rows_tell_the_same():
    world, mixture = datasets.overlapping, gaussian(datasets.overlapping)
    single = mixture.standard_errors(world.X.astype(np.float32))
    np.testing.assert_allclose(single.means, mixture.standard_errors(world.X).means, rtol=1e-5)


# ------------------------------------------------------------------------------------------------------ fixed, boundary


@methods
@pytest.mark.parametrize("group", ["weights", "means", "covariances"])
@kinds
@pytest.mark.seconds
def test_what_is_fixed_is_known(kind, group, method):
    world = datasets.overlapping
    mixture = gaussian(world, kind, fixed=(group,))
    found = mixture.standard_errors(world.X, method=method)
    for name in ("weights", "means", "covariances"):
        assert ((getattr(found, name) == 0) == (name == group)).all()
    agree(found.parameters_covariance, truth_of(mixture, world, fixed=(group,)).covariance(method))


@methods
@pytest.mark.parametrize(("kind", "group"), [("full", "means"), ("diag", "covariances"), ("tied", "means")])
@pytest.mark.seconds
def test_a_mask_holds_those_of_its_components(kind, group, method):
    world = datasets.overlapping
    mixture = gaussian(world, kind, fixed={group: [True, False, False]})
    errors = mixture.standard_errors(world.X, method=method)
    assert np.array_equal(getattr(errors, group)[0], np.zeros_like(getattr(errors, group)[0]))
    assert (getattr(errors, group)[1:] > 0).all()
    agree(errors.parameters_covariance, truth_of(mixture, world, fixed=f"one of {group}").covariance(method))


def test_a_prior_is_refused():
    mixture = GaussianMixture(1, prior=fastem.GaussianPrior(concentration=2.0)).fit(datasets.overlapping.X)
    with pytest.raises(ValueError, match="prior must be None"):
        mixture.standard_errors(datasets.overlapping.X)


def test_some_weights_held_are_not_told():
    world = datasets.three_coins
    mixture = binomial(world, fixed={"weights": [True, False, False]})
    with pytest.raises(ValueError, match="needs all weights fixed or none; 1 of 3 are fixed"):
        mixture.standard_errors(world.X, trials=world.trials)


def test_where_all_is_fixed_all_is_known():
    world = datasets.three_coins
    found = binomial(world, fixed=("weights", "probs")).standard_errors(world.X, trials=world.trials)
    assert (found.parameters_covariance == 0).all()


@methods
def test_a_probability_of_0_or_1_has_none_and_the_others_theirs(method):
    world = datasets.certain
    mixture = binomial(world)
    np.testing.assert_allclose(mixture.probs_[[0, 2]], [[0.0], [1.0]], atol=1e-15)  # a logit of 36 at the most
    found = mixture.standard_errors(world.X, trials=world.trials, method=method)
    np.testing.assert_array_equal(np.isnan(found.probs), [[True], [False], [True]])
    inside = ~np.isnan(found.parameters_covariance.diagonal())
    truth = Truth(mixture, world.X, world.trials, found, free=inside).covariance(method)
    agree(found.parameters_covariance[np.ix_(inside, inside)], truth[np.ix_(inside, inside)])


@methods
@kinds
@pytest.mark.filterwarnings("ignore::fastem.EmptyComponentWarning")
def test_an_empty_component_has_none_and_the_others_theirs(kind, method):
    world = datasets.empty
    found = gaussian(world, kind).standard_errors(world.X, method=method)
    without = gaussian(datasets.two_far, kind).standard_errors(world.X, method=method)
    for name in ("weights", "means", "covariances"):
        values, expected = getattr(found, name), getattr(without, name)
        if not (name == "covariances" and kind == "tied"):
            assert np.isnan(values[1]).all()
            values = values[[0, 2]]
        np.testing.assert_allclose(values, expected, rtol=1e-6)


# ------------------------------------------------------------------------------------------------------------- refusals


@methods
@kinds
@pytest.mark.filterwarnings("ignore::fastem.EqualComponentWarning")
def test_equal_components_are_not_identified(kind, method):
    X = datasets.overlapping.X
    precisions = naive.reduce_covariances(np.tile(np.eye(2), (2, 1, 1)), np.ones(2), kind)
    inits = {"weights_init": [0.5, 0.5], "means_init": np.zeros((2, 2)), "precisions_init": precisions}
    mixture = GaussianMixture(2, covariance_type=kind, **inits)
    with pytest.raises(ValueError, match=r"not identified.*singular"):
        mixture.fit(X).standard_errors(X, method=method)


@methods
@pytest.mark.filterwarnings("ignore::fastem.EqualComponentWarning")
def test_equal_coins_are_not_identified(method):
    heads = [5, 9, 8, 4, 7]
    mixture = BinomialMixture(2, weights_init=[0.5, 0.5], probs_init=[0.6, 0.6]).fit(heads, trials=10)
    with pytest.raises(ValueError, match="not identified"):
        mixture.standard_errors(heads, trials=10, method=method)


def test_a_coin_never_tossed_is_not_identified():
    rows, trials = [[3, 0], [5, 0], [4, 0]], [[10, 0], [10, 0], [10, 0]]
    mixture = BinomialMixture(1, probs_init=[[0.5, 0.5]]).fit(rows, trials=trials)
    with pytest.raises(ValueError, match="not identified"):
        mixture.standard_errors(rows, trials=trials)


def test_fewer_rows_than_parameters_do_not_identify_by_gradients():
    X = datasets.two_far.X[:9]
    mixture = GaussianMixture(2, random_state=0, reg_covar=0.1).fit(X)
    with pytest.raises(ValueError, match="not identified"):
        mixture.standard_errors(X, method="opg")


def test_where_the_likelihood_has_no_maximum_there_are_no_errors():
    X = np.concatenate([np.linspace(-3, -2, 50), np.linspace(2, 3, 50)])[:, None]
    between = GaussianParams(np.full(2, 0.5), np.array([[-0.1], [0.1]]), np.full((2, 1), X.var()), "diag")
    with fastem.open_rows(X) as rows, pytest.raises(ValueError, match="not at a maximum"):
        standard_errors(rows, between)


def test_other_refusals():
    X = datasets.overlapping.X
    with pytest.raises(fastem.NotFittedError, match="not fitted yet"):
        GaussianMixture(2).standard_errors(X)
    with pytest.raises(fastem.NotFittedError, match="not fitted yet"):
        BinomialMixture(2).standard_errors([1, 2], trials=3)
    mixture = gaussian(datasets.overlapping)
    with pytest.raises(ValueError, match="method must be one of 'louis', 'opg', 'sandwich', got 'fisher'"):
        mixture.standard_errors(X, method="fisher")
    with pytest.raises(ValueError, match="X has 1 features, but GaussianMixture is expecting 2"):
        mixture.standard_errors(X[:, :1])
    with pytest.raises(ValueError, match="X must be finite"):
        mixture.standard_errors(np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match="sample_weight must have shape"):
        mixture.standard_errors(X, sample_weight=[1.0])
