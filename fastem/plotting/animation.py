"""A fit, iteration by iteration, as an animation of its displays.  Matplotlib is loaded when one is drawn."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from fastem._public import public
from fastem._typing import ArrayLike, RowKind
from fastem.estimators.base import Mixture
from fastem.estimators.model import open_data, starts_of
from fastem.families.params import Params
from fastem.fitting.driver import Observers, run_em
from fastem.fitting.mixture import steps_of
from fastem.fitting.settings import of_a_fit
from fastem.plotting.registry import display_type
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
        options = {"trials": trials} if mixture.family.row_kind is RowKind.COUNTS_WITH_TRIALS else {}
        if not options:
            check_no_trials(trials, type(mixture).__name__)
        last = display_type(mixture.family.name).from_estimator(mixture, X, sample_weight=sample_weight, **options)
        import_matplotlib("pyplot").close(last.figure_)
        return cls([showing(last, params) for params in path_of(mixture, X, trials, sample_weight)])

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


def path_of(mixture: Mixture, X: ArrayLike, trials: ArrayLike | None, sample_weight: ArrayLike | None) -> list[Params]:
    """Return the parameters at the first start of a fitted mixture, and after each iteration from there."""
    rng, path = as_generator(mixture.random_state), list[Params]()
    settings = of_a_fit(mixture, fixed=mixture.params_.as_fixed(mixture.fixed), callback=None, on_interrupt="raise")
    observers = Observers[Any, Any](on_iteration=lambda iteration, stats, change: path.append(stats.params))
    with open_data(mixture, X, trials, sample_weight, dtype=None) as rows:
        family = mixture.family.for_rows(rows, rng)
        (start,) = starts_of(mixture, count=1)(rows, family, rng)
        path.append(run_em(steps_of(rows, family, settings), start, settings, observers=observers).params)
    order = path[-1].order(mixture.order_by) if mixture.order_by else np.arange(len(start.weights))
    return [params.select(order) for params in path]
