"""Finite mixtures on the command line: fit, predict, describe, bench, doctor.

Results go to standard output, everything else to standard error.  Exit codes: 0 ok, 1 what bench or doctor found wrong,
2 bad usage, bad input, or a result that could not be written, 130 interrupted, 141 standard output was closed.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastem._storage import replacing, try_destination
from fastem.cli.doctor import doctor
from fastem.cli.speed import timings
from fastem.cli.streams import FAULTS, message, result, sentence
from fastem.cli.tables import STANDARD, is_stream, open_table, write_table
from fastem.estimators.binomial_mixture import BinomialMixture
from fastem.estimators.gaussian_mixture import GaussianMixture
from fastem.families.gaussian.structures import COVARIANCE_TYPES
from fastem.persistence import load
from fastem.plotting.binomial import BinomialMixtureDisplay
from fastem.plotting.gaussian import GaussianMixtureDisplay
from fastem.plotting.style import import_matplotlib
from fastem.selection.select import CRITERIA, THOROUGH, select
from fastem.selection.table import Candidate, Selection, aligned
from fastem.validation.settings import check_choice

OK, FOUND_WRONG = 0, 1

TOL = "what the mean log likelihood may have still to gain (default 1e-6)"
CHOSEN = "columns of X, by name or by number from 0 (default: all others)"
TABLES = "text with a header (CSV, or ; tab | in place of commas), .npy or .parquet; - is text on standard input"


def result_as_json(value: Any) -> None:
    result(json.dumps(plain(value), allow_nan=False))


@contextmanager
def warnings_as_messages() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = lambda warning, *_, **__: message(f"warning: {' '.join(str(warning).split())}")
        yield


# -------------------------------------------------------------------------------------------------------------- parser


def run(arguments: Sequence[str] | None) -> int:
    """Run a command -> its exit code."""
    args = parser().parse_args(arguments)
    with warnings_as_messages():
        return int(args.run(args))


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="fastem", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--version", action="version", version=f"fastem {version('fastem')}")
    commands = found.add_subparsers(dest="command", required=True)
    add_fit(commands.add_parser("fit", help="fit a mixture to a table and describe it"))
    add_predict(commands.add_parser("predict", help="components and probabilities of the rows of a table"))
    describing = commands.add_parser("describe", help="what a fitted model is")
    describing.add_argument("model", metavar="MODEL", help="a file of fastem fit --out")
    describing.add_argument("--json", action="store_true", help="JSON in the place of text")
    describing.set_defaults(run=describe)
    benching = commands.add_parser("bench", help="speed here, and agreement with scikit-learn where it is installed")
    benching.add_argument("--quick", action="store_true", help="a tenth of the rows")
    benching.set_defaults(run=bench)
    checking = commands.add_parser("doctor", help="show how fits run here and check that the kernels answer")
    checking.set_defaults(run=lambda args: doctor())
    return found


def add_fit(fitting: argparse.ArgumentParser) -> None:
    add_table(fitting)
    fitting.add_argument("--weight", metavar="COLUMN", help="weights of the rows")
    fitting.add_argument("-k", type=sizes, default="1", metavar="K", help="components: 3, or 1..8 to choose (1)")
    fitting.add_argument("--criterion", choices=CRITERIA, default="bic", help="what is chosen by (default bic)")
    fitting.add_argument("--family", choices=("gaussian", "binomial"), default="gaussian", help="(default gaussian)")
    fitting.add_argument("--covariance", choices=COVARIANCE_TYPES, default="full", help="(default full)")
    fitting.add_argument("--seed", type=int, default=0, help="of the starts (default 0)")
    fitting.add_argument("--n-init", type=int, default=THOROUGH["n_init"], help="starts (default 5)")
    fitting.add_argument("--tol", type=float, default=THOROUGH["tol"], help=TOL)
    fitting.add_argument("--max-iter", type=int, default=THOROUGH["max_iter"], help="iterations at the most (1000)")
    fitting.add_argument("--out", metavar="MODEL", help="where to keep the model (.npz)")
    fitting.add_argument("--plot", metavar="PNG", help="where to draw it; needs matplotlib")
    fitting.add_argument("--json", action="store_true", help="JSON in the place of text")
    fitting.set_defaults(run=fit)


def add_predict(predicting: argparse.ArgumentParser) -> None:
    predicting.add_argument("model", metavar="MODEL", help="a file of fastem fit --out")
    add_table(predicting)
    predicting.add_argument("--out", metavar="FILE", default=STANDARD, help=".csv, .parquet, .json (CSV to -)")
    predicting.set_defaults(run=predict)


def add_table(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help=TABLES)
    command.add_argument("--columns", type=names_in, metavar="A,B", help=CHOSEN)
    command.add_argument("--trials", metavar="COLUMNS|N", help="of a binomial mixture: columns of trials, or a number")


def sizes(text: str) -> range:
    """3 or 1..8."""
    first, dots, last = text.partition("..")
    try:
        found = range(int(first), int(last if dots else first) + 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor a range such as 1..8") from None
    if not found or found[0] < 1:
        raise argparse.ArgumentTypeError(f"{text!r} has no numbers from 1 in it")
    return found


def names_in(text: str) -> list[str]:
    """As in the header of a CSV file: quotes are for names with a comma."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True)) or [""]]


# ---------------------------------------------------------------------------------------------------------------- rows


class Chosen(NamedTuple):
    """What a command takes of a table."""

    names: list[str]  # of the columns of X
    X: np.ndarray
    trials: Any  # of each row, a number for all, or None
    weights: np.ndarray | None


def chosen(args: argparse.Namespace, known: Any = None) -> Chosen:
    """The columns of X are those asked for, those that a model knows, or all that are nothing else."""
    with open_table(args.file) as table:
        weight = [] if getattr(args, "weight", None) is None else [table.place(args.weight)]
        trials = [table.place(column) for column in trial_columns(args)]
        asked = args.columns or known
        places = [table.place(name) for name in asked] if asked is not None else table.others([*weight, *trials])
        if not places:
            raise ValueError(f"{table.source} has no columns left for X")
        X, *others = table.columns(*filter(None, (places, trials, weight)))
        for note in table.notes:
            message(note)
    weights = others.pop()[:, 0] if weight else None
    number = None if args.trials is None or trials else int(args.trials)
    return Chosen([table.label(place) for place in places], X, others.pop() if trials else number, weights)


def trial_columns(args: argparse.Namespace) -> list[str]:
    return [] if args.trials is None or args.trials.isdecimal() else names_in(args.trials)


# -------------------------------------------------------------------------------------------------------- destinations


def try_destinations(read: Sequence[str], *written: str) -> None:
    """Before a long fit, not behind it: they can be written, and what is read is not lost."""
    for path in written:
        if not Path(path).parent.is_dir():
            raise ValueError(f"{path} cannot be written: there is no folder {Path(path).parent}")
        if Path(path).is_dir():
            raise ValueError(f"{path} cannot be written: it is a folder")
        for source in read:
            if is_same_file(path, source):
                raise ValueError(f"{path} cannot be written: it is read, and would be lost")
        try_destination(path)
    if len({os.path.realpath(path) for path in written}) < len(written):
        raise ValueError(f"--out and --plot are the same file, {written[0]}")


def is_same_file(path: str, source: str) -> bool:
    """Or one in the folder that is read, by whatever links."""
    if Path(source).is_dir():
        return Path(os.path.realpath(source)) in Path(os.path.realpath(path)).parents
    with suppress(OSError):
        return os.path.samefile(path, 0 if source == STANDARD else source)
    return False


def each_tried(*writers: Callable[[], None]) -> None:
    """One that fails takes no other with it; its error is told, the last one raised."""
    errors = []
    for write in writers:
        try:
            write()
        except FAULTS as error:
            errors.append(error)
    for told in errors[:-1]:
        message(f"error: {sentence(told)}")
    if errors:
        raise errors[-1]


# ------------------------------------------------------------------------------------------------------------ commands


def fit(args: argparse.Namespace) -> int:
    try_destinations([args.file], *filter(None, (args.out, args.plot)))
    if args.plot:
        try_drawing(args.plot)
    names, X, trials, weights = chosen(args)
    selection = select(
        X,
        args.k[: len(X) + 1],  # `select` says which are more than the rows: the first of them will do
        criterion=args.criterion,
        estimator=estimator(args, trials),
        trials=trials if args.family == "binomial" and np.ndim(trials) else None,
        sample_weight=weights,
        on_candidate=lambda candidate: tell(args, candidate),
    )
    mixture = selection.best
    mixture.feature_names_in_ = np.array(names, object)
    keeping = [lambda: mixture.save(args.out)] if args.out else []
    drawing = [lambda: draw(args.plot, mixture, X, trials, weights)] if args.plot else []
    each_tried(*keeping, *drawing, lambda: show(args, selection))
    return OK


def try_drawing(path: str) -> None:
    import_matplotlib("pyplot").switch_backend("Agg")
    formats = import_matplotlib("backend_bases").FigureCanvasBase.get_supported_filetypes()
    check_choice(Path(path).suffix.removeprefix("."), "the suffix of --plot", formats)


def show(args: argparse.Namespace, selection: Selection) -> None:
    if args.json:
        candidates = [asdict(each) for each in selection.candidates]
        result_as_json(described(selection.best) | {"criterion": args.criterion, "candidates": candidates})
    else:
        result(text_of(selection))


def estimator(args: argparse.Namespace, trials: Any) -> Any:
    asked = {"n_init": args.n_init, "tol": args.tol, "max_iter": args.max_iter, "random_state": args.seed}
    settings = THOROUGH | asked
    if args.family == "binomial":
        if trials is None:
            raise ValueError("--family binomial needs --trials: a column, or a number")
        return BinomialMixture(n_trials=None if np.ndim(trials) else trials, order_by="probs", **settings)
    if trials is not None:
        raise ValueError("--trials belong to --family binomial")
    return GaussianMixture(covariance_type=args.covariance, order_by="means", reg_covar="auto", **settings)


def tell(args: argparse.Namespace, candidate: Candidate) -> None:
    if args.k[0] < args.k[-1]:
        value = getattr(candidate, args.criterion)
        message(f"k = {candidate.n_components}: {args.criterion} {value:.2f}, {candidate.n_sweeps} sweeps")


def draw(path: str, mixture: Any, X: np.ndarray, trials: Any, weights: Any) -> None:
    if isinstance(mixture, BinomialMixture):
        display: Any = BinomialMixtureDisplay.from_estimator(mixture, X, trials=trials, sample_weight=weights)
    else:
        display = GaussianMixtureDisplay.from_estimator(mixture, X, sample_weight=weights)
    with replacing(path) as file:
        display.figure_.savefig(file.name, format=Path(path).suffix.removeprefix("."), dpi=150)


def predict(args: argparse.Namespace) -> int:
    if not is_stream(args.out):
        try_destinations([args.model, args.file], args.out)
    mixture = load(args.model)
    takes_trials = isinstance(mixture, BinomialMixture)
    if args.trials and not takes_trials:
        raise ValueError(f"--trials belong to a binomial mixture, and {args.model} is a {type(mixture).__name__}")
    known = mixture.__dict__.pop("feature_names_in_", None)  # here they are columns of files, not of data frames
    rows = chosen(args, known)
    options = {"trials": rows.trials} if takes_trials else {}
    resp = mixture.predict_proba(rows.X, **options)
    columns = {f"probability_{component}": column for component, column in enumerate(resp.T)}
    write_table(args.out, {"component": mixture.predict(rows.X, **options)} | columns)
    return OK


def describe(args: argparse.Namespace) -> int:
    mixture = load(args.model)
    result_as_json(described(mixture)) if args.json else result(description(mixture))
    return OK


def bench(args: argparse.Namespace) -> int:
    headings = ("n", "d", "k", "covariance", "fastem ns", "scikit-learn ns", "times", "difference")
    rows, agrees = [], True
    for each in timings(args.quick):
        message(f"n = {each.n}, d = {each.d}, k = {each.k}, {each.covariance_type}: done")
        shape = (str(each.n), str(each.d), str(each.k), each.covariance_type)
        ratio = each.theirs / each.ours
        rows.append((*shape, f"{each.ours:.2f}", f"{each.theirs:.1f}", f"{ratio:.0f}", f"{each.difference:.1e}"))
        agrees = agrees and each.agrees
    result("A fit from a given start, per iteration, point and component:")
    result(aligned(headings, rows))
    if not agrees:
        message("the answers differ from scikit-learn's")
    return OK if agrees else FOUND_WRONG


# --------------------------------------------------------------------------------------------------------- description


def text_of(selection: Selection) -> str:
    table = [str(selection), ""] if len(selection.candidates) > 1 else []
    return "\n".join([*table, description(selection.best)])


def description(mixture: Any) -> str:
    """What a fitted mixture is: a few lines, and a table of its components."""
    names, params = feature_names(mixture), mixture.params_
    if isinstance(mixture, BinomialMixture):
        kind, groups = "", {"probability": params.probs}
    else:
        kind, groups = f", {mixture.covariance_type} covariances", {
            "mean": params.means, "sd": np.sqrt(params.variances())
        }  # fmt: skip
    headings = ["component", "weight", *(f"{group} {name}" for group in groups for name in names)]
    numbers = np.column_stack([params.weights, *groups.values()])
    lines = [
        f"{type(mixture).__name__}: {mixture.n_components} components{kind}; {mixture.counts_.sum():.10g} rows",
        mixture.summary_,
        f"AIC {mixture.aic_:.2f}  BIC {mixture.bic_:.2f}  ICL {mixture.icl_:.2f}  entropy {mixture.entropy_:.2f}",
        "",
        aligned(headings, [[str(c), *(f"{value:.6g}" for value in row)] for c, row in enumerate(numbers)]),
    ]
    return "\n".join([*lines, *complaints(mixture)])


def complaints(mixture: Any) -> list[str]:
    found = mixture.diagnose().complaints
    return [f"component {c} {complaint}" for c, each in enumerate(found) for complaint in each]


def feature_names(mixture: Any) -> list[str]:
    return list(getattr(mixture, "feature_names_in_", [f"x{i}" for i in range(mixture.n_features_in_)]))


TOLD = (
    "n_components", "loglik_", "n_parameters_", "aic_", "bic_", "icl_", "entropy_", "n_iter_", "n_sweeps_",
    "converged_", "stop_reason_", "summary_",
)  # fmt: skip
"""Attributes that are told in JSON as they are."""


def described(mixture: Any) -> dict[str, Any]:
    """A fitted mixture as JSON has it."""
    groups = ("probs_",) if isinstance(mixture, BinomialMixture) else ("means_", "covariances_")
    settings = {name: getattr(mixture, name) for name in ("covariance_type", "n_trials") if hasattr(mixture, name)}
    attributes = {name.removesuffix("_"): getattr(mixture, name) for name in (*TOLD, "weights_", *groups)}
    return {
        "class": type(mixture).__name__, "columns": feature_names(mixture), "rows": mixture.counts_.sum(),
        **settings, **attributes, "complaints": complaints(mixture),
    }  # fmt: skip


def plain(value: Any) -> Any:
    """A value as JSON can hold it, which has no infinity and no NaN: null."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
