"""The results of `fit_many`, whatever the family: arrays over the groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

import numpy as np

from fastem._public import public
from fastem._typing import Array, ArrayLike
from fastem.families.params import Params

FAR_OUT = -1e300
"""Log density of a row out of reach of a component, as the kernels have it: of such components the first is taken."""


@public
class FitStatus(IntEnum):
    """What became of a group.  Up to MAX_ITER it has been fitted; above, its results are NaN."""

    CONVERGED = 0
    MAX_ITER = 1
    NO_ROWS = 2  # of positive weight
    FEW_ROWS = 3  # of positive weight, fewer than components
    NOT_FINITE = 4  # NaN or infinite, or so large that a sum of squares overflows
    NOT_COUNTS = 5  # negative, not whole, above 2^53, or more successes than trials


ManyRows = tuple[tuple[np.ndarray, ...], tuple[float | Array, ...]]
"""The rows of all groups, each (n,), and what else a kernel is given."""


@public
@dataclass(frozen=True, eq=False)
class ManyFits:
    """The mixtures of m groups, components in the order of their means, probs or rates.  NaN where there is no fit."""

    offsets: np.ndarray  # (m + 1,) as given
    weights: Array  #       (m, k)  mixing weights
    loglik: Array  #        (m,)    total log likelihood, at these parameters
    n_iter: np.ndarray  #   (m,)    int32; 0 where there is no fit
    status: np.ndarray  #   (m,)    int8, a FitStatus
    total: Array  #         (m,)    weight of the rows

    kernel: ClassVar[str]
    parameter_names: ClassVar[tuple[str, ...]]
    """The parameters of a component, besides its weight; components are in the order of the first."""
    ranges: ClassVar[dict[str, tuple[float, float]]]
    """The least and the largest value of a start, by the name of the parameter."""

    @staticmethod
    def read(values: ArrayLike, trials: ArrayLike | None, added: tuple[float, float]) -> ManyRows:
        """Return the rows of all groups, and what else the kernel is given.

        added: what is added to variances, and what share of those of a group.
        """
        raise NotImplementedError

    def params(self, group: int) -> Params:
        """Return the mixture of one group, for `posterior` and the other building blocks."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.status)

    @property
    def fitted(self) -> np.ndarray:
        """Whether each group (m,) has parameters."""
        return np.asarray(self.status <= FitStatus.MAX_ITER)

    @property
    def converged(self) -> np.ndarray:
        """Whether the fit of each group (m,) met `tol`."""
        return np.asarray(self.status == FitStatus.CONVERGED)

    @property
    def n_parameters(self) -> int:
        """The number of free parameters of each mixture."""
        return self.weights.shape[1] * (1 + len(self.parameter_names)) - 1

    @property
    def aic(self) -> Array:
        """Akaike's criterion (m,) of each group: the lower the better."""
        return 2 * self.n_parameters - 2 * self.loglik

    @property
    def bic(self) -> Array:
        """Schwarz's criterion (m,) of each group: the lower the better."""
        return self.n_parameters * np.log(np.where(self.fitted, self.total, np.nan)) - 2 * self.loglik

    def _labels(self, log_density: Callable[[int, np.ndarray], Array]) -> np.ndarray:
        """Return the most probable component of each row (n,); -1 where there is none.

        log_density(c, group) is the log density (n,), base 2, of each row under component c of its group.
        """
        group = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        labels, highest = np.full(len(group), -1, np.int32), np.full(len(group), -np.inf)
        with np.errstate(all="ignore"):  # weight 0, groups without a fit, rows out of reach
            for c in range(self.weights.shape[1]):
                found = np.maximum(np.log2(self.weights[group, c]) + log_density(c, group), FAR_OUT)
                labels[found > highest] = c
                highest = np.fmax(highest, found)
        return labels
