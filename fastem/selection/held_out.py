"""The log likelihood of rows that are held out of a fit."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from fastem._typing import Array
from fastem.estimators.base import Mixture
from fastem.estimators.model import open_in_memory
from fastem.families.params import Params
from fastem.kernels.linear import dot
from fastem.selection.data import Arrays, Data, as_arrays, fit, with_settings
from fastem.selection.doubtful import suspects

ONE_COMPONENT: dict[str, object] = {
    "n_components": 1, "n_init": 1, "max_iter": 100, "tol": 1e-3, "stopping": "loglik", "acceleration": None,
    "fixed": (), "max_time": None, "on_collapse": "floor",
}  # fmt: skip
"""Settings for the fit of one component to all rows, whatever those of the estimator are."""


def fit_one_component(estimator: Mixture, data: Data) -> Mixture:
    """Fit one component to all rows."""
    own_starts = {f"{name}_init": None for name in estimator.family.init_names}
    return fit(with_settings(estimator, ONE_COMPONENT | own_starts), data)


def held_out_deviance(
    estimator: Mixture, setting: Mapping[str, object], data: Data, folds: int, step: Array, one_component: Mixture
) -> float:
    """Return -2 log likelihood of all rows, each under a fit without the fold of that row.

    Suspect components of these fits get the variances that their rows prove, given the rounding `step` (d,).  A row
    that no component expects counts as one of n rows that are spread as all rows are, which `one_component` describes:
    otherwise one outlier, whose density has no lower bound, would decide the choice alone.
    """
    arrays = as_arrays(estimator, data)
    outlier_weight, deviance = -math.log(max(1.0, arrays.total_weight)), 0.0
    for inside, outside in arrays.split_folds(folds):
        mixture = fit(with_settings(estimator, setting), inside)
        params: Params = mixture.params_
        if suspect := suspects(mixture, step):
            params = params.with_proven_variances(mixture.counts_, suspect, step)
        log_prob = log_density(mixture, params, outside)
        log_prob_of_outlier = log_density(one_component, one_component.params_, outside) + outlier_weight
        log_prob = np.maximum(log_prob, log_prob_of_outlier, dtype=np.float64)
        weights = outside.sample_weight
        deviance -= 2 * (float(log_prob.sum()) if weights is None else dot(weights, log_prob))
    return deviance


def log_density(mixture: Mixture, params: Params, arrays: Arrays) -> Array:
    """Return (n,) the log density of rows under parameters of the family of a mixture."""
    with open_in_memory(mixture, arrays.X, arrays.trials) as rows:
        return rows.predict(params, "log_prob")
