"""Pictures of Poisson mixtures: bars are shares of rows, curves are probabilities."""

import math

import matplotlib as mpl
import numpy as np
import pytest
from scipy import stats

import fastem
from fastem.plotting import poisson

mpl.use("Agg")
import matplotlib.pyplot as plt

RNG = np.random.default_rng(0)
CALLS = RNG.poisson(RNG.choice([2.0, 12.0], size=400))


@pytest.fixture(autouse=True)
def no_figure_stays():
    yield
    plt.close("all")


def lines(axes):
    return {line.get_label().split(",")[0]: line.get_xydata() for line in axes.get_lines()}


def test_small_counts_have_a_bar_each():
    weights = RNG.integers(1, 4, size=400).astype(float)
    mixture = fastem.PoissonMixture(2, order_by="rates").fit(CALLS, sample_weight=weights)
    (axes,) = fastem.PoissonMixtureDisplay.from_estimator(mixture, CALLS, sample_weight=weights).axes_
    observed = np.bincount(CALLS, weights) / weights.sum()
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], observed)
    counts = np.arange(len(observed))
    for c, curve in enumerate(list(lines(axes).values())[:2]):
        expected = mixture.weights_[c] * stats.poisson.pmf(counts, mixture.rates_[c, 0])
        np.testing.assert_allclose(curve, np.column_stack([counts, expected]), atol=1e-12)
    np.testing.assert_allclose(lines(axes)["mixture"][:, 1], np.exp(mixture.score_samples(counts)), rtol=1e-9)


@pytest.mark.parametrize("factor", [30, 30_000], ids=["exact", "normal"])
def test_shares_of_wide_bins_are_those_of_a_large_sample(factor):
    """A bin of share p, of so many draws, is off by sqrt(p / n): four of that at the most."""
    params = fastem.PoissonParams(np.array([0.4, 0.6]), factor * np.array([[2.0], [12.0]]))
    n, rng = 200_000, np.random.default_rng(1)
    labels = rng.choice(2, p=params.weights, size=n)
    counts = rng.poisson(params.rates[labels, 0]).astype(float)
    edges = poisson.count_edges(counts)
    found = poisson.expected_shares(params, edges)
    expected = np.array([np.histogram(counts[labels == c], edges)[0] / n for c in range(2)])
    assert found.sum() == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(found, expected, atol=0.003 + 4 * math.sqrt(0.1 / n))


def test_columns_have_a_panel_each_with_their_names():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"calls": CALLS, "visits": RNG.poisson(400.0, size=400)})
    mixture = fastem.PoissonMixture(2, random_state=0).fit(frame)
    shown = fastem.PoissonMixtureDisplay.from_estimator(mixture, frame)
    assert [axes.get_xlabel() for axes in shown.axes_] == ["calls", "visits"]
    assert sum(bar.get_height() for bar in shown.axes_[1].patches) == pytest.approx(1.0)


@pytest.mark.parametrize("rows", [np.zeros(5), np.full(5, 10**6), [0, 10**9], [0, 2**53]], ids=range(4))
@pytest.mark.filterwarnings("ignore::fastem.EqualComponentWarning")
def test_any_counts_are_drawn(rows):
    mixture = fastem.PoissonMixture(1).fit(rows)
    (axes,) = fastem.PoissonMixtureDisplay.from_estimator(mixture, rows).axes_
    assert all(np.isfinite(curve).all() for curve in lines(axes).values())


def test_bad_arguments_are_named():
    mixture = fastem.PoissonMixture(2).fit(CALLS)
    drawn = fastem.PoissonMixtureDisplay.from_estimator
    with pytest.raises(fastem.NotFittedError):
        drawn(fastem.PoissonMixture(), CALLS)
    with pytest.raises(ValueError, match="X has 2 features, but PoissonMixture is expecting 1"):
        drawn(mixture, np.column_stack([CALLS, CALLS]))
    with pytest.raises(ValueError, match="whole numbers"):
        drawn(mixture, CALLS + 0.5)
    with pytest.raises(ValueError, match="sample_weight must have shape"):
        drawn(mixture, CALLS, sample_weight=[1.0])
    with pytest.raises(ValueError, match="ax must have 1 panels, got 2"):
        drawn(mixture, CALLS, ax=plt.subplots(1, 2)[1])
