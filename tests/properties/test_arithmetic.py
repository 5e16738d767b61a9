"""Numbers that are far away, and the caller's floating point environment: finite results, no word of NumPy's, and a
ValueError where there is none."""

import copy
import fractions
import inspect
import re
import warnings

import numpy as np
import pytest

import fastem
from fastem import BinomialMixture, GaussianMixture, GaussianParams, GaussianPrior
from fastem._errstate import own
from fastem.estimators.registry import estimator_type
from fastem.families.gaussian.structures import STRUCTURES
from fastem.families.registry import NAMES

KINDS = ("full", "tied", "diag", "spherical")
ACCELERATIONS = (None, "anderson", "squarem", "quasi-newton")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "error::RuntimeWarning")


def of(rng, *choices):
    return choices[rng.integers(len(choices))]


def is_fitted(mixture, X, refusals):
    """False where it is refused in one of these words."""
    try:
        mixture.fit(X)
    except ValueError as error:
        if re.search(refusals, str(error)):
            return False
        raise
    return True


def told(mixture, X):
    """All that a fit tells and is asked for, which is finite and that of a mixture."""
    mixture.params_.check()
    arrays = [mixture.weights_, mixture.means_, mixture.covariances_, mixture.precisions_, mixture.precisions_cholesky_]
    arrays += [mixture.predict_proba(X), mixture.score_samples(X), mixture.sample(3)[0]]
    arrays += [mixture.loglik_, mixture.score(X), mixture.aic(X), mixture.bic(X), mixture.loglik_, mixture.entropy_]
    for each in arrays:
        assert np.isfinite(each).all()
    assert str(mixture.diagnose())
    assert not any(each.smallest_eigenvalue <= 0 for each in mixture.collapses_)


# ---------------------------------------------------------------------------------------------------- magnitudes apart


def worlds_apart(seed):
    """A few rows with magnitudes from 1e-20 to 1e17 in one column, and settings under which components are reseeded."""
    rng = np.random.default_rng(seed)
    n, d, k = (int(each) for each in rng.integers([4, 1, 2], [12, 4, 4]))
    X = rng.choice([-1, 1], (n, d)) * 10.0 ** rng.integers(-20, 18, (n, d))
    return GaussianMixture(
        k, covariance_type=of(rng, *KINDS), reg_covar=of(rng, "auto", 0.0, 1e-6), on_collapse="reseed",
        init_params=of(rng, "random", "kmeans"), random_state=0, max_iter=int(rng.integers(1, 30)),
        acceleration=of(rng, None, *ACCELERATIONS), stopping=of(rng, "loglik", "gradient", "aitken"),
    ), X  # fmt: skip


@pytest.mark.parametrize("begin", range(0, 600, 50))
@pytest.mark.slow
def test_components_are_reseeded_whatever_the_magnitudes(begin):
    for seed in range(begin, begin + 50):
        mixture, X = worlds_apart(seed)
        if is_fitted(mixture, X, "ill-defined empirical covariance"):
            told(mixture, X)


@pytest.mark.parametrize("seed", range(40))
def test_halves_are_definite_and_have_the_covariance_of_the_whole_in_any_units(seed):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(2, 6))
    A, units = rng.normal(size=(d, d + 2)), 10.0 ** rng.integers(-60, 60, d)
    covariance = (A @ A.T) * units[:, np.newaxis] * units
    params = GaussianParams(np.array([1.0, 0.0]), np.zeros((2, d)), np.array([covariance] * 2))
    halves = params.split(0, 1)
    halves.check()
    step = halves.means[1] / units
    found = halves.covariances[0] / units[:, np.newaxis] / units
    np.testing.assert_allclose(found + np.outer(step, step), A @ A.T, atol=1e-12 * np.abs(A @ A.T).max())
    plain = GaussianParams(params.weights, params.means, np.array([A @ A.T] * 2)).split(0, 1)
    np.testing.assert_allclose(np.abs(step), np.abs(plain.means[1]), rtol=1e-9)  # the same axis, whatever the units
    assert params.smallest_eigenvalue(0) > 0


# ------------------------------------------------------------------------------------------- starts that are far away


def ones(kind, shape):
    return np.broadcast_to(np.eye(shape[-1]), shape) if kind in ("full", "tied") else np.ones(shape)


def far_away(seed):
    """Starts up to 1e139 away, of precisions from 1e-320 to 1e308, of rows of any magnitude."""
    rng = np.random.default_rng(seed)
    d, k = (int(each) for each in rng.integers(1, 4, 2))
    X = rng.normal(size=(int(rng.integers(k, 60)), d)) * of(rng, 1.0, 1.0, 1.0, 1e-50, 1e50, 1e-80, 1e100)
    kind, inits = of(rng, *KINDS), {}
    shape = STRUCTURES[kind].shape(k, d)
    if rng.random() < 0.7:
        inits["means_init"] = rng.normal(size=(k, d)) * 10.0 ** rng.integers(-140, 139)
    if rng.random() < 0.5:
        inits["weights_init"] = rng.dirichlet(np.full(k, 10.0 ** rng.integers(-2, 2)))
    if rng.random() < 0.7:
        size = of(rng, 1.0, 1e-320, 1e300, 1e150, 1e-150, 1e100, 1e-100, 10.0 ** int(rng.integers(-320, 308)))
        inits["precisions_init"] = size * ones(kind, shape)
    prior = GaussianPrior(mean=np.zeros(d), mean_precision=1.0) if rng.random() < 0.2 else None
    return GaussianMixture(
        k, covariance_type=kind, reg_covar=of(rng, "auto", 0.0, 1e-6), acceleration=of(rng, *ACCELERATIONS),
        stopping=of(rng, "loglik", "gradient", "aitken", "q"), on_collapse=of(rng, "floor", "reseed", "drop"),
        prior=prior, random_state=0, max_iter=int(rng.integers(0, 30)), **inits,
    ), X  # fmt: skip


@pytest.mark.parametrize("begin", range(0, 600, 50))
@pytest.mark.slow
def test_starts_that_are_far_away_end_in_finite_numbers_or_are_refused_by_name(begin):
    for seed in range(begin, begin + 50):
        mixture, X = far_away(seed)
        if not is_fitted(mixture, X, "precisions_init must be inverses|ill-defined empirical covariance|1 sample"):
            continue
        told(mixture, X)
        try:
            errors = mixture.standard_errors(X)
        except ValueError:
            continue
        assert not np.isinf(errors.parameters_covariance).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1e-320, 1e-300, 1e250])
def test_precisions_of_no_rows_are_refused_by_name(kind, size):
    precisions = size * ones(kind, STRUCTURES[kind].shape(1, 2))
    X = np.random.default_rng(0).normal(size=(50, 2))
    mixture = GaussianMixture(1, covariance_type=kind, means_init=[[0, 0]], precisions_init=precisions)
    with pytest.raises(ValueError, match=r"precisions_init must be inverses of variances between 1e-200 and 1e\+280"):
        mixture.fit(X)


@pytest.mark.parametrize("last", [1.0, np.nextafter(1.0, 2.0), 1 + 4e-16, 1 + 1e-12, np.nextafter(1.0, 0.0)])
def test_precisions_that_are_as_good_as_singular_are_held_or_refused(last):
    X = np.random.default_rng(0).normal(size=(50, 2))
    for max_iter in (0, 9):
        mixture = GaussianMixture(1, precisions_init=[[[1.0, 1.0], [1.0, last]]], max_iter=max_iter)
        if is_fitted(mixture, X, "positive-definite|singular"):
            told(mixture, X)


@pytest.mark.parametrize("seed", range(20))
def test_precisions_in_any_units_are_inverted_to_rounding(seed):
    rng = np.random.default_rng(seed)
    A, units = rng.normal(size=(3, 5)), 10.0 ** rng.integers(-60, 60, 3)
    precisions = (np.linalg.inv(A @ A.T) / units[:, np.newaxis] / units)[np.newaxis]
    found = GaussianParams.from_precisions(np.ones(1), np.zeros((1, 3)), precisions, "full").covariances[0]
    np.testing.assert_allclose(found / units[:, np.newaxis] / units, A @ A.T, rtol=1e-7, atol=1e-9)


# --------------------------------------------------------------------------------------------- the caller's environment


def everything(X, heads):
    """All doors, on rows of which shares underflow."""
    for kind, acceleration in zip(KINDS, ACCELERATIONS, strict=True):
        settings = {"stopping": "gradient", "reg_covar": "auto", "n_init": 2, "order_by": "means"}
        mixture = GaussianMixture(2, covariance_type=kind, acceleration=acceleration, random_state=0, **settings).fit(X)
        yield mixture.weights_, mixture.means_, mixture.covariances_, mixture.fit_predict(X)
        yield [
            getattr(mixture, name)(X) for name in ("predict", "predict_proba", "score_samples", "score", "aic", "bic")
        ]
        yield mixture.sample(5)[0], mixture.standard_errors(X).means, mixture.diagnose().thinnest
        yield (
            mixture.partial_fit(X).means_,
            mixture.set_params(on_collapse="reseed").fit(X, sample_weight=np.arange(len(X))).means_,
        )
    coins = BinomialMixture(2, n_trials=1000).fit(heads)
    yield (
        coins.probs_,
        coins.predict_proba(heads),
        coins.score(heads),
        coins.bic(heads),
        coins.partial_fit(heads).probs_,
    )
    yield fastem.select(X, [1, 2]).values
    many = fastem.fit_many(X[:, 0], [0, len(X) // 2, len(X)], 2)
    yield many.means, many.labels(X[:, 0])
    params = GaussianMixture(2, random_state=0).fit(X).params_
    stats = fastem.accumulate(params, X)
    yield stats.maximize().means, fastem.posterior(params, X).resp, fastem.merge(stats, stats).loglik
    fit = fastem.em(lambda at: fastem.accumulate(at, X), lambda sums: sums.maximize(), params, acceleration="anderson")
    yield fit.params.means, fit.loglik
    with fastem.open_rows(X, fitting=True) as rows:
        yield rows.sweep(params).loglik, rows.posterior(params, "resp").resp
    with fastem.open_chunks([X[:40], X[40:]]) as chunks:
        yield chunks.sweep(params).loglik


def flat(results):
    return [np.asarray(each) for found in results for each in (found if isinstance(found, (tuple, list)) else [found])]


@pytest.mark.parametrize("scale", [1.0, 1e-80])
@pytest.mark.seconds
def test_what_a_caller_does_to_the_environment_changes_nothing(scale):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(60, 2)), rng.normal(size=(40, 2)) + 90.0]) * scale
    heads = np.r_[rng.binomial(1000, 1e-3, 50), rng.binomial(1000, 0.999, 50)]
    expected = flat(everything(X, heads))
    with np.errstate(all="raise"):
        found = flat(everything(X, heads))
        assert np.geterr() == dict.fromkeys(("divide", "over", "under", "invalid"), "raise")
        with pytest.raises(FloatingPointError):
            np.float64(1e-300) * np.float64(1e-300)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_environment_of_the_caller_is_there_again_after_an_error():
    with np.errstate(all="raise"):
        with pytest.raises(ValueError, match="n_components"):
            GaussianMixture(0).fit([[1.0]])
        assert np.geterr()["under"] == "raise"


def test_a_narrower_context_of_ours_holds_for_the_calls_within_it():
    @own
    def inner():
        return np.geterr()["over"]

    @own
    def outer():
        with np.errstate(over="ignore"):
            return inner()

    with np.errstate(over="raise"):
        assert (inner(), outer()) == ("warn", "ignore")


def test_decorated_functions_keep_their_names_arguments_and_places_of_warnings():
    assert list(inspect.signature(GaussianMixture.fit).parameters)[:4] == ["self", "X", "y", "sample_weight"]
    assert inspect.signature(fastem.em).parameters["tol"].default == 1e-3
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        GaussianMixture(3, max_iter=1, tol=0.0, random_state=0).fit(np.random.default_rng(0).normal(size=(50, 2)))
    assert [each.filename for each in caught] == [__file__]


# ------------------------------------------------------------------------------------------------ settings as they come


NUMBERS = [fractions.Fraction(1, 2), np.longdouble(0.5), np.float32(0.5), np.float16(0.5), np.float64(0.5)]


@pytest.mark.parametrize("half", NUMBERS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.seconds
def test_a_number_is_taken_whatever_its_type(kind, half, tmp_path):
    """Rows of which some are equal: a component has the extent that reg_covar gives it."""
    X = np.concatenate([np.random.default_rng(0).normal(size=(60, 2)) * 100.0, np.full((20, 2), 2000.0)])

    def settings(value):
        return {"tol": value, "reg_covar": value, "checkpoint_every": value, "max_time": value * 200}

    plain = GaussianMixture(2, covariance_type=kind, random_state=0, on_collapse="reseed", **settings(0.5)).fit(X)
    path = tmp_path / "fit.checkpoint"
    other = copy.copy(plain).set_params(checkpoint=path, **settings(half)).fit(X)
    np.testing.assert_array_equal(other.covariances_, plain.covariances_)
    prior = GaussianPrior(1 + half, [0.0, 0.0], half, np.eye(2), 2 + half)
    assert np.isfinite(plain.set_params(prior=prior).fit(X).log_posterior_)


@pytest.mark.parametrize("whole", [np.int8, np.uint8, np.int16, np.int64])
@pytest.mark.seconds
def test_a_whole_number_is_taken_whatever_its_type(whole, capsys):
    """Products with one of 8 bits overflow."""
    X = np.random.default_rng(0).normal(size=(400, 3)) + 3.0 * np.random.default_rng(1).integers(0, 9, size=(400, 1))

    def settings(kind):
        ints = {"n_components": 60, "n_init": 2, "max_iter": 100, "verbose": 1, "verbose_interval": 50, "n_threads": 1}
        return {name: kind(value) for name, value in ints.items()} | {"random_state": kind(5), "tol": 0.0}

    found, plain = GaussianMixture(**settings(whole)).fit(X), GaussianMixture(**settings(int)).fit(X)
    np.testing.assert_array_equal(found.means_, plain.means_)
    heads = np.random.default_rng(0).binomial(100, 0.4, 300)
    coins = BinomialMixture(whole(60), n_trials=whole(100), random_state=0).fit(heads)
    np.testing.assert_array_equal(coins.probs_, BinomialMixture(60, n_trials=100, random_state=0).fit(heads).probs_)


SEEDS = {
    "SeedSequence": lambda: np.random.SeedSequence(0),
    "BitGenerator": lambda: np.random.PCG64(0),
    "Generator": lambda: np.random.default_rng(0),
    "RandomState": lambda: np.random.RandomState(0),
    "int": lambda: 0,
}


@pytest.mark.parametrize("kind", SEEDS)
@pytest.mark.seconds
def test_random_states_of_numpy_are_taken(kind, tmp_path):
    X = np.random.default_rng(1).normal(size=(100, 2))

    def means(seed, **settings):
        return GaussianMixture(3, random_state=seed, n_init=2, **settings).fit(X).means_

    np.testing.assert_array_equal(means(SEEDS[kind]()), means(SEEDS[kind]()))
    if kind not in ("RandomState", "int"):
        np.testing.assert_array_equal(means(SEEDS[kind]()), means(0))
    np.testing.assert_array_equal(means(SEEDS[kind](), checkpoint=tmp_path / "fit"), means(SEEDS[kind]()))
    mixture = GaussianMixture(3, random_state=SEEDS[kind]()).fit(X)
    mixture.save(tmp_path / "model.npz")
    assert fastem.load(tmp_path / "model.npz").random_state == (0 if kind == "int" else None)
    assert fastem.bootstrap_test(X, 1, n_bootstrap=1, random_state=SEEDS[kind]()).p_value > 0


@pytest.mark.parametrize("state", [np.random, None], ids=["numpy.random", "None"])
def test_numpys_global_state_is_a_seed(state):
    """Scripts begin with np.random.seed, and expect the same fits and samples again."""
    X = np.random.default_rng(1).normal(size=(100, 2))
    np.random.seed(7)
    found = GaussianMixture(3, init_params="random", random_state=state).fit(X)
    rows = found.sample(5)[0]
    seeded = np.random.RandomState(7)
    expected = GaussianMixture(3, init_params="random", random_state=seeded).fit(X)
    np.testing.assert_array_equal(found.means_, expected.means_)
    np.testing.assert_array_equal(rows, expected.sample(5)[0])
    assert not np.array_equal(GaussianMixture(3, init_params="random", random_state=state).fit(X).means_, found.means_)


@pytest.mark.parametrize("seed", ["now", 1.5, -1, [1, 2], np.random.normal])
def test_what_is_no_random_state_is_refused(seed):
    with pytest.raises((TypeError, ValueError), match="random_state must be"):
        GaussianMixture(2, random_state=seed).fit([[1.0], [2.0]])


ONE_CHUNK = [
    np.zeros((9, 2)), np.zeros(9), np.eye(3).view(np.matrix),
    pytest.importorskip("pandas").DataFrame(np.zeros((9, 2))),
]  # fmt: skip


@pytest.mark.parametrize("chunks", ONE_CHUNK, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("kind", [estimator_type(name) for name in NAMES])
def test_an_array_is_not_its_chunks(kind, chunks):
    with pytest.raises(ValueError, match=r"chunks must be an iterable of arrays of rows.*got one .*pass \[X\]"):
        kind(1).fit(chunks=chunks)
    with pytest.raises(ValueError, match=r"pass \[X\]"):
        fastem.open_chunks(chunks)


def test_an_array_of_chunks_is_chunks():
    X = np.random.default_rng(0).normal(size=(3, 50, 2))
    found = GaussianMixture(2, random_state=0).fit(chunks=X)
    np.testing.assert_array_equal(found.means_, GaussianMixture(2, random_state=0).fit(X.reshape(-1, 2)).means_)


@pytest.mark.parametrize("seed", range(60))
def test_the_start_that_is_kept_is_the_highest_that_is_told(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(int(rng.integers(30, 200)), 2)) + 2.0 * rng.integers(0, 3, size=1)
    settings = {"covariance_type": of(rng, *KINDS), "init_params": "random", "tol": 10.0 ** -rng.integers(1, 5)}
    mixture = GaussianMixture(int(rng.integers(2, 5)), n_init=5, random_state=seed, **settings).fit(X)
    ends = [each.mean_loglik for each in mixture.starts_]
    assert ends == sorted(ends, reverse=True)
    assert ends[0] == pytest.approx(mixture.log_posterior_ / len(X), rel=1e-15)
