"""The functions that EM consists of, as the driver calls them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple

from fastem.data.base import Iterations, Position
from fastem.families.base import P, S
from fastem.fitting.acceleration import Floor
from fastem.fitting.result import Collapse
from fastem.inference.remaining import Remaining

ParameterHook = Callable[[S, P, int, list[Collapse]], tuple[P, str] | None]
"""statistics, params after their M-step, iteration, collapses so far (to which it adds) -> the params to go on from
instead, and how they were reached; or None."""


Iterate = Callable[[Position[P], P, float, int], Iterations[P] | None]
"""Where EM is, the parameters whose units its coordinates have, tol, most iterations -> what has been done.  It ends
before an iteration that the driver has to see, or at the one that meets the stop rule; None where these rows are not
for it."""


@dataclass(frozen=True)
class Steps(Generic[P, S]):
    """The two functions of EM, and what else depends on the model."""

    sweep: Callable[[P], S]
    maximize: Callable[[S], P]
    apply_floor: Floor[P] | None = None  # for an extrapolation, before it is swept
    after_m_step: ParameterHook[S, P] | None = None
    final_sweep: Callable[[P], tuple[P, S]] | None = None  # params after the last M-step -> those of the fit
    iterate: Iterate[P] | None = None  # many of the iterations in one call
    remaining: Callable[[P, P], Remaining | None] | None = None  # params, their EM step -> what is left to gain


class Trace(NamedTuple):
    """What an iteration had before its M-step."""

    loglik: float
    q: float
    entropy: float
    bound: float = math.nan  # of variational fits: the lower bound after it, without constants
