"""The floating point environment: nothing of ours makes a process flush subnormal numbers to zero."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastem.kernels.twins import built_sets, module_of, processor_sets

ROOT = Path(__file__).parents[2]
SOURCES = ("_kernels", "_single", "_many")
MODULES = [module_of(isa, source) for isa in processor_sets() if isa in built_sets() for source in SOURCES]

SUBNORMALS_LIVE = """
import sys
def look(after):
    smallest, least = sys.float_info.min, 5e-324   # the smallest normal number, and the smallest of all
    assert smallest / 2 > 0.0, f"{after}: results that are subnormal are 0"
    assert least + least > least, f"{after}: operands that are subnormal count as 0"
look("at the start")
"""


def python(code, *arguments):
    run = subprocess.run([sys.executable, "-c", SUBNORMALS_LIVE + code, *arguments], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.process
def test_subnormals_live_after_every_compiled_module():
    python("import importlib\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n    look(name)", *MODULES)


@pytest.mark.process
def test_subnormals_live_after_a_fit(twin):
    python(
        """
import fastem
fastem.GaussianMixture(2, backend=sys.argv[1]).fit([[0.0], [1.0], [5.0], [6.0]])
look(sys.argv[1])""",
        twin,
    )


@pytest.mark.process
@pytest.mark.parametrize(
    ("variable", "flags"),
    [
        ("CFLAGS", "-O3 -ffast-math"),
        ("CPPFLAGS", "-Ofast"),
        ("CXXFLAGS", "-funsafe-math-optimizations -g"),
        ("LDFLAGS", "-ffinite-math-only"),
        ("CFLAGS", "/fp:fast"),
    ],
)
def test_a_build_with_fast_math_is_refused(variable, flags):
    environment = {**os.environ, variable: flags}
    command = [sys.executable, "setup.py", "build_ext"]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode != 0
    [sentence] = run.stderr.splitlines()
    assert sentence.startswith(f"{variable} has ")
    assert "subnormal" in sentence
