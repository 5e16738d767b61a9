"""Describe a fitted mixture, as text or as JSON."""

from __future__ import annotations

import argparse
import json
import math
from shutil import get_terminal_size
from textwrap import fill

import numpy as np

from fastem._storage import Json
from fastem._table import aligned
from fastem._typing import Array
from fastem.cli.streams import SUCCESS, write_result
from fastem.estimators.base import Mixture
from fastem.families.params import Params
from fastem.persistence import load
from fastem.selection.table import Selection

ATTRIBUTES = (
    "n_components", "loglik_", "n_parameters_", "aic_", "bic_", "icl_", "entropy_", "n_iter_", "n_sweeps_",
    "converged_", "stop_reason_", "summary_", "lower_bound_",
)  # fmt: skip
"""Attributes that JSON has for the mixtures that have them."""
FEW_FEATURES, SHORTEST_NAME = 4, 12
"""Features up to which a component has one line, and characters that a name of a feature has at least."""
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
        write_result(as_text(mixture))


def write_json(value: Json) -> None:
    """Write JSON to standard output."""
    write_result(json.dumps(value, allow_nan=False))


def selection_as_text(selection: Selection) -> str:
    """Describe the best mixture, below a table of all candidates if there are several."""
    table = [str(selection), ""] if len(selection.candidates) > 1 else []
    return "\n".join([*table, as_text(selection.best)])


def as_text(mixture: Mixture) -> str:
    """Describe a mixture in a few lines and a table of its components, for the width of the terminal."""
    width = get_terminal_size().columns
    structure = f", {mixture.covariance_type} covariances" if hasattr(mixture, "covariance_type") else ""
    number = f"{mixture.n_components} component{'s' * (mixture.n_components > 1)}"
    lines = [
        f"{type(mixture).__name__}: {number}{structure}; {mixture.counts_.sum():.10g} rows",
        mixture.summary_,
        criteria_of(mixture),
    ]
    table = component_table(mixture)
    if mixture.n_features_in_ > FEW_FEATURES or len(table.split("\n")[0]) > width:
        table = feature_table(mixture, width)
    filled = [fill(line, width, break_long_words=False) for line in lines]
    return "\n".join([*filled, "", table, *(fill(complaint, width) for complaint in complaints(mixture))])


def criteria_of(mixture: Mixture) -> str:
    """Return a line of information criteria, for mixtures that have them, and the entropy."""
    entropy = f"entropy {mixture.entropy_:.2f}"
    if not hasattr(mixture, "bic_"):
        return entropy
    return f"AIC {mixture.aic_:.2f}  BIC {mixture.bic_:.2f}  ICL {mixture.icl_:.2f}  {entropy}"


def component_table(mixture: Mixture) -> str:
    """Return a table with a line for each component."""
    names, params = feature_names(mixture), mixture.params_
    columns = columns_of(params)
    headings = ["component", "weight", *(f"{column} {name}" for column in columns for name in names)]
    values = np.column_stack([params.weights, *columns.values()])
    return aligned(headings, [[str(c), *(f"{value:.6g}" for value in row)] for c, row in enumerate(values)])


def feature_table(mixture: Mixture, width: int) -> str:
    """Return a table with a line for each feature of each component; long names are shortened."""
    params, columns = mixture.params_, columns_of(mixture.params_)
    most = max(SHORTEST_NAME, width - sum(map(len, ("component", "weight", "  " * 4))) - 14 * len(columns))
    names = [shortened(name, most) for name in feature_names(mixture)]
    rows = [
        [*((str(c), f"{weight:.6g}") if not i else ("", "")), name, *(f"{each[c, i]:.6g}" for each in columns.values())]
        for c, weight in enumerate(params.weights)
        for i, name in enumerate(names)
    ]
    return aligned(["component", "weight", "feature", *columns], rows)


def shortened(name: str, most: int) -> str:
    """Return a name of at most so many characters, with dots for its middle."""
    half = (most - 2) // 2
    return name if len(name) <= most else f"{name[:half]}..{name[-half:]}"


def columns_of(params: Params) -> dict[str, Array]:
    """Return the parameters (k, d) of features that a table of components shows, and standard deviations if any."""
    return params.described()


def as_json(mixture: Mixture) -> dict[str, Json]:
    """Describe a mixture by its settings, attributes and parameters."""
    attributes = (*ATTRIBUTES, *(f"{name}_" for name in mixture.params_.parameter_names))
    values = {
        "class": type(mixture).__name__,
        "columns": feature_names(mixture),
        "rows": int(rows) if (rows := round(float(mixture.counts_.sum()), ROUNDED)).is_integer() else rows,
        **{name: getattr(mixture, name) for name in SETTINGS if hasattr(mixture, name)},
        **{name.removesuffix("_"): getattr(mixture, name) for name in attributes if hasattr(mixture, name)},
        "complaints": complaints(mixture),
    }
    return {name: plain(value) for name, value in values.items()}


def complaints(mixture: Mixture) -> list[str]:
    """Return a sentence for each fault that the diagnosis of a mixture finds in a component.

    Where components are expected to be empty, these are no faults, and a prior keeps the others from any.
    """
    if mixture.family.may_be_empty:
        return []
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
