"""The Numba twin with its JIT off, and compiled with bounds checks.

With the JIT off kernels are plain Python on NumPy arrays: every index is checked, those of vectors too.  With
NUMBA_BOUNDSCHECK=1 scalar indices are, in what is really compiled; an exception in a thread of Numba's is lost, so
there is one thread.
"""

import shutil
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from builds import PYTEST, ROOT, SMALL, copy, expect, pytest, run

KERNELS = ("tests/kernels/test_kernels.py", "tests/estimators/test_many.py")
MORE = ("tests/estimators/test_groups.py", "tests/families/test_statistics.py", "tests/data/test_counts.py")
CHOSEN = ("-k", "numba and not same_bits")
"""Same bits are for many threads, and many slots are minutes of plain Python."""

BEHIND_A_TILE = [("for i in range(VECTORS):\n        product", "for i in range(2 * VECTORS):\n        product")]
BEHIND_THE_ROWS = [("labels[row + i] = int(label[i])", "labels[row + i + 1] = int(label[i])")]
BEHIND_A_GROUP = [("for row in range(begin, end):", "for row in range(begin, end + 1):")]
BEHIND_ITS_TILE = [("for i in range(padded(n) // LANES):", "for i in range(len(x) // LANES + 1):")]


@dataclass
class Mode:
    """An environment, what is reported of faults there, the faults by their sources, and the tests that run without."""

    environment: dict[str, str]
    message: str
    faults: dict[str, Collection[tuple[str, str]]]
    tests: tuple[str, ...]


def modes() -> Iterator[Mode]:
    plain = KERNELS + MORE[:1] if SMALL else KERNELS + MORE
    yield Mode({"NUMBA_DISABLE_JIT": "1"}, "ValueError", {"slots": BEHIND_A_TILE, "many_em": BEHIND_ITS_TILE}, plain)
    with tempfile.TemporaryDirectory() as cache:  # Numba's cache does not know about bounds checks
        checked = {"NUMBA_BOUNDSCHECK": "1", "FASTEM_NUM_THREADS": "1", "NUMBA_CACHE_DIR": cache}
        faults = {"slots": BEHIND_THE_ROWS, "many_normal": BEHIND_A_GROUP}
        yield Mode(checked, "IndexError", faults, KERNELS[:1] if SMALL else KERNELS + MORE)


def main() -> None:
    for mode in modes():
        edits = {f"fastem/kernels/numba/{source}.py": each for source, each in mode.faults.items()}
        faulty = copy("numba-fault", edits)
        for module in (ROOT / "fastem").glob("_*.so"):  # the other twin is not on trial
            shutil.copy(module, faulty / "fastem")
        for file in KERNELS:
            expect(mode.message, run(faulty, *PYTEST, file, *CHOSEN, **mode.environment))
        pytest(ROOT, *mode.tests, *CHOSEN, **mode.environment)


if __name__ == "__main__":
    main()
