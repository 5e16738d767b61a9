"""What an installed wheel must do where nothing else is: run by the Python of its environment, away from the sources.

python tests/wheels/smoke.py [COUNT]    at least COUNT instruction sets must be inside, else one
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.resources import files
from pathlib import Path

import numpy as np

import fastem
from fastem.kernels.twins import built_sets, processor_sets

COMPILERS = ("cc", "gcc", "clang", "cl")
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
REPEATS = 7
IMPORTS = {"fastem": "import fastem", "with NumPy": "import numpy", "with an estimator": "fastem.GaussianMixture"}


def fits():
    """Two pairs of rows far apart, and two coins: what they end at is known."""
    pairs = np.array([[0.0], [2.0], [100.0], [102.0]])
    for X in (pairs, pairs.astype(np.float32), np.hstack([pairs, pairs[::-1]])):
        found = fastem.GaussianMixture(2, random_state=0, order_by="means").fit(X)
        np.testing.assert_allclose(found.means_[:, 0], [1.0, 101.0], rtol=1e-6)
    coins = fastem.BinomialMixture(2, probs_init=[0.1, 0.9]).fit([0, 1, 99, 100], trials=100)
    np.testing.assert_allclose(coins.probs_.ravel(), [0.005, 0.995], rtol=1e-6)


def import_times():
    """Milliseconds of each import after the ones before it, the least of some fresh processes."""
    clock = "from time import perf_counter as now; at = [now()]"
    code = "; ".join([clock, *(f"{line}; at.append(now())" for line in IMPORTS.values()), "print(*at)"])
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True) for _ in range(REPEATS)]
    times = np.diff([[float(each) for each in run.stdout.split()] for run in runs]).min(axis=0)
    return dict(zip(IMPORTS, 1e3 * times, strict=True))


def main():
    assert Path(fastem.__file__).is_relative_to(sys.prefix), f"{fastem.__file__} is not what was installed"
    assert all((files(fastem) / name).is_file() for name in ("py.typed", "__init__.pyi"))
    assert len(built_sets()) >= int(sys.argv[1] if sys.argv[1:] else 1), f"built for {built_sets()}"
    for isa in set(built_sets()) & set(processor_sets()):
        os.environ["FASTEM_ISA"] = isa
        fits()
    assert not (FREE_THREADED and sys._is_gil_enabled()), "a module of ours has turned the lock on"
    compilers = ", ".join(filter(shutil.which, COMPILERS)) or "no compiler"
    print(f"fastem {fastem.__version__}, Python {sys.version.split()[0]}, {compilers} on the path")
    print("milliseconds to import", ", ".join(f"{name} {time:.1f}" for name, time in import_times().items()))


if __name__ == "__main__":
    main()
