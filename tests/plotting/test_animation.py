"""An animation shows a fit: its frames are displays of the parameters that EM went through."""

import sys

import matplotlib as mpl
import numpy as np
import pytest

import fastem
from fastem.plotting import animation

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

RNG = np.random.default_rng(0)
LINE = np.concatenate([RNG.normal(size=(200, 1)), RNG.normal(5.0, 1.0, size=(100, 1))])
PLANE = np.column_stack([LINE, RNG.normal(size=300)])
TOSSES = RNG.integers(20, 60, size=300)
HEADS = RNG.binomial(TOSSES, RNG.choice([0.2, 0.7], size=300))


def slow(k=2, **settings):
    """From a start near the mean of all rows."""
    return fastem.GaussianMixture(k, init_params="random", random_state=0, tol=1e-6, max_iter=500, **settings)


@pytest.fixture(autouse=True)
def no_figure_stays():
    plt.close("all")  # of other tests
    yield
    assert not plt.get_fignums()


def film_of(X, mixture, **data):
    return fastem.FitAnimation.from_estimator(mixture, X, **data)


@pytest.mark.parametrize("order_by", [None, "means", "weights"])
def test_the_frames_are_the_way_of_the_fit(order_by):
    mixture = slow(order_by=order_by).fit(LINE)
    path = [each.params for each in film_of(LINE, mixture).displays]
    assert len(path) == mixture.n_iter_ + 1
    for name in ("weights", "means", "covariances"):
        np.testing.assert_array_equal(getattr(path[-1], name), getattr(mixture, f"{name}_"))
    logliks = [fastem.accumulate(params, LINE).loglik for params in path]
    np.testing.assert_allclose(logliks[:-1], mixture.history_.loglik, rtol=1e-12)  # another order of components
    assert logliks[-1] - logliks[0] > 10.0


def test_weights_and_what_is_held_are_those_of_the_fit():
    weights = RNG.integers(1, 4, size=300).astype(float)
    mixture = slow(fixed=("weights",)).fit(LINE, sample_weight=weights)
    path = film_of(LINE, mixture, sample_weight=weights).displays
    np.testing.assert_array_equal(path[-1].params.means, mixture.means_)
    np.testing.assert_array_equal(path[0].params.weights, path[-1].params.weights)
    np.testing.assert_array_equal(path[0].sample_weight, weights)


@pytest.mark.slow
def test_counts_have_an_animation_too(tmp_path):
    coins = fastem.BinomialMixture(2, init_params="random", random_state=0, tol=1e-8).fit(HEADS, trials=TOSSES)
    film = film_of(HEADS, coins, trials=TOSSES)
    np.testing.assert_allclose(film.displays[-1].params.probs, coins.probs_, rtol=1e-12)  # rows are not collapsed here
    film.save(tmp_path / "coins.gif")
    assert (tmp_path / "coins.gif").read_bytes()[:6] == b"GIF89a"


@pytest.mark.parametrize("X", [LINE, PLANE], ids=["d = 1", "d = 2"])
@pytest.mark.slow
def test_a_gif_has_the_frames_that_were_chosen(X, tmp_path):
    film = fastem.FitAnimation(film_of(X, slow().fit(X)).displays[:4])
    film.save(tmp_path / "fit.gif")
    with Image.open(tmp_path / "fit.gif") as picture:
        shown = sum(duration(picture, i) for i in range(picture.n_frames))
        assert 3 < picture.n_frames <= 4 + animation.REPEATS  # equal frames may be one, shown longer
    milliseconds = 1000 * (4 + animation.REPEATS) / animation.SPEED
    assert shown == pytest.approx(milliseconds, rel=0.1)  # of hundredths of a second


def test_frames_of_a_gif_have_the_colours_that_were_drawn(tmp_path):
    film = fastem.FitAnimation(film_of(PLANE, slow().fit(PLANE)).displays[:2])
    drawn = [np.asarray(image, float) for image in film._images([0, 1])]
    film.save(tmp_path / "fit.gif")
    with Image.open(tmp_path / "fit.gif") as picture:
        for i, colours in enumerate(drawn):
            picture.seek(i)
            found = np.asarray(picture.convert("RGB"), float)
            assert np.abs(found - colours).mean() < 1.0  # of 255
            assert (found[colours.min(axis=-1) == 255] == 255).all()


def duration(picture, i):
    picture.seek(i)
    return picture.info["duration"]


@pytest.mark.seconds
def test_a_gif_draws_each_frame_once(tmp_path, monkeypatch):
    """And the last one first of all, for the layout."""
    film, drawn, draw = fastem.FitAnimation(film_of(LINE, slow().fit(LINE)).displays[:3]), [], Figure.draw
    monkeypatch.setattr(Figure, "draw", lambda self, renderer: drawn.append(draw(self, renderer)))
    film.save(tmp_path / "fit.gif")
    assert len(drawn) == 3 + 1


@pytest.mark.slow
def test_html_has_the_frames_and_buttons(tmp_path):
    film = fastem.FitAnimation(film_of(PLANE, slow().fit(PLANE)).displays[:2])
    film.save(tmp_path / "fit.html")
    text = (tmp_path / "fit.html").read_text()
    assert text.count("data:image/png;base64") == 2 + animation.REPEATS
    assert "<button" in text


@pytest.mark.seconds
def test_each_frame_shows_its_parameters_on_the_scales_of_the_last():
    film = film_of(LINE, slow().fit(LINE))
    figure, moving = film._animate()
    (axes,) = figure.axes
    moving._func(len(film.displays) - 1)
    scales = axes.get_xlim(), axes.get_ylim()
    for number in (0, 3, len(film.displays) - 1):
        moving._func(number)
        found = {line.get_label(): line.get_xydata() for line in axes.get_lines()}["mixture"]
        density = fastem.posterior(film.displays[number].params, found[:, :1]).log_prob
        np.testing.assert_allclose(found[:, 1], np.exp(density), atol=1e-12)
        assert (axes.get_xlim(), axes.get_ylim()) == scales
        assert figure.get_suptitle() == f"iteration {number} of {len(film.displays) - 1}"
    moving._draw_was_started = True  # matplotlib warns of animations that nobody looks at
    plt.close(figure)


@pytest.mark.parametrize("n", [1, 2, 48, 10_000])
def test_the_first_iterations_and_the_last_are_shown(n):
    numbers = animation.frame_numbers(n)
    assert numbers[0] == 0
    assert numbers[-animation.REPEATS - 1 :] == [n - 1] * (animation.REPEATS + 1)
    assert len(numbers) <= animation.FRAMES + animation.REPEATS
    assert numbers[: min(n, 5)] == list(range(min(n, 5)))
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("act", "error", "sentence"),
    [
        (lambda: fastem.FitAnimation([]), ValueError, "displays must not be empty"),
        (lambda: fastem.FitAnimation(3), TypeError, "displays must be a list"),
        (lambda: film_of(LINE, slow()), fastem.NotFittedError, "not fitted yet"),
        (lambda: film_of(PLANE, slow().fit(LINE)), ValueError, "X has 2 features, but GaussianMixture is expecting 1"),
        (lambda: film_of(LINE, slow().fit(LINE)).save("fit.mp4"), ValueError, "the suffix of path must be one of"),
        (lambda: film_of(LINE, slow().fit(LINE)).save(3), TypeError, "path must be a path"),
        (lambda: film_of(LINE, slow().fit(LINE), trials=3), ValueError, "trials are for a BinomialMixture"),
    ],
)
def test_what_cannot_be_shown_is_told(act, error, sentence):
    with pytest.raises(error, match=sentence):
        act()


def test_a_mixture_without_matplotlib_has_no_animation(monkeypatch):
    mixture = slow().fit(LINE)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="displays need matplotlib"):
        film_of(LINE, mixture)
