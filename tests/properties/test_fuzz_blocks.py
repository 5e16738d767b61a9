"""Any argument of the building blocks: an error that names it, or a finite result; on every twin.  See test_fuzz.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import strategies
from support.asserts import assert_shares
from support.fuzzing import (
    COINS,
    FITTED,
    TYPES,
    assert_densities,
    assert_fitted,
    binomial_settings,
    normal_settings,
    parameters,
    within,
)

import fastem
from fastem import BinomialMixture, BinomialParams, BinomialPrior, GaussianMixture, GaussianParams, GaussianPrior


def good_parameters(kind, k, d):
    rng = np.random.default_rng(k + 10 * d)
    covariances = GaussianParams.from_variances(np.zeros((k, d)), np.ones(d), kind).covariances
    return {"weights": np.full(k, 1 / k), "means": rng.normal(size=(k, d)), "covariances": covariances}


def assert_stats(stats):
    for name, value in vars(stats).items():
        if name not in ("params", "total", "live"):
            assert np.isfinite(value).all(), name
    reached = stats.maximize()
    reached.check()
    assert_shares(reached.weights, 1e-12)


@strategies.engines
@given(st.data(), st.sampled_from(TYPES))
@pytest.mark.seconds
def test_a_sweep_at_any_normal_parameters(engines, data, kind):
    engine = data.draw(engines)
    X = data.draw(strategies.matrices(d=data.draw(st.integers(1, 3))))
    good = good_parameters(kind, 2, X.shape[1])
    name = data.draw(st.sampled_from(sorted(good)))
    values = good | {name: data.draw(parameters(good[name].shape))}
    with within(engine):
        params = GaussianParams(**values, covariance_type=kind)
        assert_stats(fastem.accumulate(params, X, backend=engine[0]))
        found = fastem.posterior(params, X, backend=engine[0])
        assert np.isfinite(found.log_prob).all()
        assert_shares(found.resp, 1e-12)


@strategies.engines
@given(st.data())
def test_a_sweep_at_any_binomial_parameters(engines, data):
    engine = data.draw(engines)
    X, trials = data.draw(strategies.counts_of())
    good = {"weights": np.full(2, 0.5), "probs": np.random.default_rng(0).random((2, X.shape[1]))}
    name = data.draw(st.sampled_from(sorted(good)))
    values = good | {name: data.draw(parameters(good[name].shape))}
    with within(engine):
        params = BinomialParams(**values)
        assert_stats(fastem.accumulate(params, X, trials=trials, backend=engine[0]))
        found = fastem.posterior(params, X, trials=trials, backend=engine[0])
        assert np.isfinite(found.log_prob).all()
        assert_shares(found.resp, 1e-12)


CALLS = {
    "accumulate": fastem.accumulate,
    "posterior": fastem.posterior,
    "open_rows": lambda params, X, **options: fastem.open_rows(X, **options).sweep(FITTED.params_),
    "distinct_counts": lambda params, X, **options: fastem.distinct_counts(X, **{"trials": 5} | options),
    "warmup": lambda params, X, **options: fastem.warmup(**options),
    "sample": lambda params, X, **options: FITTED.sample(**options),
    "sample of counts": lambda params, X, **options: COINS.sample(**options),
    "standard errors": lambda params, X, **options: FITTED.standard_errors(X, **options),
    "rows": lambda params, X, wanted: fastem.open_rows(X).posterior(FITTED.params_, wanted),
    "nearest": lambda params, X, **options: fastem.open_rows(X).nearest(**{"centers": X, "scale": X[0]} | options),
}
OPTIONS = {
    "accumulate": ("params", "X", "trials", "sample_weight", "dtype", "backend", "n_threads"),
    "posterior": ("params", "X", "trials", "backend", "n_threads"),
    "open_rows": ("X", "trials", "sample_weight", "dtype", "backend", "n_threads", "n_features", "has_trials"),
    "distinct_counts": ("X", "trials", "sample_weight", "n_threads"),
    "warmup": ("backend",),
    "sample": ("n_samples",),
    "sample of counts": ("n_samples", "trials"),
    "standard errors": ("method", "sample_weight"),
    "rows": ("wanted",),
    "nearest": ("centers", "scale"),
}


@given(st.data(), st.sampled_from(sorted(CALLS)))
def test_any_argument_of_the_building_blocks(data, call):
    name, value = data.draw(st.sampled_from(OPTIONS[call])), data.draw(strategies.NONSENSE)
    arguments = {"params": FITTED.params_, "X": np.eye(2)} | {name: value}
    with within():
        CALLS[call](**arguments)


@given(st.data(), st.sampled_from(TYPES))
def test_any_m_step(data, kind):
    stats = fastem.accumulate(GaussianParams(**good_parameters(kind, 2, 2), covariance_type=kind), np.eye(2))
    arguments = {data.draw(st.sampled_from(["reg_covar", "fixed"])): data.draw(strategies.NONSENSE)}
    with within():
        stats.maximize(**arguments).check()


@given(st.data())
def test_any_counts_collapse(data):
    X, trials = data.draw(strategies.counts_of())
    w = data.draw(strategies.weights_of(len(X)))
    arguments = [data.draw(strategies.dressed(array)) for array in (X, trials, w)]
    with within():
        found = fastem.distinct_counts(*arguments)
        total = len(X) if w is None else w.sum()
        assert (found + found).sample_weight.sum() == pytest.approx(2 * total, rel=1e-12)
        assert (found.successes <= found.trials).all()


@given(st.data(), st.sampled_from(TYPES))
def test_any_prior(data, kind):
    names = {"concentration": (), "mean": (2,), "mean_precision": (), "scale": (2, 2), "degrees_of_freedom": ()}
    name = data.draw(st.sampled_from(sorted(names)))
    value = data.draw(parameters(names[name]) if names[name] else strategies.NONSENSE)
    X = np.random.default_rng(0).normal(size=(20, 2))
    with within():
        prior = GaussianPrior(**{"mean": np.zeros(2), "mean_precision": 1.0, "scale": np.eye(2), name: value})
        mixture = GaussianMixture(2, covariance_type=kind, prior=prior, random_state=0, max_iter=5).fit(X)
        assert_fitted(mixture)
        assert_densities(mixture)


@given(st.sampled_from(["concentration", "successes", "failures"]), strategies.NONSENSE)
def test_any_prior_of_counts(name, value):
    with within():
        prior = BinomialPrior(**{name: value})
        assert_fitted(BinomialMixture(2, prior=prior, random_state=0, max_iter=5).fit(np.arange(9), trials=9))


@given(st.data(), binomial_settings(), st.sampled_from(["louis", "opg"]))
def test_standard_errors_of_any_fit_of_counts(data, settings, method):
    X, trials = data.draw(strategies.counts_of())
    mixture = BinomialMixture(data.draw(st.integers(1, 3)), random_state=0, **settings)
    with within():
        errors = mixture.fit(X, trials=trials).standard_errors(X, trials=trials, method=method)
        assert not np.isinf(errors.parameters_covariance).any()
        assert errors.probs.shape == mixture.probs_.shape


@given(st.data(), normal_settings(), st.sampled_from(["louis", "opg"]))
def test_standard_errors_of_any_fit(data, settings, method):
    X = data.draw(strategies.matrices())
    mixture = GaussianMixture(data.draw(st.integers(1, 3)), random_state=0, **settings)
    with within():
        errors = mixture.fit(X).standard_errors(X, method=method)
        assert not np.isinf(errors.parameters_covariance).any()
        assert (errors.means[mixture.weights_ > 0] >= 0).all()


@pytest.mark.parametrize("name", ["tol", "max_iter", "stopping", "acceleration"])
@given(value=strategies.NONSENSE)
def test_any_setting_of_em(name, value):
    def sweep(params):
        return fastem.accumulate(params, np.eye(2))

    with within():
        fastem.em(sweep, lambda stats: stats.maximize(), FITTED.params_, **{"max_iter": 3, name: value})
