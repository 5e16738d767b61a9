"""Sweeps of full covariances beside NumPy's matrix product and the kernels of 0.1: python bench/dgemm.py

One thread, in turns, CPU time: the share of the matrix product's rate at which the multiply-adds of the two triangles
of a sweep are done, d (d + 1) for each point and component.  The median of the turns and, behind it, that of the best.
"""

import os
import time
from collections.abc import Callable

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import numpy as np
import ratio
from cases import Case

from fastem.kernels import twins

SHAPES = ((32, 16), (64, 32), (128, 4), (128, 16))
SIZE = 1200
"""Of the matrices."""
SLOT, LARGE = 4096, 2048
"""Rows of a turn: a slot of d k >= LARGE, else more of them."""
TURNS = 9


def seconds(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def tell(d: int, k: int) -> None:
    """Time the kernels, and print what is found."""
    case = Case("full", SLOT * max(1, LARGE // (d * k)), d, k)
    A = np.random.default_rng(0).random((SIZE, SIZE))
    kernels = {"0.1": ratio.reference(), "now": twins.cython_twin()}
    calls = [lambda: A @ A, *(ratio.call(kernel, case)[0] for kernel in kernels.values())]
    for call in calls:
        call()
    turns = np.array([[seconds(call) for call in calls] for _ in range(TURNS)])
    rates = np.array([SIZE**3, *[d * (d + 1) * case.n * k] * len(kernels)]) / turns
    print(f"d = {d}, k = {k}: matrix product {2e-9 * rates[:, 0].max():.0f} GFlop/s", end="")
    for i, name in enumerate(kernels, 1):
        median, best = np.median(rates[:, i] / rates[:, 0]), rates[:, i].max() / rates[:, 0].max()
        print(f";  {name} {1e9 * turns[:, i].min() / (case.n * k):.1f} ns, {median:.2f} ({best:.2f})", end="")
    print(flush=True)


if __name__ == "__main__":
    for d, k in SHAPES:
        tell(d, k)
