"""What EM in a kernel is handed and hands back, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastem._typing import Array
from fastem.data.base import PAIRS, STOP_RULES, Iterations, P, Position, StopRule, Vectors

FIELDS = (
    "code", "tol", "total", "base", "criterion", "known", "before", "previous", "fall", "fell_at", "step", "pending",
    "distance", "accelerated", "trust_radius", "size", "limited", "gains", "gain_0", "gain_1", "gain_2", "seen",
    "pairs", "oldest",
)  # fmt: skip
"""The numbers of a run, in the order of `Run` in iterate.pxi."""
FIRST_PAIR = 3
"""The row of the memory from which on there are pairs."""


def packed(position: Position[P], rule: StopRule, total: float, base: float) -> Array:
    """Return a run as FIELDS; total is the weight of the rows, base what no parameter enters of the log likelihood."""
    at = position
    return np.array([
        STOP_RULES.index(rule.stopping), rule.tol, total, base, at.criterion, len(at.logliks), *last_of(at.logliks, 2),
        0.0, 0.0, at.step, 0.0, np.inf, rule.accelerated, at.trust_radius, at.size, at.limited, len(at.gains),
        *last_of(at.gains, 3), len(at.last), len(at.pairs), 0.0,
    ])  # fmt: skip


def last_of(values: list[float], count: int) -> list[float]:
    """Return so many values, with zeros before those that there are."""
    return [0.0] * (count - len(values)) + values


def memory_of(position: Position[P], rule: StopRule) -> Array:
    """Return the vectors (m, 3, p) that a kernel goes on with: see accelerate.pxi."""
    memory = np.empty((rule.memory_rows, 3, rule.n_coordinates))
    if rule.accelerated and position.last:
        memory[0] = position.last[0]
        if position.pairs:
            memory[FIRST_PAIR : FIRST_PAIR + len(position.pairs)] = position.pairs
    return memory


def iterations(
    begun: Position[P],
    trace: Array,
    arrays: Sequence[Array],
    others: Array,
    sums: Array,
    memory: Array,
    run: Array,
) -> Iterations[P]:
    """Name what a kernel has found from the position at which it has begun."""
    params, found = begun.params, dict(zip(FIELDS, run.tolist(), strict=True))
    weights, location, spread = arrays
    behind = weights.size + location.size

    def with_values(values: Array) -> P:
        own = values[: weights.size], values[weights.size : behind].reshape(location.shape)
        return params.with_state(*own, values[behind:].reshape(spread.shape))

    def last() -> tuple[P, Any]:
        swept_last = with_values(others[0])
        return swept_last, swept_last.stats(sums[0])

    swept, gains = params.with_state(weights, location, spread), [found[f"gain_{i}"] for i in range(3)]
    position = Position(
        params=swept,
        reached=with_values(others[1]) if found["accelerated"] else swept,
        step=int(found["step"]),
        criterion=found["criterion"],
        logliks=[*begun.logliks, *trace[-2:, 0].tolist()][-2:],
        trust_radius=found["trust_radius"],
        size=found["size"],
        limited=bool(found["limited"]),
        gains=gains[3 - int(found["gains"]) :],
        last=[memory[0]] if found["seen"] else [],
        pairs=pairs_of(memory, int(found["oldest"]), int(found["pairs"])),
    )
    return Iterations(
        trace=trace,
        position=position,
        last=last,
        pending=swept.stats(sums[1]) if found["pending"] else None,
        distance=found["distance"],
        fall=found["fall"],
        fell_at=int(found["fell_at"]),
    )


def pairs_of(memory: Array, oldest: int, count: int) -> list[Vectors]:
    """Return the pairs of a kernel, the oldest first, from its ring."""
    return [memory[FIRST_PAIR + (oldest + i) % (PAIRS + 1)] for i in range(count)]
