"""Lines on standard output while a fit is under way."""

from __future__ import annotations

import sys
import time
from typing import Any


class Progress:
    """Lines on standard output, as `verbose` asks for: 1 every `interval` iterations, 2 with change and time."""

    def __init__(self, verbose: int, interval: int) -> None:
        self.verbose, self.interval = verbose, interval
        self._starts, self._since = 0, time.perf_counter()

    def __call__(self, iteration: int, stats: Any, change: float) -> None:
        if iteration == 1:
            self._starts += 1
            self._write(f"Initialization {self._starts}")
        if iteration % self.interval == 0:
            now = time.perf_counter()
            detail = f"\t time lapse {now - self._since:.5f}s\t ll change {change:.5f}" if self.verbose > 1 else ""
            self._write(f"  Iteration {iteration}{detail}")
            self._since = now

    def _write(self, line: str) -> None:
        sys.stdout.write(line + "\n")
