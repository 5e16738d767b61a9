"""What a log likelihood still has to gain, by the gains of the last iterations (Aitken 1926)."""

from __future__ import annotations

import math

ROUNDING = 1e-12
"""A change by less than this share of the log likelihood is none."""


def still_to_gain(logliks: list[float]) -> float:
    """Estimate what the log likelihood still has to gain, from its last three values.

    Gains that fall by the same factor from one iteration to the next add up to a geometric series.  The result is
    infinite where that is not known: of fewer than three values, of gains that do not fall, after a fall.
    """
    if len(logliks) < 3:
        return math.inf
    before, last = logliks[-2] - logliks[-3], logliks[-1] - logliks[-2]
    if abs(last) <= ROUNDING * abs(logliks[-1]):
        return 0.0
    if last < 0:  # a fall: these are no steps towards a maximum
        return math.inf
    return last * last / (before - last) if last < before else math.inf
