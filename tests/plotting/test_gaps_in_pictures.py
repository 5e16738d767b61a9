"""Pictures of rows that lack values draw what is there, and say what is not."""

import matplotlib as mpl
import numpy as np
import pytest

import fastem
from fastem.plotting import planes, style

mpl.use("Agg")
import matplotlib.pyplot as plt

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(200, 3)), RNG.normal([6.0, 2.0, -4.0], size=(100, 3))])
GAPS = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
COUNTS = RNG.binomial(10, np.repeat([[0.2, 0.5], [0.8, 0.4]], 100, axis=0)).astype(float)
COUNTS[RNG.random(COUNTS.shape) < 0.2] = np.nan
GAUSSIAN = fastem.GaussianMixture(2, missing="marginalize", random_state=0).fit(GAPS)
POISSON = fastem.PoissonMixture(2, missing="marginalize").fit(COUNTS)
BINOMIAL = fastem.BinomialMixture(2, missing="marginalize", n_trials=10).fit(COUNTS)


@pytest.fixture(autouse=True)
def no_figure_stays():
    yield
    plt.close("all")


def drawn(X, **options):
    return fastem.GaussianMixtureDisplay.from_estimator(GAUSSIAN, X, **options)


def without(X, *features):
    """The rows that have these features."""
    return X[~np.isnan(X[:, features]).any(axis=1)]


def sentence(X, *features):
    n = len(X) - len(without(X, *features))
    return f"{n} of {len(X)} rows lack a value: not drawn"


@pytest.mark.parametrize("weights", [None, RNG.random(len(GAPS))], ids=["rows", "weights"])
def test_the_histogram_of_a_feature_has_the_rows_that_have_it(weights):
    present = ~np.isnan(GAPS[:, 1])
    (axes,) = drawn(GAPS, features=[1], sample_weight=weights).axes_
    (expected,) = drawn(GAPS[present], features=[1], sample_weight=None if weights is None else weights[present]).axes_
    bars, others = (each.patches[0].get_data() for each in (axes, expected))
    np.testing.assert_array_equal(bars.values, others.values)
    np.testing.assert_array_equal(bars.edges, others.edges)
    assert axes.get_title("right") == sentence(GAPS, 1)


def test_a_plane_has_the_rows_that_have_both_features_in_the_colours_of_all_that_they_have():
    (axes,) = drawn(GAPS, features=[0, 2]).axes_
    present = ~np.isnan(GAPS[:, [0, 2]]).any(axis=1)
    (points,) = axes.collections
    shown = ~np.ma.getmaskarray(points.get_offsets()).any(axis=1)
    np.testing.assert_array_equal(points.get_offsets()[shown], GAPS[present][:, [0, 2]])
    colors = [mpl.colors.to_rgba(style.color_of(label), 0.5) for label in GAUSSIAN.predict(GAPS)[present]]
    np.testing.assert_allclose(points.get_facecolors()[shown], colors)
    assert axes.get_title("right") == sentence(GAPS, 0, 2)


def test_hexagons_count_the_rows_that_have_both_features(monkeypatch):
    monkeypatch.setattr("fastem.plotting.gaussian.MANY", 100)
    (axes,) = drawn(GAPS, features=[0, 1]).axes_
    assert axes.collections[0].get_array().sum() == len(without(GAPS, 0, 1))
    assert planes.MANY > 100


def test_pairs_say_how_many_rows_are_not_in_all_panels():
    texts = [text.get_text() for axes in drawn(GAPS).axes_ for text in axes.texts]
    assert texts == [f"{len(GAPS) - len(without(GAPS, 0, 1, 2))} of 300 rows lack a value: not in all panels"]


def test_rows_that_are_far_are_no_rows_that_lack_a_value():
    far = np.concatenate([np.tile(GAPS, (5, 1)), [[1e6, 0.0, 0.0], [np.nan, 1e6, 0.0]]])
    (axes,) = drawn(far, features=[0, 1]).axes_
    assert axes.get_title("right") == f"{sentence(far, 0, 1).replace('1502', '1,502')}; 2 of 1,502 rows outside"


@pytest.mark.parametrize("weights", [None, RNG.random(len(COUNTS))], ids=["rows", "weights"])
@pytest.mark.parametrize("mixture", [POISSON, BINOMIAL], ids=["poisson", "binomial"])
def test_each_column_of_counts_has_the_rows_that_have_it(mixture, weights):
    panels = draw_counts(mixture, COUNTS, weights)
    for feature, axes in enumerate(panels):
        present = ~np.isnan(COUNTS[:, feature])
        own = np.nan_to_num(COUNTS[present])
        expected = draw_counts(mixture, own, None if weights is None else weights[present])[feature]
        for bars, others in zip(axes.patches, expected.patches, strict=True):
            assert bars.get_height() == pytest.approx(others.get_height(), rel=1e-12)
        assert axes.get_title("right") == sentence(COUNTS, feature)


def draw_counts(mixture, counts, weights):
    kind = {"poisson": fastem.PoissonMixtureDisplay, "binomial": fastem.BinomialMixtureDisplay}[mixture.family.name]
    return kind.from_estimator(mixture, counts, sample_weight=weights).axes_


def test_a_column_without_values_is_refused_with_its_number():
    with pytest.raises(ValueError, match="column 1 has no value to draw"):
        drawn(GAPS * [1.0, np.nan, 1.0])
    for mixture in (POISSON, BINOMIAL):
        with pytest.raises(ValueError, match="column 1 has no value to draw"):
            draw_counts(mixture, COUNTS * [1.0, np.nan], None)
    assert drawn(GAPS * [1.0, np.nan, 1.0], features=[0, 2]).axes_


def test_float32_rows_with_a_large_offset_have_a_histogram():
    rows = (1e7 + np.arange(30) % 3).astype(np.float32)
    np.testing.assert_array_equal(style.bin_edges(rows), style.bin_edges(rows.astype(float)))


def test_a_mixture_of_complete_rows_takes_no_gaps():
    mixture = fastem.GaussianMixture(2, random_state=0).fit(X)
    with pytest.raises(ValueError, match="X must be finite, without NaN or infinity, got nan at row"):
        fastem.GaussianMixtureDisplay.from_estimator(mixture, GAPS)


def test_an_animation_follows_a_fit_of_rows_with_gaps():
    animation = fastem.FitAnimation.from_estimator(GAUSSIAN, GAPS)
    np.testing.assert_allclose(animation.displays[-1].params.means, GAUSSIAN.means_, atol=1e-6)
