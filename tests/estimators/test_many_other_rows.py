"""fit_many: labels, probabilities and densities of other rows in the same groups are those of each group's mixture."""

import numpy as np
import pandas as pd
import pytest

import fastem

NAMES = np.array(["c", "a", "b"])
M, K = 3, 2
rng = np.random.default_rng(0)
GROUP = rng.integers(0, M, 240)

NEW = rng.integers(0, M, 70)


def numbers(group, far):
    return 2.0 + far + rng.normal(size=len(group))


def rows_of(kind, group):
    """Rows of a kind in these groups, with the trials that they have, and the settings of their fits."""
    far = 8.0 * rng.integers(0, 2, len(group)) + 3.0 * group
    if kind == "numbers":
        return numbers(group, far), None, {}
    if kind in ("full", "tied", "diag", "spherical"):
        return np.stack([numbers(group, far), numbers(group, far)], axis=1), None, {"covariance_type": kind}
    columns = (len(group), 2) if kind.endswith("columns") else (len(group),)
    rate = far.reshape(-1, *[1] * (len(columns) - 1)) + 1.0
    if kind.startswith("poisson"):
        return rng.poisson(rate, columns), None, {"family": "poisson"}
    return rng.binomial(30, rate / 20, columns), 30, {"family": "binomial"}


KINDS = (
    "numbers", "full", "tied", "diag", "spherical", "poisson", "poisson columns", "binomial", "binomial columns",
)  # fmt: skip


def fitted(kind):
    values, trials, settings = rows_of(kind, GROUP)
    return fastem.fit_many(values, groups=NAMES[GROUP], n_components=K, trials=trials, **settings)


@pytest.mark.parametrize("kind", KINDS)
def test_other_rows_have_what_the_mixture_of_their_group_says(kind):
    fits = fitted(kind)
    values, trials, _ = rows_of(kind, NEW)
    found = [ask(values, trials, groups=NAMES[NEW]) for ask in (fits.score_samples, fits.predict_proba, fits.predict)]
    for name in NAMES:
        rows = NAMES[NEW] == name
        some = values[rows] if values.ndim == 2 else values[rows, np.newaxis]
        expected = fastem.posterior(fits[name], some, **({} if trials is None else {"trials": trials}))
        np.testing.assert_allclose(found[0][rows], expected.log_prob, rtol=1e-12)
        np.testing.assert_allclose(found[1][rows], expected.resp, atol=1e-12)
        np.testing.assert_array_equal(found[2][rows], expected.labels)


@pytest.mark.parametrize("kind", KINDS)
def test_groups_are_told_by_labels_by_offsets_or_by_the_first_axis(kind):
    fits = fitted(kind)
    group = np.repeat([0, 1, 2], 5)  # in the order of the fit
    values, trials, _ = rows_of(kind, group)
    for ask in (fits.labels, fits.score_samples):
        expected = ask(values, trials, groups=fits.names[group])
        np.testing.assert_array_equal(ask(values, trials, offsets=[0, 5, 10, 15]), expected)
        table = values.reshape(3, 5, *values.shape[1:])
        np.testing.assert_array_equal(ask(table, trials), expected.reshape(3, 5))
        assert ask(values[:0], trials, offsets=[0, 0, 0, 0]).shape == (0,)


def test_the_rows_of_the_fit_are_those_of_their_labels():
    values = rows_of("numbers", GROUP)[0]
    fits = fastem.fit_many(values, groups=NAMES[GROUP], n_components=K)
    for ask in (fits.labels, fits.predict_proba, fits.score_samples):
        np.testing.assert_array_equal(ask(values), ask(values, groups=NAMES[GROUP]))
    per_group = [fits.score_samples(values)[NAMES[GROUP] == name].sum() for name in fits.names]
    np.testing.assert_allclose(per_group, fits.loglik, rtol=1e-12)


def test_a_data_frame_names_its_groups():
    table = pd.DataFrame(rng.normal(size=(3, 50)), index=["x", "y", "z"])
    fits = fastem.fit_many(table)
    some = table.loc[["z", "x"]].iloc[:, :4]
    expected = [fits.score_samples(row, groups=[name] * 4) for name, row in some.iterrows()]
    np.testing.assert_array_equal(fits.score_samples(some), expected)


def test_groups_without_labels_are_told_by_number():
    fits = fastem.fit_many(rng.normal(size=(3, 50)))
    np.testing.assert_array_equal(
        fits.score_samples([0.5, 0.5], groups=[2, 0]), fits.score_samples([[0.5]] * 3)[[2, 0], 0]
    )


def test_dates_are_labels_too():
    days = np.array(["2024-01-01", "2024-01-02"], "datetime64[ns]")
    fits = fastem.fit_many([1.0, 2.0, 5.0, 6.0], groups=np.repeat(days, 2))
    expected = fits.score_samples([[1.0], [1.0]]).ravel()
    np.testing.assert_array_equal(fits.score_samples([1.0, 1.0], groups=days), expected)


def test_a_group_without_a_fit_has_no_density_and_no_label():
    fits = fastem.fit_many([1.0, 2.0, np.nan, 3.0], groups=["a", "a", "b", "b"])
    assert fits.labels([1.0, 1.0, np.nan], groups=["b", "a", "a"]).tolist() == [-1, 0, -1]
    np.testing.assert_array_equal(np.isnan(fits.score_samples([1.0, 1.0, np.nan], groups=list("baa"))), [1, 0, 1])


WRONG = [
    ({"groups": ["a", "d", "b"]}, "groups must be labels of the fit, got .*d.* at row 1"),
    ({"groups": ["a", "b"]}, "groups must have one label for each of the 3 values"),
    ({"offsets": [0, 3]}, "values must have rows of 3 groups, as the fit has; got 1"),
    ({"values": [[1.0, 2.0]]}, "values must have rows of 3 groups, as the fit has; got 1"),
    ({}, "values must have 240 rows, as the groups of the fit have, or groups or offsets; got 3"),
    (
        {"values": pd.DataFrame([[1.0], [2.0]], index=["a", "d"])},
        "groups must be labels of the fit, got .*d.* at row 1",
    ),
]


@pytest.mark.parametrize(("given", "message"), WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_groups_that_the_fit_does_not_have_are_refused_by_name(given, message):
    fits = fitted("numbers")
    for ask in (fits.labels, fits.predict_proba, fits.score_samples):
        with pytest.raises(ValueError, match=message):
            ask(**{"values": [1.0, 2.0, 3.0]} | given)


def test_rows_of_other_columns_are_refused():
    fits = fitted("full")
    with pytest.raises(ValueError, match="values must have 2 columns, as the rows of the fit have; got 3"):
        fits.score_samples(np.zeros((2, 3)), groups=["a", "b"])
