"""Files of models and checkpoints with bytes changed, lost or doubled: a ValueError each time, in bounded memory."""

import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
from builds import ROOT, SMALL

sys.path.append(str(ROOT / "tests"))

from support import saved_models

import fastem

MUTANTS = 1_000 if SMALL else 10_000
MOST = 1 << 24
"""Bytes: the files have 5,000."""


def models(folder):
    """-> how many were refused; the others are the model itself."""
    refused = 0
    for name in ("full", "counts"):
        mixture, path = saved_models.fitted(name), folder / f"{name}.npz"
        mixture.save(path)
        refused += saved_models.mutants_refused(path, mixture, MUTANTS // 2, np.random.default_rng(len(name)))
    return refused


def checkpoints(folder):
    """-> how many were refused; the others lead to the fit itself."""
    rng, path, refused = np.random.default_rng(0), folder / "fit.npz", 0
    mixture = fastem.GaussianMixture(2, random_state=0, acceleration="anderson", tol=1e-9, checkpoint=path)
    expected = fastem.GaussianMixture(2, random_state=0, acceleration="anderson", tol=1e-9).fit(saved_models.X)
    mixture.set_params(max_time=0.0).fit(saved_models.X)
    content = path.read_bytes()
    mixture.set_params(max_time=None)
    for _ in range(MUTANTS // 10):
        path.write_bytes(saved_models.mutated(content, rng))
        try:
            mixture.fit(saved_models.X)
        except ValueError:
            refused += 1
        else:
            np.testing.assert_array_equal(mixture.means_, expected.means_)
    return refused


def main():
    tracemalloc.start()
    with tempfile.TemporaryDirectory() as place:
        counts = models(Path(place)), checkpoints(Path(place))
    peak = tracemalloc.get_traced_memory()[1]
    assert peak < MOST, f"{peak} bytes"
    for kind, refused, all_of_them in zip(("models", "checkpoints"), counts, (MUTANTS, MUTANTS // 10), strict=True):
        assert refused > 0.8 * all_of_them
        sys.stdout.write(f"{kind}: {refused} of {all_of_them} refused, the others are what was written\n")


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore", fastem.ConvergenceWarning)
    main()
