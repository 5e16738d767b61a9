"""Describe a fitted mixture, as text or as JSON."""

from __future__ import annotations

import math

import numpy as np

from fastem._storage import Json
from fastem._typing import Array
from fastem.estimators.base import Mixture
from fastem.families.params import Params
from fastem.selection.table import Selection, aligned

ATTRIBUTES = (
    "n_components", "loglik_", "n_parameters_", "aic_", "bic_", "icl_", "entropy_", "n_iter_", "n_sweeps_",
    "converged_", "stop_reason_", "summary_",
)  # fmt: skip
"""Attributes that JSON has for mixtures of every family."""
SETTINGS = ("covariance_type", "n_trials")
"""Settings that JSON has for the mixtures that have them."""


def selection_as_text(selection: Selection) -> str:
    """Describe the best mixture, below a table of all candidates if there are several."""
    table = [str(selection), ""] if len(selection.candidates) > 1 else []
    return "\n".join([*table, as_text(selection.best)])


def as_text(mixture: Mixture) -> str:
    """Describe a mixture in a few lines and a table of its components."""
    names, params = feature_names(mixture), mixture.params_
    columns = columns_of(params)
    headings = ["component", "weight", *(f"{column} {name}" for column in columns for name in names)]
    values = np.column_stack([params.weights, *columns.values()])
    structure = f", {mixture.covariance_type} covariances" if hasattr(mixture, "covariance_type") else ""
    lines = [
        f"{type(mixture).__name__}: {mixture.n_components} components{structure}; {mixture.counts_.sum():.10g} rows",
        mixture.summary_,
        f"AIC {mixture.aic_:.2f}  BIC {mixture.bic_:.2f}  ICL {mixture.icl_:.2f}  entropy {mixture.entropy_:.2f}",
        "",
        aligned(headings, [[str(c), *(f"{value:.6g}" for value in row)] for c, row in enumerate(values)]),
    ]
    return "\n".join([*lines, *complaints(mixture)])


def columns_of(params: Params) -> dict[str, Array]:
    """Return the parameters (k, d) of features that a table of components shows, and standard deviations if any."""
    return params.described()


def as_json(mixture: Mixture) -> dict[str, Json]:
    """Describe a mixture by its settings, attributes and parameters."""
    attributes = (*ATTRIBUTES, *(f"{name}_" for name in mixture.params_.parameter_names))
    values = {
        "class": type(mixture).__name__,
        "columns": feature_names(mixture),
        "rows": mixture.counts_.sum(),
        **{name: getattr(mixture, name) for name in SETTINGS if hasattr(mixture, name)},
        **{name.removesuffix("_"): getattr(mixture, name) for name in attributes},
        "complaints": complaints(mixture),
    }
    return {name: plain(value) for name, value in values.items()}


def complaints(mixture: Mixture) -> list[str]:
    """Return a sentence for each fault that the diagnosis of a mixture finds in a component."""
    of_components = mixture.diagnose().complaints
    return [f"component {c} {complaint}" for c, found in enumerate(of_components) for complaint in found]


def feature_names(mixture: Mixture) -> list[str]:
    """Return the names of the features: x0, x1, ... if the fit had none."""
    return list(getattr(mixture, "feature_names_in_", [f"x{i}" for i in range(mixture.n_features_in_)]))


def plain(value: object) -> Json:
    """Convert a value to JSON, which has null instead of infinity and NaN."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise TypeError(f"JSON has no {type(value).__name__}")
