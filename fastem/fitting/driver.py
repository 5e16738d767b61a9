"""The driver: EM from one start.  It has never heard of Gaussians, arrays or threads."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from fastem._errstate import own
from fastem.data.slots import refuse_nan
from fastem.families.fixed import FixedLike
from fastem.fitting.acceleration import ROUNDING, Extrapolation, Floor
from fastem.fitting.result import Ascent, Collapse, Fit, History
from fastem.kernels.linear import norm
from fastem.validation.settings import as_integer, as_non_negative, check_choice

STOPPING = {
    "loglik": "change of loglik",
    "q": "change of q",
    "aitken": "gain estimated to remain",
    "gradient": "gradient",
}
"""Stop rules, and what each looks at."""
ON_INTERRUPT = ("raise", "return")
TELLING = 1e-4
"""Of the log likelihood, or of the weight of the rows if that is more: a bound of rounding above it says nothing.  A
tenth of the default tol; sums of well-conditioned rows are good to 1e-12, those in float32 to 1e-5."""


class Run:
    """EM under way, between two sweeps."""

    def __init__(
        self, start: Any, acceleration: str | None, fixed: FixedLike, previous: float, floor: Floor | None = None
    ) -> None:
        self.params, self.step = start, "start"  # to be swept next, and how they were reached
        self.acceleration, self.fixed, self.floor = acceleration, fixed, floor
        self.extrapolation = Extrapolation(acceleration, start, fixed, floor)
        self.trace: list[tuple[float, float, float]] = []  # loglik, q, entropy
        self.steps: list[str] = []
        self.collapses: list[Collapse] = []
        self.previous, self.criterion = -math.inf, previous
        self.distance = math.inf  # what tol is compared with
        self.since = 0  # the iteration at which it was mended
        self.fall, self.fall_bound, self.fell_at = 0.0, 0.0, 0  # the largest: see Ascent
        self.cut_short = False
        self.torn = False  # by an interruption, in the middle of an iteration
        self.known: tuple[Any, Any, int] | None = None  # the last params swept, their statistics, iterations to them
        self.behind: Any = None  # statistics of the last iteration on the trace
        self.kept_rounding = 0.0  # of those, where they were of another process

    def accept(self, stats: Any) -> bool:
        """Take note of a sweep, or give up the extrapolation that it was at."""
        if self.step == "accelerated" and fell(stats.loglik, self.trace[-1][0]):
            self.params, self.step = self.extrapolation.give_up(), "rejected"
            return False
        self._know(self.params, stats)
        return True

    def _know(self, params: Any, stats: Any) -> None:
        """Take note of parameters that have been swept and stay, and of a fall to them."""
        refuse_nan(stats.loglik)
        fall = self.trace[-1][0] - stats.loglik if len(self.trace) > self.since else 0.0
        if fall > 0:
            bound = self._explained(stats)
            if (fall > bound, fall) > (self.fall > self.fall_bound, self.fall):
                self.fall, self.fall_bound, self.fell_at = fall, bound, len(self.trace)
        self.known = params, stats, len(self.trace)

    @property
    def rounding(self) -> float:
        """What it may have changed the last log likelihood on the trace by."""
        return self.kept_rounding if self.behind is None else rounding_of(self.behind)

    def _explained(self, stats: Any) -> float:
        """A fall to these statistics from the last on the trace; infinite where that tells nothing."""
        bound = self.rounding + rounding_of(stats)
        if not bound <= TELLING * max(abs(stats.loglik), stats.total):
            return math.inf
        return max(bound, ROUNDING * abs(stats.loglik)) if self.step == "accelerated" else bound

    def advance(self, stats: Any, reached: Any, stopping: str) -> None:
        """An iteration: from the accepted sweep and what its M-step has reached to the next parameters."""
        self.behind = stats
        self.trace.append((stats.loglik, stats.q, stats.entropy))
        self.steps.append(self.step)
        self.previous, self.criterion = self.criterion, stats.q if stopping == "q" else stats.loglik / stats.total
        needed = self.acceleration is not None or stopping == "gradient"
        with np.errstate(over="ignore", invalid="ignore"):  # far out: infinite, no way to go and no small gradient
            gradient = stats.gradient(reached, self.extrapolation.start, self.fixed) if needed else np.empty(0)
            slope = norm(gradient)
            self.params, self.step = self.extrapolation.after(self.params, stats, reached, gradient)
        if stopping == "aitken":
            self.distance = self.remaining(self.trace) / stats.total
        elif stopping == "gradient":
            self.distance = slope / stats.total
        else:
            self.distance = abs(self.criterion - self.previous)

    def mend(self, params: Any, step: str) -> None:
        """Go on from other parameters than EM has reached: the log likelihood may fall, and what is behind is past."""
        self.params, self.step, self.since = params, step, len(self.trace)
        self.extrapolation = Extrapolation(self.acceleration, params, self.fixed, self.floor)
        self.criterion, self.distance = -math.inf, math.inf

    def remaining(self, trace: list[tuple[float, float, float]]) -> float:
        """What the log likelihood still has to gain, a total; infinite where that cannot be told yet."""
        if self.acceleration is not None:
            return self.extrapolation.gain
        return still_to_gain([loglik for loglik, _, _ in trace[self.since :][-3:]])

    def arrive(self, last_sweep: LastSweep) -> None:
        """The last sweep, at the last M-step."""
        self._know(*last_sweep(self.extrapolation.reached))

    def ended(self, reason: str, *, converged: bool = False, cut_short: bool = False) -> Fit:
        """At the last parameters that were swept."""
        assert self.known is not None
        params, stats, n_iter = self.known
        logliks, qs, entropies = np.array(self.trace[:n_iter]).reshape(-1, 3).T
        history = History(logliks, qs, entropies, tuple(self.steps[:n_iter]))
        gain = self.remaining([*self.trace[:n_iter], (stats.loglik, stats.q, stats.entropy)])
        self.cut_short = cut_short
        collapses = tuple(each for each in self.collapses if each.iteration <= n_iter)
        ascent = Ascent(self.fall, self.fall_bound if self.fell_at else self._explained(stats), self.fell_at)
        return Fit(params, stats, history, converged, reason, gain, cut_short, collapses, ascent)


LastSweep = Callable[[Any], tuple[Any, Any]]
"""params after the last M-step -> the parameters that a run ends at, and their statistics."""
Mend = Callable[[Any, Any, int, list[Collapse]], tuple[Any, str] | None]
"""statistics, params after their M-step, iteration, collapses so far (to which it adds) -> params in the place of those
reached and how they are, or None."""


class Journal(Protocol):
    """Where a run is kept, so that another process can go on with it."""

    def resume(self, run: Run) -> None:
        """Bring a run that has not begun to where it was kept, if it was."""

    def keep(self, run: Run) -> None:
        """After an iteration."""


@own
def em(
    sweep: Callable[[Any], Any],
    maximize: Callable[[Any], Any],
    params: Any,
    *,
    max_iter: int = 100,
    tol: float = 1e-3,
    stopping: str = "loglik",
    acceleration: str | None = None,
    fixed: FixedLike = (),
    floor: Floor | None = None,
    previous: float = -math.inf,
    on_iteration: Callable[[int, Any, float], None] | None = None,
    progress: Callable[[Run], None] | None = None,
    max_time: float | None = None,
    on_interrupt: str = "raise",
    mend: Mend | None = None,
    journal: Journal | None = None,
    last_sweep: LastSweep | None = None,
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
    floor : callable, (params, reached) -> params, default=None
        What an extrapolation is brought to before it is swept, given what the M-step has reached: no lower than an
        M-step goes.  For Gaussian mixtures ``lambda params, reached: params.above_floor(reached, reg_covar=...)``;
        None is that with reg_covar=0.
    previous : float, default=-inf
        The criterion before the first iteration, where this run goes on from another.
    on_iteration : callable, default=None
        Called as ``on_iteration(iteration, stats, change)`` after each E-step.
    progress : callable, default=None
        Called as ``progress(run)`` after each iteration, with the run as a journal keeps it.
    max_time : float, default=None
        Seconds, looked at before each sweep but the first.  When they are over the run ends where it swept last: plain
        EM as with max_iter at so many iterations, an accelerated one maybe at an extrapolation.
    on_interrupt : {"raise", "return"}, default="raise"
        What KeyboardInterrupt does: it is raised, or ends the run as max_time does, if there has been a sweep.
    mend : callable, default=None
        Called as ``mend(stats, reached, iteration, collapses)`` after each M-step; it may add to the list of collapses,
        and returns None or a pair: the parameters to go on from in the place of `reached`, and "reseeded" or "dropped".
    journal : Journal, default=None
        Has ``resume(run)``, called first, and ``keep(run)``, called after each iteration: where the run is kept.
    last_sweep : callable, params -> (params, statistics), default=None
        Called after the last M-step, in the place of `sweep`: returns the parameters that the fit shall end at (rounded
        to a precision, for instance) and their statistics.  None ends at those of the M-step.

    Returns
    -------
    Fit
        params after the last M-step, stats at these params (one more sweep), history, converged, stop_reason.

    Raises
    ------
    ValueError, TypeError
        If stopping, acceleration or on_interrupt is unknown, or tol, max_iter or max_time no number of its range.

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
    >>> start = fastem.GaussianParams(np.array([0.5, 0.5]), np.array([[0.0], [10.0]]), np.ones((2, 1, 1)))
    >>> fit = fastem.em(lambda params: fastem.accumulate(params, X), lambda stats: stats.maximize(), start)
    >>> fit.params.means.ravel().round(3)
    array([0.5, 9.5])
    """
    check_choice(stopping, "stopping", STOPPING)
    check_choice(on_interrupt, "on_interrupt", ON_INTERRUPT)
    max_iter, tol = as_integer(max_iter, "max_iter", 0), as_non_negative(tol, "tol")
    run = Run(params, acceleration, fixed, previous, floor)
    deadline = math.inf if max_time is None else time.monotonic() + as_non_negative(max_time, "max_time")
    if journal is not None:
        journal.resume(run)
    try:
        while not run.distance < tol and len(run.trace) < max_iter:
            if run.known is not None and time.monotonic() >= deadline:
                return run.ended("max_time is over", cut_short=True)
            if not run.accept(stats := sweep(run.params)):
                continue
            reached = maximize(stats)
            run.advance(stats, reached, stopping)
            if on_iteration is not None:
                on_iteration(len(run.trace), stats, run.criterion - run.previous)
            if progress is not None:
                progress(run)
            if mend is not None and (mended := mend(stats, reached, len(run.trace), run.collapses)) is not None:
                run.mend(*mended)
            if journal is not None:
                journal.keep(run)
        run.arrive(last_sweep or (lambda params: (params, sweep(params))))
    except KeyboardInterrupt:
        run.torn = True
        if on_interrupt == "raise" or run.known is None:
            raise
        return run.ended("interrupted", cut_short=True)
    converged = run.distance < tol
    reason = f"{STOPPING[stopping]} below tol={tol:g}" if converged else f"max_iter={max_iter} reached"
    return run.ended(reason, converged=converged)


def rounding_of(stats: Any) -> float:
    """Of its log likelihood, where a family tells it."""
    return float(getattr(stats, "rounding", 0.0))


def still_to_gain(logliks: list[float]) -> float:
    """Aitken: gains that fall by the same factor from one iteration to the next add up to a geometric series.  Infinite
    where that is not known: of fewer than three values, of gains that do not fall, after a fall."""
    if len(logliks) < 3:
        return math.inf
    before, last = logliks[-2] - logliks[-3], logliks[-1] - logliks[-2]
    if abs(last) <= ROUNDING * abs(logliks[-1]):
        return 0.0
    if last < 0:  # a fall: these are no steps towards a maximum
        return math.inf
    return last * last / (before - last) if last < before else math.inf


def fell(loglik: float, before: float) -> bool:
    """Also where the new one is not a number."""
    return not loglik >= before - ROUNDING * abs(before)
