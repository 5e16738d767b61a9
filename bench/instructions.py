"""Instructions of every kernel, counted by valgrind's callgrind: the same from run to run, on a busy machine too.

    python bench/instructions.py            compare with bench/instructions.json; exit 1 where a kernel takes 1 % more
    python bench/instructions.py --update   write what is found there, and show old and new

Counts belong to a compiler, a Cython and an instruction set, which key the file; where it has none of these there is
nothing to compare with, and that is said.  valgrind knows no AVX-512: the kernels are one source, and AVX2 and the
baseline are counted.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from cases import CASES, COLUMN_CASES, SINGLE_CASES, Case, make, with_injected

from fastem.data.open import open_rows
from fastem.kernels.twins import built_sets, processor_sets

STORED = Path(__file__).parent / "instructions.json"
ROWS = 4096
"""Of a sweep that is counted: one slot."""
LOOP = "*accumulate_slots*"
"""The function of the kernels whose instructions, and those of what it calls, are counted."""
TOLERANCE = 0.01
COUNTED_SETS = ("avx2", "baseline")


# -------------------------------------------------------------------------------------------- what valgrind looks at


def counted() -> dict[str, Case]:
    return {f"{case.shape}-{case.dtype}": case for case in (*CASES, *COLUMN_CASES, *SINGLE_CASES)}


def sweep(case: Case) -> None:
    problem = make(with_injected(replace(case, n=ROWS)))
    with open_rows(problem.X, problem.trials, row_kind=case.row_kind, n_threads=1) as rows:
        rows.sweep(problem.start)


def sweep_in_children(folder: Path) -> None:
    """Each case in a child, whose instructions callgrind writes when it ends; what they import is imported once."""
    for name, case in counted().items():
        child = os.fork()
        if not child:
            sweep(case)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0, name
        (folder / str(child)).rename(folder / name)


# ------------------------------------------------------------------------------------------------------------ counting


def count(isa: str) -> dict[str, int]:
    """Case -> instructions of its sweep."""
    with tempfile.TemporaryDirectory() as folder:
        options = [f"--toggle-collect={LOOP}", "--collect-atstart=no", f"--callgrind-out-file={folder}/%p"]
        command = ["valgrind", "--tool=callgrind", *options, sys.executable, __file__, "--sweep", folder]
        environment = os.environ | {"FASTEM_ISA": isa, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        return {name: total(Path(folder) / name) for name in counted()}


def total(written: Path) -> int:
    found = re.search(r"^totals: (\d+)", written.read_text(), re.MULTILINE)
    if found is None or not int(found[1]):
        sys.exit(f"callgrind has counted nothing of {written.name}: is there no function {LOOP}?")
    return int(found[1])


def key(isa: str) -> str:
    """What the counts depend on."""
    compiler = subprocess.run(["cc", "-dumpfullversion", "-dumpversion"], capture_output=True, text=True, check=True)
    return f"cc {compiler.stdout.strip()}, Cython {version('cython')}, {isa}"


# ----------------------------------------------------------------------------------------------------------- comparing


def slower(found: dict[str, int], stored: dict[str, int]) -> list[str]:
    """A line for every kernel that takes over TOLERANCE more instructions than are stored."""
    return [
        f"{case}: {found[case]:,} instructions, {found[case] / before - 1:+.1%} over {before:,}"
        for case, before in stored.items()
        if case in found and found[case] > before * (1 + TOLERANCE)
    ]


def show(found: dict[str, int], stored: dict[str, int]) -> None:
    for case, now in found.items():
        before = stored.get(case)
        change = f"{now / before - 1:+8.2%} over {before:12,}" if before else "     new"
        print(f"  {case:30s} {now:12,} {now / ROWS:9.1f} per row {change}")


def main() -> int:
    if "--sweep" in sys.argv:
        sweep_in_children(Path(sys.argv[-1]))
        return 0
    if shutil.which("valgrind") is None:
        print("instructions: valgrind is not installed, nothing is counted")
        return 0
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    failures = []
    present = [isa for isa in COUNTED_SETS if isa in processor_sets() and isa in built_sets()]
    for isa in sorted(set(COUNTED_SETS) - set(present)):
        print(f"instructions: this machine or this build has no {isa}")
    with ThreadPoolExecutor() as pool:  # at once, which changes no count
        for isa, found in zip(present, pool.map(count, present), strict=True):
            known = stored.get(key(isa), {})
            print(f"{key(isa)}:" + ("" if known else " nothing is stored to compare with"))
            show(found, known)
            failures += slower(found, known)
            stored[key(isa)] = found
    if "--update" in sys.argv:
        STORED.write_text(json.dumps(stored, indent=1) + "\n")
        return 0
    for line in failures:
        print(f"SLOWER {line}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
