"""Launches of Numba's kernels, and their compilation ahead of the first one."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from fastem.kernels.twins import numba_twin

_launch = threading.Lock()
_launched_in: int | None = None


class NumbaKernel(Protocol):
    """A kernel that Numba compiles twice: with threads, and without."""

    serial: Callable[..., None]

    def __call__(self, *arguments: object) -> None: ...


def run_numba(kernel: NumbaKernel, threads: int, arguments: Sequence[object]) -> None:
    """Launch the parallel compilation where that is safe, the serial one of the same loop elsewhere.

    Numba's workqueue layer aborts the process when two threads launch at once, and no layer survives a fork.  The
    number of threads is the setting of the caller for kernels of their own, and is set back.
    """
    global _launched_in
    if threads == 1 or _launched_in not in (None, os.getpid()) or not _launch.acquire(blocking=False):
        kernel.serial(*arguments)
        return
    try:
        _launched_in = os.getpid()
        numba: Any = importlib.import_module("numba")
        before = numba.get_num_threads()
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        try:
            kernel(*arguments)
        finally:
            numba.set_num_threads(before)
    finally:
        _launch.release()


def compile_ahead(backend: str) -> None:
    """Compile all kernels of a twin that are not yet.  Compiling a parallel one launches Numba's threads."""
    global _launched_in
    if backend != "numba":
        return
    twin = numba_twin()
    kernels = [getattr(twin, name) for name in twin.__all__]
    for kernel in kernels:
        kernel.serial.compile_ahead()
    if _launched_in not in (None, os.getpid()):
        return  # in a forked child the serial ones are all that will run
    with _launch:
        _launched_in = os.getpid()
        for kernel in kernels:
            kernel.compile_ahead()
