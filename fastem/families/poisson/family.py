"""The Poisson family."""

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
from fastem.families.counts import START_METHODS
from fastem.families.fixed import Fixed
from fastem.families.poisson.model import PoissonParams, PoissonStats, as_rates
from fastem.families.poisson.prior import PoissonPrior
from fastem.families.poisson.starts import of_parts, start_from
from fastem.validation.parameters import as_float64, as_mixing_weights


@dataclass(frozen=True, eq=False)
class PoissonFamily(Family[PoissonParams, PoissonStats]):
    """Poisson components: counts without an upper limit; columns are independent."""

    name: ClassVar = "poisson"
    params_type: ClassVar = PoissonParams
    stats_type: ClassVar = PoissonStats
    prior_type: ClassVar = PoissonPrior
    row_kind: ClassVar = RowKind.COUNTS
    parameter_names: ClassVar = PoissonParams.parameter_names
    init_names: ClassVar = ("weights", "rates")
    start_methods: ClassVar = START_METHODS

    def check_init(self, init: Mapping[str, ArrayLike], k: int, n_features: int) -> None:
        if "weights" in init:
            as_mixing_weights(init["weights"], "weights", k)
        if "rates" in init:
            as_rates(init["rates"], "rates", (k, n_features), gaps=True)

    def start(
        self,
        rows: RowSource,
        k: int,
        *,
        method: str,
        rng: np.random.Generator,
        first: bool = True,
        init: Mapping[str, ArrayLike] | None = None,
    ) -> PoissonParams:
        given = {name: as_float64(value, name) for name, value in (init or {}).items()}
        return start_from(given, rows, k, method=method if first else "random", rng=rng)

    def of_parts(self, rows: Rows, labels: NDArray[np.intp], k: int) -> PoissonParams:
        return of_parts(rows, labels, k)

    def pairs(self, rows: Rows, one: PoissonParams, rng: np.random.Generator) -> Iterator[PoissonParams]:
        yield from super().pairs(rows, one, rng)
        for side in halves(np.sqrt(rows.data[0] + 0.5), rows.sample_weight, rng):
            yield self.of_parts(rows, side, 2)

    def maximize(self, stats: PoissonStats, fixed: Fixed | None = None) -> PoissonParams:
        return stats.maximize(fixed=() if fixed is None else fixed)
