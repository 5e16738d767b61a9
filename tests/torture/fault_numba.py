"""The Numba twin with its JIT off, and compiled with bounds checks.

With the JIT off kernels are plain Python on NumPy arrays: every index is checked, those of vectors too.  With
NUMBA_BOUNDSCHECK=1 scalar indices are, in what is really compiled; an exception in a thread of Numba's is lost, so
there is one thread.
"""

import shutil
import tempfile
from collections.abc import Collection, Iterator

from builds import PYTEST, ROOT, SMALL, copy, expect, pytest, run

KERNELS = ("tests/test_kernels.py", *(() if SMALL else ("tests/test_statistics.py", "tests/test_counts.py")))
CHOSEN = ("-k", "numba and not same_bits")
"""Same bits are for many threads, and many slots are minutes of plain Python."""

FILE = "fastem/_kernels_numba.py"
BEHIND_A_TILE = [("for i in range(VECTORS):\n        product", "for i in range(2 * VECTORS):\n        product")]
BEHIND_THE_ROWS = [("labels[row + i] = int(label[i])", "labels[row + i + 1] = int(label[i])")]


def modes() -> Iterator[tuple[dict[str, str], str, Collection[tuple[str, str]]]]:
    """An environment, a fault, and what is reported of it there."""
    yield {"NUMBA_DISABLE_JIT": "1"}, "ValueError", BEHIND_A_TILE
    with tempfile.TemporaryDirectory() as cache:  # Numba's cache does not know about bounds checks
        checked = {"NUMBA_BOUNDSCHECK": "1", "FASTEM_NUM_THREADS": "1", "NUMBA_CACHE_DIR": cache}
        yield checked, "IndexError", BEHIND_THE_ROWS


def main() -> None:
    for environment, message, fault in modes():
        faulty = copy("numba-fault", {FILE: fault})
        for module in (ROOT / "fastem").glob("_kernels*.so"):  # the other twin is not on trial
            shutil.copy(module, faulty / "fastem")
        expect(message, run(faulty, *PYTEST, "tests/test_kernels.py", *CHOSEN, **environment))
        pytest(ROOT, *KERNELS, *CHOSEN, **environment)


if __name__ == "__main__":
    main()
