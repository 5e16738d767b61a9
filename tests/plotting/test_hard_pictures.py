"""What pictures do about many components, far rows, many features and many rows; selections and groups have theirs."""

import matplotlib as mpl
import numpy as np
import pytest

import fastem
from fastem.plotting import gaussian, style

mpl.use("Agg")
import matplotlib.pyplot as plt

RNG = np.random.default_rng(0)
TWO = np.concatenate([RNG.normal(size=(200, 2)), RNG.normal(size=(100, 2)) + 5.0])
QUICK = fastem.GaussianMixture(init_params="kmeans", random_state=0, tol=1e-6, max_iter=500)


@pytest.fixture(autouse=True)
def no_figure_stays():
    yield
    plt.close("all")


def params(means, variances=None, weights=None):
    """Components with diagonal covariances."""
    means = np.asarray(means, float)
    k = len(means)
    return fastem.GaussianParams(
        np.full(k, 1 / k) if weights is None else np.array(weights),
        means,
        np.ones_like(means) if variances is None else np.asarray(variances, float),
        "diag",
    )


def drawn(mixture, X, **options):
    return fastem.GaussianMixtureDisplay.from_estimator(mixture, X, **options)


def fitted(X, k=2):
    return fastem.GaussianMixture(k, random_state=0, order_by="means").fit(X)


# -------------------------------------------------------------------------------------------------------------- legends


def test_a_legend_says_what_each_component_weighs():
    labels = [style.component_label(0, w) for w in (0.4, 0.0996, 0.0954, 0.0043, 1.0, 0.9952, 1e-5)]
    assert [label.removeprefix("component 0, ") for label in labels] == [
        "40 %", "10 %", "9.5 %", "0.43 %", "100 %", "99.5 %", "0.001 %"
    ]  # fmt: skip


@pytest.mark.parametrize(("k", "is_beside"), [(2, False), (10, True), (40, True)])
def test_a_long_legend_stands_beside_the_panel(k, is_beside):
    display = fastem.GaussianMixtureDisplay(params=params(RNG.normal(size=(k, 2))), X=TWO).plot()
    (axes,) = display.axes_
    display.figure_.canvas.draw()
    box, panel = axes.get_legend().get_window_extent(), axes.get_window_extent()
    assert (box.x0 >= panel.x1) == is_beside
    assert box.x1 <= display.figure_.bbox.x1
    assert box.height <= display.figure_.bbox.height


def test_where_no_layout_makes_room_a_legend_stays_in_the_panel():
    _, axes = plt.subplots()
    fastem.GaussianMixtureDisplay(params=params(RNG.normal(size=(10, 2))), X=TWO).plot(axes)
    axes.figure.canvas.draw()
    assert axes.get_legend().get_window_extent().x1 <= axes.get_window_extent().x1


# ------------------------------------------------------------------------------------------------------------- far rows


@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")
def test_one_far_row_does_not_squeeze_the_others():
    X = np.append(RNG.normal(size=4000), 60.0)[:, np.newaxis]
    (axes,) = drawn(fitted(X), X).axes_
    assert axes.get_xlim()[1] < 10.0
    assert axes.get_title("right") == "1 of 4,001 rows outside"
    (bars,) = (patch.get_data() for patch in axes.patches)
    assert (np.diff(bars.edges) * bars.values).sum() == pytest.approx(4000 / 4001)
    plane = np.column_stack([X, RNG.normal(size=4001)])
    (axes,) = drawn(fitted(plane), plane).axes_
    assert axes.get_xlim()[1] < 10.0
    assert axes.get_title("right") == "1 of 4,001 rows outside"


def test_a_far_count_does_not_squeeze_the_others():
    counts = np.append(RNG.poisson(4.0, 500), 10**6)
    (axes,) = fastem.PoissonMixtureDisplay.from_estimator(fastem.PoissonMixture(2).fit(counts), counts).axes_
    assert axes.get_xlim()[1] < 30
    assert axes.get_title("right") == "1 of 501 rows outside"


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_a_far_group_is_no_outlier(share):
    n = 2000
    x = np.append(RNG.normal(size=int(n * (1 - share))), RNG.normal(1000.0, 1.0, size=int(n * share)))
    assert style.shown_range(x) == (x.min(), x.max())


@pytest.mark.parametrize("x", [RNG.normal(size=10**6), RNG.random(100), np.zeros(50), np.arange(3.0), [0.0, 1e9]])
def test_rows_without_outliers_are_all_shown(x):
    assert style.shown_range(np.array(x)) == (np.min(x), np.max(x))


def test_bins_are_fine_where_rows_lie_close_together():
    x = np.exp(RNG.normal(size=5000))
    edges = style.bin_edges(x[x < style.shown_range(x)[1]], gaussian.FINEST)
    assert style.BINS[1] < len(edges) - 1 <= gaussian.FINEST
    assert len(style.bin_edges(x)) - 1 <= style.BINS[1]


# ------------------------------------------------------------------------------------------------------------- features


def test_features_are_chosen_by_number_or_name():
    X = np.column_stack([TWO, RNG.normal(size=300)])
    mixture = fitted(X)
    expected = [mpl.colors.to_rgb(style.COLORS[label]) for label in mixture.predict(X)]
    mixture.feature_names_in_ = np.array(["east", "north", "up"], object)
    (axes,) = drawn(mixture, X, features=["up", 0]).axes_
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("up", "east")
    np.testing.assert_allclose([ellipse.center for ellipse in axes.patches[::2]], mixture.means_[:, [2, 0]])
    np.testing.assert_allclose(axes.collections[0].get_facecolors()[:, :3], expected)  # by all features
    (axes,) = drawn(mixture, X, features=[1]).axes_
    assert axes.get_xlabel() == "north"


def test_information_is_that_of_numerical_integration():
    """0 of equal components, the entropy of the weights of separate ones; for the rest by a sum over a fine grid."""
    assert gaussian.information_of(params([[0.0], [0.0]])) == pytest.approx(0.0, abs=1e-12)
    assert gaussian.information_of(params([[0.0], [50.0], [100.0]])) == pytest.approx(np.log(3), rel=1e-6)
    weights, sds, means = np.array([0.3, 0.7]), np.array([1.0, 3.0]), np.array([0.0, 1.0])
    x = np.linspace(-25, 25, 400_001)[:, np.newaxis]
    density = np.exp(-0.5 * ((x - means) / sds) ** 2) / sds / np.sqrt(2 * np.pi)
    mixture = density @ weights
    expected = (weights * density * np.log(density / mixture[:, np.newaxis])).sum() * (x[1, 0] - x[0, 0])
    found = gaussian.information_of(params(means[:, np.newaxis], sds[:, np.newaxis] ** 2, weights))
    assert found == pytest.approx(expected, rel=1e-3)


def test_of_many_features_those_that_separate_best_are_drawn():
    """Two components that differ in means, or in variances, of six features of eight."""
    means, variances = np.zeros((2, 8)), np.ones((2, 8))
    means[1, [0, 2, 3, 5]], variances[1, [6, 7]] = [3.0, 2.0, 5.0, 1.5], 25.0
    means[1, [1, 4]] = 0.1
    both = params(means, variances)
    display = fastem.GaussianMixtureDisplay(params=both, X=RNG.normal(size=(60, 8)))
    assert display.features == [0, 2, 3, 5, 6, 7]
    scaled = params(means * 1000 ** np.arange(-3.0, 5.0), variances * 1000 ** (2 * np.arange(-3.0, 5.0)))
    assert gaussian.most_separating(scaled, 6) == display.features  # units do not matter


@pytest.mark.seconds
def test_a_picture_of_some_features_says_so():
    means = np.zeros((2, 7))
    means[1] = [0, 4, 4, 4, 4, 4, 4]
    shown = fastem.GaussianMixtureDisplay(params=params(means), X=RNG.normal(size=(60, 7))).plot()
    assert len(shown.axes_) == 36
    assert [axes.get_xlabel() for axes in shown.axes_[-6:]] == ["x1", "x2", "x3", "x4", "x5", "x6"]
    assert [text.get_text() for text in shown.axes_[-7].texts] == ["6 of 7 features: those that separate best"]


# ---------------------------------------------------------------------------------------------------------- uncertainty


def test_places_are_shaded_by_the_probability_of_their_component():
    mixture = fitted(TWO)
    display = drawn(mixture, TWO, uncertainty=True)
    axes = display.axes_[0]
    (shades,) = (each for each in axes.collections if isinstance(each, mpl.contour.QuadContourSet))
    border = (mixture.means_[0] + mixture.means_[1]) / 2
    inside = [path.contains_point(border) for path in shades.get_paths()]
    surest = mixture.predict_proba(border[np.newaxis]).max()
    assert shades.levels[inside.index(True) - 1] <= surest <= shades.levels[inside.index(True)]
    assert len(display.figure_.axes) == 2  # a scale
    assert axes.get_xlim()[0] < TWO[:, 0].min()


# ----------------------------------------------------------------------------------------------------- other displays


def test_a_selection_has_a_line_for_each_covariance_type_and_a_star():
    selection = fastem.select(TWO, [3, 1, 2], ("full", "diag"), estimator=QUICK)
    (axes,) = fastem.SelectionDisplay.from_selection(selection).axes_
    lines = {line.get_label(): line.get_xydata() for line in axes.get_lines()}
    assert list(lines) == ["full", "diag"]
    for kind, points in lines.items():
        expected = sorted((c.n_components, c.bic) for c in selection.candidates if c.covariance_type == kind)
        np.testing.assert_array_equal(points, expected)
    marks = {each.get_label(): each.get_offsets() for each in axes.collections}
    best = selection.candidates[selection.best_index]
    np.testing.assert_array_equal(marks["best"], [[best.n_components, best.bic]])
    (axes,) = fastem.SelectionDisplay.from_selection(selection, criterion="icl").axes_
    assert axes.get_ylabel() == "ICL (lower is better)"
    with pytest.raises(ValueError, match="criterion must be one of 'bic', 'icl', 'aic', 'cv', got 'p'"):
        fastem.SelectionDisplay.from_selection(selection, criterion="p")


def test_suspects_of_a_selection_and_those_that_are_passed_over_are_marked():
    pair = np.concatenate([RNG.normal(size=(60, 1)), [[9.0], [9.0]]])
    selection = fastem.select(pair, [1, 2, 3], estimator=QUICK)
    (axes,) = fastem.SelectionDisplay.from_selection(selection).axes_
    marks = {each.get_label(): each.get_offsets()[:, 0].tolist() for each in axes.collections}
    assert marks["has suspect components"] == [c.n_components for c in selection.candidates if c.n_suspect]
    passed_over = [selection.candidates[i].n_components for i in selection.passed_over]
    assert marks.get("passed over", []) == passed_over


def test_candidates_far_above_the_others_do_not_flatten_them():
    candidate = fastem.select(TWO, [1], estimator=QUICK).candidates[0]
    values = [1e6, 10.0, 0.0, 5.0, 8.0]
    candidates = [type(candidate)(**vars(candidate) | {"n_components": i, "bic": v}) for i, v in enumerate(values, 1)]
    (axes,) = fastem.SelectionDisplay.from_selection(fastem.Selection("bic", tuple(candidates), ())).axes_
    assert 10.0 < axes.get_ylim()[1] < 100.0
    assert axes.get_title("right") == "1 of 5 candidates above"


def test_groups_are_counted_by_their_size_and_status():
    groups = np.where(np.arange(40)[:, np.newaxis] < 15, 8.0 * RNG.integers(0, 2, (40, 60)), 0.0)
    values = RNG.normal(size=(40, 60)) + groups
    values[-1, 0] = np.nan
    fits = fastem.fit_many(values, n_components=(1, 2), criterion="bic")
    display = fastem.ManyFitsDisplay.from_fits(fits)
    (axes,) = display.axes_
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "not finite"]
    heights = np.zeros(3)
    for bar in axes.patches:
        heights[round(bar.get_x() + bar.get_width() / 2)] += bar.get_height()
    assert heights.tolist() == [(fits.n_components == 1).sum(), (fits.n_components == 2).sum(), 1]
    assert [text.get_text() for text in axes.texts] == [f"{count:g}" for count in heights]
    with pytest.raises(TypeError, match="fits must be the result of fit_many"):
        fastem.ManyFitsDisplay.from_fits([1])


def test_groups_that_ended_early_are_another_part_of_the_bar():
    fits = fastem.fit_many(RNG.normal(size=(30, 60)), n_components=2, max_iter=3)
    (axes,) = fastem.ManyFitsDisplay.from_fits(fits).axes_
    counts = [container.datavalues.tolist() for container in axes.containers]
    expected = [[int((fits.status == each).sum())] for each in (0, 1)]
    assert counts == [count for count in expected if count != [0]]


def test_a_trace_says_that_q_may_fall():
    mixture = fitted(TWO)
    shown = fastem.ConvergenceDisplay.from_estimator(mixture)
    assert [axes.get_title("right") != "" for axes in shown.axes_] == [False, True, False]


def test_displays_say_what_they_show():
    mixture = fitted(TWO)
    selection = fastem.select(TWO, [1, 2], estimator=QUICK)
    assert repr(drawn(mixture, TWO)) == "<GaussianMixtureDisplay: 2 components, 300 rows, 2 features>"
    trace = fastem.ConvergenceDisplay.from_estimator(mixture)
    assert repr(trace).startswith(f"<ConvergenceDisplay: {mixture.n_iter_} iterations, log likelihood -")
    assert repr(fastem.ConvergenceDisplay(history=fastem.History(*np.empty((3, 0))))) == (
        "<ConvergenceDisplay: 0 iterations>"
    )
    chosen = fastem.SelectionDisplay.from_selection(selection)
    assert repr(chosen) == "<SelectionDisplay: bic of 2 candidates, the best has 2>"
    fits = fastem.fit_many(np.arange(20.0), [0, 10, 20])
    assert repr(fits) in f"<{fastem.ManyFitsDisplay(fits=fits)!r}>"
    film = fastem.FitAnimation([drawn(mixture, TWO)] * 3)
    assert repr(film) == f"<FitAnimation: 2 iterations of {drawn(mixture, TWO)!r}>"


@pytest.mark.seconds
def test_a_notebook_plays_an_animation():
    film = fastem.FitAnimation([drawn(fitted(TWO), TWO)])
    plt.close("all")
    assert "data:image/png;base64" in film._repr_html_()
    assert not plt.get_fignums()
