"""Fits with a background of rows that lack values: wherever these are, and whatever is asked of them."""

import math

import numpy as np
import pytest
from scipy import stats
from support import naive
from support.asserts import same_fit
from support.sweeps import KINDS

import fastem
from fastem import GaussianMixture

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(0, 1, (450, 3)), RNG.normal([6, 0, 1], 1, (450, 3)), RNG.uniform(-15, 20, (150, 3))])
GAPS = np.where(RNG.random(X.shape) < 0.25, np.nan, X)
GAPS[[7, 950]] = np.nan
WEIGHTS = RNG.integers(1, 4, len(X)).astype(float)
LABELS = np.where(RNG.random(len(X)) < 0.2, np.repeat([0, 1, -1], [450, 450, 150]), -1)
kinds = pytest.mark.parametrize("kind", KINDS)
noises = pytest.mark.parametrize("noise", [True, 1e-4], ids=["box", "density"])


def gaussian(k=2, **settings):
    return GaussianMixture(
        k, **{"noise": True, "missing": "marginalize", "random_state": 0, "order_by": "means"} | settings
    )


def log_densities(mixture, rows):
    """Weight times density of each component, and of the background, in what is there of each row, by SciPy."""
    k, d = mixture.means_.shape
    matrices = naive.expand_covariances(mixture.covariances_, mixture.covariance_type, k, d)
    widths = box_widths(mixture)
    logs = np.zeros((len(rows), k + 1))
    for i, o in enumerate(~np.isnan(rows)):
        for c in range(k if o.any() else 0):
            own = stats.multivariate_normal(mixture.means_[c, o], matrices[c][np.ix_(o, o)])
            logs[i, c] = own.logpdf(rows[i, o])
        logs[i, k] = -np.log(widths[o]).sum()
    return logs + np.log([*mixture.weights_, mixture.noise_weight_])


def box_widths(mixture):
    """Of the box about what is there or, where there is a density, of one in its proportions of volume 1 / density."""
    widths = np.nanmax(GAPS, axis=0) - np.nanmin(GAPS, axis=0)
    return widths if mixture.noise is True else widths / (mixture.noise * widths.prod()) ** (1 / len(widths))


@noises
@kinds
def test_a_fit_is_at_the_maximum_of_the_densities_of_what_is_there(kind, noise, twin):
    mixture = gaussian(covariance_type=kind, noise=noise, backend=twin).fit(GAPS)
    logs, present = log_densities(mixture, GAPS), ~np.isnan(GAPS).all(axis=1)
    assert mixture.converged_
    assert mixture.ascent_.holds
    log_prob = np.logaddexp.reduce(logs, axis=1)
    resp = np.exp(logs - log_prob[:, np.newaxis])
    assert mixture.loglik_ == pytest.approx(log_prob[present].sum(), rel=1e-12)
    np.testing.assert_allclose(mixture.score_samples(GAPS), log_prob, atol=1e-12)
    np.testing.assert_allclose(mixture.predict_proba(GAPS), resp, atol=1e-12)
    np.testing.assert_allclose(mixture.log_prob_components(GAPS), logs, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(mixture.predict(GAPS), np.array([0, 1, -1])[resp.argmax(axis=1)])
    assert resp[present, -1].mean() == pytest.approx(mixture.noise_weight_, abs=1e-4)
    assert mixture.noise_count_ == pytest.approx(resp[present, -1].sum(), rel=1e-9)
    assert mixture.n_empty_rows_ == (~present).sum()


@kinds
def test_the_truth_is_found_again(kind):
    """A seventh of the rows, and means, to about three standard errors of 450 rows that lack a quarter."""
    mixture = gaussian(covariance_type=kind).fit(GAPS)
    assert mixture.noise_weight_ == pytest.approx(1 / 7, abs=0.035)
    np.testing.assert_allclose(mixture.means_, [[0, 0, 0], [6, 0, 1]], atol=0.2)
    inside = ~np.isnan(GAPS).any(axis=1)
    right = np.repeat([0, 1, -1], [450, 450, 150])[inside]
    assert (mixture.predict(GAPS[inside]) == right).mean() > 0.97


@kinds
@pytest.mark.parametrize("acceleration", ["quasi-newton", "squarem"])
def test_accelerated_fits_end_at_the_same_maximum_and_never_fall(kind, acceleration):
    settings = {"covariance_type": kind, "tol": 1e-10, "stopping": "aitken", "max_iter": 2000, "reg_covar": 0.0}
    plain = gaussian(acceleration=None, **settings).fit(GAPS)
    fast = gaussian(acceleration=acceleration, **settings).fit(GAPS)
    for mixture in (plain, fast):
        assert mixture.ascent_.largest_fall <= mixture.ascent_.bound
    assert fast.loglik_ == pytest.approx(plain.loglik_, rel=1e-9)
    assert fast.noise_weight_ == pytest.approx(plain.noise_weight_, abs=1e-4)


def test_rows_of_weight_w_count_as_w_rows():
    start = {"weights_init": [0.4, 0.4], "means_init": [[0, 0, 0], [6, 0, 1]], "precisions_init": [np.eye(3)] * 2}
    settings = {"tol": 1e-9, "stopping": "aitken", "max_iter": 1000} | start
    weighted = gaussian(**settings).fit(GAPS, sample_weight=WEIGHTS)
    repeated = gaussian(**settings).fit(np.repeat(GAPS, WEIGHTS.astype(int), axis=0))
    assert weighted.loglik_ == pytest.approx(repeated.loglik_, rel=1e-9)
    assert weighted.noise_weight_ == pytest.approx(repeated.noise_weight_, rel=1e-6)


# ------------------------------------------------------------------------------------------- wherever the rows are


@kinds
def test_chunks_threads_and_tables_have_the_bits_of_rows_in_memory(kind):
    pa = pytest.importorskip("pyarrow")
    expected = gaussian(covariance_type=kind).fit(GAPS, sample_weight=WEIGHTS)
    chunks = [(GAPS[:77], WEIGHTS[:77]), (GAPS[77:500], WEIGHTS[77:500]), (GAPS[500:], WEIGHTS[500:])]
    same_fit(gaussian(covariance_type=kind).fit(chunks=chunks), expected)
    same_fit(gaussian(covariance_type=kind, n_threads=3).fit(GAPS, sample_weight=WEIGHTS), expected)
    columns = {name: pa.array(column, from_pandas=True) for name, column in zip("abc", GAPS.T, strict=True)}
    table = fastem.from_arrow(pa.table(columns | {"w": WEIGHTS}), list("abc"), sample_weight="w")
    found = gaussian(covariance_type=kind).fit(table)
    assert (found.noise_weight_, found.loglik_) == (expected.noise_weight_, expected.loglik_)
    np.testing.assert_array_equal(found.noise_box_, expected.noise_box_)
    np.testing.assert_array_equal(found.predict(chunks=[GAPS[:10], GAPS[10:]]), expected.predict(GAPS))
    np.testing.assert_array_equal(found.predict_proba(chunks=[GAPS[:10], GAPS[10:]]), expected.predict_proba(GAPS))


@noises
def test_partitions_of_dask_have_the_same_fit(noise):
    array = pytest.importorskip("dask.array").from_array(GAPS, chunks=(300, 3))
    expected, found = gaussian(noise=noise).fit(GAPS), gaussian(noise=noise).fit(array)
    np.testing.assert_array_equal(found.noise_box_, expected.noise_box_)
    np.testing.assert_allclose(found.means_, expected.means_, rtol=1e-9, atol=1e-9)
    assert found.noise_weight_ == pytest.approx(expected.noise_weight_, rel=1e-9)
    np.testing.assert_array_equal(expected.predict(array).compute(), expected.predict(GAPS))
    np.testing.assert_array_equal(expected.predict_proba(array).compute(), expected.predict_proba(GAPS))
    here, there = (gaussian(noise=noise, order_by=None).fit(rows, labels=LABELS) for rows in (GAPS, array))
    assert there.loglik_ == pytest.approx(here.loglik_, rel=1e-9)


def test_float32_rows_have_the_fit_of_float64():
    single, double = gaussian().fit(GAPS.astype(np.float32)), gaussian().fit(GAPS)
    assert single.means_.dtype == np.float32
    np.testing.assert_allclose(single.means_, double.means_, atol=1e-4)
    assert single.noise_weight_ == pytest.approx(double.noise_weight_, abs=1e-5)
    proba = single.predict_proba(GAPS.astype(np.float32))
    assert proba.dtype == np.float32
    np.testing.assert_allclose(proba, double.predict_proba(GAPS), atol=1e-3)


def test_a_file_keeps_it(tmp_path):
    mixture = gaussian(noise=1e-4).fit(GAPS)
    mixture.save(tmp_path / "model.npz")
    loaded = fastem.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(loaded.predict_proba(GAPS), mixture.predict_proba(GAPS))
    assert mixture.predict_to(tmp_path / "rows.csv", GAPS) == len(GAPS)
    component = np.loadtxt(tmp_path / "rows.csv", delimiter=",", skiprows=1)[:, 0]
    np.testing.assert_array_equal(component, mixture.predict(GAPS))


# --------------------------------------------------------------------------------------------------- what is asked


@noises
def test_what_is_missing_is_imputed_by_the_components_and_the_background(noise):
    mixture = gaussian(noise=noise).fit(GAPS)
    filled = mixture.impute(GAPS)
    middle = mixture.noise_box_[0] + mixture.noise_box_[1:].sum(axis=0) / 2
    resp = mixture.predict_proba(GAPS)
    for i in np.flatnonzero(np.isnan(GAPS).any(axis=1))[::17]:
        expected = resp[i, -1] * middle
        for c in range(2):
            expected = (
                expected
                + resp[i, c] * naive.conditional_moments(GAPS[i], mixture.means_[c], mixture.covariances_[c])[0]
            )
        np.testing.assert_allclose(filled[i], np.where(np.isnan(GAPS[i]), expected, GAPS[i]), rtol=1e-9, atol=1e-9)


@noises
@kinds
def test_the_marginal_scores_what_is_there_alone(kind, noise):
    mixture, rows = gaussian(covariance_type=kind, noise=noise).fit(GAPS), X.copy()
    rows[:, 1] = np.nan
    part = mixture.marginal([0, 2])
    np.testing.assert_allclose(part.score_samples(X[:, [0, 2]]), mixture.score_samples(rows), atol=1e-12)
    np.testing.assert_allclose(part.predict_proba(X[:, [0, 2]]), mixture.predict_proba(rows), atol=1e-12)
    again = part.marginal(1)
    np.testing.assert_allclose(again.score_samples(X[:, [2]]), mixture.marginal(2).score_samples(X[:, [2]]), atol=1e-12)


@noises
@kinds
def test_known_rows_stay_in_their_component(kind, noise):
    mixture = gaussian(covariance_type=kind, noise=noise, reg_covar=0.0, order_by=None).fit(GAPS, labels=LABELS)
    logs, known = log_densities(mixture, GAPS), LABELS >= 0
    present = ~np.isnan(GAPS).all(axis=1)
    right = np.logaddexp.reduce(logs[~known & present], axis=1).sum()
    right += logs[known & present, LABELS[known & present]].sum()
    assert mixture.loglik_ == pytest.approx(right, rel=1e-12)
    assert mixture.ascent_.holds
    begun = gaussian(covariance_type=kind, noise=noise).fit(GAPS, labels_init=np.maximum(LABELS, 0))
    assert np.isfinite(begun.loglik_)


def test_selection_finds_the_number_of_components():
    selection = fastem.select(GAPS, range(1, 4), estimator=gaussian())
    assert selection.best.n_components == 2
    assert selection.best.bic_ < fastem.select(GAPS, range(1, 5), estimator=gaussian(noise=None)).best.bic_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # two components of one are slow
def test_a_second_component_is_tested():
    assert fastem.bootstrap_test(GAPS[::4], 1, estimator=gaussian(), n_bootstrap=2).p_value == pytest.approx(1 / 3)


def test_rows_that_lack_nothing_have_a_box_along_the_features():
    turned = X @ np.array([[1.0, 0.99, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 1.0]])
    mixture = gaussian().fit(turned)
    np.testing.assert_array_equal(mixture.noise_box_, [turned.min(axis=0), *np.diag(np.ptp(turned, axis=0))])
    rows = np.where(np.isnan(GAPS), np.nan, turned)
    assert np.isfinite(mixture.score_samples(rows)).all()
    rotated = gaussian(missing="raise").fit(turned).set_params(missing="marginalize")
    with pytest.raises(ValueError, match="as a fit with missing='marginalize' makes it"):
        rotated.predict(rows)


def test_a_column_with_one_value_has_no_density():
    flat = GAPS.copy()
    flat[:, 1] = np.where(np.isnan(flat[:, 1]), np.nan, 5.0)
    for noise in (True, 1e-3):
        with pytest.raises(ValueError, match=r"all rows have the same value in column 1: leave it out$"):
            gaussian(noise=noise).fit(flat)


def test_a_fit_goes_on_from_the_last_one_and_improves():
    mixture = gaussian(tol=1e-4).fit(GAPS)
    again = mixture.set_params(warm_start=True).fit(GAPS)
    assert again.loglik_ >= mixture.loglik_ - 1e-9
    assert gaussian().fit(GAPS).improve(GAPS).loglik_ >= gaussian().fit(GAPS).loglik_ - 1e-6


def test_batches_lead_to_the_fit():
    mixture = gaussian()
    for batch in np.array_split(GAPS[np.random.default_rng(1).permutation(len(GAPS))], 5):
        mixture.partial_fit(batch)
    assert mixture.noise_weight_ == pytest.approx(gaussian().fit(GAPS).noise_weight_, abs=0.05)


def test_one_far_row_with_a_gap_needs_no_component():
    near = np.random.default_rng(0).normal(size=(999, 2))
    near[::3, 0] = np.nan
    far = np.append(near, [[1e6, np.nan]], axis=0)
    mixture, expected = gaussian(1).fit(far), gaussian(1, noise=None).fit(near)
    np.testing.assert_allclose(mixture.means_, expected.means_, atol=1e-3)  # a far row has a share
    assert mixture.predict(far)[-1] == -1
    assert mixture.noise_weight_ < 0.01
    assert math.isfinite(mixture.bic_)
