"""scikit-learn's checks of an estimator, sample_weight included."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastem

KINDS = ("full", "tied", "diag", "spherical")
COINS = {"n_trials": 100_000}  # more than the checks count to


def expected_failures(estimator):
    """One of these that would pass fails."""
    if isinstance(estimator, fastem.BinomialMixture | fastem.PoissonMixture):
        return {"check_sample_weight_equivalence_on_dense_data": "not of counts; test_estimators.py has its own"}
    return {}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore::fastem.EqualComponentWarning")  # rows of the checks are one group
@parametrize_with_checks(
    [
        fastem.GaussianMixture(),
        *[fastem.GaussianMixture(2, covariance_type=kind) for kind in KINDS],
        fastem.GaussianMixture(2, init_params="k-means++", n_init=2),
        fastem.BinomialMixture(**COINS),
        fastem.BinomialMixture(2, **COINS),
        fastem.BinomialMixture(2, init_params="random", n_init=2, **COINS),
        fastem.PoissonMixture(),
        fastem.PoissonMixture(2),
        fastem.PoissonMixture(2, init_params="random", n_init=2),
    ],
    expected_failed_checks=expected_failures,
)
@pytest.mark.seconds
@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")
def test_estimator(estimator, check):
    check(estimator)
