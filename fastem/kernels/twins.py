"""The compiled twins, and which of them answers.

The Cython twin is compiled ahead of time, once per instruction set, and runs in Python threads (its kernels hold no
GIL).  The Numba twin is compiled when first used and brings its own threads.  Both take the same arguments.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from functools import cache
from pathlib import Path
from types import ModuleType

BACKENDS = ("auto", "cython", "numba")
AUTO = "cython"  # what "auto" chooses: nobody waits for its compilation
INSTRUCTION_SETS = ("avx512", "avx2", "baseline")  # the order of preference
NOT_COMPILED = (
    "the kernels in {} are not compiled: if this is the source of fastem, start Python in another folder, where the"
    " installed package is found, or compile it here with pip install -e ."
)


def cython_twin() -> ModuleType:
    """Return the kernels of FASTEM_ISA, or of the best instruction set that was built and that this processor has."""
    return kernels_of(forced_instruction_set())


@cache
def kernels_of(forced: str | None) -> ModuleType:
    """Import the kernels of this instruction set; None chooses the best."""
    return importlib.import_module(module_of(instruction_set(forced)))


@cache
def float32_kernels_of(forced: str | None) -> ModuleType:
    """Return their sweeps with float32 in the lanes, of which there are twice as many."""
    return importlib.import_module(module_of(instruction_set(forced), "_single"))


@cache
def many_kernels_of(forced: str | None) -> ModuleType:
    """Return the kernels of many small fits."""
    return importlib.import_module(module_of(instruction_set(forced), "_many"))


def linear_kernels() -> ModuleType:
    """Return the kernels of linear algebra, which both twins and the parameters use."""
    return linear_kernels_of(forced_instruction_set())


@cache
def linear_kernels_of(forced: str | None) -> ModuleType:
    """Import the kernels of linear algebra of this instruction set; None chooses the best."""
    return importlib.import_module(module_of(instruction_set(forced), "_linear"))


def forced_instruction_set() -> str | None:
    """Return FASTEM_ISA; None where it is not set."""
    return os.environ.get("FASTEM_ISA") or None


def instruction_set(forced: str | None) -> str:
    """Return the instruction set to use; ValueError where the forced one cannot be."""
    if forced is not None and forced not in INSTRUCTION_SETS:
        raise ValueError(f"FASTEM_ISA={forced!r} is none of {', '.join(INSTRUCTION_SETS)}")
    usable = [isa for isa in processor_sets() if isa in built_sets() and forced in (None, isa)]
    if not usable:
        raise ValueError(f"FASTEM_ISA={forced!r}: this processor or this build has no {forced}")
    return usable[0]


def module_of(isa: str, source: str = "_kernels") -> str:
    """Return the name of the module that was compiled from a source for an instruction set."""
    return f"fastem.{source}" if isa == "baseline" else f"fastem.{source}_{isa}"


def built_sets() -> tuple[str, ...]:
    """Return the instruction sets of this build: not all where the compiler has no vector types, or not for x86-64."""
    return tuple(isa for isa in INSTRUCTION_SETS if importlib.util.find_spec(module_of(isa)))


def processor_sets() -> tuple[str, ...]:
    """Return the instruction sets that this processor runs; ImportError where no kernels are compiled."""
    try:
        processor = importlib.import_module("fastem._processor")
    except ModuleNotFoundError as error:
        raise ImportError(NOT_COMPILED.format(Path(__file__).parents[1])) from error
    return tuple(isa for isa in INSTRUCTION_SETS if isa == "baseline" or processor.processor_has(isa))


def numba_twin() -> ModuleType:
    """Return the kernels that Numba compiles; ImportError where it is not installed."""
    try:
        return importlib.import_module("fastem.kernels.numba")
    except ImportError as error:
        raise ImportError("backend='numba' needs Numba: pip install numba") from error


def importable_twins() -> dict[str, str]:
    """Return the twins that can be imported here, each with what compiles it."""
    twins = {"cython": "compiled ahead of time"}
    try:
        numba_twin()
    except ImportError:
        return twins
    return twins | {"numba": f"Numba {importlib.import_module('numba').__version__}"}
