"""What fits run with is told truly, is compiled ahead on demand, and the doctor finds what is wrong."""

import os
import shutil
import subprocess
import sys

import pytest

import fastem
import fastem.kernels.numba
from fastem.cli import doctor as clinic
from fastem.cli import main
from fastem.kernels import numba_launch
from fastem.kernels.backend import Backend
from fastem.kernels.numba import jit
from fastem.kernels.twins import INSTRUCTION_SETS

KERNELS = [getattr(fastem.kernels.numba, name) for name in fastem.kernels.numba.__all__]
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


# ------------------------------------------------------------------------------------------------------------- warmup


@pytest.fixture
def compiled(monkeypatch):
    """What is compiled from now on, of kernels of which nothing is: (name, has threads, type of rows)."""
    done = set()

    def compile(kernel, dtype):
        done.add((kernel.__name__, kernel.parallel, dtype.name))
        kernel.dispatchers[dtype] = kernel.function

    monkeypatch.setattr(jit.Kernel, "compile", compile)
    monkeypatch.setattr(numba_launch, "_launched_in", None)
    for kernel in KERNELS:
        monkeypatch.setattr(kernel, "dispatchers", {})
        monkeypatch.setattr(kernel.serial, "dispatchers", {})
    return done


def test_warmup_compiles_every_kernel_for_all_rows_with_and_without_threads(compiled):
    fastem.warmup("numba")
    names = set(fastem.kernels.numba.__all__)
    few = {name for name in names if name.startswith(("iterate", "fit_groups"))}  # on the thread that calls, of doubles
    expected = {
        (name, threads, dtype) for name in names - few for threads in (0, 1) for dtype in ("float32", "float64")
    }
    assert compiled == expected | {(name, False, "float64") for name in few}
    compiled.clear()
    fastem.warmup("numba")
    assert compiled == set()


def test_warmup_has_launched_threads_and_in_a_forked_child_launches_none(compiled, monkeypatch):
    fastem.warmup("numba")
    assert numba_launch._launched_in == os.getpid()
    for kernel in KERNELS:
        kernel.dispatchers.clear()
        kernel.serial.dispatchers.clear()
    compiled.clear()
    monkeypatch.setattr(numba_launch, "_launched_in", -1)  # the parent
    fastem.warmup("numba")
    assert {parallel for name, parallel, dtype in compiled} == {False}


@pytest.mark.parametrize("name", ["auto", "cython"])
def test_warmup_has_nothing_to_do_for_what_is_compiled_ahead(name, compiled):
    fastem.warmup(name)
    assert compiled == set()


def test_warmup_of_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="backend must be one of 'auto', 'cython', 'numba', got 'fortran'"):
        fastem.warmup("fortran")


@pytest.mark.parametrize("source", sorted(path.name for path in jit.FOLDER.glob("*.py")))
def test_a_change_of_any_source_changes_the_name_under_which_kernels_are_cached(source, tmp_path):
    """The edit may leave the size as it was, and the file may be older than others."""
    folder = shutil.copytree(jit.FOLDER, tmp_path / "numba", ignore=shutil.ignore_patterns("__pycache__"))
    before, edited = jit.stamp_of(folder), folder / source
    assert before == jit.stamp_of(jit.FOLDER) == jit.STAMP
    os.utime(edited, ns=(0, edited.stat().st_mtime_ns - 1))
    assert jit.stamp_of(folder) != before
    assert all(jit.STAMP in kernel.__qualname__ for kernel in KERNELS)


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_after_warmup_no_fit_compiles_and_a_forked_child_fits():
    code = """
import os, numpy as np, fastem
from fastem.kernels import backend
from fastem.kernels.numba.jit import Kernel
fastem.warmup("numba")
Kernel.compile = None
backend.PARALLEL_WORK = backend.SHARE_ROWS = 1

def fits():
    rng = np.random.default_rng(0)
    for n_threads in (1, 2):
        for dtype in (np.float32, np.float64):
            for d in (1, 2):
                X = rng.normal(size=(9000, d)).astype(dtype)
                for kind in ("full", "diag"):
                    options = {"tol": 0.1, "random_state": 0, "backend": "numba", "n_threads": n_threads}
                    fastem.GaussianMixture(2, covariance_type=kind, **options).fit(X).predict(X)
            heads = rng.binomial(9, 0.5, 9000)[:, np.newaxis].astype(dtype)
            fastem.BinomialMixture(2, **options).fit(heads, trials=9).predict(heads, trials=9)
            settings, offsets = {"backend": "numba", "n_threads": n_threads}, np.arange(0, 9001, 90)
            fastem.fit_many(X[:, 0], offsets, 2, **settings)
            fastem.fit_many(heads[:, 0], offsets, 2, family="binomial", trials=9.0, **settings)

child = os.fork()
fits()
if not child:
    os._exit(0)
print(os.waitpid(child, 0)[1])"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=1800)
    assert run.stdout.strip() == "0", run.stderr


# ------------------------------------------------------------------------------------------------------------- doctor


@pytest.mark.numba
@pytest.mark.process
def test_the_doctor_finds_nothing_here_with_numba():
    run = subprocess.run([sys.executable, "-m", "fastem", "doctor"], capture_output=True, text=True, timeout=300)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == f"{fastem.show_config()}\n{ALL_IS_WELL}\n"


@pytest.mark.process
def test_the_doctor_does_without_the_optional_twin():
    code = "import sys; sys.modules['numba'] = None\nfrom fastem.__main__ import main"
    exit_code, lines = doctor(code)
    assert (exit_code, lines[-1]) == (0, ALL_IS_WELL)
    assert "numba (cannot be imported)" in lines[1]


@pytest.mark.process
@pytest.mark.parametrize("variable", ["FASTEM_ISA", "FASTEM_NUM_THREADS"])
def test_the_doctor_names_a_malformed_variable(variable):
    exit_code, lines = doctor(**{variable: "mmx"})
    assert exit_code == 1
    assert lines[-1].startswith(variable)


@pytest.mark.numba
def test_the_doctor_finds_numba_or_cython_kernels_that_answer_wrong(twin, monkeypatch, capsys):
    accumulate = clinic.accumulate

    def wrong(params, X, backend):
        return accumulate(params, X + 1e-9 if backend == twin else X, backend=backend)

    monkeypatch.setattr(clinic, "accumulate", wrong)
    assert main.main(["doctor"]) == 1
    assert (
        capsys.readouterr().out.splitlines()[-1].startswith(f"backend={twin!r}: a fit differs from its closed form by")
    )


def test_the_doctor_finds_flushed_subnormal_numbers(monkeypatch, capsys):
    monkeypatch.setattr(clinic, "subnormals_live", lambda: False)
    assert main.main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("Subnormal numbers are flushed to zero")
