"""Read the rows that a command asks for, and check them by the names and lines of their table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fastem._typing import RowKind
from fastem.cli.roles import Roles
from fastem.cli.streams import write_message
from fastem.cli.tables import Table, open_table

ALL = ["all"]
"""What stands for every column of a table."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a table."""

    source: str
    names: list[str]
    """Names of the columns of X."""
    X: np.ndarray
    trials: np.ndarray | int | None
    """An array for the rows, one number for all of them, or None."""
    weights: np.ndarray | None
    kept: dict[str, np.ndarray]
    """Columns that are copied to the result."""
    where: Callable[[int], str]
    """Says where a row is in the table."""

    def take(self, rows: np.ndarray) -> Rows:
        """Return some of the rows, by their numbers."""
        trials = self.trials[rows] if isinstance(self.trials, np.ndarray) else self.trials
        weights = None if self.weights is None else self.weights[rows]
        kept = {name: column[rows] for name, column in self.kept.items()}
        return Rows(
            self.source, self.names, self.X[rows], trials, weights, kept, lambda row: self.where(int(rows[row]))
        )

    def check(self, bad: np.ndarray, describe: Callable[[int, int], str]) -> None:
        """Raise ValueError, with what `describe` says of row and column, at the first element of `bad` that is true."""
        if bad.any():
            row, column = map(int, np.argwhere(bad.reshape(len(bad), -1))[0])
            raise ValueError(f"{self.source}: {self.where(row)}: {describe(row, column)}")


def read_rows(path: str, roles: Roles) -> Rows:
    """Read a table; rows with missing values are left out, if they are accepted and not kept."""
    with open_table(path, roles.missing) as table:
        rows = read_columns(table, roles)
        for note in table.notes:
            write_message(note)
    return without_missing(rows) if roles.missing.accepted and not roles.missing.kept else rows


def read_columns(table: Table, roles: Roles) -> Rows:
    """Read the columns of each purpose."""
    trials, failures, weight = (
        [table.place(name) for name in names]
        for names in (roles.trials or [], roles.failures or [], [roles.weight] if roles.weight else [])
    )
    kept = [*range(len(table.names))] if roles.kept == ALL else [table.place(name) for name in roles.kept or []]
    if roles.features is None:
        places = table.others([*trials, *failures, *weight, *([] if roles.kept == ALL else kept)])
    else:
        places = [table.place(name) for name in roles.features]
    if not places:
        raise ValueError(f"{table.source} has no columns left to fit")
    check_purposes(table, [*places, *dict.fromkeys(trials), *failures, *weight])
    if trials and len(trials) not in (1, len(places)):
        raise ValueError(f"--trials must be one column, or as many as are fitted, {len(places)}; got {len(trials)}")
    if failures and len(failures) != len(places):
        raise ValueError(f"--failures must be as many columns as the successes, {len(places)}; got {len(failures)}")
    groups = places, trials, failures, weight
    found = iter(table.columns(*filter(None, groups), kept=kept))
    X = next(found)
    n_trials, n_failures, weights = (next(found) if group else None for group in groups[1:])
    if n_failures is not None:
        n_trials = X + n_failures
    return Rows(
        table.source,
        [table.label(place) for place in places],
        X,
        roles.n_trials if n_trials is None else n_trials,
        None if weights is None else weights[:, 0],
        dict(zip(map(table.label, kept), found, strict=True)),
        table.where,
    )


def check_purposes(table: Table, places: Sequence[int]) -> None:
    """Raise ValueError for a column that is named twice, or for two purposes: no such fit means anything."""
    if twice := [place for place, times in Counter(places).items() if times > 1]:
        raise ValueError(f"{table.source}: column {table.label(twice[0])!r} is named twice: it can have one purpose")


def without_missing(rows: Rows) -> Rows:
    """Leave out rows with a missing value, and say how many there are; ValueError if no row is left."""
    arrays = [each for each in (rows.X, rows.trials, rows.weights) if isinstance(each, np.ndarray)]
    missing = np.zeros(len(rows.X), bool)
    for array in arrays:
        missing |= np.isnan(array.reshape(len(array), -1)).any(axis=1)
    n = int(missing.sum())
    if n == len(rows.X):
        most = rows.names[int(np.isnan(rows.X).sum(axis=0).argmax())]
        raise ValueError(f"{rows.source}: all rows have a missing value, most often in column {most!r}")
    if n:
        write_message(f"{rows.source}: {n} of {len(rows.X)} rows are left out: they have missing values")
    return rows.take(np.flatnonzero(~missing)) if n else rows


def check_counts(rows: Rows, roles: Roles, kind: RowKind) -> None:
    """Raise ValueError at the first number that the rows of a family cannot have, by line and column."""
    if rows.weights is not None:
        weights = rows.weights
        rows.check(weights < 0, lambda row, _: f"{roles.weight!r} is {weights[row]:g}, but weights are not negative")
    if not kind.is_counts:
        return
    check_whole(rows, rows.X, rows.names)
    if not isinstance(rows.trials, np.ndarray):
        check_at_most(rows, np.broadcast_to(rows.trials if rows.trials is not None else np.inf, rows.X.shape), [])
    elif roles.failures:
        check_whole(rows, rows.trials - rows.X, roles.failures)
    else:
        names = roles.trials or []
        check_whole(rows, rows.trials, names)
        check_at_most(rows, np.broadcast_to(rows.trials, rows.X.shape), names)


def check_whole(rows: Rows, counts: np.ndarray, names: Sequence[str]) -> None:
    """Raise ValueError at the first number that is no count."""
    rows.check(
        (counts < 0) | ((counts != np.floor(counts)) & ~np.isnan(counts)),
        lambda row, column: f"{names[column]!r} is {counts[row, column]:.10g}, but counts are whole numbers from 0",
    )


def check_at_most(rows: Rows, trials: np.ndarray, names: Sequence[str]) -> None:
    """Raise ValueError at the first row with more successes than trials; without names, trials are one number."""

    def describe(row: int, column: int) -> str:
        limit = f"{names[min(column, len(names) - 1)]!r} is" if names else "--trials is"
        return f"{rows.names[column]!r} is {rows.X[row, column]:g} but {limit} {trials[row, column]:g}"

    rows.check(trials < rows.X, describe)
