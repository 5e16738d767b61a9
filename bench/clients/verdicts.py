"""How the answer of a client on fastem compares with that on scikit-learn."""

from typing import NamedTuple

import numpy as np

CLOSE = 1e-6
"""Of scores, relative to the largest: iterations of equal starts differ by rounding, of others by the stop rule."""
SLACK = 5e-3
"""Of a mean log likelihood: what scikit-learn's own fits differ by where max_iter ends them, from seed to seed."""


class Answer(NamedTuple):
    labels: np.ndarray | None  # (n,) whatever numbers components have
    scores: np.ndarray
    likelihood: float | None = None  # a mean log likelihood or its bound: the higher the better


def verdict(ours: Answer, theirs: Answer) -> str:
    """Say the strongest of what is equal; AssertionError where nothing is and the likelihood is lower."""
    gap = distance(ours.scores, theirs.scores)
    share = agreement(ours.labels, theirs.labels)
    if gap <= CLOSE and share in (None, 1.0):
        return "scores" if share is None else "labels and scores"
    gain = None if ours.likelihood is None else ours.likelihood - theirs.likelihood
    parts = [] if share is None else [f"labels {100 * share:.4g} %"]
    parts += [f"scores to {gap:.0e}"]
    if gain is not None:
        parts += [f"likelihood {gain:+.1g}" if abs(gain) > SLACK else "as likely"]
    worse = gain is not None and gain < -SLACK
    if worse or (gain is None and (share or 1.0) < 0.999):
        raise AssertionError(f"another answer: {', '.join(parts)}")
    return ", ".join(parts)


def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference, relative to the largest score."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def agreement(ours: np.ndarray | None, theirs: np.ndarray | None) -> float | None:
    """Return the share of the rows whose labels are the same, up to the names of the components."""
    if ours is None or theirs is None:
        return None
    first, second = (np.unique(labels, return_inverse=True)[1] for labels in (ours, theirs))
    table = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(table, (first, second), 1)
    return float(table.max(axis=1).sum() / len(first))
