"""Groups of rows for fit_many, and comparisons of its results."""

from dataclasses import fields

import numpy as np
import pytest

from fastem.estimators.fit_many import fit_many
from fastem.families.registry import NAMES

# A dozen iterations, each good to a few units in the last place, summed in another order; seen: 2e-14.
RTOL = 1e-12

AS_EM = {"stopping": "loglik", "acceleration": None, "init_params": "blocks"}
"""The settings by which a group is fitted as by `em`, from blocks."""

SIZES = (3, 4, 7, 8, 9, 16, 17, 64, 129, 1000)  # about the lanes of a vector, and many of them


def offsets_of(sizes):
    return np.cumsum([0, *sizes])


def normal_groups(seed=0, sizes=SIZES):
    """Two touching components in each group, at places and scales of its own."""
    rng = np.random.default_rng(seed)
    parts = [rng.normal(0, 10) + rng.gamma(2.0) * (rng.standard_normal(n) + 3 * (rng.random(n) < 0.4)) for n in sizes]
    return np.concatenate(parts), offsets_of(sizes)


def count_groups(seed=0, sizes=SIZES):
    """Two coins in each group, and trials of each row."""
    rng = np.random.default_rng(seed)
    trials = rng.integers(0, 30, sum(sizes), endpoint=True)
    coins = rng.random((len(sizes), 2))
    probs = coins[np.repeat(np.arange(len(sizes)), sizes), rng.integers(0, 2, len(trials))]
    return rng.binomial(trials, probs), trials, offsets_of(sizes)


def event_groups(seed=0, sizes=SIZES):
    """Two rates in each group."""
    rng = np.random.default_rng(seed)
    pairs = rng.gamma(1.0, 6.0, size=(len(sizes), 2))
    return rng.poisson(pairs[np.repeat(np.arange(len(sizes)), sizes), rng.integers(0, 2, sum(sizes))]), offsets_of(
        sizes
    )


def results(fits):
    how_grouped = ("offsets", "names", "order", "sizes", "covariance_type")
    return {field.name: getattr(fits, field.name) for field in fields(fits) if field.name not in how_grouped}


def assert_equal_bits(a, b, rows=slice(None)):
    for name, value in results(a).items():
        np.testing.assert_array_equal(value[rows], results(b)[name], err_msg=name)


def assert_close(a, b, rtol=RTOL):
    for name, value in results(a).items():
        scale = np.nanmax(np.abs(value), initial=1e-300)
        np.testing.assert_allclose(results(b)[name], value, rtol=rtol, atol=rtol * scale, err_msg=name)


def all_families(seed=0, sizes=SIZES):
    """The rows of each, and how it is fitted."""
    x, offsets = normal_groups(seed, sizes)
    counts, trials, _ = count_groups(seed, sizes)

    def binomial(values, offsets, **options):
        return fit_many(values[:, 0], offsets, 2, family="binomial", trials=values[:, 1], **options)

    def normal(values, offsets, **options):
        return fit_many(values, offsets, 2, **options)

    def poisson(values, offsets, **options):
        return fit_many(values, offsets, 2, family="poisson", **options)

    rows = {
        "gaussian": (x, offsets, normal),
        "binomial": (np.column_stack([counts, trials]), offsets, binomial),
        "poisson": (event_groups(seed, sizes)[0], offsets, poisson),
    }
    assert tuple(rows) == NAMES, "each family has rows here"
    return rows


family = pytest.mark.parametrize("family", NAMES)
