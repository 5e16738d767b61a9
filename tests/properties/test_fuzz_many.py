"""Any groups of rows: a fit, a status or an error that names its argument; on every twin.  See test_fuzz.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import strategies
from support.asserts import assert_shares
from support.fuzzing import within

from fastem import FitStatus, fit_many
from fastem.families.registry import NAMES as FAMILIES

NAMES = ("values", "offsets", "n_components", "family", "trials", "sample_weight", "tol", "max_iter", "reg_covar",
         "weights_init", "means_init", "variances_init", "probs_init", "rates_init",
         "n_threads", "backend")  # fmt: skip
ARGUMENTS = rf"\b({'|'.join(NAMES)})\b"

NO_NUMBERS = [np.nan, np.inf, -np.inf, 1e141, 1.7e308, -1.0, 0.5, 2.0**53 + 2]
"""Of which some are no values, and none is a count of at most 10 trials."""

components = st.sampled_from([1, 2, 2, 3, 5, 40, 1000])
settings = st.fixed_dictionaries(
    {
        "reg_covar": st.sampled_from([0.0, 1e-6, "auto", 1.0, 1e30, 1e300]),
        "tol": st.sampled_from([0.0, 1e-3, 1e300]),
        "max_iter": st.sampled_from([0, 1, 15]),
        "n_threads": st.sampled_from([1, 2]),
    }
)


@st.composite
def offsets_of(draw, n):
    """Groups of n rows, some of them empty."""
    return np.array([0, *sorted(draw(st.lists(st.integers(0, n), max_size=6))), n])


@st.composite
def with_holes(draw, values):
    """Some of them are no numbers."""
    rng, spoilt = np.random.default_rng(draw(strategies.SEEDS)), values.copy()
    holes = rng.random(values.shape) < draw(st.sampled_from([0.0, 0.0, 0.05, 0.5]))
    spoilt[holes] = rng.choice(NO_NUMBERS, int(holes.sum()))
    return spoilt


def assert_fits(fits, names, offsets):
    """Finite where there is a component, NaN where there is none; labels likewise."""
    m, k = len(offsets) - 1, max(fits.sizes)
    assert np.isin(fits.status, list(FitStatus)).all()
    assert np.isin(fits.n_components[fits.fitted], fits.sizes).all()
    assert (fits.n_components[~fits.fitted] == 0).all()
    has_component = np.arange(k) < fits.n_components[:, np.newaxis]
    for array in (fits.weights, *(getattr(fits, name) for name in names)):
        assert array.shape == (m, k)
        np.testing.assert_array_equal(np.isfinite(array), has_component)
        np.testing.assert_array_equal(np.isnan(array), ~has_component)
    np.testing.assert_array_equal(np.isfinite(fits.loglik), fits.fitted)
    assert_shares(np.where(has_component, fits.weights, 0.0)[fits.fitted], 1e-12)
    order = np.diff(getattr(fits, names[0]), axis=1)
    assert (order[has_component[:, 1:]] >= 0).all()
    assert not fits.fitted[np.diff(offsets) < min(fits.sizes)].any()
    assert (fits.n_iter[~fits.fitted] == 0).all()


def assert_labels(labels, fits, offsets, has_value):
    has_fit = np.repeat(fits.fitted, np.diff(offsets))
    np.testing.assert_array_equal(labels >= 0, has_fit & has_value)
    assert (labels < fits.weights.shape[1]).all()


@strategies.engines
@given(st.data(), components, settings)
def test_a_fit_of_any_values_in_groups(engines, data, k, rules):
    engine = data.draw(engines)
    values = data.draw(with_holes(data.draw(strategies.matrices(d=1))[:, 0]))
    values = data.draw(strategies.singles(st.just(values)))
    offsets, w = data.draw(offsets_of(len(values))), data.draw(strategies.weights_of(len(values)))
    rows, edges, weights = (data.draw(strategies.dressed(array)) for array in (values, offsets, w))
    with within(engine, ARGUMENTS):
        fits = fit_many(rows, edges, k, sample_weight=weights, backend=engine[0], **rules)
        assert_fits(fits, ("means", "variances"), offsets)
        assert (fits.variances[fits.fitted] > 0).all()
        assert_labels(fits.labels(rows), fits, offsets, ~np.isnan(values))


@strategies.engines
@given(st.data(), components, settings)
def test_a_fit_of_any_counts_in_groups(engines, data, k, rules):
    engine = data.draw(engines)
    successes, trials = data.draw(strategies.counts_of(d=1))
    values = data.draw(with_holes(successes[:, 0]))
    tosses = trials if trials.ndim == 0 else data.draw(with_holes(np.broadcast_to(trials, successes.shape)[:, 0]))
    offsets, w = data.draw(offsets_of(len(values))), data.draw(strategies.weights_of(len(values)))
    rows, tries, edges, weights = (data.draw(strategies.dressed(array)) for array in (values, tosses, offsets, w))
    options = {"family": "binomial", "sample_weight": weights, "backend": engine[0], **rules}
    with within(engine, ARGUMENTS):
        fits = fit_many(rows, edges, k, trials=tries, **options)
        assert_fits(fits, ("probs",), offsets)
        assert ((fits.probs >= 0) & (fits.probs <= 1))[fits.fitted].all()
        assert_labels(fits.labels(rows, tries), fits, offsets, (values >= 0) & (values <= tosses) & np.isfinite(tosses))


@pytest.mark.numba
@given(st.data(), components, settings)
def test_cython_and_numba_find_the_same_faults(data, k, rules):
    values = data.draw(with_holes(data.draw(strategies.matrices(d=1))[:, 0]))
    offsets, w = data.draw(offsets_of(len(values))), data.draw(strategies.weights_of(len(values)))
    with within(arguments=ARGUMENTS):
        one, other = (
            fit_many(values, offsets, k, sample_weight=w, backend=twin, **rules) for twin in ("cython", "numba")
        )
        np.testing.assert_array_equal(one.status[~one.fitted], other.status[~one.fitted])
        np.testing.assert_array_equal(one.fitted, other.fitted)


@given(st.data(), st.sampled_from(FAMILIES), st.sampled_from(NAMES))
def test_any_argument(data, family, name):
    """Spoilt, nonsense, or of another shape."""
    counts = np.random.default_rng(0).integers(0, 9, 20).astype(float)
    good = {"values": counts, "offsets": np.array([0, 5, 5, 20]), "n_components": 2, "family": family}
    arrays = {"values": counts, "offsets": good["offsets"], "trials": counts + 1, "sample_weight": np.ones(20)}
    arrays |= dict.fromkeys(
        ("weights_init", "means_init", "variances_init", "probs_init", "rates_init"), np.array([0.25, 0.75])
    )
    good |= {"trials": 9} if family == "binomial" else {}
    spoilt = strategies.spoilt(arrays[name]) if name in arrays else strategies.NONSENSE
    value = data.draw(st.one_of(strategies.NONSENSE, spoilt))
    if name == "n_threads" and isinstance(value, int) and value > 1:
        return  # as told
    with within(arguments=ARGUMENTS):
        fits = fit_many(**good | {name: value})
        assert_fits(fits, fits.parameter_names, fits.offsets)
