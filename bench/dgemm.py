"""Sweeps of full covariances beside NumPy's matrix product and the kernels of 0.1: python bench/dgemm.py

One thread, in turns, CPU time: the share of the matrix product's rate at which the multiply-adds of the two triangles
of a sweep are done, d (d + 1) for each point and component.  The median of the turns and, behind it, that of the best.
"""

import time
from functools import partial

import measure
import numpy as np
import ratio
from cases import Case
from threadpoolctl import threadpool_limits

from fastem.kernels import twins

SHAPES = ((32, 16), (64, 32), (128, 4), (128, 16))
SLOT, LARGE = 4096, 2048
"""Rows of a turn: a slot of d k >= LARGE, else more of them."""
TURNS = 9


def tell(d: int, k: int) -> None:
    """Time the kernels, and print what is found: nanoseconds of a multiply-add, whoever does it."""
    case = Case("full", SLOT * max(1, LARGE // (d * k)), d, k)
    kernels = {"0.1": ratio.reference(), "now": twins.cython_twin()}
    calls = [ratio.call(kernel, case)[0] for kernel in kernels.values()]
    scale = 1e9 / (case.n * k * d * (d + 1))
    product = measure.matmul_sampler(clock=time.process_time)
    sweeps = [partial(measure.seconds, call, time.process_time) for call in calls]
    turns = np.array([[product(), *(scale * sweep() for sweep in sweeps)] for _ in range(1 + TURNS)])[1:]
    best = turns.min(axis=0)
    print(f"d = {d}, k = {k}: matrix product {2 / best[0]:.0f} GFlop/s", end="")
    for i, name in enumerate(kernels, 1):
        shares = np.median(turns[:, 0] / turns[:, i]), best[0] / best[i]
        print(f";  {name} {d * (d + 1) * best[i]:.1f} ns, {shares[0]:.2f} ({shares[1]:.2f})", end="")
    print(flush=True)


if __name__ == "__main__":
    with threadpool_limits(1):
        for d, k in SHAPES:
            tell(d, k)
