"""Indices out of bounds: the Cython kernels with bounds checks, and checks that what they view is there.

They hold for memory views; behind the pointers of a tile AddressSanitizer looks (fault_sanitizers.py), and for overflow
of signed numbers UndefinedBehaviorSanitizer.  An IndexError inside a function that raises nothing is one that Python
reports as ignored: pytest makes it a failure.
"""

from builds import ONE_SET, PYTEST, SMALL, build, expect, pytest, run

from fastem.backend import processor_sets

CHECKED = [(f"{check}=False", f"{check}=True") for check in ("boundscheck", "initializedcheck")]
FAULT = ("log_prob[row + i] = t.total[i]", "log_prob[row + i + 1] = t.total[i]")
KERNELS = ("tests/test_kernels.py", "tests/test_statistics.py", "tests/test_counts.py")
ONE_TWIN = ("-k", "not numba and not twins")


def main() -> None:
    tree = build("bounds-fault", {"fastem/_kernels.pyx": [*CHECKED, FAULT]}, modules=ONE_SET)
    chosen = ("tests/test_kernels.py", "-k", "normal_posterior and baseline")
    expect("IndexError", run(tree, *PYTEST, *chosen))

    tree = build("bounds", {"fastem/_kernels.pyx": CHECKED}, modules=ONE_SET if SMALL else ())
    pytest(tree, *KERNELS, *ONE_TWIN)
    for isa in () if SMALL else processor_sets():
        pytest(tree, "tests", *ONE_TWIN, "-m", "not slow", FASTEM_ISA=isa)


if __name__ == "__main__":
    main()
