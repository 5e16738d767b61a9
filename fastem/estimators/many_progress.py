"""The progress of many fits: a line for each number of components, or else a bar if they take long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from fastem.fitting import progress


class ManyProgress:
    """A context manager that is told of the groups that are done.

    verbose: 0 shows a bar on a terminal if the fits take over a second; 1 writes a line for each number of components,
    2 also the time that it took.
    """

    def __init__(self, sizes: int, verbose: int) -> None:
        self.sizes, self.verbose = sizes, verbose
        self.done = 0
        self._bar = progress.TerminalBar()
        self._due = time.monotonic() + progress.PATIENCE_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.remove()

    def of(self, k: int) -> Callable[[int, int], None]:
        """Return what is told how many groups of how many are done, of the fits of k components."""
        number, begun = self.done, time.perf_counter()
        self.done += 1

        def report(groups: int, m: int) -> None:
            if self.verbose:
                if groups == m:
                    seconds = f"\t time lapse {time.perf_counter() - begun:.5f}s" if self.verbose > 1 else ""
                    sys.stdout.write(f"{m:,} groups, {k} components{seconds}\n")
            elif (now := time.monotonic()) >= self._due and not self._bar.refused:
                self._due = now + progress.DRAWING_SECONDS
                share = (number + groups / max(m, 1)) / self.sizes
                self._bar.draw(lambda: f"{k} components, {groups:,} of {m:,} groups", share)

        return report
