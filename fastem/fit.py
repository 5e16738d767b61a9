"""The driver: EM from one start, and the best of several.  It has never heard of Gaussians, arrays or threads."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fastem import checks
from fastem.acceleration import ROUNDING, Extrapolation
from fastem.stats import Array, Fixed

STOPPING = {
    "loglik": "change of loglik",
    "q": "change of q",
    "aitken": "gain estimated to remain",
    "gradient": "gradient",
}
"""Stop rules, and what each looks at."""


@dataclass(frozen=True, eq=False)
class History:
    """One entry per iteration, at the parameters before its M-step; loglik = q + entropy.

    loglik: total log likelihood.  q: expected complete log likelihood, Q of Dempster, Laird and Rubin.
    entropy: of the responsibilities.  Natural logarithms, sums over the (weighted) rows.  step: how these parameters
    were reached, "start", "plain" (an EM step), "accelerated" or "rejected" (an EM step, after a sweep at an
    extrapolation that had lowered the log likelihood).
    """

    loglik: Array  # (n_iter,)
    q: Array  # (n_iter,)
    entropy: Array  # (n_iter,)
    step: tuple[str, ...] = ()  # (n_iter,)

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
    remaining_gain: float
    """What the log likelihood (a total) had still to gain at the last iteration, as `em` estimates it for "aitken"."""

    @property
    def summary(self) -> str:
        """One line: how it ended, and how far from the maximum."""
        return (
            f"{'converged' if self.converged else 'not converged'} after {self.n_iter} iterations"
            f" ({self.n_sweeps} sweeps): {self.stop_reason}; log likelihood {self.loglik:.6f},"
            f" {still_to_go(self.remaining_gain)}"
        )

    @property
    def n_iter(self) -> int:
        return len(self.history)

    @property
    def loglik(self) -> float:
        return self.stats.loglik

    @property
    def n_sweeps(self) -> int:
        """Passes over the data, the last one and those at rejected extrapolations included."""
        return self.n_iter + self.history.step.count("rejected") + 1

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
    acceleration: str | None = None,
    fixed: Fixed = (),
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
    stopping : {"loglik", "q", "aitken", "gradient"}, default="loglik"
        What falls below tol: the change of the mean log likelihood per unit of weight (as scikit-learn), or of Q, a
        total (as Do and Batzoglou 2008).  "aitken": what the mean log likelihood still has to gain; where EM is slow,
        long after its change is below tol.  It is an estimate: by Aitken's rule from the last three iterations of
        plain EM, of accelerated EM by the parabola along the way that is extrapolated.  Near a saddle it is too small,
        and SQUAREM's is by a factor of four.  "gradient": the length of the
        gradient of the mean log likelihood, by log weights, means in standard deviations, log standard deviations (of
        matrices, factors of Cholesky) and logits; statistics must have ``gradient``.
    acceleration : {None, "anderson", "squarem", "quasi-newton"}, default=None
        Extrapolate from the iterations so far: by Anderson's method with restarts, SQUAREM, or L-BFGS with EM for its
        preconditioner.  params must have ``to_vector`` and ``from_vector``, statistics ``gradient``.  An extrapolation
        that lowers the log likelihood is given up for the EM step already in hand, so that it costs one sweep; the
        log likelihood on record does not fall.
    fixed : collection of str, or dict of masks, default=()
        What `maximize` holds at its start: not extrapolated.
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
    ValueError, TypeError
        If stopping or acceleration is unknown, or tol or max_iter no number of its range.

    References
    ----------
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.
    Henderson and Varadhan (2019), Damped Anderson acceleration with restarts and monotonicity control.
    Jamshidian and Jennrich (1997), Acceleration of the EM algorithm by using quasi-Newton methods.
    Varadhan and Roland (2008), Simple and globally convergent methods for accelerating the convergence of any EM.

    Examples
    --------
    >>> import numpy as np, fastem
    >>> X = np.array([[0.0], [1.0], [9.0], [10.0]])
    >>> start = fastem.NormalParams(np.array([0.5, 0.5]), np.array([[0.0], [10.0]]), np.ones((2, 1, 1)))
    >>> fit = fastem.em(lambda params: fastem.accumulate(params, X), lambda stats: stats.maximize(), start)
    >>> fit.params.means.ravel().round(3)
    array([0.5, 9.5])
    """
    checks.choice(stopping, "stopping", STOPPING)
    max_iter, tol = checks.integer(max_iter, "max_iter", 0), checks.non_negative(tol, "tol")
    extrapolation = Extrapolation(acceleration, params, fixed)
    start, needs_gradient = params, acceleration is not None or stopping == "gradient"
    trace: list[tuple[float, float, float]] = []
    steps: list[str] = []
    criterion, converged, step = previous, False, "start"
    while not converged and len(trace) < max_iter:
        stats = sweep(params)
        if step == "accelerated" and fell(stats.loglik, trace[-1][0]):
            params, step = extrapolation.give_up(), "rejected"
            continue
        reached = maximize(stats)
        trace.append((stats.loglik, stats.q, stats.entropy))
        steps.append(step)
        previous, criterion = criterion, stats.q if stopping == "q" else stats.loglik / stats.total
        gradient = stats.gradient(reached, start, fixed) if needs_gradient else np.empty(0)
        params, step = extrapolation.after(params, stats, reached, gradient)
        if stopping == "aitken":
            distance = remaining(trace, extrapolation, acceleration) / stats.total
        elif stopping == "gradient":
            distance = float(np.linalg.norm(gradient)) / stats.total
        else:
            distance = abs(criterion - previous)
        converged = distance < tol
        if on_iteration is not None:
            on_iteration(len(trace), stats, criterion - previous)
    reason = f"{STOPPING[stopping]} below tol={tol:g}" if converged else f"max_iter={max_iter} reached"
    params = reached if trace else params
    stats = sweep(params)
    gain = remaining([*trace, (stats.loglik, stats.q, stats.entropy)], extrapolation, acceleration)
    logliks, qs, entropies = np.array(trace).reshape(-1, 3).T
    history = History(logliks, qs, entropies, tuple(steps))
    return Fit(params, stats, history, converged, reason, gain)


def remaining(trace: list[tuple[float, float, float]], extrapolation: Extrapolation, acceleration: str | None) -> float:
    """What the log likelihood still has to gain, a total; infinite where that cannot be told yet."""
    return still_to_gain([loglik for loglik, _, _ in trace[-3:]]) if acceleration is None else extrapolation.gain


def still_to_gain(logliks: list[float]) -> float:
    """Aitken: gains that fall by the same factor from one iteration to the next add up to a geometric series."""
    if len(logliks) < 3:
        return math.inf
    before, last = logliks[-2] - logliks[-3], logliks[-1] - logliks[-2]
    if last <= ROUNDING * abs(logliks[-1]):
        return 0.0
    return last**2 / (before - last) if last < before else math.inf


def still_to_go(gain: float) -> str:
    if math.isinf(gain):
        return "too early to tell how much is still to gain"
    return f"estimated to have {gain:.2g} still to gain"


def fell(loglik: float, before: float) -> bool:
    """Also where the new one is not a number."""
    return not loglik >= before - ROUNDING * abs(before)


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
    screened = sorted(((start, screen(start)) for start in starts), key=lambda pair: -pair[1].loglik)
    fits = sorted((run(led(*pair)) for pair in screened[:CARRIED]), key=lambda fit: -fit.lower_bound)
    return fits + [replace(fit, stop_reason=f"screened out: {fit.stop_reason}") for _, fit in screened[CARRIED:]]


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
