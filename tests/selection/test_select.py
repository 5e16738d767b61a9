"""select: the table is that of fits made one by one, the criteria choose as they should, a folder resumes."""

import math
import warnings

import numpy as np
import pytest
from support.real_data import read

import fastem
from fastem.estimators import model
from fastem.fitting.restarts import Start
from fastem.selection import select as chooser

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(150, 2)), RNG.normal([8.0, 0.0], size=(100, 2)), RNG.normal(size=(50, 2)) + 8.0])
TOSSES = RNG.integers(20, 60, size=400)
HEADS = RNG.binomial(TOSSES, RNG.choice([0.1, 0.6], size=400))


def quick(**settings):
    return fastem.GaussianMixture(
        **{"init_params": "kmeans", "tol": 1e-6, "max_iter": 500, "random_state": 0} | settings
    )


QUICK = quick()
COINS = fastem.BinomialMixture(tol=1e-6, max_iter=500, random_state=0)


def test_a_line_of_the_table_is_a_fit():
    found = fastem.select(X, [2, 3], ("full", "diag"), estimator=QUICK)
    assert [(c.covariance_type, c.n_components) for c in found.candidates] == [
        ("full", 2), ("full", 3), ("diag", 2), ("diag", 3)
    ]  # fmt: skip
    alone = fastem.GaussianMixture(**QUICK.get_params() | {"n_components": 3, "covariance_type": "diag"}).fit(X)
    line = found.candidates[3]
    told = (line.loglik, line.n_parameters, line.aic, line.bic, line.icl, line.entropy, line.n_sweeps, line.stop_reason)
    assert told == (
        alone.loglik_, alone.n_parameters_, alone.aic_, alone.bic_, alone.icl_, alone.entropy_, alone.n_sweeps_,
        alone.stop_reason_,
    )  # fmt: skip
    np.testing.assert_array_equal(found.mixtures[3].means_, alone.means_)
    assert math.isnan(line.cv)


@pytest.mark.parametrize("criterion", ["bic", "icl", "cv"])
def test_separate_clusters_are_counted(criterion):
    found = fastem.select(X, range(1, 6), criterion=criterion, estimator=QUICK)
    assert found.best.n_components == 3
    assert found.best is found.mixtures[found.best_index]
    assert found.values.tolist() == [getattr(each, criterion) for each in found.candidates]


def test_coins_are_counted():
    found = fastem.select(HEADS, range(1, 4), estimator=COINS, trials=TOSSES)
    assert found.best.n_components == 2
    assert [each.covariance_type for each in found.candidates] == [""] * 3
    np.testing.assert_allclose(np.sort(found.best.probs_.ravel()), [0.1, 0.6], atol=0.02)


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_rows_of_dask_are_those_in_memory(family):
    """Of counts, with the number of trials as a setting of the estimator."""
    array = pytest.importorskip("dask.array")
    rows, estimator = (X, QUICK) if family == "gaussian" else (np.minimum(HEADS, 20)[:, np.newaxis], COINS)
    if family == "binomial":
        estimator = fastem.BinomialMixture(n_trials=20, tol=1e-6, max_iter=500, random_state=0)
    lazy = fastem.select(array.from_array(rows, chunks=(90, rows.shape[1])), range(1, 4), estimator=estimator)
    np.testing.assert_allclose(lazy.values, fastem.select(rows, range(1, 4), estimator=estimator).values, rtol=1e-7)


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_cv_is_the_deviance_of_rows_held_out(family):
    """Over the folds, one mixture fitted on the other rows; a row counts no less than as one of n like all of them."""
    data, estimator = ({"X": X}, QUICK) if family == "gaussian" else ({"X": HEADS, "trials": TOSSES}, COINS)
    weights = RNG.integers(1, 4, size=len(data["X"])).astype(float)
    found = fastem.select(n_components=[2], criterion="cv", estimator=estimator, folds=3, sample_weight=weights, **data)
    whole = type(estimator)(1).fit(**data, sample_weight=weights)
    fold = np.random.default_rng(0).permutation(len(weights)) % 3
    expected = 0.0
    for i in range(3):
        inside = {name: values[fold != i] for name, values in data.items()}
        outside = {name: values[fold == i] for name, values in data.items()}
        mixture = type(estimator)(**estimator.get_params() | {"n_components": 2})
        mixture.fit(**inside, sample_weight=weights[fold != i])
        log_prob = np.maximum(mixture.score_samples(**outside), whole.score_samples(**outside) - np.log(weights.sum()))
        expected -= 2 * log_prob @ weights[fold == i]
    np.testing.assert_allclose(found.candidates[0].cv, expected, rtol=1e-12)  # another order of summation


def test_weights_count_as_rows():
    weights = RNG.integers(0, 3, size=len(X))
    weighted = fastem.select(X, [1, 2], estimator=QUICK, sample_weight=weights)
    repeated = fastem.select(np.repeat(X, weights, axis=0), [1, 2], estimator=QUICK)
    np.testing.assert_allclose(weighted.values, repeated.values, rtol=1e-7)  # stopped by tol


def test_distinct_optima_are_counted():
    """Starts at random rows of four equal clusters, three components: which two share one differs."""
    places = ((40, 0), (50, 5), (60, 12), (70, 25))
    corners = np.concatenate([RNG.normal(at, 0.1, size=(n, 2)) for n, at in places])
    many = fastem.GaussianMixture(n_init=20, init_params="random_from_data", tol=1e-6, max_iter=500, random_state=0)
    found = fastem.select(corners, [1, 3], estimator=many)
    assert found.candidates[0].n_optima == 1
    ends = np.sort([start.mean_loglik for start in found.mixtures[1].starts_])
    assert found.candidates[1].n_optima == len(np.unique(ends.round(4))) > 1


def test_starts_that_were_screened_out_led_to_no_optimum():
    rows = np.concatenate([RNG.normal(at, 0.1, size=(2500, 1)) for at in (0, 5, 12, 25)])
    many = fastem.GaussianMixture(n_init=12, init_params="random_from_data", tol=1e-6, max_iter=500, random_state=0)
    found = fastem.select(rows, [3], estimator=many)
    starts = found.best.starts_
    carried = [start.mean_loglik for start in starts if not start.stop_reason.startswith("screened out")]
    assert len(carried) == 3
    assert found.candidates[0].n_optima == len(np.unique(np.round(carried, 3)))
    assert len({round(start.mean_loglik, 3) for start in starts}) > found.candidates[0].n_optima


def test_suspect_components_are_counted():
    pair = np.concatenate([RNG.normal(size=(60, 1)), [[9.0], [9.0]]])
    found = fastem.select(pair, [2], estimator=QUICK)
    assert found.candidates[0].n_suspect == len(found.best.diagnose().spurious) == 1


def test_spurious_maxima_are_passed_over_unless_there_is_nothing_else():
    """Five starts find a fourth component, on five rows, with a lower BIC: by less than 10, which is no matter."""
    found = fastem.select(X, range(1, 5), split_merge=False)
    assert found.values.argmin() == 3
    assert found.candidates[3].n_suspect == 1
    assert found.best.n_components == 3
    assert found.passed_over == []
    assert fastem.select(X, [4]).best.n_components == 4


def test_the_table_is_text_with_the_best_marked():
    lines = str(fastem.select(X, [1, 3, 4], estimator=QUICK)).splitlines()
    assert [line[0] for line in lines[1:4]] == [" ", "*", " "]
    assert lines[4] == "* best by bic; n = 300 in bic and icl"
    assert lines[0].split() == ["k", "bic", "difference", "log", "likelihood", "icl"]
    lines = str(fastem.select(HEADS, [1], estimator=COINS, trials=TOSSES, criterion="cv")).splitlines()
    assert "cv" in lines[0].split()
    assert "covariance_type" not in lines[0].split()


@pytest.mark.parametrize("columns", [40, 55, 80])
def test_the_table_fits_the_terminal(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    found = fastem.select(X, [1, 3], ("full", "diag"), estimator=QUICK)
    lines = str(found).splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[0].split()[:3] == ["k", "covariance", "bic"]
    assert ("icl" in lines[0]) == (columns == 80)
    differences = [float(line.lstrip("*?- ").split()[3]) for line in lines[1:5]] if columns > 40 else []
    np.testing.assert_allclose(differences, (found.values - found.values.min())[: len(differences)], atol=0.005)


def test_candidates_are_told_as_they_come():
    seen = []
    found = fastem.select(X, [1, 2], estimator=QUICK, on_candidate=seen.append)
    assert [each.bic for each in seen] == [each.bic for each in found.candidates]


# --------------------------------------------------------------------------------------------------- splits and merges

PAIRS = np.concatenate([RNG.normal(at, 1.0, size=(200, 1)) for at in (0.0, 6.0, 40.0, 46.0)])
"""Two pairs of clusters: k-means puts two of three centers in either."""
POOR = fastem.GaussianMixture(
    init_params="random_from_data", tol=1e-6, max_iter=1000, stopping="aitken", acceleration="quasi-newton",
    random_state=0,
)  # fmt: skip
"""Of its single starts those of k = 2 and k = 4 lead to a lower maximum than there is."""


@pytest.mark.parametrize("sizes", [range(1, 6), range(5, 0, -1), [4, 2, 3]], ids=["up", "down", "mixed"])
def test_no_candidate_is_lower_than_its_starts_and_each_is_a_maximum(sizes):
    plain = fastem.select(PAIRS, sizes, estimator=POOR, split_merge=False)
    found = fastem.select(PAIRS, sizes, estimator=POOR)
    gains = [each.loglik - before.loglik for each, before in zip(found.candidates, plain.candidates, strict=True)]
    assert min(gains) >= 0.0
    assert max(gains) > 100.0
    for mixture in found.mixtures:
        assert mixture.converged_
        again = fastem.GaussianMixture(
            mixture.n_components, tol=1e-9, max_iter=1000, acceleration="quasi-newton", stopping="aitken",
            weights_init=mixture.weights_, means_init=mixture.means_, precisions_init=mixture.precisions_,
        ).fit(PAIRS)  # fmt: skip
        assert again.loglik_ - mixture.loglik_ < 1e-3 * len(PAIRS)


def test_starts_of_both_kinds_are_told():
    found = fastem.select(PAIRS, [3, 4], estimator=POOR)
    three, four = found.mixtures
    assert (len(three.starts_), len(four.starts_)) == (2, 2)
    assert four.starts_[0].mean_loglik >= four.starts_[1].mean_loglik
    assert four.starts_[0].mean_loglik == pytest.approx(four.loglik_ / len(PAIRS))
    assert not four.warm_start


@pytest.mark.parametrize("sizes", [[2], [1, 3], [1, 2, 4]], ids=str)
def test_sizes_that_are_more_than_one_apart_are_left_alone(sizes):
    found = fastem.select(PAIRS, sizes, estimator=POOR)
    assert [len(each.starts_) for each in found.mixtures] == [2 if k - 1 in sizes else 1 for k in sizes]


def test_nothing_is_split_where_something_is_held_or_of_another_type():
    held = fastem.GaussianMixture(fixed=("weights",), random_state=0)
    for found in (
        fastem.select(PAIRS, [2, 3], estimator=held),
        fastem.select(PAIRS, [2], ("full", "diag"), estimator=POOR),
        fastem.select(PAIRS, [3, 2], estimator=POOR, split_merge=False),
    ):
        assert [len(each.starts_) for each in found.mixtures] == [1, 1]


def test_the_largest_size_is_fitted_from_where_splits_and_merges_lead():
    """Its starts, and splits of the mixture of three, end at -1106."""
    eruptions = read("old_faithful.csv")
    found = fastem.select(eruptions, range(1, 5))
    assert found.candidates[3].loglik == pytest.approx(-1103.39, abs=0.01)
    assert found.mixtures[3].neighbours_ == [3, 4]
    assert found.mixtures[2].neighbours_ == [2, 4]
    assert fastem.select(eruptions, [4, 3]).mixtures[0].neighbours_ == [3, 4]


def test_a_candidate_that_is_bettered_is_told_again():
    seen = []
    found = fastem.select(PAIRS, [4, 3], estimator=POOR, on_candidate=seen.append)
    assert [each.n_components for each in seen[:2]] == [4, 3]
    last = {each.n_components: each.loglik for each in seen}
    assert last == {each.n_components: each.loglik for each in found.candidates}


def test_a_folder_has_what_was_bettered_and_what_was_tried(tmp_path, monkeypatch):
    whole = fastem.select(PAIRS, range(2, 5), estimator=POOR, checkpoint=tmp_path)
    monkeypatch.setattr(fastem.GaussianMixture, "fit", None)
    again = fastem.select(PAIRS, range(2, 5), estimator=POOR, checkpoint=tmp_path)
    assert str(again) == str(whole)


def test_a_maximum_without_suspect_components_takes_the_place_of_one_with():
    pair = np.concatenate([RNG.normal(size=(60, 1)), [[9.0], [9.0]]])
    with pytest.warns(fastem.CollapsedComponentWarning):
        suspect = fastem.GaussianMixture(2).fit(pair)
    sound = fastem.GaussianMixture(2).fit(PAIRS)
    assert len(suspect.diagnose().spurious) == 1
    sound.suspect_, sound.doubtful_ = [], 0.0
    suspect.log_posterior_, suspect.doubtful_ = sound.log_posterior_ + 1000.0, 1000.0
    assert chooser.is_higher(sound, suspect)
    assert not chooser.is_higher(suspect, sound)


def test_the_same_maximum_is_no_other():
    ours, theirs = fastem.GaussianMixture(2).fit(PAIRS), fastem.GaussianMixture(2).fit(PAIRS)
    ours.doubtful_ = theirs.doubtful_ = 0.0
    theirs.log_posterior_ += 5 * theirs.tol * len(PAIRS)
    assert not chooser.is_higher(theirs, ours)
    theirs.log_posterior_ += 6 * theirs.tol * len(PAIRS)
    assert chooser.is_higher(theirs, ours)


def test_screened_starts_stay_behind():
    out = [Start(math.nan, n_iter, "screened out: x") for n_iter in (7, 3)]
    ends = [out[0], Start(-3.0, 9, "tol"), out[1], Start(-2.0, 9, "tol")]
    assert chooser.sort_starts(ends) == [ends[3], ends[1], *out]


# -------------------------------------------------------------------------------------------------------- checkpoints


def test_a_folder_resumes(tmp_path, monkeypatch):
    whole = fastem.select(X, range(1, 4), estimator=QUICK)
    fastem.select(X, range(1, 3), estimator=QUICK, checkpoint=tmp_path / "new" / "folder")
    fits = []
    fit_mixture = model.fit_mixture
    monkeypatch.setattr(
        model,
        "fit_mixture",
        lambda rows, family, settings, starts, **options: (
            fits.append(starts.n_components) or fit_mixture(rows, family, settings, starts, **options)
        ),
    )
    again = fastem.select(X, range(1, 4), estimator=QUICK, checkpoint=tmp_path / "new" / "folder")
    assert fits == [3, 3, 2]  # from its starts, from the split of 2, and 2 from a merge
    assert str(again) == str(whole)
    np.testing.assert_array_equal(again.best.means_, whole.best.means_)


def test_held_out_rows_are_kept_and_added_to_mixtures_without(tmp_path, monkeypatch):
    fastem.select(X, [1, 2], estimator=QUICK, checkpoint=tmp_path)
    found = fastem.select(X, [1, 2], estimator=QUICK, checkpoint=tmp_path, criterion="cv")
    monkeypatch.setattr(chooser, "held_out_deviance", None)
    again = fastem.select(X, [1, 2], estimator=QUICK, checkpoint=tmp_path, criterion="cv")
    assert again.values.tolist() == found.values.tolist()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"X": X + 1}, "data"),
        ({"sample_weight": np.arange(len(X))}, "data"),
        ({"folds": 4}, "folds"),
        ({"split_merge": False}, "split_merge"),
        ({"estimator": quick(tol=1e-3)}, "tol"),
        ({"estimator": quick(random_state=1)}, "random_state"),
        ({"estimator": COINS, "X": HEADS, "trials": TOSSES}, "class"),
    ],
)
def test_a_folder_of_other_mixtures_is_refused(tmp_path, change, name):
    fastem.select(X, [1], estimator=QUICK, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=f"was written by another fit: {name} was"):
        fastem.select(**{"X": X, "n_components": [1], "estimator": QUICK, "checkpoint": tmp_path} | change)


# ------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"n_components": []}, ValueError, "n_components must not be empty"),
        ({"n_components": 3}, TypeError, r"n_components must be a list or another iterable, for instance \[3\], got 3"),
        ({"n_components": [2, 0]}, ValueError, "n_components must be at least 1, got 0"),
        ({"n_components": [2.5]}, TypeError, "n_components must be an int, got 2.5"),
        ({"covariance_types": "full"}, TypeError, "covariance_types must be a list"),
        ({"covariance_types": ["round"]}, ValueError, "covariance_types must be one of 'full'"),
        ({"covariance_types": ["full"], "estimator": COINS, "trials": 60}, TypeError, "covariance_types are given"),
        ({"split_merge": "both"}, TypeError, "split_merge must be True or False, got 'both'"),
        ({"criterion": "dic"}, ValueError, "criterion must be one of 'bic'"),
        ({"folds": 1}, ValueError, "folds must be at least 2"),
        ({"estimator": "gmm"}, TypeError, "estimator must be"),
        ({"estimator": fastem.GaussianMixture(checkpoint="a.npz")}, ValueError, "checkpoint of estimator must be None"),
        ({"trials": 3}, ValueError, "trials are for a BinomialMixture"),
        ({"checkpoint": 3}, TypeError, "checkpoint must be a path"),
        (
            {"X": X[:3], "n_components": [4]},
            ValueError,
            "n_components must be at most 3, the number of distinct rows of X, got 4",
        ),
        ({"X": X[:3], "n_components": [1], "criterion": "cv"}, ValueError, "folds must be at most the number of rows"),
        ({"X": fastem.GaussianMixture(), "n_components": X}, TypeError, r"call select\(X, \.\.\., estimator=GaussianM"),
        ({"X": fastem.PoissonMixture}, TypeError, "X must be the rows, got a PoissonMixture"),
        ({"on_candidate": 3}, TypeError, "on_candidate must be None or a function, got 3"),
        ({"estimator": fastem.GaussianMixture(tol=-1)}, ValueError, "tol must be finite and not negative"),
    ],
)
def test_bad_arguments_are_named(change, error, sentence):
    with pytest.raises(error, match=sentence):
        fastem.select(**{"X": X, "n_components": [1]} | change)


def test_the_estimator_is_not_fitted_itself():
    estimator = fastem.GaussianMixture(random_state=0)
    fastem.select(X, [2], estimator=estimator)
    assert not hasattr(estimator, "means_")
    assert estimator.n_components == 1


def test_the_default_estimator_converges_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fastem.select(X, range(1, 5)).best.n_components == 3


def test_a_rare_component_among_many_rows_is_chosen():
    """It is 80 of the 8,192 rows that a search looks at: all rows have to say that it is there."""
    for seed in (0, 3):
        rng = np.random.default_rng([seed, 77])
        X = np.concatenate([rng.normal(0.0, 3.0, 50_000), rng.normal(4.0, 0.5, 500)])[:, np.newaxis]
        selection = fastem.select(X, range(1, 4))
        assert selection.best.n_components == 2
        np.testing.assert_allclose(selection.best.means_[selection.best.weights_.argmin()], 4.0, atol=0.3)
