"""A fit, iteration by iteration, as an animation of its displays.  Matplotlib is loaded when one is drawn."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from fastem._public import public
from fastem.plotting.binomial import BinomialMixtureDisplay
from fastem.plotting.gaussian import GaussianMixtureDisplay
from fastem.plotting.style import import_matplotlib
from fastem.validation.settings import as_generator, as_list, as_path, check_choice, check_no_trials

FRAMES = 48
"""At the most, before the last one is held."""
HELD = 8
"""The last frame is shown so many times more."""
SPEED = 8
"""Frames a second."""
SUFFIXES = (".gif", ".html")


@public
class FitAnimation:
    """How a fit went, a frame for each iteration: densities over a histogram, ellipses among points.

    Of a long fit some iterations are shown, evenly on a logarithmic scale, since EM moves far first; the last one is
    held.  Every frame has the scales of the last.

    Parameters
    ----------
    displays : sequence of GaussianMixtureDisplay or of BinomialMixtureDisplay
        One for the parameters of each iteration, of the same rows.

    Examples
    --------
    >>> import numpy as np, fastem
    >>> X = np.random.default_rng(0).normal(size=(200, 1)) + np.repeat([0.0, 5.0], 100)[:, np.newaxis]
    >>> mixture = fastem.GaussianMixture(2, init_params="random", random_state=0, tol=1e-5).fit(X)
    >>> fastem.FitAnimation.from_estimator(mixture, X).save("fit.gif")  # doctest: +SKIP
    """

    def __init__(self, displays: Sequence[Any]) -> None:
        self.displays: list[Any] = as_list(displays, "displays")

    @classmethod
    def from_estimator(cls, mixture: Any, X: Any, *, trials: Any = None, sample_weight: Any = None) -> Self:
        """The fit of a mixture to rows X (n, d), with trials and sample_weight as for its fit.

        A fitted mixture does not know its way: EM is run once more, by the settings of the mixture, from its first
        start; components that collapse are left to the floor.  With `n_init=1` and an int for `random_state` that is
        the fit itself, to rounding.
        """
        if mixture._row_kind.is_counts:
            last: Any = BinomialMixtureDisplay.from_estimator(mixture, X, trials=trials, sample_weight=sample_weight)
        else:
            check_no_trials(trials, type(mixture).__name__)
            last = GaussianMixtureDisplay.from_estimator(mixture, X, sample_weight=sample_weight)
        import_matplotlib("pyplot").close(last.figure_)
        return cls([showing(last, params) for params in way(mixture, X, trials, sample_weight)])

    def save(self, path: Any) -> None:
        """Write the animation to a file: .gif, or .html with buttons to stop it and to go back.

        Raises
        ------
        ValueError
            For any other suffix.
        """
        target = Path(as_path(path, "path"))
        check_choice(target.suffix, "the suffix of path", SUFFIXES)
        if target.suffix == ".html":
            target.write_text(self.to_html(), encoding="utf-8")
            return
        figure, film = self._film()
        film.save(target, writer=import_matplotlib("animation").PillowWriter(SPEED))
        import_matplotlib("pyplot").close(figure)

    def to_html(self) -> str:
        """The animation as HTML, for a notebook: `IPython.display.HTML(animation.to_html())`."""
        figure, film = self._film()
        text = str(film.to_jshtml(SPEED))
        import_matplotlib("pyplot").close(figure)
        return text

    def _film(self) -> tuple[Any, Any]:
        """A figure, and what draws its frames: each is drawn anew, in panels that are laid out once."""
        last = self.displays[-1].plot()
        figure, axes = last.figure_, last.axes_
        limits = [{"xlim": each.get_xlim(), "ylim": each.get_ylim()} for each in axes]
        title = figure.suptitle("iteration 0")
        figure.canvas.draw()
        figure.set_layout_engine("none")

        def draw(number: int) -> None:
            for each in axes:
                each.clear()
            self.displays[number].plot(axes)
            for each, limit in zip(axes, limits, strict=True):
                each.set(**limit)
            title.set_text(f"iteration {number} of {len(self.displays) - 1}")

        return figure, import_matplotlib("animation").FuncAnimation(figure, draw, frame_numbers(len(self.displays)))


def frame_numbers(n: int) -> list[int]:
    """Of n iterations those that are shown."""
    chosen = np.unique(np.geomspace(1, n, FRAMES).round().astype(int)) - 1
    return [*chosen.tolist(), *[n - 1] * HELD]


def showing(display: Any, params: Any) -> Any:
    """A display of the same rows with other parameters."""
    found = copy.copy(display)
    found.params = params
    return found


def way(mixture: Any, X: Any, trials: Any, sample_weight: Any) -> list[Any]:
    """Parameters at the first start of a fitted mixture, and after each iteration from there."""
    rng = as_generator(mixture.random_state)
    with mixture._opened(X, None, trials, sample_weight) as rows:
        terms = {"fixed": mixture.fixed} | mixture._terms(rows, rng)
        start = mixture._start(rows, rng, terms, first=True)
        path: list[Any] = []
        options: dict[str, Any] = {"terms": terms, "deadline": math.inf}
        fit = mixture._em(rows, start=start, on_iteration=lambda i, stats, change: path.append(stats.params), **options)
    path.append(fit.params)
    order = fit.params.order(mixture.order_by) if mixture.order_by else np.arange(mixture.n_components)
    return [params.select(order) for params in path]
