"""When a run of EM is at its maximum."""

from __future__ import annotations

from collections.abc import Callable

from fastem.fitting.settings import STOPPING, VARIATIONAL, FitSettings
from fastem.inference.remaining import Remaining

PROPOSAL = 1e-2
"""By "gain", a run proposes to stop when the last iterations say that this share of tol is left to gain."""
CERTAIN = 0.4
"""It stops where scores agree that less than this share of tol is left: they are right within a factor of 2 or 3."""
STRICTER, PROPOSALS = 0.1, 3
"""Else it goes on to this share of what it proposed to stop at.  It stops at the last of so many proposals all the
same: the last iterations then say that 1e-4 tol is left, and scores cannot tell how flat the likelihood is."""


class Stop:
    """Whether a run has met its stop rule."""

    def __init__(self, settings: FitSettings) -> None:
        self.target, self.stopping = float(settings.tol), settings.stopping
        self.tol = self.target * (PROPOSAL if self.stopping == "gain" else 1.0)  # what the distance has to be below
        self.met = False
        self.proposals = 0
        self.left: Remaining | None = None  # to gain, by the scores

    def judge(self, distance: float, ask: Callable[[], Remaining | None] | None) -> None:
        """Find whether the rule is met; where scores can be asked what is left to gain, they have to agree."""
        self.met = distance < self.tol
        if not self.met or ask is None:
            return
        self.left = ask()
        self.proposals += 1
        if self.left is not None and not self._is_little(self.left) and self.proposals < PROPOSALS:
            self.met, self.tol = False, STRICTER * self.tol

    def _is_little(self, left: Remaining) -> bool:
        """Return whether the scores say that hardly anything is left to gain."""
        return left.gain < CERTAIN * self.target

    @property
    def reason(self) -> str:
        """Return what is below tol; by "gain" an estimate of the last iterations, where scores do not confirm it."""
        confirmed = self.left is not None and self.left.is_reliable and self._is_little(self.left)
        by = "aitken" if self.stopping == "gain" and not confirmed else self.stopping
        return f"{(STOPPING | VARIATIONAL)[by]} below tol={self.target:g}"
