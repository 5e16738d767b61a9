"""``fastem fit``: fit mixtures to a table; save, describe and draw the best one, and assign the rows to components."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fastem._storage import replacing
from fastem._typing import RowKind
from fastem.cli.arguments import MOST_COMPONENTS
from fastem.cli.describe import as_json, errors_as_json, plain, selection_as_text, show_mixture, write_json
from fastem.cli.destinations import check_destinations, write_all
from fastem.cli.predict import assignments, trials_of
from fastem.cli.remarks import remarks
from fastem.cli.roles import Roles
from fastem.cli.rows import Rows, check_counts, read_rows
from fastem.cli.streams import SUCCESS, one_line, write_message, write_result
from fastem.cli.usage import did_you_mean
from fastem.cli.writing import check_suffix, is_stream, write_table
from fastem.estimators.base import Mixture
from fastem.estimators.registry import bayesian_type, estimator_type
from fastem.families.registry import NAMES, family_type
from fastem.inference.standard_errors import StandardErrors
from fastem.plotting.registry import display_type
from fastem.plotting.style import import_matplotlib
from fastem.selection.criteria import THOROUGH
from fastem.selection.select import select
from fastem.selection.table import Candidate, Selection
from fastem.validation.settings import check_choice


def fit(args: argparse.Namespace) -> int:
    """Fit mixtures to a table, and write the results that the arguments ask for."""
    check_results(args)
    roles = Roles.asked(args)
    family = args.family or family_of(roles)
    check_settings(args, family, roles)
    rows = read_rows(args.file, roles)
    check_rows(args, rows, roles, family_type(family).row_kind)
    sizes = sizes_of(args, len(rows.X))
    if args.bayesian:
        mixture = bayesian(args, sizes[-1]).fit(rows.X, sample_weight=rows.weights)
        write_results(args, mixture, lambda: show_mixture(args, mixture), rows, roles)
        return SUCCESS
    selection = select(
        rows.X,
        sizes,
        criterion=args.criterion,
        estimator=estimator(args, family, sizes, roles),
        trials=rows.trials if isinstance(rows.trials, np.ndarray) else None,
        sample_weight=rows.weights,
        on_candidate=Reporter(args.criterion) if len(sizes) > 1 else None,
    )
    errors = errors_of(selection.best, rows) if args.standard_errors else None
    write_results(args, selection.best, lambda: show(args, selection, errors), rows, roles)
    return SUCCESS


# -------------------------------------------------------------------------------------------------------------- checks


def check_results(args: argparse.Namespace) -> None:
    """Raise an error, before anything is read, if a result cannot be written."""
    files = filter(None, (args.out, args.plot, None if is_stream(args.assign or "-") else args.assign))
    check_destinations([args.file], *files)
    if args.out:
        check_suffix(args.out, "--out", (".npz",))
    if args.assign:
        check_suffix(args.assign, "--assign")
    elif args.keep or args.probabilities:
        raise ValueError(f"--{'keep' if args.keep else 'probabilities'} is for the file of --assign")
    if args.plot:
        check_plot(args.plot)
    elif args.plot_columns:
        raise ValueError("--plot-columns is for the picture of --plot")


def check_plot(path: str) -> None:
    """Raise an error if Matplotlib is missing, or cannot write a file with this suffix."""
    import_matplotlib("pyplot").switch_backend("Agg")
    formats = import_matplotlib("backend_bases").FigureCanvasBase.get_supported_filetypes()
    check_choice(Path(path).suffix.removeprefix("."), "the suffix of --plot", formats)


def check_settings(args: argparse.Namespace, family: str, roles: Roles) -> None:
    """Raise ValueError for settings that the family does not have, or lacks."""
    needs_trials = family_type(family).row_kind is RowKind.COUNTS_WITH_TRIALS
    if needs_trials and not roles.has_trials:
        raise ValueError(
            f"--family {family} needs --trials, a column or a number, or --successes with --failures: two columns"
        )
    if roles.has_trials and not needs_trials:
        option = "failures" if roles.failures else "trials"
        raise ValueError(f"--{option} are for --family {family_of(roles)}, not {family}")
    if args.bayesian and (family != NAMES[0] or args.criterion != "bic"):
        raise ValueError(f"--bayesian is for --family {NAMES[0]}, and chooses no number of components by a criterion")
    if args.bayesian and args.standard_errors:
        raise ValueError("--standard-errors are for maxima of a likelihood, which --bayesian does not look for")
    if args.bayesian and args.k and len(args.k) > 1:
        raise ValueError(
            f"--bayesian fits one mixture, whose components that the rows do not need stay empty: -k {args.k[-1]},"
            f" not {args.k[0]}..{args.k[-1]}"
        )
    if args.noise and (family != NAMES[0] or args.bayesian):
        raise ValueError(f"--noise is for --family {NAMES[0]}, without --bayesian")
    if roles.missing.kept and args.bayesian:
        raise ValueError("--bayesian takes complete rows: --drop-missing leaves out others, --keep-missing does not")
    if kinds := family_type(family).covariance_types:
        check_choice(args.covariance, "--covariance", kinds)


def check_rows(args: argparse.Namespace, rows: Rows, roles: Roles, kind: RowKind) -> None:
    """Raise ValueError for rows that cannot be fitted, or a picture of columns that are not."""
    if len(rows.X) < 2:
        found = "one row" if len(rows.X) else "no rows"
        raise ValueError(f"{rows.source} has {found}: a fit needs two at least, and many more to mean something")
    check_counts(rows, roles, kind)
    for remark in remarks(rows, roles.features is not None):
        write_message(remark)
    for name in args.plot_columns or []:
        if name not in rows.names:
            raise ValueError(
                f"--plot-columns: {name!r} is not fitted{did_you_mean(name, rows.names)}; fitted are"
                f" {', '.join(rows.names)}"
            )


# ------------------------------------------------------------------------------------------------------------ settings


def family_of(roles: Roles) -> str:
    """Return the family for rows with trials, or else the first one."""
    if not roles.has_trials:
        return NAMES[0]
    return next(name for name in NAMES if family_type(name).row_kind is RowKind.COUNTS_WITH_TRIALS)


def sizes_of(args: argparse.Namespace, n: int) -> range:
    """Return the numbers of components that are tried for n rows."""
    if args.k is None:
        return range(1, min(MOST_COMPONENTS, n) + 1)
    sizes: range = args.k
    return sizes[: n + 1]  # a longer range may not fit into memory; one size above the rows is enough


def estimator(args: argparse.Namespace, family: str, sizes: range, roles: Roles) -> Mixture:
    """Return the estimator that the arguments ask for."""
    kind = family_type(family)
    settings = THOROUGH | {"order_by": kind.parameter_names[1]}
    settings |= {"n_init": args.n_init, "tol": args.tol, "max_iter": args.max_iter, "random_state": args.seed}
    if len(sizes) == 1:  # there are no neighbours to begin from
        settings["init_params"] = "auto"
    if kind.row_kind is RowKind.COUNTS_WITH_TRIALS:
        settings["n_trials"] = roles.n_trials
    if roles.missing.kept:
        settings["missing"] = "marginalize"
    if kind.covariance_types:
        settings |= {"covariance_type": args.covariance, "reg_covar": "auto", "noise": args.noise or None}
    return estimator_type(family)(**settings)


def bayesian(args: argparse.Namespace, k: int) -> Mixture:
    """Return the Bayesian mixture that the arguments ask for; tol is what its bound has left to gain for each row."""
    found: Mixture = bayesian_type()(
        k,
        covariance_type=args.covariance,
        reg_covar="auto",
        n_init=args.n_init,
        tol=args.tol,
        stopping="aitken",
        acceleration="squarem",
        max_iter=args.max_iter,
        random_state=args.seed,
    )
    return found


class Reporter:
    """Write a message about each candidate."""

    def __init__(self, criterion: str) -> None:
        self.criterion = criterion
        self._sizes: set[int] = set()

    def __call__(self, candidate: Candidate) -> None:
        k, value = candidate.n_components, getattr(candidate, self.criterion)
        how = f"from k = {k + 1} with two components merged" if k + 1 in self._sizes else "by splits and merges"
        again = f" again, better {how}" if k in self._sizes else ""
        write_message(f"k = {k}{again}: {self.criterion} {value:.2f}, {candidate.n_sweeps} sweeps")
        self._sizes.add(k)


# ------------------------------------------------------------------------------------------------------------- results


def write_results(
    args: argparse.Namespace, mixture: Mixture, describe: Callable[[], None], rows: Rows, roles: Roles
) -> None:
    """Write all results; one that fails costs no other, and the picture, which may take long, comes last."""
    columns = assignments(mixture, rows, args.probabilities) if args.assign else {}
    roles.remember(mixture, rows.names)
    writers: list[Callable[[], None]] = []
    if args.out:
        writers.append(lambda: mixture.save(args.out))
    if args.assign:
        writers.append(lambda: write_table(args.assign, columns))
    writers.append(describe)
    if args.plot:
        writers.append(lambda: plot(args, mixture, rows))
    write_all(*writers)


def errors_of(mixture: Mixture, rows: Rows) -> StandardErrors | None:
    """Return the standard errors of a mixture; None, with a message, where the rows do not tell them."""
    try:
        errors: StandardErrors = mixture.standard_errors(rows.X, sample_weight=rows.weights, **trials_of(mixture, rows))
    except ValueError as error:
        write_message(f"there are no standard errors: {one_line(error)}")
        return None
    return errors


def show(args: argparse.Namespace, selection: Selection, errors: StandardErrors | None) -> None:
    """Write the description of the best mixture, and of all candidates."""
    sizes = [candidate.n_components for candidate in selection.candidates]
    if len(sizes) > 1 and selection.best.n_components == sizes[-1]:
        write_message(
            f"k = {sizes[-1]}, the best, is the largest that was tried: -k {sizes[0]}..{2 * sizes[-1]} looks further"
        )
    if args.json:
        candidates = [asdict(candidate) for candidate in selection.candidates]
        told = {"standard_errors": errors_as_json(errors)} if args.standard_errors else {}
        write_json(as_json(selection.best) | told | {"criterion": args.criterion, "candidates": plain(candidates)})
    else:
        write_result(selection_as_text(selection, errors))


def plot(args: argparse.Namespace, mixture: Mixture, rows: Rows) -> None:
    """Plot a mixture with its rows to a file."""
    display = display_type(mixture.family.name)
    chosen = {"features": [rows.names.index(name) for name in args.plot_columns]} if args.plot_columns else {}
    figure = display.from_estimator(
        mixture, rows.X, sample_weight=rows.weights, **trials_of(mixture, rows), **chosen
    ).figure_
    with replacing(args.plot) as file:
        figure.savefig(file.name, format=Path(args.plot).suffix.removeprefix("."), dpi=150)
    import_matplotlib("pyplot").close(figure)
