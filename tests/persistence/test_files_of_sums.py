"""Statistics on disk: the same bits, and nothing else is taken for them."""

from dataclasses import replace

import numpy as np
import pytest
from support import datasets

import fastem
from fastem._storage import encode, read, write
from fastem.families.stats import STATISTICS, STATISTICS_LAYOUT

NORMAL = [(datasets.univariate_two, "full"), (datasets.overlapping, "full"), (datasets.overlapping, "tied"),
          (datasets.correlated, "diag"), (datasets.two_far, "spherical")]  # fmt: skip


def normal(world, kind):
    params = fastem.GaussianParams.from_variances(world.means, np.ones(world.means.shape[1]), kind)
    return fastem.accumulate(params, world.X)


def binomial():
    world = datasets.three_questions
    return fastem.accumulate(fastem.BinomialParams(world.weights, world.probs), world.X, trials=world.trials)


ALL = [*(normal(*each) for each in NORMAL), binomial()]


@pytest.mark.parametrize("stats", ALL, ids=lambda stats: stats.params.kernel.accumulate)
def test_sums_come_back_with_the_same_bits(stats, tmp_path):
    stats.save(tmp_path / "sums.npz")
    found = fastem.load_stats(tmp_path / "sums.npz")
    assert type(found) is type(stats)
    for name in stats.sum_names():
        np.testing.assert_array_equal(getattr(found, name), getattr(stats, name), err_msg=name)
    twice = fastem.merge(stats, found)  # at the same parameters, bit for bit
    assert twice.total == 2 * stats.total


def test_no_rows_carry_parameters(tmp_path):
    params = normal(*NORMAL[2]).params
    fastem.GaussianStats.zero(params).save(str(tmp_path / "params.npz"))
    found = fastem.load_stats(tmp_path / "params.npz").params
    np.testing.assert_array_equal(found.covariances, params.covariances)
    assert found.covariance_type == "tied"


WRONG = {
    "nan": (lambda s: replace(s, first=s.first * np.nan), "is damaged: first must be finite and of shape"),
    "loglik": (lambda s: replace(s, loglik=np.inf), "is damaged: loglik must be finite"),
    "shape": (lambda s: replace(s, counts=s.counts[:-1]), r"is damaged: counts must be .* of shape \(3,\), got \(2,\)"),
    "params": (lambda s: replace(s, params=replace(s.params, weights=-s.params.weights)), "is damaged: The parameter"),
    "family": (lambda s: replace(s, params=binomial().params), "is damaged"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_are_no_sums_is_refused(name, tmp_path):
    change, message = WRONG[name]
    change(normal(*NORMAL[1])).save(tmp_path / "sums.npz")
    with pytest.raises(ValueError, match=message):
        fastem.load_stats(tmp_path / "sums.npz")


@pytest.mark.parametrize("kind", ["Prior", "GaussianParams", "list"])
def test_a_file_of_another_value_is_refused(kind, tmp_path):
    values = {"Prior": fastem.GaussianPrior(), "GaussianParams": normal(*NORMAL[0]).params, "list": [1, 2]}
    arrays = {}
    write(tmp_path / "x.npz", STATISTICS, STATISTICS_LAYOUT, {"statistics": encode(values[kind], arrays)}, arrays)
    with pytest.raises(ValueError, match=r"x.npz is damaged"):
        fastem.load_stats(tmp_path / "x.npz")


def test_models_sums_and_torn_files_are_told_apart(tmp_path):
    model, sums = tmp_path / "model.npz", tmp_path / "sums.npz"
    fastem.GaussianMixture(1).fit(datasets.two_far.X).save(model)
    binomial().save(sums)
    with pytest.raises(ValueError, match="is a 'fastem model', not a 'fastem statistics'"):
        fastem.load_stats(model)
    with pytest.raises(ValueError, match="is a 'fastem statistics', not a 'fastem model'"):
        fastem.load(sums)
    assert read(sums, STATISTICS, STATISTICS_LAYOUT)
    sums.write_bytes(sums.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is damaged or not a file of fastem"):
        fastem.load_stats(sums)
    with pytest.raises(TypeError, match="path must be a path, got 7"):
        binomial().save(7)
    with pytest.raises(FileNotFoundError):
        fastem.load_stats(tmp_path / "none.npz")
