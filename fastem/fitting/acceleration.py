"""Fewer iterations of EM: where its map parameters -> parameters is heading, from where it has been.

An accelerator sees vectors, without constraints, and nothing else: after each iteration it is shown x, its EM step f
and the gradient of the log likelihood at x, and estimates the direction from x to the maximum.  `Extrapolation` says
how far to go; whether the log likelihood has risen the driver finds out with the next sweep, which it needs anyway.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Generic, Protocol

import numpy as np

from fastem._typing import Array
from fastem.data.base import PAIRS, TRUST_RADIUS, Position, Vectors
from fastem.families.base import P
from fastem.families.fixed import FixedLike
from fastem.fitting.result import STEPS
from fastem.inference.aitken import ROUNDING
from fastem.kernels.linear import dot, eigh, inverse_lower, norm, product, times, weighted_sum

MEMORY = 15
"""Differences that Anderson's method mixes."""
RIDGE = 1e-10
"""The ridge, as a share of the largest squared singular value of these differences."""
CURVATURE = 1e-12
"""Cosine of a step and the change of the gradient along it, below which the pair tells rounding."""
WIDER, SHORTER = 4.0, 0.25
"""The first extrapolation goes so many EM steps at the most; that changes by these factors where it was limited and
went well, and where it lowered the log likelihood."""
CAUTION = 3
"""Iterations whose estimates of the remaining gain must agree on how small it is."""


class Accelerator(Protocol):
    """A method that accelerates EM; it remembers lists of tuples of vectors, so that it can be kept on disk."""

    def direction(self, x: Array, f: Array, gradient: Array) -> Array | None:
        """Estimate the direction from x to the maximum, by its EM step f = G(x) - x and the gradient there.

        None says that it is not known.
        """

    def reject(self) -> None:
        """Forget what has led to a lower log likelihood."""


class Anderson:
    """Anderson's method with a ridge and restarts, after DAAREM (Henderson and Varadhan 2019).

    The mixture of the last differences of f that comes nearest to f, taken of those of G(x), is what G(x) still has to
    go.  Where the log likelihood is not concave the steps of EM grow, and the mixture points to where they come from:
    then it is taken forwards.
    """

    def __init__(self) -> None:
        self.points: list[tuple[Array, Array]] = []  # (f, G) of the last iterations

    def direction(self, x: Array, f: Array, gradient: Array) -> Array | None:
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
        forward = -weighted_sum(mixture, steps)
        return np.asarray(f + forward if dot(forward, f) >= 0 else f - forward)

    def reject(self) -> None:
        self.points = []


class QuasiNewton:
    """L-BFGS that takes EM for its preconditioner, after Jamshidian and Jennrich (1997).

    An EM step is the gradient g in a metric H, that of the complete data: f = H g.  With s the last differences of x, y
    those of -g and z = H y those of -f, the BFGS updates of H in the compact form of Byrd, Nocedal and Schnabel (1994)
    lead from f to the Newton step, and H itself is never needed.  A rejected direction leaves the memory as it is: the
    differences are true.
    """

    def __init__(self) -> None:
        self.last: list[Vectors] = []  # x, f, gradient of the last iteration, if any
        self.pairs: list[Vectors] = []  # s, y, z

    def direction(self, x: Array, f: Array, gradient: Array) -> Array | None:
        for last_x, last_f, last_gradient in self.last:
            s, y, z = x - last_x, last_gradient - gradient, last_f - f
            if dot(s, y) > CURVATURE * norm(s) * norm(y):  # elsewhere it is not concave
                self.pairs = [*self.pairs[1 - PAIRS :], (s, y, z)]
        self.last = [(x, f, gradient)]
        return self._newton_step(f, gradient) if self.pairs else None

    def _newton_step(self, f: Array, gradient: Array) -> Array:
        """Return the Newton step by the BFGS updates of H from all pairs, of which there is at least one."""
        S, Y, Z = (np.array(values) for values in zip(*self.pairs, strict=True))
        products = product(S, Y.T)
        inverse = inverse_lower(np.triu(products).T)  # of R^T
        a = times(inverse.T, times(S, gradient))
        forward = f - weighted_sum(a, Z)
        b = times(inverse, products.diagonal() * a - times(Y, forward))
        return np.asarray(forward + weighted_sum(b, S))

    def reject(self) -> None:
        pass


class Squarem:
    """SQUAREM, scheme S3 (Varadhan and Roland 2008): two EM steps, then one along the parabola through them."""

    def __init__(self) -> None:
        self.begun: list[tuple[Array, Array]] = []  # x and f of the first step, if it has been taken

    def direction(self, x: Array, f: Array, gradient: Array) -> Array | None:
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


Floor = Callable[[P, P], P]
"""Parameters of an extrapolation, and those that the M-step has reached -> the former with no variance below the least
that an M-step leaves: from below it the log likelihood would fall at the next one."""


class Extrapolation(Generic[P]):
    """Where to go after an iteration: to its EM step, or along an accelerator's direction within a trust radius."""

    def __init__(self, acceleration: str | None, start: P, fixed: FixedLike, floor: Floor[P] | None = None) -> None:
        self.accelerator = ACCELERATORS[acceleration]() if acceleration else None
        self.start, self.fixed = start, fixed
        self.floor = floor or getattr(type(start), "above_floor", None) or (lambda proposal, reached: proposal)
        self.gains: list[float] = []
        self.reached = start
        self.trust_radius, self.size, self.limited = TRUST_RADIUS, 0.0, False

    def after(self, params: P, loglik: float, reached: P, gradient: Array) -> tuple[P, str]:
        """Return the parameters for the next sweep, and how they were reached.

        The log likelihood and its gradient are those at `params`.
        """
        self.reached = reached
        if self.accelerator is None:
            return reached, "plain"
        at, fixed = self.start, self.fixed
        x = params.to_vector(at, fixed)
        if not x.size:  # all is fixed
            self.gains.append(0.0)
            return reached, "plain"
        f = reached.to_vector(at, fixed) - x
        with np.errstate(over="ignore", invalid="ignore"):  # such a direction is not taken
            direction = self.accelerator.direction(x, f, gradient)
        if direction is None or not np.isfinite(direction).all() or not dot(direction, gradient) > 0 or not norm(f) > 0:
            if abs(dot(f, gradient)) <= ROUNDING * abs(loglik):
                self.gains.append(0.0)
            elif direction is not None:  # that leads nowhere; without one, the next iteration tells
                self.gains.append(math.inf)
            return reached, "plain"
        self.gains.append(dot(direction, gradient) / 2)
        with np.errstate(over="ignore", invalid="ignore"):
            proposal = at.from_vector(x + self._within_trust_radius(direction, f), fixed)
        if not is_finite(proposal):
            return self.fall_back(), "plain"
        return self.floor(proposal, reached), "accelerated"

    def position(self, params: P, step: str, criterion: float, logliks: list[float]) -> Position[P]:
        """Return where a run is that sweeps `params` next; a kernel can go on from there."""
        memory = self.accelerator if isinstance(self.accelerator, QuasiNewton) else QuasiNewton()
        scalars = self.trust_radius, self.size, self.limited, self.gains[-CAUTION:]
        reached = params if self.accelerator is None else self.reached
        return Position(params, reached, STEPS.index(step), criterion, logliks, *scalars, memory.last, memory.pairs)

    def resume(self, at: Position[P]) -> None:
        """Go on from where a kernel has ended."""
        self.reached, self.gains = at.reached, at.gains
        self.trust_radius, self.size, self.limited = at.trust_radius, at.size, at.limited
        if isinstance(self.accelerator, QuasiNewton):
            self.accelerator.last, self.accelerator.pairs = at.last, at.pairs

    @property
    def gain(self) -> float:
        """Return what the log likelihood still had to gain (a total) by the parabola along the direction.

        It is the most of the last few iterations, since near a saddle a single one says too little; infinite before
        there are as many.
        """
        return max(self.gains[-CAUTION:]) if len(self.gains) >= CAUTION else math.inf

    def _within_trust_radius(self, direction: Array, f: Array) -> Array:
        """Shorten a direction that is longer than trust_radius EM steps f, after a radius that limited is widened."""
        if self.limited:
            self.trust_radius *= WIDER
        self.size = norm(direction) / norm(f)
        self.limited = self.size > self.trust_radius
        return direction * (self.trust_radius / self.size) if self.limited else direction

    def fall_back(self) -> P:
        """Return the EM step instead of the extrapolation."""
        assert self.accelerator is not None
        self.accelerator.reject()
        self.trust_radius = max(SHORTER * min(self.size, self.trust_radius), 1.0)
        self.limited = False
        return self.reached


def is_finite(params: object) -> bool:
    """Return whether all arrays of a value are finite."""
    return all(np.isfinite(value).all() for value in vars(params).values() if isinstance(value, np.ndarray))
