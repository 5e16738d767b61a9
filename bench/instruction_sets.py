"""One sweep on one thread under every instruction set this machine has, interleaved: ns per point and component.

python bench/instruction_sets.py
"""

import os

import measure
from cases import CASES, make

from fastem.data.open import open_rows
from fastem.kernels.twins import INSTRUCTION_SETS

REPEATS = 15


def sampler(problem, isa):
    """Opens the rows under one instruction set; -> runs a sweep and tells its time."""
    os.environ["FASTEM_ISA"] = isa
    rows = open_rows(problem.X, problem.trials, row_kind=problem.case.row_kind, n_threads=1)
    scale = 1e9 / (problem.case.n * problem.case.k)
    return lambda: scale * measure.seconds(lambda: rows.sweep(problem.start))


def available(problem):
    """Instruction set -> sampler, for those that this machine and this build have."""
    for isa in INSTRUCTION_SETS:
        try:
            yield isa, sampler(problem, isa)
        except ValueError as error:
            print(error)


def main() -> None:
    for case in CASES:
        problem = make(case)
        times = measure.medians(dict(available(problem)), REPEATS)
        print(f"{case.name:26s}" + "".join(f"  {isa} {nanoseconds:7.2f}" for isa, nanoseconds in times.items()))


if __name__ == "__main__":
    main()
