"""Parameters of the data sets of the tests, and a sweep at them."""

import numpy as np

from fastem.data.open import open_rows
from fastem.families.binomial.model import BinomialParams
from fastem.families.gaussian.model import GaussianParams
from fastem.families.poisson.model import PoissonParams
from support import naive

KINDS = ("full", "tied", "diag", "spherical")


def normal_params(world, kind):
    covariances = naive.reduce_covariances(world.covariances, world.weights, kind)
    return GaussianParams(world.weights.copy(), world.means.copy(), covariances, kind)


def binomial_params(world):
    return BinomialParams(world.weights.copy(), world.probs.copy())


def poisson_params(world):
    return PoissonParams(world.weights.copy(), world.rates.copy())


def sweep(params, X, twin, sample_weight=None, trials=None, n_threads=None, dtype=None):
    options = {"row_kind": params.row_kind, "backend": twin, "n_threads": n_threads, "dtype": dtype}
    with open_rows(X, trials, sample_weight, **options) as rows:
        return rows.sweep(params)


def reduce_second_moments(second, covariance_type):
    """(k, d, d) -> as statistics of this type have them: what covariances of it depend on."""
    if covariance_type == "full":
        return second
    if covariance_type == "tied":
        return second.sum(axis=0)
    diagonals = np.array([np.diag(moments) for moments in second])
    return diagonals if covariance_type == "diag" else np.array([np.full(len(v), v.mean()) for v in diagonals])
