"""Groups of rows: what is wrong with one is its status, what is wrong with the call an error; labels and order."""

from itertools import pairwise

import numpy as np
import pytest
from support.groups import RTOL, assert_close, assert_equal_bits, count_groups, normal_groups, offsets_of, results

import fastem
from fastem.estimators.fit_many import fit_many
from fastem.estimators.many_fits import FitStatus

# ------------------------------------------------------------------------------------------------------------- statuses

GOOD = [0.0, 1.0, 9.0, 10.0, 12.0]
BAD_GROUPS = {
    FitStatus.NO_ROWS: [[]],
    FitStatus.FEW_ROWS: [[1.0]],
    FitStatus.NOT_FINITE: [[1.0, np.nan, 2.0], [np.inf, 0.0, 1.0], [0.0, 1.0, -np.inf], [0.0, 1.0, 1e141]],
}
BAD_COUNTS = {
    FitStatus.NO_ROWS: [[]],
    FitStatus.FEW_ROWS: [[1.0]],
    FitStatus.NOT_FINITE: [[1.0, np.nan], [np.inf, 1.0]],
    FitStatus.NOT_COUNTS: [[1.0, -1.0], [0.5, 1.0], [21.0, 2.0]],
}


def between_good_ones(bad):
    parts = [GOOD]
    for part in bad:
        parts += [part, GOOD]
    return np.concatenate(parts), offsets_of([len(part) for part in parts])


def assert_statuses(fits, good, bad):
    np.testing.assert_array_equal(fits.status[1::2], bad)
    assert_equal_bits(fits, good, slice(None, 1))
    for name, value in results(fits).items():
        for g in range(0, len(fits), 2):
            np.testing.assert_array_equal(value[g], value[0], err_msg=name)
        if value.dtype == np.float64 and name != "total":
            assert np.isnan(value[1::2]).all(), name
    assert (fits.n_iter[1::2] == 0).all()
    assert np.isnan(fits.bic[1::2]).all()
    assert not fits.fitted[1::2].any()


def test_what_is_wrong_with_values_is_a_status(twin):
    bad = [(status, part) for status, parts in BAD_GROUPS.items() for part in parts]
    values, offsets = between_good_ones([part for _, part in bad])
    good = fit_many(GOOD, [0, 5], 2, backend=twin)
    assert good.converged.all()
    assert_statuses(fit_many(values, offsets, 2, backend=twin), good, [status for status, _ in bad])


def test_what_is_wrong_with_counts_is_a_status(twin):
    bad = [(status, part) for status, parts in BAD_COUNTS.items() for part in parts]
    values, offsets = between_good_ones([part for _, part in bad])
    good = fit_many(GOOD, [0, 5], 2, family="binomial", trials=20, backend=twin)
    fits = fit_many(values, offsets, 2, family="binomial", trials=20.0, backend=twin)
    assert_statuses(fits, good, [status for status, _ in bad])
    trials = np.array([3, 3, 3, 3, np.nan, 3, 3, 2.5, np.inf, 3, 3, 3, -1])
    found = fit_many(np.ones(13), [0, 3, 5, 8, 10, 13], 2, family="binomial", trials=trials, backend=twin).status
    assert list(found[1:]) == [FitStatus.NOT_FINITE, FitStatus.NOT_COUNTS, FitStatus.NOT_FINITE, FitStatus.NOT_COUNTS]


def test_squares_that_overflow_with_their_weights_are_a_status(twin):
    fits = fit_many([1e139, 0.0, 1.0, 0.0], [0, 2, 4], sample_weight=np.full(4, 1e50), backend=twin)
    assert list(fits.status) == [FitStatus.NOT_FINITE, FitStatus.CONVERGED]


def test_a_group_of_weight_zero_has_no_rows(twin):
    fits = fit_many([1.0, 2.0, 3.0], [0, 2, 3], sample_weight=[0, 0, 1], backend=twin)
    assert list(fits.status) == [FitStatus.NO_ROWS, FitStatus.CONVERGED]
    assert list(fits.total) == [0.0, 1.0]


def test_no_groups_at_all(twin):
    fits = fit_many([], [0], 3, backend=twin)
    assert (len(fits), fits.means.shape, len(fits.labels([]))) == (0, (0, 3), 0)
    assert list(fit_many([], [0, 0, 0], backend=twin).status) == [FitStatus.NO_ROWS] * 2


# -------------------------------------------------------------------------------------------------------------- results


def test_labels_are_those_of_the_posterior(twin):
    x, offsets = normal_groups()
    fits = fit_many(x, offsets, 2, backend=twin)
    counts, trials, _ = count_groups()
    coins = fit_many(counts, offsets, 2, family="binomial", trials=trials, backend=twin)
    for g, (a, b) in enumerate(pairwise(offsets)):
        found = fastem.posterior(fits.params(g), x[a:b, np.newaxis]).labels
        np.testing.assert_array_equal(fits.labels(x)[a:b], found)
        log_prob, resp, found = fastem.posterior(coins.params(g), counts[a:b], trials=trials[a:b])
        clear = np.abs(resp[:, 0] - 0.5) > 1e-12
        np.testing.assert_array_equal(coins.labels(counts, trials)[a:b][clear], found[clear])
        np.testing.assert_allclose(log_prob.sum(), coins.loglik[g], rtol=RTOL)


def test_rows_without_a_fit_have_no_label():
    fits = fit_many([0.0, 1.0, 9.0, 10.0, np.nan], [0, 4, 5], 2)
    assert list(fits.labels([0.0, 9.0, np.nan, 1.0, 0.0])) == [0, 1, -1, 0, -1]
    coins = fit_many([0, 1, 9, 8], [0, 4], 2, family="binomial", trials=9)
    assert list(coins.labels([0, -1, 9, 10], trials=9)) == [0, -1, 1, -1]


def test_a_row_out_of_reach_has_the_label_of_the_posterior(twin):
    fits = fit_many([0.0, 1.0, 9.0, 10.0], [0, 4], 2, backend=twin)
    far = np.array([-1e200, 1e200, 20.0, -20.0])
    np.testing.assert_array_equal(fits.labels(far), fastem.posterior(fits.params(0), far[:, np.newaxis]).labels)


def test_components_are_in_the_order_of_their_means(twin):
    x, offsets = normal_groups()
    there = fit_many(x, offsets, 2, means_init=[-1.0, 1.0], backend=twin)
    assert_close(there, fit_many(x, offsets, 2, means_init=[1.0, -1.0], backend=twin))
    assert (np.diff(there.means, axis=1) >= 0).all()


# ------------------------------------------------------------------------------------------------------------- the door

DOOR = [
    ({"offsets": [0, 2]}, ValueError, "offsets must begin at 0 and end at 3, the number of values, got 0 and 2"),
    ({"offsets": [0, 1, 0]}, ValueError, "offsets must begin at 0 .* got 0 and 0; labels, one for each value"),
    ({"offsets": ["a", "b", "a"]}, TypeError, "offsets must hold .* go to groups="),
    ({"offsets": [1, 3]}, ValueError, "offsets must begin at 0"),
    ({"offsets": [0, 2, 1, 3]}, ValueError, "offsets must not decrease, got 1 after 2 for group 1"),
    ({"offsets": [0.0, 3.0]}, TypeError, "offsets must hold integers"),
    ({"offsets": 3}, ValueError, "offsets must have shape"),
    ({"offsets": []}, TypeError, "offsets must hold integers"),
    ({"offsets": np.empty(0, int)}, ValueError, "offsets must have shape"),
    ({"values": [[[1.0]]]}, ValueError, "values must have one dimension"),
    ({"values": np.ones((3, 0))}, ValueError, "values must have rows of at least one column"),
    (
        {"values": np.ones((3, 2)), "means_init": [1.0]},
        TypeError,
        "means_init must be left out where rows have several",
    ),
    ({"values": np.ones((3, 2)), "stopping": "loglik"}, ValueError, "stopping must be 'gain' where rows have several"),
    ({"values": np.ones((3, 2)), "trials": 3}, TypeError, "trials must be left out for family='gaussian'"),
    ({"covariance_type": "tied"}, TypeError, "covariance_type must be left out where rows have one column"),
    ({"covariance_type": "some"}, TypeError, "covariance_type must be left out where rows have one column"),
    ({"values": np.ones((3, 2)), "covariance_type": "some"}, ValueError, "covariance_type must be one of"),
    ({"n_components": []}, ValueError, "n_components must have a number of components to try"),
    ({"n_components": [1, 0]}, ValueError, "n_components must be at least 1"),
    ({"n_components": "two"}, TypeError, "n_components must be an int"),
    ({"n_components": range(1, 3), "means_init": [1.0]}, TypeError, "means_init must be left out where several"),
    ({"criterion": "best"}, ValueError, "criterion must be one of"),
    ({"stopping": "q"}, ValueError, "stopping must be one of"),
    ({"acceleration": "anderson"}, ValueError, "acceleration must be one of"),
    ({"init_params": "kmeans"}, ValueError, "init_params must be one of"),
    ({"values": ["a", "b", "c"]}, TypeError, "values must hold real numbers"),
    ({"n_components": 0}, ValueError, "n_components must be at least 1"),
    ({"n_components": 2.0}, TypeError, "n_components must be an int"),
    ({"n_components": 1025}, ValueError, "n_components must be at most 1024"),
    ({"family": "gamma"}, ValueError, "family must be one of"),
    ({"trials": 3}, TypeError, "trials must be left out for family='gaussian'"),
    ({"probs_init": [0.5]}, TypeError, "probs_init must be left out"),
    ({"sample_weight": [1.0, -1.0, 1.0]}, ValueError, "sample_weight must not be negative, got -1.0 at row 1"),
    ({"sample_weight": [1.0, np.nan, 1.0]}, ValueError, "sample_weight must be finite"),
    ({"sample_weight": [1.0, 1.0, 1e-200]}, ValueError, "sample_weight must be 0 or between 1e-100 and 1e.100.* row 2"),
    ({"sample_weight": [1.0]}, ValueError, "sample_weight must have shape"),
    ({"tol": -1.0}, ValueError, "tol must be finite"),
    ({"max_iter": -1}, ValueError, "max_iter must be at least 0"),
    ({"max_iter": 2**31}, ValueError, "max_iter must be at most"),
    ({"reg_covar": -1.0}, ValueError, "reg_covar must be finite"),
    ({"reg_covar": "some"}, ValueError, "reg_covar must be one of 'auto'"),
    ({"means_init": [1.0, 2.0]}, ValueError, r"means_init must have shape \(1, 1\) or \(1,\)"),
    ({"means_init": [np.inf]}, ValueError, "means_init must be between"),
    ({"variances_init": [0.0]}, ValueError, "variances_init must be between 1e-200 .* row 0, column 0"),
    ({"weights_init": [0.5]}, ValueError, "weights_init must have a sum of 1 in every group, got 0.5 at row 0"),
    ({"weights_init": [np.nan]}, ValueError, "weights_init must have a sum of 1"),
    ({"n_threads": 0}, ValueError, "n_threads must be at least 1"),
    ({"backend": "fortran"}, ValueError, "backend must be one of"),
    ({"family": "binomial"}, TypeError, "trials: the number of trials of each row is needed"),
    ({"family": "binomial", "trials": [3, 3]}, ValueError, r"trials must be one number or have the shape of values"),
    ({"family": "binomial", "trials": 3, "means_init": [1.0]}, TypeError, "means_init must be left out"),
    ({"family": "binomial", "trials": 3, "probs_init": [1.5]}, ValueError, "probs_init must be between 0 and 1"),
]


@pytest.mark.parametrize(("change", "error", "message"), DOOR, ids=[str(change) for change, _, _ in DOOR])
def test_the_door(change, error, message):
    good = {"values": [1.0, 2.0, 3.0], "offsets": [0, 3]}
    with pytest.raises(error, match=message):
        fit_many(**(good | change))


def test_labels_need_the_rows_of_the_groups():
    fits = fit_many([1.0, 2.0, 3.0], [0, 3])
    with pytest.raises(ValueError, match="values must have 3 rows"):
        fits.labels([1.0])
