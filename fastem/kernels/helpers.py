"""Helper threads, kept off the core of the caller."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")


class Helpers:
    """Threads that help their caller, away from the core that the caller runs on; they end with this object.

    They wake for every sweep, and on a virtual machine Linux takes idle cores for busy ones: a helper would share the
    core of its caller until the next balance of the cores, which comes too late for a sweep of a few milliseconds.
    """

    def __init__(self, count: int) -> None:
        self.places = Places(count)
        self.pool = ThreadPoolExecutor(count, "fastem", self.places.join)
        self.process = os.getpid()

    def submit(self, caller_core: int, call: Callable[..., Result], *arguments: object) -> Future[Result]:
        """Let a helper call it, on any core but that of the caller (-1: not known)."""
        self.places.avoid(caller_core)
        return self.pool.submit(call, *arguments)

    def wait(self, futures: Iterable[Future[Result]]) -> None:
        """Wait until all of these have ended, whatever became of them."""
        wait(futures)


class Places:
    """Where helpers run.  Their threads refer to this and not to the pool, which could never end otherwise."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._ids: list[int] = []
        self._avoided = -1

    def avoid(self, core: int) -> None:
        """Keep all helpers off a core."""
        if core != self._avoided:
            self._avoided = core
            for thread in self._ids:
                keep_off(thread, core, self.count)

    def join(self) -> None:
        """Add the calling thread, which is new."""
        self._ids.append(threading.get_native_id())
        keep_off(0, self._avoided, self.count)


def keep_off(thread: int, core: int, count: int) -> None:
    """Let a thread (0: this one) run on all cores of this one but `core`, if at least `count` others are left."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = os.sched_getaffinity(0)
    with suppress(OSError):  # a sandbox may forbid it; it is only an optimisation
        os.sched_setaffinity(thread, cores - {core} if len(cores - {core}) >= count else cores)
