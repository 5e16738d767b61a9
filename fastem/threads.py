"""How many threads a fit may have, the caller's number, the environment's, or what the system grants; and where.

A container has all cores of its host in its affinity mask and a share of their time: threads beyond that share spend it
sooner and then wait, all of them, for the rest of the period.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

GROUPS_OF_PROCESS = Path("/proc/self/cgroup")
GROUPS_MOUNTED = Path("/sys/fs/cgroup")


class ThreadRule(NamedTuple):
    """A number of threads, and what it comes from."""

    n_threads: int
    reason: str


def thread_count(requested: int | None) -> int:
    return thread_rule(requested).n_threads


def thread_rule(requested: int | None) -> ThreadRule:
    """Argument, else FASTEM_NUM_THREADS, else OMP_NUM_THREADS, else the cores this process may use."""
    if requested is not None:
        return ThreadRule(requested, "n_threads")
    if ours := os.environ.get("FASTEM_NUM_THREADS", "").strip():
        if not (number := positive(ours)):
            raise ValueError(f"FASTEM_NUM_THREADS must be a whole number of at least 1, got {ours!r}")
        return ThreadRule(number, "FASTEM_NUM_THREADS")
    # A list is for nested regions, the outermost first.  Nonsense is for the OpenMP libraries to report, not for us.
    if number := positive(os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()):
        return ThreadRule(number, "OMP_NUM_THREADS")
    return granted(usable_cores(), cpu_quota())


def positive(text: str) -> int:
    """The positive whole number that `text` is, else 0."""
    return int(text) if text.isdecimal() else 0


def granted(cores: int, quota: float) -> ThreadRule:
    if quota < cores:
        return ThreadRule(max(1, math.ceil(quota)), f"CPU quota of {quota:g} cores")
    return ThreadRule(cores, "cores this process may use")


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def cpu_quota() -> float:
    """The quota of this process, read once."""
    return read_quota(GROUPS_OF_PROCESS, GROUPS_MOUNTED)


def read_quota(groups: Path, mounted: Path) -> float:
    """Cores' worth of time that the control groups of a process grant it; infinite where none says."""
    try:
        lines = groups.read_text().splitlines()
    except (OSError, ValueError):
        return math.inf
    return min((limit(group) for line in lines for group in groups_of(line, mounted)), default=math.inf)


def groups_of(line: str, mounted: Path) -> Iterator[Path]:
    """A line "id:controllers:path" -> its group and all above, each of which may limit it.

    In a container the path is often the host's, not there to be read, and the container's own group is the topmost.
    """
    fields = line.split(":", 2)
    if len(fields) < 3 or not (fields[1] == "" or "cpu" in fields[1].split(",")):
        return
    hierarchy = mounted / "cpu" if fields[1] else mounted  # version 2 has one hierarchy and names no controller
    path = PurePosixPath(fields[2].lstrip("/"))
    for group in (path, *path.parents):
        yield hierarchy / group


def limit(group: Path) -> float:
    """Quota over period of one group; infinite where it has none ("max" or -1) or none can be read."""
    for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):  # version 2, version 1
        try:
            quota, period = map(int, " ".join((group / name).read_text() for name in names).split())
        except (OSError, ValueError):
            continue
        if quota > 0 and period > 0:
            return quota / period
    return math.inf


class Helpers:
    """Threads that help their caller, away from the core that the caller runs on; they end with this object.

    They are woken for every sweep, and on a virtual machine Linux takes the cores that rest for taken: a helper would
    share the core of its caller until the next balance of the cores, which a sweep of a few milliseconds does not see.
    """

    def __init__(self, count: int) -> None:
        self.places = Places(count)
        self.pool = ThreadPoolExecutor(count, "fastem", self.places.join)
        self.process = os.getpid()

    def submit(self, caller_core: int, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have a helper call it, wherever it may run but on that core (-1: not known)."""
        self.places.avoid(caller_core)
        return self.pool.submit(call, *arguments)


class Places:
    """Where helpers run.  Their threads know this and not the pool: one that they know would never end."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._ids: list[int] = []
        self._avoided = -1

    def avoid(self, core: int) -> None:
        if core != self._avoided:
            self._avoided = core
            for thread in self._ids:
                keep_off(thread, core, self.count)

    def join(self) -> None:
        """Called by each new thread."""
        self._ids.append(threading.get_native_id())
        keep_off(0, self._avoided, self.count)


def keep_off(thread: int, core: int, count: int) -> None:
    """The thread (0: this one) may run on every core that this one may but on `core`, where `count` others are left."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = os.sched_getaffinity(0)
    with suppress(OSError):  # a sandbox may forbid it; it is only an optimisation
        os.sched_setaffinity(thread, cores - {core} if len(cores - {core}) >= count else cores)
