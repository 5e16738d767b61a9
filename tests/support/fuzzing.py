"""The law under which any input is tried: an error that names its argument, or a finite result."""

import faulthandler
import os
import re
import warnings
from contextlib import contextmanager

import numpy as np
from hypothesis import strategies as st

import fastem
from fastem import BinomialMixture, BinomialPrior, GaussianMixture
from fastem.fitting.collapse import POLICIES
from fastem.persistence import restore
from fastem.validation.arrays import BadValueError
from support import strategies
from support.asserts import assert_shares

HANG = 120.0
"""Seconds after which a call is a hang: the process ends, with the place where it hung."""
TYPES = ("full", "tied", "diag", "spherical")
DOCUMENTED = (
    fastem.ConvergenceWarning,
    fastem.CollapsedComponentWarning,
    fastem.EmptyComponentWarning,
    fastem.EqualComponentWarning,
    fastem.IdentifiabilityWarning,
)
ERRORS = (ValueError, BadValueError, TypeError, ImportError, fastem.NotFittedError, fastem.CollapsedComponentError)
ARGUMENTS = (
    r"\b(X|trials|sample_weight|params|weights|means|covariances|probs|rates|precision|dtype|backend|method|fixed|mean"
    r"|scale|n_samples|n_components|tol|reg_covar|max_iter|n_init|init_params|random_state|warm_start|verbose|prior"
    r"|verbose_interval|order_by|stopping|acceleration|warm_sweeps|n_threads|n_trials|n_features|has_trials"
    r"|covariance_type|mean_precision|on_collapse|max_time|on_interrupt|callback|checkpoint|checkpoint_every"
    r"|missing|noise|labels|degrees_of_freedom|concentration|wanted|centers|successes|failures|rows)\b"
)
SENTENCES = (
    "ill-defined empirical covariance",  # scikit-learn's
    "while a minimum of 2 is required",
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


def assert_fitted(mixture):
    single = mixture.weights_.dtype == np.float32
    shares = np.append(mixture.weights_, getattr(mixture, "noise_weight_", []))
    assert_shares(shares, 1e-5 if single or mixture.weights_init is not None else 1e-12)
    criteria = [mixture.loglik_, mixture.entropy_, mixture.aic_, mixture.bic_, mixture.log_posterior_]
    assert np.isfinite(criteria).all()
    assert np.isfinite(mixture.history_.loglik).all()
    told = mixture.diagnose()
    assert len(str(told).splitlines()) >= 1 + len(told.weights) + sum(map(len, told.complaints))
    public = {name: value for name, value in vars(mixture).items() if not name.startswith("_")}
    restore(type(mixture), public)  # what `load` would not refuse


def assert_densities(mixture):
    """Means and covariances of densities, which the building blocks take."""
    assert np.isfinite(mixture.means_).all()
    assert np.isfinite(mixture.covariances_).all()
    assert np.isfinite(mixture.precisions_cholesky_).all()
    mixture.params_.check()


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


FITTED = GaussianMixture(2, random_state=0).fit(np.random.default_rng(0).normal(size=(20, 2)))
COINS = BinomialMixture(2, random_state=0, n_trials=9).fit(np.random.default_rng(0).integers(0, 9, (20, 2)))


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
