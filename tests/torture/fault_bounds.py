"""Indices out of bounds: the Cython kernels with bounds checks, and checks that what they view is there.

They hold for memory views; behind the pointers of a tile AddressSanitizer looks (fault_sanitizers.py), and for overflow
of signed numbers UndefinedBehaviorSanitizer.  An IndexError inside a function that raises nothing is one that Python
reports as ignored: pytest makes it a failure.
"""

from builds import ONE_SET, PYTEST, SMALL, build, expect, pytest, run

from fastem.kernels.twins import processor_sets

CHECKED = [(f"{check}=False", f"{check}=True") for check in ("boundscheck", "initializedcheck")]
FAULTS = {
    "fastem/kernels/slots.pxi": ("log_prob[row + place_of(order, i)] =", "log_prob[row + place_of(order, i) + 1] ="),
    "fastem/_linear.pyx": ("for c in range(factors.shape[0]):", "for c in range(factors.shape[0] + 1):"),
    "fastem/kernels/many_normal.pxi": ("for row in range(begin, end):", "for row in range(begin, end + 1):"),
}
"""Source -> what stands there, the fault in its place."""
MODULES = ("fastem/_kernels.pyx", "fastem/_linear.pyx", "fastem/_many.pyx")
MET = {
    "tests/kernels/test_kernels.py": "normal_posterior and baseline",
    "tests/kernels/test_linear.py": "lower_triangle and baseline",
    "tests/estimators/test_many.py": "closed_form and baseline",
}
"""File -> the tests that meet it there."""
KERNELS = (
    "tests/kernels/test_kernels.py",
    "tests/kernels/test_linear.py",
    "tests/families/test_statistics.py",
    "tests/data/test_counts.py",
    "tests/estimators/test_many.py",
    "tests/estimators/test_groups.py",
)
ONE_TWIN = ("-k", "not numba and not twins")


def main() -> None:
    checked = dict.fromkeys(MODULES, CHECKED)
    faulty = {source: [*checked.get(source, ()), fault] for source, fault in FAULTS.items()}
    tree = build("bounds-fault", checked | faulty, modules=ONE_SET)
    for file, tests in MET.items():
        expect("IndexError", run(tree, *PYTEST, file, "-k", tests))

    tree = build("bounds", checked, modules=ONE_SET if SMALL else ())
    pytest(tree, *KERNELS, *ONE_TWIN)
    for isa in () if SMALL else processor_sets():
        pytest(tree, "tests", *ONE_TWIN, "-m", "not slow", FASTEM_ISA=isa)


if __name__ == "__main__":
    main()
