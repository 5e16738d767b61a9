"""Standard errors on the command line are those of Python, or a sentence says why there are none."""

import json

import numpy as np
import pytest
from support.command_line import COINS, HEADS, POINTS, TOSSES, WEIGHTS, X, said

import fastem

FITS = {
    "points": ([*POINTS, "-k", "2"], {"X": X}),
    "weighted": ([*POINTS, "-k", "2", "--weight", "w"], {"X": X, "sample_weight": WEIGHTS}),
    "coins": ([*COINS, "-k", "1..2"], {"X": HEADS[:, np.newaxis], "trials": TOSSES[:, np.newaxis]}),
}


def without_names(mixture):
    """The mixture as one of arrays, which have no names."""
    del mixture.feature_names_in_
    return mixture


@pytest.mark.parametrize("name", FITS)
def test_errors_are_those_of_the_model(name, folder, ran):
    options, rows = FITS[name]
    code, out, _ = ran("fit", "rows.csv", *options, "--standard-errors", "--json", "--out", "model.npz")
    mixture = without_names(fastem.load("model.npz"))
    errors = mixture.standard_errors(**rows)
    told = json.loads(out)["standard_errors"]
    assert code == 0
    assert told.keys() == errors.by_name.keys()
    for parameter, values in errors.by_name.items():
        np.testing.assert_allclose(told[parameter], values, rtol=1e-9)


def test_a_table_has_them_behind_the_parameters(folder, ran):
    out = said(ran, "fit", "rows.csv", "--columns", "east", "-k", "2", "--standard-errors", "--out", "model.npz")
    mixture = without_names(fastem.load("model.npz"))
    errors = mixture.standard_errors(X[:, :1])
    for weight, error in zip(mixture.weights_, errors.weights, strict=True):
        assert f"{weight:.6g} ± {error:.2g}" in out
    assert out.splitlines()[-1].startswith("± is the standard error")
    assert "±" not in said(ran, "describe", "model.npz")


def test_a_fit_without_them_is_described_all_the_same(folder, ran):
    (folder / "pairs.csv").write_text("hits,of\n" + "0,1\n1,1\n" * 20)  # with one trial, no two coins are told apart
    options = ["--columns", "hits", "--trials", "of", "-k", "2", "--standard-errors"]
    code, out, err = ran("fit", "pairs.csv", *options)
    assert (code, "BinomialMixture: 2 components" in out, "±" in out) == (0, True, False)
    assert err[-1].startswith("fastem: there are no standard errors: ")
    _, out, _ = ran("fit", "pairs.csv", *options, "--json")
    assert json.loads(out)["standard_errors"] is None
    _, out, _ = ran("fit", "pairs.csv", *options[:-1], "--json")
    assert "standard_errors" not in json.loads(out)


def test_a_bayesian_fit_has_none(folder, ran):
    code, _, (line,) = ran("fit", "rows.csv", *POINTS, "--bayesian", "--standard-errors")
    assert code == 2
    assert "--standard-errors are for maxima of a likelihood" in line
