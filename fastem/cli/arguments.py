"""Parse the arguments of the command line.  Nothing here loads NumPy: help and wrong usage take no time."""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from fastem.cli.help import DESCRIPTION, EPILOG, FIT, FIT_EXAMPLES, PREDICT, PREDICT_EXAMPLES
from fastem.cli.usage import CommandParser, Parser, check_command
from fastem.families.registry import NAMES
from fastem.selection.criteria import CRITERIA, THOROUGH

MOST_COMPONENTS = 8
"""Largest number of components that is tried where -k is not given."""
RANGE = re.compile(r"(\d+)(?:(?:\.\.|-)(\d+))?")

TABLE = (
    "table: CSV, TSV or other text with a header, also as .gz; .parquet, .arrow, .feather or .npy; - is standard input"
)
COLUMNS = "columns to fit, by name or by number from 0 (default: all columns of numbers that have no other purpose)"
MISSING = "words that stand for missing values, besides empty cells, NA, NaN and null"
SUCCESSES = "columns of successes, of which --failures or --trials has the rest"
TRIALS = "columns of the numbers of trials, or one number for all rows"
WEIGHT = "column of weights: a weight of 3 counts as 3 equal rows"
K = f"number of components, or a range to choose from, such as 1..8 or 1-8 (default 1..{MOST_COMPONENTS})"
TOL = f"stop when the mean log likelihood is estimated to be this close to its maximum (default {THOROUGH['tol']:g})"
BAYESIAN = "fit one Gaussian mixture of K components by variational Bayes: those that rows do not need stay empty"
NOISE = "add a background: a component, -1, of constant density for rows that belong to no Gaussian one"
COMPONENTS_FILE = "component of each row, as fastem predict writes it: .csv, .tsv, .csv.gz, .tsv.gz, .parquet or .json"
KEEP = "columns of the table to copy to the result, such as row names; all for every column"
PROBABILITIES = "also write the probability of each component"
STANDARD_ERRORS = "also print how precise the parameters are: what chance does to them, if the model is right"
PLOT = "picture of the model (.png, .pdf, .svg); needs matplotlib"
MODEL = "file that fastem fit --out has written"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments, those of the process for None; wrong ones end the process with exit code 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    top = Parser(
        prog="fastem", usage="fastem COMMAND ...", description=DESCRIPTION, epilog=EPILOG, formatter_class=Formatter
    )
    top.add_argument("--version", action=Version, help="show the version of fastem")
    commands = top.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", prog="fastem", parser_class=CommandParser
    )
    add_commands(commands)
    check_command(top, arguments, commands.choices)
    return top.parse_args(arguments)


Formatter = argparse.RawDescriptionHelpFormatter
Commands = argparse._SubParsersAction  # noqa: SLF001 - the type has no public name


class Version(argparse.Action):
    """Print the version; looking it up takes longer than all else here."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        version = import_module("importlib.metadata").version("fastem")
        sys.stdout.write(f"fastem {version}\n")
        parser.exit()


def add_commands(commands: Commands[CommandParser]) -> None:
    """Add all commands, in the order of the help."""
    fit = commands.add_parser(
        "fit", help="fit a mixture to a table", usage="fastem fit FILE [options]", description=FIT, epilog=FIT_EXAMPLES,
        formatter_class=Formatter,
    )  # fmt: skip
    add_fit(fit)
    predict = commands.add_parser(
        "predict", help="find the component of each row", usage="fastem predict MODEL FILE [options]",
        description=PREDICT, epilog=PREDICT_EXAMPLES, formatter_class=Formatter,
    )  # fmt: skip
    add_predict(predict)
    describe = commands.add_parser("describe", help="describe a saved model", usage="fastem describe MODEL [--json]")
    describe.add_argument("model", type=as_given, metavar="MODEL", help=MODEL)
    add_json(describe)
    bench = commands.add_parser("bench", help="time fits on this machine, and compare them with scikit-learn's")
    bench.add_argument("--quick", action="store_true", help="use a tenth of the rows")
    commands.add_parser("doctor", help="show the settings in effect here, and check that the kernels work")


def add_fit(fit: CommandParser) -> None:
    """Add the arguments of fastem fit."""
    add_table(fit)
    fit.add_argument("--weight", type=as_given, metavar="COLUMN", help=WEIGHT)
    mixture = fit.add_argument_group("mixture")
    mixture.add_argument("-k", "--n-components", dest="k", type=as_range, metavar="K", help=K)
    mixture.add_argument(
        "--criterion", type=str.lower, choices=CRITERIA, default="bic", help="criterion for choosing k (default bic)"
    )
    mixture.add_argument(
        "--family", choices=NAMES, help="distribution of the components (default gaussian; binomial for trials)"
    )
    mixture.add_argument(
        "--covariance", metavar="TYPE", default="full", help="of Gaussians: full (default), tied, diag or spherical"
    )
    mixture.add_argument("--noise", action="store_true", help=NOISE)
    mixture.add_argument("--bayesian", action="store_true", help=BAYESIAN)
    search = fit.add_argument_group("search for the best fit")
    search.add_argument("--seed", type=as_seed, default=0, metavar="N", help="random seed (default 0)")
    search.add_argument(
        "--n-init", type=int, default=THOROUGH["n_init"], metavar="N", help="number of starts (default 2)"
    )
    search.add_argument("--tol", type=float, default=THOROUGH["tol"], metavar="X", help=TOL)
    search.add_argument(
        "--max-iter", type=int, default=THOROUGH["max_iter"], metavar="N", help="most iterations (default 1000)"
    )
    results = fit.add_argument_group("results")
    results.add_argument("--out", type=as_given, metavar="FILE", help="file to save the model to (.npz)")
    results.add_argument("--assign", type=as_given, metavar="FILE", help=COMPONENTS_FILE)
    add_result_columns(results)
    results.add_argument("--plot", type=as_given, metavar="FILE", help=PLOT)
    results.add_argument("--plot-columns", type=as_names, metavar="A,B", help="columns of the picture")
    results.add_argument("--standard-errors", action="store_true", help=STANDARD_ERRORS)
    add_json(results)


def add_predict(predict: CommandParser) -> None:
    """Add the arguments of fastem predict."""
    predict.add_argument("model", type=as_given, metavar="MODEL", help=MODEL)
    add_table(predict)
    results = predict.add_argument_group("results")
    results.add_argument(
        "--out", type=as_given, metavar="FILE", default="-", help=f"{COMPONENTS_FILE} (default: CSV to the screen)"
    )
    add_result_columns(results)


def add_table(command: CommandParser) -> None:
    """Add the arguments that say which rows a command reads."""
    command.add_argument("file", type=as_given, metavar="FILE", help=TABLE)
    rows = command.add_argument_group("rows")
    rows.add_argument("--columns", type=as_names, metavar="A,B", help=COLUMNS)
    rows.add_argument("--drop-missing", action="store_true", help="leave out rows with a missing value")
    rows.add_argument("--keep-missing", action="store_true", help="count rows with a missing value by what they have")
    rows.add_argument("--missing", type=as_names, metavar="WORDS", help=MISSING)
    counts = command.add_argument_group("successes in trials")
    counts.add_argument("--successes", type=as_names, metavar="A,B", help=SUCCESSES)
    counts.add_argument("--failures", type=as_names, metavar="A,B", help="columns of failures, in the same order")
    counts.add_argument("--trials", type=as_given, metavar="A,B|N", help=TRIALS)


def add_result_columns(results: argparse._ArgumentGroup) -> None:
    """Add the arguments that say what is written for each row."""
    results.add_argument("--keep", type=as_names, metavar="A,B", help=KEEP)
    results.add_argument("--probabilities", action="store_true", help=PROBABILITIES)


def add_json(command: argparse._ActionsContainer) -> None:
    """Add the argument for results as JSON."""
    command.add_argument("--json", action="store_true", help="print JSON instead of text")


def as_range(text: str) -> range:
    """Convert 3, 1..8 or 1-8 to a range."""
    match = RANGE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not understood: give a number, or a range such as 1..8 or 1-8")
    first, last = match.groups()
    sizes = range(int(first), int(last or first) + 1)
    if not sizes or sizes[0] < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must begin at 1 or above, and not end below its beginning")
    return sizes


def as_given(text: str) -> str:
    """Return a name; ArgumentTypeError for an empty one, as a variable of the shell is that is not set."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is empty, and no name")
    return text


def as_seed(text: str) -> int:
    """Convert a whole number from 0."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 0")
    return int(text)


def as_names(text: str) -> list[str]:
    """Convert names that are separated by commas, as in the header of a CSV file, to a list."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True)) or [""]]
