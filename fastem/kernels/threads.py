"""How many threads a fit may have: the number of the caller, of the environment, or what the system grants.

A container has all cores of its host in its affinity mask, but only a share of their time: more threads than that use
it up sooner, and then all of them wait for the rest of the period.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

GROUPS_OF_PROCESS = Path("/proc/self/cgroup")
GROUPS_MOUNTED = Path("/sys/fs/cgroup")


class ThreadRule(NamedTuple):
    """A number of threads, and its reason."""

    n_threads: int
    reason: str


def thread_count(requested: int | None) -> int:
    """Return how many threads a fit may have."""
    return thread_rule(requested).n_threads


def thread_rule(requested: int | None) -> ThreadRule:
    """Return the argument, else FASTEM_NUM_THREADS, else OMP_NUM_THREADS, else the cores this process may use."""
    if requested is not None:
        return ThreadRule(requested, "n_threads")
    if ours := os.environ.get("FASTEM_NUM_THREADS", "").strip():
        if not (number := positive(ours)):
            raise ValueError(f"FASTEM_NUM_THREADS must be a whole number of at least 1, got {ours!r}")
        return ThreadRule(number, "FASTEM_NUM_THREADS")
    # A list is for nested regions, the outermost first.  OpenMP libraries report values that are no numbers.
    if number := positive(os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()):
        return ThreadRule(number, "OMP_NUM_THREADS")
    return granted(usable_cores(), cpu_quota())


def positive(text: str) -> int:
    """Return the positive whole number that `text` is, else 0."""
    return int(text) if text.isdecimal() else 0


def granted(cores: int, quota: float) -> ThreadRule:
    """Return what cores and their quota allow."""
    if quota < cores:
        return ThreadRule(max(1, math.ceil(quota)), f"CPU quota of {quota:g} cores")
    return ThreadRule(cores, "cores this process may use")


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def cpu_quota() -> float:
    """Return the quota of this process, read once."""
    return read_quota(GROUPS_OF_PROCESS, GROUPS_MOUNTED)


def read_quota(groups: Path, mounted: Path) -> float:
    """Return how many cores of time the control groups of a process grant it; infinity where they set no limit."""
    try:
        lines = groups.read_text().splitlines()
    except (OSError, ValueError):
        return math.inf
    return min((limit(group) for line in lines for group in groups_of(line, mounted)), default=math.inf)


def groups_of(line: str, mounted: Path) -> Iterator[Path]:
    """Yield the group of a line "id:controllers:path" and all above it, each of which may have a limit.

    In a container the path is often that of the host and cannot be read; the topmost group is then the container's own.
    """
    fields = line.split(":", 2)
    if len(fields) < 3 or not (fields[1] == "" or "cpu" in fields[1].split(",")):
        return
    hierarchy = mounted / "cpu" if fields[1] else mounted  # version 2 has one hierarchy and names no controller
    path = PurePosixPath(fields[2].lstrip("/"))
    for group in (path, *path.parents):
        yield hierarchy / group


def limit(group: Path) -> float:
    """Return quota over period of one group; infinity where it has none ("max" or -1) or none can be read."""
    for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):  # version 2, version 1
        try:
            quota, period = map(int, " ".join((group / name).read_text() for name in names).split())
        except (OSError, ValueError):
            continue
        if quota > 0 and period > 0:
            return quota / period
    return math.inf
