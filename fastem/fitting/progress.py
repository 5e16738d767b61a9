"""Show the progress of a fit: lines that `verbose` asks for, or else a bar if the fit takes long."""

from __future__ import annotations

import importlib
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol, Self, TextIO

from fastem.fitting.steps import Trace

PATIENCE_SECONDS = 1.0
"""Time before a fit shows a bar."""
DRAWING_SECONDS = 0.1
"""Time between two drawings of the bar."""
BAR_WIDTH = 12
COLUMNS = 80
"""Width of a terminal that does not say how wide it is."""

_terminal = threading.Lock()
"""Held by the bar that is shown: there is one at a time."""


class Run(Protocol):
    """What is shown of a run of EM that is under way."""

    previous: float
    criterion: float
    objective: str

    @property
    def trace(self) -> list[Trace]:
        """The log likelihood, and what else each iteration reached."""

    @property
    def steps(self) -> Sequence[str]:
        """The kind of step that led to each iteration, and to each sweep that was rejected."""

    def remaining(self, trace: list[Trace]) -> float:
        """Return the estimated distance of the log likelihood from its maximum."""


class Progress:
    """A context manager that is called with the run after each iteration of each start of a fit."""

    def __init__(self) -> None:
        self.starts = 0
        self._last: Run | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __call__(self, run: Run) -> None:
        is_new = run is not self._last
        self._last, self.starts = run, self.starts + is_new
        self.show(run, is_new)

    def show(self, run: Run, is_new: bool) -> None:
        """Show the last iteration of a run; `is_new` is whether it is the first one that is shown of this run."""
        raise NotImplementedError


class Lines(Progress):
    """Lines on standard output every `interval` iterations; with `verbose` 2 also the change and the time."""

    def __init__(self, verbose: int, interval: int) -> None:
        super().__init__()
        self.verbose, self.interval = verbose, interval
        self._since = time.perf_counter()

    def show(self, run: Run, is_new: bool) -> None:
        iteration, change = len(run.trace), run.criterion - run.previous
        if is_new:
            self._write(f"Initialization {self.starts}")
        if iteration % self.interval == 0:
            now = time.perf_counter()
            detail = f"\t time lapse {now - self._since:.5f}s\t ll change {change:.5f}" if self.verbose > 1 else ""
            self._write(f"  Iteration {iteration}{detail}")
            self._since = now

    def _write(self, line: str) -> None:
        """Write a line to standard output."""
        sys.stdout.write(line + "\n")


class TerminalBar:
    """A line at the bottom of the terminal, from the first drawing until it is removed.

    There is none if standard error is not a terminal, in a worker process, and while another call shows one.
    """

    def __init__(self) -> None:
        self.refused = False
        self._screen: Screen | None = None

    def draw(self, text: Callable[[], str], share: float) -> None:
        """Draw the bar, unless that fails: the fit goes on, whatever happens to the terminal."""
        try:
            self._screen = self._screen or self._acquire()
            if self._screen is not None:
                self._screen.show(text(), share)
        except Exception:  # noqa: BLE001 - see above
            self.remove()

    def _acquire(self) -> Screen | None:
        """Return the terminal if there is one, and no other bar uses it."""
        self.refused = self.refused or not shows_bars()
        if self.refused:
            return None
        screen = screen_on(sys.stderr)
        return screen if _terminal.acquire(blocking=False) else None

    def remove(self) -> None:
        """Remove the bar, and do not show it again."""
        self.refused, screen, self._screen = True, self._screen, None
        if screen is None:
            return
        try:
            screen.clear()
        except Exception:  # noqa: BLE001 - see draw
            pass
        finally:
            _terminal.release()


class Bar(Progress):
    """A line at the bottom of the terminal for a fit that takes long; it is removed at the end of the fit.

    It shows the share of `max_iter`, which start of how many it is, the sweeps, what EM raises, its estimated
    distance from the maximum, and the rows per second; what is of less use is left out where the line is too short.
    There is no bar if standard error is not a terminal, in a worker process, and while another fit shows one.
    """

    def __init__(self, n_rows: int, max_iter: int, n_starts: int) -> None:
        super().__init__()
        self.n_rows, self.max_iter, self.n_starts = n_rows, max_iter, n_starts
        self._due = time.monotonic() + PATIENCE_SECONDS
        self._bar = TerminalBar()
        self._drawn = 0, 0.0  # the number of sweeps, and the time, of the last drawing

    def __exit__(self, *exception: object) -> None:
        self._bar.remove()

    def show(self, run: Run, is_new: bool) -> None:
        now = time.monotonic()
        if is_new:
            self._drawn = sweeps(run), now
        if now >= self._due and not self._bar.refused:
            self._due = now + DRAWING_SECONDS
            self._bar.draw(lambda: self._text(run, now), len(run.trace) / self.max_iter)

    def _text(self, run: Run, now: float) -> str:
        """Return the text beside the bar."""
        done, (before, then) = sweeps(run), self._drawn
        self._drawn = done, now
        loglik, gain = run.trace[-1][0], run.remaining(run.trace)
        return fitting(
            [
                f"start {self.starts} of {self.n_starts}" if self.n_starts > 1 else "",
                f"sweep {done}",
                f"{run.objective} {loglik:.10g}",
                f"about {gain:.2g} below its maximum" if math.isfinite(gain) else "",
                f"{self.n_rows * (done - before) / (now - then):.3g} rows/s" if done > before else "",
            ],
            terminal_width(sys.stderr) - BAR_WIDTH - len("[] ") - 1,
        )


def fitting(parts: list[str], width: int) -> str:
    """Join the parts that are there, without the last one, and then without the third, where the line is too short."""
    for left_out in ((), (4,), (2, 4)):
        text = ", ".join(part for i, part in enumerate(parts) if part and i not in left_out)
        if len(text) <= width:
            break
    return text


def terminal_width(stream: TextIO) -> int:
    """Return the number of characters of a line of a terminal."""
    return os.get_terminal_size(stream.fileno()).columns or COLUMNS


def sweeps(run: Run) -> int:
    """Return the number of sweeps of a run; a rejected step costs one that has no iteration."""
    return len(run.trace) + int(run.steps.count("rejected"))


def shows_bars() -> bool:
    """Return whether this process may show a bar: workers of other processes share the terminal of their parent."""
    if is_worker() or os.environ.get("FASTEM_PROGRESS") == "0":
        return False
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def is_worker() -> bool:
    """Return whether another process has started this one: then it has imported what tells so, which takes its time."""
    module = sys.modules.get("multiprocessing.process")
    return module is not None and module.current_process().name != "MainProcess"


class Screen(Protocol):
    """What draws a bar."""

    def show(self, text: str, share: float) -> None:
        """Draw a bar of this share of its width, and the text."""

    def clear(self) -> None:
        """Remove the bar."""


def screen_on(stream: TextIO) -> Screen:
    """Return a screen on a terminal: that of rich if it is installed."""
    try:
        return RichScreen(stream)
    except ImportError:
        return PlainScreen(stream)


class RichScreen:
    """A bar of rich, which neither starts a thread to draw it nor redirects the standard streams."""

    def __init__(self, stream: TextIO) -> None:
        rich, console = importlib.import_module("rich.progress"), importlib.import_module("rich.console")
        columns = rich.BarColumn(BAR_WIDTH), rich.TextColumn("{task.description}", markup=False)
        self.bars = rich.Progress(
            *columns, console=console.Console(file=stream), transient=True, auto_refresh=False,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self.bar = self.bars.add_task("", total=1.0)

    def show(self, text: str, share: float) -> None:
        self.bars.start()  # has no effect after the first time
        self.bars.update(self.bar, description=text, completed=share, refresh=True)

    def clear(self) -> None:
        self.bars.stop()


class PlainScreen:
    """A line that is overwritten with a carriage return, without other control codes."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def show(self, text: str, share: float) -> None:
        self._write(f"[{'#' * round(BAR_WIDTH * share):{BAR_WIDTH}}] {text}")

    def clear(self) -> None:
        self._write("")
        self.stream.write("\r")
        self.stream.flush()

    def _write(self, text: str) -> None:
        """Write a line over the last one, cut or padded to the width of the terminal."""
        width = terminal_width(self.stream) - 1  # a character in the last column would begin another line
        self.stream.write(f"\r{text[:width]:{width}}")
        self.stream.flush()
