"""Show a fit as an animation, with a frame for each iteration.  Matplotlib is imported when a frame is drawn."""

from __future__ import annotations

import copy
import importlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

import numpy as np

from fastem._public import public
from fastem._typing import ArrayLike, PathLike, RowKind
from fastem.estimators.base import Mixture
from fastem.estimators.model import open_data, settings_of_fit, starts_of
from fastem.families.params import Params
from fastem.fitting.driver import Observers, run_em
from fastem.fitting.mixture import remaining_of, starts_on, steps_of
from fastem.plotting.registry import display_type
from fastem.plotting.style import AxesLike, check_mixture, import_matplotlib
from fastem.validation.settings import as_generator, as_list, as_path, check_choice, check_no_trials

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

FRAMES = 48
"""Limit of the number of frames, without the repeats of the last one."""
REPEATS = 8
"""Number of times that the last frame is repeated."""
SPEED = 8
"""Number of frames per second."""
SUFFIXES = (".gif", ".html")


class Display(Protocol):
    """A picture of a mixture with its rows, as each family has one."""

    params: Params
    figure_: Figure
    axes_: list[Axes]

    def plot(self, ax: AxesLike | None = None) -> Self:
        """Draw the picture in these panels, or in a new figure for None."""


@public
class FitAnimation:
    """Show how a fit went, with a frame for each iteration: densities over a histogram, or ellipses among points.

    A long fit is shown at some of its iterations, evenly spaced on a logarithmic scale, since EM moves furthest at
    first.  The last frame stays for a second.  All frames have the scales of the last.

    Parameters
    ----------
    displays : sequence of displays of mixtures of one family
        A display for the parameters of each iteration, all with the same rows.

    Examples
    --------
    >>> import numpy as np, fastem
    >>> X = np.random.default_rng(0).normal(size=(200, 1)) + np.repeat([0.0, 5.0], 100)[:, np.newaxis]
    >>> mixture = fastem.GaussianMixture(2, init_params="random", random_state=0, tol=1e-5).fit(X)
    >>> fastem.FitAnimation.from_estimator(mixture, X).save("fit.gif")  # doctest: +SKIP
    """

    def __init__(self, displays: Sequence[Display]) -> None:
        self.displays = cast(list[Display], as_list(displays, "displays"))

    def __repr__(self) -> str:
        return f"<FitAnimation: {len(self.displays) - 1} iterations of {self.displays[-1]!r}>"

    def _repr_html_(self) -> str:
        return self.to_html()

    @classmethod
    def from_estimator(
        cls,
        mixture: Mixture,
        X: ArrayLike,
        *,
        trials: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Animate the fit of a mixture to rows X (n, d), with trials and sample_weight as for its fit.

        A fitted mixture does not keep the parameters of each iteration, so EM is run again from its first start, with
        its settings, but as with on_collapse="floor".  With `n_init=1` and an int for `random_state`, this repeats the
        fit, up to rounding.
        """
        check_mixture(mixture)
        options = {"trials": trials} if mixture.family.row_kind is RowKind.COUNTS_WITH_TRIALS else {}
        if not options:
            check_no_trials(trials, type(mixture).__name__)
        last = display_type(mixture.family.name).from_estimator(mixture, X, sample_weight=sample_weight, **options)
        import_matplotlib("pyplot").close(last.figure_)
        return cls([with_params(last, params) for params in run_again(mixture, X, trials, sample_weight)])

    def save(self, path: PathLike) -> None:
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
        shown = Counter(frame_numbers(len(self.displays)))
        first, *rest = with_one_palette(self._images(shown))
        durations = [1000 * times // SPEED for times in shown.values()]
        first.save(target, save_all=True, append_images=rest, duration=durations, loop=0)

    def to_html(self) -> str:
        """Return the animation as HTML with buttons; a notebook shows it by itself."""
        figure, animation = self._animate()
        text = str(animation.to_jshtml(SPEED))
        import_matplotlib("pyplot").close(figure)
        return text

    def _images(self, numbers: Iterable[int]) -> list[Image]:
        """Return images of these iterations, each drawn once: a writer of Matplotlib would draw it three times."""
        figure, draw = self._redrawn()
        canvas, images = import_matplotlib("backends.backend_agg").FigureCanvasAgg(figure), []
        as_image = importlib.import_module("PIL.Image").fromarray
        for number in numbers:
            draw(number)
            canvas.draw()
            images.append(as_image(np.asarray(canvas.buffer_rgba())).convert("RGB"))
        import_matplotlib("pyplot").close(figure)
        return images

    def _animate(self) -> tuple[Figure, FuncAnimation]:
        """Return a figure and its animation."""
        figure, draw = self._redrawn()
        return figure, import_matplotlib("animation").FuncAnimation(figure, draw, frame_numbers(len(self.displays)))

    def _redrawn(self) -> tuple[Figure, Callable[[int], None]]:
        """Return a figure, and a function that clears and redraws its panels, which keep their layout."""
        last = self.displays[-1].plot()
        figure, axes = last.figure_, last.axes_
        limits = [{"xlim": panel.get_xlim(), "ylim": panel.get_ylim()} for panel in axes]
        title = figure.suptitle("iteration 0")
        figure.canvas.draw()
        figure.set_layout_engine("none")

        def draw(number: int) -> None:
            for panel in axes:
                panel.clear()
            self.displays[number].plot(axes)
            for panel, limit in zip(axes, limits, strict=True):
                panel.set(**limit)
            title.set_text(f"iteration {number} of {len(self.displays) - 1}")

        return figure, draw


def with_one_palette(images: list[Image]) -> list[Image]:
    """Return images in the colours of the last, which has those of all: GIF would look for the best of each."""
    image = importlib.import_module("PIL.Image")
    palette = images[-1].quantize(method=image.Quantize.MAXCOVERAGE)  # white stays white
    return [each.quantize(palette=palette, dither=image.Dither.NONE) for each in images]


def frame_numbers(n: int) -> list[int]:
    """Return the numbers of the iterations that are shown, of n; the last one is repeated."""
    chosen = np.unique(np.geomspace(1, n, FRAMES).round().astype(int)) - 1
    return [*chosen.tolist(), *[n - 1] * REPEATS]


def with_params(display: Display, params: Params) -> Display:
    """Return a display of the same rows with other parameters."""
    other = copy.copy(display)
    other.params = params
    return other


def run_again(
    mixture: Mixture, X: ArrayLike, trials: ArrayLike | None, sample_weight: ArrayLike | None
) -> list[Params]:
    """Return the parameters at the first start of a fitted mixture, and after each iteration from there."""
    rng, path = as_generator(mixture.random_state), list[Params]()
    settings = settings_of_fit(
        mixture, fixed=mixture.params_.as_fixed(mixture.fixed), callback=None, on_interrupt="raise"
    )
    observers = Observers[Any, Any](on_iteration=lambda iteration, stats, change: path.append(stats.params))
    with open_data(mixture, X, trials, sample_weight, dtype=None) as rows:
        family = mixture.family.for_rows(rows, rng)
        (start,) = starts_on(rows, family, settings, starts_of(mixture, count=1), rng)
        steps = replace(steps_of(rows, family, settings), remaining=remaining_of(rows, settings))
        path.append(run_em(steps, start, settings, observers=observers).params)
    order = path[-1].order(mixture.order_by) if mixture.order_by else np.arange(len(start.weights))
    return [params.select(order) for params in path]
