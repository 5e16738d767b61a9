"""Bad input is refused with a sentence that names the argument and the place; the estimator stays as it was."""

import numpy as np
import pytest
from scipy import sparse

import fastem
from fastem import BinomialMixture, BinomialParams, BinomialPrior, GaussianMixture, GaussianParams

GOOD = np.random.default_rng(0).normal(size=(20, 2))


MISSING = "; a mixture with missing='marginalize' takes it as a missing value"


def with_value(value, row=3, column=1, dtype=np.float64):
    X = GOOD.astype(dtype)
    X[row, column] = value
    return X


BAD_ROWS = {
    "nan": (
        with_value(np.nan),
        ValueError,
        "X must be finite, without NaN or infinity, got nan at row 3, column 1" + MISSING + "$",
    ),
    "inf": (with_value(np.inf), ValueError, "X must be finite.* got inf at row 3, column 1$"),
    "float32 inf": (
        with_value(-np.inf, dtype=np.float32),
        ValueError,
        "X must be finite.* got -inf at row 3, column 1",
    ),
    "late nan": (np.r_[np.zeros((70_000, 2)), with_value(np.nan)], ValueError, "at row 70003, column 1"),
    "huge": (with_value(1e200), ValueError, r"X must be below 1e\+140 in magnitude.*at row 3, column 1"),
    "empty": (np.empty((0, 2)), ValueError, "0 sample"),
    "no columns": (np.empty((5, 0)), ValueError, "0 feature"),
    "one dimension": (GOOD[:, 0], ValueError, "X: Expected 2D array, got 1D array instead.*Reshape.*for one row"),
    "three dimensions": (GOOD[None], ValueError, "Expected 2D array, got 3D"),
    "scalar": (3.0, ValueError, "Expected 2D array, got 0D"),
    "too few": (GOOD[:2], ValueError, "Expected n_samples >= n_components but got n_components = 3, n_samples = 2"),
    "object": (np.array([[1, None]] * 5, object), ValueError, "X must be finite.* got nan at row 0, column 1"),
    "text": (np.array([["a", "b"]] * 5), TypeError, "X must hold real numbers"),
    "complex": (GOOD.astype(complex), ValueError, "Complex data not supported: X has dtype complex128"),
    "dates": (np.zeros((5, 2), "M8[s]"), TypeError, "X must hold real numbers"),
    "ragged": ([[1, 2], [3]], ValueError, "X is not an array"),
    "sparse": (sparse.csr_matrix(GOOD), TypeError, "X: sparse data was passed.*toarray"),
    "objects": (np.array([[1, "a"]] * 5, object), TypeError, "X must hold real numbers.*got 'a' at row 0, column 1"),
    "none": (None, ValueError, "Expected 2D array, got 0D"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_of_a_fit(case):
    X, error, message = BAD_ROWS[case]
    mixture = GaussianMixture(3)
    before = dict(vars(mixture))
    with pytest.raises(error, match=message):
        mixture.fit(X)
    assert vars(mixture) == before


@pytest.mark.parametrize("case", [case for case in BAD_ROWS if case not in ("too few", "huge")])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score", "bic", "aic"])
@pytest.mark.seconds
def test_bad_rows_of_a_prediction(case, method):
    X, error, message = BAD_ROWS[case]
    with pytest.raises(error, match=message):
        getattr(GaussianMixture(3, random_state=0).fit(GOOD), method)(X)


BAD_WEIGHTS = {
    "negative": (np.r_[np.ones(19), -1.0], ValueError, "sample_weight must not be negative, got -1.0 at row 19"),
    "nan": (np.r_[np.nan, np.ones(19)], ValueError, "sample_weight must be finite.*at row 0"),
    "length": (np.ones(19), ValueError, r"sample_weight must have shape \(20,\).*got \(19,\)"),
    "shape": (np.ones((20, 1)), ValueError, "sample_weight must have shape"),
    "zeros": (np.zeros(20), ValueError, "sample_weight must hold a positive weight"),
    "text": (["a"] * 20, TypeError, "sample_weight must hold real numbers"),
}


@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_bad_sample_weights(case):
    w, error, message = BAD_WEIGHTS[case]
    with pytest.raises(error, match=message):
        GaussianMixture(2).fit(GOOD, sample_weight=w)
    with pytest.raises(error, match=message):
        BinomialMixture(2).fit(np.ones(20), trials=2, sample_weight=w)
    with pytest.raises(error, match=message):
        GaussianMixture(2, random_state=0).fit(GOOD).score(GOOD, sample_weight=w)


EYES = np.tile(np.eye(2), (2, 1, 1))
BAD_SETTINGS = [
    ({"n_components": 0}, ValueError, "n_components must be at least 1, got 0"),
    ({"n_components": 2.0}, TypeError, "n_components must be an int, got 2.0"),
    ({"n_components": True}, TypeError, "n_components must be an int"),
    ({"covariance_type": "round"}, ValueError, "covariance_type must be one of 'full', .* got 'round'"),
    ({"covariance_type": None}, TypeError, "covariance_type must be one of"),
    ({"tol": -1.0}, ValueError, "tol must be finite and not negative, got -1.0"),
    ({"tol": np.nan}, ValueError, "tol must be finite"),
    ({"tol": "small"}, TypeError, "tol must be a number, got 'small'"),
    ({"reg_covar": -1e-6}, ValueError, "reg_covar must be finite and not negative"),
    ({"max_iter": -1}, ValueError, "max_iter must be at least 0"),
    ({"n_init": 0}, ValueError, "n_init must be at least 1"),
    ({"init_params": "best"}, ValueError, "init_params must be one of 'auto', 'kmeans'"),
    ({"stopping": "never"}, ValueError, "stopping must be one of 'auto', 'loglik', 'q', 'gain'"),
    ({"backend": "fortran"}, ValueError, "backend must be one of 'auto', 'cython', 'numba', got 'fortran'"),
    ({"warm_sweeps": "always"}, ValueError, "warm_sweeps must be one of 'auto', got 'always'"),
    ({"warm_sweeps": True}, TypeError, "warm_sweeps must be one of 'auto', got True"),
    ({"fixed": np.array(["means"])}, TypeError, "fixed must be a tuple of parameter names"),
    ({"fixed": {"means": [True]}}, ValueError, r"fixed\['means'\] must be a mask of shape \(2,\)"),
    ({"fixed": {"means": [1, 0]}}, ValueError, r"fixed\['means'\] must be a mask of shape \(2,\)"),
    ({"fixed": {"probs": [True, False]}}, ValueError, "fixed must be one of 'weights', 'means', 'covariances'"),
    ({"order_by": "covariances"}, ValueError, "order_by must be one of 'weights', 'means', got 'covariances'"),
    ({"order_by": "means", "fixed": {"means": [True, False]}}, ValueError, "order_by must be None where fixed has"),
    ({"prior": "flat"}, TypeError, "prior must be None or a GaussianPrior, got 'flat'"),
    ({"prior": BinomialPrior()}, TypeError, "prior must be None or a GaussianPrior"),
    ({"n_threads": 0}, ValueError, "n_threads must be at least 1"),
    ({"n_threads": "all"}, TypeError, "n_threads must be an int"),
    ({"fixed": "means"}, TypeError, "fixed must be a tuple of parameter names"),
    ({"fixed": ("mean",)}, ValueError, "fixed must be one of 'weights', 'means', 'covariances', got 'mean'"),
    ({"random_state": "now"}, TypeError, "random_state must be an int"),
    ({"verbose": -1}, ValueError, "verbose must be at least 0"),
    ({"weights_init": [0.5, 0.6]}, ValueError, "'weights' should be normalized"),
    ({"weights_init": [1.5, -0.5]}, ValueError, r"'weights' should be in the range \[0, 1\]"),
    ({"weights_init": [1.0]}, ValueError, r"'weights' should have the shape of \(2,\), but got \(1,\)"),
    ({"means_init": np.zeros((2, 3))}, ValueError, r"'means' should have the shape of \(2, 2\)"),
    ({"means_init": [[0, 0], [0, np.nan]]}, ValueError, "means must be finite.*row 1, column 1"),
    (
        {"precisions_init": -EYES},
        ValueError,
        "'full precision' should be symmetric, positive-definite; matrix 0 is not",
    ),
    ({"precisions_init": EYES[0]}, ValueError, r"should have the shape of \(2, 2, 2\)"),
    (
        {"precisions_init": [0.0, 1.0], "covariance_type": "spherical"},
        ValueError,
        "'spherical precision' should be positive",
    ),
]


@pytest.mark.parametrize(("settings", "error", "message"), BAD_SETTINGS, ids=[str(case[0]) for case in BAD_SETTINGS])
def test_bad_settings(settings, error, message):
    with pytest.raises(error, match=message):
        GaussianMixture(**{"n_components": 2, **settings}).fit(GOOD)


BAD_COUNTS = [
    ([1, 2, 11], 10, ValueError, "X must not exceed trials, got 11 successes of 10 at row 2, column 0"),
    ([1, 2, -1], 10, ValueError, "Negative values in data: X must hold whole numbers from 0, got -1 at row 2"),
    ([1, 2, 2.5], 10, ValueError, "X must hold whole numbers .*, got 2.5 at row 2"),
    ([1, 2, 3], [10, 10, 9.5], ValueError, "trials must hold whole numbers .*, got 9.5 at row 2"),
    ([1, 2, 3], [10, 10], ValueError, r"an array of shape \(3, 1\) as X; got shape \(2,\)"),
    ([1, 2, 3], -5, ValueError, "trials must hold whole numbers from 0, got -5 at row 0"),
    ([1, 2, 3], np.nan, ValueError, "trials must be finite"),
    ([1, 2, 3], "ten", TypeError, "trials must hold real numbers"),
    ([1, 2, 3], None, TypeError, "trials: the number of trials of each row is needed"),
    ([1, 2, np.nan], 10, ValueError, "X must be finite.*row 2"),
    ([], 10, ValueError, "0 sample"),
    ([[1, 2], [3, 11]], 10, ValueError, "X must not exceed trials, got 11 successes of 10 at row 1, column 1"),
    ([[1, 2], [3, 4]], [[5, 6, 7]], ValueError, r"an array of shape \(2, 2\) as X; got shape \(1, 3\)"),
    ([[1, 2], [3, 4]], [5, 6], ValueError, r"trials of shape \(2,\) may belong to the rows of X or to its columns"),
    ([1, 2, 2.0**54], 2.0**55, ValueError, r"X must not be above 2\^53, got .* at row 2"),
    ([1], 10, ValueError, "Expected n_samples >= n_components"),
    (np.array([1, None, 2], object), 10, ValueError, "X must be finite.* got nan at row 1"),
    (np.array([1, "a", 2], object), 10, TypeError, "X must hold real numbers"),
]


@pytest.mark.parametrize(("X", "trials", "error", "message"), BAD_COUNTS)
def test_bad_counts(X, trials, error, message):
    mixture = BinomialMixture(2)
    before = dict(vars(mixture))
    with pytest.raises(error, match=message):
        mixture.fit(X, trials=trials)
    assert vars(mixture) == before


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"probs_init": [0.5]}, ValueError, "'probs' should have the shape of"),
        ({"probs_init": [0.5, 1.5]}, ValueError, r"probs must be probabilities in \[0, 1\], got 1.5 at row 1"),
        ({"probs_init": "half"}, TypeError, "probs must hold real numbers"),
        ({"fixed": ("means",)}, ValueError, "fixed must be one of 'weights', 'probs', got 'means'"),
        ({"init_params": "k-means++"}, ValueError, "init_params must be one of 'auto', 'quantiles', 'kmeans', 'ran"),
        ({"n_trials": -1}, ValueError, "n_trials must be at least 0, got -1"),
        ({"n_trials": 2.5}, TypeError, "n_trials must be an int, got 2.5"),
    ],
)
def test_bad_binomial_settings(settings, error, message):
    with pytest.raises(error, match=message):
        BinomialMixture(2, **settings).fit([1, 2, 3], trials=10)


def test_a_failed_fit_leaves_the_last_one():
    mixture = GaussianMixture(2, random_state=0).fit(GOOD)
    before = {name: np.array(value, copy=True) for name, value in vars(mixture).items() if name.endswith("_")}
    with pytest.raises(ValueError, match="finite"):
        mixture.fit(with_value(np.nan))
    for name, value in before.items():
        if value.dtype != object:
            np.testing.assert_array_equal(getattr(mixture, name), value)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")
def test_a_start_that_has_collapsed_is_refused_without_regularisation(kind):
    X = np.repeat([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]], 5, axis=0)
    with pytest.raises(ValueError, match="some components have ill-defined empirical covariance"):
        GaussianMixture(2, covariance_type=kind, reg_covar=0.0, random_state=0).fit(X)
    assert np.isfinite(GaussianMixture(2, covariance_type=kind, random_state=0).fit(X).loglik_)


def test_predictions_need_a_fit():
    for call in (lambda: GaussianMixture().predict(GOOD), lambda: GaussianMixture().sample(),
                 lambda: BinomialMixture().predict([1], trials=2)):  # fmt: skip
        with pytest.raises(fastem.NotFittedError, match="is not fitted yet"):
            call()


def test_predictions_need_the_features_of_the_fit():
    with pytest.raises(ValueError, match="X has 3 features, but GaussianMixture is expecting 2 features"):
        GaussianMixture(2, random_state=0).fit(GOOD).predict(np.zeros((4, 3)))


@pytest.mark.parametrize("n_samples", [0, -1])
def test_sample_needs_a_positive_number(n_samples):
    with pytest.raises(ValueError, match="Invalid value for 'n_samples'"):
        GaussianMixture(2, random_state=0).fit(GOOD).sample(n_samples)


def test_bad_parameters_of_the_building_blocks():
    good = {"weights": np.full(2, 0.5), "means": np.zeros((2, 2)), "covariances": EYES, "covariance_type": "full"}
    for change, message in [
        ({"weights": np.full(2, 0.6)}, "'weights' should be normalized"),
        ({"means": np.zeros(2)}, "should have the shape"),
        ({"covariances": -EYES}, "'covariances' should be symmetric, positive-definite"),
        ({"covariances": np.eye(2)}, "'covariances' should have the shape"),
        ({"covariance_type": "round"}, "covariance_type must be one of"),
    ]:
        with pytest.raises(ValueError, match=message):
            fastem.accumulate(GaussianParams(**{**good, **change}), GOOD)
    with pytest.raises(ValueError, match="probs must be probabilities"):
        fastem.posterior(BinomialParams(np.ones(1), np.array([[1.5]])), [1], trials=2)
    with pytest.raises(TypeError, match="trials must be None for real numbers"):
        fastem.accumulate(GaussianParams(**good), GOOD, trials=3)
    with pytest.raises(TypeError, match="trials: the number of trials"):
        fastem.accumulate(BinomialParams(np.ones(1), np.array([[0.5]])), [1, 2])


def test_parameters_that_do_not_fit_the_rows_never_reach_a_kernel():
    params = GaussianParams(np.full(2, 0.5), np.zeros((2, 2)), EYES)
    with fastem.open_rows(np.zeros((9, 3))) as rows, pytest.raises(ValueError, match="params have 2 features"):
        rows.sweep(params)
    with fastem.open_rows(np.zeros((9, 2))) as rows, pytest.raises(ValueError, match="params are for counts"):
        rows.posterior(BinomialParams(np.ones(1), np.full((1, 2), 0.5)), "resp")
    with pytest.raises(ValueError, match="'weights' should have the shape"):
        GaussianParams(np.full(3, 1 / 3), np.zeros((2, 2)), EYES)
    with pytest.raises(ValueError, match="'probs' should have the shape of"):
        BinomialParams(np.ones(1), np.array([0.5]))


def test_parameters_of_any_layout_and_precision_are_taken():
    X, means = GOOD, np.asfortranarray(np.array([[0.0, 1.0], [2.0, 3.0]], dtype=np.float32))
    params = GaussianParams(np.full(4, 0.5)[::2], means, np.asfortranarray(EYES))
    plain = GaussianParams(np.full(2, 0.5), means.astype(float, order="C"), EYES)
    assert fastem.accumulate(params, X).loglik == fastem.accumulate(plain, X).loglik
    probs = np.asfortranarray(np.full((2, 3), 0.5))
    assert fastem.accumulate(BinomialParams(np.full(2, 0.5), probs), np.ones((4, 3)), trials=1).total == 4.0


def test_a_warm_start_needs_the_features_and_components_of_the_last_fit():
    mixture = GaussianMixture(2, random_state=0, warm_start=True).fit(GOOD)
    with pytest.raises(ValueError, match="params have 2 features, but the rows have 3"):
        mixture.fit(np.zeros((9, 3)))
    with pytest.raises(ValueError, match="n_components was 2 when this mixture was fitted, and is now 3"):
        mixture.set_params(n_components=3).fit(GOOD)
    with pytest.raises(ValueError, match="covariance_type was 'full' when this mixture was fitted, and is now 'diag'"):
        mixture.set_params(n_components=2, covariance_type="diag").fit(GOOD)


def test_usual_input_is_taken():
    """Lists, integers, booleans, float16, other byte orders."""
    for X in (
        GOOD.tolist(),
        (GOOD * 10).astype(int),
        GOOD > 0,
        GOOD.astype(object),
        GOOD.astype(np.float16),
        GOOD.astype(">f8"),
    ):
        assert np.isfinite(GaussianMixture(1).fit(X).loglik_)


def test_float32_rows_are_not_copied():
    from fastem.validation.arrays import as_matrix

    for dtype in (np.float32, np.float64):
        for X in (GOOD.astype(dtype), np.asfortranarray(GOOD.astype(dtype)), GOOD.astype(dtype)[::2]):
            assert np.shares_memory(as_matrix(X), X)
