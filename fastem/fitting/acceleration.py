"""Fewer iterations of EM: where its map parameters -> parameters is heading, from where it has been.

An accelerator sees vectors, without constraints, and nothing else: after each iteration it is shown x, its EM step f
and the gradient of the log likelihood at x, and tells the way from x to the maximum as it estimates it.  How far that
way is gone is for `Extrapolation` to say; whether it led up the driver finds out with the next sweep, which it needs
anyway.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from fastem._typing import Array
from fastem.families.fixed import FixedLike
from fastem.kernels.linear import dot, eigh, inverse_lower, norm, product, times, weighted_sum

MEMORY = 15
"""Differences that Anderson's method mixes."""
RIDGE = 1e-10
"""Of the largest squared singular value of these differences."""
PAIRS = 30
"""Differences that the quasi-Newton method keeps."""
CURVATURE = 1e-12
"""Cosine of a step and the change of the gradient along it, below which the pair tells rounding."""
REACH, WIDER, SHORTER = 5.0, 4.0, 0.25
"""The first extrapolation goes so many EM steps at the most; that changes by these factors where it was held back and
went well, and where it lowered the log likelihood."""
CAUTION = 3
"""Iterations whose estimates of the remaining gain must agree on how small it is."""
ROUNDING = 1e-12
"""Of the log likelihood: a change by less is none."""


class Accelerator(Protocol):
    """What it remembers are lists of tuples of vectors, so that it can be kept on disk."""

    def way(self, x: Array, f: Array, gradient: Array) -> Array | None:
        """x, its EM step f = G(x) - x and the gradient there -> the way from x to the maximum; None if not known."""

    def reject(self) -> None:
        """The last way lowered the log likelihood."""


class Anderson:
    """Anderson's method with a ridge and restarts, after DAAREM (Henderson and Varadhan 2019).

    The mixture of the last differences of f that comes nearest to f, taken of those of G(x), is what G(x) still has to
    go.  Where the log likelihood is not concave the steps of EM grow, and the mixture points to where they come from:
    then it is taken forwards.
    """

    def __init__(self) -> None:
        self.points: list[tuple[Array, Array]] = []  # (f, G) of the last iterations

    def way(self, x: Array, f: Array, gradient: Array) -> Array | None:
        self.points = [*self.points[-MEMORY:], (f, x + f)]
        if len(self.points) == 1:
            return None
        residuals, steps = (np.diff(np.array(values), axis=0) for values in zip(*self.points, strict=True))
        size = np.abs(residuals).max()
        if not 0 < size < np.inf:
            return f
        residuals = residuals / size
        squares, axes = eigh(product(residuals, residuals.T))  # their ridge is far above the rounding of these squares
        shares = times(axes.T, times(residuals, f / size)) / (np.maximum(squares, 0.0) + RIDGE * squares[-1])
        mixture = times(axes, shares)
        ahead = -weighted_sum(mixture, steps)
        return np.asarray(f + ahead if dot(ahead, f) >= 0 else f - ahead)

    def reject(self) -> None:
        self.points = []


class QuasiNewton:
    """L-BFGS that takes EM for its preconditioner, after Jamshidian and Jennrich (1997).

    An EM step is the gradient g in a metric H, that of the complete data: f = H g.  With s the last differences of x, y
    those of -g and z = H y those of -f, the BFGS updates of H in the compact form of Byrd, Nocedal and Schnabel (1994)
    lead from f to the Newton step, and H itself is never needed.  A rejected way leaves the memory as it is: what the
    differences tell is true.
    """

    def __init__(self) -> None:
        self.last: list[tuple[Array, Array, Array]] = []  # x, f, gradient of the last iteration, if any
        self.pairs: list[tuple[Array, Array, Array]] = []  # s, y, z

    def way(self, x: Array, f: Array, gradient: Array) -> Array | None:
        for last_x, last_f, last_gradient in self.last:
            s, y, z = x - last_x, last_gradient - gradient, last_f - f
            if dot(s, y) > CURVATURE * norm(s) * norm(y):  # elsewhere it is not concave
                self.pairs = [*self.pairs[1 - PAIRS :], (s, y, z)]
        self.last = [(x, f, gradient)]
        return self._newton_step(f, gradient) if self.pairs else None

    def _newton_step(self, f: Array, gradient: Array) -> Array:
        S, Y, Z = (np.array(values) for values in zip(*self.pairs, strict=True))
        products = product(S, Y.T)
        inverse = inverse_lower(np.triu(products).T)  # of R^T
        a = times(inverse.T, times(S, gradient))
        ahead = f - weighted_sum(a, Z)
        b = times(inverse, products.diagonal() * a - times(Y, ahead))
        return np.asarray(ahead + weighted_sum(b, S))

    def reject(self) -> None:
        pass


class Squarem:
    """SQUAREM, scheme S3 (Varadhan and Roland 2008): two EM steps, then one along the parabola through them."""

    def __init__(self) -> None:
        self.begun: list[tuple[Array, Array]] = []  # x and f of the first step, if it has been taken

    def way(self, x: Array, f: Array, gradient: Array) -> Array | None:
        if not self.begun:
            self.begun = [(x, f)]
            return None
        origin, r = self.begun.pop()
        v = f - r
        length = norm(v)
        if length == 0:
            return None
        alpha = max(1.0, norm(r) / length)
        return np.asarray(origin + 2 * alpha * r + alpha**2 * v - x)

    def reject(self) -> None:
        self.begun = []


ACCELERATORS: dict[str, Callable[[], Accelerator]] = {
    "anderson": Anderson,
    "squarem": Squarem,
    "quasi-newton": QuasiNewton,
}


Floor = Callable[[Any, Any], Any]
"""Parameters of an extrapolation, those that the M-step has reached -> the former, no lower than the M-step goes: from
below its floor the next one would come down in the log likelihood."""


class Extrapolation:
    """Where to go after an iteration: to its EM step, or as far along the way of an accelerator as its reach."""

    def __init__(self, acceleration: Any, start: Any, fixed: FixedLike, floor: Floor | None = None) -> None:
        if acceleration is not None and not (isinstance(acceleration, str) and acceleration in ACCELERATORS):
            raise ValueError(
                f"acceleration must be None or one of {', '.join(map(repr, ACCELERATORS))}, got {acceleration!r}"
            )
        self.accelerator = ACCELERATORS[acceleration]() if acceleration else None
        self.start, self.fixed = start, fixed
        self.floor = floor or getattr(type(start), "above_floor", None) or (lambda proposal, reached: proposal)
        self.gains: list[float] = []
        self.reached = start
        self.reach, self.size, self.held_back = REACH, 0.0, False

    def after(self, params: Any, stats: Any, reached: Any, gradient: Array) -> tuple[Any, str]:
        """The parameters for the next sweep, and how they were reached; gradient is that of `stats`."""
        self.reached = reached
        if self.accelerator is None:
            return reached, "plain"
        at, fixed = self.start, self.fixed
        x = params.to_vector(at, fixed)
        if not x.size:  # all is fixed
            self.gains.append(0.0)
            return reached, "plain"
        f = reached.to_vector(at, fixed) - x
        with np.errstate(over="ignore", invalid="ignore"):  # such a way is not gone
            way = self.accelerator.way(x, f, gradient)
        if way is None or not np.isfinite(way).all() or not dot(way, gradient) > 0 or not norm(f) > 0:
            if abs(dot(f, gradient)) <= ROUNDING * abs(stats.loglik):
                self.gains.append(0.0)
            elif way is not None:  # that leads nowhere; without one, the next iteration tells
                self.gains.append(math.inf)
            return reached, "plain"
        self.gains.append(dot(way, gradient) / 2)
        with np.errstate(over="ignore", invalid="ignore"):
            proposal = at.from_vector(x + self._held(way, f), fixed)
        if not is_finite(proposal):
            return self.give_up(), "plain"
        return self.floor(proposal, reached), "accelerated"

    @property
    def gain(self) -> float:
        """What the log likelihood still had to gain (a total) by the parabola along the way: the most of the last few
        iterations, since near a saddle a single one tells too little.  Infinite before there are as many."""
        return max(self.gains[-CAUTION:]) if len(self.gains) >= CAUTION else math.inf

    def _held(self, way: Array, f: Array) -> Array:
        if self.held_back:
            self.reach *= WIDER
        self.size = norm(way) / norm(f)
        self.held_back = self.size > self.reach
        return way * (self.reach / self.size) if self.held_back else way

    def give_up(self) -> Any:
        """The EM step in the place of the extrapolation."""
        assert self.accelerator is not None
        self.accelerator.reject()
        self.reach = max(SHORTER * min(self.size, self.reach), 1.0)
        self.held_back = False
        return self.reached


def is_finite(params: Any) -> bool:
    """Are all arrays of this value finite?"""
    return all(np.isfinite(value).all() for value in vars(params).values() if isinstance(value, np.ndarray))
