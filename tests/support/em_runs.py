"""EM from given parameters, with every acceleration, for tests of how it moves and when it stops."""

import pytest

import fastem
from fastem.fitting.acceleration import ACCELERATORS
from support import datasets
from support.sweeps import KINDS

METHODS = tuple(ACCELERATORS)
accelerations = pytest.mark.parametrize("acceleration", METHODS)
WORLDS = [
    (world, kind) for world in (datasets.univariate_two, datasets.overlapping, datasets.correlated) for kind in KINDS
]
every = pytest.mark.parametrize(("world", "kind"), WORLDS, ids=[f"{world.name}-{kind}" for world, kind in WORLDS])


def em(params, X, trials=None, **options):
    options = {"tol": 1e-12, "max_iter": 20_000, **options}
    fixed = options.get("fixed", ())
    with fastem.open_rows(X, trials, row_kind=params.row_kind) as rows:
        extra = {} if params.row_kind.is_counts else {"reg_covar": 0.0}
        return fastem.em(rows.sweep, lambda stats: stats.maximize(fixed=fixed, **extra), params, **options)
