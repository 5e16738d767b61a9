"""Rows that are held out of a fit, and what it says of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastem._typing import Array
from fastem.estimators.base import Mixture
from fastem.estimators.model import open_in_memory, trials_of
from fastem.families.params import Params
from fastem.kernels.linear import dot
from fastem.selection.doubtful import suspects
from fastem.validation.arrays import as_counts, as_matrix, as_sample_weight, check_folds

Data = dict[str, Any]
"""X, trials (of counts) and sample_weight, as a fit takes them."""

OF_ALL: dict[str, Any] = {
    "n_components": 1, "n_init": 1, "max_iter": 100, "tol": 1e-3, "stopping": "loglik", "acceleration": None,
    "fixed": (), "max_time": None, "on_collapse": "floor",
    "weights_init": None, "means_init": None, "precisions_init": None, "probs_init": None,
}  # fmt: skip
"""Settings of one component on all rows, whatever those of an estimator are."""


def copied(estimator: Any, setting: dict[str, Any]) -> Any:
    return type(estimator)(**estimator.get_params(deep=False) | setting)


def of_all_rows(estimator: Any, data: Data) -> Any:
    """One component on all rows."""
    known = estimator.get_params(deep=False)
    return copied(estimator, {name: value for name, value in OF_ALL.items() if name in known}).fit(**data)


def held_out(estimator: Any, setting: dict[str, Any], data: Data, folds: int, step: Array, whole: Any) -> float:
    """-2 log likelihood of all rows, each under a fit without its fold, of which suspect components have the extents
    that their rows prove.

    A row that no component expects counts as one of n that are spread as all rows are, which `whole` describes: else
    one far row, of which the density has no lower bound, would choose by itself.
    """
    arrays = arrays_of(estimator, data)
    least, deviance = -math.log(max(1.0, total_of(arrays))), 0.0
    for inside, outside in parts(arrays, folds):
        mixture, weights = copied(estimator, setting).fit(**inside), outside.pop("sample_weight")
        params = mixture.params_
        if suspect := suspects(mixture, step):
            params = params.with_proven_variances(mixture.counts_, suspect, step)
        log_prob, spread = log_density(mixture, params, outside), log_density(whole, whole.params_, outside)
        log_prob = np.maximum(log_prob, spread + least, dtype=np.float64)
        deviance -= 2 * (float(log_prob.sum()) if weights is None else dot(weights, log_prob))
    return deviance


def log_density(mixture: Mixture, params: Params, data: Data) -> Array:
    """Return (n,) the log density of rows under parameters of the family of a mixture."""
    with open_in_memory(mixture, data["X"], data.get("trials")) as rows:
        return rows.predict(params, "log_prob")


def total_of(arrays: Data) -> float:
    weights = arrays["sample_weight"]
    return float(len(arrays["X"]) if weights is None else weights.sum())


def arrays_of(estimator: Any, data: Data) -> Data:
    """The data as arrays with a place for each row."""
    X, weights = data["X"], data["sample_weight"]
    if "trials" in data:
        X, trials = as_counts(X, trials_of(estimator, data["trials"]))
        arrays = {"X": X, "trials": trials}
    else:
        arrays = {"X": as_matrix(X, fitting=True)}
    return arrays | {"sample_weight": None if weights is None else as_sample_weight(weights, len(arrays["X"]))}


def parts(arrays: Data, folds: int) -> Iterator[tuple[Data, Data]]:
    """Rows to fit and rows to hold out, for each fold."""
    n = len(arrays["X"])
    check_folds(n, folds)
    fold = np.random.default_rng(0).permutation(n) % folds
    for i in range(folds):
        yield taken(arrays, fold != i), taken(arrays, fold == i)


def taken(arrays: Data, chosen: np.ndarray) -> Data:
    return {name: None if array is None else array[chosen] for name, array in arrays.items()}
