"""An EM iteration of Spark's MLlib beside ours: the same rows, the same start, answers compared before they are timed.

    make bench-spark

As the first part of bench/bench_peers.py.  Spark runs on all cores of this machine, in one process: what a cluster adds
is not in it.
"""

from dataclasses import replace

from bench_peers import TENTH, iterations
from cases import FULL_2, FULL_8
from peer import COMMANDS, HERE, PYTHON

COMMANDS["Spark"] = [str(HERE.parent / ".venv-spark" / "bin" / "python"), PYTHON, "Spark"]


def main() -> None:
    for case in (replace(FULL_2, n=1_000_000), replace(FULL_8, n=250_000)):
        found = iterations(replace(case, n=TENTH * case.n), ["fastem", "Spark"])
        print(f"n = {case.n}, d = {case.d}, k = {case.k}")
        for name, took in found["took"].items():
            milliseconds = 1e-6 * took * case.n * case.k
            print(f"  {name} {found['versions'][name]}: {milliseconds:.1f} ms an iteration, {took:.2f} ns", flush=True)
        for name, reason in found["absent"].items():
            print(f"  {name} takes no part: {reason}")


if __name__ == "__main__":
    main()
