"""Parse the arguments of the command line."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from importlib.metadata import version

from fastem.cli.tables import STANDARD
from fastem.families.gaussian.structures import COVARIANCE_TYPES
from fastem.families.registry import NAMES
from fastem.selection.select import CRITERIA, THOROUGH

DESCRIPTION = """Fit finite mixtures to tables, and use the fitted models.

Results are written to standard output, and everything else to standard error.  Exit codes: 0 success; 1 bench or doctor
found a fault; 2 wrong usage or input, or a result that could not be written; 130 interrupted; 141 standard output was
closed.
"""
TABLE = "table: text with a header (CSV, or with ; tab | for commas), .npy or .parquet; - is text on standard input"
COLUMNS = "columns of X, by name or by number from 0 (default: all other columns)"
TRIALS = "columns of binomial trials, or one number for all rows"
MODEL = "file that fastem fit --out has written"
K = "number of components, or a range to choose from, for instance 1..8 (default 1)"
TOL = "stop when the mean log likelihood is estimated to be this close to its maximum (default 1e-6)"
OUT = "file to write to: .csv, .parquet or .json (default: CSV on standard output)"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments, those of the process for None; wrong ones end the process with exit code 2."""
    return parser().parse_args(arguments)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(
        prog="fastem", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=f"fastem {version('fastem')}")
    commands = top.add_subparsers(dest="command", required=True)
    add_fit(commands.add_parser("fit", help="fit a mixture to a table and describe it"))
    add_predict(commands.add_parser("predict", help="find the component of each row of a table, with probabilities"))
    describe = commands.add_parser("describe", help="describe a saved model")
    describe.add_argument("model", metavar="MODEL", help=MODEL)
    add_json(describe)
    bench = commands.add_parser("bench", help="time fits on this machine, and compare them with scikit-learn's")
    bench.add_argument("--quick", action="store_true", help="use a tenth of the rows")
    commands.add_parser("doctor", help="show the settings in effect here, and check that the kernels work")
    return top


def add_fit(fit: argparse.ArgumentParser) -> None:
    """Add the arguments of fastem fit."""
    add_table(fit)
    fit.add_argument("--weight", metavar="COLUMN", help="column of weights of the rows")
    fit.add_argument("-k", type=as_range, default="1", metavar="K", help=K)
    fit.add_argument("--criterion", choices=CRITERIA, default="bic", help="criterion for choosing k (default bic)")
    fit.add_argument("--family", choices=NAMES, default="gaussian", help="components (default gaussian)")
    fit.add_argument(
        "--covariance", choices=COVARIANCE_TYPES, default="full", help="Gaussian covariances (default full)"
    )
    fit.add_argument("--seed", type=int, default=0, help="random seed (default 0)")
    fit.add_argument("--n-init", type=int, default=THOROUGH["n_init"], help="number of starts (default 2)")
    fit.add_argument("--tol", type=float, default=THOROUGH["tol"], help=TOL)
    fit.add_argument("--max-iter", type=int, default=THOROUGH["max_iter"], help="most iterations (default 1000)")
    fit.add_argument("--out", metavar="MODEL", help="file to save the model to (.npz)")
    fit.add_argument("--plot", metavar="PNG", help="file to plot the model to; needs matplotlib")
    add_json(fit)


def add_predict(predict: argparse.ArgumentParser) -> None:
    """Add the arguments of fastem predict."""
    predict.add_argument("model", metavar="MODEL", help=MODEL)
    add_table(predict)
    predict.add_argument("--out", metavar="FILE", default=STANDARD, help=OUT)


def add_table(command: argparse.ArgumentParser) -> None:
    """Add the arguments that say which rows a command reads."""
    command.add_argument("file", metavar="FILE", help=TABLE)
    command.add_argument("--columns", type=as_names, metavar="A,B", help=COLUMNS)
    command.add_argument("--trials", metavar="COLUMNS|N", help=TRIALS)


def add_json(command: argparse.ArgumentParser) -> None:
    """Add the argument for results as JSON."""
    command.add_argument("--json", action="store_true", help="print JSON instead of text")


def as_range(text: str) -> range:
    """Convert 3 or 1..8 to a range."""
    first, dots, last = text.partition("..")
    try:
        sizes = range(int(first), int(last if dots else first) + 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number, or a range such as 1..8") from None
    if not sizes or sizes[0] < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must begin at 1 or above, and not end below its beginning")
    return sizes


def as_names(text: str) -> list[str]:
    """Convert names that are separated by commas, as in the header of a CSV file, to a list."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True)) or [""]]
