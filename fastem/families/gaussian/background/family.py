"""The family of Gaussian mixtures with a background."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastem._typing import Array
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.families.gaussian.background.box import box_of
from fastem.families.gaussian.background.model import BackgroundParams, BackgroundStats
from fastem.families.gaussian.family import GaussianFamily
from fastem.families.gaussian.model import GaussianParams
from fastem.families.kept import kept
from fastem.validation.parameters import SUM_TOL, as_array, as_mixing_weights, check_box, check_some_weight

START_SHARE = 0.05
"""The weight that a background begins with."""


@dataclass(frozen=True, eq=False)
class BackgroundFamily(GaussianFamily):
    """A Gaussian mixture with a background: its density per unit of volume, or True for that of a box about the rows.

    The box is found when a start needs it: rows that come to parameters that are known, one by one say, have none.
    Where values may be missing it is to be along the features, since the density of some of them has to be known.
    """

    params_type: ClassVar = BackgroundParams
    stats_type: ClassVar = BackgroundStats
    has_iterate: ClassVar = False

    noise: float | bool = True
    along_features: bool = False
    rows: RowSource | None = None  # of the fit, once they are known

    def for_rows(self, rows: RowSource, rng: np.random.Generator) -> Self:
        return replace(super().for_rows(rows, rng), rows=rows)

    @kept
    def box(self) -> Array:
        """The box about the rows."""
        assert self.rows is not None
        return box_of(self.rows, along_features=self.along_features or self.rows.has_missing)

    def with_background(self, point: GaussianParams, share: float = START_SHARE) -> BackgroundParams:
        """Return this mixture with a background, which takes its share of the weight."""
        values = {name: getattr(point, name) for name in ("means", "covariances", "covariance_type")}
        found = BackgroundParams(
            (1 - share) * point.weights, **values, noise_weight=np.asarray(share), noise_box=self.box, noise=self.noise
        )
        assert self.rows is not None
        if found.is_uniform or self.rows.has_missing:
            check_box(self.box[1:], self.rows.has_missing)
        return found

    # ---- starts

    def check_init(self, init: Mapping[str, ArrayLike], k: int, n_features: int) -> None:
        if "weights" in init:
            weights = as_array(init["weights"], "weights", (k,))
            check_some_weight(weights, "weights_init")
            as_mixing_weights(np.append(weights, max(0.0, 1.0 - weights.sum())), "weights", k + 1)
        super().check_init({name: value for name, value in init.items() if name != "weights"}, k, n_features)

    def start(self, rows: RowSource, k: int, **options: Any) -> BackgroundParams:
        """Return a start without a background, with one; it has what given weights leave, if they leave anything."""
        init, share = dict(options.pop("init", None) or {}), START_SHARE
        if "weights" in init:
            weights = np.asarray(init["weights"], np.float64)
            share = left if (left := 1.0 - float(weights.sum())) > SUM_TOL else START_SHARE
            init["weights"] = weights / weights.sum()
        return self.with_background(super().start(rows, k, init=init, **options), share)

    def beginnings(self, rows: Rows, k: int, rng: np.random.Generator) -> Iterator[BackgroundParams]:
        for point in super().beginnings(rows, k, rng):
            yield self.with_background(point)

    def of_one_component(self) -> GaussianFamily:
        """Return the family without a background: the rows of one component are its own."""
        kind = "full" if self.covariance_type == "tied" else self.covariance_type
        return GaussianFamily(kind, self.reg_covar)

    def of_parts(self, rows: Rows, labels: NDArray[np.intp], k: int) -> BackgroundParams:
        return self.with_background(super().of_parts(rows, labels, k))

    def begun(self, params: BackgroundParams) -> BackgroundParams:  # type: ignore[override]
        return params if params.noise_weight > 0 else self.with_background(params.point)

    def params_of(self, arrays: Mapping[str, Array]) -> BackgroundParams:
        return BackgroundParams(**arrays, covariance_type=self.covariance_type, noise=self.noise)
