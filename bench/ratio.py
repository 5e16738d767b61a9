"""Every kernel beside its frozen self, in one process and in turns: is it slower than it was?

    python bench/ratio.py            exit 1 where a kernel takes over 1.05 x what is stored, twice in a row
    python bench/ratio.py --update   store the ratios of today in bench/ratios.json, and show old and new
    python bench/ratio.py --power    how often 10 % more work is caught, and how often none is blamed, of 20 runs each

The frozen kernels (bench/reference) are compiled here, with the flags of the package.  One thread, turns in the order
A B B A, medians of their ratios; a ratio counts as higher only if Mann and Whitney say so too.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import measure
import numpy as np
from cases import CASES as ALL_CASES
from cases import COLUMN_CASES, SLOWER, Case, make, with_injected
from Cython.Build import cythonize
from scipy.stats import mannwhitneyu
from setuptools import Distribution, Extension

from fastem.data.open import open_rows
from fastem.data.slots import SLOT_ROWS, slot_count
from fastem.kernels import twins

HERE = Path(__file__).parent
STORED = HERE / "ratios.json"
BUILT = HERE / "output" / "reference"

FROZEN_FAMILIES = ("normal", "full", "diag", "spherical", "binomial")
"""The frozen kernels are older than those of Poisson mixtures and of tied covariances."""
CASES = tuple(case for case in (*ALL_CASES, *COLUMN_CASES) if case.family in FROZEN_FAMILIES)
TURNS = 40
"""A B B A so many times."""
MILLISECONDS = 2.0
"""Of a turn, about: short beside what disturbs it, long beside a call."""
ALLOWED = 1.05
"""Medians of A beside A are within 1.5 %; 10 % more work must be caught, not half the time."""
P_VALUE = 0.002
SAME_RTOL = 1e-9
SUMS = ("counts", "first", "second", "successes", "failures", "loglik", "entropy")


def reference() -> ModuleType:
    """The frozen kernels for the instruction set that the package takes here, compiled unless they are."""
    isa = twins.instruction_set(twins.forced_instruction_set())
    name = twins.module_of(isa).split(".")[1]
    if not (found := list(BUILT.glob(f"{name}.*.so"))):
        build(name, isa)
        found = list(BUILT.glob(f"{name}.*.so"))
    return measure.load(f"reference.{name}", found[0])


def build(name: str, isa: str) -> None:
    package = measure.load("package_setup", HERE.parent / "setup.py")
    source = BUILT / f"{name}.pyx"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text((HERE / "reference" / "_kernels.pyx").read_text())
    extension = Extension(
        name,
        [str(source)],
        include_dirs=[str(HERE / "reference")],
        extra_compile_args=[*package.OPTIMISE, *package.VARIANTS.get(f"_{isa}", [])],
    )
    command = Distribution({"ext_modules": cythonize([extension], quiet=True)}).get_command_obj("build_ext")
    command.build_lib = command.build_temp = str(BUILT)
    command.ensure_finalized()
    command.run()


# ------------------------------------------------------------------------------------------------------------- timing


@dataclass(frozen=True)
class Found:
    """Times of the kernels of the day and of the frozen ones, turn by turn, and the median of their ratios."""

    now: np.ndarray
    frozen: np.ndarray

    @property
    def ratio(self) -> float:
        return float(np.median(self.now.mean(axis=1) / self.frozen.mean(axis=1)))

    def slower_than(self, stored: float) -> bool:
        p = mannwhitneyu(self.now.ravel(), stored * self.frozen.ravel(), alternative="greater").pvalue
        return self.ratio > ALLOWED * stored and p < P_VALUE


def call(module: ModuleType, case: Case) -> tuple[Callable[[], None], np.ndarray]:
    """One sweep over all slots of the case on this thread, and the sums that it fills.

    The frozen kernels know none that take rows from the middle of the means.
    """
    problem = make(case)
    params = problem.start if hasattr(module, problem.start.kernel.accumulate) else problem.start.swept_about(None)
    with open_rows(problem.X, problem.trials, row_kind=case.row_kind) as rows:
        data, weights = rows.data, rows.sample_weight
    kernel, tables = getattr(module, params.kernel.accumulate), params.tables()
    sums = np.empty((slot_count(len(weights)), params.sums_length))
    return lambda: kernel(*data, weights, SLOT_ROWS, *tables, sums), sums


def small(case: Case, frozen: ModuleType) -> Case:
    """As many whole slots as take a turn."""
    slot = replace(case, n=SLOT_ROWS)
    sweep, _ = call(frozen, slot)
    sweep()
    taken = 1e3 * min(measure.seconds(sweep) for _ in range(5))
    return replace(case, n=SLOT_ROWS * max(1, round(MILLISECONDS / taken)))


def named(case: Case, sums: np.ndarray) -> np.ndarray:
    """The sums of all slots, as statistics have them: of a spherical component features share their second moments."""
    stats = make(case).start.stats(sums.sum(axis=0))
    return np.concatenate([np.ravel(getattr(stats, each.name)) for each in fields(stats) if each.name in SUMS])


def compare(case: Case, frozen: ModuleType) -> Found:
    case = small(case, frozen)
    a, sums = call(twins.cython_twin(), with_injected(case))
    b, expected = call(frozen, case)
    a(), b()
    if with_injected(case) == case:
        sums, expected = (named(case, each) for each in (sums, expected))
        np.testing.assert_allclose(sums, expected, rtol=SAME_RTOL, atol=SAME_RTOL * np.abs(expected).max())
    turns = np.array([[measure.seconds(each) for each in (a, b, b, a)] for _ in range(TURNS)])
    return Found(turns[:, [0, 3]], turns[:, [1, 2]])


def check(frozen: ModuleType, stored: dict[str, float], tell: Callable[[str], Any] = print) -> list[str]:
    """Cases that are slower than stored, also when asked again."""
    failures = []
    for case in CASES:
        before = stored.get(case.shape, 1.0)
        found = compare(case, frozen)
        tell(f"  {case.shape:20s} {found.ratio:6.3f} of the frozen kernel's time; stored {before:.3f}")
        if found.slower_than(before) and (again := compare(case, frozen)).slower_than(before):
            failures.append(f"{case.shape}: {found.ratio:.3f} and {again.ratio:.3f}, stored {before:.3f}")
    return failures


def power(frozen: ModuleType, stored: dict[str, float], runs: int = 20) -> None:
    for more in ("0", "0.1"):
        os.environ[SLOWER] = more
        blamed = [check(frozen, stored, tell=lambda line: None) for _ in range(runs)]
        caught = sum(map(len, blamed))
        print(
            f"{float(more):.0%} more work: {caught} of {runs * len(CASES)} kernels blamed, in"
            f" {sum(map(bool, blamed))} of {runs} runs",
            flush=True,
        )


def main() -> int:
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    frozen = reference()
    if "--power" in sys.argv:
        power(frozen, stored)
        return 0
    if "--update" in sys.argv:
        found = {case.shape: round(compare(case, frozen).ratio, 3) for case in CASES}
        for case, ratio in found.items():
            print(f"  {case:20s} {stored.get(case, 1.0):.3f} -> {ratio:.3f}")
        STORED.write_text(json.dumps(found, indent=1) + "\n")
        return 0
    failures = check(frozen, stored)
    for line in failures:
        print(f"SLOWER {line}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
