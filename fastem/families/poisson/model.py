"""Poisson mixtures: parameters, their tables for the kernels, sufficient statistics, the M-step."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fastem._errstate import own_methods
from fastem._public import public
from fastem._typing import Array, RowKind, SweepKernels
from fastem.data.slots import as_table, refuse_nan
from fastem.families.counts import LOG_ZERO, log_factorial
from fastem.families.fixed import Fixed, FixedLike
from fastem.families.params import Chart, Params
from fastem.families.stats import Stats
from fastem.families.weights import APART, EMPTY, SMALLEST_WEIGHT, log_weights, softmax, weight_slopes
from fastem.kernels.linear import dot, weighted_sum
from fastem.validation.arrays import LARGEST_COUNT, as_numeric, check_not
from fastem.validation.parameters import (
    as_array,
    as_array_with_gaps,
    as_float64,
    as_mixing_weights,
    check_matrix,
    check_shape,
)

SMALLEST_RATE = SMALLEST_WEIGHT
"""The rate that stands for a rate of 0 where its logarithm is needed."""

EDGE = 4 * SMALLEST_RATE
"""A rate below this is on the boundary: rounding brings the logarithm of 0 back so near."""


@public
@own_methods
@dataclass(frozen=True, eq=False)
class PoissonParams(Params):
    """Parameters of a Poisson mixture: an immutable value.

    weights (k,), rates (k, d): expected count per component and column; columns are independent given the component.
    """

    rates: Array

    parameter_names: ClassVar = ("weights", "rates")
    kernel = SweepKernels(
        "accumulate_poisson",
        "posterior_poisson",
        "iterate_poisson",
        "accumulate_poisson_missing",
        "posterior_poisson_missing",
    )
    row_kind = RowKind.COUNTS

    def __post_init__(self) -> None:
        """Check the shapes, which the kernels trust."""
        for name in self.parameter_names:
            object.__setattr__(self, name, as_float64(getattr(self, name), name))
        check_matrix(self.rates, "rates")
        check_shape(self.weights, "weights", self.rates.shape[:1])

    def check(self) -> None:
        as_mixing_weights(self.weights, "weights", len(self.weights))
        as_rates(self.rates, "rates", self.rates.shape)

    @property
    def n_features(self) -> int:
        return self.rates.shape[1]

    def _n_free(self, fixed: Fixed) -> int:
        return int(fixed.free("rates").sum()) * self.n_features

    def select(self, components: NDArray[np.intp]) -> PoissonParams:
        return PoissonParams(self.weights[components], self.rates[components])

    def _split(self, donor: int, place: int) -> PoissonParams:
        """Split to both sides of the rates, half a standard deviation away but by no more than half the rate."""
        weights, rates = self.weights.copy(), self.rates.copy()
        step = APART * np.minimum(self._sds[donor], rates[donor])
        weights[[donor, place]] = weights[[donor, place]].mean()
        rates[[donor, place]] = rates[donor] - step, rates[donor] + step
        return PoissonParams(weights, rates)

    def pooled(self) -> PoissonParams:
        return PoissonParams(np.ones(1), weighted_sum(self.weights, self.rates)[np.newaxis])

    def entropies(self) -> Array:
        """Return (k,) the entropies, but for E log x!, which merging leaves as it is."""
        return np.asarray((self.rates - self.rates * np.log(np.maximum(self.rates, SMALLEST_RATE))).sum(axis=1))

    def _in_units(self) -> list[tuple[Array, Array]]:
        return [(self.rates, self._sds)]

    def tables(self) -> tuple[Array, Array]:
        """Return log2 of weights (k,) times exp(-rates), and of rates (k, d)."""
        with np.errstate(divide="ignore"):
            logs = np.log2(self.weights), np.log2(self.rates)
        log_norm = logs[0] - self.rates.sum(axis=1) * math.log2(math.e)
        return as_table(log_norm), as_table(np.maximum(logs[1], LOG_ZERO))

    def rounded_to_float32(self) -> PoissonParams:
        """Return these as they are: rates are means of whole numbers, which float64 sums exactly."""
        return self

    def float32_is_sufficient(self, tables: tuple[Array, ...]) -> bool:
        """Return False: counts times logarithms have no digits to lose."""
        return False

    def log_base_measure(self, *data: np.ndarray) -> Array:
        """Return (n,) minus the logarithms of the factorials."""
        counts = np.nan_to_num(data[0].astype(np.float64))  # 0! = 1 of a missing one
        return -np.asarray(log_factorial(counts).sum(axis=1))

    @property
    def sums_length(self) -> int:
        return len(self.weights) + self.rates.size + 2

    def stats(self, sums: Array, single: bool = False) -> PoissonStats:
        k = len(self.weights)
        counts, events = sums[:k], sums[k:-2].reshape(self.rates.shape)
        values = counts, float(sums[-2]), float(sums[-1]), events, counts
        return PoissonStats(self, *values, row_counts=counts, single=single)

    def to_vector(self, at: PoissonParams, fixed: FixedLike = ()) -> Array:
        """Return log weights and log rates; `at` is for families with units."""
        fixed = self.as_fixed(fixed)
        rates = np.maximum(self.rates[fixed.free("rates")], SMALLEST_RATE)
        return np.concatenate([log_weights(self.weights, fixed.free("weights")), np.log(rates).ravel()])

    def from_vector(self, vector: Array, fixed: FixedLike = ()) -> PoissonParams:
        fixed = self.as_fixed(fixed)
        free, rates = fixed.free("rates"), self.rates.copy()
        logs = vector[len(vector) - rates[free].size :]
        limits = math.log(SMALLEST_RATE), math.log(LARGEST_COUNT)
        rates[free] = np.exp(np.clip(logs, *limits)).reshape(-1, self.n_features)
        weights = softmax(vector[: len(vector) - logs.size], self.weights, fixed.free("weights"))
        return PoissonParams(weights, rates)

    @property
    def _sds(self) -> Array:
        """The standard deviations (k, d) of a count."""
        return np.sqrt(self.rates)

    def charts(self) -> tuple[Chart]:
        """Return log rates times the standard deviation of a count."""
        k, d = self.rates.shape
        jacobians = self._sds[:, :, np.newaxis] * np.eye(d)
        return (Chart("rates", jacobians, np.arange(k * d).reshape(k, d), self.rates > EDGE),)

    def scores(self, c: int, *data: np.ndarray) -> tuple[Array, Array]:
        """Return (x - rate) / sqrt(rate), and the information of a row, 1; 0 of a count that is missing."""
        residuals, sds = data[0] - self.rates[c], self._sds[c]
        observed = ~np.isnan(residuals)
        slopes = np.divide(residuals, sds, out=np.zeros_like(residuals), where=observed & (sds > 0))
        return slopes, observed.astype(np.float64)

    def sample(
        self, labels: np.ndarray, rng: np.random.Generator, trials: np.ndarray | int | None = None
    ) -> np.ndarray:
        return np.asarray(rng.poisson(self.rates[labels]))


@public
@own_methods
@dataclass(frozen=True, eq=False)
class PoissonStats(Stats[PoissonParams]):
    """Sums of a Poisson sweep."""

    params: PoissonParams
    events: Array  #:   (k, d)  sum w r x
    exposure: Array  #: (k,)    sum w r, and what a prior of the rates adds to it

    def about(self, params: PoissonParams) -> PoissonStats:
        """Return the same sums: counts have no origin."""
        return replace(self, params=params)

    def gradient(self, reached: PoissonParams, at: PoissonParams, fixed: FixedLike = ()) -> Array:
        fixed = at.as_fixed(fixed)
        slopes = self.exposure[:, np.newaxis] * (reached.rates - self.params.rates)
        slopes = slopes[fixed.free("rates")]
        return np.concatenate([weight_slopes(self.counts, self.params.weights, fixed.free("weights")), slopes.ravel()])

    def _rounded(self) -> tuple[float, float]:
        """Return the two sums of `Stats._rounded`.

        Logarithms in the tables are precise to four units; rates after an M-step to one.
        """
        weights, rates = np.maximum(self.params.weights, SMALLEST_WEIGHT), self.params.rates
        expected = dot(self.exposure, rates.sum(axis=1))
        logs = np.abs(np.log(np.maximum(rates, SMALLEST_RATE)))
        terms = dot(self.counts, np.abs(np.log(weights))) + (self.events * logs).sum() + expected
        return float(terms), float(4 * terms + self.events.sum() + expected)

    def maximize(self, *, fixed: FixedLike = ()) -> PoissonParams:
        """Return the parameters after the M-step: rates = events / exposure.

        A component without rows keeps its rates, and so does what is fixed.  What has been seen does not get rate 0,
        however rare.
        """
        refuse_nan(self.loglik)
        fixed = self.params.as_fixed(fixed)
        free = (self.exposure > EMPTY * self.exposure.sum()) & fixed.free("rates")
        rates = self.events / np.where(free, self.exposure, 1.0)[:, np.newaxis]
        rates = np.maximum(rates, SMALLEST_RATE * (self.events > EMPTY * self.events.sum(axis=0)))
        rates = np.where(free[:, np.newaxis], rates, self.params.rates)
        return PoissonParams.unchecked(weights=self.mixing_weights(fixed), rates=rates)


def as_rates(values: object, name: str, shape: tuple[int, ...], gaps: bool = False) -> np.ndarray:
    """Convert rates to an array of this shape; a vector becomes one column."""
    array = as_numeric(values, name)
    array = (as_array_with_gaps if gaps else as_array)(array[:, np.newaxis] if array.ndim == 1 else array, name, shape)
    check_not(lambda rates: (rates < 0) | (rates > LARGEST_COUNT), array, f"{name} must be between 0 and 2^53")
    return array
