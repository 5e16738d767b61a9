"""Run the commands fit, predict, describe and bench."""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastem._storage import Json, replacing
from fastem._typing import RowKind
from fastem.cli.arguments import as_names, parse
from fastem.cli.describe import as_json, as_text, plain, selection_as_text
from fastem.cli.destinations import check_destinations, write_all
from fastem.cli.doctor import doctor
from fastem.cli.speed import timings
from fastem.cli.streams import write_message, write_result
from fastem.cli.tables import is_stream, open_table, write_table
from fastem.estimators.base import Mixture
from fastem.estimators.registry import estimator_type
from fastem.families.registry import family_type
from fastem.persistence import load
from fastem.plotting.registry import display_type
from fastem.plotting.style import import_matplotlib
from fastem.selection.select import THOROUGH, select
from fastem.selection.table import Candidate, Selection, aligned
from fastem.validation.settings import check_choice

SUCCESS, FAULT = 0, 1
"""Exit codes."""


def run(arguments: Sequence[str] | None) -> int:
    """Run a command, and return its exit code."""
    args = parse(arguments)
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "fit": fit, "predict": predict, "describe": describe, "bench": bench, "doctor": lambda args: doctor()
    }  # fmt: skip
    with warnings_as_messages():
        return commands[args.command](args)


@contextmanager
def warnings_as_messages() -> Iterator[None]:
    """Write warnings to standard error, a line each, without the place in the code."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = lambda warning, *_, **__: write_message(f"warning: {' '.join(str(warning).split())}")
        yield


# ---------------------------------------------------------------------------------------------------------------- rows


class TableRows(NamedTuple):
    """The rows that a command reads from a table."""

    names: list[str]
    """Names of the columns of X."""
    X: np.ndarray
    trials: np.ndarray | int | None
    """An array for the rows, one number for all of them, or None."""
    weights: np.ndarray | None


def read_rows(args: argparse.Namespace, model_columns: Sequence[str] | None = None) -> TableRows:
    """Read the columns that the arguments ask for, else those of a model, else all that have no other purpose."""
    with open_table(args.file) as table:
        weight = [] if getattr(args, "weight", None) is None else [table.place(args.weight)]
        trials = [table.place(column) for column in trial_columns(args)]
        names = args.columns or model_columns
        places = table.others([*weight, *trials]) if names is None else [table.place(name) for name in names]
        if not places:
            raise ValueError(f"{table.source} has no columns left for X")
        X, *others = table.columns(*filter(None, (places, trials, weight)))
        for note in table.notes:
            write_message(note)
    weights = others.pop()[:, 0] if weight else None
    number = None if args.trials is None or trials else int(args.trials)
    return TableRows([table.label(place) for place in places], X, others.pop() if trials else number, weights)


def trial_columns(args: argparse.Namespace) -> list[str]:
    """Return the columns of trials; a number stands for all rows, not for a column."""
    return [] if args.trials is None or args.trials.isdecimal() else as_names(args.trials)


# ----------------------------------------------------------------------------------------------------------------- fit


def fit(args: argparse.Namespace) -> int:
    """Fit mixtures to a table, and save, plot and describe the best one."""
    check_destinations([args.file], *filter(None, (args.out, args.plot)))
    if args.plot:
        check_plot(args.plot)
    rows = read_rows(args)
    selection = select(
        rows.X,
        args.k[: len(rows.X) + 1],  # a longer range may not fit into memory; one size above the rows is enough
        criterion=args.criterion,
        estimator=estimator(args, rows),
        trials=rows.trials if isinstance(rows.trials, np.ndarray) else None,
        sample_weight=rows.weights,
        on_candidate=lambda candidate: report(args, candidate),
    )
    mixture: Mixture = selection.best
    mixture.feature_names_in_ = np.array(rows.names, object)
    save = [lambda: mixture.save(args.out)] if args.out else []
    draw = [lambda: plot(args.plot, mixture, rows)] if args.plot else []
    write_all(*save, *draw, lambda: show(args, selection))
    return SUCCESS


def check_plot(path: str) -> None:
    """Raise an error if Matplotlib is missing, or cannot write a file with this suffix."""
    import_matplotlib("pyplot").switch_backend("Agg")
    formats = import_matplotlib("backend_bases").FigureCanvasBase.get_supported_filetypes()
    check_choice(Path(path).suffix.removeprefix("."), "the suffix of --plot", formats)


def estimator(args: argparse.Namespace, rows: TableRows) -> Mixture:
    """Return the estimator that the arguments ask for."""
    family = family_type(args.family)
    settings = THOROUGH | {"order_by": family.parameter_names[1]}
    settings |= {"n_init": args.n_init, "tol": args.tol, "max_iter": args.max_iter, "random_state": args.seed}
    if args.k[0] == args.k[-1]:  # there are no neighbours to begin from
        settings["init_params"] = "auto"
    if family.row_kind is RowKind.COUNTS_WITH_TRIALS:
        if rows.trials is None:
            raise ValueError(f"--family {args.family} needs --trials: a column, or a number")
        settings["n_trials"] = rows.trials if isinstance(rows.trials, int) else None
    elif rows.trials is not None:
        raise ValueError("--trials are for --family binomial")
    if family.covariance_types:
        settings |= {"covariance_type": args.covariance, "reg_covar": "auto"}
    return estimator_type(args.family)(**settings)


def trials_of(mixture: Mixture, rows: TableRows) -> dict[str, np.ndarray | int | None]:
    """Return the argument `trials` for a mixture that takes it, and no argument for others."""
    return {"trials": rows.trials} if mixture.family.row_kind is RowKind.COUNTS_WITH_TRIALS else {}


def report(args: argparse.Namespace, candidate: Candidate) -> None:
    """Write a message about a candidate, if there are several."""
    if args.k[0] < args.k[-1]:
        value = getattr(candidate, args.criterion)
        write_message(f"k = {candidate.n_components}: {args.criterion} {value:.2f}, {candidate.n_sweeps} sweeps")


def plot(path: str, mixture: Mixture, rows: TableRows) -> None:
    """Plot a mixture with its rows to a file."""
    display = display_type(mixture.family.name)
    figure = display.from_estimator(mixture, rows.X, sample_weight=rows.weights, **trials_of(mixture, rows)).figure_
    with replacing(path) as file:
        figure.savefig(file.name, format=Path(path).suffix.removeprefix("."), dpi=150)
    import_matplotlib("pyplot").close(figure)


def show(args: argparse.Namespace, selection: Selection) -> None:
    """Write the description of the best mixture, and of all candidates."""
    if args.json:
        candidates = [asdict(candidate) for candidate in selection.candidates]
        write_json(as_json(selection.best) | {"criterion": args.criterion, "candidates": plain(candidates)})
    else:
        write_result(selection_as_text(selection))


def write_json(value: Json) -> None:
    """Write JSON to standard output."""
    write_result(json.dumps(value, allow_nan=False))


# ------------------------------------------------------------------------------------------------------ other commands


def predict(args: argparse.Namespace) -> int:
    """Write the component of each row of a table, and the probabilities of all components."""
    if not is_stream(args.out):
        check_destinations([args.model, args.file], args.out)
    mixture: Mixture = load(args.model)
    if args.trials and mixture.family.row_kind is not RowKind.COUNTS_WITH_TRIALS:
        raise ValueError(f"--trials are for a binomial mixture, but {args.model} is a {type(mixture).__name__}")
    model_columns = getattr(mixture, "feature_names_in_", None)
    if model_columns is not None:
        del mixture.feature_names_in_  # they are columns of files here, not of data frames
    rows = read_rows(args, model_columns)
    trials = trials_of(mixture, rows)
    resp = mixture.predict_proba(rows.X, **trials)
    columns = {f"probability_{component}": column for component, column in enumerate(resp.T)}
    write_table(args.out, {"component": mixture.predict(rows.X, **trials)} | columns)
    return SUCCESS


def describe(args: argparse.Namespace) -> int:
    """Describe a saved model."""
    mixture = load(args.model)
    if args.json:
        write_json(as_json(mixture))
    else:
        write_result(as_text(mixture))
    return SUCCESS


def bench(args: argparse.Namespace) -> int:
    """Time fits, and compare them with scikit-learn's if it is installed."""
    headings = ("n", "d", "k", "covariance", "fastem ns", "scikit-learn ns", "times", "difference")
    rows, agree = [], True
    for timing in timings(args.quick):
        write_message(f"n = {timing.n}, d = {timing.d}, k = {timing.k}, {timing.covariance_type}: done")
        shape = (str(timing.n), str(timing.d), str(timing.k), timing.covariance_type)
        ratio = timing.theirs / timing.ours
        rows.append((*shape, f"{timing.ours:.2f}", f"{timing.theirs:.1f}", f"{ratio:.0f}", f"{timing.difference:.1e}"))
        agree = agree and timing.agrees
    write_result("Time of a fit from a given start, for each iteration, point and component:")
    write_result(aligned(headings, rows))
    if not agree:
        write_message("the answers differ from scikit-learn's")
    return SUCCESS if agree else FAULT
