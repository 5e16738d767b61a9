"""Display how the log likelihood of a fit changed, or what else EM has raised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from fastem._public import public
from fastem.fitting.result import LOG_LIKELIHOOD, History, objective_of
from fastem.plotting.style import COLORS, AxesLike, check_mixture, legend, note, panels
from fastem.validation.settings import as_choices

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastem.estimators.base import Mixture

STEP_MARKS = {"accelerated": ("o", COLORS[2]), "rejected": ("x", COLORS[1]), "reseeded": ("^", COLORS[3]),
              "dropped": ("s", COLORS[4])}  # fmt: skip
QUANTITIES = {"loglik": LOG_LIKELIHOOD, "q": "Q", "entropy": "entropy"}


@public
class ConvergenceDisplay:
    """Plot the log likelihood, Q and the entropy at each sweep, and mark the steps that were no plain EM steps.

    A rejected extrapolation costs a sweep without a value, which leaves a gap before its mark.  The log likelihood is
    the sum of Q and the entropy: it never falls, but either of them may.  With a prior it is the log posterior, and of
    a BayesianGaussianMixture the lower bound.

    Parameters
    ----------
    history : History
        The `history_` of a mixture, or the `history` of a result of `em`.
    objective : str, default="log likelihood"
        The name of what EM has raised, as the `objective` of a result of `em` has it.

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

    def __init__(self, *, history: History, objective: str = LOG_LIKELIHOOD) -> None:
        self.history, self.objective = history, objective

    def __repr__(self) -> str:
        last = f", {self.objective} {self.history.loglik[-1]:.10g}" if len(self.history) else ""
        return f"<ConvergenceDisplay: {len(self.history)} iterations{last}>"

    @classmethod
    def from_estimator(
        cls,
        mixture: Mixture,
        *,
        quantities: Sequence[str] = tuple(QUANTITIES),
        label: str | None = None,
        ax: AxesLike | None = None,
    ) -> Self:
        """Plot the last fit of a mixture.

        Parameters
        ----------
        mixture : fitted mixture
        quantities : sequence of {"loglik", "q", "entropy"}
            What to plot, each in a panel of its own.
        label : str, default=None
            The name of the fit in a legend.
        ax : matplotlib Axes for each quantity, default=None
            Where to plot. None is a new figure.
        """
        check_mixture(mixture)
        objective = objective_of(mixture.params_, mixture.prior)
        return cls(history=mixture.history_, objective=objective).plot(ax, quantities=quantities, label=label)

    def plot(
        self, ax: AxesLike | None = None, *, quantities: Sequence[str] = tuple(QUANTITIES), label: str | None = None
    ) -> Self:
        """Plot as `from_estimator` does."""
        names = as_choices(quantities, "quantities", QUANTITIES)
        self.figure_, self.axes_ = panels(ax, len(names), 1, height=4.2 if len(names) == 1 else 2.2)
        for name, axes in zip(names, self.axes_, strict=True):
            self._trace(axes, name, label)
        self.axes_[-1].set_xlabel("sweep (pass over the rows)")
        if self.axes_[0].get_legend_handles_labels()[1]:
            legend(self.axes_[0])
        return self

    def _trace(self, axes: Axes, name: str, label: str | None) -> None:
        """Plot one quantity, and mark the steps."""
        values = getattr(self.history, name)
        steps = np.array(self.history.step, object)
        sweeps = np.arange(1, len(values) + 1) + np.cumsum(steps == "rejected")
        axes.plot(sweeps, values, linewidth=1.4, marker="" if len(values) > 1 else ".", label=label)
        labels = axes.get_legend_handles_labels()[1]
        for step, (marker, color) in STEP_MARKS.items():
            marked = steps == step
            if marked.any():
                name_once = None if step in labels else step
                axes.scatter(
                    sweeps[marked], values[marked], s=22, marker=marker, color=color, label=name_once, zorder=3
                )
        axes.set_ylabel(self.objective if name == "loglik" else QUANTITIES[name])
        note(axes, f"may fall: the {self.objective}, Q + entropy, does not" if name == "q" else "")
        axes.locator_params(axis="x", integer=True)
