"""select and bootstrap_test of Poisson mixtures."""

import numpy as np
import pytest

import fastem
from fastem import PoissonMixture

RNG = np.random.default_rng(0)
CALLS = RNG.poisson(RNG.choice([3.0, 20.0], size=400))
ESTIMATOR = PoissonMixture(tol=1e-6, max_iter=500, random_state=0)


@pytest.mark.filterwarnings("ignore::fastem.EqualComponentWarning")  # three on two groups of rows
@pytest.mark.parametrize("criterion", ["bic", "icl", "cv"])
def test_components_are_counted(criterion):
    sizes = range(1, 3) if criterion == "cv" else range(1, 4)  # a third component costs no deviance of rows held out
    found = fastem.select(CALLS, sizes, criterion=criterion, estimator=ESTIMATOR)
    assert found.best.n_components == 2
    assert {each.covariance_type for each in found.candidates} == {""}
    np.testing.assert_allclose(np.sort(found.best.rates_.ravel()), [3.0, 20.0], rtol=0.1)
    alone = PoissonMixture(2, tol=1e-6, max_iter=500, random_state=0).fit(CALLS)
    assert found.candidates[1].loglik == pytest.approx(alone.loglik_, rel=1e-9)
    assert found.candidates[1].n_parameters == 3


def test_cv_is_the_deviance_of_rows_held_out():
    weights = RNG.integers(1, 4, size=400).astype(float)
    found = fastem.select(CALLS, [2], criterion="cv", estimator=ESTIMATOR, folds=3, sample_weight=weights)
    whole, fold = PoissonMixture(1).fit(CALLS, sample_weight=weights), np.random.default_rng(0).permutation(400) % 3
    expected = 0.0
    for i in range(3):
        mixture = PoissonMixture(2, tol=1e-6, max_iter=500, random_state=0)
        mixture.fit(CALLS[fold != i], sample_weight=weights[fold != i])
        outside = CALLS[fold == i]
        log_prob = np.maximum(mixture.score_samples(outside), whole.score_samples(outside) - np.log(weights.sum()))
        expected -= 2 * log_prob @ weights[fold == i]
    np.testing.assert_allclose(found.candidates[0].cv, expected, rtol=1e-12)


def test_a_folder_resumes_with_the_same_table(tmp_path):
    first, again = (fastem.select(CALLS, [1, 2], estimator=ESTIMATOR, checkpoint=tmp_path) for _ in range(2))
    np.testing.assert_array_equal(first.values, again.values)
    assert any(tmp_path.iterdir())
    with pytest.raises(ValueError, match="class"):
        fastem.select(CALLS[:, np.newaxis], [1, 2], estimator=fastem.BinomialMixture(n_trials=99), checkpoint=tmp_path)


def test_arguments_of_other_families_are_refused():
    with pytest.raises(ValueError, match="trials are for a BinomialMixture"):
        fastem.select(CALLS, [1], estimator=ESTIMATOR, trials=3)
    with pytest.raises(TypeError, match="covariance_types are given, but a PoissonMixture has no covariances"):
        fastem.select(CALLS, [1], ["full"], estimator=ESTIMATOR)


@pytest.mark.filterwarnings(r"ignore:components .* equal others:fastem.EqualComponentWarning")
@pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning")  # the likelihood is flat where there is one component
@pytest.mark.seconds
def test_the_bootstrap_tells_one_from_two():
    estimator = PoissonMixture(tol=1e-6, max_iter=1000)
    assert fastem.bootstrap_test(CALLS[:150], 1, estimator=estimator, n_bootstrap=19).p_value == 1 / 20
    assert fastem.bootstrap_test(RNG.poisson(7.0, 150), 1, estimator=estimator, n_bootstrap=19).p_value > 0.1
