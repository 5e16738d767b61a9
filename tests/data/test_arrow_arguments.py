"""What `from_arrow` is told: each argument is refused by name, and no column is taken for another."""

import numpy as np
import pyarrow
import pytest

import fastem

RNG = np.random.default_rng(7)
TRIALS = RNG.integers(5, 50, 200)
SUCCESSES = RNG.binomial(TRIALS, np.repeat([0.2, 0.7], 100))
WEIGHTS = RNG.uniform(60, 90, 200)
TABLE = pyarrow.table({"t": TRIALS, "s": SUCCESSES, "w": WEIGHTS})


def of_table(**options):
    return fastem.from_arrow(TABLE, "s", **options)


@pytest.mark.parametrize("way", ["n_trials", "trials"])
def test_weights_of_counts_are_no_trials(way):
    mixture = fastem.BinomialMixture(2, random_state=0, n_trials=50 if way == "n_trials" else None)
    memory = {} if way == "n_trials" else {"trials": 50}
    expected = mixture.fit(SUCCESSES, sample_weight=WEIGHTS, trials=50).probs_
    for rows in (of_table(sample_weight="w"), lambda: of_table(sample_weight="w")):
        np.testing.assert_array_equal(mixture.fit(chunks=rows, **memory).probs_, expected)
    score = mixture.score(SUCCESSES, trials=50, sample_weight=WEIGHTS)
    assert mixture.score(chunks=of_table(sample_weight="w"), **memory) == pytest.approx(score, rel=1e-12)


def test_weights_of_counts_do_not_stand_in_for_trials():
    with pytest.raises(TypeError, match="trials: the number of trials of each row is needed"):
        fastem.BinomialMixture(2).fit(of_table(sample_weight="w"))


@pytest.mark.parametrize("estimator", [fastem.GaussianMixture, fastem.PoissonMixture, fastem.BayesianGaussianMixture])
@pytest.mark.parametrize("trials", ["t", 50])
def test_trials_are_no_weights(estimator, trials):
    for rows in (of_table(trials=trials), lambda: of_table(trials=trials)):
        with pytest.raises(TypeError, match=r"trials must be None for .*: they belong to binomial mixtures"):
            estimator(2).fit(chunks=rows)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"columns": 5}, TypeError, "columns must be a name or names of columns, got 5"),
        ({"columns": np.array(5)}, TypeError, "columns must be a name or names of columns"),
        ({"sample_weight": 5}, TypeError, "sample_weight must be the name of a column, got 5"),
        ({"sample_weight": ["w", "t"]}, TypeError, "sample_weight must be the name of a column"),
        ({"trials": True}, TypeError, "trials must be an int, got True"),
        ({"trials": 1.5}, TypeError, "trials must be an int, got 1.5"),
        ({"trials": -1}, ValueError, "trials must be at least 0, got -1"),
        ({"trials": object()}, TypeError, "trials must be a name or names of columns"),
        ({"dtype": np.zeros(3)}, ValueError, "dtype must be None, float32 or float64"),
        ({"cache": 5}, TypeError, "cache must be a path, got 5"),
        ({"cache": ""}, ValueError, "cache must be the name of a file"),
        ({"source": ""}, ValueError, "source must be the name of a file"),
    ],
)
def test_wrong_arguments_are_named(options, error, message):
    with pytest.raises(error, match=message):
        fastem.from_arrow(**{"source": TABLE, "columns": "s"} | options)


def test_numbers_of_numpy_and_names_of_types_are_taken():
    assert of_table(trials=np.int64(50)).trials == 50
    assert of_table(dtype="float32").dtype == np.float32
