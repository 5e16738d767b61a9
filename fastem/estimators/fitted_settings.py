"""What a fit remembers of its settings: those that its results cannot be read without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

import numpy as np

from fastem.estimators.state import MixtureState
from fastem.validation.settings import raise_changed_setting

READ_WITH = {
    "parameters": ("covariance_type", "weight_concentration_prior_type", "noise"),
    "going on": ("n_components",),
    "free parameters": ("fixed",),
    "standard errors": ("fixed", "prior"),
}
"""What is done with a fit, and the settings that have to be those of the fit for it: ValueError where they are others.

covariance_type says what the axes of `covariances_` are, and noise what the density of a background is; parameters are
read with them by predictions, samples, criteria, `diagnose`, `standard_errors`, `save` and fits that go on.  A fit that
goes on (warm_start, partial_fit) has as many components as the one before.  What was fixed is not counted by aic and
bic, and has no standard error.

All other settings say how a fit is made, or how rows are read: changed after a fit they change nothing that it has
found, and the next fit begins with them.
"""

SETTINGS = tuple(dict.fromkeys(name for names in READ_WITH.values() for name in names))


def note(mixture: MixtureState, settings: dict[str, object] | None = None) -> None:
    """Remember with which settings the parameters have been found; None stands for the present ones."""
    now = {name: plain(getattr(mixture, name)) for name in SETTINGS if hasattr(mixture, name)}
    mixture.settings_ = now if settings is None else settings


def require(mixture: object, use: str) -> None:
    """Raise ValueError where a setting that this use depends on is not what it was in the fit.

    Parameters that a user has put together himself remember nothing: they are what the settings say.
    """
    then = getattr(mixture, "settings_", {})
    for name in READ_WITH[use]:
        if name in then and (now := plain(getattr(mixture, name))) != then[name]:
            raise_changed_setting(name, then[name], now)


def plain(value: object) -> object:
    """Copy a setting to values of Python, which can be compared and kept in a file; () for an empty one."""
    if type(value) in (str, int, float, type(None)):
        return value
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()} or ()
    if isinstance(value, (tuple, list, set, frozenset)) and all(isinstance(each, str) for each in value):
        return sorted(value) or ()
    return np.asarray(value).tolist()
