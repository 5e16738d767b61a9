"""The functions that EM consists of, as the driver calls them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple

from fastem.families.base import P, S
from fastem.fitting.acceleration import Floor
from fastem.fitting.result import Collapse

ParameterHook = Callable[[S, P, int, list[Collapse]], tuple[P, str] | None]
"""statistics, params after their M-step, iteration, collapses so far (to which it adds) -> the params to go on from
instead, and how they were reached; or None."""


class Iterated(NamedTuple, Generic[P, S]):
    """What a call of `Iterate` has done: see data.base.Iterations."""

    trace: list[Trace]
    params: P
    last_params: P
    last_stats: S | None
    fall: float
    fell_at: int


Iterate = Callable[[P, float, list[float], int], Iterated[P, S]]
"""params, criterion and log likelihoods of the last iterations, most iterations -> what has been done.  It ends before
an iteration in which anything but a plain EM step may happen, or at the one that meets the stop rule."""


@dataclass(frozen=True)
class Steps(Generic[P, S]):
    """The two functions of EM, and what else depends on the model."""

    sweep: Callable[[P], S]
    maximize: Callable[[S], P]
    apply_floor: Floor[P] | None = None  # for an extrapolation, before it is swept
    after_m_step: ParameterHook[S, P] | None = None
    final_sweep: Callable[[P], tuple[P, S]] | None = None  # params after the last M-step -> those of the fit
    iterate: Iterate[P, S] | None = None  # many of the iterations in one call


class Trace(NamedTuple):
    """What an iteration had before its M-step."""

    loglik: float
    q: float
    entropy: float
