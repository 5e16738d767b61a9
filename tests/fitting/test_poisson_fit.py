"""Fits of Poisson mixtures: acceleration, stopping, collapse, checkpoints, interruptions."""

import math

import numpy as np
import pytest
from support import datasets
from support.asserts import same_fit
from support.sweeps import poisson_params

import fastem
from fastem import PoissonMixture
from fastem.fitting.acceleration import ACCELERATORS

accelerations = pytest.mark.parametrize("acceleration", [None, *ACCELERATORS])
worlds = pytest.mark.parametrize(
    "world", [datasets.two_rates, datasets.three_rates, datasets.three_columns, datasets.silent_column,
              datasets.without_events], ids=lambda world: world.name,
)  # fmt: skip
WEEKS = np.repeat(np.arange(10), [162, 267, 271, 185, 111, 61, 27, 8, 3, 1])
"""Days by deaths of women over 80 in The Times (Hasselblad 1969): plain EM takes thousands of sweeps."""

pytestmark = pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning")


def em(params, X, **options):
    fixed = options.get("fixed", ())
    options = {"tol": 1e-12, "max_iter": 20_000, **options}
    with fastem.open_rows(X, row_kind="counts") as rows:
        return fastem.em(rows.sweep, lambda stats: stats.maximize(fixed=fixed), params, **options)


@pytest.mark.parametrize("acceleration", ACCELERATORS)
@worlds
def test_the_same_maximum_in_no_more_sweeps_and_never_a_fall(world, acceleration):
    start = poisson_params(world)
    plain, fast = em(start, world.X), em(start, world.X, acceleration=acceleration)
    # a fit ends where an iteration gains less than 1e-12 per row; plain EM has up to 1e-9 still to gain there
    assert fast.loglik >= plain.loglik - 1e-8 * len(world.X)
    assert fast.n_sweeps <= plain.n_iter + 6
    assert (np.diff(fast.history.loglik) >= -1e-12 * np.abs(fast.history.loglik[1:])).all()
    np.testing.assert_allclose(fast.history.q + fast.history.entropy, fast.history.loglik, rtol=1e-10)


@pytest.mark.parametrize("acceleration", ACCELERATORS)
@pytest.mark.parametrize("group", ["weights", "rates"])
def test_a_fixed_group_keeps_its_bits(group, acceleration):
    start = poisson_params(datasets.three_columns)
    fit = em(start, datasets.three_columns.X, acceleration=acceleration, fixed=(group,), max_iter=50)
    np.testing.assert_array_equal(getattr(fit.params, group), getattr(start, group))


@pytest.mark.parametrize("acceleration", [None, "quasi-newton"])
def test_a_mask_keeps_the_bits_of_its_components(acceleration):
    world = datasets.three_rates
    start = {"weights_init": world.weights, "rates_init": world.rates}
    fixed = {"rates": [False, True, False], "weights": [True, False, False]}
    mixture = PoissonMixture(3, fixed=fixed, acceleration=acceleration, **start).fit(world.X)
    assert mixture.rates_[1, 0] == world.rates[1, 0]
    assert mixture.weights_[0] == world.weights[0]
    assert (mixture.rates_[[0, 2]] != world.rates[[0, 2]]).all()
    assert mixture.n_parameters_ == 3
    assert (np.diff(mixture.history_.loglik) >= -1e-12 * np.abs(mixture.history_.loglik[1:])).all()


@pytest.mark.parametrize("stopping", ["aitken", "gradient"])
@accelerations
def test_a_fit_knows_when_it_is_at_its_maximum(stopping, acceleration):
    slow = {"init_params": "quantiles"}
    best = PoissonMixture(2, tol=1e-14, stopping="gradient", max_iter=9_999, **slow).fit(WEEKS)
    options = {"stopping": stopping, "acceleration": acceleration, "max_iter": 20_000}
    found = PoissonMixture(2, tol=1e-8, **options, **slow).fit(WEEKS)
    assert found.converged_
    if (acceleration, stopping) != ("squarem", "aitken"):  # its gains rise and fall: the last ones tell no rate
        assert (best.loglik_ - found.loglik_) / len(WEEKS) < 1e-7  # an estimate: right to a factor of ten
    np.testing.assert_allclose(best.rates_.ravel(), [1.2561, 2.6634], atol=1e-4)
    if acceleration in ("anderson", "quasi-newton"):
        assert found.n_sweeps_ < 150


@accelerations
def test_a_mixture_of_one_is_at_its_maximum_after_a_few_sweeps(acceleration):
    for stopping in ("loglik", "q", "aitken", "gradient"):
        mixture = PoissonMixture(1, stopping=stopping, acceleration=acceleration, tol=1e-9).fit(datasets.one_rate.X)
        assert mixture.converged_
        assert mixture.n_iter_ <= 6
        assert mixture.rates_[0, 0] == pytest.approx(datasets.one_rate.X.mean(), rel=1e-14)


@worlds
def test_falls_are_within_the_bound_of_rounding(world):
    mixture = PoissonMixture(len(world.weights), weights_init=world.weights, rates_init=world.rates, tol=0.0,
                             max_iter=300, acceleration=None).fit(world.X)  # fmt: skip
    assert mixture.ascent_.holds


def test_same_bits_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr("fastem.kernels.backend.PARALLEL_WORK", 0)
    X = np.random.default_rng(0).poisson(50.0, size=(9_000, 3))
    one, two = (PoissonMixture(3, random_state=0, n_threads=n, max_iter=20).fit(X) for n in (1, 2))
    same_fit(one, two)


# ------------------------------------------------------------------------------------------------------------- collapse

EMPTY = {"rates_init": [1.0, 9.0, 50.0], "weights_init": [0.5, 0.5, 0.0], "random_state": 0}


@pytest.mark.filterwarnings("ignore::fastem.EmptyComponentWarning", "ignore::fastem.EqualComponentWarning")
def test_components_without_rows_are_told_dropped_and_reseeded():
    X = np.repeat([0, 1, 2, 8, 10], 50)
    floor, drop, reseed = (PoissonMixture(3, on_collapse=how, **EMPTY).fit(X) for how in ("floor", "drop", "reseed"))
    assert [each.component for each in floor.collapses_] == [2]
    assert math.isnan(floor.collapses_[0].smallest_eigenvalue)
    assert floor.empty_components_.tolist() == [2]
    assert floor.rates_[2, 0] == pytest.approx(50.0, rel=1e-14)  # from its logarithm and back
    assert floor.diagnose().complaints[2] == ("has lost its rows",)
    assert len(drop.weights_) == 2
    np.testing.assert_allclose(drop.rates_, floor.rates_[:2], rtol=1e-6)
    assert reseed.collapses_[0].action == "reseed"
    assert reseed.weights_[2] > 0
    with pytest.raises(fastem.CollapsedComponentError, match="component 2 collapsed at iteration"):
        PoissonMixture(3, on_collapse="raise", **EMPTY).fit(X)


def test_empty_and_equal_components_are_warned_about():
    X = np.repeat([0, 1, 2, 8, 10], 50)
    with pytest.warns(fastem.EmptyComponentWarning, match=r"\[2\]"):
        PoissonMixture(3, **EMPTY).fit(X)
    with pytest.warns(fastem.EqualComponentWarning, match=r"components \[1\] equal others before them"):
        equal = PoissonMixture(2, rates_init=[4.0, 4.0], weights_init=[0.4, 0.6]).fit(X)
    assert equal.remaining_gain_ == np.inf
    assert equal.diagnose().complaints == ((), ("equals a component before it",))


@pytest.mark.parametrize("policy", ["reseed", "drop"])
def test_what_is_fixed_cannot_be_reseeded_or_dropped(policy):
    with pytest.raises(ValueError, match=f"on_collapse must be 'floor' or 'raise' where .* fixed, got '{policy}'"):
        PoissonMixture(3, on_collapse=policy, fixed=("rates",), **EMPTY).fit([1, 2, 3])


# ---------------------------------------------------------------------------------------- a fit that stops and goes on

SETTINGS = {
    "tol": 1e-9, "max_iter": 120, "random_state": 3, "stopping": "loglik", "acceleration": None,
    "init_params": "quantiles",
}  # fmt: skip


def fitted(**settings):
    return PoissonMixture(2, **(SETTINGS | settings)).fit(WEEKS)


def test_a_fit_whose_time_is_over_is_the_fit_of_its_iterations():
    short, start = fitted(max_time=0.0), fitted(max_iter=0)
    assert (short.n_iter_, short.cut_short_, short.stop_reason_) == (0, True, "max_time is over")
    np.testing.assert_array_equal(short.rates_, start.rates_)
    assert short.loglik_ == start.loglik_


@pytest.mark.parametrize("settings", [{}, {"acceleration": "quasi-newton", "stopping": "aitken"},
                                      {"acceleration": "anderson", "n_init": 3}])  # fmt: skip
def test_a_fit_that_was_interrupted_goes_on_from_its_checkpoint_with_the_same_bits(
    settings, tmp_path, monkeypatch, swept_in_python
):
    expected = fitted(**settings)
    path, sweep, count = tmp_path / "fit.npz", fastem.Rows.sweep, 0

    def interrupted(rows, params):
        nonlocal count
        count += 1
        if count == 9:
            raise KeyboardInterrupt
        return sweep(rows, params)

    with monkeypatch.context() as patch:
        patch.setattr(fastem.Rows, "sweep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fitted(checkpoint=path, checkpoint_every=0, **settings)
    assert path.exists()
    same_fit(fitted(checkpoint=path, checkpoint_every=0, **settings), expected)


def test_a_checkpoint_of_another_fit_is_refused(tmp_path):
    path = tmp_path / "fit.npz"
    assert fitted(checkpoint=path, checkpoint_every=0, max_time=0.0).cut_short_
    assert path.exists()
    with pytest.raises(ValueError, match="checkpoint"):
        PoissonMixture(3, checkpoint=path, **SETTINGS).fit(WEEKS)


def test_a_callback_ends_a_fit():
    calls = []
    found = fitted(callback=lambda *arguments: calls.append(arguments) or len(calls) == 4)
    assert found.cut_short_
    np.testing.assert_array_equal([each[1] for each in calls[: found.n_iter_]], found.history_.loglik)
