"""Helper threads, kept off the core of the caller."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any


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
