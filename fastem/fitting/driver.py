"""The driver: EM from one start.  It knows nothing of Gaussians, arrays or threads."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol

import numpy as np

from fastem._errstate import own
from fastem.data.slots import refuse_nan
from fastem.families.base import P, S
from fastem.families.fixed import FixedLike
from fastem.families.params import Params
from fastem.fitting.acceleration import Extrapolation, Floor
from fastem.fitting.result import STEPS, Ascent, Collapse, Fit, History, objective_of
from fastem.fitting.settings import Callback, FitSettings, check_each
from fastem.fitting.steps import Iterate, Steps, Trace
from fastem.fitting.stop import Stop
from fastem.inference.aitken import ROUNDING, still_to_gain
from fastem.inference.remaining import Remaining
from fastem.kernels.linear import norm
from fastem.validation.settings import check_callable, check_function

NEGLIGIBLE = 1e-4
"""A bound of rounding above this share of the log likelihood, or of the weight if that is more, certifies nothing.
A tenth of the default tol; sums of well-conditioned rows are good to 1e-12, those in float32 to 1e-5."""


class Run(Generic[P, S]):
    """EM under way, between two sweeps."""

    def __init__(
        self, start: P, settings: FitSettings, previous: float = -math.inf, floor: Floor[P] | None = None
    ) -> None:
        self.params, self.step = start, "start"  # to be swept next, and how they were reached
        self.acceleration, self.fixed, self.floor = settings.acceleration, settings.fixed, floor
        self.extrapolation = Extrapolation(self.acceleration, start, self.fixed, floor)
        self.rule, self.objective = Stop(settings), objective_of(start, settings.prior)
        self.trace: list[Trace] = []
        self.steps: list[str] = []
        self.collapses: list[Collapse] = []
        self.previous, self.criterion = -math.inf, previous
        self.distance = math.inf  # what tol is compared with
        self.since = 0  # the iteration at which the parameters were last replaced
        self.fall, self.fall_bound, self.fell_at = 0.0, 0.0, 0  # the largest: see Ascent
        self.cut_short = False
        self.interrupted = False  # in the middle of an iteration
        self.swept: tuple[P, S, int] | None = None  # the last params, their statistics, iterations to them
        self.swept_in_kernel = False  # by `iterate`
        self.pending: S | None = None  # statistics of params, where `iterate` has left their M-step to this driver
        self.last_stats: S | None = None  # of the last iteration on the trace
        self.kept_rounding = 0.0  # of those, where they were of another process

    def accept(self, stats: S) -> bool:
        """Take note of a sweep, or fall back to the EM step if an extrapolation has lowered the likelihood."""
        if self.step == "accelerated" and fell(stats.loglik, self.trace[-1].loglik):
            self.params, self.step = self.extrapolation.fall_back(), "rejected"
            return False
        self._note(self.params, stats)
        return True

    def _note(self, params: P, stats: S) -> None:
        """Take note of parameters that have been swept and stay, and of a fall to them."""
        refuse_nan(stats.loglik)
        fall = self.trace[-1].loglik - stats.loglik if len(self.trace) > self.since else 0.0
        if fall > 0:
            bound = self._bound_of_fall(stats, self.step)
            if (fall > bound, fall) > (self.fall > self.fall_bound, self.fall):
                self.fall, self.fall_bound, self.fell_at = fall, bound, len(self.trace)
        self.swept, self.swept_in_kernel = (params, stats, len(self.trace)), False

    @property
    def last_swept(self) -> tuple[P, S, int]:
        """The last parameters whose statistics are known, these, and the iterations to them."""
        assert self.swept is not None
        return self.swept

    @property
    def rounding(self) -> float:
        """Return what rounding may have changed the last log likelihood on the trace by."""
        return self.kept_rounding if self.last_stats is None else rounding_of(self.last_stats)

    def _bound_of_fall(self, stats: S, step: str) -> float:
        """Bound a fall to these statistics that rounding explains; infinite where that certifies nothing."""
        bound = self.rounding + rounding_of(stats)
        if not bound <= NEGLIGIBLE * max(abs(stats.loglik), stats.total):
            return math.inf
        return max(bound, ROUNDING * abs(stats.loglik)) if step == "accelerated" else bound

    def judge(self, remaining: Callable[[P, P], Remaining | None] | None) -> None:
        """Find whether the stop rule is met, after an iteration."""
        swept, reached = self.last_swept[0], self.extrapolation.reached
        self.rule.judge(self.distance, remaining and (lambda: remaining(swept, reached)))

    def iterate(self, iterate: Iterate[P], stopping: str, most: int) -> bool:
        """Go on by iterations in one call; return whether there were any."""
        before = len(self.trace)
        known = [each.loglik for each in self.trace[max(self.since, before - 2) :]]
        begun = self.extrapolation.position(self.params, self.step, self.criterion, known)
        found = iterate(begun, self.extrapolation.start, self.rule.tol, most)
        if found is None:
            return False
        self.extrapolation.resume(found.position)
        self.params, self.step, self.pending = found.position.params, STEPS[found.position.step], found.pending
        rows = found.trace.tolist()
        if not rows:
            return False
        self.trace += [Trace(loglik, loglik - entropy, entropy) for loglik, entropy, _ in rows]
        self.steps += [STEPS[int(step)] for *_, step in rows]
        last_params, last_stats = found.last()
        self.last_stats, self.swept = last_stats, (last_params, last_stats, len(self.trace) - 1)
        self.swept_in_kernel = True
        if found.fall > self.fall:
            self.fall, self.fell_at = found.fall, before + found.fell_at
            self.fall_bound = self._bound_of_fall(last_stats, self.steps[self.fell_at])
        total, last = last_stats.total, self.trace[-2:]
        criteria = [criterion_of(each, stopping, total) for each in last]
        self.previous = criteria[0] if len(rows) > 1 else self.criterion
        self.criterion, self.distance = found.position.criterion, found.distance
        return True

    def advance(self, stats: S, reached: P, stopping: str) -> None:
        """Go from the accepted sweep, and what its M-step has reached, to the next parameters."""
        self.last_stats = stats
        self.trace.append(Trace(stats.loglik, stats.q, stats.entropy, bound_after(stats, reached)))
        self.steps.append(self.step)
        self.previous, self.criterion = self.criterion, criterion_of(self.trace[-1], stopping, stats.total)
        if self.acceleration is None and stopping != "gradient":
            self.extrapolation.reached = self.params = reached
            self.step, slope = "plain", 0.0
        else:
            with np.errstate(over="ignore", invalid="ignore"):  # far out: no direction to go, and no small gradient
                gradient = stats.gradient(reached, self.extrapolation.start, self.fixed)
                slope = norm(gradient)
                self.params, self.step = self.extrapolation.after(self.params, stats.loglik, reached, gradient)
        self._set_distance(stopping, stats.total, slope)

    def _set_distance(self, stopping: str, total: float, slope: float) -> None:
        """Set what tol is compared with; slope is the length of the gradient."""
        if stopping in ("aitken", "gain"):
            self.distance = self.remaining(self.trace) / total
        elif stopping == "gradient":
            self.distance = slope / total
        else:
            self.distance = abs(self.criterion - self.previous)

    def replace_params(self, params: P, step: str) -> None:
        """Go on from other parameters than EM has reached: the log likelihood may fall, and all memory is void."""
        self.params, self.step, self.since = params, step, len(self.trace)
        self.extrapolation = Extrapolation(self.acceleration, params, self.fixed, self.floor)
        self.criterion, self.distance, self.pending = -math.inf, math.inf, None

    def remaining(self, trace: list[Trace]) -> float:
        """Estimate what the log likelihood (a total) still has to gain; infinite where that cannot be known yet."""
        if self.acceleration is not None:
            return self.extrapolation.gain
        return still_to_gain([each.loglik for each in trace[self.since :][-3:]])

    def final_sweep(self, sweep: Callable[[P], tuple[P, S]]) -> None:
        """Sweep once more, at what the last M-step has reached."""
        self._note(*sweep(self.extrapolation.reached))

    def stop(self, reason: str, sweep: Callable[[P], S]) -> Fit[P, S]:
        """Build the result of a run that is cut short.

        Where a kernel has swept last, one more sweep finds the statistics that the fit of so many iterations ends with.
        """
        if self.swept is not None and self.swept_in_kernel:
            params, _, n_iter = self.swept
            self.swept = params, sweep(params), n_iter
        return self.finish(reason, cut_short=True)

    def finish(self, reason: str, *, converged: bool = False, cut_short: bool = False) -> Fit[P, S]:
        """Build the result from the last parameters whose statistics are known."""
        params, stats, n_iter = self.last_swept
        logliks, qs, entropies, bounds = np.array(self.trace[:n_iter]).reshape(-1, len(Trace._fields)).T
        history = History(logliks, qs, entropies, tuple(self.steps[:n_iter]))
        if self.rule.left is not None and not cut_short:
            gain = self.rule.left.gain * stats.total if self.rule.left.is_reliable else math.inf
        else:
            gain = self.remaining([*self.trace[:n_iter], Trace(stats.loglik, stats.q, stats.entropy)])
        self.cut_short = cut_short
        collapses = tuple(each for each in self.collapses if each.iteration <= n_iter)
        bound = self.fall_bound if self.fell_at else self._bound_of_fall(stats, self.step)
        ascent = Ascent(self.fall, bound, self.fell_at)
        return Fit(
            params, stats, history, converged, reason, gain, cut_short, collapses, ascent, (), bounds, self.objective
        )


class Journal(Protocol):
    """Where a run is kept, so that another process can go on with it."""

    def resume(self, run: Run[P, S]) -> None:
        """Bring a run that has not begun to where it was kept, if it was."""

    def keep(self, run: Run[P, S]) -> None:
        """Keep the run, after an iteration."""


@dataclass(frozen=True)
class Observers(Generic[P, S]):
    """What is called while a run is under way."""

    progress: Callable[[Run[P, S]], None] | None = None
    on_iteration: Callable[[int, S, float], None] | None = None
    journal: Journal | None = None


@own
def em(
    sweep: Callable[[P], S],
    maximize: Callable[[S], P],
    params: P,
    *,
    max_iter: int = 100,
    tol: float = 1e-3,
    stopping: str = "loglik",
    acceleration: str | None = None,
    fixed: FixedLike = (),
    floor: Floor[P] | None = None,
    on_iteration: Callable[[int, S, float], None] | None = None,
    callback: Callback | None = None,
    max_time: float | None = None,
    on_interrupt: str = "raise",
) -> Fit[P, S]:
    """Run expectation-maximisation from one start.

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
    stopping : {"loglik", "q", "gain", "aitken", "gradient"}, default="loglik"
        What falls below tol: the change of the mean log likelihood per unit of weight (as scikit-learn), or of Q, a
        total (as Do and Batzoglou 2008).  "aitken": what the mean log likelihood still has to gain; where EM is slow,
        long after its change is below tol.  It is an estimate: by Aitken's rule from the last three iterations of
        plain EM, of accelerated EM by the parabola along the direction that is extrapolated.  Near a saddle it is too
        small, and SQUAREM's is by a factor of four.  "gain": the same, below tol / 100.  "gradient": the length of the
        gradient of the mean log likelihood, by log weights, means in standard deviations, log standard deviations (of
        matrices, factors of Cholesky) and logits; statistics must have ``gradient``.
    acceleration : {None, "anderson", "squarem", "quasi-newton"}, default=None
        Extrapolate from the iterations so far: by Anderson's method with restarts, SQUAREM, or L-BFGS with EM for its
        preconditioner.  params must have ``to_vector`` and ``from_vector``, statistics ``gradient``.  An extrapolation
        that lowers the log likelihood is given up for the EM step that is known already, so that it costs one sweep;
        the log likelihood on record does not fall.
    fixed : collection of str, or dict of masks, default=()
        The parameters that `maximize` leaves as they are: they are not extrapolated.
    floor : callable, (params, reached) -> params, default=None
        Raises the variances of an extrapolation, before it is swept, to the least that the M-step leaves, given the
        parameters that it has reached.  For Gaussian mixtures
        ``lambda params, reached: params.above_floor(reached, reg_covar=...)``; None is that with reg_covar=0.
    on_iteration : callable, default=None
        Called as ``on_iteration(iteration, stats, change)`` after each E-step.
    callback : callable, default=None
        Called as ``callback(iteration, loglik, seconds)`` after each iteration; if it returns True, the run ends as
        when its time is over.
    max_time : float, default=None
        Seconds, looked at before each sweep but the first.  When they are over the run ends where it swept last: plain
        EM as with max_iter at so many iterations, an accelerated one maybe at an extrapolation.
    on_interrupt : {"raise", "return"}, default="raise"
        What KeyboardInterrupt does: it is raised, or ends the run as max_time does, if there has been a sweep.
    Returns
    -------
    Fit
        params after the last M-step, stats at these params (one more sweep), history, converged, stop_reason.

    Raises
    ------
    ValueError, TypeError
        If stopping, acceleration or on_interrupt is unknown, or tol, max_iter or max_time no number of its range; if
        what should be a function is none, or fixed names no parameters of params.

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
    settings = FitSettings(
        max_iter=max_iter, tol=tol, stopping=stopping, acceleration=acceleration, fixed=fixed, callback=callback,
        max_time=max_time, on_interrupt=on_interrupt,
    )  # fmt: skip
    check_each(settings)
    check_function(sweep, "sweep")
    check_function(maximize, "maximize")
    check_callable(floor, "floor")
    check_callable(on_iteration, "on_iteration")
    if isinstance(params, Params):
        params.check()
        params.as_fixed(fixed)
    deadline = math.inf if max_time is None else time.monotonic() + float(max_time)
    observers = Observers[P, S](on_iteration=on_iteration)
    return run_em(Steps(sweep, maximize, floor), params, settings, observers=observers, deadline=deadline)


def run_em(
    steps: Steps[P, S],
    start: P,
    settings: FitSettings,
    *,
    observers: Observers[P, S] | None = None,
    deadline: float = math.inf,
    previous: float = -math.inf,
) -> Fit[P, S]:
    """Run EM from one start, by settings that have been checked.

    deadline is by time.monotonic; previous is the criterion before the first iteration, where this run goes on from
    another.
    """
    observers, begun = observers or Observers(), time.perf_counter()
    stopping, progress, journal = settings.stopping, observers.progress, observers.journal
    run: Run[P, S] = Run(start, settings, previous, steps.apply_floor)
    watched = (
        bool(observers.on_iteration or journal or steps.after_m_step or settings.callback or settings.verbose)
        or deadline < math.inf
    )  # each iteration, so that there is one in a call
    if journal is not None:
        journal.resume(run)
    try:
        while not run.rule.met and len(run.trace) < settings.max_iter:
            if run.swept is not None and time.monotonic() >= deadline:
                return run.stop("max_time is over", steps.sweep)
            most = 1 if watched else settings.max_iter - len(run.trace)
            if steps.iterate is None or run.pending or not run.iterate(steps.iterate, stopping, most):
                swept, run.pending = run.pending or steps.sweep(run.params), None
                if not run.accept(swept):
                    continue
                run.advance(swept, steps.maximize(swept), stopping)
            stats, reached, n_iter = run.last_stats, run.extrapolation.reached, len(run.trace)
            assert stats is not None
            if observers.on_iteration is not None:
                observers.on_iteration(n_iter, stats, run.criterion - run.previous)
            if progress is not None:
                progress(run)
            if steps.after_m_step is not None:
                replacement = steps.after_m_step(stats, reached, n_iter, run.collapses)
                if replacement is not None:
                    run.replace_params(*replacement)
            run.judge(steps.remaining)
            if journal is not None:
                journal.keep(run)
            if settings.callback is not None and settings.callback(n_iter, stats.loglik, time.perf_counter() - begun):
                return run.stop("callback returned True", steps.sweep)
        run.final_sweep(steps.final_sweep or (lambda params: (params, steps.sweep(params))))
        if steps.remaining is not None and not run.rule.met:
            params, stats, _ = run.last_swept
            run.rule.left = steps.remaining(params, steps.maximize(stats))
    except KeyboardInterrupt:
        run.interrupted = True
        if settings.on_interrupt == "raise" or run.swept is None:
            raise
        return run.stop("interrupted", steps.sweep)
    met = run.rule.met
    return run.finish(run.rule.reason if met else f"max_iter={settings.max_iter} reached", converged=met)


def criterion_of(trace: Trace, stopping: str, total: float) -> float:
    """Return what a stop rule compares from one iteration to the next; total is the weight of the rows."""
    return {"q": trace.q, "bound": trace.bound}.get(stopping, trace.loglik / total)


def bound_after(stats: Any, reached: object) -> float:
    """Return the lower bound after an M-step to a posterior; NaN where parameters are values."""
    bound = getattr(reached, "bound", None)
    return math.nan if bound is None else stats.entropy + bound()


def rounding_of(stats: object) -> float:
    """Return the rounding of the log likelihood, where a family knows it."""
    return float(getattr(stats, "rounding", 0.0))


def fell(loglik: float, before: float) -> bool:
    """Return whether the log likelihood has fallen by more than rounding, or is not a number."""
    return not loglik >= before - ROUNDING * abs(before)
