"""Any input: an error that names its argument, or a finite result that obeys the laws; on every twin.

`make test` takes 50 examples for each test, always the same ones; with --hypothesis-profile=long it is 20,000, new
ones every time.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import strategies
from support.asserts import assert_no_fall_but_rounding, assert_shares
from support.fuzzing import (
    COINS,
    FITTED,
    TYPES,
    assert_densities,
    assert_fitted,
    binomial_settings,
    normal_settings,
    parameters,
    unchanged_by_errors,
    within,
)

import fastem
from fastem import BinomialMixture, GaussianMixture
from fastem.estimators.registry import estimator_type
from fastem.families.gaussian.structures import STRUCTURES
from fastem.families.registry import NAMES

# ---------------------------------------------------------------------------------------------------------- the laws


def assert_predictions(mixture, X, n, **trials):
    k, labels, resp = len(mixture.weights_), mixture.predict(X, **trials), mixture.predict_proba(X, **trials)
    assert labels.shape == (n,)
    assert ((labels >= 0) & (labels < k)).all()
    assert resp.shape == (n, k)
    assert_shares(resp, 1e-5 if resp.dtype == np.float32 else 1e-12)
    log_prob = mixture.score_samples(X, **trials)
    assert log_prob.shape == (n,)
    assert np.isfinite(log_prob).all()
    assert np.isfinite([mixture.score(X, **trials), mixture.aic(X, **trials), mixture.bic(X, **trials)]).all()


# --------------------------------------------------------------------------------------------------------- strategies


components = st.sampled_from([1, 1, 2, 3, 5, 40, 1000])


# ---------------------------------------------------------------------------------------------------------- estimators


@strategies.engines
@given(st.data(), components, normal_settings())
@pytest.mark.seconds
def test_a_gaussian_fit_of_any_rows(engines, data, k, settings):
    engine = data.draw(engines)
    X = data.draw(strategies.singles(strategies.matrices()))
    w = data.draw(strategies.weights_of(len(X)))
    rows, sample_weight = data.draw(strategies.dressed(X)), data.draw(strategies.dressed(w))
    mixture = GaussianMixture(k, random_state=0, backend=engine[0], **settings)
    with within(engine):
        with unchanged_by_errors(mixture):
            mixture.fit(rows, sample_weight=sample_weight)
        assert_fitted(mixture)
        assert_densities(mixture)
        assert_predictions(mixture, rows, len(X))
        assert mixture.sample(3)[0].shape == (3, X.shape[1])


@strategies.engines
@given(st.data(), components, binomial_settings())
def test_a_binomial_fit_of_any_counts(engines, data, k, settings):
    engine = data.draw(engines)
    X, trials = data.draw(strategies.counts_of())
    w = data.draw(strategies.weights_of(len(X)))
    rows, tosses = data.draw(strategies.dressed(X)), data.draw(strategies.dressed(trials))
    mixture = BinomialMixture(k, random_state=0, backend=engine[0], **settings)
    with within(engine):
        with unchanged_by_errors(mixture):
            mixture.fit(rows, trials=tosses, sample_weight=data.draw(strategies.dressed(w)))
        assert_fitted(mixture)
        assert ((mixture.probs_ >= 0) & (mixture.probs_ <= 1)).all()
        assert_predictions(mixture, rows, len(X), trials=tosses)
        assert mixture.sample(3, trials=4)[0].shape == (3, X.shape[1])


def climb(params, sweep, **terms):
    """Statistics of the iterations of EM."""
    for _ in range(12):
        stats = sweep(params)
        yield stats
        params = stats.maximize(**terms)


@strategies.engines
@given(st.data(), st.integers(1, 4), st.sampled_from(TYPES))
def test_em_on_any_rows_never_falls(engines, data, k, kind):
    engine = data.draw(engines)
    X = data.draw(strategies.matrices())
    w = data.draw(strategies.weights_of(len(X)))
    with within(engine):
        mixture = GaussianMixture(k, covariance_type=kind, max_iter=0, random_state=0, reg_covar=0.0)
        start = mixture.fit(X, sample_weight=w).params_
        with fastem.open_rows(X, None, w, fitting=True, backend=engine[0]) as rows:
            assert_no_fall_but_rounding(climb(start, rows.sweep, reg_covar=0.0))


@strategies.engines
@given(st.data(), st.integers(1, 4))
def test_em_on_any_counts_never_falls(engines, data, k):
    engine = data.draw(engines)
    X, trials = data.draw(strategies.counts_of())
    w = data.draw(strategies.weights_of(len(X)))
    with within(engine):
        start = BinomialMixture(k, max_iter=0, random_state=0).fit(X, trials=trials, sample_weight=w).params_
        with fastem.open_rows(X, trials, w, has_trials=True, backend=engine[0]) as rows:
            assert_no_fall_but_rounding(climb(start, rows.sweep))


@strategies.engines
@given(st.data())
def test_predictions_of_any_rows(engines, data):
    engine = data.draw(engines)
    with np.errstate(over="ignore"):
        X = np.nan_to_num(data.draw(strategies.matrices(d=2)) * data.draw(st.sampled_from([1.0, 1e100, 1e160])))
    with within(engine):
        assert_predictions(FITTED, data.draw(strategies.dressed(X)), len(X))


METHODS = ("fit", "fit_predict", "predict", "predict_proba", "score_samples", "score", "aic", "bic", "standard_errors")


@given(st.data(), st.sampled_from(METHODS))
def test_spoilt_rows_are_refused(data, method):
    X = data.draw(strategies.spoilt(data.draw(strategies.matrices(d=2))))
    with unchanged_by_errors(FITTED), within(arguments=r"\bX\b"):
        getattr(FITTED, method)(X)
        pytest.fail("taken")


@given(st.data(), st.sampled_from(METHODS))
def test_spoilt_counts_are_refused(data, method):
    X, trials = data.draw(strategies.counts_of(d=2))
    if data.draw(st.booleans()):
        X = data.draw(strategies.spoilt(X))
    else:
        trials = data.draw(strategies.spoilt(np.broadcast_to(trials, X.shape).copy()))
    with within(arguments=r"\b(X|trials)\b"):
        getattr(COINS, method)(X, trials=trials)
        pytest.fail("taken")


@given(st.data(), st.sampled_from(["fit", "score", "aic", "bic", "standard_errors"]))
def test_spoilt_weights_are_refused(data, method):
    X = np.random.default_rng(0).normal(size=(20, 2))
    w = data.draw(strategies.spoilt(np.ones(20)))
    with within(arguments=r"\bsample_weight\b"):
        getattr(FITTED, method)(X, sample_weight=w)
        pytest.fail("taken")


SETTINGS = {kind: kind().get_params() for kind in map(estimator_type, NAMES)}


@given(st.data(), st.sampled_from(list(SETTINGS)))
def test_any_setting(data, cls):
    name, value = data.draw(st.sampled_from(sorted(SETTINGS[cls]))), data.draw(strategies.NONSENSE)
    mixture = cls(**{"n_components": 2, "random_state": 0, name: value})
    if name == "checkpoint" and isinstance(value, str):
        return  # writes there
    if name == "callback" and callable(value):
        return  # what it raises is its own
    if name == "verbose" or (name in ("n_init", "n_threads") and isinstance(value, int) and value > 1):
        return  # writes, or runs for ever, as told
    X = np.random.default_rng(0).integers(0, 9, (20, 2))
    with within(), unchanged_by_errors(mixture):
        mixture.fit(X, **({"trials": 9} if cls is BinomialMixture else {}))
        assert_fitted(mixture)


@given(st.data(), st.sampled_from(TYPES))
def test_any_start(data, kind):
    """Values given for a start are refused, or lead to a fit."""
    k, d = 2, 2
    shapes = {
        "weights_init": (k,),
        "means_init": (k, d),
        "precisions_init": STRUCTURES[kind].shape(k, d),
    }
    name = data.draw(st.sampled_from(sorted(shapes)))
    value = data.draw(parameters(shapes[name]))
    mixture = GaussianMixture(k, covariance_type=kind, random_state=0, max_iter=5, **{name: value})
    with within(), unchanged_by_errors(mixture):
        mixture.fit(np.random.default_rng(0).normal(size=(20, d)))
        assert_fitted(mixture)
        assert_densities(mixture)
