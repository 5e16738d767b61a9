"""How kernels are compiled: the policy, the types of their arguments, Numba's cache on disk."""
from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from functools import update_wrapper
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
import numpy as np
from numba import njit, types

from fastem.kernels.numba.vectors import LINE, ROW

POINTWISE = {"contract",  # a * b + c in one instruction
             "nsz",       # the sign of zero is free
             "arcp"}      # x / y as x * (1 / y).  Never nnan or ninf: densities meet infinities, and callers NaN
POLICY = {"nogil": True,              # callers have threads of their own
          "error_model": "numpy"}     # no branch for a division by zero
INNER = {"no_cpython_wrapper": True,  # not called from Python: half the time of compilation
         "no_cfunc_wrapper": True}

# Inlined: else every call of a tile counts references to its arrays, atomically.
pointwise = njit(fastmath=POINTWISE, **POLICY, **INNER, forceinline=True)
# Written into its callers before they are compiled.  A function of its own is optimised again in each caller, and in
# each caller of these: where few places call it, that is most of the time.
spliced = njit(fastmath=POINTWISE, **POLICY, **INNER, inline="always")
# Not inlined, and so compiled once: between two sweeps a call costs nothing.
once = njit(fastmath=POINTWISE, **POLICY, **INNER)


def stamp_of(folder: Path) -> str:
    """Return what changes when a source in the folder does: a digest of their names, times and sizes.

    Numba's cache on disk compares the file of a kernel alone, but a kernel is made of functions of many files: the
    stamp is a part of the name under which it is found there.
    """
    found = [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.glob("*.py"))]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


FOLDER = Path(__file__).parent
STAMP = stamp_of(FOLDER)

class Kernel:
    """A kernel for rows of float32 and of float64, each compiled when it is first called; or for `doubles` alone.

    Left to itself Numba compiles anew for every mix of C, Fortran, strided and read-only arguments.  A kernel's last
    argument, its tiles, is not for callers.
    """

    def __init__(self, function: FunctionType, parallel: bool, height: Callable[..., int], n_tiles: int = 1) -> None:
        update_wrapper(self, function)
        self.function = function
        self.parallel = parallel
        self.height = height  # of a tile: its rows, from the kernel's arguments
        self.n_tiles = n_tiles  # where there are no threads, each of which has one
        self.serial = self    # the same loop on the calling thread
        self.dispatchers: dict[np.dtype[Any], Callable[..., Any]] = {}
        self.compiling = threading.Lock()  # once, where several threads call it first

    def __call__(self, X: np.ndarray, *args: Any) -> Any:
        dispatcher = self.dispatchers.get(X.dtype) or self.compiled(X.dtype)
        return dispatcher(X, *args, self.tiles(X, *args))

    def tiles(self, *args: Any) -> np.ndarray:
        """Return a tile for each share of the work."""
        return new_tiles(numba.get_num_threads() if self.parallel else self.n_tiles, self.height(*args))

    @property
    def takes_any_rows(self) -> bool:
        """Whether it is compiled for any type of rows, or for `doubles` alone."""
        return rows in self.function.__annotations__.values()

    def readable(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return arrays of rows, in float64 if it takes no others."""
        return [array if self.takes_any_rows else array.astype(np.float64, copy=False) for array in arrays]

    def compile_ahead(self) -> None:
        for dtype in map(np.dtype, (np.float32, np.float64) if self.takes_any_rows else (np.float64,)):
            self.compiled(dtype)

    def compiled(self, dtype: np.dtype[Any]) -> Callable[..., Any]:
        with self.compiling:
            return self.dispatchers.get(dtype) or self.compile(dtype)

    def compile(self, dtype: np.dtype[Any]) -> Callable[..., Any]:
        floating, declared = numba.from_dtype(dtype), dict(self.function.__annotations__)
        returned = declared.pop("return", types.void)
        signature = returned(*(rows(floating) if t is rows else t for t in declared.values()))
        try:
            dispatcher = self.jit(signature, cache=True)
        except (RuntimeError, OSError):  # no directory that can be written, or it is full: for this process alone
            dispatcher = self.jit(signature, cache=False)
        self.dispatchers[dtype] = dispatcher
        return dispatcher

    def jit(self, signature: types.Type, cache: bool) -> Callable[..., Any]:
        """Compile it, or read it from Numba's cache on disk.

        The cache lies where Numba's rules put it: NUMBA_CACHE_DIR, else our __pycache__, else the user's directory.
        Nothing public says "the user's directory" for one function alone, and a setting would move those of others.
        """
        options = {"fastmath": POINTWISE, **POLICY, "parallel": self.parallel, "cache": cache}
        compiled: Callable[..., Any] = njit(signature, **options)(self.function)
        return np.errstate(all="ignore")(compiled) if numba.config.DISABLE_JIT else compiled


def kernel(function: FunctionType, height: Callable[..., int] | None = None) -> Kernel:
    """Make a kernel of a function: parallel, with `.serial`, which runs the same loop without threads."""
    height = height or height_of(function)
    serial = FunctionType(function.__code__, function.__globals__, function.__name__)
    serial.__annotations__ = function.__annotations__
    # The cache knows a function by its qualified name, not by how it is compiled: equal names would mix the two up.
    serial.__qualname__ = function.__qualname__ + ".serial"
    both = Kernel(stamped(function), True, height)
    both.serial = Kernel(stamped(serial), False, height)
    return both


def serial_kernel(function: FunctionType, height: Callable[..., int], n_tiles: int) -> Kernel:
    """Make a kernel of a function that knows no threads: `.serial` is the kernel itself."""
    return Kernel(stamped(function), False, height, n_tiles)


def stamped(function: FunctionType) -> FunctionType:
    """Put the stamp of the sources into the name under which Numba's cache knows a function."""
    function.__qualname__ += f".{STAMP}"
    return function


def gap_kernel(function: FunctionType) -> Kernel:
    """Make a kernel of a function whose tile marks what is observed of its rows."""
    return kernel(function, height_of(function, gaps=1))


def height_of(function: FunctionType, gaps: int = 0) -> Callable[..., int]:
    """Count the rows of a tile: of points, of features for each source of rows, and of components."""
    declared = list(function.__annotations__.values())
    location, sources = declared.index(matrix), declared.count(rows)

    def height(*args: Any) -> int:
        k, d = args[location].shape
        return tile_rows(k, d, sources + gaps)

    return height


def tile_rows(k: int, d: int, sources: int) -> int:
    """Return what `height_of` counts."""
    return 9 + k + (1 + sources) * d


def rows(floating: types.Type) -> types.Type:
    """Return the type of X: read-only, any strides."""
    return types.Array(floating, 2, "A", readonly=True)


doubles = rows(types.float64)
weights = types.Array(types.float64, 1, "A", readonly=True)
vector = types.Array(types.float64, 1, "C", readonly=True)
matrix = types.Array(types.float64, 2, "C", readonly=True)
matrices = types.Array(types.float64, 3, "C", readonly=True)
reals_out = types.Array(types.float64, 1, "A")
labels_out = types.Array(types.int32, 1, "A")
matrix_out = types.Array(types.float64, 2, "A")
sums_out = types.Array(types.float64, 2, "C")
tiles_scratch = types.Array(types.float64, 3, "C")


def new_tiles(shares: int, height: int) -> np.ndarray:
    """Return (shares, height, ROW) from a new cache line on: a vector that crosses one costs two accesses."""
    flat = np.empty(shares * height * ROW + LINE)
    skip = -(flat.ctypes.data // flat.itemsize) % LINE
    return flat[skip:skip + shares * height * ROW].reshape(shares, height, ROW)
