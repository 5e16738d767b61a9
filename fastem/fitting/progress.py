"""What is told while a fit is under way: lines that `verbose` asks for, else a bar where it takes long."""

from __future__ import annotations

import importlib
import math
import os
import sys
import threading
import time
from multiprocessing import current_process
from typing import Any, Protocol, Self, TextIO

PATIENCE_SECONDS = 1.0
"""Of a fit before it shows a bar."""
DRAWING_SECONDS = 0.1
"""From one drawing to the next: as often as can be read."""
BAR_WIDTH = 12
COLUMNS = 80
"""Of a terminal that does not know."""

_terminal = threading.Lock()  # of the bar that is shown: one at a time


class Progress:
    """Is called with the run after each iteration of each of a fit's starts.  A context manager."""

    def __init__(self) -> None:
        self.starts, self._last = 0, None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __call__(self, run: Any) -> None:
        begins = run is not self._last
        self._last, self.starts = run, self.starts + begins
        self.tell(run, begins)

    def tell(self, run: Any, begins: bool) -> None:
        """begins: whether this run is another one than that of the call before."""
        raise NotImplementedError


class Lines(Progress):
    """Lines on standard output, as `verbose` asks for: 1 every `interval` iterations, 2 with change and time."""

    def __init__(self, verbose: int, interval: int) -> None:
        super().__init__()
        self.verbose, self.interval = verbose, interval
        self._since = time.perf_counter()

    def tell(self, run: Any, begins: bool) -> None:
        iteration, change = len(run.trace), run.criterion - run.previous
        if begins:
            self._write(f"Initialization {self.starts}")
        if iteration % self.interval == 0:
            now = time.perf_counter()
            detail = f"\t time lapse {now - self._since:.5f}s\t ll change {change:.5f}" if self.verbose > 1 else ""
            self._write(f"  Iteration {iteration}{detail}")
            self._since = now

    def _write(self, line: str) -> None:
        sys.stdout.write(line + "\n")


class Bar(Progress):
    """A line at the bottom of the terminal that standard error is, for a fit that takes long: its share of `max_iter`,
    sweeps, log likelihood, what that is estimated to gain still, rows a second.  The end of the fit takes it away.

    Silent without a terminal, in a process that works for another one, and while the bar of another fit is shown.
    """

    def __init__(self, n_rows: int, max_iter: int) -> None:
        super().__init__()
        self.n_rows, self.max_iter = n_rows, max_iter
        self._due = time.monotonic() + PATIENCE_SECONDS
        self._screen: Screen | None = None
        self._seen = 0, 0.0  # sweeps, and when that was

    def __exit__(self, *exception: object) -> None:
        self._take_away()

    def tell(self, run: Any, begins: bool) -> None:
        now = time.monotonic()
        if begins:
            self._seen = sweeps(run), now
        if now >= self._due:
            self._due = now + DRAWING_SECONDS
            self._draw(run, now)

    def _draw(self, run: Any, now: float) -> None:
        try:
            self._screen = self._screen or self._taken()
            if self._screen is not None:
                self._screen.show(self._text(run, now), len(run.trace) / self.max_iter)
        except Exception:  # noqa: BLE001 - whatever becomes of a terminal, the fit goes on
            self._take_away()

    def _taken(self) -> Screen | None:
        """The terminal, if there is one and nobody has it."""
        if not shows_bars():
            self._due = math.inf
            return None
        found = screen(sys.stderr)
        return found if _terminal.acquire(blocking=False) else None

    def _text(self, run: Any, now: float) -> str:
        done, (before, then) = sweeps(run), self._seen
        self._seen = done, now
        loglik, gain = run.trace[-1][0], run.remaining(run.trace)
        return ", ".join([
            *([f"start {self.starts}"] if self.starts > 1 else []),
            f"sweep {done}",
            f"log likelihood {loglik:.10g}",
            *([f"{gain:.2g} still to gain"] if math.isfinite(gain) else []),
            *([f"{self.n_rows * (done - before) / (now - then):.3g} rows/s"] if done > before else []),
        ])  # fmt: skip

    def _take_away(self) -> None:
        """And show none again."""
        self._due, shown, self._screen = math.inf, self._screen, None
        if shown is None:
            return
        try:
            shown.clear()
        except Exception:  # noqa: BLE001 - see _draw
            pass
        finally:
            _terminal.release()


def sweeps(run: Any) -> int:
    return len(run.trace) + int(run.steps.count("rejected"))


def shows_bars() -> bool:
    """Workers of multiprocessing, joblib and Dask share the terminal of their parent."""
    if current_process().name != "MainProcess" or os.environ.get("FASTEM_PROGRESS") == "0":
        return False
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


class Screen(Protocol):
    """Where a bar is drawn."""

    def show(self, text: str, share: float) -> None: ...
    def clear(self) -> None: ...


def screen(stream: TextIO) -> Screen:
    try:
        return RichScreen(stream)
    except ImportError:
        return PlainScreen(stream)


class RichScreen:
    """A bar of rich, without the thread that it would draw with and without its hands on the standard streams."""

    def __init__(self, stream: TextIO) -> None:
        rich, console = importlib.import_module("rich.progress"), importlib.import_module("rich.console")
        columns = rich.BarColumn(BAR_WIDTH), rich.TextColumn("{task.description}", markup=False)
        self.bars = rich.Progress(
            *columns, console=console.Console(file=stream), transient=True, auto_refresh=False,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self.bar = self.bars.add_task("", total=1.0)

    def show(self, text: str, share: float) -> None:
        self.bars.start()  # once
        self.bars.update(self.bar, description=text, completed=share, refresh=True)

    def clear(self) -> None:
        self.bars.stop()


class PlainScreen:
    """A line that is written over, without any codes of a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def show(self, text: str, share: float) -> None:
        self._write(f"[{'#' * round(BAR_WIDTH * share):{BAR_WIDTH}}] {text}")

    def clear(self) -> None:
        self._write("")
        self.stream.write("\r")
        self.stream.flush()

    def _write(self, text: str) -> None:
        columns = os.get_terminal_size(self.stream.fileno()).columns or COLUMNS
        width = columns - 1  # the last one would begin another line
        self.stream.write(f"\r{text[:width]:{width}}")
        self.stream.flush()
