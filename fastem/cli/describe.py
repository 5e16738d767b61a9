"""Describe a fitted mixture, as text or as JSON."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace

import numpy as np

from fastem._storage import Json
from fastem.cli.streams import SUCCESS, write_result
from fastem.estimators.attributes import feature_names, total_weight
from fastem.estimators.base import Mixture
from fastem.inference.standard_errors import StandardErrors
from fastem.persistence import load
from fastem.selection.table import Selection

ATTRIBUTES = (
    "n_components", "loglik_", "n_parameters_", "aic_", "bic_", "icl_", "entropy_", "n_iter_", "n_sweeps_",
    "converged_", "stop_reason_", "summary_", "lower_bound_", "noise_weight_",
)  # fmt: skip
"""Attributes that JSON has for the mixtures that have them."""
OF_ERRORS = "± is the standard error: what chance does to a parameter, if the model is right"
DIGITS = 6
"""Significant digits of parameters in text."""
ROUNDED = 6
"""Decimal digits of the number of rows, which is a sum of probabilities."""
SETTINGS = ("covariance_type", "n_trials")
"""Settings that JSON has for the mixtures that have them."""


def describe(args: argparse.Namespace) -> int:
    """Describe a saved model."""
    show_mixture(args, load(args.model))
    return SUCCESS


def show_mixture(args: argparse.Namespace, mixture: Mixture) -> None:
    """Write the description of a mixture, as text or as JSON."""
    if args.json:
        write_json(as_json(mixture))
    else:
        write_result(as_text(mixture, None))


def write_json(value: Json) -> None:
    """Write JSON to standard output."""
    write_result(json.dumps(value, allow_nan=False))


def selection_as_text(selection: Selection, errors: StandardErrors | None) -> str:
    """Describe the best mixture, below a table of all candidates if there are several."""
    table = [str(selection), ""] if len(selection.candidates) > 1 else []
    return "\n".join([*table, as_text(selection.best, errors)])


def as_text(mixture: Mixture, errors: StandardErrors | None) -> str:
    """Describe a mixture in a few lines and a table of its components, for the width of the terminal."""
    summary = mixture.summary(errors)
    cuts = ", ".join(f"{cut:.{DIGITS}g}" for cut in cut_points(mixture))
    notes = (*([f"cut points: {cuts}"] if cuts else []), *([OF_ERRORS] if errors else []), *summary.notes)
    return str(replace(summary, digits=DIGITS, notes=notes))


def as_json(mixture: Mixture) -> dict[str, Json]:
    """Describe a mixture by its settings, attributes and parameters."""
    attributes = (*ATTRIBUTES, *(f"{name}_" for name in mixture.params_.parameter_names))
    values = {
        "class": type(mixture).__name__,
        "columns": feature_names(mixture),
        "rows": int(rows) if (rows := round(total_weight(mixture), ROUNDED)).is_integer() else rows,
        **{name: getattr(mixture, name) for name in SETTINGS if hasattr(mixture, name)},
        **{name.removesuffix("_"): getattr(mixture, name) for name in attributes if hasattr(mixture, name)},
        **({"cut_points": cuts} if (cuts := cut_points(mixture)) else {}),
        "complaints": mixture.summary().notes,
    }
    return {name: plain(value) for name, value in values.items()}


def errors_as_json(errors: StandardErrors | None) -> Json:
    """Return standard errors by the names of the parameters; null where they are not known."""
    return None if errors is None else plain(dict(errors.by_name))


def cut_points(mixture: Mixture) -> list[float]:
    """Return where to cut between neighbouring components of one feature, for mixtures that tell; none for one."""
    if mixture.n_features_in_ > 1 or not hasattr(mixture, "cut_points"):
        return []
    found: list[float] = mixture.cut_points().tolist()
    return found


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
