"""The best of several starts, each run on parts of the rows, or screened, first where that pays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from fastem.data.row_source import RowSource
from fastem.families.base import P, S
from fastem.fitting.result import Fit, Start

CARRIED = 3
"""Starts that go on after screening."""
SCREENED_OUT = "screened out"
"""How the stop reason of the others begins."""
SCREEN_ITERATIONS = 10
"""Iterations of a start before it is judged: most of what k-means left to gain."""


class RunOnPart(Protocol[P, S]):
    """EM on a part of the rows, from a start, until tol."""

    def __call__(self, rows: RowSource, start: P, tol: float) -> Fit[P, S]: ...


def continue_from(start: P, fit: Fit[P, S]) -> P:
    """Return where the fit of a part of the rows ends, or its start if it has emptied what other rows may fill."""
    return fit.params if fit.stats.live.all() else start


def coarse_to_fine(parts: Sequence[RowSource], run: RunOnPart[P, S]) -> Callable[[P], P]:
    """Make of a start the end of EM on growing parts of the rows.

    The maximum over n rows is expected p / 2n per row above the likelihood of the truth, p parameters: where less than
    that is left to gain, these rows know no better, and it takes more of them.
    """

    def improve(start: P) -> P:
        for part in parts:
            start = continue_from(start, run(part, start, start.n_parameters / (2 * len(part))))
        return start

    return improve


def best_first(
    starts: Iterable[P],
    run: Callable[[P], Fit[P, S]],
    screen: Callable[[P], Fit[P, S]] | None = None,
    *,
    on_interrupt: str = "raise",
) -> list[Fit[P, S]]:
    """Fit from all starts; the one that ends highest comes first.

    scikit-learn compares starts by their lower bounds, the log likelihoods before their last M-steps: these differ from
    where they end by less than tol, and so may the order of fits that are as near to each other.

    `screen` is a cheaper run: the CARRIED starts that it leaves at the highest log likelihood go on to `run`, and the
    others stay where it left them, behind.  After a run that is cut short no other begins.
    """
    if screen is None:
        return sorted(run_starts(starts, run, on_interrupt), key=lambda fit: -fit.loglik)
    drawn: list[P] = []
    screened = run_starts(recorded(starts, drawn), screen)
    ranked = sorted(zip(drawn, screened, strict=True), key=lambda pair: -pair[1].loglik)
    fits = run_starts((continue_from(*pair) for pair in ranked[:CARRIED]), run, on_interrupt)
    behind = [replace(fit, stop_reason=f"{SCREENED_OUT}: {fit.stop_reason}") for _, fit in ranked[CARRIED:]]
    return sorted(fits, key=lambda fit: -fit.loglik) + behind


def recorded(starts: Iterable[P], drawn: list[P]) -> Iterator[P]:
    """Yield the same starts; `drawn` has those that have been asked for."""
    for start in starts:
        drawn.append(start)
        yield start


def run_starts(starts: Iterable[P], run: Callable[[P], Fit[P, S]], on_interrupt: str = "raise") -> list[Fit[P, S]]:
    """Fit from the starts in turn, up to one that is cut short."""
    fits: list[Fit[P, S]] = []
    try:
        for start in starts:
            fits.append(run(start))
            if fits[-1].cut_short:
                break
    except KeyboardInterrupt:  # on the way to the next one
        if on_interrupt == "raise" or not fits:
            raise
        fits[-1] = replace(fits[-1], cut_short=True)
    return fits


def outcome(fit: Fit[P, S]) -> Start:
    """Say what became of a start; the log likelihood of a part of the rows is none of all of them."""
    on_all_rows = not fit.stop_reason.startswith(SCREENED_OUT)
    return Start(fit.loglik / fit.stats.total if on_all_rows else math.nan, fit.n_iter, fit.stop_reason)
