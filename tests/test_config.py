"""What fits run with is told truly, and the doctor finds what is wrong."""

import os
import subprocess
import sys

import pytest

import fastem
from fastem import __main__ as program
from fastem.backend import INSTRUCTION_SETS, Backend

ALL_IS_WELL = "All is well."


def doctor(code="from fastem.__main__ import main", **environment):
    """Exit code and last line of a doctor in a process of its own, after `code`."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{code}\nraise SystemExit(main(['doctor']))"],
        capture_output=True, text=True, timeout=300, env={**os.environ, **environment},
    )  # fmt: skip
    assert run.stderr == ""
    return run.returncode, run.stdout.splitlines()


# ------------------------------------------------------------------------------------------------------- show_config


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
def test_the_instruction_set_told_is_the_one_that_runs(isa, monkeypatch):
    monkeypatch.delenv("FASTEM_ISA", raising=False)
    best = fastem.show_config()
    usable = [name for name in best.built if name in best.available]
    assert (best.instruction_set, best.forced) == (usable[0], False)
    assert "(the best that is built and available)" in str(best)
    if isa not in usable:
        pytest.skip(f"this processor or this build has no {isa}")
    monkeypatch.setenv("FASTEM_ISA", isa)
    config = fastem.show_config()
    assert (config.instruction_set, config.forced) == (isa, True)
    assert f"{isa} (forced by FASTEM_ISA)" in str(config)
    assert Backend().kernels.__name__.endswith("_kernels" if isa == "baseline" else isa)


def test_the_threads_told_are_those_a_fit_has(monkeypatch):
    monkeypatch.setenv("FASTEM_NUM_THREADS", "3")
    config = fastem.show_config()
    assert config.threads == (Backend().n_threads, "FASTEM_NUM_THREADS")
    assert "3 (FASTEM_NUM_THREADS)" in str(config)


def test_versions_are_told():
    config = fastem.show_config()
    assert config.fastem == fastem.__version__
    assert f"Python {sys.version.split()[0]}" in str(config)
    assert list(config.twins) == ["cython", "numba"]
    assert config.backend in config.twins


# ------------------------------------------------------------------------------------------------------------- doctor


def test_the_doctor_finds_nothing_here():
    run = subprocess.run([sys.executable, "-m", "fastem", "doctor"], capture_output=True, text=True, timeout=300)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == f"{fastem.show_config()}\n{ALL_IS_WELL}\n"


def test_the_doctor_does_without_the_optional_twin():
    code = "import sys; sys.modules['numba'] = None\nfrom fastem.__main__ import main"
    exit_code, lines = doctor(code)
    assert (exit_code, lines[-1]) == (0, ALL_IS_WELL)
    assert "numba (cannot be imported)" in lines[1]


@pytest.mark.parametrize("variable", ["FASTEM_ISA", "FASTEM_NUM_THREADS"])
def test_the_doctor_names_a_malformed_variable(variable):
    exit_code, lines = doctor(**{variable: "mmx"})
    assert exit_code == 1
    assert lines[-1].startswith(variable)


def test_the_doctor_finds_kernels_that_answer_wrong(twin, monkeypatch, capsys):
    accumulate = program.accumulate

    def wrong(params, X, backend):
        return accumulate(params, X + 1e-9 if backend == twin else X, backend=backend)

    monkeypatch.setattr(program, "accumulate", wrong)
    assert program.main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"backend={twin!r}: a fit is off its closed form by")


def test_the_doctor_finds_flushed_subnormal_numbers(monkeypatch, capsys):
    monkeypatch.setattr(program, "subnormals_live", lambda: False)
    assert program.main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("Subnormal numbers are flushed to zero")
