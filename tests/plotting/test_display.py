"""Pictures draw what was fitted: densities, ellipses, shares and traces are compared with numbers of another make."""

import math
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

import fastem
from fastem.estimators.registry import estimator_type
from fastem.families.registry import NAMES
from fastem.plotting import binomial, convergence, gaussian, planes, style
from fastem.plotting.registry import display_type

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import StepPatch

RNG = np.random.default_rng(0)
PLANE = np.concatenate([RNG.normal(size=(200, 2)) @ [[1.0, 0.5], [0.0, 0.4]], RNG.normal([6.0, 2.0], size=(100, 2))])
SPACE = np.column_stack([PLANE, RNG.normal(size=300)])
KINDS = ("full", "tied", "diag", "spherical")


def fitted_gaussian(X, k=2, **settings):
    return fastem.GaussianMixture(k, random_state=0, order_by="means", **settings).fit(X)


def drawn(mixture, X, **options):
    return fastem.GaussianMixtureDisplay.from_estimator(mixture, X, **options)


@pytest.fixture(autouse=True)
def no_figure_stays():
    yield
    plt.close("all")


def lines(axes):
    """The curves of a panel, by the name of the component without its weight."""
    return {line.get_label().split(",")[0]: line.get_xydata() for line in axes.get_lines()}


def bars_of(axes):
    """Beginnings, widths and heights of the bars of a histogram."""
    (steps,) = (patch for patch in axes.patches if isinstance(patch, StepPatch))
    return steps.get_data().edges[:-1], np.diff(steps.get_data().edges), steps.get_data().values


# ----------------------------------------------------------------------------------------------------------- Gaussian


def test_one_feature_has_the_densities_of_the_components():
    mixture = fitted_gaussian(PLANE[:, :1])
    (axes,) = drawn(mixture, PLANE[:, :1]).axes_
    curves = lines(axes)
    (cut,) = mixture.cut_points()
    assert list(curves) == ["component 0", "component 1", "mixture", f"cut at {cut:.4g}"]
    np.testing.assert_array_equal(curves[f"cut at {cut:.4g}"][:, 0], [cut, cut])
    for c in range(2):
        x, y = curves[f"component {c}"].T
        mean, variance = mixture.means_[c, 0], mixture.covariances_[c, 0, 0]
        expected = mixture.weights_[c] * np.exp(-((x - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
        np.testing.assert_allclose(y, expected, atol=1e-12)
    x, y = curves["mixture"].T
    np.testing.assert_allclose(y, np.exp(mixture.score_samples(x[:, np.newaxis])), atol=1e-12)


def test_the_histogram_is_a_weighted_density():
    weights = RNG.integers(0, 4, size=300).astype(float)
    mixture = fitted_gaussian(PLANE[:, :1])
    (axes,) = drawn(mixture, PLANE[:, :1], sample_weight=weights).axes_
    begins, widths, heights = bars_of(axes)
    assert (widths * heights).sum() == pytest.approx(1.0)
    begin, width, height = begins[6], widths[6], heights[6]
    inside = (PLANE[:, 0] >= begin) & (PLANE[:, 0] < begin + width)
    assert height * width == pytest.approx(weights[inside].sum() / weights.sum())


def test_a_thin_component_has_its_peak_and_is_cut_off():
    mixture = fitted_gaussian(PLANE[:, :1])
    mixture.covariances_ = np.array([mixture.covariances_[0], [[1e-8]]])
    (axes,) = drawn(mixture, PLANE[:, :1]).axes_
    peak = lines(axes)["component 1"][:, 1].max()
    assert peak == pytest.approx(mixture.weights_[1] / math.sqrt(2e-8 * math.pi))
    assert axes.get_ylim()[1] <= gaussian.CEILING * max(bars_of(axes)[2])


@pytest.mark.parametrize("kind", KINDS)
def test_two_features_have_ellipses_at_one_and_two_standard_deviations(kind):
    mixture = fitted_gaussian(PLANE, covariance_type=kind)
    (axes,) = drawn(mixture, PLANE).axes_
    assert len(axes.patches) == 4
    matrices = {
        "full": lambda S: S, "tied": lambda S: [S, S], "diag": lambda S: [np.diag(s) for s in S],
        "spherical": lambda S: [s * np.eye(2) for s in S],
    }[kind](mixture.covariances_)  # fmt: skip
    for place, ellipse in enumerate(axes.patches):
        c, radius = divmod(place, 2)
        rim = ellipse.get_patch_transform().transform([[1, 0], [0, 1], [-1, 0]]) - mixture.means_[c]
        distances = np.einsum("ij,jk,ik->i", rim, np.linalg.inv(matrices[c]), rim)
        np.testing.assert_allclose(distances, (radius + 1) ** 2, rtol=1e-9)


def test_rows_are_coloured_by_their_component():
    mixture = fitted_gaussian(PLANE)
    (axes,) = drawn(mixture, PLANE).axes_
    (points,) = axes.collections
    np.testing.assert_array_equal(points.get_offsets(), PLANE)
    expected = [mpl.colors.to_rgb(style.COLORS[label]) for label in mixture.predict(PLANE)]
    np.testing.assert_allclose(points.get_facecolors()[:, :3], expected)


def test_of_many_rows_some_are_drawn_and_very_many_are_counted(monkeypatch):
    mixture = fitted_gaussian(PLANE)
    monkeypatch.setattr(planes, "POINTS", 100)
    (axes,) = drawn(mixture, PLANE).axes_
    assert axes.get_title("right") == "100 of 300 rows drawn"
    (points,) = axes.collections
    assert len(points.get_offsets()) == 100
    assert {tuple(row) for row in points.get_offsets()} <= {tuple(row) for row in PLANE}
    monkeypatch.setattr(gaussian, "MANY", 299)
    monkeypatch.setattr(planes, "MANY", 299)
    weights = np.arange(300.0)
    (axes,) = drawn(mixture, PLANE, sample_weight=weights).axes_
    assert axes.get_title("right") == ""
    (hexagons,) = axes.collections
    assert hexagons.get_array().sum() == weights.sum()


@pytest.mark.seconds
def test_more_features_have_all_pairs_and_their_marginals():
    mixture = fitted_gaussian(SPACE)
    shown = drawn(mixture, SPACE)
    assert len(shown.axes_) == 9
    assert [axes.axison for axes in shown.axes_] == [True, False, False, True, True, False, True, True, True]
    assert [axes.get_xlabel() for axes in shown.axes_[6:]] == ["x0", "x1", "x2"]
    centers = [ellipse.center for ellipse in shown.axes_[7].patches[::2]]  # x1 across, x2 up
    np.testing.assert_allclose(centers, mixture.means_[:, [1, 2]])
    x, y = lines(shown.axes_[8])["component 0"].T
    mean, variance = mixture.means_[0, 2], mixture.covariances_[0, 2, 2]
    expected = mixture.weights_[0] * np.exp(-((x - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
    np.testing.assert_allclose(y, expected, atol=1e-12)


def test_names_of_features_are_those_of_the_fit():
    mixture = fitted_gaussian(PLANE)
    mixture.feature_names_in_ = np.array(["height", "weight"], object)
    (axes,) = drawn(mixture, PLANE).axes_
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("height", "weight")


def test_components_beyond_the_colours_have_another_line():
    styles = [tuple(style.style(c).values()) for c in range(4 * len(style.COLORS))]
    assert len(set(styles)) == len(styles)


# ----------------------------------------------------------------------------------------------------------- binomial


def test_counts_of_equal_trials_have_a_bar_each():
    heads = RNG.binomial(10, RNG.choice([0.2, 0.7], size=400))
    weights = RNG.integers(1, 4, size=400).astype(float)
    coins = fastem.BinomialMixture(2, n_trials=10, order_by="probs").fit(heads, sample_weight=weights)
    (axes,) = fastem.BinomialMixtureDisplay.from_estimator(coins, heads, sample_weight=weights).axes_
    observed = np.bincount(heads, weights, minlength=11) / weights.sum()
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], observed)
    counts = np.arange(11)
    for c, curve in enumerate(list(lines(axes).values())[:2]):
        prob = coins.probs_[c, 0]
        pmf = np.array([math.comb(10, m) for m in counts]) * prob**counts * (1 - prob) ** (10 - counts)
        np.testing.assert_allclose(curve, np.column_stack([counts / 10, coins.weights_[c] * pmf]), atol=1e-12)
    np.testing.assert_allclose(lines(axes)["mixture"][:, 1], np.exp(coins.score_samples(counts)), rtol=1e-9)


@pytest.mark.parametrize("factor", [1, 100], ids=["exact", "normal"])
def test_shares_are_those_of_a_large_sample(factor):
    """A bin of share p, of so many draws, is off by sqrt(p / n): four of that at the most."""
    params = fastem.BinomialParams(np.array([0.4, 0.6]), np.array([[0.1], [0.5]]))
    n, rng = 200_000, np.random.default_rng(1)
    trials = rng.integers(20, 80, size=n) * factor
    labels = rng.choice(2, p=params.weights, size=n)
    rates = rng.binomial(trials, params.probs[labels, 0]) / trials
    edges = np.linspace(0, 1, 21)
    found = binomial.expected_shares(params, 0, trials.astype(float), np.ones(n), edges)
    expected = np.array([np.histogram(rates[labels == c], edges)[0] / n for c in range(2)])
    assert found.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(found, expected, atol=0.003 + 4 * math.sqrt(0.1 / n))  # 200 quantiles for 60 trials


def test_columns_have_a_panel_each_and_rows_without_trials_are_left_out():
    trials = np.array([[5, 0], [5, 8], [5, 8], [5, 8]])
    heads = np.array([[1, 0], [4, 8], [5, 7], [1, 2]])
    coins = fastem.BinomialMixture(1).fit(heads, trials=trials)
    shown = fastem.BinomialMixtureDisplay.from_estimator(coins, heads, trials=trials)
    assert [axes.get_xlabel() for axes in shown.axes_] == ["rate of success, x0", "rate of success, x1"]
    heights = [bar.get_height() for bar in shown.axes_[1].patches]
    np.testing.assert_allclose(heights, np.bincount([8, 7, 2], minlength=9) / 3)


@pytest.mark.parametrize(("X", "panel"), [(PLANE, 0), (SPACE, 2)])
def test_a_legend_says_what_the_ellipses_are(X, panel):
    shown = drawn(fitted_gaussian(X), X)
    assert shown.axes_[panel].get_legend().get_title().get_text() == "ellipses at 1 and 2\nstandard deviations"
    (alone,) = drawn(fitted_gaussian(X[:, :1]), X[:, :1]).axes_
    assert not alone.get_legend().get_title().get_text()


@pytest.mark.parametrize("X", [PLANE, PLANE[:, :1]])
def test_components_that_a_posterior_leaves_empty_are_not_drawn(X):
    settings = {"weight_concentration_prior": 1e-3, "acceleration": "squarem", "max_iter": 2000, "random_state": 0}
    mixture = fastem.BayesianGaussianMixture(6, **settings).fit(X)
    live = np.flatnonzero(mixture.counts_ > 1).tolist()
    assert 0 < len(live) < 6
    (axes,) = drawn(mixture, X).axes_
    labels = [label.split(",")[0] for label in axes.get_legend_handles_labels()[1]]
    assert [each for each in labels if "cut" not in each] == [
        *(f"component {c}" for c in live),
        *["mixture"][: X.shape[1] == 1],
    ]
    count = 6 - len(live)
    assert axes.get_title(loc="right") == f"{count} empty component{'s' * (count > 1)} not drawn"


NAMES_OF_ANY_KIND = ["price $", "$\\frac{x$", "a\x1b[2Jb"]


@pytest.mark.parametrize("features", [[0], [0, 1], [0, 1, 2]])
def test_names_are_shown_as_they_are(features):
    """A dollar sign begins no formula, which may be none, and no control character is drawn."""
    mixture = fitted_gaussian(SPACE)
    mixture.feature_names_in_ = np.array(NAMES_OF_ANY_KIND, object)
    shown = fastem.GaussianMixtureDisplay(
        params=mixture.params_, X=SPACE, feature_names=NAMES_OF_ANY_KIND, features=features
    ).plot()
    shown.figure_.canvas.draw()
    assert (
        shown.axes_[-1].get_xlabel()
        == [r"price \$", r"\$\frac{x\$", r"a\x1b[2Jb"][features[-1 if len(features) != 2 else 0]]
    )
    counts = np.arange(300)[:, np.newaxis] % 9
    for kind, options in ((fastem.PoissonMixture, {}), (fastem.BinomialMixture, {"trials": 9})):
        fitted = kind(1).fit(counts, **options)
        fitted.feature_names_in_ = np.array(NAMES_OF_ANY_KIND[1:2], object)
        display_type(fitted.family.name).from_estimator(fitted, counts, **options).figure_.canvas.draw()


# -------------------------------------------------------------------------------------------------------- convergence


def test_a_trace_has_every_iteration_at_its_sweep():
    """Rejected extrapolations cost a sweep: the last iteration is one before the last sweep of the fit."""
    mixture = fastem.GaussianMixture(
        5, random_state=0, init_params="random", acceleration="anderson", tol=1e-9, max_iter=2000
    ).fit(PLANE)
    steps = np.array(mixture.history_.step)
    assert {"accelerated", "rejected"} <= set(steps)
    shown = fastem.ConvergenceDisplay.from_estimator(mixture)
    for axes, name in zip(shown.axes_, ("loglik", "q", "entropy"), strict=True):
        sweeps, values = axes.get_lines()[0].get_xydata().T
        np.testing.assert_array_equal(values, getattr(mixture.history_, name))
        assert sweeps[-1] == mixture.n_sweeps_ - 1
        marks = {each.get_label(): each.get_offsets()[:, 0].tolist() for each in axes.collections}
        for step in ("accelerated", "rejected"):
            assert marks[step] == sweeps[steps == step].tolist()


@pytest.mark.parametrize(
    ("mixture", "name"),
    [
        (fastem.GaussianMixture(2), "log likelihood"),
        (fastem.GaussianMixture(2, prior=fastem.GaussianPrior(scale=np.eye(2))), "log posterior"),
        (fastem.BayesianGaussianMixture(2), "lower bound"),
    ],
)
def test_a_trace_is_called_what_em_raises(mixture, name):
    shown = fastem.ConvergenceDisplay.from_estimator(mixture.fit(PLANE))
    assert [axes.get_ylabel() for axes in shown.axes_] == [name, "Q", "entropy"]
    assert shown.axes_[1].get_title(loc="right") == f"may fall: the {name}, Q + entropy, does not"
    assert f", {name} " in repr(shown)
    assert name in mixture.summary_


def test_reseeded_components_are_marked():
    history = fastem.History(np.arange(3.0), np.zeros(3), np.arange(3.0), ("start", "reseeded", "dropped"))
    shown = convergence.ConvergenceDisplay(history=history).plot(quantities=("loglik",))
    assert [text.get_text() for text in shown.axes_[0].get_legend().get_texts()] == ["reseeded", "dropped"]


def test_two_fits_share_a_panel():
    _, axes = plt.subplots()
    for kind in ("full", "diag"):
        mixture = fitted_gaussian(PLANE, covariance_type=kind, acceleration=None)
        fastem.ConvergenceDisplay.from_estimator(mixture, quantities=("loglik",), label=kind, ax=axes)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["full", "diag"]


# ------------------------------------------------------------------------------------------------------------- errors


def test_only_what_is_fitted_is_drawn():
    for shown in (fastem.ConvergenceDisplay, fastem.GaussianMixtureDisplay):
        with pytest.raises(fastem.NotFittedError):
            shown.from_estimator(fastem.GaussianMixture(), *([PLANE] if shown is fastem.GaussianMixtureDisplay else []))


@pytest.mark.parametrize("family", NAMES)
def test_a_display_draws_the_mixtures_of_its_family(family):
    display = display_type(family)
    for other in [estimator_type(name)(1) for name in NAMES if name != family] + ["mixture", None]:
        with pytest.raises(
            TypeError, match=f"mixture must be a {family.capitalize()}Mixture, got {type(other).__name__}"
        ):
            display.from_estimator(other, PLANE)


def test_bad_arguments_are_named():
    mixture = fitted_gaussian(PLANE)
    with pytest.raises(ValueError, match="X has 3 features, but GaussianMixture is expecting 2"):
        drawn(mixture, SPACE)
    with pytest.raises(ValueError, match="ax must have 1 panels, got 2"):
        drawn(mixture, PLANE, ax=plt.subplots(1, 2)[1])
    with pytest.raises(ValueError, match="quantities must be one of 'loglik', 'q', 'entropy', got 'p'"):
        fastem.ConvergenceDisplay.from_estimator(mixture, quantities=["p"])
    wide = RNG.normal(size=(50, 7))
    for features, error, message in [
        (range(7), ValueError, "features must be at most 6 different columns"),
        ([1, 1], ValueError, "features must be at most 6 different columns"),
        ([7], ValueError, "features must be at most 6"),
        (["x7"], ValueError, "features must be one of 'x0', .* got 'x7'"),
        (3, TypeError, "features must be a list or another iterable"),
        ([1.5], TypeError, "features must be an int"),
    ]:
        with pytest.raises(error, match=message):
            drawn(fitted_gaussian(wide, 1), wide, features=features)
    with pytest.raises(ValueError, match="uncertainty must be False but for two features, got 6"):
        drawn(fitted_gaussian(wide, 1), wide, uncertainty=True)


@pytest.mark.process
def test_matplotlib_is_loaded_when_something_is_drawn_and_its_absence_is_told():
    code = """
import sys, numpy as np, fastem
display = fastem.GaussianMixtureDisplay
assert "matplotlib" not in sys.modules
sys.modules["matplotlib.pyplot"] = None
X = np.arange(9.0)[:, np.newaxis]
try:
    display.from_estimator(fastem.GaussianMixture().fit(X), X)
except ImportError as error:
    print(error)"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (run.stdout, run.stderr) == ("displays need matplotlib: pip install matplotlib\n", "")
