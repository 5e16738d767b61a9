"""The best of several starts, each warmed on parts of the rows or screened first where that pays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from fastem.fitting.result import Fit


def led(start: Any, fit: Fit) -> Any:
    """Where a fit of a part of the rows leads; back to its start, if it has emptied what other rows may fill."""
    return fit.params if fit.stats.live.all() else start


def warmed(parts: Iterable[Any], run: Callable[..., Fit]) -> Callable[[Any], Any]:
    """EM on growing parts of the rows: start -> where they lead.

    The maximum over n rows is expected p / 2n per row above the likelihood of the truth, p parameters: where less than
    that is left to gain these rows know no better, and it takes more of them.
    """

    def lead(start: Any) -> Any:
        for part in parts:
            start = led(start, run(part, start=start, stopping="aitken", tol=start.n_parameters / (2 * len(part))))
        return start

    return lead


CARRIED = 3
"""Starts that a screened fit carries on."""
SCREENED_OUT = "screened out"
"""How the stop reason of the others begins."""
SCREEN_ITERATIONS = 10
"""Iterations of a start before it is judged: most of what k-means left to gain."""


@dataclass(frozen=True)
class Start:
    """What became of one start: the mean log likelihood where it ended, iterations, and why it stopped."""

    mean_loglik: float
    n_iter: int
    stop_reason: str


def best_first(
    starts: Iterable[Any],
    run: Callable[[Any], Fit],
    screen: Callable[[Any], Fit] | None = None,
    *,
    on_interrupt: str = "raise",
) -> list[Fit]:
    """The fits of all starts, the one that ends highest first.

    scikit-learn compares starts by their lower bounds, the log likelihoods before their last M-steps: these differ from
    where they end by less than tol, and so may the order of fits that are as near to each other.

    `screen` is a cheaper run: the CARRIED starts that it leaves at the highest log likelihood go on to `run`, and the
    others stay where it left them, behind.  After a run that is cut short no other begins.
    """
    if screen is None:
        return sorted(tried(starts, run, on_interrupt), key=lambda fit: -fit.loglik)
    drawn: list[Any] = []
    screened = tried(remembered(starts, drawn), screen)
    ranked = sorted(zip(drawn, screened, strict=True), key=lambda pair: -pair[1].loglik)
    fits = tried((led(*pair) for pair in ranked[:CARRIED]), run, on_interrupt)
    behind = [replace(fit, stop_reason=f"{SCREENED_OUT}: {fit.stop_reason}") for _, fit in ranked[CARRIED:]]
    return sorted(fits, key=lambda fit: -fit.loglik) + behind


def remembered(starts: Iterable[Any], drawn: list[Any]) -> Iterator[Any]:
    """The same starts; `drawn` has those that have been asked for."""
    for start in starts:
        drawn.append(start)
        yield start


def tried(starts: Iterable[Any], run: Callable[[Any], Fit], on_interrupt: str = "raise") -> list[Fit]:
    """The fits of the starts in turn, up to one that is cut short."""
    fits: list[Fit] = []
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
