"""Numba kernels, compiled at the first call: the same names, arguments and sums as the Cython twins.

The design notes of `_kernels.pyx` and `_many.pyx` hold here too, but for these points:
 a. Threads: a kernel runs shares of the slots, or of the groups, by `prange`, and slot s still writes row s alone, so
    that the bits do not depend on their number.  `kernel.serial` is the same loop without threads, for a forked child
    and for a thread that finds another one inside a launch.
 b. Lanes: `vec` is a type that we teach to Numba, LANES doubles to LLVM, with the operators of a double.  A `pair` is
    two of them.  Left to itself LLVM makes vectors of loops over points, but half as long as the registers, needs
    permission to reorder sums, and writes to memory what one loop has for the next: kernels took twice the time.
 c. Sums over a tile go straight to the slot's row of `sums`, lanes added up; nothing is kept by lane.
 d. One compilation for each of float32 and float64, or for float64 alone, whatever the strides: the types of all
    arguments are declared, as annotations, and anything that converts to them is taken as it is.
 e. `posterior_*` has no slots: its shares are runs of tiles.
 f. The univariate normal is the diagonal one with d = 1.
 g. Inside a share arrays are `borrowed`, a type of which no reference is counted, and so are their parts.  Counting
    is atomic, and d = 2 took three times as long with it; so did `fit_groups` with arrays that merely had no owner.
 h. Kernels ask for no memory: an exception in a thread is lost, and rows of `sums` with it; one in a compiled function
    keeps a reference to every argument.  Tiles are made in Python, one for each share of the work.
 i. `iterate_*` and `fit_groups` run on the thread that calls, so `iterate_*.serial` is the kernel itself.  Of the two
    tiles of `iterate_*` one is for sweeps, the other holds what the M-step needs.  `fit_groups` has all kinds of rows
    in one compilation, and the caller's threads have shares of the groups: with threads of Numba's it takes half as
    long again.

A family is two functions of a tile, `densities` and `moments`, and for few rows two of a model, its tables and its
M-step; all else is written once.  The kernels are those of the modules of this folder.
"""
from importlib import import_module
from pkgutil import iter_modules

from fastem.kernels.numba.jit import Kernel

_kernels = {
    name: value
    for module in iter_modules(__path__)
    for name, value in vars(import_module(f"{__name__}.{module.name}")).items()
    if isinstance(value, Kernel)
}
globals().update(_kernels)
__all__ = sorted(_kernels)
