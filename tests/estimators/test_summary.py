"""A fitted mixture is told as a table of its components, and shown in a notebook above its settings."""

import numpy as np
import pandas as pd
import pytest

import fastem
from fastem.estimators import sklearn_compat, summary

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(200, 2)), RNG.normal([5.0, 4.0], 2.0, size=(100, 2))])
FRAME = pd.DataFrame(X, columns=["<east>", "north"])
HEADS = RNG.binomial(20, RNG.choice([0.2, 0.7], size=300))
CALLS = RNG.poisson(RNG.choice([1.0, 9.0], size=300))


def mixture(**settings):
    return fastem.GaussianMixture(2, random_state=0, order_by="means", tol=1e-8, **settings)


FITTED = {
    "gaussian": (mixture().fit(X), {"mean": "means_", "sd": None}),
    "tied": (mixture(covariance_type="tied").fit(X), {"mean": "means_", "sd": None}),
    "spherical": (mixture(covariance_type="spherical").fit(X), {"mean": "means_", "sd": None}),
    "binomial": (fastem.BinomialMixture(2, n_trials=20).fit(HEADS), {"prob": "probs_"}),
    "poisson": (fastem.PoissonMixture(2).fit(CALLS), {"rate": "rates_"}),
}


@pytest.mark.parametrize("name", FITTED)
def test_a_summary_has_the_weight_and_parameters_of_each_component(name):
    fitted, columns = FITTED[name]
    frame = fitted.summary().to_frame()
    np.testing.assert_array_equal(frame["weight"], fitted.weights_)
    for column, attribute in columns.items():
        found = frame.filter(like=f"{column} x").to_numpy()
        draws = fitted.params_.variances() ** 0.5 if attribute is None else getattr(fitted, attribute)
        np.testing.assert_array_equal(found, draws)
    lines = repr(fitted.summary()).splitlines()
    assert lines[0].startswith(f"{type(fitted).__name__}: 2 components")
    assert lines[0].endswith("; 300 rows")
    assert f"BIC {fitted.bic_:.2f}" in repr(fitted.summary())
    assert max(map(len, lines)) <= 80
    assert [line.split()[1] for line in lines[-2:]] == [f"{weight:.4g}" for weight in fitted.weights_]


def test_large_numbers_have_no_exponent():
    fitted = mixture().fit(1e5 * X)
    errors = fitted.standard_errors(1e5 * X)
    text = repr(fitted.summary(errors))
    assert "e+" not in text
    assert f"{fitted.means_[1, 0]:.0f} ± {errors.means[1, 0]:.0f} " in text


@pytest.mark.parametrize(
    ("number", "text"),
    [(9999.4, "9999"), (9999.6, "10000"), (-21400.123, "-21400"), (0.00012345, "0.0001234"), (2e7, "2e+07"),
     (np.nan, "nan"), (np.inf, "inf"), (0.0, "0")],
)  # fmt: skip
def test_numbers_have_the_digits_that_are_asked_for(number, text):
    assert summary.number_as_text(number, 4) == text


@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")
@pytest.mark.parametrize("rows", [[[0.0], [1.0]], [[0.0, 0.0], [1.0, 2.0]]])
def test_a_degenerate_fit_says_so_below_its_table(rows):
    fitted = fastem.GaussianMixture(2, random_state=0).fit(rows)
    found = fitted.diagnose().complaints
    assert all(found)
    lines = repr(fitted.summary()).splitlines()[-2:]
    assert lines == [f"component {c} {sentence}" for c, (sentence,) in enumerate(found)]
    assert lines[0] in fitted._repr_html_()
    assert not FITTED["gaussian"][0].summary().notes
    empty = fastem.BayesianGaussianMixture(4, random_state=0, max_iter=500).fit(X)
    assert not empty.summary().notes  # an empty component is no fault there


def test_sds_are_those_of_the_covariances():
    frame = FITTED["gaussian"][0].summary().to_frame()
    expected = np.sqrt(np.diagonal(FITTED["gaussian"][0].covariances_, axis1=1, axis2=2))
    np.testing.assert_allclose(frame[["sd x0", "sd x1"]], expected, rtol=1e-12)


def test_standard_errors_stand_beside_the_values():
    fitted = FITTED["gaussian"][0]
    errors = fitted.standard_errors(X)
    told = fitted.summary(errors)
    frame = told.to_frame()
    np.testing.assert_array_equal(frame[["se mean x0", "se mean x1"]], errors.means)
    np.testing.assert_array_equal(frame["se weight"], errors.weights)
    assert f"{fitted.means_[0, 0]:.4g} ± {errors.means[0, 0]:.2g}" in repr(told)
    with pytest.raises(TypeError, match="errors must be a StandardErrors"):
        fitted.summary(X)
    with pytest.raises(ValueError, match=r"'errors.means' should have the shape of \(2, 2\), but got \(0,\)"):
        fitted.summary(FITTED["binomial"][0].standard_errors(HEADS))


def test_of_many_features_each_has_a_line():
    wide = fastem.GaussianMixture(2, random_state=0).fit(
        RNG.normal(np.repeat([[0.0], [9.0]], 100, axis=0), size=(200, 8))
    )
    lines = repr(wide.summary()).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[-3] for line in lines[-16:]] == [f"x{i}" for i in range(8)] * 2
    assert len(wide.summary().to_frame()) == 2


def test_what_a_fit_has_not_told_is_left_out():
    by_batches = mixture().partial_fit(X)
    assert "partial_fit" in repr(by_batches.summary())
    by_hand = fastem.GaussianMixture(1)
    by_hand.weights_, by_hand.means_ = np.ones(1), np.zeros((1, 1))
    by_hand.covariances_ = np.ones((1, 1, 1))
    assert repr(by_hand.summary()).splitlines()[0] == "GaussianMixture: 1 component, full covariances"
    with pytest.raises(fastem.NotFittedError):
        fastem.GaussianMixture().summary()


# ------------------------------------------------------------------------------------------------------------ notebooks


def test_a_notebook_shows_the_fit_before_the_settings():
    fitted = mixture().fit(FRAME)
    html = fitted._repr_html_()
    assert fitted.summary()._repr_html_() in html
    assert html.index("mean north") < html.index("order_by")
    assert "<east>" not in html
    assert fitted._repr_mimebundle_()["text/html"].startswith(fitted.summary()._repr_html_())
    assert fitted._repr_mimebundle_()["text/plain"] == repr(fitted)


def test_before_a_fit_and_after_a_change_the_settings_alone_are_shown():
    fitted = mixture().fit(X)
    fitted.covariance_type = "tied"
    for each in (mixture(), fitted):
        assert "GaussianMixture" in each._repr_html_()
        assert "BIC" not in each._repr_html_()
        assert "BIC" not in each._repr_mimebundle_()["text/html"]


def test_scikit_learn_may_be_told_to_show_text():
    sklearn = pytest.importorskip("sklearn")
    with sklearn.config_context(display="text"):
        assert not hasattr(mixture().fit(X), "_repr_html_")
        assert list(mixture().fit(X)._repr_mimebundle_()) == ["text/plain"]


def test_without_scikit_learn_the_settings_are_text():
    class Plain(sklearn_compat.PlainEstimator):
        def __init__(self, name="<b>"):
            self.name = name

    shown = Plain("a&b")
    assert shown._repr_html_() == "<pre>Plain(name=&#x27;a&amp;b&#x27;)</pre>"
