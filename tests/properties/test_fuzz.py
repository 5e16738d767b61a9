"""Any input: an error that names its argument, or a finite result that obeys the laws; on every twin.

`make test` takes 150 examples for each test, always the same ones; with --hypothesis-profile=long it is 20,000, new
ones every time.
"""

import faulthandler
import os
import re
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import strategies
from support.asserts import assert_no_fall_but_rounding, assert_shares

import fastem
from fastem import BinomialMixture, BinomialParams, BinomialPrior, GaussianMixture, GaussianParams, GaussianPrior
from fastem.fitting.collapse import POLICIES
from fastem.persistence import restore
from fastem.validation.arrays import BadValueError

HANG = 120.0
"""Seconds after which a call is a hang: the process ends, with the place where it hung."""

TYPES = ("full", "tied", "diag", "spherical")
DOCUMENTED = (
    fastem.ConvergenceWarning,
    fastem.EmptyComponentWarning,
    fastem.EqualComponentWarning,
    fastem.IdentifiabilityWarning,
)
ERRORS = (ValueError, BadValueError, TypeError, ImportError, fastem.NotFittedError, fastem.CollapsedComponentError)
ARGUMENTS = (
    r"\b(X|trials|sample_weight|params|weights|means|covariances|probs|precision|dtype|backend|method|fixed|mean|scale"
    r"|n_samples|n_components|tol|reg_covar|max_iter|n_init|init_params|random_state|warm_start|verbose|prior"
    r"|verbose_interval|order_by|stopping|acceleration|warm_sweeps|n_threads|n_trials|n_features|has_trials"
    r"|covariance_type|mean_precision|on_collapse|max_time|on_interrupt|callback|checkpoint|checkpoint_every"
    r"|degrees_of_freedom|concentration|wanted|centers|successes|failures|rows)\b"
)
SENTENCES = (
    "ill-defined empirical covariance",  # scikit-learn's
    "is not fitted yet",
    "collapsed at iteration",  # on_collapse="raise"
    "The parameters are not identified by these rows",
    "The information matrix is not positive definite",
)


def assert_documented(error, arguments):
    assert re.search(arguments, str(error)) or any(part in str(error) for part in SENTENCES), repr(error)


@contextmanager
def within(engine=("cython", None), arguments=ARGUMENTS):
    """Run calls under the law: on this twin; no warning but those documented, no hang, and errors with a name."""
    forced = os.environ.get("FASTEM_ISA", "")
    os.environ["FASTEM_ISA"] = engine[1] or ""
    faulthandler.dump_traceback_later(HANG, exit=True)
    try:
        with warnings.catch_warnings():
            for category in DOCUMENTED:
                warnings.simplefilter("ignore", category)
            warnings.filterwarnings("ignore", "X (has|does not have valid) feature names")  # scikit-learn's
            warnings.filterwarnings("ignore", "sample_weight has the sum")
            yield
    except Exception as error:
        if type(error) not in ERRORS:
            raise
        assert_documented(error, arguments)
    finally:
        faulthandler.cancel_dump_traceback_later()
        os.environ["FASTEM_ISA"] = forced


@contextmanager
def unchanged_by_errors(estimator):
    before = dict(vars(estimator))
    try:
        yield
    except Exception:
        assert vars(estimator).keys() == before.keys()
        assert all(vars(estimator)[name] is value for name, value in before.items())
        raise


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


def assert_fitted(mixture):
    single = mixture.weights_.dtype == np.float32
    assert_shares(mixture.weights_, 1e-5 if single or mixture.weights_init is not None else 1e-12)
    criteria = [mixture.loglik_, mixture.entropy_, mixture.aic_, mixture.bic_, mixture.log_posterior_]
    assert np.isfinite(criteria).all()
    assert np.isfinite(mixture.history_.loglik).all()
    assert len(str(mixture.diagnose()).splitlines()) == 1 + len(mixture.weights_)
    public = {name: value for name, value in vars(mixture).items() if not name.startswith("_")}
    restore(type(mixture), public)  # what `load` would not refuse


def assert_densities(mixture):
    """Means and covariances of densities, which the building blocks take."""
    assert np.isfinite(mixture.means_).all()
    assert np.isfinite(mixture.covariances_).all()
    assert np.isfinite(mixture.precisions_cholesky_).all()
    mixture.params_.check()


# --------------------------------------------------------------------------------------------------------- strategies


@st.composite
def normal_settings(draw):
    choices = {
        "covariance_type": TYPES,
        "reg_covar": [0.0, 1e-6, 1.0, 1e30, "auto"],
        "init_params": ["kmeans", "k-means++", "random", "random_from_data"],
        "stopping": ["loglik", "q", "aitken", "gradient"],
        "acceleration": [None, None, "anderson", "squarem", "quasi-newton"],
        "warm_sweeps": [None, "auto"],
        "order_by": [None, "weights", "means"],
        "fixed": [(), ("weights",), ("means",), ("covariances",)],
        "n_init": [1, 2],
        "max_iter": [0, 1, 15],
        "tol": [0.0, 1e-3, 1e300],
        "on_collapse": POLICIES,
        "max_time": [None, 0.0],
    }
    return unheld({name: draw(st.sampled_from(values)) for name, values in choices.items()})


def unheld(settings):
    """What is held is neither reseeded nor dropped."""
    return settings if settings["on_collapse"] in ("floor", "raise") else settings | {"fixed": ()}


@st.composite
def binomial_settings(draw):
    choices = {
        "init_params": ["auto", "quantiles", "kmeans", "random"],
        "stopping": ["loglik", "q", "aitken", "gradient"],
        "acceleration": [None, "anderson", "squarem", "quasi-newton"],
        "order_by": [None, "weights", "probs"],
        "fixed": [(), ("weights",), ("probs",)],
        "prior": [None, BinomialPrior(2.0, 3.0, 1.5)],
        "n_init": [1, 2],
        "max_iter": [0, 1, 15],
        "on_collapse": POLICIES,
    }
    return unheld({name: draw(st.sampled_from(values)) for name, values in choices.items()})


components = st.sampled_from([1, 1, 2, 3, 5, 40, 1000])


# ---------------------------------------------------------------------------------------------------------- estimators


@pytest.mark.numba
@given(st.data(), strategies.engines, components, normal_settings())
def test_a_gaussian_fit_of_any_rows(data, engine, k, settings):
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


@pytest.mark.numba
@given(st.data(), strategies.engines, components, binomial_settings())
def test_a_binomial_fit_of_any_counts(data, engine, k, settings):
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


@pytest.mark.numba
@given(st.data(), strategies.engines, st.integers(1, 4), st.sampled_from(TYPES))
def test_em_on_any_rows_never_falls(data, engine, k, kind):
    X = data.draw(strategies.matrices())
    w = data.draw(strategies.weights_of(len(X)))
    with within(engine):
        mixture = GaussianMixture(k, covariance_type=kind, max_iter=0, random_state=0, reg_covar=0.0)
        start = mixture.fit(X, sample_weight=w).params_
        with fastem.open_rows(X, None, w, fitting=True, backend=engine[0]) as rows:
            assert_no_fall_but_rounding(climb(start, rows.sweep, reg_covar=0.0))


@pytest.mark.numba
@given(st.data(), strategies.engines, st.integers(1, 4))
def test_em_on_any_counts_never_falls(data, engine, k):
    X, trials = data.draw(strategies.counts_of())
    w = data.draw(strategies.weights_of(len(X)))
    with within(engine):
        start = BinomialMixture(k, max_iter=0, random_state=0).fit(X, trials=trials, sample_weight=w).params_
        with fastem.open_rows(X, trials, w, has_trials=True, backend=engine[0]) as rows:
            assert_no_fall_but_rounding(climb(start, rows.sweep))


FITTED = GaussianMixture(2, random_state=0).fit(np.random.default_rng(0).normal(size=(20, 2)))
COINS = BinomialMixture(2, random_state=0, n_trials=9).fit(np.random.default_rng(0).integers(0, 9, (20, 2)))


@pytest.mark.numba
@given(st.data(), strategies.engines)
def test_predictions_of_any_rows(data, engine):
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


SETTINGS = {GaussianMixture: GaussianMixture().get_params(), BinomialMixture: BinomialMixture().get_params()}


@given(st.data(), st.sampled_from([GaussianMixture, BinomialMixture]))
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
        "precisions_init": GaussianParams.covariance_shape(kind, k, d),
    }
    name = data.draw(st.sampled_from(sorted(shapes)))
    value = data.draw(parameters(shapes[name]))
    mixture = GaussianMixture(k, covariance_type=kind, random_state=0, max_iter=5, **{name: value})
    with within(), unchanged_by_errors(mixture):
        mixture.fit(np.random.default_rng(0).normal(size=(20, d)))
        assert_fitted(mixture)
        assert_densities(mixture)


# ------------------------------------------------------------------------------------------------------ building blocks


@st.composite
def parameters(draw, shape):
    """Anything in the place of a parameter of this shape: good, extreme, spoilt, of another shape, nonsense."""
    rng = np.random.default_rng(draw(strategies.SEEDS))
    values = rng.random(shape) + (np.eye(shape[-1]) if shape[-1:] == shape[-2:-1] else 0.0)
    if len(shape) > 1 and shape[-1] == shape[-2]:
        values = values @ values.swapaxes(-1, -2)
    if len(shape) == 1:
        values = values / values.sum()
    extremes = [1.0, 1e-300, 1e-12, 1e12, 1e139, 1e300, -1.0, 0.0]
    scaled = values * draw(st.sampled_from(extremes)) if draw(st.booleans()) else values
    return draw(
        st.one_of(
            strategies.dressed(scaled), strategies.dressed(scaled), strategies.spoilt(scaled), strategies.NONSENSE
        )
    )


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


@pytest.mark.numba
@given(st.data(), strategies.engines, st.sampled_from(TYPES))
def test_a_sweep_at_any_normal_parameters(data, engine, kind):
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


@pytest.mark.numba
@given(st.data(), strategies.engines)
def test_a_sweep_at_any_binomial_parameters(data, engine):
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
