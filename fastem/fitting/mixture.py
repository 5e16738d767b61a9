"""A fit of a mixture: the best of several starts, by EM on the rows, wherever they are."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic

import numpy as np

from fastem._typing import MStep
from fastem.data.base import Iterations, Position, StopRule
from fastem.data.kmeans import start_size, subsample
from fastem.data.row_source import RowSource
from fastem.families.base import Family, P, S
from fastem.fitting.checkpoint import Journal
from fastem.fitting.collapse import CollapseMonitor
from fastem.fitting.driver import Observers, run_em
from fastem.fitting.progress import Bar, Lines, Progress
from fastem.fitting.restarts import CARRIED, SCREEN_ITERATIONS, best_first, coarse_to_fine, outcome
from fastem.fitting.result import Fit
from fastem.fitting.settings import FitSettings
from fastem.fitting.steps import Iterate, Steps
from fastem.inference.remaining import RemainingGain
from fastem.search.search import search


@dataclass(frozen=True)
class Starts(Generic[P]):
    """Where a fit begins: at parameters that are given, or at those that are drawn from the rows."""

    n_components: int
    count: int
    draw: Callable[[RowSource, Family[P, S], np.random.Generator, int], P]  # the last is the number of the start
    given: bool = False  # then EM goes on from them on all rows
    searched: bool = False  # then each start is the best that a search finds, and none is drawn

    @classmethod
    def at(cls, params: P) -> Starts[P]:
        """Begin at these parameters."""
        return cls(len(params.weights), 1, lambda rows, family, rng, number: params, given=True)


def starts_on(
    rows: RowSource,
    family: Family[P, S],
    settings: FitSettings,
    starts: Starts[P],
    rng: np.random.Generator,
    *,
    journal: Journal | None = None,
    deadline: float = math.inf,
) -> Iterator[P]:
    """Yield the starts of a fit, each when it is needed: it is drawn, searched for, or found in a checkpoint."""
    for number in range(starts.count):
        if not starts.searched:
            yield starts.draw(rows, family, rng, number)
            continue
        # what a checkpoint begins with does not depend on the time that there was
        limit = deadline if journal is None else math.inf
        own_rng = np.random.default_rng(rng.integers(1 << 63))  # the next start is the same if this one is known
        known = journal.next_start() if journal is not None else None
        if known is not None:
            yield family.params_of(known)
            continue
        options = {"fixed": settings.fixed, "prior": settings.prior, "deadline": limit}
        yield search(rows, family, starts.n_components, own_rng, **options)


def fit_mixture(
    rows: RowSource,
    family: Family[P, S],
    settings: FitSettings,
    starts: Starts[P],
    *,
    rng: np.random.Generator,
    previous: float = -math.inf,
    identity: Mapping[str, object] | None = None,
) -> Fit[P, S]:
    """Fit a mixture of a family to rows.

    Parameters
    ----------
    rows : RowSource
        Rows that are open: in memory, in chunks, or of a Dask collection.
    family : Family
        What the components are, with the settings of that model.
    settings : FitSettings
        Settings that have been checked, `fixed` a value of Fixed.
    starts : Starts
        Where the fit begins.
    rng : Generator
        Source of all random numbers.
    previous : float, default=-inf
        The criterion before the first iteration, where the fit goes on from another.
    identity : mapping, default=None
        What a checkpoint has to agree on, beyond the rows.

    Returns
    -------
    Fit
        The fit that ends highest, with what became of each start.
    """
    deadline = math.inf if settings.max_time is None else time.monotonic() + float(settings.max_time)
    with progress_of(settings, rows, starts) as progress:
        journal = journal_of(rows, settings, rng, identity)
        family = family.for_rows(rows, rng)
        settings = replace(settings, prior=family.prior_of(settings.prior))
        monitor = CollapseMonitor(settings.on_collapse, family.collapsed)
        short = replace(settings, on_interrupt="raise", callback=None)  # of runs on parts of the rows
        on_part = partial(run_on_part, family, short, Observers(journal=journal), deadline)
        steps = replace(
            steps_of(rows, family, settings),
            after_m_step=None if settings.on_collapse == "floor" else monitor,
            final_sweep=final_sweep_of(rows, family, settings),
            remaining=remaining_of(rows, settings),
        )
        observers = Observers[P, S](progress=progress, journal=journal)
        parts = rows.subsets(start_size(rows, starts.n_components)) if settings.warm_sweeps and not starts.given else []
        improve = coarse_to_fine(parts, partial(on_part, stopping="aitken"))

        def run(start: P) -> Fit[P, S]:
            return run_em(steps, improve(start), settings, observers=observers, deadline=deadline, previous=previous)

        screen = screen_of(rows, starts, partial(on_part, max_iter=min(settings.max_iter, SCREEN_ITERATIONS)), rng)
        drawn = starts_on(rows, family, settings, starts, rng, journal=journal, deadline=deadline)
        fits = best_first(drawn, run, screen, on_interrupt=settings.on_interrupt)
        best = monitor.inspect(fits[0])
        if journal is not None:
            journal.close()
    return replace(best, cut_short=any(fit.cut_short for fit in fits), starts=tuple(map(outcome, fits)))


def steps_of(rows: RowSource, family: Family[P, S], settings: FitSettings) -> Steps[P, S]:
    """Return the E-step on these rows and the M-step of this family; a prior adds what rows of its own would."""
    fixed = settings.fixed
    return Steps(
        sweep=sweep_of(rows, family, settings),
        maximize=lambda stats: family.maximize(stats, fixed),
        apply_floor=lambda proposal, reached: family.apply_floor(
            proposal, reached, fixed, has_missing=rows.has_missing
        ),
        iterate=iterate_of(rows, family, settings),
    )


def iterate_of(rows: RowSource, family: Family[P, S], settings: FitSettings) -> Iterate[P] | None:
    """Run EM in a kernel, where rows are few: plain, or with quasi-Newton steps."""
    prior, accelerated = settings.prior, settings.acceleration is not None
    stopping = "aitken" if settings.stopping == "gain" else settings.stopping
    if not family.has_iterate or settings.acceleration not in (None, "quasi-newton"):
        return None
    known: list[tuple[P, MStep, StopRule]] = []  # of the last call: the same from one to the next

    def settings_at(start: P) -> tuple[P, MStep, StopRule]:
        fixed = start.as_fixed(settings.fixed)
        needed = accelerated or stopping == "gradient"
        n_coordinates = start.n_coordinates(fixed) if needed else 0
        m_step = family.m_step(start, fixed, prior)
        return start, m_step, StopRule(stopping, 0.0, accelerated, n_coordinates)

    def iterate(position: Position[P], start: P, tol: float, most: int) -> Iterations[P] | None:
        if not rows.can_iterate(position.params):
            return None
        if not known or known[0][0] is not start:
            known[:] = [settings_at(start)]
        _, m_step, rule = known[0]
        found = rows.iterate(position, m_step, rule._replace(tol=tol), most)
        if prior is None:
            return found

        def last() -> tuple[P, Any]:
            params, stats = found.last()
            return params, stats + prior.stats(params)

        pending = None if found.pending is None else found.pending + prior.stats(found.position.params)
        return found._replace(last=last, pending=pending)

    return iterate


def remaining_of(rows: RowSource, settings: FitSettings) -> RemainingGain | None:
    """Tell by scores what a fit has still to gain, where the stop rule asks for it.

    They know no prior, no label, and no row of which values are missing.
    """
    unknown = settings.prior is not None or rows.has_labels or rows.has_missing
    if settings.stopping != "gain" or unknown:
        return None
    return RemainingGain(rows, settings.fixed)


def sweep_of(rows: RowSource, family: Family[P, S], settings: FitSettings) -> Callable[[P], S]:
    """Make of parameters the statistics of the rows and, as if of more rows, of the prior."""
    prior = settings.prior
    return rows.sweep if prior is None else lambda params: rows.sweep(params) + prior.stats(params)


def final_sweep_of(rows: RowSource, family: Family[P, S], settings: FitSettings) -> Callable[[P], tuple[P, S]]:
    """Sweep in float64 at the parameters that the attributes will have: what is reported is one model."""
    sweep = sweep_of(rows.in_float64(), family, settings)

    def final_sweep(params: P) -> tuple[P, S]:
        params = in_precision(rows.precision, params)
        return params, sweep(params)

    return final_sweep


def in_precision(precision: type[np.floating], params: P) -> P:
    """Round parameters to float32 for rows of float32, where that is no other model."""
    return params.rounded_to_float32() if precision is np.float32 else params


def run_on_part(
    family: Family[P, S],
    settings: FitSettings,
    observers: Observers[P, S],
    deadline: float,
    rows: RowSource,
    start: P,
    tol: float | None = None,
    stopping: str | None = None,
    max_iter: int | None = None,
) -> Fit[P, S]:
    """Run EM on a part of the rows, with some settings changed."""
    changed = replace(
        settings,
        tol=settings.tol if tol is None else tol,
        stopping=stopping or settings.stopping,
        max_iter=settings.max_iter if max_iter is None else max_iter,
    )
    return run_em(steps_of(rows, family, changed), start, changed, observers=observers, deadline=deadline)


def screen_of(
    rows: RowSource, starts: Starts[P], run: Callable[[RowSource, P], Fit[P, S]], rng: np.random.Generator
) -> Callable[[P], Fit[P, S]] | None:
    """Run EM shortly on a part of the rows, where there are many rows and many starts."""
    if not are_screened(rows, starts):
        return None
    return partial(run, subsample(rows, start_size(rows, starts.n_components), rng))


def are_screened(rows: RowSource, starts: Starts[P]) -> bool:
    """Return whether most starts are judged by a part of the rows."""
    return starts.count > CARRIED and len(rows) > start_size(rows, starts.n_components)


def progress_of(settings: FitSettings, rows: RowSource, starts: Starts[P]) -> Progress:
    """Report lines where `verbose` asks for them, else show a bar."""
    if settings.verbose:
        return Lines(int(settings.verbose), int(settings.verbose_interval))
    return Bar(len(rows), int(settings.max_iter), CARRIED if are_screened(rows, starts) else starts.count)


def journal_of(
    rows: RowSource, settings: FitSettings, rng: np.random.Generator, identity: Mapping[str, object] | None
) -> Journal | None:
    """Open the checkpoint of a fit, if it has one."""
    if settings.checkpoint is None:
        return None
    identity = {**(identity or {}), "rows": len(rows), "data": rows.fingerprint()}
    return Journal(settings.checkpoint, float(settings.checkpoint_every), identity, rng)
