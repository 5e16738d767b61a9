"""Fits of many groups at each number of components, of which every group keeps its best."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastem._typing import Array
from fastem.estimators.many_fits import FitStatus, ManyFits

CRITERIA = ("bic", "aic", "icl")

FitAt = Callable[[int], dict[str, np.ndarray]]
"""A number of components -> the arrays over the groups of fits of so many."""


class Sizes(NamedTuple):
    """The numbers of components that are tried, and by what they are chosen."""

    sizes: tuple[int, ...]
    criterion: str
    build: Callable[..., ManyFits]  # the results, from their arrays
    data: tuple[Any, Any, Any]  # values, trials and weights as they came, for ICL

    def best_of(self, fit_at: FitAt) -> ManyFits:
        """Fit every size, and keep the best of each group."""
        best: ManyFits | None = None
        criteria = []
        for k in self.sizes:
            found = fit_at(k)
            fitted = found["status"] <= FitStatus.MAX_ITER
            numbers = np.where(fitted, k, 0)
            fits = self.build(**found, n_components=numbers, sizes=(k,), criteria=np.empty((len(fitted), 0)))
            criteria.append(self.criterion_of(fits))
            best = fits if best is None else self.better_of(best, fits, np.array(criteria))
        assert best is not None
        return with_arrays(best, {"criteria": np.array(criteria).T}, self.build, self.sizes)

    def criterion_of(self, fits: ManyFits) -> Array:
        """Return the criterion (m,); NaN where there is no fit."""
        if self.criterion == "icl":
            return fits.bic + 2 * fits.entropies(*self.data)
        return fits.bic if self.criterion == "bic" else fits.aic

    def better_of(self, best: ManyFits, fits: ManyFits, criteria: Array) -> ManyFits:
        """Return the best fits so far, with those of the last size where their criterion is the lowest."""
        with np.errstate(invalid="ignore"):
            before = np.fmin.reduce(criteria[:-1])
            taken = fits.fitted & ~(criteria[-1] >= before)
        merged = {}
        for name in (*array_names(fits),):
            wide, now = getattr(fits, name).copy(), getattr(best, name)
            if now.ndim > 1 and now.shape[1] < wide.shape[1]:
                padded = np.full(wide.shape, np.nan)
                padded[:, : now.shape[1]] = now
                now = padded
            wide[~taken] = now[~taken]
            merged[name] = wide
        return self.build(**merged, sizes=self.sizes, criteria=fits.criteria)


def array_names(fits: ManyFits) -> tuple[str, ...]:
    """Return the names of what a size finds."""
    return ("weights", *fits.parameter_names, "loglik", "n_iter", "status", "n_components")


def with_arrays(
    fits: ManyFits, changed: dict[str, np.ndarray], build: Callable[..., ManyFits], sizes: tuple[int, ...]
) -> ManyFits:
    """Return the same fits with other arrays."""
    return build(**({name: getattr(fits, name) for name in array_names(fits)} | changed), sizes=sizes)
