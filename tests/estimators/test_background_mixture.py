"""GaussianMixture(noise=...): fits, predictions and results of a mixture with a background, wherever rows are."""

import math
import pickle

import dask.array
import numpy as np
import pyarrow
import pytest
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from support.asserts import same_fit

import fastem
from fastem import GaussianMixture
from fastem.families.gaussian.background.model import BackgroundParams

KINDS = ("full", "tied", "diag", "spherical")
RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(0, 1, (450, 2)), RNG.normal([6, 0], 1, (450, 2)), RNG.uniform(-15, 20, (100, 2))])
WEIGHTS = RNG.integers(1, 4, len(X)).astype(float)


def fitted(k=2, rows=X, **settings):
    settings = {"noise": True, "random_state": 0, "order_by": "means"} | settings
    return GaussianMixture(k, **settings).fit(rows)


def density(mixture, rows):
    """The density of each component and of the background, times its weight, by SciPy."""
    components = [
        weight * stats.multivariate_normal(mean, covariance).pdf(rows)
        for weight, mean, covariance in zip(mixture.weights_, mixture.means_, mixture.covariances_, strict=True)
    ]
    volume = np.prod(np.linalg.norm(mixture.noise_box_[1:], axis=1))
    return np.stack([*components, np.full(len(rows), mixture.noise_weight_ / volume)], axis=1)


def test_two_groups_on_a_background_are_found():
    mixture = fitted()
    assert mixture.converged_
    assert mixture.ascent_.holds
    sds = np.sqrt(np.diagonal(mixture.covariances_, axis1=1, axis2=2))[:, 0]
    np.testing.assert_allclose(sds, [0.98, 1.02], atol=0.006)
    assert mixture.noise_weight_ == pytest.approx(0.104, abs=6e-4)
    assert mixture.weights_.sum() + mixture.noise_weight_ == pytest.approx(1.0, abs=1e-15)
    assert mixture.counts_.sum() + mixture.noise_count_ == pytest.approx(1000.0)
    assert mixture.n_parameters_ == GaussianMixture(2).fit(X).n_parameters_ + 1
    assert mixture.bic_ == pytest.approx(math.log(1000) * 12 - 2 * mixture.loglik_)
    assert not mixture.diagnose().spurious


def test_predictions_are_those_of_the_densities():
    mixture, right = fitted(), density(fitted(), X)
    np.testing.assert_allclose(mixture.score_samples(X), np.log(right.sum(axis=1)), rtol=1e-12)
    assert mixture.loglik_ == pytest.approx(np.log(right.sum(axis=1)).sum(), rel=1e-12)
    np.testing.assert_allclose(mixture.predict_proba(X), right / right.sum(axis=1, keepdims=True), atol=1e-13)
    np.testing.assert_allclose(mixture.log_prob_components(X), np.log(right), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(mixture.predict(X), np.array([0, 1, -1])[right.argmax(axis=1)])
    assert (mixture.predict([[1e6, 0.0], [0.0, -1e9]]) == -1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_fits_of_both_twins_agree(kind, twin):
    ours, theirs = fitted(covariance_type=kind, backend=twin), fitted(covariance_type=kind)
    assert ours.loglik_ == pytest.approx(theirs.loglik_, rel=1e-10)
    np.testing.assert_allclose(ours.means_, theirs.means_, atol=1e-5)
    assert ours.noise_weight_ == pytest.approx(theirs.noise_weight_, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_tables_and_threads_have_the_bits_of_rows_in_memory(kind):
    settings = {"covariance_type": kind, "noise": True, "random_state": 0}
    expected = GaussianMixture(2, **settings).fit(X, sample_weight=WEIGHTS)
    chunks = [(X[:77], WEIGHTS[:77]), (X[77:500], WEIGHTS[77:500]), (X[500:], WEIGHTS[500:])]
    same_fit(GaussianMixture(2, **settings).fit(chunks=chunks), expected)
    table = pyarrow.table({"a": X[:, 0], "b": X[:, 1], "w": WEIGHTS})
    found = GaussianMixture(2, **settings).fit(fastem.from_arrow(table, ["a", "b"], sample_weight="w"))
    np.testing.assert_array_equal(found.covariances_, expected.covariances_)
    assert (found.noise_weight_, found.loglik_) == (expected.noise_weight_, expected.loglik_)
    for n_threads in (2, 7):
        same_fit(GaussianMixture(2, **settings, n_threads=n_threads).fit(X, sample_weight=WEIGHTS), expected)
    np.testing.assert_array_equal(found.predict(chunks=[X[:10], X[10:]]), expected.predict(X))
    np.testing.assert_array_equal(found.predict_proba(chunks=[X[:10], X[10:]]), expected.predict_proba(X))


def test_dask_collections_have_the_fit_and_the_predictions_of_rows_in_memory():
    mixture, lazy = fitted(), dask.array.from_array(X, chunks=(300, 1))
    found = fitted(rows=lazy)
    np.testing.assert_array_equal(found.noise_box_, mixture.noise_box_)
    np.testing.assert_allclose(found.means_, mixture.means_, rtol=1e-9)
    proba = mixture.predict_proba(lazy)
    assert proba.shape == (1000, 3)
    np.testing.assert_array_equal(proba.compute(), mixture.predict_proba(X))
    np.testing.assert_array_equal(mixture.predict(lazy).compute(), mixture.predict(X))


def test_files_of_predictions_have_minus_one(tmp_path):
    mixture, path = fitted(), tmp_path / "rows.csv"
    assert mixture.predict_to(path, X) == len(X)
    component, probability, log_density = np.loadtxt(path, delimiter=",", skiprows=1).T
    np.testing.assert_array_equal(component, mixture.predict(X))
    np.testing.assert_allclose(probability, mixture.predict_proba(X).max(axis=1))
    np.testing.assert_allclose(log_density, mixture.score_samples(X))


@pytest.mark.parametrize("rows", [X, X.astype(np.float32)], ids=["float64", "float32"])
def test_a_file_and_a_pickle_keep_the_background(rows, tmp_path):
    mixture = fitted(rows=rows)
    assert type(mixture.noise_weight_) is float
    assert mixture.noise_box_.dtype == rows.dtype
    mixture.save(tmp_path / "model.npz")
    for other in (fastem.load(tmp_path / "model.npz"), pickle.loads(pickle.dumps(mixture))):
        np.testing.assert_array_equal(other.predict_proba(rows), mixture.predict_proba(rows))
        assert other.params_.noise is True


def test_float32_rows_have_the_fit_of_float64():
    single, double = fitted(rows=X.astype(np.float32), tol=1e-3, stopping="loglik"), fitted()
    assert single.means_.dtype == np.float32
    assert single.loglik_ == pytest.approx(double.loglik_, abs=0.5)
    assert single.noise_weight_ == pytest.approx(double.noise_weight_, abs=1e-3)
    assert single.loglik_ / len(X) == pytest.approx(single.score(X), abs=1e-5)


def test_one_far_row_needs_no_component_and_moves_nothing():
    near = np.random.default_rng(0).normal(size=(999, 1))
    mixture, expected = fitted(1, np.append(near, [[1e6]], axis=0)), GaussianMixture(1).fit(near)
    np.testing.assert_allclose(mixture.means_, expected.means_, atol=1e-6)
    np.testing.assert_allclose(mixture.covariances_, expected.covariances_, rtol=1e-6)
    assert mixture.noise_weight_ == pytest.approx(1e-3, rel=1e-4)
    estimator = GaussianMixture(noise=True, random_state=0, max_iter=2000)
    with pytest.warns(UserWarning, match="passed over for n_components=1"):  # a spike at that row has no bound
        selection = fastem.select(np.append(near, [[1e6]], axis=0), range(1, 3), estimator=estimator)
    assert selection.best.n_components == 1


def test_select_counts_the_background_once():
    selection = fastem.select(X, range(1, 4), estimator=GaussianMixture(noise=True, random_state=0))
    assert selection.best.n_components == 2
    assert selection.best.bic_ < fastem.select(X, range(1, 6)).best.bic_ - 100
    assert "n = 1000 in bic" in str(selection)


def test_one_weight_has_the_standard_error_of_its_information():
    """One component with known mean and variance: the information on its weight is sum ((f - b) / p)^2."""
    start = {"means_init": [[0.0]], "precisions_init": [[[1.0]]]}
    mixture = fitted(1, X[:, :1], fixed=("means", "covariances"), **start, tol=1e-9)
    f, b = stats.norm.pdf(X[:, 0]), 1 / mixture.noise_box_[1, 0]
    information = (((f - b) / (mixture.weights_[0] * f + mixture.noise_weight_ * b)) ** 2).sum()
    errors = mixture.standard_errors(X[:, :1])
    assert errors.weights[0] == pytest.approx(information**-0.5, rel=1e-6)
    assert errors.noise_weight == pytest.approx(information**-0.5, rel=1e-6)
    assert errors.names[:2] == ("weights[0]", "noise_weight")
    assert errors.estimates[1] == mixture.noise_weight_


@pytest.mark.parametrize("method", ["louis", "opg", "sandwich"])
def test_standard_errors_are_about_those_of_draws(method):
    """Of 60 samples of the same mixture the estimates spread as the errors say, to three standard errors of that."""
    mixture = fitted(1, X[:450], noise=0.01)
    draws = [mixture.set_params(random_state=seed).sample(200)[0] for seed in range(60)]
    fits = [fitted(1, rows, noise=0.01, init_params="kmeans") for rows in draws]
    spread = np.std([fit.means_[0, 0] for fit in fits])
    error = fits[0].standard_errors(draws[0], method=method).means[0, 0]
    assert spread == pytest.approx(error, rel=0.3)


def test_draws_have_the_shares_of_the_fit():
    mixture = fitted()
    rows, labels = mixture.sample(20_000)
    shares = np.array([(labels == label).mean() for label in (0, 1, -1)])
    np.testing.assert_allclose(shares, [*mixture.weights_, mixture.noise_weight_], atol=4 * math.sqrt(0.25 / 20_000))
    low, high = mixture.noise_box_[0], mixture.noise_box_[0] + mixture.noise_box_[1:].sum(axis=0)
    outside = rows[labels == -1]
    assert (outside >= low).all()
    assert (outside <= high).all()
    again = fitted(rows=rows, noise=math.exp(mixture.params_.log_density))
    np.testing.assert_allclose(again.means_, mixture.means_, atol=0.05)


def test_a_fit_goes_on_from_the_last_one():
    mixture = fitted(tol=1e-4)
    again = mixture.set_params(warm_start=True).fit(X)
    assert again.n_iter_ <= 3
    assert again.loglik_ == pytest.approx(mixture.loglik_, rel=1e-9)
    assert fitted().improve(X).loglik_ >= fitted().loglik_ - 1e-6


def test_batches_lead_to_the_fit():
    mixture = GaussianMixture(2, noise=0.001, random_state=0, order_by="means")
    for batch in np.array_split(X[np.random.default_rng(1).permutation(len(X))], 10):
        mixture.partial_fit(batch)
    assert mixture.noise_weight_ == pytest.approx(fitted(noise=0.001).noise_weight_, abs=0.03)
    assert mixture.counts_.sum() + mixture.noise_count_ == pytest.approx(1000)
    mixture.partial_fit(X[:1])  # one row has no box, and needs none
    assert (mixture.predict([[1e5, 1e5], [0.0, 0.0]]) == [-1, 0]).all()


def test_a_checkpoint_goes_on_with_the_same_bits(tmp_path):
    expected = fitted(3, max_iter=50, n_init=2)
    first = GaussianMixture(
        3, noise=True, random_state=0, order_by="means", max_iter=50, n_init=2, checkpoint=tmp_path / "fit.npz"
    )
    with pytest.raises(KeyboardInterrupt):
        first.set_params(callback=interrupt_at(3)).fit(X)
    same_fit(first.set_params(callback=None).fit(X), expected)


def interrupt_at(iteration):
    def callback(n_iter, loglik, seconds):
        if n_iter == iteration:
            raise KeyboardInterrupt

    return callback


def test_weights_that_are_given_leave_the_background_its_weight():
    assert fitted(weights_init=[0.3, 0.4], fixed=("weights",)).noise_weight_ == pytest.approx(0.3)
    assert fitted(weights_init=[0.5, 0.5], max_iter=0, tol=1.0).noise_weight_ == pytest.approx(0.05)
    with pytest.raises(ValueError, match="weights' should be normalized"):
        fitted(weights_init=[0.5, 0.6])


def test_a_prior_of_the_components_is_taken():
    prior = fastem.GaussianPrior(concentration=2.0, scale=np.eye(2), degrees_of_freedom=5.0)
    mixture = fitted(prior=prior, tol=1e-6)
    assert mixture.ascent_.holds
    assert mixture.noise_weight_ == pytest.approx(fitted().noise_weight_, abs=1e-3)
    assert mixture.log_posterior_ < mixture.loglik_


def test_parameters_that_are_given_make_a_mixture():
    params = fitted().params_
    mixture = GaussianMixture.from_params(params, random_state=0)
    assert isinstance(params, BackgroundParams)
    assert mixture.noise is True
    np.testing.assert_array_equal(mixture.predict_proba(X), fitted().predict_proba(X))
    assert fastem.accumulate(params, X).loglik == pytest.approx(fitted().loglik_)
    with pytest.raises(ValueError, match="noise is True by the parameters"):
        GaussianMixture.from_params(params, noise=0.1)


def test_a_fit_without_a_background_forgets_it():
    mixture = fitted()
    mixture.noise = None
    with pytest.raises(ValueError, match="noise was True"):
        mixture.predict(X)
    mixture.fit(X)
    assert not [name for name in vars(mixture) if name.startswith("noise_")]
    assert mixture.predict_proba(X).shape == (1000, 2)


def test_summaries_have_a_line_for_it():
    pd = pytest.importorskip("pandas")
    mixture = fitted()
    assert "2 components and a background, full covariances; 1,000 rows" in str(mixture.summary())
    assert "noise  0.1045" in str(mixture.summary())
    frame = mixture.summary(mixture.standard_errors(X)).to_frame()
    assert frame.index.tolist() == [0, 1, -1]
    assert frame["weight"].tolist() == [*mixture.weights_, mixture.noise_weight_]
    assert frame.loc[-1, ["mean x0", "sd x1"]].isna().all()
    assert not pd.isna(frame.loc[-1, "se weight"])
    wide = np.hstack([X, np.random.default_rng(1).normal(size=(1000, 4))])
    assert any(line.split()[:1] == ["noise"] for line in str(fitted(rows=wide).summary()).splitlines())


@pytest.mark.parametrize("noise", [-1, 0.0, np.nan, np.inf, "yes", [0.1]], ids=str)
def test_what_is_no_density_is_refused(noise):
    with pytest.raises((ValueError, TypeError), match="noise must be"):
        GaussianMixture(1, noise=noise).fit(X)


def test_what_has_no_background_refuses_one():
    with pytest.raises(ValueError, match="to_sklearn knows no background: it needs a fit with noise=None"):
        fitted().to_sklearn()
    flat = np.column_stack([X[:, 0], np.ones(len(X))])
    with pytest.raises(ValueError, match="all rows have the same value in column 1"):
        GaussianMixture(1, noise=True).fit(flat)
    assert GaussianMixture(1, noise=1e-3).fit(flat).noise_weight_ < 1e-3


def test_attributes_that_are_set_by_hand_are_a_mixture():
    mixture = GaussianMixture(1, noise=True)
    mixture.weights_, mixture.means_, mixture.covariances_ = np.array([0.9]), np.zeros((1, 1)), np.ones((1, 1, 1))
    mixture.noise_weight_, mixture.noise_box_ = 0.1, np.array([[-5.0], [10.0]])
    expected = np.log(0.9 * stats.norm.pdf([0.0, 40.0]) + 0.1 / 10)
    np.testing.assert_allclose(mixture.score_samples([[0.0], [40.0]]), expected, rtol=1e-14)
    mixture.noise_weight_ = 0.2
    with pytest.raises(ValueError, match="noise_weight' should be normalized"):
        mixture.score_samples([[0.0]])


def test_what_is_left_to_gain_by_its_weight_is_estimated():
    start = {"means_init": [[0.0]], "precisions_init": [[[1.0]]], "weights_init": [0.5]}
    settings = {"fixed": ("means", "covariances"), "stopping": "gain", "acceleration": None} | start
    with pytest.warns(ConvergenceWarning):
        short = fitted(1, X[:, :1], max_iter=2, tol=1e-9, **settings)
    best = fitted(1, X[:, :1], tol=1e-9, max_iter=1000, **settings)
    left = (best.loglik_ - short.loglik_) / len(X)
    assert left > 1e-6
    assert short.remaining_gain_ == pytest.approx(left, rel=0.2)
