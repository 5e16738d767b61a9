"""Memory errors and undefined behaviour: the kernels under GCC's sanitizers, on every instruction set there is.

AddressSanitizer sees what leaves an array of NumPy's, the block of a tile or a column of it; UndefinedBehaviorSanitizer
overflow, bad shifts, casts and alignment.  The Numba twin is left out: its machine code is not instrumented (see
fault_numba.py).
"""

import subprocess
from collections import defaultdict
from pathlib import Path

from builds import ONE_SET, PYTEST, SMALL, build, expect, pytest, run

from fastem.kernels.twins import processor_sets

FLAGS = "-fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all -fno-omit-frame-pointer"
KERNELS = (
    "tests/kernels/test_kernels.py",
    "tests/kernels/test_linear.py",
    "tests/kernels/test_completed.py",
    "tests/kernels/test_missing_kernels.py",
    "tests/kernels/test_natural.py",
    "tests/kernels/test_natural_missing.py",
    "tests/kernels/test_tied.py",
    "tests/families/test_statistics.py",
    "tests/estimators/test_many.py",
    "tests/estimators/test_groups.py",
    "tests/data/test_counts.py",
)
"""They run each kernel; all but the last do so on every instruction set, whatever FASTEM_ISA says."""
ONE_TWIN = ("-k", "not numba and not twins and not beyond_memory")
"""A limit on the address space leaves none for the shadow memory of a sanitizer."""

FAULTS = (
    ("sums_agree", "heap-buffer-overflow", "slots", "sums_length + 1] = t.entropy", "sums_length + 2] = t.entropy"),
    ("normal_posterior", "use-after-poison", "slots", "place_of(order, i)] = t.total[i]",
     "place_of(order, i)] = t.total[TILE]"),
    ("nearest_agrees and two_far", "signed integer overflow", "nearest", "<int32_t> c\n",
     "<int32_t> c + <int32_t> 2147483647\n"),
    ("closed_form", "use-after-poison", "many_group", "in range(g.n, padded(g.n)):",
     "in range(g.n, padded(g.n) + 2 * LANES):"),
)  # fmt: skip
"""Tests that meet it, what is reported, the source, what stands there, the fault in its place."""


def sanitized() -> dict[str, str]:
    """The environment of a Python that runs instrumented modules; its own leaks at exit are not ours."""
    found = [library(name) for name in ("libasan.so", "libubsan.so")]
    return {
        "LD_PRELOAD": " ".join(found),
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    }


def library(name: str) -> str:
    asked = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return str(Path(asked.stdout.strip()).resolve())


def faults_are_seen() -> None:
    edits = defaultdict(list)
    for _, _, source, stands, fault in FAULTS:
        edits[f"fastem/kernels/{source}.pxi"].append((stands, fault))
    tree = build("sanitizers-faults", edits, FLAGS, ONE_SET)
    for tests, message, source, *_ in FAULTS:
        file = "tests/estimators/test_many.py" if source.startswith("many") else "tests/kernels/test_kernels.py"
        expect(message, run(tree, *PYTEST, file, "-k", f"{tests} and baseline", **sanitized()))


def main() -> None:
    faults_are_seen()
    tree = build("sanitizers", {}, FLAGS, modules=ONE_SET if SMALL else ())
    pytest(tree, *KERNELS, *ONE_TWIN, **sanitized())
    for isa in () if SMALL else processor_sets():
        pytest(tree, "tests", *ONE_TWIN, "-m", "not slow", FASTEM_ISA=isa, **sanitized())


if __name__ == "__main__":
    main()
