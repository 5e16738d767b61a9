"""BayesianGaussianMixture: scikit-learn's from equal starts; the same bits however the rows come; what its users do."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.mixture import BayesianGaussianMixture as Theirs
from support import drop_in
from support.asserts import same_fit

import fastem
from fastem import BayesianGaussianMixture

KINDS = ("full", "tied", "diag", "spherical")
WEIGHTS = ("dirichlet_process", "dirichlet_distribution")
SHARED = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "weight_concentration_",
          "mean_precision_", "degrees_of_freedom_", "weight_concentration_prior_", "mean_precision_prior_",
          "mean_prior_", "degrees_of_freedom_prior_", "covariance_prior_", "lower_bound_")  # fmt: skip
X = drop_in.clouds()
FEW = {"n_components": 5, "weight_concentration_prior": 1e-2, "random_state": 0, "max_iter": 500}
FITTED = BayesianGaussianMixture(**FEW).fit(X)


class FromThatStart(Theirs):
    """Theirs, begun where ours begins."""

    def _initialize_parameters(self, X, random_state, xp=None):
        for name in ("weight_concentration_", "mean_precision_", "means_", "degrees_of_freedom_", "covariances_"):
            setattr(self, name, getattr(self.started, name))
        self.precisions_cholesky_ = self.started.precisions_cholesky_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("d", [1, 2, 8])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_equal_starts_lead_to_scikit_learns_posterior(twin, weights, kind, d):
    rows = drop_in.clouds(d)
    settings = {"n_components": 5, "covariance_type": kind, "weight_concentration_prior_type": weights,
                "tol": 0.0, "random_state": 0}  # fmt: skip
    ours = BayesianGaussianMixture(**settings, max_iter=25, backend=twin).fit(rows)
    theirs = FromThatStart(**settings, max_iter=25)
    theirs.started = BayesianGaussianMixture(**settings, max_iter=0).fit(rows)
    theirs.fit(rows)
    for name in SHARED:
        found = getattr(ours, name)
        expected = np.reshape(getattr(theirs, name), np.shape(found))  # a bound of theirs is an array if tied
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8, err_msg=name)
    np.testing.assert_allclose(ours.lower_bounds_, np.ravel(theirs.lower_bounds_), rtol=1e-8)
    np.testing.assert_allclose(ours.score_samples(rows), theirs.score_samples(rows), rtol=1e-8)
    np.testing.assert_allclose(ours.predict_proba(rows), theirs.predict_proba(rows), atol=1e-8)
    np.testing.assert_array_equal(ours.predict(rows), theirs.predict(rows))


def test_components_that_rows_do_not_need_stay_empty_without_a_warning():
    assert (FITTED.weights_ > 0.01).sum() == 3
    assert sorted(FITTED.means_[FITTED.weights_ > 0.01].mean(axis=1).round().tolist()) == [0, 4, 8]


def test_one_component_has_the_posterior_of_the_textbook():
    rows = np.array([[1.0], [2.0], [6.0]])
    prior = {
        "mean_prior": [1.0],
        "mean_precision_prior": 2.0,
        "degrees_of_freedom_prior": 4.0,
        "covariance_prior": [[3.0]],
    }
    mixture = BayesianGaussianMixture(1, reg_covar=0.0, **prior).fit(rows)
    assert mixture.mean_precision_ == pytest.approx(5.0)
    assert mixture.means_[0, 0] == pytest.approx((2 * 1 + 3 * 3) / 5)
    assert mixture.degrees_of_freedom_ == pytest.approx(7.0)
    scatter = (1 - 3) ** 2 + (2 - 3) ** 2 + (6 - 3) ** 2
    assert mixture.covariances_[0, 0, 0] == pytest.approx((3 + scatter + 2 * 3 / 5 * (3 - 1) ** 2) / 7)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_weight_is_so_many_rows(weights):
    counts = np.random.default_rng(0).integers(0, 3, len(X))
    settings = FEW | {"weight_concentration_prior_type": weights, "max_iter": 60, "tol": 0.0}
    with pytest.warns(fastem.ConvergenceWarning):
        weighted = BayesianGaussianMixture(**settings).fit(X, sample_weight=counts)
    with pytest.warns(fastem.ConvergenceWarning):
        repeated = BayesianGaussianMixture(**settings).fit(np.repeat(X, counts, axis=0))
    np.testing.assert_allclose(weighted.covariance_prior_, repeated.covariance_prior_, rtol=1e-12)
    np.testing.assert_allclose(weighted.means_, repeated.means_, atol=1e-8)
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, rel=1e-10)


def test_the_bits_do_not_depend_on_threads_or_chunks():
    for threads in (1, 3):
        same_fit(BayesianGaussianMixture(**FEW, n_threads=threads).fit(X), FITTED)
    same_fit(BayesianGaussianMixture(**FEW).fit(chunks=[X[:250], X[250:]]), FITTED)


@pytest.mark.process
def test_the_bits_do_not_depend_on_dask():
    import dask.array as da

    same_fit(BayesianGaussianMixture(**FEW).fit(da.from_array(X, chunks=(4096, 2))), FITTED)


def test_float32_rows_lead_to_the_same_posterior():
    found = BayesianGaussianMixture(**FEW).fit(X.astype(np.float32))
    assert found.lower_bound_ == pytest.approx(FITTED.lower_bound_, rel=1e-5)
    np.testing.assert_allclose(np.sort(found.weights_), np.sort(FITTED.weights_), atol=1e-3)
    assert found.predict_proba(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_files_pickles_and_copies_predict_the_same(tmp_path, kind, weights):
    fitted = BayesianGaussianMixture(
        3, covariance_type=kind, weight_concentration_prior_type=weights, random_state=0, max_iter=500
    ).fit(X)
    fitted.save(tmp_path / "model.npz")
    for other in (fastem.load(tmp_path / "model.npz"), pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        same_fit(other, fitted)
        np.testing.assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))
        assert other.get_params() == fitted.get_params()


def test_a_damaged_file_is_refused(tmp_path):
    broken = copy.deepcopy(FITTED)
    broken.__dict__["mean_precision_"] = np.ones(2)
    with pytest.raises(ValueError, match="mean_precision_"):
        broken.save(tmp_path / "model.npz")


def test_a_warm_start_goes_on():
    def fit(mixture):
        with pytest.warns(fastem.ConvergenceWarning):
            return mixture.fit(X)

    settings = FEW | {"tol": 0.0}
    whole = fit(BayesianGaussianMixture(**settings | {"max_iter": 12}))
    parts = fit(BayesianGaussianMixture(**settings | {"max_iter": 6}, warm_start=True))
    parts = fit(parts)
    np.testing.assert_allclose(parts.means_, whole.means_, rtol=1e-12)
    assert parts.lower_bound_ == pytest.approx(whole.lower_bound_, rel=1e-12)


def test_acceleration_takes_fewer_iterations_to_the_same_bound():
    quick = BayesianGaussianMixture(**FEW, acceleration="squarem").fit(X)
    assert quick.lower_bound_ > FITTED.lower_bound_ - 0.01
    assert quick.n_iter_ < FITTED.n_iter_ / 2
    assert quick.ascent_.holds


def test_a_checkpoint_ends_with_the_same_bits(tmp_path):
    kept = {"checkpoint": tmp_path / "fit.npz", "checkpoint_every": 0}
    broken = BayesianGaussianMixture(**FEW, **kept, callback=lambda iteration, *_: iteration == 7)
    with pytest.warns(fastem.ConvergenceWarning):
        broken.fit(X)
    same_fit(BayesianGaussianMixture(**FEW, **kept).fit(X), FITTED)


def test_draws_and_diagnosis_are_those_of_the_expected_mixture():
    rows, labels = clone(FITTED).fit(X).sample(60_000)
    np.testing.assert_allclose(np.bincount(labels, minlength=5) / 60_000, FITTED.weights_, atol=0.01)
    heaviest = FITTED.weights_.argmax()
    np.testing.assert_allclose(rows[labels == heaviest].mean(axis=0), FITTED.means_[heaviest], atol=0.05)
    assert len(FITTED.diagnose().weights) == 5


def test_what_is_changed_by_hand_counts():
    mixture = copy.deepcopy(FITTED)
    mixture.means_ = FITTED.means_ + 1
    np.testing.assert_allclose(mixture.score_samples(X + 1), FITTED.score_samples(X), rtol=1e-9)
    theirs = Theirs(n_components=5)
    made = BayesianGaussianMixture(5)
    for name in (*SHARED[:8], "mean_prior_", "mean_precision_prior_"):
        setattr(theirs, name, getattr(FITTED, name))
        setattr(made, name, getattr(FITTED, name))
    np.testing.assert_allclose(made.score_samples(X), theirs.score_samples(X), rtol=1e-9)


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"weight_concentration_prior": 0.0}, ValueError, "weight_concentration_prior must be above 0"),
        (
            {"weight_concentration_prior": 1e300},
            ValueError,
            r"weight_concentration_prior must be above 0 and at most 2\^53",
        ),
        ({"weight_concentration_prior": 1e-310}, ValueError, "weight_concentration_prior must be at least 1e-100"),
        ({"mean_precision_prior": 5e-324}, ValueError, "mean_precision_prior must be at least 1e-100"),
        ({"mean_precision_prior": -1.0}, ValueError, "mean_precision_prior must be finite and not negative"),
        ({"degrees_of_freedom_prior": 1.0}, ValueError, "'degrees_of_freedom_prior' should be greater than 1"),
        ({"mean_prior": [1.0]}, ValueError, "mean_prior"),
        ({"covariance_prior": np.eye(3)}, ValueError, "covariance_prior"),
        ({"covariance_prior": -np.eye(2)}, ValueError, "covariance_prior"),
        (
            {"covariance_prior": [1.0, 2.0], "covariance_type": "spherical"},
            TypeError,
            "covariance_prior must be a number",
        ),
        ({"covariance_prior": 0.0, "covariance_type": "spherical"}, ValueError, "covariance_prior"),
        *(
            (
                {"covariance_prior": scale, "covariance_type": kind},
                ValueError,
                r"covariance_prior .* below 1e\+280 .*row",
            )
            for kind, scale in {
                "full": 1.7e308 * np.eye(2),
                "tied": 1.7e308 * np.eye(2),
                "diag": [1.0, 1.7e308],
                "spherical": 1.7e308,
            }.items()
        ),
        ({"weight_concentration_prior_type": "gamma"}, ValueError, "weight_concentration_prior_type"),
        ({"init_params": "auto"}, ValueError, "init_params"),
        ({"stopping": "loglik"}, ValueError, "stopping"),
        ({"acceleration": "quasi-newton"}, ValueError, "acceleration"),
    ],
)
def test_unusable_settings_are_refused_by_name(settings, error, sentence):
    mixture = BayesianGaussianMixture(2, **settings)
    with pytest.raises(error, match=sentence):
        mixture.fit(X)
    assert not hasattr(mixture, "means_")


def test_rows_that_weigh_too_little_for_a_covariance_need_a_prior():
    rows = X[:3]
    with pytest.raises(ValueError, match=r"covariance_prior is needed: the rows have a total weight of 0\.3"):
        BayesianGaussianMixture(1).fit(rows, sample_weight=np.full(3, 0.1))
    with pytest.warns(UserWarning, match="sample_weight has the sum"):
        BayesianGaussianMixture(1, covariance_prior=np.eye(2)).fit(rows, sample_weight=np.full(3, 0.1))


def test_it_has_no_criteria_of_a_likelihood():
    assert not any(hasattr(FITTED, name) for name in ("bic", "aic", "bic_", "loglik_", "standard_errors", "improve"))


def test_what_needs_a_likelihood_says_so():
    with pytest.raises(TypeError, match="estimator must have information criteria"):
        fastem.select(X, range(1, 3), estimator=BayesianGaussianMixture())
    with pytest.raises(TypeError, match="it needs the prior of the fit"):
        fastem.accumulate(FITTED.params_, X).maximize()


def test_it_is_drawn_as_a_gaussian_mixture():
    pytest.importorskip("matplotlib").use("Agg")
    assert fastem.GaussianMixtureDisplay.from_estimator(FITTED, X).figure_.axes


def test_the_prior_of_spherical_covariances_has_the_units_of_rows_however_large():
    settings = {"covariance_type": "spherical", "random_state": 0, "max_iter": 500, "reg_covar": 0.0}
    small = BayesianGaussianMixture(3, covariance_prior=1.0, **settings).fit(X)
    large = BayesianGaussianMixture(3, covariance_prior=2.0**80, **settings).fit(X * 2.0**40)
    np.testing.assert_allclose(large.covariances_, small.covariances_ * 2.0**80, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight_concentration_", np.full((2, 5), -1.0)),
        ("mean_precision_", np.zeros(5)),
        ("mean_precision_", np.full(5, -1.0)),
        ("degrees_of_freedom_", np.ones(5)),  # d - 1
        ("degrees_of_freedom_", np.full(5, np.nan)),
        ("weight_concentration_prior_", np.nan),
        ("weight_concentration_prior_", 0.0),
        ("weight_concentration_prior_", [1.0]),
        ("mean_prior_", None),
        ("mean_prior_", np.zeros(1)),
        ("mean_precision_prior_", -1.0),
        ("covariance_prior_", np.full((2, 2), np.inf)),
        ("degrees_of_freedom_prior_", 1.0),
    ],
)
def test_attributes_that_are_no_posterior_are_refused_by_name_in_whatever_use(name, value, tmp_path):
    broken = copy.deepcopy(FITTED)
    setattr(broken, name, value)
    for use in (lambda: broken.predict(X), lambda: broken.save(tmp_path / "model.npz"), lambda: broken.sample(3)):
        with pytest.raises((ValueError, TypeError), match=name):
            use()
    assert not (tmp_path / "model.npz").exists()


def test_a_bound_is_called_one_before_the_first_iteration_too():
    assert "lower bound of the log evidence" in BayesianGaussianMixture(2, max_iter=0).fit(X).summary_
