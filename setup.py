"""The compiled kernels; everything else about the package is in pyproject.toml.

Each source is compiled for each instruction set: fastem._kernels, fastem._single (its sweeps with lanes of float32),
fastem._linear and fastem._many run on any processor, others where it has what they need; twins.py picks when the
package is imported. FASTEM_BUILD=native compiles the set that this machine would pick, and no other. No -ffast-math and
no -Ofast: they delete the treatment of infinities on which the kernels rely and, with some compilers, change the
arithmetic of the whole process.
"""

import os
import platform
import re
import shutil
import sys
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

OPTIMISE = ["/O2"] if os.name == "nt" else ["-O3", "-g0", "-Wno-psabi"]
SOURCES = {"_kernels": [], "_many": [], "_single": [("FASTEM_SINGLE", "1")], "_linear": []}
"""Each with its macros; what takes longest to compile comes first."""
BASELINE = {"": []}
VARIANTS = {
    "_avx2": ["-mavx2", "-mfma"],
    "_avx512": ["-mavx512f", "-mavx512dq", "-mfma", "-mprefer-vector-width=512"],
}
PROCESSOR_HAS = {"_avx2": {"avx2", "fma"}, "_avx512": {"avx512f", "avx512dq", "fma"}}
"""What Linux calls the instructions of each set."""
CPUINFO = Path("/proc/cpuinfo")
BUILDS = ("all", "native")

CYTHONIZE = {
    "build_dir": "build/cython",
    "include_path": ["fastem"],  # of kernels/*.pxi
    "quiet": True,
    "nthreads": os.cpu_count(),
    "compiler_directives": {"freethreading_compatible": True},  # kernels share nothing but their arguments
}

STABLE_ABI = {} if sysconfig.get_config_var("Py_GIL_DISABLED") else {"Py_LIMITED_API": "0x030B0000"}
"""One build for Python 3.11 and all that follow; free-threaded ones have no stable ABI, and a build for each."""

FAST_MATH = {
    "-ffast-math", "-Ofast", "-funsafe-math-optimizations", "-ffinite-math-only", "-fassociative-math",
    "-ffp-model=fast", "/fp:fast",
}  # fmt: skip
FLAG_VARIABLES = ("CC", "CXX", "LDSHARED", "CFLAGS", "CPPFLAGS", "CXXFLAGS", "LDFLAGS", "CL", "_CL_")


def refuse_fast_math(environment):
    """Flags of the environment are the compiler's before ours: none of them may undo what is said above."""
    for variable in FLAG_VARIABLES:
        for flag in FAST_MATH.intersection(environment.get(variable, "").split()):
            sys.exit(
                f"{variable} has {flag}: fastem's kernels rely on infinities, which it lets the compiler forget, and"
                " linking with it can make the whole process flush subnormal numbers to zero; build without it"
            )


def built_sets(environment):
    """All instruction sets; or the best of this machine, where FASTEM_BUILD is "native" and Linux tells which."""
    build = environment.get("FASTEM_BUILD") or "all"
    if build not in BUILDS:
        sys.exit(f"FASTEM_BUILD={build!r} is none of {', '.join(BUILDS)}")
    if os.name == "nt" or platform.machine() not in ("x86_64", "AMD64"):
        return BASELINE
    if build == "all" or not CPUINFO.exists():
        return BASELINE | VARIANTS
    flags = set(re.search(r"^flags\s*:(.*)$", CPUINFO.read_text(), re.MULTILINE)[1].split())
    usable = [isa for isa in VARIANTS if PROCESSOR_HAS[isa] <= flags]
    return {isa: VARIANTS[isa] for isa in usable[-1:]} or BASELINE


def extension(source, isa, flags, macros):
    """A source for an instruction set; a module is named after its source, so each has a copy."""
    copy = Path("build/variants") / f"{source}{isa}.pyx"
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(f"fastem/{source}.pyx", copy)  # with its time: what has not changed is not compiled again
    return Extension(
        f"fastem.{source}{isa}",
        [str(copy)],
        include_dirs=["fastem"],
        depends=["fastem/kernels/simd.h"],
        define_macros=[*STABLE_ABI.items(), *macros],
        py_limited_api=bool(STABLE_ABI),
        extra_compile_args=flags,
    )


def extensions():
    """Every source for every instruction set.  What tells which of them a processor has is compiled without any."""
    yield extension("_processor", "", OPTIMISE, [])
    for isa, flags in built_sets(os.environ).items():
        for source, macros in SOURCES.items():
            yield extension(source, isa, [*OPTIMISE, *flags], macros)


class BuildKernels(build_ext):
    """Compile modules that stand beside their sources in one folder of their own, and only those that have changed."""

    def finalize_options(self):
        super().finalize_options()
        if self.inplace:  # an editable installation would have a fresh folder each time
            self.build_lib, self.build_temp = "build/inplace/lib", "build/inplace/temp"


if __name__ == "__main__":  # bench/ratio.py asks for the flags
    refuse_fast_math(os.environ)
    setup(
        ext_modules=cythonize(list(extensions()), **CYTHONIZE),
        cmdclass={"build_ext": BuildKernels},
        options={
            "build_ext": {"parallel": os.cpu_count()},
            "bdist_wheel": {"py_limited_api": "cp311"} if STABLE_ABI else {},
        },
    )
