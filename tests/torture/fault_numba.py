"""The Numba twin with its JIT off, and compiled with bounds checks.

With the JIT off kernels are plain Python on NumPy arrays: every index is checked, those of vectors too.  With
NUMBA_BOUNDSCHECK=1 scalar indices are, in what is really compiled; an exception in a thread of Numba's is lost, so
there is one thread.
"""

import shutil
import tempfile
from collections.abc import Collection, Iterator

from builds import PYTEST, ROOT, SMALL, copy, expect, pytest, run

KERNELS = ("tests/kernels/test_kernels.py", "tests/estimators/test_many.py", "tests/estimators/test_groups.py")
KERNELS += () if SMALL else ("tests/families/test_statistics.py", "tests/data/test_counts.py")
CHOSEN = ("-k", "numba and not same_bits")
"""Same bits are for many threads, and many slots are minutes of plain Python."""

BEHIND_A_TILE = [("for i in range(VECTORS):\n        product", "for i in range(2 * VECTORS):\n        product")]
BEHIND_THE_ROWS = [("labels[row + i] = int(label[i])", "labels[row + i + 1] = int(label[i])")]
BEHIND_A_GROUP = [("for row in range(begin, end):", "for row in range(begin, end + 1):")]
BEHIND_ITS_TILE = [("for i in range(padded(n) // LANES):", "for i in range(len(x) // LANES + 1):")]

Edits = dict[str, Collection[tuple[str, str]]]


def modes() -> Iterator[tuple[dict[str, str], str, Edits]]:
    """An environment, what is reported of faults there, and the faults by their sources."""
    faults = {"slots": BEHIND_A_TILE, "many_em": BEHIND_ITS_TILE}
    yield {"NUMBA_DISABLE_JIT": "1"}, "ValueError", faults
    with tempfile.TemporaryDirectory() as cache:  # Numba's cache does not know about bounds checks
        checked = {"NUMBA_BOUNDSCHECK": "1", "FASTEM_NUM_THREADS": "1", "NUMBA_CACHE_DIR": cache}
        yield checked, "IndexError", {"slots": BEHIND_THE_ROWS, "many_normal": BEHIND_A_GROUP}


def main() -> None:
    for environment, message, faults in modes():
        faulty = copy("numba-fault", {f"fastem/kernels/numba/{source}.py": each for source, each in faults.items()})
        for module in (ROOT / "fastem").glob("_*.so"):  # the other twin is not on trial
            shutil.copy(module, faulty / "fastem")
        for file in ("tests/kernels/test_kernels.py", "tests/estimators/test_many.py"):
            expect(message, run(faulty, *PYTEST, file, *CHOSEN, **environment))
        pytest(ROOT, *KERNELS, *CHOSEN, **environment)


if __name__ == "__main__":
    main()
