"""Paths of splits and merges: where they end apart, others follow until the highest end has been met twice."""

import numpy as np
import pytest

import fastem
from fastem.families.fixed import Fixed
from fastem.families.gaussian.family import GaussianFamily
from fastem.search import search as module
from fastem.search.climb import Budget, Climb
from fastem.search.moves import GAIN, improved, to_maximum
from fastem.search.search import met_again, search

SEEDS = range(6)
K = 6


def rings():
    """-> 600 rows of two rings, which no few components fit: their maxima are many."""
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2 * np.pi, 600)
    return np.c_[np.cos(angles), np.sin(angles)] * rng.choice([3.0, 6.0], 600)[:, None] + rng.normal(0, 0.3, (600, 2))


def ends_of_searches(X, monkeypatch, *, follow):
    """-> the log likelihood of a search for each seed, and how many paths have ended."""
    ended = []

    def counted(climb, at, rng, ends):
        found = improved(climb, at, rng, ends)
        ended.append(found.loglik)
        return found

    with monkeypatch.context() as patched, fastem.open_rows(X, fitting=True) as rows:
        patched.setattr(module, "improved", counted)
        if not follow:
            patched.setattr(module, "met_again", lambda climb, best, *_: best)
        found = [search(rows, GaussianFamily("full"), K, np.random.default_rng(seed)) for seed in SEEDS]
        return np.array([rows.sweep(params).loglik for params in found]), len(ended)


def test_where_paths_end_apart_others_lead_higher(monkeypatch):
    X = rings()
    alone, ended = ends_of_searches(X, monkeypatch, follow=False)
    followed, more = ends_of_searches(X, monkeypatch, follow=True)
    assert np.all(followed >= alone)
    assert np.max(followed - alone) > GAIN * len(X)
    assert more > ended


def test_where_paths_end_together_none_follows(monkeypatch):
    rng = np.random.default_rng(0)
    X = 30.0 * rng.integers(K, size=(600, 1)) + rng.normal(size=(600, 2))
    assert ends_of_searches(X, monkeypatch, follow=True)[1] <= 2 * len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_they_end_with_the_first_that_meets_the_highest(seed):
    with fastem.open_rows(rings(), fitting=True) as rows:
        climb, ends, rng = Climb(rows, GaussianFamily("full"), Fixed(K)), list[float](), np.random.default_rng(seed)
        best = improved(climb, to_maximum(climb, next(climb.family.beginnings(rows, K, rng))), rng, ends)
        found = met_again(climb, best, rng, ends)
        apart = GAIN * climb.total
    assert found.loglik == max(ends)
    met = [abs(end - max(ends[:i])) < apart for i, end in enumerate(ends) if i]
    assert not any(met[:-1])
    assert met[-1] or len(ends) == 5  # all beginnings


def test_none_follows_when_the_budget_is_spent():
    with fastem.open_rows(rings(), fitting=True) as rows:
        climb, ends = Climb(rows, GaussianFamily("full"), Fixed(K), budget=Budget(len(rows))), list[float]()
        best = to_maximum(climb, next(climb.family.beginnings(rows, K, np.random.default_rng(0))))
        climb.budget.left = 0.0
        assert met_again(climb, best, np.random.default_rng(0), ends) is best
        assert not ends
