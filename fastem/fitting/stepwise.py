"""EM for rows that come once: the sums of each batch are mixed into those of the batches before."""

from __future__ import annotations

from fastem.families.base import S

FORGETTING = 0.7
"""The rate at which a batch is mixed in, as a power of its share in all rows so far.  With 1 all rows count alike, also
those summed at early parameters; with 1/2 late batches bring their noise.  Chosen by bench/stepwise.py."""


def step(seen: S, batch: S) -> S:
    """Return the sums of all rows so far, those seen before having been summed at older parameters.

    Stepwise EM of Cappe and Moulines (2009): s <- (1 - rate) s + rate s_batch, of sums per row.
    """
    total = seen.total + batch.total
    rate = (batch.total / total) ** FORGETTING
    mixed: S = seen.about(batch.params) * ((1 - rate) * total / seen.total) + batch * (rate * total / batch.total)
    return mixed
