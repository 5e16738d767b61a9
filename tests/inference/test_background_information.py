"""Standard errors of a mixture with a background are the curvature of its log likelihood, as differences tell.

So are those of rows that lack values.
"""

import numpy as np
import pytest
from support import datasets, naive, naive_background
from support.fits_at_maximum import AT_MAXIMUM, Truth, agree, kinds, pack, unpack_covariances

from fastem import GaussianMixture
from fastem.inference.standard_errors import METHODS

WORLD = datasets.overlapping
RNG = np.random.default_rng(1)
X = np.concatenate([WORLD.X, RNG.uniform(3 * WORLD.X.min(axis=0), 3 * WORLD.X.max(axis=0), (60, 2))])
GAPS = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
K, D = WORLD.means.shape


class BackgroundTruth(Truth):
    """The derivatives by the weights, of which the last is that of the background, then all others."""

    def __init__(self, mixture, rows, errors):
        self.mixture, self.X = mixture, rows
        self.at = np.insert(pack(mixture), K, mixture.noise_weight_)
        directions = np.eye(len(self.at))
        directions[:K, K] = -1.0
        self.directions = np.delete(directions, K, axis=0)
        self.steps = 0.0125 * np.sqrt(errors.parameters_covariance.diagonal()[self.directions.argmax(axis=1)])

    def __call__(self, shift):
        vector, kind = self.at + shift, self.mixture.covariance_type
        weights, means, rest = np.split(vector, [K + 1, K + 1 + K * D])
        covariances = naive.expand_covariances(unpack_covariances(rest, kind, K, D), kind, K, D)
        logs, missing = -np.log(np.linalg.norm(self.mixture.noise_box_[1:], axis=1)), np.isnan(self.X)
        densities = np.zeros((len(self.X), K + 1))
        for o in ~np.unique(missing, axis=0):
            rows = (missing == ~o).all(axis=1)
            part = self.X[rows][:, o], means.reshape(K, D)[:, o], covariances[:, o][:, :, o]
            densities[rows] = naive_background.background_log_density(*part, logs[o].sum()) if o.any() else 0.0
        return naive.posterior(densities, weights)[0]


@pytest.mark.parametrize("rows", [X, GAPS], ids=["complete", "gaps"])
@kinds
@pytest.mark.seconds
def test_information_is_that_of_differences(kind, rows):
    covariances = naive.reduce_covariances(WORLD.covariances, WORLD.weights, kind)
    precisions = np.linalg.inv(covariances) if kind in ("full", "tied") else 1 / covariances
    start = {"weights_init": 0.9 * WORLD.weights, "means_init": WORLD.means, "precisions_init": precisions}
    settings = {"noise": True, "missing": "raise" if rows is X else "marginalize", "reg_covar": 0.0} | AT_MAXIMUM
    mixture = GaussianMixture(K, covariance_type=kind, **settings, **start).fit(rows)
    truth = BackgroundTruth(mixture, rows, mixture.standard_errors(rows))
    for method in METHODS:
        errors = mixture.standard_errors(rows, method=method)
        agree(errors.parameters_covariance, truth.covariance(method), 1e-6)  # differences are good to some 1e-7 here
        assert errors.noise_weight == np.sqrt(errors.parameters_covariance[K, K])
        np.testing.assert_allclose(errors.parameters_covariance[: K + 1].sum(axis=0), 0.0, atol=1e-12)
