"""Components that collapse in a fit: which, and what is done."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.families.base import P, S
from fastem.families.params import Params
from fastem.fitting.result import Collapse, Fit
from fastem.validation.settings import raise_collapsed

POLICIES = ("floor", "reseed", "drop", "raise")
RESEEDS = 2
"""How often a component is reseeded in a run; then it is left to the floor, so that a fit ends."""


@dataclass(frozen=True)
class CollapseMonitor:
    """An observer of the components after each M-step, which treats those that have collapsed as the policy says."""

    policy: str
    collapsed: Callable[[Any], NDArray[np.bool_]]

    def inspect(self, fit: Fit[P, S]) -> Fit[P, S]:
        """Add what is seen of the components where a fit ends, and since when.

        Components that are equal stay so, though a mixture of others may be far more likely: what there is still to
        gain is not known then.
        """
        past = [each for each in fit.collapses if each.action != "floor"]
        since = {each.component: each.iteration for each in fit.collapses if each.action == "floor"}
        ended: list[Collapse] = []
        replace(self, policy="floor")(fit.stats, fit.params, fit.n_iter, ended)
        now = [replace(each, iteration=since.get(each.component, each.iteration)) for each in ended]
        gain = math.inf if inseparable(fit.params, fit.stats.live).size else fit.remaining_gain
        return replace(fit, collapses=(*past, *now), remaining_gain=gain)

    def __call__(self, stats: S, reached: P, iteration: int, collapses: list[Collapse]) -> tuple[P, str] | None:
        """Return parameters instead of those that the M-step has reached, and how they were made; None for no others.

        What was found is added to `collapses`.
        """
        gone = ~stats.live | self.collapsed(reached)
        if not gone.any():
            return None
        lightest = int(np.where(gone, stats.row_counts, np.inf).argmin())

        def note(component: int, action: str) -> None:
            smallest = reached.smallest_eigenvalue(component) if stats.live[component] else math.nan
            collapses.append(Collapse(component, iteration, float(stats.row_counts[component]), smallest, action))

        if self.policy == "drop" and len(gone) > 1:
            note(lightest, "drop")
            return reached.without(lightest), "dropped"
        if self.policy == "reseed" and not gone.all() and reseeds(collapses) < RESEEDS * len(gone):
            note(lightest, "reseed")
            heaviest = int(np.where(gone, -1.0, stats.row_counts).argmax())
            return reached.split(heaviest, lightest), "reseeded"
        known = {each.component for each in collapses if each.action == "floor"}
        for component in np.flatnonzero(gone).tolist():
            if component not in known:
                note(component, "floor")
        if self.policy == "raise":
            raise_collapsed(*astuple(collapses[-1])[:4])
        return None


def inseparable(params: Params, live: NDArray[np.bool_]) -> np.ndarray:
    """Return which components with rows equal one before them.

    They have the same responsibilities, but for a factor, and so the same parameters after every M-step.
    """
    return np.flatnonzero(params.equal_to_earlier() & live)


def renumbered(collapse: Collapse, order: np.ndarray) -> Collapse:
    """Return the same event for components that have been put in this order."""
    return replace(collapse, component=int(np.flatnonzero(order == collapse.component)[0]))


def reseeds(collapses: list[Collapse]) -> int:
    """Count how often a component has been reseeded."""
    return sum(each.action == "reseed" for each in collapses)
