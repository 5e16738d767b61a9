"""The compiled kernels; everything else about the package is in pyproject.toml.

One source, compiled for each instruction set and each precision of its lanes: fastem._kernels runs on any processor,
others where it has what they need; backend.py picks when the package is imported.  No -ffast-math and no -Ofast: they
delete the treatment of infinities on which the kernels rely and, with some compilers, change the arithmetic of the
whole process.
"""

import os
import platform
import shutil
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

SOURCE = Path("fastem/_kernels.pyx")
OPTIMISE = ["/O2"] if os.name == "nt" else ["-O3", "-g0", "-Wno-psabi"]
VARIANTS = {
    "_avx2": ["-mavx2", "-mfma"],
    "_avx512": ["-mavx512f", "-mavx512dq", "-mfma", "-mprefer-vector-width=512"],
}


def extension(suffix, flags, macros):
    """One variant; a module is named after its source, so each has a copy."""
    copy = Path("build/variants") / f"_kernels{suffix}.pyx"
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(SOURCE, copy)
    return Extension(
        f"fastem._kernels{suffix}",
        [str(copy)],
        include_dirs=["fastem"],
        depends=["fastem/_simd.h"],
        define_macros=macros,
        extra_compile_args=flags,
    )


def extensions():
    """Lanes of float64, and lanes of float32 for float32 rows; for every instruction set."""
    x86 = os.name != "nt" and platform.machine() in ("x86_64", "AMD64")
    for lanes, macros in {"": [], "_single": [("FASTEM_SINGLE", "1")]}.items():
        for isa, flags in ({"": [], **VARIANTS} if x86 else {"": []}).items():
            yield extension(lanes + isa, [*OPTIMISE, *flags], macros)


if __name__ == "__main__":  # bench/ratio.py asks for the flags
    setup(
        ext_modules=cythonize(list(extensions()), build_dir="build/cython", quiet=True),
        options={"build_ext": {"parallel": os.cpu_count()}},
    )
