"""The driver and the public building blocks, without the estimators."""

import numpy as np
import pytest
from support import datasets
from support.sweeps import normal_params

import fastem
from fastem.fitting.restarts import coarse_to_fine


class Climb:
    """A model of one number: loglik = -(x - 3)^2, each M-step halves the way to 3."""

    def __init__(self, x):
        self.loglik = -((x - 3) ** 2)
        self.q, self.entropy, self.total, self.x = self.loglik - 1, 1.0, 2.0, x


def climb(**settings):
    return fastem.em(Climb, lambda stats: (stats.x + 3) / 2, 0.0, **settings)


def test_em_needs_nothing_but_two_functions():
    fit = climb(tol=1e-9)
    assert fit.converged
    assert fit.params == pytest.approx(3.0, abs=1e-3)
    assert fit.stats.x == fit.params
    assert fit.loglik == fit.stats.loglik
    assert len(fit.history) == fit.n_iter


def test_em_stops_on_the_mean_log_likelihood_or_on_total_q():
    by_mean, by_q = climb(tol=1e-3), climb(tol=1e-3, stopping="q")
    assert abs(np.diff(by_mean.history.loglik)[-1]) / 2 < 1e-3 <= abs(np.diff(by_mean.history.loglik)[-2]) / 2
    assert abs(np.diff(by_q.history.q)[-1]) < 1e-3 <= abs(np.diff(by_q.history.q)[-2])
    assert (by_mean.stop_reason, by_q.stop_reason) == (
        "change of loglik below tol=0.001",
        "change of q below tol=0.001",
    )


def test_em_stops_at_max_iter_and_at_zero_iterations():
    assert (climb(max_iter=3).n_iter, climb(max_iter=3).converged) == (3, False)
    start = climb(max_iter=0)
    assert (start.params, start.n_iter, start.loglik) == (0.0, 0, -9.0)


def test_em_refuses_an_unknown_rule():
    with pytest.raises(
        ValueError, match="stopping must be one of 'loglik', 'q', 'gain', 'aitken', 'gradient', got 'never'"
    ):
        climb(stopping="never")


def test_em_reports_each_iteration():
    seen = []
    climb(max_iter=4, tol=0.0, on_iteration=lambda iteration, stats, change: seen.append((iteration, stats.x)))
    assert seen == [(1, 0.0), (2, 1.5), (3, 2.25), (4, 2.625)]


def test_em_over_chunks_is_em_over_the_whole(twin):
    """How another package uses fastem as its backend."""
    world = datasets.overlapping
    chunks = np.array_split(world.X, 7)

    def sweep(params):
        stats = [fastem.accumulate(params, chunk, backend=twin) for chunk in chunks]
        return sum(stats[1:], start=stats[0])

    start = normal_params(world, "full")
    pieces = fastem.em(sweep, lambda stats: stats.maximize(), start, tol=1e-8, max_iter=1000)
    whole = fastem.em(
        lambda params: fastem.accumulate(params, world.X, backend=twin), lambda stats: stats.maximize(), start,
        tol=1e-8, max_iter=1000,
    )  # fmt: skip
    assert pieces.n_iter == whole.n_iter
    np.testing.assert_allclose(pieces.params.means, whole.params.means, rtol=1e-9)


def test_posterior_of_a_building_block_is_the_estimators():
    world = datasets.overlapping
    mixture = fastem.GaussianMixture(3, random_state=0).fit(world.X)
    params = fastem.GaussianParams(mixture.weights_, mixture.means_, mixture.covariances_)
    found = fastem.posterior(params, world.X)
    np.testing.assert_array_equal(found.log_prob, mixture.score_samples(world.X))
    np.testing.assert_array_equal(found.resp, mixture.predict_proba(world.X))
    np.testing.assert_array_equal(found.labels, mixture.predict(world.X))


def test_every_public_name_is_there():
    for name in fastem.__all__:
        assert getattr(fastem, name).__doc__, name
    assert set(fastem.__all__) <= set(dir(fastem))
    assert fastem.__version__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fastem.nothing  # noqa: B018


# ----------------------------------------------------------------------------------------------------- the certificate


@pytest.mark.parametrize("acceleration", [None, "anderson", "squarem", "quasi-newton"])
@pytest.mark.parametrize("world", datasets.NORMAL_WORLDS, ids=lambda world: world.name)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.seconds
def test_no_fit_falls_by_more_than_is_explained(world, acceleration):
    fit = fastem.em(
        lambda params: fastem.accumulate(params, world.X), lambda stats: stats.maximize(reg_covar=0.0),
        normal_params(world, "full"), tol=0.0, max_iter=75, acceleration=acceleration,
    )  # fmt: skip
    logliks = [*fit.history.loglik, fit.loglik]
    assert fit.ascent.largest_fall == max(0.0, *(-np.diff(logliks)))
    assert fit.ascent.holds == (world is not datasets.collapsed)  # whose thin component is known to rounding alone
    if fit.ascent.iteration:
        assert logliks[fit.ascent.iteration - 1] - logliks[fit.ascent.iteration] == fit.ascent.largest_fall


def test_a_fall_that_nothing_explains_is_told():
    """An M-step that is none: it walks past the maximum."""
    fit = fastem.em(Climb, lambda stats: stats.x + 2.0, 0.0, tol=0.0, max_iter=5)
    assert fit.ascent == fastem.Ascent(largest_fall=24.0, bound=0.0, iteration=5)
    assert not fit.ascent.holds
    assert climb().ascent.largest_fall == 0.0


class Slope(Climb):
    """A model whose log likelihood is known to a twentieth, or to what `rounding` says."""

    rounding = 0.05


def test_a_bound_that_tells_nothing_certifies_nothing(monkeypatch):
    rough = fastem.em(Slope, lambda stats: (stats.x + 3) / 2, 0.0, tol=0.0, max_iter=5)
    assert (rough.ascent.largest_fall, rough.ascent.bound) == (0.0, np.inf)
    assert not rough.ascent.holds
    monkeypatch.setattr(Slope, "rounding", 1e-5)
    fine = fastem.em(Slope, lambda stats: (stats.x + 3) / 2, 0.0, tol=0.0, max_iter=5)
    assert fine.ascent == fastem.Ascent(largest_fall=0.0, bound=2e-5, iteration=0)
    assert fine.ascent.holds


class Told:
    """A walk along a list: log likelihoods, and what rounding may do to each."""

    path = ((-1e6, 1.0), (-1e6 - 1.0, 0.1), (-1e6 - 1.5, 0.1), (-1e6, 0.1))
    q = entropy = total = 1.0

    def __init__(self, at):
        self.at, (self.loglik, self.rounding) = at, self.path[at]


def test_a_larger_fall_that_is_explained_does_not_hide_one_that_is_not():
    fit = fastem.em(Told, lambda stats: stats.at + 1, 0, tol=0.0, max_iter=3)
    assert fit.ascent == fastem.Ascent(
        largest_fall=0.5, bound=0.2, iteration=2
    )  # the first, by 1, may have been by 1.1
    assert not fit.ascent.holds


@pytest.mark.parametrize("acceleration", [None, "anderson", "squarem", "quasi-newton"])
@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.seconds
def test_no_fit_is_certified_that_falls_by_more_than_a_small_share(kind, acceleration):
    """A component on a line, on equal rows, nearly collinear columns, weights of every size."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X, w = rng.normal(size=(40, 2)), rng.random(40) * 10.0 ** rng.integers(-3, 4)
        X[:12] = (np.linspace(5, 6, 12)[:, None] * [1.0, 0.3], [3.0, 3.0], X[:12, :1] * [1, 1] + 1e-9 * X[:12])[
            seed % 3
        ]
        start = normal_start(X, kind)
        with fastem.open_rows(X, None, w) as rows:
            fit = fastem.em(
                rows.sweep, lambda stats: stats.maximize(reg_covar=0.0), start,
                tol=0.0, max_iter=120, acceleration=acceleration,
            )  # fmt: skip
        size = max(abs(fit.loglik), w.sum())
        falls = -np.diff([*fit.history.loglik, fit.loglik])
        assert not fit.ascent.holds or falls.max() <= 1e-4 * size
        if fit.ascent.holds:
            assert fit.stats.rounding <= 1e-4 * size


def normal_start(X, kind):
    means, eye = X[[0, 20, 30]], np.eye(2)
    covariances = {"full": np.stack([eye] * 3), "tied": eye, "diag": np.ones((3, 2)), "spherical": np.ones(3)}[kind]
    return fastem.GaussianParams(np.full(3, 1 / 3), means, covariances, kind)


# ---------------------------------------------------------------------------------------- first on parts of the rows


def test_parts_are_views_of_evenly_spread_rows_the_smaller_ones_first():
    X = np.arange(2_600.0).reshape(1_300, 2)
    weights = np.ones(1_300)
    rows = fastem.open_rows(X, None, weights)
    parts = rows.subsets(20)
    assert [len(part) for part in parts] == [21, 100]
    for part, step in zip(parts, (61, 13), strict=True):
        assert np.shares_memory(part.data[0], X)
        np.testing.assert_array_equal(np.diff(part.data[0][:, 0]), 2 * step)
    assert rows.subsets(1_000) == []
    weights[30::61] = 0.0  # a part without weight tells nothing
    assert [len(part) for part in rows.subsets(20)] == [100]


@pytest.mark.parametrize("acceleration", [None, "quasi-newton"])
def test_warm_sweeps_lead_to_the_same_maximum_from_a_far_start_in_fewer_sweeps_over_all_rows(acceleration):
    rng = np.random.default_rng(0)
    n, options = 200_000, {"stopping": "aitken", "tol": 1e-8, "max_iter": 5_000, "acceleration": acceleration}
    options |= {"means_init": [[1.5], [4.0]], "precisions_init": [[[0.3]]] * 2, "random_state": 0, "reg_covar": 0.0}
    X = rng.normal(size=(n, 1)) + 2.5 * rng.integers(2, size=(n, 1))
    cold, warm = (fastem.GaussianMixture(2, warm_sweeps=w, **options).fit(X) for w in (None, "auto"))
    assert warm.loglik_ / n == pytest.approx(cold.loglik_ / n, abs=1e-7)
    assert warm.n_sweeps_ < cold.n_sweeps_


def test_warm_sweeps_of_few_rows_are_none():
    X = np.random.default_rng(0).normal(size=(2_000, 1))
    cold, warm = (fastem.GaussianMixture(2, random_state=0, warm_sweeps=w).fit(X) for w in (None, "auto"))
    np.testing.assert_array_equal(cold.means_, warm.means_)


def test_a_part_is_left_when_it_has_less_to_gain_than_its_rows_can_tell():
    asked = []

    def run(part, start, tol):
        asked.append((len(part), tol))
        return fastem.em(part.sweep, lambda stats: stats.maximize(), start, max_iter=1)

    X = np.random.default_rng(0).normal(size=(13_000, 1))
    start = fastem.GaussianParams(np.full(2, 0.5), np.array([[-1.0], [1.0]]), np.ones((2, 1)), "diag")
    led = coarse_to_fine(fastem.open_rows(X).subsets(100), run)(start)
    assert asked == [(213, 5 / 426), (1_000, 5 / 2_000)]
    assert (led.means != start.means).all()


OUTLIERS = {"means_init": [[0.0], [1e3]], "precisions_init": np.ones((2, 1, 1)), "weights_init": [0.5, 0.5]}


@pytest.mark.parametrize("settings", [{"warm_sweeps": "auto"}, {"n_init": 5}], ids=["warm", "screened"])
def test_a_component_whose_rows_are_in_no_part_is_not_lost(settings):
    X = np.random.default_rng(0).normal(size=(200_000, 1))
    X[13 * np.arange(1, 9)] += 1000.0  # every 13th row from the 6th on has none of them
    mixture = fastem.GaussianMixture(2, random_state=0, **OUTLIERS, **settings).fit(X)
    assert mixture.weights_[1] == pytest.approx(8 / len(X), rel=1e-6)


def test_starts_are_told_by_the_row_whether_they_were_screened_out_or_not():
    X = np.random.default_rng(0).normal(size=(50_000, 2))
    starts = fastem.GaussianMixture(2, n_init=5, random_state=0).fit(X).starts_
    assert [start.stop_reason.startswith("screened out") for start in starts] == [False] * 3 + [True] * 2
    np.testing.assert_allclose([start.mean_loglik for start in starts[:3]], starts[0].mean_loglik, atol=0.05)
    assert np.isnan([start.mean_loglik for start in starts[3:]]).all()


def test_rows_can_be_opened_again(monkeypatch):
    monkeypatch.setattr("fastem.kernels.backend.PARALLEL_WORK", 0)
    params = fastem.GaussianParams(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
    rows = fastem.open_rows(np.ones((10_000, 1)), n_threads=2)
    found = []
    for _ in range(2):
        with rows:
            found.append(rows.sweep(params).loglik)
    assert found[0] == found[1] == rows.sweep(params).loglik
