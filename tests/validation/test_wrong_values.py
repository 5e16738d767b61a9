"""Values that nobody means, in places that other tests leave out: each is refused by name, and nothing changes."""

import fractions

import numpy as np
import pytest

import fastem
from fastem import BayesianGaussianMixture, BinomialMixture, GaussianMixture, GaussianParams, PoissonMixture

RNG = np.random.default_rng(5)
X = np.r_[RNG.normal(size=(30, 2)), RNG.normal(size=(30, 2)) + 4]
SPAN = np.timedelta64(3, "s")
PARAMS = GaussianParams([0.5, 0.5], [[0, 0], [4, 4]], np.tile(np.eye(2), (2, 1, 1)))
ROWS = fastem.open_rows(X)


class Tensor:
    """What PyTorch has in the place of an array while it keeps a gradient."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


class Junk:
    """An object of another kind."""


# ---------------------------------------------------------------------------------------------------------- estimators


@pytest.mark.parametrize("name", ["n_components", "max_iter", "n_init", "tol", "max_time", "noise", "random_state"])
def test_a_span_of_time_is_no_number(name):
    mixture = GaussianMixture(2, random_state=0).fit(X).set_params(**{name: SPAN})
    before = dict(vars(mixture))
    with pytest.raises(TypeError, match=f"{name} must be a"):
        mixture.fit(X)
    assert vars(mixture).keys() == before.keys()
    assert all(vars(mixture)[each] is value for each, value in before.items())


def test_a_span_of_time_is_no_value():
    with pytest.raises(TypeError, match=r"X must hold real numbers, got .* at row 0, column 0"):
        GaussianMixture().fit(np.array([[SPAN, 1.0], [2.0, 3.0]], object))


@pytest.mark.parametrize("name", ["X", "sample_weight", "labels", "labels_init"])
def test_a_tensor_that_is_no_array_is_named(name):
    with pytest.raises(ValueError, match=f"{name} is not an array: Can't call numpy"):
        GaussianMixture(2).fit(**{"X": X, name: Tensor()})


@pytest.mark.parametrize("value", [Junk(), "a", {}, [[1], [2, 3]], 10**400, np.array([None, "a"], object)])
@pytest.mark.parametrize("estimator", [GaussianMixture(2), PoissonMixture(2), BinomialMixture(2, n_trials=9)])
def test_labels_init_of_another_kind_is_named(value, estimator):
    rows = np.arange(8) % 2
    rows = rows[:, np.newaxis].astype(float) if isinstance(estimator, GaussianMixture) else rows
    with pytest.raises((ValueError, TypeError), match="labels_init "):
        estimator.fit(rows, labels_init=value)


def test_more_components_than_float64_can_hold():
    with pytest.raises(ValueError, match="n_components"):
        BayesianGaussianMixture(10**400).fit(X)


def test_few_degrees_of_freedom_that_are_a_fraction():
    with pytest.raises(ValueError, match=r"'degrees_of_freedom_prior' should be greater than 1, but got 0.500"):
        BayesianGaussianMixture(2, degrees_of_freedom_prior=fractions.Fraction(1, 2)).fit(X)


def test_weights_that_leave_all_rows_to_the_background():
    with pytest.raises(ValueError, match="weights_init must have a weight above 0"):
        GaussianMixture(2, noise=True, weights_init=[0.0, 0.0]).fit(X)


@pytest.mark.parametrize("name", ["n_components", "tol", "covariance_type", "fixed", "checkpoint", "random_state"])
def test_a_message_is_no_copy_of_what_was_passed(name):
    for value in (X.tolist() * 100, np.ones(900)):
        with pytest.raises((TypeError, ValueError), match=name) as raised:
            GaussianMixture(2, **{name: value}).fit(X)
        assert len(str(raised.value)) < 400


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("value", [3.0, np.ones(7), np.ones((2, 2, 2, 2))], ids=["number", "vector", "four axes"])
def test_factors_of_another_shape(covariance_type, value):
    mixture = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    mixture.precisions_cholesky_ = value
    with pytest.raises(ValueError, match="'precisions_cholesky_' should have the shape of"):
        mixture.predict(X)


# ------------------------------------------------------------------------------------------------- what a fit is asked


@pytest.mark.parametrize("method", [None, np.array(["louis", "opg"]), ["louis"], 3])
def test_the_method_of_standard_errors(method):
    with pytest.raises(TypeError, match="method must be one of 'louis', 'opg', 'sandwich'"):
        GaussianMixture(2, random_state=0).fit(X).standard_errors(X, method=method)


def test_features_and_values_that_are_none():
    mixture = GaussianMixture(2, random_state=0).fit(X)
    with pytest.raises(TypeError, match="features must be a list or another iterable"):
        mixture.marginal(np.array(1))
    for values in ([[1], [2, 3]], 1e300):
        with pytest.raises(ValueError, match="values "):
            mixture.conditional(0, values)


# ------------------------------------------------------------------------------------------------------ building blocks


@pytest.mark.parametrize("params", [None, 3, Junk(), GaussianParams], ids=["none", "int", "object", "class"])
def test_what_are_no_parameters(params):
    chunks = fastem.open_chunks([X])
    calls = [
        lambda: ROWS.sweep(params), lambda: ROWS.posterior(params, "resp"), lambda: chunks.sweep(params),
        lambda: list(chunks.posteriors(params, "resp")), lambda: fastem.accumulate(params, X),
        lambda: fastem.em(ROWS.sweep, Junk, params),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(TypeError, match="params must be parameters of a mixture, such as GaussianParams"):
            call()


@pytest.mark.parametrize("name", ["sweep", "maximize", "floor", "on_iteration"])
@pytest.mark.parametrize("value", [3, "f", np.zeros(2)], ids=["int", "text", "array"])
def test_em_is_given_functions(name, value):
    given = {"sweep": ROWS.sweep, "maximize": lambda stats: stats.maximize(), "params": PARAMS, "max_iter": 2}
    with pytest.raises(TypeError, match=f"{name} must be .*function"):
        fastem.em(**given | {name: value})


@pytest.mark.parametrize(
    ("fixed", "error"), [(3, TypeError), ("means", TypeError), (("mean",), ValueError), ({"means": [1]}, ValueError)]
)
def test_em_knows_what_may_be_fixed(fixed, error):
    with pytest.raises(error, match="fixed"):
        fastem.em(ROWS.sweep, lambda stats: stats.maximize(), PARAMS, fixed=fixed)


@pytest.mark.parametrize(
    "wrong",
    [{"weights": [0.5, 0.6]}, {"weights": [np.nan, 1.0]}, {"means": np.full((2, 2), np.nan)},
     {"covariances": -np.tile(np.eye(2), (2, 1, 1))}, {"covariances": np.tile([[1.0, 0.5], [0.0, 1.0]], (2, 1, 1))}],
    ids=["sum", "nan", "means", "negative", "asymmetric"],
)  # fmt: skip
def test_em_begins_at_a_mixture(wrong):
    given = {"weights": PARAMS.weights, "means": PARAMS.means, "covariances": PARAMS.covariances} | wrong
    with pytest.raises(ValueError, match=next(iter(wrong))):
        fastem.em(ROWS.sweep, lambda stats: stats.maximize(), GaussianParams(**given))


def test_settings_of_chunks():
    with pytest.raises(TypeError, match="fitting must be True or False, got 'yes'"):
        fastem.open_chunks([X], fitting="yes")
    for kind in ("real numbers", "counts"):
        with pytest.raises(TypeError, match=f"trials must be None for {kind}: they belong to binomial mixtures"):
            fastem.open_chunks([np.ones((3, 1))], row_kind=kind, trials=3)


def test_centers_that_are_nowhere():
    for centers, scale in ((np.full((2, 2), np.nan), np.ones(2)), (np.zeros((2, 2)), np.array([1.0, np.inf]))):
        with pytest.raises(ValueError, match="must be finite, without NaN or infinity"):
            ROWS.nearest(centers, scale)


def test_what_are_no_statistics():
    with pytest.raises(TypeError, match="merge: 0 is int, where statistics are merged"):
        fastem.merge(3)


# ------------------------------------------------------------------------------------------------------ many small fits


@pytest.mark.parametrize("family", ["gaussian", "binomial", "poisson"])
def test_settings_of_many_fits(family):
    trials = {"trials": 9} if family == "binomial" else {}
    with pytest.raises(TypeError, match="covariance_type must be left out"):
        fastem.fit_many([1, 2, 3], [0, 3], family=family, covariance_type=np.array(["full", "diag"]), **trials)
    fits = fastem.fit_many([1, 2, 3, 4], groups=list("aabb"), family=family, **trials)
    for groups, error, message in (
        ([[1], [2, 3], [4], [5]], ValueError, "groups is not an array"),
        (np.zeros(4, [("a", "f8")]), TypeError, "groups must have labels that can be keys of a dict"),
    ):
        with pytest.raises(error, match=message):
            fastem.fit_many([1, 2, 3, 4], groups=groups, family=family, **trials)
        with pytest.raises(error, match=message):
            fits.labels([1, 2, 3, 4], groups=groups, **trials)


def test_trials_and_weights_of_many_fits_are_shaped_as_values():
    values, n = np.arange(12).reshape(3, 4), 20
    flat = {"values": values.ravel(), "offsets": [0, 4, 8, 12], "family": "binomial"}
    fits = fastem.fit_many(values, trials=np.full((3, 4), n), family="binomial")
    np.testing.assert_array_equal(fits.probs, fastem.fit_many(**flat, trials=np.full(12, n)).probs)
    for given in ({"values": values, "family": "binomial"}, flat):
        for wrong in ((4, 3), (2, 6), (12, 1)):
            with pytest.raises(ValueError, match=r"trials must .*shape"):
                fastem.fit_many(**given, trials=np.full(wrong, n))
            with pytest.raises(ValueError, match="sample_weight must have shape"):
                fastem.fit_many(**given, trials=n, sample_weight=np.ones(wrong))
    with pytest.raises(ValueError, match="trials must have shape"):
        fits.labels(values, np.full((4, 3), n))
    with pytest.raises(ValueError, match="sample_weight must have shape"):
        fits.entropies(values, n, np.ones((4, 3)))
    with pytest.raises(ValueError, match="values must have one dimension"):
        fits.labels(values, n, offsets=[0, 4, 8, 12])


@pytest.mark.parametrize(
    ("group", "error"),
    [(3, IndexError), (-4, IndexError), (10**400, IndexError), (1.0, TypeError), ("a", TypeError), (None, TypeError),
     (True, TypeError), (np.zeros(3, bool), TypeError), (slice(2), TypeError)],
)  # fmt: skip
@pytest.mark.parametrize("columns", [False, True])
def test_a_group_that_is_not_there(group, error, columns):
    values = RNG.normal(size=(3, 8, 2) if columns else (3, 8))
    fits = fastem.fit_many(values)
    for call in (fits.params, fits.__getitem__):
        with pytest.raises(error, match="group must be a"):
            call(group)
    np.testing.assert_array_equal(fits[-1].means, fits[2].means)
    np.testing.assert_array_equal(fits[np.int64(1)].means, fits.params(1).means)


def test_labels_that_are_tuples_and_no_label():
    labels = np.empty(4, object)
    labels[:] = [("a", 1), ("a", 1), ("b", 2), ("b", 2)]
    fits = fastem.fit_many([1.0, 3.0, 5.0, 9.0], groups=labels)
    assert fits["b", 2].means[0, 0] == 7.0
    for label in (["a", 1], np.array(["a", 1]), "a", [("a", 1), ("b", 2)]):
        with pytest.raises(KeyError, match="no group has the label"):
            fits[label]
