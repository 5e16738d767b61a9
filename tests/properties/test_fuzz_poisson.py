"""Any counts, settings and parameters of a Poisson mixture: an error that names its argument, or a finite result."""

import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import strategies
from support.asserts import assert_no_fall_but_rounding, assert_shares

import fastem
from fastem import PoissonMixture, PoissonParams, PoissonPrior
from fastem.fitting.collapse import POLICIES

ERRORS = (ValueError, TypeError, ImportError, fastem.CollapsedComponentError)
ARGUMENTS = (
    "X", "sample_weight", "weights", "rates", "n_components", "prior", "shape", "rate", "concentration",
    "params", "values", "offsets", "identified", "maximum", "collapsed", "fixed", "positive definite",
)  # fmt: skip
SETTINGS = {
    "init_params": ["auto", "quantiles", "kmeans", "random"],
    "stopping": ["loglik", "q", "aitken", "gradient"],
    "acceleration": [None, "anderson", "squarem", "quasi-newton"],
    "order_by": [None, "weights", "rates"],
    "fixed": [(), ("weights",), ("rates",)],
    "prior": [None, PoissonPrior(2.0, 3.0, 1.5), PoissonPrior(shape=2.0)],
    "n_init": [1, 2],
    "max_iter": [0, 1, 15],
    "on_collapse": POLICIES,
}
components = st.sampled_from([1, 1, 2, 3, 5, 40])


@st.composite
def settings(draw):
    found = {name: draw(st.sampled_from(values)) for name, values in SETTINGS.items()}
    return found if found["on_collapse"] in ("floor", "raise") else found | {"fixed": ()}


@st.composite
def events(draw, d=None):
    """Counts (n, d) without trials."""
    return draw(strategies.counts_of(d))[0]


def assert_names(error, names):
    assert any(name in str(error) for name in names), repr(error)


@contextmanager
def within(names=ARGUMENTS):
    """Run calls under the law: only the documented warnings, and errors that name an argument."""
    try:
        with warnings.catch_warnings():
            for name in ("ConvergenceWarning", "EmptyComponentWarning", "EqualComponentWarning"):
                warnings.simplefilter("ignore", getattr(fastem, name))
            warnings.filterwarnings("ignore", "X (has|does not have valid) feature names")
            warnings.filterwarnings("ignore", "sample_weight has the sum")
            yield
    except ERRORS as error:
        assert_names(error, names)


def assert_fitted(mixture, rows, n):
    assert_shares(mixture.weights_, 1e-12)
    assert np.isfinite([mixture.loglik_, mixture.entropy_, mixture.aic_, mixture.bic_, mixture.log_posterior_]).all()
    assert ((mixture.rates_ >= 0) & (mixture.rates_ <= 2.0**54)).all()
    assert_shares(mixture.predict_proba(rows), 1e-12)
    assert np.isfinite(mixture.score_samples(rows)).all()
    assert mixture.predict(rows).shape == (n,)


@pytest.mark.numba
@given(st.data(), strategies.engines, components, settings())
def test_a_fit_of_any_counts(data, engine, k, options):
    X = data.draw(events())
    w = data.draw(strategies.weights_of(len(X)))
    rows = data.draw(strategies.dressed(X))
    with within():
        mixture = PoissonMixture(k, random_state=0, backend=engine[0], **options)
        mixture.fit(rows, sample_weight=data.draw(strategies.dressed(w)))
        assert_fitted(mixture, rows, len(X))
        assert mixture.sample(3)[0].shape == (3, X.shape[1])


@pytest.mark.numba
@given(st.data(), strategies.engines, st.integers(1, 4))
def test_em_on_any_counts_never_falls(data, engine, k):
    X = data.draw(events())
    w = data.draw(strategies.weights_of(len(X)))
    with within():
        params = PoissonMixture(k, max_iter=0, random_state=0).fit(X, sample_weight=w).params_
        trace = []
        with fastem.open_rows(X, None, w, row_kind="counts", backend=engine[0]) as rows:
            for _ in range(12):
                trace.append(rows.sweep(params))
                params = trace[-1].maximize()
        assert_no_fall_but_rounding(trace)


@pytest.mark.numba
@given(st.data(), strategies.engines)
def test_a_sweep_at_any_parameters(data, engine):
    X = data.draw(events())
    good = {"weights": np.full(2, 0.5), "rates": np.random.default_rng(0).gamma(1.0, 5.0, size=(2, X.shape[1]))}
    name = data.draw(st.sampled_from(sorted(good)))
    values = good | {name: data.draw(st.one_of(strategies.NONSENSE, strategies.spoilt(good[name])))}
    with within():
        params = PoissonParams(**values)
        stats = fastem.accumulate(params, X, backend=engine[0])
        assert np.isfinite(stats.events).all()
        assert np.isfinite([stats.loglik, stats.entropy]).all()
        found = fastem.posterior(params, X, backend=engine[0])
        assert np.isfinite(found.log_prob).all()
        assert_shares(found.resp, 1e-12)


@given(st.sampled_from(["concentration", "shape", "rate"]), strategies.NONSENSE)
def test_any_prior(name, value):
    with within():
        mixture = PoissonMixture(2, prior=PoissonPrior(**{name: value}), random_state=0, max_iter=5)
        assert_fitted(mixture.fit(np.arange(9)), np.arange(9), 9)


@given(st.data(), settings(), st.sampled_from(["louis", "opg", "sandwich"]))
def test_standard_errors_of_any_fit(data, options, method):
    X = data.draw(events())
    mixture = PoissonMixture(data.draw(st.integers(1, 3)), random_state=0, **options)
    with within():
        errors = mixture.fit(X).standard_errors(X, method=method)
        assert not np.isinf(errors.parameters_covariance).any()
        assert errors.rates.shape == mixture.rates_.shape


@given(st.data(), st.sampled_from(["weights_init", "rates_init", "X", "sample_weight"]))
def test_any_array_that_is_spoilt(data, name):
    X = np.random.default_rng(0).integers(0, 9, (20, 2)).astype(float)
    good = {"X": X, "sample_weight": np.ones(20), "weights_init": np.full(2, 0.5), "rates_init": X[:2] + 1}
    values = good | {name: data.draw(strategies.spoilt(good[name]))}
    starts = {key: values[key] for key in ("weights_init", "rates_init")}
    with within():
        mixture = PoissonMixture(2, random_state=0, **starts).fit(values["X"], sample_weight=values["sample_weight"])
        assert_fitted(mixture, X, 20)


@pytest.mark.numba
@given(st.data(), strategies.engines, components)
def test_a_fit_of_any_counts_in_groups(data, engine, k):
    values = data.draw(events(d=1))[:, 0]
    cuts = np.sort(data.draw(st.lists(st.integers(0, len(values)), max_size=3)))
    offsets, w = np.r_[0, cuts, len(values)].astype(int), data.draw(strategies.weights_of(len(values)))
    with within():
        fits = fastem.fit_many(values, offsets, k, family="poisson", sample_weight=w, backend=engine[0])
        for name in ("weights", "rates", "loglik"):
            assert np.isfinite(getattr(fits, name)[fits.fitted]).all()
        assert (fits.rates[fits.fitted] >= 0).all()
        np.testing.assert_array_equal(fits.labels(values) >= 0, np.repeat(fits.fitted, np.diff(offsets)))
