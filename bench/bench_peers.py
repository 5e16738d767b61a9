"""One EM iteration beside oneDAL's em_gmm (daal4py), the fastest CPU peer, from equal starts, answers compared first.

    make bench-peers

daal4py needs an older scikit-learn, so it runs in an environment of its own, whose Python is the argument of this
script.  Times are differences of a long and a short run, over the iterations that it says it made: it stops early where
the likelihood has not changed.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import measure
import numpy as np
from cases import FULL_2, FULL_8, FULL_32, NORMAL, Case, Problem, make

import fastem

CASES = (NORMAL, FULL_2, FULL_8, FULL_32)
"""em_gmm refuses the largest of the others, d = 64 and k = 32: "ill-conditioned covariance matrix"."""
SHORT, LONG = 2, 7
REPEATS = 5
RTOL = 1e-6
"""After SHORT iterations, of the largest element."""

PEER = """
import sys, time
import daal4py, numpy as np
data = np.load(sys.argv[1])
X, weights, means = data["X"], data["weights"][None], data["means"]
covariances = list(data["covariances"])

def run(iterations):
    algorithm = daal4py.em_gmm(nComponents=len(means), maxIterations=iterations, accuracyThreshold=0.0)
    begin = time.perf_counter()
    found = algorithm.compute(X, weights, means, covariances)
    return time.perf_counter() - begin, int(found.nIterations[0, 0]), found

seconds, made, found = run(SHORT)
assert made == SHORT, made
np.savez(sys.argv[2], weights=found.weights, means=found.means, covariances=np.array(found.covariances))
for line in sys.stdin:
    long, short = run(LONG), run(SHORT)
    print((long[0] - short[0]) / (long[1] - short[1]), flush=True)
"""


def compare(case: Case, python: str, folder: Path) -> None:
    problem = make(case)
    start = problem.start
    given, answer = folder / "given.npz", folder / "answer.npz"
    covariances = measure.naive.expand_covariances(start.covariances, start.covariance_type, case.k, case.d)
    np.savez(given, X=problem.X, weights=start.weights, means=start.means, covariances=covariances)
    code = PEER.replace("SHORT", str(SHORT)).replace("LONG", str(LONG))
    command = [python, "-c", code, str(given), str(answer)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer,
        measure.opened(problem, "cython") as rows,
    ):
        theirs = partial(ask, peer)
        theirs()  # and the answer is there
        check(problem, rows, answer)
        taken = [(turn(theirs), turn(partial(ours, rows, problem))) for _ in range(REPEATS)]
    peers, own = (1e9 * statistics.median(column) / (case.n * case.k) for column in zip(*taken, strict=True))
    print(
        f"{case.name:26s} oneDAL {peers:8.2f} ns  fastem {own:8.2f} ns per point and component  {peers / own:6.1f} x",
        flush=True,
    )


def turn(sample: Callable[[], float]) -> float:
    time.sleep(measure.REST)
    return sample()


def ask(peer: subprocess.Popen) -> float:
    """Have the peer take its turn -> seconds of an iteration."""
    assert peer.stdin is not None
    assert peer.stdout is not None
    peer.stdin.write("\n")
    peer.stdin.flush()
    return float(peer.stdout.readline())


def ours(rows: fastem.Rows, problem: Problem) -> float:
    measure.iteration(rows, problem.start)
    return measure.seconds(lambda: [measure.iteration(rows, problem.start) for _ in range(LONG - SHORT)]) / (
        LONG - SHORT
    )


def check(problem: Problem, rows: fastem.Rows, answer: Path) -> None:
    """Our parameters after as many iterations."""
    fit = fastem.em(
        rows.sweep, lambda stats: stats.maximize(reg_covar=0.0), problem.start, tol=0.0, max_iter=SHORT
    )
    theirs = np.load(answer)
    covariances = theirs["covariances"].reshape(fit.params.covariances.shape)
    found = [fit.params.weights, fit.params.means, fit.params.covariances]
    measure.compare(found, [theirs["weights"][0], theirs["means"], covariances], RTOL)


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: python bench/bench_peers.py PYTHON-OF-THE-PEERS")
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            compare(case, sys.argv[1], Path(folder))


if __name__ == "__main__":
    main()
