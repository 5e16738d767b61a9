"""The search for where a fit begins: its laws, whatever the family is."""

import numpy as np
import pytest
from support.asserts import same_fit

import fastem
from fastem import BinomialMixture, GaussianMixture, PoissonMixture
from fastem.data.kmeans import START_ROWS, thinned
from fastem.families.binomial.family import BinomialFamily
from fastem.families.fixed import Fixed
from fastem.families.gaussian.family import GaussianFamily
from fastem.families.poisson.family import PoissonFamily
from fastem.search import moves
from fastem.search.begin import beginnings
from fastem.search.climb import Budget, Climb
from fastem.search.local import Trials
from fastem.search.moves import improved, n_suspects, to_maximum
from fastem.search.search import samples, search
from fastem.search.splits import best_splits

pytestmark = pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning")
KINDS = ("full", "tied", "diag", "spherical")
RNG = np.random.default_rng(0)
MEANS = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0], [5.0, 5.0], [6.0, 0.0]])
LABELS = RNG.integers(5, size=1500)
CLOUDS = MEANS[LABELS] + RNG.normal(size=(1500, 2))
CALLS = RNG.poisson(np.array([[1.0, 9.0], [6.0, 3.0], [12.0, 12.0]])[LABELS % 3])
TOSSES = RNG.binomial(10, np.array([[0.1, 0.9], [0.5, 0.3], [0.8, 0.8]])[LABELS % 3])


def rows_of(name):
    """-> open rows, and the family of their components."""
    if name in KINDS:
        return fastem.open_rows(CLOUDS, fitting=True), GaussianFamily(name)
    if name == "poisson":
        return fastem.open_rows(CALLS, row_kind="counts", fitting=True), PoissonFamily()
    return fastem.open_rows(TOSSES, 10, has_trials=True, fitting=True), BinomialFamily()


every = pytest.mark.parametrize("name", [*KINDS, "poisson", "binomial"])


def fit_of(name, k=4, **settings):
    settings = {"random_state": 0} | settings
    if name in KINDS:
        return GaussianMixture(k, covariance_type=name, **settings).fit(CLOUDS)
    if name == "poisson":
        return PoissonMixture(k, **settings).fit(CALLS)
    return BinomialMixture(k, n_trials=10, **settings).fit(TOSSES)


# ------------------------------------------------------------------------------------------------------- what it finds


@every
def test_it_ends_no_lower_than_any_of_its_beginnings(name):
    rows, family = rows_of(name)
    with rows:
        climb = Climb(rows, family, Fixed(4))
        begun = [run.loglik for run in beginnings(climb, 4, np.random.default_rng(0))]
        assert rows.sweep(search(rows, family, 4, np.random.default_rng(0))).loglik >= max(begun) - 1e-3 * len(rows)


@every
def test_splits_and_merges_never_lower_the_likelihood(name):
    rows, family = rows_of(name)
    with rows:
        climb = Climb(rows, family, Fixed(4))
        for params in family.beginnings(rows, 4, np.random.default_rng(1)):
            at = to_maximum(climb, params)
            assert improved(climb, at, np.random.default_rng(2), []).loglik >= at.loglik


@pytest.mark.parametrize("kind", KINDS)
def test_two_components_on_one_cluster_and_one_on_two_are_set_right(kind):
    """A maximum that EM does not leave."""
    X = np.concatenate([RNG.normal(size=(300, 2)) + center for center in ([0, 0], [20, 0], [26, 0])])
    start = {"weights_init": np.full(3, 1 / 3), "means_init": [[-1.0, 0], [1.0, 0], [23.0, 0]]}
    stuck = GaussianMixture(3, covariance_type=kind, tol=1e-8, max_iter=500, **start).fit(X)
    better = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
    assert better.loglik_ > stuck.loglik_ + 0.1 * len(X)
    np.testing.assert_allclose(np.sort(better.means_[:, 0]), [0, 20, 26], atol=0.5)
    found = stuck.improve(X)
    assert found is stuck
    assert found.loglik_ == pytest.approx(better.loglik_, abs=0.01 * len(X))


@every
def test_improve_never_lowers_the_likelihood(name):
    for seed in range(3):
        mixture = fit_of(name, init_params="random", random_state=seed, tol=1e-4)
        before = mixture.loglik_
        args = {"trials": 10} if name == "binomial" else {}
        mixture.improve(CLOUDS if name in KINDS else CALLS if name == "poisson" else TOSSES, **args)
        assert mixture.loglik_ >= before - 1e-9 * abs(before)


# -------------------------------------------------------------------------------------------------------- the same bits


@every
def test_a_seed_makes_a_search_the_same(name):
    same_fit(fit_of(name), fit_of(name))


@every
def test_threads_and_chunks_change_no_bit(name, monkeypatch):
    monkeypatch.setattr("fastem.kernels.backend.PARALLEL_WORK", 1)
    alone, threads = fit_of(name, n_threads=1), fit_of(name, n_threads=3)
    same_fit(threads, alone)
    X = CLOUDS if name in KINDS else CALLS if name == "poisson" else TOSSES
    if name in KINDS:
        chunks = [X[:100], X[100:117], X[117:]]
        same_fit(GaussianMixture(4, covariance_type=name, random_state=0).fit(chunks=chunks), alone)


def test_a_subsample_is_the_same_in_memory_and_in_chunks():
    X = np.concatenate([CLOUDS + shift for shift in np.linspace(0, 0.1, 7)])
    assert len(X) > START_ROWS
    in_memory = GaussianMixture(4, random_state=0).fit(X)
    same_fit(GaussianMixture(4, random_state=0).fit(chunks=[X[:5000], X[5000:]]), in_memory)


def test_dask_changes_no_bit_of_where_a_fit_begins():
    array = pytest.importorskip("dask.array")
    begun = GaussianMixture(4, random_state=0, max_iter=0).fit(CLOUDS)
    lazy = GaussianMixture(4, random_state=0, max_iter=0).fit(array.from_array(CLOUDS, chunks=(400, 2)))
    np.testing.assert_array_equal(lazy.means_, begun.means_)
    np.testing.assert_array_equal(lazy.covariances_, begun.covariances_)


def test_a_weight_is_that_many_rows():
    w = np.random.default_rng(0).integers(1, 4, size=len(CLOUDS))
    settings = {"random_state": 0, "tol": 1e-10, "max_iter": 5000, "order_by": "means"}
    weighted = GaussianMixture(3, **settings).fit(CLOUDS, sample_weight=w)
    repeated = GaussianMixture(3, **settings).fit(np.repeat(CLOUDS, w, axis=0))
    assert weighted.loglik_ == pytest.approx(repeated.loglik_, rel=1e-5)


def test_units_do_not_matter():
    units = np.array([1e-3, 1e4])
    settings = {"random_state": 0, "reg_covar": "auto"}
    a, b = GaussianMixture(4, **settings).fit(CLOUDS), GaussianMixture(4, **settings).fit(CLOUDS * units)
    assert a.loglik_ == pytest.approx(b.loglik_ + len(CLOUDS) * np.log(units).sum(), rel=1e-5)


# ----------------------------------------------------------------------------------------------- what it must not touch


@pytest.mark.parametrize("components", [slice(None), slice(1)], ids=["all", "one"])
@pytest.mark.parametrize(("name", "given"), [("means", MEANS[:4]), ("weights", np.full(4, 0.25))])
def test_what_is_fixed_stays(name, given, components):
    mask = np.zeros(4, bool)
    mask[components] = True
    mixture = GaussianMixture(4, fixed={name: mask}, random_state=0, **{f"{name}_init": given}).fit(CLOUDS)
    np.testing.assert_array_equal(getattr(mixture, f"{name}_")[mask], given[mask])


def test_what_is_fixed_and_not_given_is_that_of_a_beginning():
    begun = GaussianMixture(4, fixed=("weights",), random_state=0, max_iter=0).fit(CLOUDS)
    mixture = GaussianMixture(4, fixed=("weights",), random_state=0, tol=1e-8, max_iter=1000).fit(CLOUDS)
    np.testing.assert_array_equal(mixture.weights_, begun.weights_)
    assert mixture.loglik_ >= begun.loglik_


def test_given_values_turn_it_off(monkeypatch):
    monkeypatch.setattr("fastem.fitting.mixture.search", None)
    GaussianMixture(4, means_init=MEANS[:4], random_state=0).fit(CLOUDS)
    GaussianMixture(1).fit(CLOUDS)
    mixture = GaussianMixture(4, init_params="kmeans", warm_start=True, random_state=0).fit(CLOUDS)
    mixture.set_params(init_params="auto").fit(CLOUDS)
    with pytest.raises(TypeError, match="not callable"):
        GaussianMixture(4).fit(CLOUDS)


def test_moves_to_suspect_components_are_refused(monkeypatch):
    rows, family = rows_of("full")
    with rows:
        climb = Climb(rows, family, Fixed(4))
        at = to_maximum(climb, next(family.beginnings(rows, 4, np.random.default_rng(0))))
        assert n_suspects(climb, at.params) == 0
        monkeypatch.setattr(moves, "n_suspects", lambda climb, params: int(params is not at.params))
        assert improved(climb, at, np.random.default_rng(0), []) is at


def test_improve_refuses_what_it_cannot_keep(tmp_path):
    with pytest.raises(fastem.NotFittedError):
        GaussianMixture(2).improve(CLOUDS)
    with pytest.raises(ValueError, match="X has 1 features, but GaussianMixture is expecting 2 features"):
        GaussianMixture(2, random_state=0).fit(CLOUDS).improve(CLOUDS[:, :1])
    mixture = GaussianMixture(2, fixed=("weights",), random_state=0).fit(CLOUDS)
    with pytest.raises(ValueError, match="fixed"):
        mixture.improve(CLOUDS)
    mixture = GaussianMixture(2, random_state=0).fit(CLOUDS).set_params(checkpoint=tmp_path / "fit.npz")
    with pytest.raises(ValueError, match="checkpoint"):
        mixture.improve(CLOUDS)


# ---------------------------------------------------------------------------------------------------------- its limits


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")
def test_any_number_of_components_and_rows(kind):
    rng = np.random.default_rng(0)
    for n, k in ((1, 1), (2, 2), (5, 5), (30, 7)):
        X = rng.normal(size=(n, 2))
        assert np.isfinite(
            GaussianMixture(k, covariance_type=kind, random_state=0, tol=1e-2).fit(X, sample_weight=np.ones(n)).loglik_
        )
    equal, constant = np.repeat(rng.normal(size=(4, 2)), 25, axis=0), np.c_[rng.normal(size=100), np.ones(100)]
    assert np.isfinite(GaussianMixture(3, covariance_type=kind, random_state=0).fit(constant).loglik_)
    assert np.isfinite(GaussianMixture(4, covariance_type=kind, random_state=0).fit(equal).loglik_)


def test_a_budget_ends_a_search_with_what_it_has():
    rows, family = rows_of("full")
    with rows:
        climb = Climb(rows, family, Fixed(4), budget=Budget(len(rows)))
        climb.budget.left = 1.0
        assert len(list(beginnings(climb, 4, np.random.default_rng(0)))) == 1


def test_thinned_rows_have_the_weight_of_all():
    rows, _ = rows_of("full")
    few = thinned(rows, 100)
    assert len(few) == 100
    assert few.sample_weight.sum() == pytest.approx(len(rows))
    assert thinned(few, 100) is few


@every
def test_a_split_gains_on_the_rows_of_its_component(name):
    """Of all rows as of one component: two are more likely."""
    rows, family = rows_of(name)
    with rows:
        climb = Climb(rows, family, Fixed(1))
        one = family.of_parts(rows, np.zeros(len(rows), np.int64), 1)
        splits = best_splits(climb, one, [0], np.zeros(len(rows), np.int32), np.random.default_rng(0))
        assert splits[0].gain > 0
        if name != "tied":
            two = splits[0].of(one)
            assert rows.sweep(two).loglik - rows.sweep(one).loglik == pytest.approx(splits[0].gain, rel=0.3)


# ---------------------------------------------------------------------------------- moves on the components they touch


@pytest.mark.parametrize("name", [name for name in (*KINDS, "poisson", "binomial") if name != "tied"])
def test_a_move_gains_at_least_what_the_components_that_it_touches_do(name, monkeypatch):
    """By Jensen's inequality; a thousandth is for rows that hardly belong to them."""
    monkeypatch.setattr(moves, "NEEDED", -np.inf)
    rows, family = rows_of(name)
    with rows:
        climb = Climb(rows, family, Fixed(4))
        at = to_maximum(climb, next(family.beginnings(rows, 4, np.random.default_rng(1)))).params
        known = rows.posterior(at, "resp", "labels", "log_prob")
        before, trials = rows.sweep(at).loglik, Trials.of(climb, at, known)
        found = moves.moves(climb, at, known, np.random.default_rng(2))
        assert any(len(move.merged) == 2 for move in found)
        for move in found:
            (tried,) = trials([move], 1)
            params = tried.of(at)
            params.check()
            assert rows.sweep(params).loglik - before >= tried.gain - 1e-3 * len(rows)
            touched = np.isin(np.arange(4), move.places)
            assert params.weights.sum() == pytest.approx(1.0)
            for parameter in ("weights", *at.own_parameters):
                before_it, after = getattr(at, parameter), getattr(params, parameter)
                np.testing.assert_array_equal(after[~touched], before_it[~touched])


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_moves_in_a_kernel_lead_where_calls_of_their_own_do(name, d, weighted, monkeypatch):
    monkeypatch.setattr(moves, "NEEDED", -np.inf)
    weights = np.random.default_rng(5).uniform(0.5, 2.0, len(CLOUDS)) if weighted else None
    family = GaussianFamily(name)
    with fastem.open_rows(CLOUDS[:, :d], None, weights, fitting=True) as rows:
        climb = Climb(rows, family, Fixed(4))
        at = climb(next(family.beginnings(rows, 4, np.random.default_rng(1))), 20).params
        known = rows.posterior(at, "resp", "labels", "log_prob")
        found = moves.moves(climb, at, known, np.random.default_rng(2))
        assert {len(move.places) for move in found} == {2, 3}
        trials = Trials.of(climb, at, known)
        in_kernel = trials(found, len(found))
        monkeypatch.setattr(GaussianFamily, "partial_runs", lambda *args, **rules: None)
        one_by_one = trials(found, len(found))
    for each, other in zip(in_kernel, one_by_one, strict=True):
        assert each.places == other.places
        assert each.gain == pytest.approx(other.gain, rel=1e-6, abs=1e-6)
        for parameter in each.components.parameter_names:
            np.testing.assert_allclose(
                getattr(each.components, parameter), getattr(other.components, parameter), rtol=1e-6, atol=1e-8
            )


def test_the_best_of_the_moves_that_are_tried_come_first(monkeypatch):
    monkeypatch.setattr(moves, "NEEDED", -np.inf)
    rows, family = rows_of("full")
    with rows:
        climb = Climb(rows, family, Fixed(4))
        at = climb(next(family.beginnings(rows, 4, np.random.default_rng(1))), 20).params
        known = rows.posterior(at, "resp", "labels", "log_prob")
        found, trials = moves.moves(climb, at, known, np.random.default_rng(2)), Trials.of(climb, at, known)
        gains = [each.gain for each in trials(found, 3)]
    assert len(found) > len(gains) == 3
    assert gains == sorted(gains, reverse=True)


def test_a_path_ends_where_another_has_ended():
    rows, family = rows_of("full")
    with rows:
        climb, ends = Climb(rows, family, Fixed(4)), list[float]()
        at = to_maximum(climb, next(family.beginnings(rows, 4, np.random.default_rng(1))))
        found = improved(climb, at, np.random.default_rng(2), ends)
        assert ends == [found.loglik]
        left = climb.budget.left
        climb.budget.begin(1)
        begun = climb.budget.left
        assert improved(climb, found, np.random.default_rng(3), ends) is found
        assert (left, climb.budget.left) == (np.inf, begun)


# ----------------------------------------------------------------------------------------------------- rare components


def rare():
    """-> rows of which a hundredth are of a narrow component: 80 of those that a search looks at."""
    rng = np.random.default_rng(3)
    return np.concatenate([rng.normal(0.0, 3.0, 50_000), rng.normal(4.0, 0.5, 500)])[:, np.newaxis]


def test_a_rare_component_is_found_on_more_rows():
    X, truth = (
        rare(),
        {"weights_init": [0.99, 0.01], "means_init": [[0.0], [4.0]], "precisions_init": [[[1 / 9]], [[4.0]]]},
    )
    best = GaussianMixture(2, tol=1e-8, max_iter=1000, stopping="aitken", acceleration="quasi-newton", **truth).fit(X)
    mixture = GaussianMixture(2, random_state=0).fit(X)
    assert mixture.loglik_ > best.loglik_ - 2
    one_start = GaussianMixture(2, init_params="kmeans", random_state=0).fit(X)
    assert one_start.loglik_ < best.loglik_ - 5
    assert one_start.set_params(init_params="auto").improve(X).loglik_ > best.loglik_ - 2


def test_rows_that_tell_of_rare_components_are_limited(monkeypatch):
    monkeypatch.setattr("fastem.search.search.MANY_VALUES", 40_000)
    with fastem.open_rows(np.repeat(rare(), 2, axis=1), fitting=True) as rows:
        few, many = samples(rows, 2, np.random.default_rng(0))
        assert (len(few), len(many)) == (START_ROWS, 20_000)
    with fastem.open_rows(CLOUDS, fitting=True) as rows:
        few, many = samples(rows, 2, np.random.default_rng(0))
        assert few is many
        assert len(many) == len(CLOUDS)


def test_a_component_that_was_added_is_not_merged():
    params = fastem.GaussianParams(np.full(4, 0.25), np.array([[0.0], [1.0], [9.0], [9.1]]), np.ones((4, 1, 1)))
    first, *others = moves.with_pairs_merged(params)
    assert first.means.ravel().tolist() == [0.5, 9.0, 9.1]
    assert len(others) == moves.PARTNERS - 1
    assert all(each.means[-1, 0] == 9.1 for each in others)
