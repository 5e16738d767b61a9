"""bootstrap_test: the statistic is that of two fits, p is small where k is too few and uniform where it is enough."""

import numpy as np
import pytest

import fastem

RNG = np.random.default_rng(0)
PAIR = np.concatenate([RNG.normal(size=(60, 1)), RNG.normal(size=(60, 1)) + 5.0])
TRIALS = RNG.integers(10, 40, size=150)
COINS = fastem.BinomialMixture(tol=1e-6, max_iter=1000, random_state=0)
QUICK = fastem.GaussianMixture(tol=1e-5, max_iter=1000, random_state=0)


def test_the_statistic_is_that_of_two_fits():
    found = fastem.bootstrap_test(PAIR, 1, estimator=QUICK, n_bootstrap=19)
    one, two = (fastem.GaussianMixture(k, tol=1e-5, max_iter=1000, random_state=0).fit(PAIR).loglik_ for k in (1, 2))
    assert found.statistic == 2 * (two - one)
    assert found.simulated.shape == (19,)
    assert found.p_value == 1 / 20


def test_p_counts_the_statistic_itself():
    assert fastem.BootstrapTest(1, 2.0, np.array([1.0, 2.0, 3.0])).p_value == 3 / 4


@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")  # of the fits
def test_equal_rows_are_no_evidence_of_more_components():
    """Rounded to a fifth of a standard deviation, in the rows but not in those that are drawn: spikes are in doubt."""
    rounded = np.round(5 * RNG.normal(size=(150, 1))) / 5
    thorough = fastem.GaussianMixture(tol=1e-6, max_iter=1000, n_init=10, init_params="k-means++", random_state=0)
    fits = [thorough.set_params(n_components=k).fit(rounded).loglik_ for k in (6, 7)]
    found = fastem.bootstrap_test(rounded, 6, estimator=thorough, n_bootstrap=1)
    assert found.statistic < 2 * (fits[1] - fits[0]) - 20


@pytest.mark.seconds
def test_two_components_are_enough_for_two():
    assert fastem.bootstrap_test(PAIR, 2, estimator=QUICK, n_bootstrap=19).p_value > 0.1


@pytest.mark.filterwarnings("ignore:components .* equal others:fastem.EqualComponentWarning")  # of the rows themselves
@pytest.mark.seconds
def test_coins():
    two = RNG.binomial(TRIALS, RNG.choice([0.2, 0.7], size=150))
    assert fastem.bootstrap_test(two, 1, estimator=COINS, trials=TRIALS, n_bootstrap=19).p_value == 1 / 20
    one = RNG.binomial(TRIALS, 0.4)
    assert fastem.bootstrap_test(one, 1, estimator=COINS, trials=TRIALS, n_bootstrap=19).p_value > 0.1


@pytest.mark.slow
def test_p_is_as_small_as_it_should_be_where_k_is_enough():
    """Of 60 data sets of one component, those with p <= 0.2 are Binomial(60, 0.2): 12, within three deviations."""
    rng = np.random.default_rng(2)
    sets = [rng.normal(size=(50, 1)) for _ in range(60)]
    tests = [fastem.bootstrap_test(X, 1, estimator=QUICK, n_bootstrap=9, random_state=i) for i, X in enumerate(sets)]
    small = sum(test.p_value <= 0.2 for test in tests)
    assert abs(small - 12) < 3 * (60 * 0.2 * 0.8) ** 0.5


def test_the_same_seed_draws_the_same_rows():
    tests = [fastem.bootstrap_test(PAIR, 2, estimator=QUICK, n_bootstrap=3, random_state=s) for s in (0, 0, 1)]
    assert tests[0].simulated.tolist() == tests[1].simulated.tolist() != tests[2].simulated.tolist()


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"n_components": 0}, ValueError, "n_components must be at least 1"),
        ({"n_bootstrap": 0}, ValueError, "n_bootstrap must be at least 1"),
        ({"estimator": "gmm"}, TypeError, "estimator must be"),
        ({"estimator": fastem.GaussianMixture(checkpoint="a.npz")}, ValueError, "checkpoint of estimator must be None"),
        ({"trials": 3}, ValueError, "trials are for a BinomialMixture"),
        (
            {"X": PAIR[:2], "n_components": 2},
            ValueError,
            r"n_components \+ 1 must be at most 2, the number of distinct rows of X",
        ),
    ],
)
def test_bad_arguments_are_named(change, error, sentence):
    with pytest.raises(error, match=sentence):
        fastem.bootstrap_test(**{"X": PAIR, "n_components": 1, "n_bootstrap": 1} | change)
