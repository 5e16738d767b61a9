"""Fits in the place of scikit-learn's."""

import numpy as np
import pandas as pd
import polars as pl

from fastem import GaussianMixture
from support import naive

KINDS = ("full", "tied", "diag", "spherical")
MATRICES = ("means_", "covariances_", "precisions_", "precisions_cholesky_")
FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame}
NAMES = ["length", "width"]


def clouds(d=2, n=200, seed=0):
    """Three clouds of standard deviation 1, four apart in every feature, in random order."""
    rng = np.random.default_rng(seed)
    X = np.concatenate([rng.normal(size=(n, d)) + 4 * center for center in range(3)])
    return rng.permutation(X)


def equal_start(X, kind):
    """The same start for both classes, in the precision of X: three rows of X, unit variances."""
    k, d = 3, X.shape[1]
    precisions = naive.reduce_covariances(np.tile(np.eye(d), (k, 1, 1)), np.full(k, 1 / k), kind)
    nearest = [int(np.abs(X - 4.0 * center).sum(axis=1).argmin()) for center in range(k)]
    arrays = {"weights_init": np.array([0.25, 0.25, 0.5]), "means_init": X[nearest], "precisions_init": precisions}
    starts = {name: array.astype(X.dtype) for name, array in arrays.items()}
    return {"n_components": k, "covariance_type": kind, **starts}


def fitted(X, **settings):
    return GaussianMixture(3, random_state=0, **settings).fit(X)


def framed(make, array, names=NAMES):
    return make({name: array[:, j] for j, name in enumerate(names)})
