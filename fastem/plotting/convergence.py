"""Pictures of how a fit went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from fastem._public import public
from fastem.fitting.result import History
from fastem.plotting.style import COLORS, legend, panels
from fastem.validation.settings import as_choices

STEP_MARKS = {"accelerated": ("o", COLORS[2]), "rejected": ("x", COLORS[1]), "reseeded": ("^", COLORS[3]),
              "dropped": ("s", COLORS[4])}  # fmt: skip
QUANTITIES = {"loglik": "log likelihood", "q": "Q", "entropy": "entropy"}


@public
class ConvergenceDisplay:
    """How a fit went: log likelihood, Q and entropy at each sweep, with what was no plain EM step marked.

    A rejected extrapolation costs a sweep that has no value: there is a gap before its mark.

    Parameters
    ----------
    history : History
        Of `mixture.history_` or `em`.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : list of matplotlib Axes, one for each quantity

    Examples
    --------
    >>> import fastem
    >>> mixture = fastem.GaussianMixture(2, random_state=0).fit([[1.0], [2.0], [3.0], [11.0], [12.0], [13.0]])
    >>> display = fastem.ConvergenceDisplay.from_estimator(mixture)  # doctest: +SKIP
    """

    def __init__(self, *, history: History) -> None:
        self.history = history

    @classmethod
    def from_estimator(
        cls,
        mixture: Any,
        *,
        quantities: Sequence[str] = tuple(QUANTITIES),
        label: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the last fit of a mixture: of "loglik", "q" and "entropy" those that are asked for.

        `label` names it in a legend; `ax` is where to draw: a matplotlib Axes for each quantity, None a new figure.
        """
        mixture.params_  # noqa: B018 - raises before a fit
        return cls(history=mixture.history_).plot(ax, quantities=quantities, label=label)

    def plot(self, ax: Any = None, *, quantities: Sequence[str] = tuple(QUANTITIES), label: str | None = None) -> Self:
        wanted = as_choices(quantities, "quantities", QUANTITIES)
        self.figure_, self.axes_ = panels(ax, len(wanted), 1, height=4.2 if len(wanted) == 1 else 2.2)
        for name, axes in zip(wanted, self.axes_, strict=True):
            self._trace(axes, name, label)
        self.axes_[-1].set_xlabel("sweep")
        if self.axes_[0].get_legend_handles_labels()[1]:
            legend(self.axes_[0])
        return self

    def _trace(self, axes: Any, name: str, label: str | None) -> None:
        values = getattr(self.history, name)
        steps = np.array(self.history.step, object)
        sweeps = np.arange(1, len(values) + 1) + np.cumsum(steps == "rejected")
        axes.plot(sweeps, values, linewidth=1.4, marker="" if len(values) > 1 else ".", label=label)
        known = axes.get_legend_handles_labels()[1]
        for step, (marker, color) in STEP_MARKS.items():
            where = steps == step
            if where.any():
                name_once = step if step not in known else None
                axes.scatter(sweeps[where], values[where], s=22, marker=marker, color=color, label=name_once, zorder=3)
        axes.set_ylabel(QUANTITIES[name])
        axes.xaxis.get_major_locator().set_params(integer=True)
