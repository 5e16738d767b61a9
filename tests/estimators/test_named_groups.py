"""fit_many: groups by label or by row of a matrix, and what its results answer of a group and of its rows."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support.groups import assert_close, count_groups, normal_groups

import fastem
from fastem.estimators.fit_many import fit_many

LABELS = ["b", "a", "b", "c", "a", "b", "c", "c", "a"]
VALUES = np.array([5.0, 1.0, 6.0, 9.0, 2.0, 5.5, 9.5, 8.0, 1.5])


def by_offsets(labels=LABELS, values=VALUES, **settings):
    """The fits of the same groups, put one behind the other by hand."""
    names = sorted(set(labels))
    parts = [values[[label == name for label in labels]] for name in names]
    return fit_many(np.concatenate(parts), np.cumsum([0, *map(len, parts)]), **settings)


@pytest.mark.parametrize(
    "labels",
    [LABELS, np.array(LABELS), np.array(LABELS, object), pd.Series(LABELS), pd.Series(LABELS, dtype="category"),
     pa.array(LABELS), pa.chunked_array([LABELS[:4], LABELS[4:]])],
    ids=["list", "text", "objects", "pandas", "categories", "arrow", "arrow chunks"],
)  # fmt: skip
def test_labels_of_any_kind_are_groups(labels):
    found = fit_many(VALUES, groups=labels, n_components=2)
    assert found.names.tolist() == ["a", "b", "c"]
    assert_close(found, by_offsets(n_components=2))


def test_numbers_and_what_cannot_be_compared_are_labels_too():
    numbers = [{"a": 7, "b": -1, "c": 0}[label] for label in LABELS]
    assert fit_many(VALUES, groups=numbers).names.tolist() == [-1, 0, 7]
    mixed = np.array([{"a": 7, "b": "x", "c": (1, 2)}[label] for label in LABELS] + [None], object)[:-1]
    found = fit_many(VALUES, groups=mixed)
    assert found.names.tolist() == ["x", 7, (1, 2)]  # as they are met
    np.testing.assert_array_equal(found.means[[1, 0, 2]], by_offsets().means)


def test_the_rows_of_a_matrix_are_groups():
    table = np.array([[1.0, 2.0, 1.5], [5.0, 6.0, 5.5], [9.0, 9.5, 8.0]])
    found = fit_many(table, n_components=2)
    assert_close(found, by_offsets(n_components=2))
    assert found.names is None
    weights = np.arange(9.0).reshape(3, 3)
    flat = fit_many(table.ravel(), [0, 3, 6, 9], sample_weight=weights.ravel())
    assert_close(fit_many(table, sample_weight=weights), flat)
    counts = table.astype(int)
    coins = fit_many(counts, family="binomial", trials=np.full((3, 3), 10))
    assert_close(coins, fit_many(counts.ravel(), [0, 3, 6, 9], family="binomial", trials=10))
    assert found.labels(table).shape == table.shape


def test_a_group_is_found_by_its_label_or_number():
    named, numbered = fit_many(VALUES, groups=LABELS), by_offsets()
    for number, name in enumerate("abc"):
        np.testing.assert_array_equal(named[name].means, numbered[number].means)
    np.testing.assert_array_equal(numbered[-1].means, numbered.params(2).means)
    assert [params.means.item() for params in named] == numbered.means.ravel().tolist()
    with pytest.raises(KeyError, match="no group has the label 'd'"):
        named["d"]
    with pytest.raises(IndexError):
        numbered[3]


def test_responsibilities_are_those_of_the_posterior_in_the_order_of_the_rows():
    x, offsets = normal_groups()
    shuffled = np.random.default_rng(0).permutation(len(x))
    group = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    fits = fit_many(x[shuffled], groups=group[shuffled], n_components=2)
    resp, labels = fits.predict_proba(x[shuffled]), fits.labels(x[shuffled])
    for number, name in enumerate(fits.names):
        rows = group[shuffled] == name
        expected = fastem.posterior(fits.params(number), x[shuffled][rows, np.newaxis])
        np.testing.assert_allclose(resp[rows], expected.resp, rtol=0, atol=1e-13)
        np.testing.assert_array_equal(labels[rows], expected.labels)


def test_responsibilities_of_counts_are_those_of_the_posterior():
    counts, trials, _ = count_groups()
    coins = fit_many(counts, [0, len(counts)], 2, family="binomial", trials=trials)
    expected = fastem.posterior(coins[0], counts, trials=trials).resp
    np.testing.assert_allclose(coins.predict_proba(counts, trials), expected, rtol=0, atol=1e-13)
    events = fit_many(counts, [0, len(counts)], 2, family="poisson")
    expected = fastem.posterior(events[0], counts).resp
    np.testing.assert_allclose(events.predict_proba(counts), expected, rtol=0, atol=1e-13)


def test_rows_without_a_fit_have_no_responsibilities():
    fits = fit_many([1.0, 2.0, np.nan, 3.0], groups=[0, 0, 1, 1])
    resp = fits.predict_proba([1.0, np.nan, 2.0, 3.0])
    np.testing.assert_array_equal(np.isnan(resp).ravel(), [False, True, True, True])
    assert (np.isnan(resp).any(axis=1) == (fits.labels([1.0, np.nan, 2.0, 3.0]) == -1)).all()


def test_a_frame_has_a_row_for_each_group():
    fits = fit_many([1.0, 2.0, np.nan, 3.0, 5.0], groups=["y", "y", "x", "x", "y"], n_components=2)
    frame = fits.to_frame()
    assert frame.index.tolist() == ["x", "y"]
    assert frame["status"].tolist() == ["NOT_FINITE", "CONVERGED"]
    assert frame.columns.tolist()[-6:] == ["weight_0", "mean_0", "variance_0", "weight_1", "mean_1", "variance_1"]
    np.testing.assert_array_equal(frame["mean_1"], fits.means[:, 1])
    np.testing.assert_array_equal(frame["bic"], fits.bic)
    assert by_offsets().to_frame().index.tolist() == [0, 1, 2]


def test_in_print_results_say_what_became_of_the_groups():
    fits = fit_many([1.0, 2.0, np.nan, 3.0], groups=[0, 0, 1, 1])
    assert repr(fits) == "<ManyGaussianFits: 2 groups, 1 components; 1 CONVERGED, 1 NOT_FINITE>"
    assert repr(fit_many([], [0])) == "<ManyGaussianFits: 0 groups, 1 components; none>"


WRONG = [
    ({}, TypeError, "values need offsets or groups, or to be an array with a group in each row; got neither"),
    ({"offsets": [0, 9], "groups": LABELS}, TypeError, "got both"),
    ({"groups": LABELS[:8]}, ValueError, r"groups must have one label for each of the 9 values, got shape \(8,\)"),
    ({"groups": [*LABELS[:8], None]}, ValueError, "groups must have a label for each row, got None at row 8"),
    ({"groups": [1.0, np.nan, *[2.0] * 7]}, ValueError, "groups must have a label for each row, got .*nan.* at row 1"),
    ({"groups": pd.array([1, 2, None] * 3, dtype="Int64")}, ValueError, "groups must have a label .*, got .* at row 2"),
    ({"groups": pd.to_datetime(["2020-01-01", None] * 4 + ["2020-01-01"])}, ValueError, "at row 1"),
    ({"groups": [[1]] * 9}, ValueError, r"groups must have one label for each of the 9 values, got shape \(9, 1\)"),
    ({"values": VALUES.reshape(3, 3), "groups": LABELS}, ValueError, "groups must have one label for each of the 3"),
    ({"values": [[1.0, 2.0], [3.0]]}, (TypeError, ValueError), "values is not an array"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "error", "message"), WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_what_says_wrongly_how_values_are_grouped_is_refused_by_name(change, error, message):
    with pytest.raises(error, match=message):
        fit_many(**({"values": VALUES} | change))


def test_the_index_of_a_data_frame_names_its_groups():
    """A group is a row; rows that are merely numbered, or have equal labels, have no names."""
    values = np.random.default_rng(0).normal(size=(3, 40))
    named = fastem.fit_many(pd.DataFrame(values, index=["g10", "g2", "g1"]))
    assert named.names.tolist() == ["g10", "g2", "g1"]  # in their order
    assert named.to_frame().index.tolist() == ["g10", "g2", "g1"]
    np.testing.assert_array_equal(named["g2"].means, fastem.fit_many(values)[1].means)
    assert fastem.fit_many(pd.DataFrame(values)).names is None
    assert fastem.fit_many(pd.DataFrame(values, index=["a", "a", "b"])).names is None
