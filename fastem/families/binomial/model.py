"""Binomial mixtures: parameters, their tables for the kernels, sufficient statistics, the M-step."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fastem._errstate import own_methods
from fastem._public import public
from fastem._typing import Array, Fixed
from fastem.data.slots import as_table, refuse_nan
from fastem.families.base import Chart, Stats
from fastem.families.weights import (
    EMPTY,
    SMALLEST_WEIGHT,
    free_weights,
    held,
    log_weights,
    order_of,
    softmax,
    weight_slopes,
)
from fastem.kernels.linear import dot
from fastem.validation.parameters import as_float64, as_mixing_weights, as_probabilities, check_matrix, check_shape
from fastem.validation.settings import groups

GROUPS = ("weights", "probs")

LOG_ZERO = -1e290
"""log2 of probability 0: no count can bring it back into reach, and 0 * LOG_ZERO is 0, as 0 log 0 must be."""

SMALLEST_PROB = 2.0**-53
"""What a probability of 0 or 1 is taken to be short of it where its logit is asked for."""

EDGE = 4 * SMALLEST_PROB
"""And so what comes back from such a logit is, rounded, nearer than this."""

TABLE = np.array([math.lgamma(n + 1.0) for n in range(256)])
"""log n! where Stirling's series would need more than three terms."""


@public
@own_methods
@dataclass(frozen=True, eq=False)
class BinomialParams:
    """Parameters of a binomial mixture: an immutable value.

    weights (k,), probs (k, d): probability of success per component and column; columns are independent given the
    component.
    """

    weights: Array
    probs: Array

    kernel = "binomial"
    has_trials = True

    def __post_init__(self) -> None:
        """The kernels trust these shapes."""
        for name in GROUPS:
            object.__setattr__(self, name, as_float64(getattr(self, name), name))
        check_matrix(self.probs, "probs")
        check_shape(self.weights, "weights", self.probs.shape[:1])

    def check(self) -> None:
        """Raise ValueError or TypeError where the values are not those of a mixture."""
        as_mixing_weights(self.weights, "weights", len(self.weights))
        as_probabilities(self.probs, "probs", self.probs.shape)

    @property
    def n_features(self) -> int:
        return self.probs.shape[1]

    @property
    def n_parameters(self) -> int:
        """Free parameters of the model."""
        return self.n_free()

    def n_free(self, fixed: Fixed = ()) -> int:
        """Parameters that are not held; weights that are free have their sum given."""
        k, d = self.probs.shape
        return free_weights(k, fixed) + (k - int(held(fixed, "probs", k).sum())) * d

    def order(self, by: str) -> np.ndarray:
        """Indices of the components in the order of their weights or probs."""
        return order_of(getattr(self, by))

    def take(self, components: np.ndarray) -> BinomialParams:
        """These components, in this order."""
        return BinomialParams(self.weights[components], self.probs[components])

    def tables(self) -> tuple[Array, Array, Array]:
        """What the kernels read: log2 of weights (k,), of probs (k, d) and of 1 - probs (k, d)."""
        with np.errstate(divide="ignore"):
            logs = np.log2(self.weights), np.log2(self.probs), np.log1p(-self.probs) * math.log2(math.e)
        return as_table(logs[0]), as_table(np.maximum(logs[1], LOG_ZERO)), as_table(np.maximum(logs[2], LOG_ZERO))

    def rounded_to_single(self) -> BinomialParams:
        """As they are: float32 has no probability between 1 and 1 - 6e-8."""
        return self

    def single_is_enough(self, tables: tuple[Array, Array, Array]) -> bool:
        """Counts times logarithms have no digits to lose: never."""
        return False

    def log_base_measure(self, X: np.ndarray, trials: np.ndarray) -> Array:
        """(n,) log binomial coefficients: the part of log p(x) that no parameter enters."""
        x, n = X.astype(np.float64), trials.astype(np.float64)
        return np.asarray((log_factorial(n) - log_factorial(x) - log_factorial(n - x)).sum(axis=1))

    @property
    def sums_length(self) -> int:
        return len(self.weights) + 2 * self.probs.size + 2

    def stats(self, sums: Array) -> BinomialStats:
        """Name the sums of a kernel (one row, as _kernels lays them out)."""
        k = len(self.weights)
        successes, failures = sums[k:-2].reshape(2, *self.probs.shape)
        return BinomialStats(self, sums[:k], float(sums[-2]), float(sums[-1]), successes, failures, row_counts=sums[:k])

    def to_vector(self, at: BinomialParams, fixed: Fixed = ()) -> Array:
        """What is free, without constraints: log weights and logits; `at` is there for families with units."""
        probs = np.clip(self.probs[~held(fixed, "probs", len(self.probs))], SMALLEST_PROB, 1 - SMALLEST_PROB)
        return np.concatenate([log_weights(self.weights, fixed), (np.log(probs) - np.log1p(-probs)).ravel()])

    def from_vector(self, vector: Array, fixed: Fixed = ()) -> BinomialParams:
        """Parameters of which to_vector(self, fixed) is `vector`; what is fixed is that of self."""
        free, probs = ~held(fixed, "probs", len(self.probs)), self.probs.copy()
        logits = vector[len(vector) - probs[free].size :]
        probs[free] = 1 / (1 + np.exp(-np.clip(logits, -700.0, 700.0).reshape(-1, self.n_features)))
        return BinomialParams(softmax(vector[: len(vector) - logits.size], self.weights, fixed), probs)

    @property
    def _sds(self) -> Array:
        """(k, d) standard deviations of one trial."""
        return np.sqrt(self.probs * (1 - self.probs))

    def charts(self) -> tuple[Chart]:
        """Logits times the standard deviation of one trial."""
        k, d = self.probs.shape
        inside = (self.probs > EDGE) & (self.probs < 1 - EDGE)
        return (Chart("probs", self._sds[:, :, np.newaxis] * np.eye(d), np.arange(k * d).reshape(k, d), inside),)

    def scores(self, c: int, X: np.ndarray, trials: np.ndarray) -> tuple[Array, Array]:
        """(rows, d) slopes of component c's log density by the coordinates of the charts, (x - trials p) / sqrt(p q);
        and the information of a row, its trials."""
        residuals, sds = X - trials * self.probs[c], self._sds[c]
        return np.divide(residuals, sds, out=np.zeros_like(residuals), where=sds > 0), trials

    def sample(self, labels: np.ndarray, trials: int, rng: np.random.Generator) -> np.ndarray:
        """Draw the successes of a row from the component of each label."""
        return np.asarray(rng.binomial(trials, self.probs[labels]))


@public
@own_methods
@dataclass(frozen=True, eq=False)
class BinomialStats(Stats):
    """Sums of a binomial sweep."""

    params: BinomialParams
    successes: Array  #: (k, d)  sum w r x
    failures: Array  #:  (k, d)  sum w r (trials - x)

    def about(self, params: BinomialParams) -> BinomialStats:
        """The same sums, to be added to those at other parameters: counts have no origin."""
        return replace(self, params=params)

    def gradient(self, reached: BinomialParams, at: BinomialParams, fixed: Fixed = ()) -> Array:
        """Of the log likelihood, at the parameters of these sums, by what stands in to_vector(at, fixed); `reached` are
        the parameters after the M-step."""
        slopes = (self.successes + self.failures) * (reached.probs - self.params.probs)
        slopes = slopes[~held(fixed, "probs", len(slopes))]
        return np.concatenate([weight_slopes(self.counts, self.params.weights, fixed), slopes.ravel()])

    def _rounded(self) -> tuple[float, float]:
        """Logarithms of the tables are good to four units; the M-step leaves probs, and what they are short of 1, off
        by half a unit of 1."""
        params = self.params
        terms = dot(self.counts, log_sizes(params.weights))
        terms += (self.successes * log_sizes(params.probs) + self.failures * log_sizes(1 - params.probs)).sum()
        return float(terms), float(4 * terms + self.successes.sum() + self.failures.sum())

    def maximize(self, *, fixed: Fixed = ()) -> BinomialParams:
        """The M-step: probs = successes / tosses.  A component without tosses keeps its probs; so does what is held.

        What has been seen does not get probability 0, however rare: 1 - 1e-20 is 1 to float64, and one failure of
        1e20 would then have no density.
        """
        refuse_nan(self.loglik)
        fixed = groups(fixed, GROUPS, len(self.counts))
        tosses = self.successes + self.failures
        nothing = EMPTY * tosses.sum(axis=0)
        known = (tosses > nothing) & ~held(fixed, "probs", len(tosses))[:, np.newaxis]
        probs = self.successes / np.where(known, tosses, 1.0)
        probs = np.maximum(probs, SMALLEST_WEIGHT * (self.successes > nothing))
        probs = np.minimum(probs, 1 - SMALLEST_PROB * (self.failures > nothing))
        return BinomialParams(self.mixing_weights(fixed), np.where(known, probs, self.params.probs))


def log_sizes(probs: Array) -> Array:
    """|log|, and 0 where the probability is."""
    return np.abs(np.log(np.where(probs > 0, probs, 1.0)))


def log_factorial(n: Array) -> Array:
    """log n! of non-negative integers held as floats: exact table, then Stirling's series (DLMF 5.11.1).

    The first term left out is below 1 / (1260 n^5), 1e-15 at n = 256.
    """
    large = np.maximum(n, len(TABLE))
    series = (1 / 12 - 1 / (360 * large**2)) / large
    stirling = (large + 0.5) * np.log(large) - large + 0.5 * math.log(2 * math.pi) + series
    return np.where(n < len(TABLE), TABLE[np.minimum(n, len(TABLE) - 1).astype(np.intp)], stirling)
