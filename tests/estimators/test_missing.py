"""Fits of rows of which values are missing: closed forms, the laws of EM, every source of rows, what is refused."""

import warnings

import numpy as np
import pytest
from support.sweeps import KINDS

import fastem
from fastem import BinomialMixture, GaussianMixture, PoissonMixture
from fastem.data.slots import SLOT_ROWS

RNG = np.random.default_rng(0)
MEANS = np.array([[0.0, 0.0, 0.0, 0.0], [4.0, -3.0, 1.0, 2.0], [-4.0, 1.0, 3.0, -2.0]])
X = MEANS[RNG.integers(3, size=900)] + RNG.standard_normal((900, 4))
GAPS = X.copy()
GAPS[RNG.random(X.shape) < 0.2] = np.nan
GAPS[[5, 700]] = np.nan
EXACT = {"reg_covar": 0.0, "tol": 1e-13, "stopping": "loglik", "max_iter": 10_000}
kinds = pytest.mark.parametrize("kind", KINDS)


def gaussian(k=3, **settings):
    return GaussianMixture(k, missing="marginalize", random_state=0, **settings)


def assert_same(a, b):
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.loglik_ == b.loglik_
    assert a.n_empty_rows_ == b.n_empty_rows_


# ---------------------------------------------------------------------------------------------------- closed forms


def test_of_two_columns_one_of_which_lacks_values_are_the_regression_estimates():
    """Anderson (1957), Maximum likelihood estimates for a multivariate normal distribution when some are missing."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal(400)
    y = 3 + 2 * x + rng.standard_normal(400)
    rows = np.column_stack([x, np.where(x + 0.5 * rng.standard_normal(400) > 0.3, np.nan, y)])
    complete = rows[~np.isnan(rows[:, 1])]
    slope = np.cov(complete.T, bias=True)[0, 1] / complete[:, 0].var()
    left = (complete[:, 1] - slope * complete[:, 0]).var()
    mean = [x.mean(), complete[:, 1].mean() + slope * (x.mean() - complete[:, 0].mean())]
    covariance = [[x.var(), slope * x.var()], [slope * x.var(), left + slope**2 * x.var()]]
    found = gaussian(1, **EXACT).fit(rows)
    np.testing.assert_allclose(found.means_[0], mean, rtol=1e-6)
    np.testing.assert_allclose(found.covariances_[0], covariance, rtol=1e-6)


def test_one_component_without_correlations_has_the_moments_of_what_is_observed():
    found = gaussian(1, covariance_type="diag", **EXACT).fit(GAPS)
    np.testing.assert_allclose(found.means_[0], np.nanmean(GAPS, axis=0), atol=1e-6)
    np.testing.assert_allclose(found.covariances_[0], np.nanvar(GAPS, axis=0), rtol=1e-6)


def test_one_component_of_counts_has_the_mean_of_what_is_observed():
    counts = RNG.poisson([3.0, 20.0], size=(300, 2)).astype(float)
    counts[RNG.random(counts.shape) < 0.3] = np.nan
    found = PoissonMixture(1, missing="marginalize", tol=1e-13, stopping="loglik").fit(counts)
    np.testing.assert_allclose(found.rates_[0], np.nanmean(counts, axis=0), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint64, np.float32])
def test_counts_may_have_gaps_and_need_none_whatever_their_type(dtype):
    counts = RNG.poisson(np.repeat([[0.2], [6.0]], 150, axis=0), size=(300, 2)).astype(dtype)
    mixture = PoissonMixture(2, missing="marginalize", random_state=0)
    expected = PoissonMixture(2, random_state=0).fit(counts)
    for data in ({"X": counts}, {"X": counts, "sample_weight": np.ones(300)}, {"chunks": [counts[:99], counts[99:]]}):
        np.testing.assert_array_equal(mixture.fit(**data).rates_, expected.rates_)
    weights = np.r_[np.zeros(50), np.ones(250)]
    found, without = mixture.fit(counts, sample_weight=weights).loglik_, mixture.fit(counts[50:]).loglik_
    assert found == pytest.approx(without, rel=1e-6)


def test_rows_without_a_value_are_named_not_only_their_weights():
    rows = np.full((5, GAPS.shape[1]), np.nan)
    mixture = gaussian(1, **EXACT).fit(GAPS)
    calls = [
        lambda: mixture.fit(rows), lambda: mixture.fit(chunks=[rows]), lambda: mixture.score(rows),
        lambda: mixture.score(chunks=[rows]), lambda: mixture.bic(rows),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(ValueError, match="for a row of X that has a value, but none does"):
            call()


def test_a_missing_count_of_successes_is_one_of_no_trials():
    successes = RNG.binomial(10, [[0.2, 0.5, 0.9]], size=(400, 3)).astype(float)
    successes[::2] = RNG.binomial(10, [[0.7, 0.4, 0.3]], size=(200, 3))
    lacking = np.where(RNG.random(successes.shape) < 0.2, np.nan, successes)
    present = ~np.isnan(lacking).all(axis=1)
    assert not present.all()
    settings = {"random_state": 0, "order_by": "probs", "tol": 1e-9}
    trials = np.where(np.isnan(lacking), 0, 10)
    found = BinomialMixture(2, missing="marginalize", **settings).fit(lacking, trials=10)
    expected = BinomialMixture(2, **settings).fit(np.nan_to_num(lacking[present]), trials=trials[present])
    np.testing.assert_allclose(found.probs_, expected.probs_, rtol=1e-6)
    assert found.loglik_ == pytest.approx(expected.loglik_, rel=1e-12)
    assert found.n_empty_rows_ == (~present).sum()
    assert found.counts_.sum() == pytest.approx(present.sum(), rel=1e-12)


# ------------------------------------------------------------------------------------------------------- laws of EM


@kinds
def test_the_log_likelihood_never_falls(kind):
    mixture = gaussian(3, covariance_type=kind, init_params="random", tol=0, max_iter=100, stopping="loglik")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture.fit(GAPS)
    assert mixture.ascent_.largest_fall <= mixture.ascent_.bound
    assert mixture.history_.loglik[-1] > mixture.history_.loglik[0]


@kinds
@pytest.mark.parametrize("acceleration", ["quasi-newton", "anderson", "squarem"])
def test_accelerated_fits_end_at_the_same_maximum(kind, acceleration):
    settings = {"covariance_type": kind, "tol": 1e-10, "stopping": "aitken", "max_iter": 2000, "order_by": "means"}
    plain = gaussian(acceleration=None, **settings).fit(GAPS)
    fast = gaussian(acceleration=acceleration, **settings).fit(GAPS)
    assert fast.loglik_ == pytest.approx(plain.loglik_, rel=1e-9)
    np.testing.assert_allclose(fast.means_, plain.means_, atol=1e-3)


@pytest.mark.parametrize(
    ("seed", "kind", "acceleration"),
    [(3, "full", "quasi-newton"), (5, "spherical", "quasi-newton"), (5, "tied", "anderson"), (7, "full", "squarem")],
)
def test_extrapolations_go_no_lower_than_m_steps_leave_a_component_of_few_observed_values(seed, kind, acceleration):
    """Where a component has collapsed, log likelihoods fell by 0.02 to 0.05: M-steps widened it once more."""
    settings = {"covariance_type": kind, "acceleration": acceleration, "tol": 0, "stopping": "loglik", "max_iter": 300}
    mixture = fit_with_too_many_components(seed, **settings)[0]
    assert mixture.ascent_.largest_fall < 1e-4  # reg_covar moves the maximum: see docs/numerics.md
    assert np.diff(mixture.history_.loglik).min() > -1e-4


def fit_with_too_many_components(seed, **settings):
    """-> a fit of few rows with many gaps, of which some components collapse, and these rows"""
    rng = np.random.default_rng(seed)
    d, k, n = (int(rng.integers(*limits)) for limits in ((1, 5), (2, 6), (20, 200)))
    means = rng.normal(0, 3, (k, d))
    rows = means[rng.integers(k, size=n)] + rng.standard_normal((n, d))
    rows[rng.random(rows.shape) < rng.uniform(0.3, 0.5)] = np.nan
    settings |= {"missing": "marginalize", "init_params": "random", "random_state": seed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GaussianMixture(k + 2, **settings).fit(rows), rows


@kinds
@pytest.mark.parametrize("acceleration", ["quasi-newton", "anderson", "squarem"])
@pytest.mark.parametrize("reg_covar", [1e-6, 1e-2])
def test_accelerated_fits_end_where_m_steps_leave_them(kind, acceleration, reg_covar):
    """An extrapolation may get higher than M-steps that add reg_covar stay; a fit does not end there."""
    settings = {"covariance_type": kind, "acceleration": acceleration, "reg_covar": reg_covar}
    mixture, rows = fit_with_too_many_components(102, tol=1e-8, stopping="aitken", max_iter=3000, **settings)
    params = mixture.params_
    for _ in range(100):
        params = fastem.accumulate(params, rows, missing="marginalize").maximize(reg_covar=reg_covar)
    left = fastem.accumulate(params, rows, missing="marginalize").loglik
    assert left > mixture.loglik_ - 3e-3  # in 576 such fits it was lower by 1.3e-3 at the most


@kinds
def test_a_search_gets_as_high_as_em_from_the_truth(kind):
    found = gaussian(covariance_type=kind, tol=1e-8, max_iter=2000).fit(GAPS)
    truth = gaussian(covariance_type=kind, tol=1e-8, max_iter=2000, means_init=MEANS, stopping="aitken").fit(GAPS)
    assert found.loglik_ >= truth.loglik_ - 1e-3
    complete = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
    lost = np.linalg.norm(found.means_[:, None] - complete.means_, axis=2).min(axis=1)
    assert lost.max() < 0.3  # two standard errors of a mean of 200 rows


@kinds
def test_rows_that_lack_nothing_have_the_fit_of_complete_ones(kind):
    assert_same(gaussian(covariance_type=kind).fit(X), GaussianMixture(3, covariance_type=kind, random_state=0).fit(X))


@kinds
def test_permuted_columns_have_the_permuted_fit(kind):
    order = [2, 0, 3, 1]
    settings = {"covariance_type": kind, "tol": 1e-9, "stopping": "aitken", "max_iter": 2000}
    there = gaussian(means_init=MEANS, **settings).fit(GAPS)
    here = gaussian(means_init=MEANS[:, order], **settings).fit(GAPS[:, order])
    np.testing.assert_allclose(here.means_, there.means_[:, order], atol=1e-4)
    assert here.loglik_ == pytest.approx(there.loglik_, rel=1e-9)


def test_a_weight_counts_as_equal_rows_and_a_row_without_values_as_none():
    weights = RNG.integers(0, 3, size=len(GAPS))
    settings = {"means_init": MEANS, "tol": 1e-9, "stopping": "aitken", "max_iter": 2000}
    weighted = gaussian(**settings).fit(GAPS, sample_weight=weights)
    repeated = gaussian(**settings).fit(np.repeat(GAPS, weights, axis=0))
    assert weighted.loglik_ == pytest.approx(repeated.loglik_, rel=1e-9)
    without = gaussian(**settings).fit(GAPS[~np.isnan(GAPS).all(axis=1)])
    found = gaussian(**settings).fit(GAPS)
    assert found.loglik_ == pytest.approx(without.loglik_, rel=1e-12)
    assert found.bic_ == pytest.approx(without.bic_, rel=1e-12)
    assert (found.n_empty_rows_, without.n_empty_rows_) == (np.isnan(GAPS).all(axis=1).sum(), 0)


# ------------------------------------------------------------------------------------------- wherever the rows are

MANY = np.tile(GAPS, (12, 1)) + 1e-3 * RNG.standard_normal((12 * 900, 4))
assert len(MANY) > 2 * SLOT_ROWS


def many(**settings):
    return gaussian(order_by="means", **settings)


@pytest.fixture(scope="module")
def in_memory():
    return many().fit(MANY)


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_bits_do_not_depend_on_threads(in_memory, n_threads):
    assert_same(many(n_threads=n_threads).fit(MANY), in_memory)


def test_chunks_have_the_same_bits(in_memory):
    chunks = [MANY[:1], MANY[1:5000], MANY[5000:]]
    assert_same(many().fit(chunks=chunks), in_memory)
    np.testing.assert_array_equal(in_memory.predict(chunks=chunks), in_memory.predict(MANY))
    assert in_memory.bic(chunks=chunks) == pytest.approx(in_memory.bic_, rel=1e-12)


def test_weighted_chunks_have_the_same_bits():
    weights = RNG.random(len(MANY))
    chunks = [(MANY[:5000], weights[:5000]), (MANY[5000:], weights[5000:])]
    assert_same(many().fit(chunks=chunks), many().fit(MANY, sample_weight=weights))


def test_nulls_of_arrow_are_missing(in_memory):
    arrow = pytest.importorskip("pyarrow")
    names = list("abcd")
    table = arrow.table(
        {name: arrow.array(column, from_pandas=True) for name, column in zip(names, MANY.T, strict=True)}
    )
    assert table["a"].null_count
    rows = fastem.from_arrow(table, names)
    assert_same(many().fit(rows), in_memory)
    np.testing.assert_array_equal(in_memory.score_samples(rows), in_memory.score_samples(MANY))
    with pytest.raises(ValueError, match="column 'a' must be finite, without null"):
        GaussianMixture(2).fit(rows)


def test_partitions_of_dask_have_the_same_fit(in_memory):
    array = pytest.importorskip("dask.array").from_array(MANY, chunks=(SLOT_ROWS, 4))
    found = many().fit(array)
    np.testing.assert_allclose(found.means_, in_memory.means_, rtol=1e-12)
    assert found.n_empty_rows_ == in_memory.n_empty_rows_
    np.testing.assert_allclose(found.score_samples(array).compute(), in_memory.score_samples(MANY), rtol=1e-9)
    assert found.bic(array) == pytest.approx(found.bic_, rel=1e-12)


def test_what_frames_and_masked_arrays_have_for_missing_values():
    pd = pytest.importorskip("pandas")
    expected = gaussian().fit(GAPS)
    for rows in (pd.DataFrame(GAPS), pd.DataFrame(GAPS).convert_dtypes(), np.ma.masked_invalid(GAPS)):
        assert_same(gaussian().fit(rows), expected)
    assert_same(gaussian().fit([[None if np.isnan(x) else x for x in row] for row in GAPS]), expected)


def test_counts_in_chunks_have_the_same_bits():
    counts = RNG.poisson([[3.0, 20.0]], size=(9000, 2)).astype(float)
    counts[::2] = RNG.poisson([[9.0, 2.0]], size=(4500, 2))
    counts[RNG.random(counts.shape) < 0.2] = np.nan
    for estimator, trials in ((PoissonMixture(2), {}), (BinomialMixture(2), {"trials": 60})):
        estimator.set_params(missing="marginalize", random_state=0)
        here = estimator.fit(counts, **trials).params_
        there = estimator.fit(chunks=[counts[:700], counts[700:]], **trials).params_
        np.testing.assert_allclose(there.weights, here.weights, rtol=1e-12)
        assert estimator.n_empty_rows_ == np.isnan(counts).all(axis=1).sum()


def test_float32_rows_have_the_fit_of_float64():
    single, double = gaussian().fit(GAPS.astype(np.float32)), gaussian().fit(GAPS)
    assert single.means_.dtype == np.float32
    np.testing.assert_allclose(single.means_, double.means_, atol=1e-4)


def test_other_uses_of_a_fit(tmp_path):
    mixture = gaussian().fit(GAPS)
    mixture.save(tmp_path / "model.npz")
    loaded = fastem.load(tmp_path / "model.npz")
    assert loaded.missing == "marginalize"
    np.testing.assert_array_equal(loaded.score_samples(GAPS), mixture.score_samples(GAPS))
    present = ~np.isnan(GAPS).all(axis=1)
    assert mixture.score(GAPS) == pytest.approx(mixture.score_samples(GAPS[present]).mean(), rel=1e-12)
    assert mixture.bic(GAPS) == pytest.approx(mixture.bic_, rel=1e-12)
    np.testing.assert_allclose(mixture.predict_proba(GAPS)[5], mixture.weights_, rtol=1e-12)
    by_component = np.exp(mixture.log_prob_components(GAPS)).sum(axis=1)
    np.testing.assert_allclose(np.log(by_component), mixture.score_samples(GAPS), atol=1e-9)
    assert mixture.improve(GAPS).loglik_ >= mixture.loglik_ - 1e-9


def test_selection_compares_mixtures_of_rows_with_gaps():
    assert fastem.select(GAPS, range(1, 5), estimator=gaussian()).best.n_components == 3
    found = fastem.bootstrap_test(GAPS[:400], 1, estimator=gaussian(), n_bootstrap=4)
    assert found.p_value == 0.2


# ------------------------------------------------------------------------------------------------ what is refused


def test_the_default_refuses_nan_and_nothing_takes_infinity():
    with pytest.raises(ValueError, match="X must be finite, without NaN or infinity, got nan at row"):
        GaussianMixture(2).fit(GAPS)
    rows = GAPS.copy()
    rows[3, 1] = -np.inf
    for call in (lambda: gaussian().fit(rows), lambda: gaussian().fit(chunks=[rows[:100], rows[100:]])):
        with pytest.raises(ValueError, match="X must be finite, without infinity, got -inf at row 3, column 1"):
            call()


@pytest.mark.parametrize("estimator", [GaussianMixture(2), PoissonMixture(2), BinomialMixture(2, n_trials=9)])
def test_a_column_without_values_is_named_in_a_fit_and_welcome_in_predictions(estimator):
    estimator.set_params(missing="marginalize", random_state=0)
    rows = RNG.integers(0, 9, size=(50, 3)).astype(float)
    fitted = estimator.fit(rows)
    rows[:, 1] = np.nan
    assert len(fitted.predict(rows)) == 50
    for data in ({"X": rows}, {"chunks": [rows[:20], rows[20:]]}):
        with pytest.raises(ValueError, match="column 1 has no value"):
            estimator.fit(**data)


@pytest.mark.parametrize("estimator", [GaussianMixture(1, noise=True), PoissonMixture(1), BinomialMixture(1)])
def test_a_column_whose_values_have_no_weight_has_none(estimator):
    rows, weights = RNG.integers(0, 9, size=(200, 3)).astype(float), np.ones(200)
    rows[60:, 1], weights[:60] = np.nan, 0.0
    estimator.set_params(missing="marginalize", random_state=0, tol=1.0)
    trials = (np.full((200, 3), 9),) if isinstance(estimator, BinomialMixture) else ()
    chunks = [tuple(each[part] for each in (rows, *trials, weights)) for part in (slice(30), slice(30, None))]
    for data in ({"X": rows, "sample_weight": weights} | ({"trials": 9} if trials else {}), {"chunks": chunks}):
        with pytest.raises(ValueError, match="column 1 has no value"):
            estimator.fit(**data)
    weights[:60] = 1.0
    assert estimator.fit(chunks=chunks).n_empty_rows_ == 0


def test_weight_on_rows_without_values_alone_is_none():
    rows, weights = [[1.0, 2.0], [np.nan, np.nan], [5.0, 1.0]], [0, 1, 0]
    for data in ({"X": rows, "sample_weight": weights}, {"chunks": [(rows, weights)]}):
        with pytest.raises(ValueError, match="sample_weight must hold a positive weight"):
            gaussian(1).fit(**data)


@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")
def test_a_sample_without_weight_is_replaced_by_rows_that_have_both():
    rows, weights = np.full((20_000, 2), np.nan), np.zeros(20_000)
    rows[:9_000] = RNG.standard_normal((9_000, 2))
    rows[9_000:9_003], weights[9_000:9_003] = [[0.0, np.nan], [2.0, 5.0], [np.nan, 1.0]], 1.0
    weights[15_000:] = 1.0  # these have no values
    assert np.isfinite(gaussian(2, init_params="kmeans").fit(rows, sample_weight=weights).means_).all()


def test_negative_and_broken_counts_are_refused():
    for value, message in ((-1.0, "Negative"), (0.5, "whole numbers"), (np.inf, "infinity")):
        with pytest.raises(ValueError, match=f"{message}.* at row 1, column 0"):
            PoissonMixture(2, missing="marginalize").fit([[np.nan, 2.0], [value, np.nan]])


def test_a_setting_that_is_none():
    with pytest.raises(ValueError, match="missing must be one of 'raise', 'marginalize', got 'drop'"):
        GaussianMixture(2, missing="drop").fit(X)


def test_the_tag_tells_whether_nan_is_taken():
    pytest.importorskip("sklearn")
    for estimator in (GaussianMixture(), PoissonMixture(), BinomialMixture()):
        assert not estimator.__sklearn_tags__().input_tags.allow_nan
        assert estimator.set_params(missing="marginalize").__sklearn_tags__().input_tags.allow_nan
