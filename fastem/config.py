"""How fits run here: versions, backends, instruction set, threads; and compilation ahead of the first fit."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from fastem._public import public
from fastem.kernels.numba_launch import compile_ahead
from fastem.kernels.threads import ThreadRule, thread_rule
from fastem.kernels.twins import (
    AUTO,
    BACKENDS,
    built_sets,
    forced_instruction_set,
    importable_twins,
    instruction_set,
    processor_sets,
)
from fastem.validation.settings import check_choice


@public
@dataclass(frozen=True)
class Config:
    """How fits run in this process.  ``str`` gives a few lines of text."""

    fastem: str  #: versions
    numpy: str
    python: str
    backend: str  #: what backend="auto" chooses
    twins: dict[str, str]  #: the backends that can be imported -> what compiles each
    instruction_set: str  #: of the twin compiled ahead of time
    forced: bool  #: by FASTEM_ISA; else it is the best of those both built and available
    built: tuple[str, ...]  #: instruction sets of this build
    available: tuple[str, ...]  #: instruction sets of this processor
    threads: ThreadRule  #: how many, and what says so

    def __str__(self) -> str:
        twins = [f"{name} ({self.twins.get(name, 'cannot be imported')})" for name in BACKENDS if name != "auto"]
        why = "forced by FASTEM_ISA" if self.forced else "the best that is built and available"
        lines = {
            "versions": f"fastem {self.fastem}, NumPy {self.numpy}, Python {self.python}",
            "backends": ", ".join(twins),
            '  "auto"': self.backend,
            "instructions": f"{self.instruction_set} ({why})",
            "  built": ", ".join(self.built),
            "  available": ", ".join(self.available),
            "threads": f"{self.threads.n_threads} ({self.threads.reason})",
        }
        return "\n".join(f"{name:<14}{value}" for name, value in lines.items())


def show_config() -> Config:
    """Return how fits run in this process: versions, backends, instruction set, threads, and why these.

    To know whether a backend can be imported, it is imported: where Numba is installed that takes half a second, once.

    Returns
    -------
    Config
        fastem, numpy, python (versions); backend (what "auto" chooses) and twins (the backends that can be imported);
        instruction_set, forced (by FASTEM_ISA), built and available (instruction sets of the build and of the
        processor); threads (n_threads and reason).  Printed, it is a few lines of text.

    Raises
    ------
    ValueError
        If FASTEM_ISA names no instruction set of this build and processor, or FASTEM_NUM_THREADS no number.

    Examples
    --------
    >>> import fastem
    >>> config = fastem.show_config()
    >>> config.backend
    'cython'
    >>> config.instruction_set in config.built
    True
    """
    forced = forced_instruction_set()
    return Config(
        fastem=version("fastem"),
        numpy=np.__version__,
        python=platform.python_version(),
        backend=AUTO,
        twins=importable_twins(),
        instruction_set=instruction_set(forced),
        forced=forced is not None,
        built=built_sets(),
        available=processor_sets(),
        threads=thread_rule(None),
    )


def warmup(backend: str = "auto") -> None:
    """Compile all kernels of a backend now, so that no fit waits for them.

    With ``backend="numba"`` that is every kernel, for float32 and float64, with and without threads: several minutes
    the first time, a second where Numba finds them in its cache on disk, as it does until the package, Numba or the
    processor is another.  The other backends are compiled with the package, and there is nothing to do.

    Parameters
    ----------
    backend : {"auto", "cython", "numba"}, default="auto"
        As of the estimators.

    Raises
    ------
    ImportError
        If the backend is "numba" and Numba is not installed.
    ValueError
        If there is no such backend.

    Examples
    --------
    >>> import fastem
    >>> fastem.warmup()
    """
    check_choice(backend, "backend", BACKENDS)
    compile_ahead(backend)
