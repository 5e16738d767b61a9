"""select: what a component owes to few or equal rows is in doubt; what its place and its rows mean is not."""

import warnings
from pathlib import Path

import numpy as np
import pytest

import fastem
from fastem.families.gaussian.full import Full
from fastem.families.gaussian.structures import COVARIANCE_TYPES, STRUCTURES
from fastem.selection import doubtful

CRITERIA = ("bic", "icl", "aic", "cv")
RNG = np.random.default_rng(0)
SPIKE = np.concatenate([np.zeros(157_406), RNG.normal(3, 1, 670)])[:, np.newaxis]
OUTLIER = np.concatenate([RNG.normal(0, 1, 500), RNG.normal(10, 1, 500), [1000.0]])[:, np.newaxis]
CENTERS = RNG.normal(size=(5, 20)) * 6
APART = np.concatenate([RNG.normal(size=(200, 20)) + center for center in CENTERS])
"""Five groups of 200 rows, at least 30 standard deviations apart; a component has 230 parameters of its own."""
ANSWERS = RNG.choice(np.arange(1.0, 6.0), 400, p=[0.1, 0.2, 0.4, 0.2, 0.1])[:, np.newaxis]
TEN = np.append(RNG.normal(size=100), np.full(10, 5.0))[:, np.newaxis]


@pytest.fixture(scope="module")
def selections():
    """Of each criterion, from the same fits."""

    def of(X, sizes):
        found = fastem.select(X, sizes, criterion="cv")
        return {criterion: fastem.Selection(criterion, found.candidates, found.mixtures) for criterion in CRITERIA}

    return {name: of(X, sizes) for name, X, sizes in [
        ("spike", SPIKE, range(1, 4)), ("outlier", OUTLIER, range(1, 5)), ("ten", TEN, range(1, 4)),
        ("answers", ANSWERS, range(1, 6)),
    ]}  # fmt: skip


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.slow
def test_a_spike_with_most_of_the_rows_is_a_component(selections, criterion):
    assert selections["spike"][criterion].best.n_components == 2


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.slow
def test_an_outlier_hides_no_other_components(selections, criterion):
    means = selections["outlier"][criterion].best.means_.ravel()
    assert min(abs(means)) < 0.5
    assert min(abs(means - 10)) < 0.5


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.seconds
def test_ten_equal_rows_apart_from_a_hundred_are_a_component(selections, criterion):
    assert selections["ten"][criterion].best.n_components == 2


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.seconds
def test_answers_from_1_to_5_are_not_five_spikes(selections, criterion):
    assert selections["answers"][criterion].best.n_components == 1


@pytest.mark.parametrize("criterion", CRITERIA[:3])
@pytest.mark.seconds
def test_far_groups_of_few_rows_for_their_parameters_are_told_apart(criterion):
    assert fastem.select(APART, range(1, 7), criterion=criterion).best.n_components == 5


def test_a_prior_changes_none_of_it():
    prior = fastem.GaussianPrior(scale=[[1.0]])
    settings = {"tol": 1e-6, "max_iter": 1000, "n_init": 5, "random_state": 0, "acceleration": "quasi-newton"}
    found = fastem.select(OUTLIER, range(1, 5), estimator=fastem.GaussianMixture(prior=prior, **settings))
    assert found.best.n_components == 3


@pytest.mark.seconds
def test_nine_rows_in_a_plane_are_no_component():
    """Three groups in d = 13, standardised, as in the wines of scikit-learn: starts find a component on a few rows."""
    wines = pytest.importorskip("sklearn.datasets").load_wine()
    scores = pytest.importorskip("sklearn.metrics").adjusted_rand_score
    X = (wines.data - wines.data.mean(axis=0)) / wines.data.std(axis=0)
    best = fastem.select(X, range(1, 6), COVARIANCE_TYPES).best
    assert scores(wines.target, best.predict(X)) > 0.65
    assert best.counts_.min() > 14


@pytest.mark.seconds
def test_two_galaxies_are_no_component():
    galaxies = Path(__file__).parents[2] / "examples" / "data" / "galaxies.csv"
    found = fastem.select(np.loadtxt(galaxies, skiprows=1)[:, np.newaxis] / 1000, range(1, 8))
    assert found.best.n_components == 3


@pytest.mark.parametrize("unit", [1.0, 1e-5, 1e5])
@pytest.mark.seconds
def test_units_change_no_choice(unit):
    """Two stops 108 m apart, in metres or in degrees."""
    rng = np.random.default_rng(0)
    metres = np.concatenate([rng.normal([0, 0], 20, (300, 2)), rng.normal([78, 74], 20, (300, 2))])
    assert fastem.select([48.1371, 11.5754] + unit * metres, range(1, 4)).best.n_components == 2


def test_a_lower_criterion_that_is_passed_over_is_told_once():
    with pytest.warns(UserWarning, match="n_components=5 full is passed over for n_components=1 full") as told:
        found = fastem.select(ANSWERS, range(1, 6))
    assert [each.filename for each in told] == [__file__]
    message = str(told[0].message)
    assert f"its bic is lower by {found.values[0] - found.values[4]:.4g}" in message
    counts = found.mixtures[4].counts_
    assert all(f"{c} ({count:.4g} rows)" in message for c, count in enumerate(counts))
    assert found.passed_over[0] == 4
    lines = str(found).splitlines()
    assert lines[1][0] == "*"
    assert lines[5][0] == "-"
    assert "- passed over: twice what is doubtful" in lines[-2]


def test_nothing_is_told_where_the_lowest_is_chosen():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fastem.select(OUTLIER, range(1, 4))
    assert found.best_index == found.values.argmin()


def test_a_folder_keeps_what_is_in_doubt(tmp_path, monkeypatch):
    found = fastem.select(TEN, range(1, 4), checkpoint=tmp_path)
    monkeypatch.setattr(fastem.GaussianParams, "with_proven_variances", None)
    again = fastem.select(TEN, range(1, 4), checkpoint=tmp_path)
    assert again.assured.tolist() == found.assured.tolist()
    assert again.mixtures[1].suspect_ == found.mixtures[1].suspect_


# ----------------------------------------------------------------------------------------------- what the rows prove


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
@pytest.mark.seconds
def test_the_proven_precision_is_that_of_the_rows_in_the_mean(kind):
    """Of ten rows in three dimensions: E of the inverse of their covariance, times its share, is the precision."""
    rng, d, m = np.random.default_rng(0), 3, 10
    found = []
    for _ in range(4000):
        X = rng.normal(size=(m, d))
        residual = X - X.mean(axis=0)
        covariance = {
            "full": residual.T @ residual / m, "tied": residual.T @ residual / m,
            "diag": (residual**2).mean(axis=0), "spherical": (residual**2).mean(),
        }[kind]  # fmt: skip
        found.append(np.linalg.inv(covariance)[0, 0] if kind in ("full", "tied") else np.ravel(1 / covariance)[0])
    share = STRUCTURES[kind](np.empty(0), 1, d).proven_share(m)
    assert share * np.mean(found) == pytest.approx(1.0, abs=5 * share * np.std(found) / 4000**0.5)


@pytest.mark.parametrize("count", [4.0, 5.0, 30.0, 1e9])
def test_the_fewer_rows_the_more_a_component_has_the_extent_of_all(count):
    own, whole = np.diag([1e-3, 4.0, 1.0]), np.diag([1.0, 9.0, 4.0])
    share = max(0.0, 1 - 5 / count)
    found = Full.blended(own, share, whole, np.zeros(3))
    np.testing.assert_allclose(np.linalg.inv(found), share * np.linalg.inv(own) + (1 - share) * np.linalg.inv(whole))


def test_rows_with_equal_values_prove_what_they_were_rounded_to():
    X = np.column_stack([np.round(RNG.normal(size=500), 1), RNG.normal(size=500)])
    step = doubtful.rounding_step(X)
    assert step[0] == pytest.approx(0.1)
    assert step[1] < 0.02
    assert doubtful.rounding_step(np.ones((9, 1))).tolist() == [0.0]
    assert doubtful.rounding_step(np.array([[0.3], [0.1 + 0.2], [0.6], [0.9]]))[0] == pytest.approx(0.3)


def test_counts_are_never_in_doubt():
    """Their likelihood has a bound."""
    coins = fastem.select([1, 1, 2, 9, 9, 9, 50], range(1, 4), estimator=fastem.BinomialMixture(n_trials=60))
    assert any(each.n_suspect for each in coins.candidates)
    assert not any(each.doubtful for each in coins.candidates)
    assert coins.best_index == coins.values.argmin()


# --------------------------------------------------------------------------------------------------- rows and weights


def test_sizes_above_the_distinct_rows_are_left_out():
    few = np.repeat([[0.0], [1.0], [9.0]], 4, axis=0)
    with pytest.warns(UserWarning, match="n_components above 3 are left out: there are 3 distinct rows of X"):
        found = fastem.select(few, [1, 2, 4, 7])
    assert [each.n_components for each in found.candidates] == [1, 2]


@pytest.mark.parametrize("weights", [None, [1, 1, 1, 1, 0, 0]])
def test_where_no_size_is_left_nothing_is_fitted(weights, monkeypatch):
    monkeypatch.setattr(fastem.GaussianMixture, "fit", None)
    rows = [[0.0], [0.0], [1.0], [1.0], [2.0], [3.0]]
    n = 4 if weights is None else 2
    with pytest.raises(ValueError, match=f"n_components must be at most {n}, the number of distinct rows of X"):
        fastem.select(rows, [n + 1, n + 2], sample_weight=weights)


def test_rows_of_a_fold_are_not_there_to_be_fitted():
    rows = np.arange(12.0)[:, np.newaxis]
    with pytest.warns(UserWarning, match="n_components above 8 are left out: there are 8 distinct rows in the least"):
        found = fastem.select(rows, [1, 9], criterion="cv", folds=3)
    assert [each.n_components for each in found.candidates] == [1]


def test_distinct_rows_are_counted_in_many_blocks():
    blocks = [np.zeros((5, 2)), np.ones((5, 2)), np.arange(6.0).reshape(3, 2)]
    assert doubtful.n_distinct(iter(blocks), 10) == 5
    assert doubtful.n_distinct(iter([*blocks[:2], None]), 2) == 2  # the third is not looked at


@pytest.mark.parametrize("total", [1000.0, 1.0, 0.5])
@pytest.mark.slow
def test_weights_that_count_no_rows_choose_as_those_of_mean_1_or_are_told(total):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, 600), rng.normal(1, 1, 400)])[:, np.newaxis]
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        selection = fastem.select(x, range(1, 5), sample_weight=np.full(1000, total / 1000))
    assert selection.best.n_components == 1
    assert selection.total == pytest.approx(total)
    assert f"n = {total:g} in bic and icl" in str(selection)
    told = [each for each in found if "sample_weight has the sum" in str(each.message)]
    assert bool(told) == (total < 1000)


def test_a_fit_tells_of_weights_that_count_no_rows():
    x = np.random.default_rng(0).normal(size=(400, 1))
    mixture = fastem.GaussianMixture(2, random_state=0, max_iter=3_000)
    with pytest.warns(UserWarning, match=r"sample_weight has the sum 40, .* 10 rows for each parameter") as told:
        mixture.fit(x, sample_weight=np.full(400, 0.1))
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", fastem.CollapsedComponentWarning)
        mixture.fit(x, sample_weight=np.full(400, 0.5))
        mixture.fit(x[:20], sample_weight=np.ones(20))
        mixture.fit(x[:40], sample_weight=np.repeat([0, 1], 20))
    with pytest.warns(UserWarning, match="sample_weight has the sum 4"):
        fastem.BinomialMixture(2).fit([1, 2, 9, 8] * 100, trials=10, sample_weight=np.full(400, 0.01))


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"means_init": [[0.0], [1.0]]}, "'means' should have the shape"),
        ({"prior": fastem.GaussianPrior(scale=np.eye(2))}, "scale"),
        ({"fixed": {"weights": [True, False]}}, "fixed"),
    ],
)
def test_settings_are_looked_at_before_the_first_fit(setting, sentence, monkeypatch):
    monkeypatch.setattr(fastem.GaussianMixture, "fit", None)
    with pytest.raises(ValueError, match=sentence):
        fastem.select(TEN, [2, 3], estimator=fastem.GaussianMixture(**setting))
