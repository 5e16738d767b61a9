"""Display how many groups of `fit_many` have how many components, and what became of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from fastem._public import public
from fastem.estimators.many_fits import FitStatus, ManyFits
from fastem.plotting.style import COLORS, AxesLike, kind_of, legend, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FITTED = (FitStatus.CONVERGED, FitStatus.MAX_ITER)
STATUS_COLORS = dict(zip(FitStatus, COLORS, strict=True))


@public
class ManyFitsDisplay:
    """Plot how many groups of `fit_many` have how many components, and how many have no fit, by the reason.

    Parameters
    ----------
    fits : ManyFits
        The result of `fit_many`.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : list of one matplotlib Axes

    Examples
    --------
    >>> import numpy as np, fastem
    >>> fits = fastem.fit_many(np.random.default_rng(0).normal(size=(30, 50)), n_components=(1, 2))
    >>> display = fastem.ManyFitsDisplay.from_fits(fits)  # doctest: +SKIP
    """

    def __init__(self, *, fits: ManyFits) -> None:
        if not isinstance(fits, ManyFits):
            raise TypeError(f"fits must be the result of fit_many, got {kind_of(fits)}")
        self.fits = fits

    def __repr__(self) -> str:
        return f"<ManyFitsDisplay of {self.fits!r}>"

    @classmethod
    def from_fits(cls, fits: ManyFits, *, ax: AxesLike | None = None) -> Self:
        """Plot the result of `fit_many`.

        Parameters
        ----------
        fits : ManyFits
            The result of `fit_many`.
        ax : matplotlib Axes, default=None
            Where to plot. None is a new figure.
        """
        return cls(fits=fits).plot(ax)

    def plot(self, ax: AxesLike | None = None) -> Self:
        """Plot as `from_fits` does."""
        self.figure_, self.axes_ = panels(ax, 1, 1)
        (axes,) = self.axes_
        sizes = sorted(set(self.fits.sizes))
        status = np.asarray(self.fits.status)
        reasons = [each for each in FitStatus if each not in FITTED and (status == each).any()]
        self._sizes(axes, sizes, status)
        for place, reason in enumerate(reasons, len(sizes)):
            count = int((status == reason).sum())
            axes.bar(place, count, color=STATUS_COLORS[reason])
            tell(axes, place, count)
        labels = [*map(str, sizes), *(as_words(reason) for reason in reasons)]
        axes.set_xticks(range(len(labels)), labels)
        axes.set(xlabel="number of components, or why there is no fit", ylabel="groups")
        axes.margins(y=0.1)
        if axes.get_legend_handles_labels()[1]:
            legend(axes)
        return self

    def _sizes(self, axes: Axes, sizes: list[int], status: np.ndarray) -> None:
        """Plot a bar for each number of components, in parts by whether the fit has converged."""
        below = np.zeros(len(sizes), int)
        for each in FITTED:
            fitted = self.fits.n_components[status == each]
            counts = np.array([(fitted == size).sum() for size in sizes])
            if counts.any():
                axes.bar(range(len(sizes)), counts, bottom=below, color=STATUS_COLORS[each], label=as_words(each))
            below += counts
        for place, count in enumerate(below.tolist()):
            tell(axes, place, count)


def tell(axes: Axes, place: int, count: int) -> None:
    """Write a count above its bar."""
    axes.annotate(f"{count:,}", (place, count), (0, 3), textcoords="offset points", ha="center", fontsize="small")


def as_words(status: FitStatus) -> str:
    """Return the name of a status in words: "no rows" for NO_ROWS."""
    return status.name.lower().replace("_", " ")
