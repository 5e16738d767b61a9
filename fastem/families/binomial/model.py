"""Binomial mixtures: parameters, their tables for the kernels, sufficient statistics, the M-step."""

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
from fastem.validation.parameters import as_float64, as_mixing_weights, as_probabilities, check_matrix, check_shape

SMALLEST_PROB = 2.0**-53
"""The distance from 0 or 1 of a probability that is 0 or 1, where its logit is needed."""

EDGE = 4 * SMALLEST_PROB
"""A probability nearer to 0 or 1 than this is on the boundary: rounding brings such a logit back so near."""


@public
@own_methods
@dataclass(frozen=True, eq=False)
class BinomialParams(Params):
    """Parameters of a binomial mixture: an immutable value.

    weights (k,), probs (k, d): probability of success per component and column; columns are independent given the
    component.
    """

    probs: Array

    parameter_names: ClassVar = ("weights", "probs")
    kernel = SweepKernels("accumulate_binomial", "posterior_binomial", "iterate_binomial")
    row_kind = RowKind.COUNTS_WITH_TRIALS

    def __post_init__(self) -> None:
        """Convert the arrays to float64, and check their shapes, which the kernels trust."""
        for name in self.parameter_names:
            object.__setattr__(self, name, as_float64(getattr(self, name), name))
        check_matrix(self.probs, "probs")
        check_shape(self.weights, "weights", self.probs.shape[:1])

    def check(self) -> None:
        as_mixing_weights(self.weights, "weights", len(self.weights))
        as_probabilities(self.probs, "probs", self.probs.shape)

    @property
    def n_features(self) -> int:
        return self.probs.shape[1]

    def _n_free(self, fixed: Fixed) -> int:
        return int(fixed.free("probs").sum()) * self.n_features

    def select(self, components: NDArray[np.intp]) -> BinomialParams:
        return BinomialParams(self.weights[components], self.probs[components])

    def _split(self, donor: int, place: int) -> BinomialParams:
        """Split to both sides of the probabilities."""
        weights, probs = self.weights.copy(), self.probs.copy()
        step = APART * probs[donor] * (1 - probs[donor])
        weights[[donor, place]] = weights[[donor, place]].mean()
        probs[[donor, place]] = probs[donor] - step, probs[donor] + step
        return BinomialParams(weights, probs)

    def pooled(self) -> BinomialParams:
        mean = np.minimum(weighted_sum(self.weights, self.probs), self.probs.max(axis=0))  # by rounding it may exceed 1
        return BinomialParams(np.ones(1), mean[np.newaxis])

    def entropies(self) -> Array:
        p = np.clip(self.probs, np.finfo(float).tiny, 1 - np.finfo(float).epsneg)
        return np.asarray(-(p * np.log(p) + (1 - p) * np.log1p(-p)).sum(axis=1))

    def _in_units(self) -> list[tuple[Array, Array]]:
        return [(self.probs, self._sds)]

    def tables(self) -> tuple[Array, Array, Array]:
        """Return log2 of weights (k,), of probs (k, d) and of 1 - probs (k, d)."""
        with np.errstate(divide="ignore"):
            logs = np.log2(self.weights), np.log2(self.probs), np.log1p(-self.probs) * math.log2(math.e)
        return as_table(logs[0]), as_table(np.maximum(logs[1], LOG_ZERO)), as_table(np.maximum(logs[2], LOG_ZERO))

    def rounded_to_float32(self) -> BinomialParams:
        """Return these as they are: float32 has no probability between 1 and 1 - 6e-8."""
        return self

    def float32_is_sufficient(self, tables: tuple[Array, ...]) -> bool:
        """Return False: counts times logarithms have no digits to lose."""
        return False

    def log_base_measure(self, *data: np.ndarray) -> Array:
        """Return (n,) the logarithms of the binomial coefficients."""
        x, n = (array.astype(np.float64) for array in data)
        return np.asarray((log_factorial(n) - log_factorial(x) - log_factorial(n - x)).sum(axis=1))

    @property
    def sums_length(self) -> int:
        return len(self.weights) + 2 * self.probs.size + 2

    def stats(self, sums: Array, single: bool = False) -> BinomialStats:
        k = len(self.weights)
        successes, failures = sums[k:-2].reshape(2, *self.probs.shape)
        values = sums[:k], float(sums[-2]), float(sums[-1]), successes, failures
        return BinomialStats(self, *values, row_counts=sums[:k], single=single)

    def to_vector(self, at: BinomialParams, fixed: FixedLike = ()) -> Array:
        """Return log weights and logits; `at` is for families with units."""
        fixed = self.as_fixed(fixed)
        probs = np.clip(self.probs[fixed.free("probs")], SMALLEST_PROB, 1 - SMALLEST_PROB)
        return np.concatenate(
            [log_weights(self.weights, fixed.free("weights")), (np.log(probs) - np.log1p(-probs)).ravel()]
        )

    def from_vector(self, vector: Array, fixed: FixedLike = ()) -> BinomialParams:
        fixed = self.as_fixed(fixed)
        free, probs = fixed.free("probs"), self.probs.copy()
        logits = vector[len(vector) - probs[free].size :]
        probs[free] = 1 / (1 + np.exp(-np.clip(logits, -700.0, 700.0).reshape(-1, self.n_features)))
        weights = softmax(vector[: len(vector) - logits.size], self.weights, fixed.free("weights"))
        return BinomialParams(weights, probs)

    @property
    def _sds(self) -> Array:
        """The standard deviations (k, d) of one trial."""
        return np.sqrt(self.probs * (1 - self.probs))

    def charts(self) -> tuple[Chart]:
        """Return logits times the standard deviation of one trial."""
        k, d = self.probs.shape
        inside = (self.probs > EDGE) & (self.probs < 1 - EDGE)
        return (Chart("probs", self._sds[:, :, np.newaxis] * np.eye(d), np.arange(k * d).reshape(k, d), inside),)

    def scores(self, c: int, *data: np.ndarray) -> tuple[Array, Array]:
        """Return (x - trials p) / sqrt(p q), and the information of a row, its trials."""
        X, trials = data
        residuals, sds = X - trials * self.probs[c], self._sds[c]
        return np.divide(residuals, sds, out=np.zeros_like(residuals), where=sds > 0), trials

    def sample(
        self, labels: np.ndarray, rng: np.random.Generator, trials: np.ndarray | int | None = None
    ) -> np.ndarray:
        assert trials is not None
        return np.asarray(rng.binomial(np.asarray(trials), self.probs[labels]))


@public
@own_methods
@dataclass(frozen=True, eq=False)
class BinomialStats(Stats[BinomialParams]):
    """Sums of a binomial sweep."""

    params: BinomialParams
    successes: Array  #: (k, d)  sum w r x
    failures: Array  #:  (k, d)  sum w r (trials - x)

    def about(self, params: BinomialParams) -> BinomialStats:
        """Return the same sums: counts have no origin."""
        return replace(self, params=params)

    def gradient(self, reached: BinomialParams, at: BinomialParams, fixed: FixedLike = ()) -> Array:
        fixed = at.as_fixed(fixed)
        slopes = (self.successes + self.failures) * (reached.probs - self.params.probs)
        slopes = slopes[fixed.free("probs")]
        return np.concatenate([weight_slopes(self.counts, self.params.weights, fixed.free("weights")), slopes.ravel()])

    def _rounded(self) -> tuple[float, float]:
        """Return the two sums of `Stats._rounded`.

        Logarithms in the tables are precise to four units; probs after an M-step, and 1 - probs, to half a unit of 1.
        """
        params = self.params
        terms = dot(self.counts, log_sizes(params.weights))
        terms += (self.successes * log_sizes(params.probs) + self.failures * log_sizes(1 - params.probs)).sum()
        return float(terms), float(4 * terms + self.successes.sum() + self.failures.sum())

    def maximize(self, *, fixed: FixedLike = ()) -> BinomialParams:
        """Return the parameters after the M-step: probs = successes / trials.

        A component without trials keeps its probs, and so does what is fixed.  What has been seen does not get
        probability 0, however rare: 1 - 1e-20 is 1 to float64, and one failure of 1e20 would then have no density.
        """
        refuse_nan(self.loglik)
        fixed, trials = self.params.as_fixed(fixed), self.successes + self.failures
        nothing = EMPTY * trials.sum(axis=0)
        free = (trials > nothing) & fixed.free("probs")[:, np.newaxis]
        probs = self.successes / np.where(free, trials, 1.0)
        probs = np.maximum(probs, SMALLEST_WEIGHT * (self.successes > nothing))
        probs = np.minimum(probs, 1 - SMALLEST_PROB * (self.failures > nothing))
        probs = np.where(free, probs, self.params.probs)
        return BinomialParams.unchecked(weights=self.mixing_weights(fixed), probs=probs)


def log_sizes(probs: Array) -> Array:
    """Return |log|, and 0 where the probability is 0."""
    return np.abs(np.log(np.where(probs > 0, probs, 1.0)))
