"""Fewer iterations of EM: where its map parameters -> parameters is heading, from where it has been.

An accelerator sees vectors, without constraints, and nothing else: after each iteration it is shown x and G(x), the
point and its EM step, and proposes where to go next.  Whether that was better than G(x) the driver finds out with the
next sweep, which it needs anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from fastem.stats import Array

MEMORY = 6
"""Differences that Anderson's method mixes."""
RIDGE = 1e-10
"""Of the largest squared singular value of these differences."""
REACH, WIDER, SHORTER = 1e3, 4.0, 0.25
"""An extrapolation goes so many EM steps at the most; that changes by these factors where it was held back and went
well, and where it lowered the log likelihood."""


class Accelerator(Protocol):
    def propose(self, x: Array, step: Array) -> Array | None:
        """x and step = G(x) -> the next x, or None for step itself."""

    def reject(self) -> None:
        """The last proposal lowered the log likelihood."""


class Anderson:
    """Anderson's method with a ridge, restarts and a limit to its reach, after DAAREM (Henderson and Varadhan 2019).

    With f = G(x) - x, the last differences of f and of G: the mixture of the first that comes nearest to f, taken of
    the second, is what G(x) still has to go.

    Where the log likelihood is not concave the steps of EM grow, and the mixture points to where they come from: then
    it is taken forwards.
    """

    def __init__(self) -> None:
        self.points: list[tuple[Array, Array]] = []  # (f, G) of the last iterations
        self.reach = REACH
        self.size = 0.0  # of the last extrapolation, in EM steps
        self.held_back = False

    def propose(self, x: Array, step: Array) -> Array | None:
        if self.held_back:
            self.reach *= WIDER
        self.held_back = False
        f = step - x
        self.points = [*self.points[-MEMORY:], (f, step)]
        length = float(np.linalg.norm(f))
        if len(self.points) == 1 or length == 0:
            return None
        ahead = self._extrapolation(f)
        self.size = float(np.linalg.norm(ahead)) / length
        if self.size > self.reach:
            ahead *= self.reach / self.size
            self.size, self.held_back = self.reach, True
        return np.asarray(step + ahead)

    def _extrapolation(self, f: Array) -> Array:
        residuals, steps = (np.diff(np.array(values), axis=0) for values in zip(*self.points, strict=True))
        u, s, vt = np.linalg.svd(residuals.T, full_matrices=False)
        if s[0] == 0:
            return np.zeros_like(f)
        mixture = (u.T @ f) * s / (s**2 + RIDGE * s[0] ** 2) @ vt
        ahead = -mixture @ steps
        return np.asarray(ahead if ahead @ f >= 0 else -ahead)

    def reject(self) -> None:
        self.points = []
        self.reach = max(SHORTER * self.size, 1.0)
        self.held_back = False


class Squarem:
    """SQUAREM, scheme S3 (Varadhan and Roland 2008): two EM steps, then one along the parabola through them."""

    def __init__(self) -> None:
        self.begun: tuple[Array, Array] | None = None

    def propose(self, x: Array, step: Array) -> Array | None:
        if self.begun is None:
            self.begun = x, step
            return None
        (origin, first), self.begun = self.begun, None
        r = first - origin
        v = (step - first) - r
        lengths = float(np.linalg.norm(r)), float(np.linalg.norm(v))
        if lengths[1] == 0:
            return None
        alpha = max(1.0, lengths[0] / lengths[1])
        return np.asarray(origin + 2 * alpha * r + alpha**2 * v)

    def reject(self) -> None:
        self.begun = None


ACCELERATORS: dict[str, Callable[[], Accelerator]] = {"anderson": Anderson, "squarem": Squarem}
