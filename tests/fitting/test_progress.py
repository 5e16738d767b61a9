"""Bars of fits that take long: on a terminal, and nowhere else; whatever becomes of it, the fit is the same."""

import fcntl
import os
import pty
import re
import struct
import sys
import termios
import threading
from itertools import pairwise

import dask.array as da
import numpy as np
import pytest
from support.chunks import assert_same_bits, cut, rows

import fastem
from fastem.data.slots import SLOT_ROWS
from fastem.fitting import progress

N = 2 * SLOT_ROWS + 100


class Terminal:
    """A pseudo terminal of 120 columns in the place of standard error, and what was written to it."""

    def __init__(self):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
        self.stream, self.parts = os.fdopen(slave, "w"), []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        """Until its last writer is gone: Linux says so by an error."""
        try:
            while part := os.read(self.master, 1 << 16):
                self.parts.append(part)
        except OSError:
            pass

    def told(self):
        """All that was written; the terminal is closed."""
        self.stream.close()
        self.reader.join()
        os.close(self.master)
        return b"".join(self.parts).decode()


class Streams:
    """sys with another standard error: pytest puts its own back after a fixture."""

    def __init__(self, stderr):
        self.stderr = stderr

    def __getattr__(self, name):
        return getattr(sys, name)


def stand_in(monkeypatch, stderr):
    monkeypatch.setattr(progress, "sys", Streams(stderr))


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("FASTEM_PROGRESS", raising=False)
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(progress, "DRAWING_SECONDS", 0.0)
    found = Terminal()
    stand_in(monkeypatch, found.stream)
    yield found
    if not found.stream.closed:
        found.told()
    assert not progress._terminal.locked()


@pytest.fixture(params=["rich", "plain"])
def drawn_by(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "rich.progress", None)
    return request.param


def mixture(**settings):
    return fastem.GaussianMixture(3, **({"random_state": 0, "tol": 1e-5, "max_iter": 500} | settings))


SOURCES = {
    "memory": lambda X: {"X": X},
    "chunks": lambda X: {"chunks": cut(5000, X)},
    "dask": lambda X: {"X": da.from_array(X, chunks=(SLOT_ROWS, 2))},
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("acceleration", [None, "squarem"])
@pytest.mark.seconds
def test_a_terminal_has_a_bar_of_every_source(source, acceleration, drawn_by, terminal, capfd, swept_in_python):
    X, settings = rows(N), {"acceleration": acceleration, "tol": 1e-8}
    found = mixture(**settings).fit(**SOURCES[source](X))
    text = terminal.told()
    assert "sweep 1, log likelihood -" in text
    assert "below its maximum, " in text
    assert " rows/s" in text
    assert f"log likelihood {found.history_.loglik[-1]:.10g}" in text
    assert f"sweep {found.n_sweeps_ - 1}," in text  # but for the last, which ends the fit
    assert capfd.readouterr() == ("", "")
    assert_same_bits(found, mixture(**settings, verbose=1).fit(X))


PRIOR = fastem.GaussianPrior(scale=np.eye(2))


@pytest.mark.parametrize(
    ("settings", "name"), [({}, "log likelihood"), ({"prior": PRIOR}, "log posterior"), (None, "lower bound")]
)
def test_a_bar_names_what_em_raises(settings, name, terminal, swept_in_python):
    bayesian = fastem.BayesianGaussianMixture(3, random_state=0, max_iter=500)
    (bayesian if settings is None else mixture(**settings)).fit(rows(N))
    assert set(re.findall(r"sweep \d+, ([a-z ]+) -", terminal.told())) == {name}


def test_sweeps_that_were_rejected_count(terminal):
    settings = {"n_components": 4, "init_params": "kmeans", "acceleration": "quasi-newton", "tol": 1e-9}
    found = mixture().set_params(**settings).fit(rows(N))
    assert found.history_.step.count("rejected") > 0
    assert f"sweep {found.n_sweeps_ - 1}," in terminal.told()


def test_a_bar_leaves_the_terminal_as_it_was(drawn_by, terminal):
    mixture().fit(rows(N))
    text = terminal.told()
    assert text.count("\n") == text.count("\x1b[1A")  # as far down as up
    if drawn_by == "plain":
        assert text.endswith(f"\r{' ' * 119}\r")
        assert "\x1b" not in text
    else:
        assert text.count("\x1b[?25h") == text.count("\x1b[?25l") == 1  # the cursor
        assert text.endswith("\x1b[2K")


def test_starts_are_told_apart(drawn_by, terminal, swept_in_python):
    mixture(n_init=3, init_params="random").fit(rows(N))
    text = terminal.told()
    firsts = [text.index(f"start {start} of 3, sweep 1,") for start in (1, 2, 3)]
    assert firsts == sorted(firsts)


def test_a_narrow_terminal_is_not_overrun(terminal, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    fcntl.ioctl(terminal.stream, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
    mixture().fit(rows(N))
    assert {len(line) for line in terminal.told().split("\r")} == {0, 29}


PARTS = ["start 2 of 5", "sweep 16", "log likelihood -27120104.04", "about 11 below its maximum", "3.42e+07 rows/s"]


@pytest.mark.parametrize(("width", "left_out"), [(96, []), (95, [4]), (78, [2, 4]), (10, [2, 4])])
def test_what_is_of_least_use_is_left_out_of_a_short_line(width, left_out):
    assert progress.fitting(PARTS, width) == ", ".join(part for i, part in enumerate(PARTS) if i not in left_out)
    assert progress.fitting(["", *PARTS[1:3], "", ""], width) == ", ".join(PARTS[1 : 3 - (width == 10)])


def test_a_bar_fits_the_terminal(terminal, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    fcntl.ioctl(terminal.stream, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 78, 0, 0))
    mixture(n_init=2, init_params="random_from_data", tol=1e-9).fit(rows(N))
    lines = terminal.told().split("\r")
    assert any("start 2 of 2, sweep" in line for line in lines)
    assert {len(line) for line in lines} == {0, 77}
    assert all(line.rstrip().endswith("below its maximum") for line in lines if "about" in line)


def test_starts_that_are_screened_do_not_count(terminal):
    mixture(n_init=5, init_params="random").fit(rows(20_000))
    assert {*re.findall("of .", terminal.told())} == {"of 3"}


def test_a_short_fit_shows_nothing(terminal, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 1e6)
    mixture().fit(rows(N))
    assert terminal.told() == ""


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("FASTEM_PROGRESS", "0")])
def test_bars_can_be_done_without(name, value, terminal, monkeypatch):
    monkeypatch.setenv(name, value)
    mixture().fit(rows(N))
    assert terminal.told() == ""


def test_without_a_terminal_nothing_is_told(terminal, monkeypatch, tmp_path):
    with (tmp_path / "errors").open("w") as stream:
        stand_in(monkeypatch, stream)
        mixture().fit(rows(N))
    assert (tmp_path / "errors").read_text() == terminal.told() == ""


def test_verbose_has_its_lines_and_no_bar(terminal, capsys):
    mixture(verbose=1, verbose_interval=1).fit(rows(N))
    assert capsys.readouterr().out.startswith("Initialization 1\n  Iteration 1\n  Iteration 2\n")
    assert terminal.told() == ""


@pytest.mark.process
def test_a_worker_process_shows_nothing(terminal):
    """It has the terminal of its parent, as forks have: only the parent's own fits are shown."""
    import multiprocessing

    child = multiprocessing.get_context("fork").Process(target=lambda: mixture().fit(rows(N)))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert terminal.told() == ""


class Broken:
    """A terminal that is gone: `calls` of its methods still answer."""

    def __init__(self, stream, calls):
        self.stream, self.calls = stream, calls

    def __getattr__(self, name):
        self.calls -= 1
        if self.calls < 0:
            raise OSError("the terminal is gone")
        return getattr(self.stream, name)


@pytest.mark.parametrize("stream", [None, "closed", *range(0, 40, 3)])
@pytest.mark.seconds
def test_a_broken_terminal_breaks_no_fit(stream, drawn_by, terminal, monkeypatch):
    if stream == "closed":
        terminal.stream.close()
        terminal.told()
    elif stream is None:
        stand_in(monkeypatch, None)
    else:
        stand_in(monkeypatch, Broken(terminal.stream, stream))
    assert_same_bits(mixture().fit(rows(N)), mixture(verbose=1).fit(rows(N)))


def test_a_fit_inside_a_fit_leaves_the_bar_to_it(terminal):
    """The source of the one makes the other."""
    X, inner = rows(N), []

    def source():
        inner.append(mixture(n_init=2, init_params="random").fit(X))
        yield X

    found = mixture().fit(chunks=source)
    assert len(inner) > 3
    assert_same_bits(found, mixture().fit(X))
    assert "start 2 of 2" in terminal.told()  # of the first of them; once the outer one has the terminal, it keeps it


def test_fits_of_several_threads_show_one_bar(terminal, monkeypatch):
    shown, most = [], []
    show = progress.PlainScreen.show
    monkeypatch.setitem(sys.modules, "rich.progress", None)

    def watched(self, text, share):
        shown.append(self)
        most.append(progress._terminal.locked())
        show(self, text, share)

    monkeypatch.setattr(progress.PlainScreen, "show", watched)
    threads = [threading.Thread(target=lambda: mixture(tol=1e-9).fit(rows(N))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(most)
    changes = sum(a is not b for a, b in pairwise([None, *shown]))
    assert changes == len({*map(id, shown)})  # none comes between the drawings of another


def test_an_interrupted_fit_takes_its_bar_away(swept_in_python, terminal, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    seen = []

    def source():
        seen.append(None)
        if len(seen) == 6:
            raise KeyboardInterrupt
        yield rows(N)

    with pytest.raises(KeyboardInterrupt):
        mixture().fit(chunks=source)
    text = terminal.told()
    assert "sweep 1," in text
    assert text.endswith(f"\r{' ' * 119}\r")


def many(**settings):
    values = np.random.default_rng(0).standard_normal((3_000, 40))
    return fastem.fit_many(values, n_components=(1, 2), n_threads=1, **settings)


def test_many_fits_have_a_bar(drawn_by, terminal):
    many()
    text = terminal.told()
    assert "1 components, " in text
    assert "2 components, 3,000 of 3,000 groups" in text


def test_many_fits_have_lines_for_each_size(terminal, capsys):
    many(verbose=1)
    assert capsys.readouterr().out == "3,000 groups, 1 components\n3,000 groups, 2 components\n"
    many(verbose=2)
    assert "3,000 groups, 2 components\t time lapse " in capsys.readouterr().out
    assert terminal.told() == ""


def test_many_interrupted_fits_take_their_bar_away(terminal, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    show, shown = progress.PlainScreen.show, []

    def interrupted(self, text, share):
        show(self, text, share)
        shown.append(text)
        if len(shown) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(progress.PlainScreen, "show", interrupted)
    with pytest.raises(KeyboardInterrupt):
        many()
    assert len(shown) == 2
    assert terminal.told().endswith(f"\r{' ' * 119}\r")
