"""The settings that every estimator has, beyond those of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastem._typing import RandomState
from fastem.fitting.settings import FitSettings, anything, at_least, one_of, optional, setting
from fastem.kernels.twins import BACKENDS
from fastem.validation.missing import MISSING
from fastem.validation.settings import check_bool, check_random_state


@dataclass(eq=False, repr=False)
class MixtureSettings(FitSettings):
    """What a mixture is made of, where a fit begins, and what runs it."""

    n_components: int = setting(1, "int", "Number of components k.", at_least(1), keyword_only=False)
    init_params: str = setting("", "str", "How a start is found.", anything)
    order_by: str | None = setting(
        None,
        "None or a name of parameters",
        """Number the components by this, ascending (by the first column, then the second).""",
        anything,
    )
    random_state: RandomState = setting(
        None,
        "int, Generator, RandomState, SeedSequence, BitGenerator, numpy.random or None",
        """Seed of the random numbers that starts and `sample` draw; an int makes them repeatable.  None and
        numpy.random draw a seed from NumPy's global state, which np.random.seed sets.""",
        lambda value, name: check_random_state(value),
        alters_fit=False,  # a checkpoint compares it itself
    )
    warm_start: bool = setting(False, "bool", "Start from the result of the last call of fit.", check_bool)
    backend: str = setting(
        "auto",
        "{" + ", ".join(f'"{name}"' for name in BACKENDS) + "}",
        'Compiled kernels to use; "auto" takes those that were compiled ahead of time.',
        one_of(BACKENDS),
    )
    n_threads: int | None = setting(
        None,
        "int",
        """Threads; None takes FASTEM_NUM_THREADS, OMP_NUM_THREADS or the cores (or the CPU quota) of this process.  The
        result has the same bits for any number.""",
        optional(at_least(1)),
        alters_fit=False,
    )

    missing = "raise"
    """What is done with missing values: a setting of the estimators that can do another thing."""


def missing_setting() -> Any:
    """Declare the setting of an estimator that takes rows of which values are missing."""
    return setting(
        "raise",
        '{"raise", "marginalize"}',
        """What to do with missing values of X: NaN, and what pandas, Arrow and masked arrays have for them.  "raise" is
        an error.  "marginalize" integrates them out, exactly: each row counts with the density of what it has, in the
        fit, in scores and in predictions.  That is right where a value is missing at random given what is observed.  A
        row without any value has weight 0, and a fit needs some of every column.""",
        one_of(MISSING),
    )


AUTO = "auto"
"""The choice is left to the estimator."""
