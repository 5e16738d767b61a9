"""``fastem predict``: find the component of each row of a table."""

from __future__ import annotations

import argparse

import numpy as np

from fastem._typing import RowKind
from fastem.cli.destinations import check_destinations
from fastem.cli.roles import Roles
from fastem.cli.rows import Rows, check_counts, read_rows
from fastem.cli.streams import SUCCESS, write_message
from fastem.cli.writing import Columns, check_suffix, is_stream, write_table
from fastem.estimators.base import Mixture
from fastem.persistence import load


def predict(args: argparse.Namespace) -> int:
    """Write the component of each row of a table."""
    if not is_stream(args.out):
        check_destinations([args.model, args.file], args.out)
    check_suffix(args.out, "--out")
    asked = Roles.asked(args)
    mixture: Mixture = load(args.model)
    check_trials(args, mixture, asked)
    roles = asked.or_of(mixture)
    if takes_trials(mixture) and not roles.has_trials:
        raise ValueError(f"{args.model} needs the trials of each row: --trials, a column or a number, or --failures")
    if hasattr(mixture, "feature_names_in_"):
        del mixture.feature_names_in_  # they are columns of files here, not of data frames
    rows = read_rows(args.file, roles)
    check_n_columns(args, mixture, rows)
    check_counts(rows, roles, mixture.family.row_kind)
    write_table(args.out, assignments(mixture, rows, args.probabilities))
    return SUCCESS


def check_trials(args: argparse.Namespace, mixture: Mixture, asked: Roles) -> None:
    """Raise ValueError for trials that the model does not take."""
    if asked.has_trials and not takes_trials(mixture):
        option = "failures" if asked.failures else "trials"
        raise ValueError(f"--{option} are for a binomial mixture, but {args.model} is a {type(mixture).__name__}")


def check_n_columns(args: argparse.Namespace, mixture: Mixture, rows: Rows) -> None:
    """Raise ValueError unless there are as many columns as the model was fitted to."""
    if len(rows.names) != mixture.n_features_in_:
        raise ValueError(
            f"{args.model} was fitted to {mixture.n_features_in_} columns, but {rows.source} has {len(rows.names)}:"
            f" {', '.join(rows.names[:20])}; --columns chooses some"
        )


def takes_trials(mixture: Mixture) -> bool:
    """Return whether the rows of a mixture have trials."""
    return mixture.family.row_kind is RowKind.COUNTS_WITH_TRIALS


def trials_of(mixture: Mixture, rows: Rows) -> dict[str, np.ndarray | int | None]:
    """Return the argument `trials` for a mixture that takes it, and no argument for others."""
    return {"trials": rows.trials} if takes_trials(mixture) else {}


def assignments(mixture: Mixture, rows: Rows, probabilities: bool) -> Columns:
    """Return the columns to keep; then the component, its probability and the log density; then all probabilities."""
    trials = trials_of(mixture, rows)
    component, resp = mixture.predict(rows.X, **trials), mixture.predict_proba(rows.X, **trials)
    columns = {
        "component": component,
        "probability": resp[np.arange(len(resp)), component],
        "log_density": mixture.score_samples(rows.X, **trials),
    }
    if probabilities:
        names = [*range(len(mixture.params_.weights)), "noise"]
        columns |= {f"probability_{name}": column for name, column in zip(names, resp.T, strict=False)}
    for name in (name for name in rows.kept if name in columns):
        write_message(f"{rows.source}: its column {name!r} is not kept, since the result has one of this name")
    return {name: values for name, values in rows.kept.items() if name not in columns} | columns
