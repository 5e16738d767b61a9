"""The binomial family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastem._typing import RowKind
from fastem.data.kmeans import halves
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.families.base import Family
from fastem.families.binomial.model import BinomialParams, BinomialStats
from fastem.families.binomial.prior import BinomialPrior
from fastem.families.binomial.starts import of_parts, start_from
from fastem.families.counts import START_METHODS
from fastem.families.fixed import Fixed
from fastem.validation.parameters import as_float64, as_mixing_weights, as_probabilities, warn_if_not_identifiable


@dataclass(frozen=True, eq=False)
class BinomialFamily(Family[BinomialParams, BinomialStats]):
    """Binomial components: counts of successes, with the trials of each; columns are independent."""

    name: ClassVar = "binomial"
    params_type: ClassVar = BinomialParams
    stats_type: ClassVar = BinomialStats
    prior_type: ClassVar = BinomialPrior
    row_kind: ClassVar = RowKind.COUNTS_WITH_TRIALS
    parameter_names: ClassVar = BinomialParams.parameter_names
    init_names: ClassVar = ("weights", "probs")
    start_methods: ClassVar = START_METHODS

    def check_init(self, init: Mapping[str, ArrayLike], k: int, n_features: int) -> None:
        if "weights" in init:
            as_mixing_weights(init["weights"], "weights", k)
        if "probs" in init:
            as_probabilities(init["probs"], "probs", (k, n_features), gaps=True)

    def start(
        self,
        rows: RowSource,
        k: int,
        *,
        method: str,
        rng: np.random.Generator,
        first: bool = True,
        init: Mapping[str, ArrayLike] | None = None,
    ) -> BinomialParams:
        given = {name: as_float64(value, name) for name, value in (init or {}).items()}
        return start_from(given, rows, k, method=method if first else "random", rng=rng)

    def warn_of_rows(self, rows: RowSource, k: int) -> None:
        warn_if_not_identifiable(rows.n_features, rows.most_trials, k)

    def of_parts(self, rows: Rows, labels: NDArray[np.intp], k: int) -> BinomialParams:
        return of_parts(rows, labels, k)

    def pairs(self, rows: Rows, one: BinomialParams, rng: np.random.Generator) -> Iterator[BinomialParams]:
        yield from super().pairs(rows, one, rng)
        X, trials = rows.data
        rates = (X + one.probs[0]) / (trials + 1.0)
        sds = np.sqrt(one.probs[0] * (1 - one.probs[0]))
        for side in halves(rates / np.where(sds > 0, sds, 1.0), rows.sample_weight, rng):
            yield self.of_parts(rows, side, 2)

    def maximize(self, stats: BinomialStats, fixed: Fixed | None = None) -> BinomialParams:
        return stats.maximize(fixed=() if fixed is None else fixed)
