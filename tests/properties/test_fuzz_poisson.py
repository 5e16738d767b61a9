"""Any counts, settings and parameters of a Poisson mixture: an error that names its argument, or a finite result."""

import re
from functools import partial

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support import fuzzing, strategies
from support.asserts import assert_no_fall_but_rounding, assert_shares
from support.fuzzing import unchanged_by_errors, unheld

import fastem
from fastem import PoissonMixture, PoissonParams, PoissonPrior
from fastem.fitting.collapse import POLICIES

ARGUMENTS = re.sub("probs", "shape|rate|values|offsets", fuzzing.ARGUMENTS)
within = partial(fuzzing.within, arguments=ARGUMENTS)
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
    return unheld({name: draw(st.sampled_from(values)) for name, values in SETTINGS.items()})


@st.composite
def events(draw, d=None):
    """Counts (n, d) without trials."""
    return draw(strategies.counts_of(d))[0]


def assert_fitted(mixture, rows, n):
    fuzzing.assert_fitted(mixture)
    mixture.params_.check()
    assert_shares(mixture.predict_proba(rows), 1e-12)
    assert np.isfinite(mixture.score_samples(rows)).all()
    assert mixture.predict(rows).shape == (n,)


@strategies.engines
@given(st.data(), components, settings())
def test_a_fit_of_any_counts(engines, data, k, options):
    engine = data.draw(engines)
    X = data.draw(events())
    w = data.draw(strategies.weights_of(len(X)))
    rows = data.draw(strategies.dressed(X))
    mixture = PoissonMixture(k, random_state=0, backend=engine[0], **options)
    with within(engine):
        with unchanged_by_errors(mixture):
            mixture.fit(rows, sample_weight=data.draw(strategies.dressed(w)))
        assert_fitted(mixture, rows, len(X))
        assert mixture.sample(3)[0].shape == (3, X.shape[1])


@strategies.engines
@given(st.data(), st.integers(1, 4))
def test_em_on_any_counts_never_falls(engines, data, k):
    engine = data.draw(engines)
    X = data.draw(events())
    w = data.draw(strategies.weights_of(len(X)))
    with within(engine):
        params = PoissonMixture(k, max_iter=0, random_state=0).fit(X, sample_weight=w).params_
        trace = []
        with fastem.open_rows(X, None, w, row_kind="counts", backend=engine[0]) as rows:
            for _ in range(12):
                trace.append(rows.sweep(params))
                params = trace[-1].maximize()
        assert_no_fall_but_rounding(trace)


@strategies.engines
@given(st.data())
def test_a_sweep_at_any_parameters(engines, data):
    engine = data.draw(engines)
    X = data.draw(events())
    good = {"weights": np.full(2, 0.5), "rates": np.random.default_rng(0).gamma(1.0, 5.0, size=(2, X.shape[1]))}
    name = data.draw(st.sampled_from(sorted(good)))
    values = good | {name: data.draw(st.one_of(strategies.NONSENSE, strategies.spoilt(good[name])))}
    with within(engine):
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


@strategies.engines
@given(st.data(), components)
def test_a_fit_of_any_counts_in_groups(engines, data, k):
    engine = data.draw(engines)
    values = data.draw(events(d=1))[:, 0]
    cuts = np.sort(data.draw(st.lists(st.integers(0, len(values)), max_size=3)))
    offsets, w = np.r_[0, cuts, len(values)].astype(int), data.draw(strategies.weights_of(len(values)))
    with within(engine):
        fits = fastem.fit_many(values, offsets, k, family="poisson", sample_weight=w, backend=engine[0])
        for name in ("weights", "rates", "loglik"):
            assert np.isfinite(getattr(fits, name)[fits.fitted]).all()
        assert (fits.rates[fits.fitted] >= 0).all()
        np.testing.assert_array_equal(fits.labels(values) >= 0, np.repeat(fits.fitted, np.diff(offsets)))
