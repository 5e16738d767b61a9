"""``fastem doctor``: show the settings in effect, and check the kernels."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Iterator

import numpy as np

from fastem.cli.streams import FAULT, SUCCESS, write_result
from fastem.config import show_config
from fastem.data.open import accumulate
from fastem.families.gaussian.model import GaussianParams, GaussianStats
from fastem.fitting.driver import em

TOLERANCE = 1e-12
"""Some rounding errors of 101, the largest number that is compared."""


def doctor(args: argparse.Namespace) -> int:
    """Write the settings, and a sentence for each fault."""
    try:
        config = show_config()
        write_result(str(config))
        complaints = [*examine(config.twins)]
    except (ImportError, ValueError) as error:
        complaints = [str(error)]
    for complaint in complaints or ["All is well."]:
        write_result(complaint)
    return FAULT if complaints else SUCCESS


def examine(twins: Iterable[str]) -> Iterator[str]:
    """Return a sentence for each fault."""
    for twin in twins:
        error = error_of_a_fit(twin)
        if not error <= TOLERANCE:  # or NaN
            yield f"backend={twin!r}: a fit differs from its closed form by {error:.3g}; the build is broken."
    if not subnormals_live():
        yield "Subnormal numbers are flushed to zero: a module of this process has changed its arithmetic."


def error_of_a_fit(twin: str) -> float:
    """Return the largest error of a fit to two pairs of points that are far apart.

    Each component must end at the mean and variance of its pair, with half of the weight.
    """
    X = np.array([[0.0], [2.0], [100.0], [102.0]])
    start = GaussianParams(np.full(2, 0.5), np.array([[-1.0], [103.0]]), np.ones((2, 1, 1)))

    def sweep(params: GaussianParams) -> GaussianStats:
        return accumulate(params, X, backend=twin)

    def maximize(stats: GaussianStats) -> GaussianParams:
        return stats.maximize(reg_covar=0.0)

    fit = em(sweep, maximize, start)
    values = [*fit.params.weights, *fit.params.means.flat, *fit.params.covariances.flat, fit.loglik]
    loglik = -4 * (math.log(2) + math.log(2 * math.pi) / 2 + 1 / 2)
    return float(np.abs(np.subtract(values, [0.5, 0.5, 1.0, 101.0, 1.0, 1.0, loglik])).max())


def subnormals_live() -> bool:
    """Return whether subnormal numbers are not 0; a library that is linked with fast-math turns them off on loading."""
    return sys.float_info.min / 2 > 0
