"""Display the criterion of a selection against the number of components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np

from fastem._public import public
from fastem._typing import Array
from fastem.plotting.style import COLORS, SUM_COLOR, AxesLike, kind_of, legend, note, panels, style
from fastem.validation.settings import check_choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Options = dict[str, Any]
FAR = 3.0
"""An axis ends at so many times the median distance to the least value, where the largest is so many times as far."""
CRITERIA = ("bic", "icl", "aic", "cv")


class CandidateLike(Protocol):
    """What the picture shows of a candidate."""

    @property
    def n_components(self) -> int: ...
    @property
    def covariance_type(self) -> str: ...
    @property
    def n_suspect(self) -> int: ...


@runtime_checkable
class SelectionLike(Protocol):
    """The result of `select`, as the picture reads it."""

    @property
    def criterion(self) -> str: ...
    @property
    def candidates(self) -> Sequence[CandidateLike]: ...
    @property
    def best_index(self) -> int: ...
    @property
    def passed_over(self) -> list[int]: ...


@public
class SelectionDisplay:
    """Plot a criterion of a selection against the number of components, with a line for each covariance type.

    The mixture that was chosen has a star; candidates with suspect components have a ring, and those that were passed
    over for them a cross.  Candidates that are so far from the best that the others would look alike are not shown; the
    panel says how many.

    Parameters
    ----------
    selection : Selection
        The result of `select`.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : list of one matplotlib Axes

    Examples
    --------
    >>> import fastem
    >>> X = [[1.0], [2.0], [3.0], [4.0], [31.0], [32.0], [33.0], [34.0]]
    >>> selection = fastem.select(X, range(1, 4))
    >>> display = fastem.SelectionDisplay.from_selection(selection)  # doctest: +SKIP
    """

    def __init__(self, *, selection: SelectionLike) -> None:
        if not isinstance(selection, SelectionLike):
            raise TypeError(f"selection must be the result of select, got {kind_of(selection)}")
        self.selection = selection

    def __repr__(self) -> str:
        chosen = self.selection
        best = chosen.candidates[chosen.best_index].n_components
        return f"<SelectionDisplay: {chosen.criterion} of {len(chosen.candidates)} candidates, the best has {best}>"

    @classmethod
    def from_selection(
        cls, selection: SelectionLike, *, criterion: str | None = None, ax: AxesLike | None = None
    ) -> Self:
        """Plot a selection.

        Parameters
        ----------
        selection : Selection
            The result of `select`.
        criterion : {"bic", "icl", "aic", "cv"}, default=None
            What to plot. None is the criterion by which the mixture was chosen.
        ax : matplotlib Axes, default=None
            Where to plot. None is a new figure.
        """
        return cls(selection=selection).plot(ax, criterion=criterion)

    def plot(self, ax: AxesLike | None = None, *, criterion: str | None = None) -> Self:
        """Plot as `from_selection` does."""
        name = self.selection.criterion if criterion is None else criterion
        check_choice(name, "criterion", CRITERIA)
        self.figure_, self.axes_ = panels(ax, 1, 1)
        (axes,) = self.axes_
        sizes = np.array([each.n_components for each in self.selection.candidates])
        values = np.array([getattr(each, name) for each in self.selection.candidates])
        self._lines(axes, sizes, values)
        self._marks(axes, sizes, values)
        axes.set(xlabel="number of components", ylabel=f"{name.upper()} (lower is better)")
        axes.locator_params(axis="x", integer=True)
        legend(axes)
        note(axes, cut_off(axes, values))
        return self

    def _lines(self, axes: Axes, sizes: np.ndarray, values: Array) -> None:
        """Plot a line through the candidates of each covariance type."""
        kinds = np.array([each.covariance_type for each in self.selection.candidates])
        for number, kind in enumerate(dict.fromkeys(kinds.tolist())):
            own = np.flatnonzero(kinds == kind)
            own = own[np.argsort(sizes[own], kind="stable")]
            axes.plot(sizes[own], values[own], marker=".", linewidth=1.4, label=kind or None, **style(number))

    def _marks(self, axes: Axes, sizes: np.ndarray, values: Array) -> None:
        """Mark the best candidate, and those whose components are suspect or were passed over for it."""
        suspect = [i for i, each in enumerate(self.selection.candidates) if each.n_suspect]
        ring: Options = {"s": 80, "facecolors": "none", "edgecolors": COLORS[1], "label": "has suspect components"}
        cross: Options = {"s": 50, "marker": "x", "color": SUM_COLOR, "label": "passed over"}
        star: Options = {"s": 130, "marker": "*", "color": SUM_COLOR, "label": "best"}
        marks = ((suspect, ring), (self.selection.passed_over, cross), ([self.selection.best_index], star))
        for places, options in marks:
            if places:
                axes.scatter(sizes[places], values[places], zorder=3, **options)


def cut_off(axes: Axes, values: Array) -> str:
    """End the axis where few values are so far from the least that the others would look alike; say how many."""
    distances = values - values.min()
    top = FAR * float(np.median(distances))
    if not 0 < FAR * top < distances.max():
        return ""
    axes.set_ylim(values.min() - 0.06 * top, values.min() + 1.06 * top)
    return f"{int((distances > 1.06 * top).sum())} of {len(values)} candidates above"
