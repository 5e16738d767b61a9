"""The driver: EM from one start, and the best of several.  It has never heard of Gaussians, arrays or threads."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fastem.stats import Array

STOPPING = ("loglik", "q")


@dataclass(frozen=True, eq=False)
class History:
    """One entry per iteration, at the parameters before its M-step; loglik = q + entropy.

    loglik: total log likelihood.  q: expected complete log likelihood, Q of Dempster, Laird and Rubin.
    entropy: of the responsibilities.  Natural logarithms, sums over the (weighted) rows.
    """

    loglik: Array  # (n_iter,)
    q: Array  # (n_iter,)
    entropy: Array  # (n_iter,)

    def __len__(self) -> int:
        return len(self.loglik)


@dataclass(frozen=True, eq=False)
class Fit:
    """The result of `em`: params and, at these params, their statistics; how it got there and why it stopped."""

    params: Any
    stats: Any
    history: History
    converged: bool
    stop_reason: str

    @property
    def n_iter(self) -> int:
        return len(self.history)

    @property
    def loglik(self) -> float:
        return self.stats.loglik

    @property
    def lower_bound(self) -> float:
        """Log likelihood before the last M-step, by which scikit-learn compares starts."""
        return float(self.history.loglik[-1]) if self.n_iter else self.loglik


def em(
    sweep: Callable[[Any], Any],
    maximize: Callable[[Any], Any],
    params: Any,
    *,
    max_iter: int = 100,
    tol: float = 1e-3,
    stopping: str = "loglik",
    previous: float = -math.inf,
    on_iteration: Callable[[int, Any, float], None] | None = None,
) -> Fit:
    """Expectation-maximisation from one start.

    Parameters
    ----------
    sweep : callable, params -> statistics
        The E-step over all data, for instance ``lambda params: fastem.accumulate(params, X)`` or a sum over chunks.
        A statistics value has loglik, q, entropy and total (weight of the rows).
    maximize : callable, statistics -> params
        The M-step, for instance ``lambda stats: stats.maximize()``.
    params : object
        The start.
    max_iter : int, default=100
        Iterations at the most; 0 returns the start with its statistics.
    tol : float, default=1e-3
        Stop when the change is below tol, after an M-step.
    stopping : {"loglik", "q"}, default="loglik"
        Whose change: the mean log likelihood per unit of weight (as scikit-learn), or Q, a total (as Do and Batzoglou
        2008).
    previous : float, default=-inf
        The criterion before the first iteration, where this run goes on from another.
    on_iteration : callable, default=None
        Called as ``on_iteration(iteration, stats, change)`` after each E-step.

    Returns
    -------
    Fit
        params after the last M-step, stats at these params (one more sweep), history, converged, stop_reason.

    Raises
    ------
    ValueError
        If stopping is unknown.

    References
    ----------
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.

    Examples
    --------
    >>> import numpy as np, fastem
    >>> X = np.array([[0.0], [1.0], [9.0], [10.0]])
    >>> start = fastem.NormalParams(np.array([0.5, 0.5]), np.array([[0.0], [10.0]]), np.ones((2, 1, 1)))
    >>> fit = fastem.em(lambda params: fastem.accumulate(params, X), lambda stats: stats.maximize(), start)
    >>> fit.params.means.ravel().round(3)
    array([0.5, 9.5])
    """
    if stopping not in STOPPING:
        raise ValueError(f"stopping must be one of {', '.join(map(repr, STOPPING))}, got {stopping!r}")
    trace: list[tuple[float, float, float]] = []
    criterion, converged = previous, False
    while not converged and len(trace) < max_iter:
        stats = sweep(params)
        params = maximize(stats)
        trace.append((stats.loglik, stats.q, stats.entropy))
        previous, criterion = criterion, stats.q if stopping == "q" else stats.loglik / stats.total
        converged = abs(criterion - previous) < tol
        if on_iteration is not None:
            on_iteration(len(trace), stats, criterion - previous)
    reason = f"change of {stopping} below tol={tol:g}" if converged else f"max_iter={max_iter} reached"
    return Fit(params, sweep(params), History(*np.array(trace).reshape(-1, 3).T), converged, reason)


CARRIED = 3
"""Starts that a screened fit carries on."""
SCREEN_ITERATIONS = 10
"""Iterations of a start before it is judged: most of what k-means left to gain."""


class Start(NamedTuple):
    """What became of one start: the mean log likelihood where it ended, iterations, and why it stopped."""

    mean_loglik: float
    n_iter: int
    stop_reason: str


def best_first(
    starts: Iterable[Any], run: Callable[[Any], Fit], screen: Callable[[Any], Fit] | None = None
) -> list[Fit]:
    """The fits of all starts, the best (by lower bound, as scikit-learn) first.

    `screen` is a cheaper run: the CARRIED starts that it leaves at the highest log likelihood go on to `run`, and the
    others stay where it left them, behind.
    """
    if screen is None:
        return sorted(map(run, starts), key=lambda fit: -fit.lower_bound)
    screened = sorted(map(screen, starts), key=lambda fit: -fit.loglik)
    fits = sorted((run(fit.params) for fit in screened[:CARRIED]), key=lambda fit: -fit.lower_bound)
    return fits + [replace(fit, stop_reason=f"screened out: {fit.stop_reason}") for fit in screened[CARRIED:]]


class Progress:
    """Lines on standard output, as `verbose` asks for: 1 every `interval` iterations, 2 with change and time."""

    def __init__(self, verbose: int, interval: int) -> None:
        self.verbose, self.interval = verbose, interval
        self._starts, self._since = 0, time.perf_counter()

    def __call__(self, iteration: int, stats: Any, change: float) -> None:
        if iteration == 1:
            self._starts += 1
            self._write(f"Initialization {self._starts}")
        if iteration % self.interval == 0:
            now = time.perf_counter()
            detail = f"\t time lapse {now - self._since:.5f}s\t ll change {change:.5f}" if self.verbose > 1 else ""
            self._write(f"  Iteration {iteration}{detail}")
            self._since = now

    def _write(self, line: str) -> None:
        sys.stdout.write(line + "\n")
