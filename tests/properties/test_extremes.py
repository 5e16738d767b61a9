"""Extreme but legal data: a fit ends in finite parameters of a mixture, or in a ValueError that says why."""

import re

import numpy as np
import pytest

from fastem import GaussianMixture

RARE = (
    "ill-defined empirical covariance|must be below|must hold a positive weight|cannot be distinguished from 0|1 sample"
)


def rows(rng):
    n, d = int(rng.integers(1, 60)), int(rng.integers(1, 6))
    X = rng.normal(size=(n, d))
    kinds = {
        "constant": lambda: np.full((n, d), rng.normal()),
        "duplicated": lambda: X[rng.integers(0, max(1, n // 5), n)],
        "tiny": lambda: X * 10.0 ** -rng.integers(1, 150),
        "huge": lambda: X * 10.0 ** rng.integers(1, 139),
        "mixed units": lambda: X * 10.0 ** rng.integers(-100, 100, d),
        "subnormal": lambda: X * 1e-310,
        "far off": lambda: X + 10.0 ** rng.integers(1, 17),
        "plain": lambda: X,
    }
    X = kinds[rng.choice(list(kinds))]()
    return X.astype(np.float32) if rng.random() < 0.2 and np.abs(X).max() < 1e17 else X


def sample_weight(rng, n):
    if rng.random() < 0.5:
        return None
    return rng.random(n) * 10.0 ** rng.integers(-30, 30) * (rng.random(n) < 0.7)


def mixture(rng, n):
    return GaussianMixture(
        int(rng.integers(1, min(n, 8) + 1)),
        covariance_type=str(rng.choice(["full", "tied", "diag", "spherical"])),
        reg_covar=[0.0, 1e-6, 1e-3, "auto"][rng.integers(4)],
        init_params=str(rng.choice(["kmeans", "k-means++", "random", "random_from_data"])),
        random_state=int(rng.integers(1_000_000)),
        n_init=int(rng.integers(1, 3)),
        max_iter=int(rng.integers(0, 30)),
    )


@pytest.mark.parametrize("seed", range(400))
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@pytest.mark.seconds
def test_a_fit_of_extreme_rows_is_finite_or_refused(seed):
    rng = np.random.default_rng(seed)
    X = rows(rng)
    model = mixture(rng, len(X))
    try:
        model.fit(X, sample_weight=sample_weight(rng, len(X)))
    except ValueError as error:
        if re.search(RARE, str(error)):
            return
        raise
    resp = model.predict_proba(X)
    for values in (model.weights_, model.means_, model.covariances_, model.loglik_, resp, model.score_samples(X)):
        assert np.isfinite(values).all()
    # sums of float32 shares are good to 1e-6
    assert model.weights_.sum() == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(resp.sum(axis=1), 1.0, atol=1e-5)
