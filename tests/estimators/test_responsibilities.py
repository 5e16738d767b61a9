"""Fits that begin at responsibilities, or at labels of rows with gaps, wherever the rows are."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastem

THREE = np.repeat([0, 1, 2], 120)
CLOUDS = np.random.default_rng(0).normal(size=(360, 3)) + 3.0 * np.eye(3)[THREE]
RESP = np.random.default_rng(0).dirichlet(np.ones(3), len(CLOUDS))
GAPS = np.where(CLOUDS > 3.5, np.nan, CLOUDS)
HEADS = np.random.default_rng(1).binomial(10, np.array([0.2, 0.5, 0.9])[THREE])[:, np.newaxis].astype(float)
BEGINNINGS = [
    (fastem.GaussianMixture(3, max_iter=0), CLOUDS),
    (fastem.GaussianMixture(3, max_iter=0), CLOUDS.astype(np.float32)),
    (fastem.GaussianMixture(3, max_iter=0, missing="marginalize", noise=True, random_state=0), GAPS),
    (fastem.PoissonMixture(3, max_iter=0), HEADS),
    (fastem.BinomialMixture(3, max_iter=0, n_trials=10), HEADS),
]


def same_start(found, expected):
    for name, value in expected.items():
        assert_allclose(vars(found.params_)[name], value, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("mixture", "rows"), BEGINNINGS, ids=["float64", "float32", "gaps", "poisson", "binomial"])
def test_responsibilities_begin_fits_of_chunks_and_partitions(mixture, rows, weighted):
    da = pytest.importorskip("dask.array")
    weights = 3 * np.random.default_rng(1).random(len(rows)) if weighted else None
    mixture.fit(rows, sample_weight=weights, labels_init=RESP)
    expected = {name: np.array(getattr(mixture.params_, name)) for name in mixture.params_.parameter_names}
    parts = [slice(0, 1), slice(1, 200), slice(200, None)]
    trials = [np.full((len(rows), 1), 10)] if isinstance(mixture, fastem.BinomialMixture) else []
    arrays = [rows, *trials, weights] if weighted else [rows, *trials]
    chunks = [tuple(array[part] for array in arrays) for part in parts]
    same_start(mixture.fit(chunks=chunks, labels_init=RESP), expected)
    lazy = da.from_array(rows, chunks=(100, rows.shape[1]))
    lazy_weights = da.from_array(weights, chunks=100) if weighted else None
    same_start(mixture.fit(lazy, sample_weight=lazy_weights, labels_init=RESP), expected)


def test_rows_with_gaps_begin_at_what_is_there():
    labels, rows = np.arange(600) % 2, np.random.default_rng(2).normal(size=(600, 2))
    rows[labels == 1] += 9.0
    rows[np.random.default_rng(3).random(rows.shape) < 0.2] = np.nan
    for seed in (0, 1):
        mixture = fastem.GaussianMixture(
            2, covariance_type="diag", missing="marginalize", random_state=seed, max_iter=0
        )
        begun = mixture.fit(rows, labels_init=labels)
        for c in (0, 1):
            own = rows[labels == c]  # a fifth is missing: 0.2^5 is left of what a start without labels expects of it
            assert_allclose(begun.means_[c], np.nanmean(own, axis=0), atol=9 * 0.25**5)
            assert_allclose(begun.covariances_[c], np.nanvar(own, axis=0), atol=100 * 0.25**5)


def test_a_column_of_no_responsibility_is_named():
    shares = np.eye(3)[np.minimum(THREE, 1)]
    for rows in ({"X": CLOUDS}, {"chunks": [CLOUDS[:99], CLOUDS[99:]]}):
        with pytest.raises(ValueError, match=r"labels_init must give rows with weight .*, but 2 has none"):
            fastem.GaussianMixture(3).fit(**rows, labels_init=shares)
