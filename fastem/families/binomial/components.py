"""The extents of components of counts, and two halves of one."""

from __future__ import annotations

import numpy as np

from fastem._typing import Array
from fastem.families.binomial.model import BinomialParams
from fastem.families.weights import APART


def binomial_extents(params: BinomialParams) -> Array:
    """A probability of 0 or 1 is no fault: components of counts collapse by losing their rows alone."""
    return np.full(len(params.weights), np.inf)


def split_binomial(params: BinomialParams, donor: int, place: int) -> BinomialParams:
    """The donor as two, a little to both sides of its probabilities; one is in the place of another component."""
    weights, probs = params.weights.copy(), params.probs.copy()
    step = APART * probs[donor] * (1 - probs[donor])
    weights[[donor, place]] = weights[[donor, place]].mean()
    probs[[donor, place]] = probs[donor] - step, probs[donor] + step
    return BinomialParams(weights, probs)
