"""tgmm on rows of which values are missing: seconds of an iteration, and log densities where it ends.

python tgmm_missing.py FOLDER      which has problem.npz (X, means), and gets answer.npz
"""

import sys
import time
from pathlib import Path

import numpy as np
import tgmm
import torch

FEW, MORE = 2, 6
"""Iterations of two fits, of which the difference is timed."""


def fitted(X: torch.Tensor, means: torch.Tensor, iterations: int) -> tuple[tgmm.GaussianMixture, float]:
    """A fit of so many iterations, and its seconds."""
    k, d = means.shape
    mixture = tgmm.GaussianMixture(
        n_components=k, n_features=d, missing="em", init_means=means, max_iter=iterations, tol=1e-300, device="cpu"
    )
    begin = time.perf_counter()
    mixture.fit(X)
    return mixture, time.perf_counter() - begin


def main() -> None:
    folder = Path(sys.argv[1])
    with np.load(folder / "problem.npz") as problem:
        X, means = (torch.as_tensor(problem[name], dtype=torch.float64) for name in ("X", "means"))
    torch.set_default_dtype(torch.float64)
    few = fitted(X, means, FEW)[1]
    mixture, more = fitted(X, means, MORE)
    found = mixture.weights_, mixture.means_, mixture.covariances_, mixture.score_samples(X)
    names = "weights", "means", "covariances", "log_prob"
    np.savez(folder / "answer.npz", **{n: f.detach().numpy() for n, f in zip(names, found, strict=True)})
    print((more - few) / (MORE - FEW))


if __name__ == "__main__":
    main()
