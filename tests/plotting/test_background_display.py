"""Pictures of mixtures with a background: its rows are grey, its density is flat."""

import matplotlib as mpl
import numpy as np
import pytest

import fastem
from fastem.plotting.style import BACKGROUND_COLOR

mpl.use("Agg")
import matplotlib.pyplot as plt

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(0, 1, (150, 3)), RNG.normal(6, 1, (150, 3)), RNG.uniform(-15, 20, (40, 3))])


@pytest.fixture(autouse=True)
def no_figure_stays():
    yield
    plt.close("all")


def drawn(d, **options):
    mixture = fastem.GaussianMixture(2, noise=True, random_state=0, order_by="means").fit(X[:, :d])
    return mixture, fastem.GaussianMixtureDisplay.from_estimator(mixture, X[:, :d], **options).axes_


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_its_density_is_a_line_that_the_mixture_never_falls_below():
    mixture, (axes,) = drawn(1)
    assert labels(axes)[2:4] == ["background, 9.8 %", "mixture"]
    flat, whole = (line.get_xydata() for line in axes.get_lines()[2:4])
    expected = mixture.noise_weight_ / mixture.noise_box_[1, 0]
    np.testing.assert_allclose(flat[:, 1], expected, rtol=1e-9)
    np.testing.assert_allclose(whole[:, 1], np.exp(mixture.score_samples(whole[:, :1])), rtol=1e-9)


@pytest.mark.parametrize("uncertainty", [False, True])
def test_its_rows_are_grey(uncertainty):
    mixture, (axes,) = drawn(2, uncertainty=uncertainty)
    colors = axes.collections[0].get_facecolors()[:, :3]
    grey = np.isclose(colors, mpl.colors.to_rgb(BACKGROUND_COLOR)).all(axis=1)
    np.testing.assert_array_equal(grey, mixture.predict(X[:, :2]) == -1)
    assert labels(axes)[-1].startswith("background, ")


def test_marginals_of_pairs_have_a_background_each():
    mixture, axes = drawn(3)
    (flat,) = (line for line in axes[0].get_lines() if line.get_label().startswith("background"))
    edges = mixture.noise_box_[1:, 0]
    assert np.ptp(flat.get_ydata()) == pytest.approx(0.0, abs=1e-12)
    assert flat.get_ydata()[0] == pytest.approx(mixture.noise_weight_ / np.abs(edges).sum())
