"""A fit whose user knows components of some rows, or where it begins."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastem._typing import ArrayLike
from fastem.data.row_source import RowSource
from fastem.estimators.state import MixtureState
from fastem.families.base import Family
from fastem.families.known import KnownRows, Parts, parts_of, sums_of_parts
from fastem.fitting.mixture import Starts, starts_on
from fastem.fitting.settings import FitSettings
from fastem.search.known import numbered, of_known
from fastem.validation.labels import (
    as_labels,
    as_responsibilities,
    check_all_have_rows,
    check_numbered,
)

ROUNDS_OF_GAPS = 5
"""M-steps on labels of rows with gaps: what is missing is first expected by a start that knows no labels, and a share m
of missing values leaves m^5 of that."""


def known_rows(mixture: MixtureState, rows: RowSource, labels: ArrayLike, k: int) -> KnownRows:
    """Return rows with their labels."""
    check_numbered(mixture.order_by, mixture.on_collapse, mixture.warm_sweeps)
    return KnownRows(rows, as_labels(labels, "labels", len(rows), k))


def starts_of_known(plain: Starts[Any], settings: FitSettings, known: KnownRows, *, free: bool) -> Starts[Any]:
    """Return the starts of a fit with labels.

    The first is the M-step on the known rows, if every component has some; the others are those of a fit without
    labels, numbered so that known rows agree best unless values are given to start from (not `free`).
    """

    def draw(rows: RowSource, family: Family[Any, Any], rng: np.random.Generator, number: int) -> Any:
        if number == 0 and free and (params := of_known(known, family, plain.n_components, rng)) is not None:
            return params
        one = Starts(plain.n_components, 1, plain.draw, searched=plain.searched)
        params = next(starts_on(rows, family, settings, one, rng))
        return numbered(known, params, rng) if free else params

    return Starts(plain.n_components, plain.count, draw)


def start_at_labels(plain: Starts[Any], settings: FitSettings, rows: RowSource, values: ArrayLike) -> Starts[Any]:
    """Begin at the M-step on labels (n,) or responsibilities (n, k)."""
    k, name = plain.n_components, "labels_init"
    parts = given_parts(rows, values, k, name)

    def draw(_: RowSource, family: Family[Any, Any], rng: np.random.Generator, number: int) -> Any:
        params = plain.draw(rows, family, rng, 0)
        for _round in range(ROUNDS_OF_GAPS if rows.has_missing else 1):
            stats = sums_of_parts(parts, params)
            check_all_have_rows(stats.counts, name)
            params = family.maximize(stats, settings.fixed)
        return family.begun(params)

    return Starts(k, 1, draw, given=True)


def given_parts(rows: RowSource, values: ArrayLike, k: int, name: str) -> Parts:
    """Return the rows of each component, whole or in parts."""
    if np.ndim(values) < 2:
        return parts_of(rows, as_labels(values, name, len(rows), k))
    shares = as_responsibilities(values, name, len(rows), k)
    check_all_have_rows(shares.sum(axis=0), name)
    return {c: rows.weighted(shares[:, c]) for c in range(k)}
