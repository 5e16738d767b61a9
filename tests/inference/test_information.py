"""Standard errors: the curvature of the log likelihood as differences of it tell, and laws."""

import numpy as np
import pytest
from support import datasets, naive
from support.sweeps import KINDS

import fastem
from fastem import BinomialMixture, GaussianMixture, GaussianParams
from fastem.inference.standard_errors import METHODS, standard_errors

methods = pytest.mark.parametrize("method", METHODS)
kinds = pytest.mark.parametrize("kind", KINDS)
normals = pytest.mark.parametrize(
    "world", [datasets.univariate_two, datasets.overlapping], ids=lambda world: world.name
)
coins = pytest.mark.parametrize(
    "world", [datasets.two_coins, datasets.three_coins, datasets.three_questions], ids=lambda world: world.name
)
AT_MAXIMUM = {"tol": 1e-10, "stopping": "gradient", "acceleration": "quasi-newton", "max_iter": 5_000}


def gaussian(world, kind="full", **settings):
    """At the maximum that the world's start leads to."""
    covariances = naive.reduce_covariances(world.covariances, world.weights, kind)
    precisions = np.linalg.inv(covariances) if kind in ("full", "tied") else 1 / covariances
    inits = {"weights_init": world.weights, "means_init": world.means, "precisions_init": precisions}
    options = AT_MAXIMUM | inits | settings
    return GaussianMixture(len(world.weights), covariance_type=kind, reg_covar=0.0, **options).fit(world.X)


def binomial(world, **settings):
    options = AT_MAXIMUM | {"weights_init": world.weights, "probs_init": world.probs} | settings
    return BinomialMixture(len(world.weights), **options).fit(world.X, trials=world.trials)


# ------------------------------------------------------------------------------------------------------ the naive truth


def pack(mixture):
    """All parameters in the documented order: weights, means or probs, variances or lower triangles."""
    if hasattr(mixture, "probs_"):
        return np.concatenate([mixture.weights_, mixture.probs_.ravel()])
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

    def scores(self):
        """(n, free)."""

        def slope(step):
            return (self(step) - self(-step)) / 2

        shifts = self.steps[:, None] * self.directions
        return np.array([(8 * slope(s / 2) - slope(s)) / 3 for s in shifts]).T / self.steps

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
        products = self.scores().T @ self.scores()
        inverse = np.linalg.inv(products if method == "opg" else -self.hessian())
        if method == "sandwich":
            inverse = inverse @ products @ inverse
        return self.directions.T @ inverse @ self.directions


def agree(found, expected, tolerance=1e-7):
    """Covariances, measured in standard errors.  The rounding of the differences is seen as 2e-8 here, at the most."""
    variances = expected.diagonal()
    units = np.sqrt(np.outer(variances, variances)) + (expected == 0)  # what is fixed has 0, exactly
    np.testing.assert_allclose(found / units, expected / units, rtol=0, atol=tolerance)


@methods
@kinds
@normals
def test_normal_information_is_that_of_differences(world, kind, method):
    mixture = gaussian(world, kind)
    errors = mixture.standard_errors(world.X, method=method)
    agree(errors.parameters_covariance, Truth(mixture, world.X, errors=errors).covariance(method))


@methods
@coins
def test_binomial_information_is_that_of_differences(world, method):
    mixture = binomial(world)
    errors = mixture.standard_errors(world.X, trials=world.trials, method=method)
    agree(errors.parameters_covariance, Truth(mixture, world.X, world.trials, errors).covariance(method))


@kinds
def test_gradients_in_five_dimensions_are_those_of_differences(kind):
    world = datasets.correlated
    mixture = gaussian(world, kind)
    errors = mixture.standard_errors(world.X, method="opg")
    agree(errors.parameters_covariance, Truth(mixture, world.X, errors=errors).covariance("opg"))


def test_off_the_maximum_too_gradients_are_those_of_differences():
    world = datasets.overlapping
    mixture = gaussian(world)
    mixture.means_ = mixture.means_ + 0.1
    errors = mixture.standard_errors(world.X, method="opg")
    agree(errors.parameters_covariance, Truth(mixture, world.X, errors=errors).covariance("opg"))


@kinds
def test_errors_are_the_diagonal_shaped_as_the_parameters(kind):
    world = datasets.overlapping
    mixture = gaussian(world, kind)
    found = mixture.standard_errors(world.X)
    with pytest.raises(AttributeError, match="has no 'probs', only weights, means, covariances"):
        _ = found.probs
    for name in ("weights", "means", "covariances"):
        assert getattr(found, name).shape == getattr(mixture, name + "_").shape
        setattr(mixture, name + "_", getattr(found, name))
    if found.covariances.ndim > 1 and kind != "diag":
        np.testing.assert_array_equal(found.covariances, np.swapaxes(found.covariances, -1, -2))
    np.testing.assert_array_equal(pack(mixture), np.sqrt(found.parameters_covariance.diagonal()))


# --------------------------------------------------------------------------------------------------------- closed forms


@kinds
def test_one_component_has_the_textbook_errors(kind):
    X, (n, d) = datasets.one_component.X, datasets.one_component.X.shape
    found = GaussianMixture(1, covariance_type=kind, reg_covar=0.0).fit(X).standard_errors(X)
    S = np.cov(X.T, bias=True)
    variances = S.diagonal() if kind != "spherical" else np.full(d, S.trace() / d)
    np.testing.assert_array_equal(found.weights, [0.0])
    np.testing.assert_allclose(found.means[0], np.sqrt(variances / n), rtol=1e-10)
    wishart = np.sqrt((S**2 + np.outer(variances, variances)) / n)
    expected = {"diag": wishart.diagonal(), "spherical": np.sqrt(2 / (n * d)) * variances[0]}.get(kind, wishart)
    np.testing.assert_allclose(np.squeeze(found.covariances), expected, rtol=1e-10)


def test_one_coin_has_the_textbook_error():
    rng = np.random.default_rng(0)
    trials = rng.integers(1, 9, size=200)
    heads = rng.binomial(trials, 0.3)
    p = heads.sum() / trials.sum()
    found = BinomialMixture(1).fit(heads, trials=trials).standard_errors(heads, trials=trials)
    np.testing.assert_allclose(found.probs, [[np.sqrt(p * (1 - p) / trials.sum())]], rtol=1e-12)


@methods
def test_of_components_that_no_row_confuses_the_weights_are_counts(method):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1_000, 1)) + 100.0 * rng.choice(3, size=(1_000, 1), p=[0.2, 0.3, 0.5])
    mixture = GaussianMixture(3, means_init=[[0.0], [100.0], [200.0]], random_state=0).fit(X)
    found, w = mixture.standard_errors(X, method=method), mixture.weights_
    np.testing.assert_allclose(found.parameters_covariance[:3, :3], (np.diag(w) - np.outer(w, w)) / 1_000, rtol=1e-5)


# ------------------------------------------------------------------------------------------------------------ bootstrap


@pytest.mark.slow
def test_the_bootstrap_agrees():
    """400 refits: their spread is known to 4 %, three times which is 12 %; the asymptotics take the rest."""
    covariances = [np.eye(2), 0.5 * np.eye(2)]
    world = datasets.normal_world("bootstrap", 0, 3_000, [0.4, 0.6], [[0.0, 0.0], [2.5, 1.0]], covariances)
    mixture, rng = gaussian(world), np.random.default_rng(1)
    again = GaussianMixture(2, reg_covar=0.0, warm_start=True, **AT_MAXIMUM).fit(world.X)
    again.weights_, again.means_, again.covariances_ = mixture.weights_, mixture.means_, mixture.covariances_
    refits = np.array([pack(again.fit(rng.choice(world.X, size=len(world.X)))) for _ in range(400)])
    for method in METHODS:
        covariance = mixture.standard_errors(world.X, method=method).parameters_covariance
        np.testing.assert_allclose(refits.std(axis=0), np.sqrt(covariance.diagonal()), rtol=0.15)


@pytest.mark.slow
def test_the_parametric_bootstrap_agrees():
    """Of rows drawn from the fit itself; the outer product of their gradients is noisy too: by 9 % with 905 rows."""
    trials, rng = datasets.varying_trials(24, 5_000, 3, 12), np.random.default_rng(1)
    world = datasets.counts_world("bootstrap", 23, trials, [0.45, 0.55], [[0.2, 0.7, 0.5], [0.6, 0.3, 0.9]])
    mixture = binomial(world)
    settings = AT_MAXIMUM | {"weights_init": mixture.weights_, "probs_init": mixture.probs_}
    labels = rng.choice(2, size=(400, len(trials)), p=mixture.weights_)
    draws = rng.binomial(trials, mixture.probs_[labels])
    refits = [pack(BinomialMixture(2, **settings).fit(X, trials=trials)) for X in draws]
    for method in METHODS:
        covariance = mixture.standard_errors(world.X, trials=trials, method=method).parameters_covariance
        np.testing.assert_allclose(np.std(refits, axis=0), np.sqrt(covariance.diagonal()), rtol=0.15)


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
def test_what_is_fixed_is_known(kind, group, method):
    world = datasets.overlapping
    mixture = gaussian(world, kind, fixed=(group,))
    found = mixture.standard_errors(world.X, method=method)
    for name in ("weights", "means", "covariances"):
        assert ((getattr(found, name) == 0) == (name == group)).all()
    truth = Truth(mixture, world.X, errors=found, free=found.parameters_covariance.diagonal() > 0)
    agree(found.parameters_covariance, truth.covariance(method))


@methods
@pytest.mark.parametrize(("kind", "group"), [("full", "means"), ("diag", "covariances"), ("tied", "means")])
def test_a_mask_holds_those_of_its_components(kind, group, method):
    world = datasets.overlapping
    mixture = gaussian(world, kind, fixed={group: [True, False, False]})
    errors = mixture.standard_errors(world.X, method=method)
    free = errors.parameters_covariance.diagonal() > 0
    assert np.array_equal(getattr(errors, group)[0], np.zeros_like(getattr(errors, group)[0]))
    assert (getattr(errors, group)[1:] > 0).all()
    agree(errors.parameters_covariance, Truth(mixture, world.X, errors=errors, free=free).covariance(method))


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
