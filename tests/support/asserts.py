"""Laws that several tests assert."""

from itertools import pairwise

import numpy as np


def same_fit(found, expected):
    """The same bits of everything a fit tells."""
    for name, value in vars(expected).items():
        if name.endswith("_") and isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)
        elif name.endswith("_") and name != "history_":
            assert repr(getattr(found, name)) == repr(value), name  # NaN is not equal to itself
    for name in ("loglik", "q", "entropy", "step"):
        np.testing.assert_array_equal(getattr(found.history_, name), getattr(expected.history_, name))


def assert_no_fall_but_rounding(trace):
    for before, after in pairwise(trace):
        assert before.loglik - after.loglik <= before.rounding + after.rounding


def assert_shares(resp, atol):
    """Of probabilities: in [0, 1] and of sum 1."""
    assert ((resp >= 0) & (resp <= 1 + atol)).all()
    np.testing.assert_allclose(resp.sum(axis=-1), 1.0, atol=atol)
