"""The compiled kernels; everything else about the package is in pyproject.toml.

One source, compiled once per instruction set: fastem._kernels runs on any processor, the others where it has them;
backend.py picks when the package is imported.  No -ffast-math and no -Ofast: they delete the treatment of infinities
on which the kernels rely and, with some compilers, change the arithmetic of the whole process.
"""

import os
import platform
import shutil
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

SOURCE = Path("fastem/_kernels.pyx")
VARIANTS = {
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx512f", "-mavx512dq", "-mfma", "-mprefer-vector-width=512"],
}


def extension(name, source, flags):
    return Extension(name, [str(source)], include_dirs=["fastem"], depends=["fastem/_simd.h"], extra_compile_args=flags)


def extensions():
    optimise = ["/O2"] if os.name == "nt" else ["-O3", "-g0", "-Wno-psabi"]
    yield extension("fastem._kernels", SOURCE, optimise)
    if os.name == "nt" or platform.machine() not in ("x86_64", "AMD64"):
        return
    for isa, flags in VARIANTS.items():
        copy = Path("build/variants") / f"_kernels_{isa}.pyx"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE, copy)
        yield extension(f"fastem._kernels_{isa}", copy, [*optimise, *flags])


setup(
    ext_modules=cythonize(list(extensions()), build_dir="build/cython", quiet=True),
    options={"build_ext": {"parallel": os.cpu_count()}},
)
