"""Other packages as programs that are asked line by line: the programs are in bench/peers.

A peer is started with a folder: `shape` (n d k trials, in words), `rows` and `start` (weights, means or probabilities,
covariances; float64).  It tells its version, and then for every line that it is asked

    given ITERATIONS        EM from that start
    own ITERATIONS SEED     EM from its own default start

the seconds that took and the iterations it made, which may be fewer; the parameters it found are in `answer`.  We are a
peer as the others.  One that is missing or fails takes no part, and says why.
"""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from cases import Problem

import fastem

HERE = Path(__file__).parent
PYTHON = str(HERE / "peers" / "packages.py")
R = str(HERE / "peers" / "packages.R")
COMMANDS = {
    "fastem": [sys.executable, PYTHON, "fastem"],
    "oneDAL": [str(HERE.parent / ".venv-peers" / "bin" / "python"), PYTHON, "oneDAL"],
    "scikit-learn": [sys.executable, PYTHON, "scikit-learn"],
    "Armadillo": [str(HERE / "output" / "armadillo")],
    "pomegranate": [str(HERE.parent / ".venv-torch" / "bin" / "python"), PYTHON, "pomegranate"],
    "mclust": ["Rscript", R, "mclust"],
    "mixtools": ["Rscript", R, "mixtools"],
    "flexmix": ["Rscript", R, "flexmix"],
}

PATIENCE = 120.0
"""Seconds for one answer."""


class AbsentError(Exception):
    """Why a peer takes no part."""


@dataclass(frozen=True)
class Run:
    seconds: float
    iterations: int
    parameters: np.ndarray  # as in `start`


@dataclass
class Peer:
    process: subprocess.Popen[str]
    folder: Path
    version: str = ""

    def ask(self, *words: object) -> Run:
        assert self.process.stdin is not None
        try:
            print(*words, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise AbsentError(self.last_words()) from None
        seconds, iterations = self.told().split()
        return Run(float(seconds), int(iterations), np.fromfile(self.folder / "answer"))

    def told(self) -> str:
        """A line of the peer."""
        assert self.process.stdout is not None
        limit = threading.Timer(PATIENCE, self.process.kill)
        limit.start()
        line = self.process.stdout.readline()
        limit.cancel()
        if not line:
            raise AbsentError(self.last_words())
        return line.strip()

    def last_words(self) -> str:
        if self.process.wait() < 0:
            return f"no answer in {PATIENCE:.0f} s"
        return (self.folder / "errors").read_text().strip().splitlines()[-1].removeprefix("Error: ")


@contextmanager
def started(name: str, problem: Problem) -> Iterator[Peer]:
    """The peer, ready to be asked."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write(problem, folder)
        with (folder / "errors").open("w") as errors, running([*COMMANDS[name], place], errors) as process:
            peer = Peer(process, folder)
            peer.version = peer.told()
            yield peer


@contextmanager
def running(command: list[str], errors: TextIO) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True)
    except FileNotFoundError:
        raise AbsentError(f"{command[0].removeprefix(f'{HERE.parent}/')} is not there") from None
    with process:
        yield process


def write(problem: Problem, folder: Path) -> None:
    case = problem.case
    (folder / "shape").write_text(f"{case.n} {case.d} {case.k} {case.trials}\n")
    problem.X.tofile(folder / "rows")
    flat(problem.start).tofile(folder / "start")


def flat(params: fastem.GaussianParams | fastem.BinomialParams) -> np.ndarray:
    """Parameters one behind the other, as a peer has them."""
    if isinstance(params, fastem.BinomialParams):
        return np.concatenate([params.weights, params.probs.ravel()])
    return np.concatenate([params.weights, params.means.ravel(), params.covariances.ravel()])
