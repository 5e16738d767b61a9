"""scikit-learn's checks of an estimator, sample_weight included.

BinomialMixture is not among them: its fit needs `trials`, and the checks pass X alone.
"""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastem

KINDS = ("full", "tied", "diag", "spherical")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [
        fastem.GaussianMixture(),
        *[fastem.GaussianMixture(2, covariance_type=kind) for kind in KINDS],
        fastem.GaussianMixture(2, init_params="k-means++", n_init=2),
    ]
)
def test_estimator(estimator, check):
    check(estimator)
