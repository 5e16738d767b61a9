"""The moments of all rows of a fit, wherever they are."""

from __future__ import annotations

import numpy as np

from fastem.data.row_source import RowSource
from fastem.families.gaussian.model import GaussianParams


def moments_of(rows: RowSource) -> tuple[GaussianParams, float]:
    """Return the mean and the covariance of all rows as one component, and their weight.

    The second sweep has its sums about the mean.
    """
    d, total = rows.n_features, 0.0
    params = GaussianParams.from_variances(np.zeros((1, d)), np.ones(d), "full")
    for _ in range(2):
        stats = rows.without_labels().in_float64().sweep(params)
        params, total = stats.maximize(reg_covar=0.0), stats.total
    return params, total
