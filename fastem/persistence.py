"""Read fitted mixtures and statistics from files."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from itertools import chain
from numbers import Integral, Real
from typing import Any

import numpy as np

from fastem._errstate import own
from fastem._storage import decode, read, undamaged
from fastem._typing import PathLike
from fastem.estimators import fitted_settings
from fastem.estimators.attributes import is_fitted_attribute, set_attributes
from fastem.estimators.base import MODEL, MODEL_LAYOUT, Mixture
from fastem.estimators.model import check_model, check_settings
from fastem.estimators.registry import estimators
from fastem.families.params import Params
from fastem.families.registry import stored_families
from fastem.families.stats import STATISTICS, STATISTICS_LAYOUT, Stats
from fastem.fitting.checkpoint import arrays_of
from fastem.fitting.result import Ascent, Collapse, History, Start
from fastem.validation.arrays import check_not
from fastem.validation.parameters import as_array, check_n_features_in, check_shape
from fastem.validation.settings import as_path

PLAIN: dict[str, type] = {
    "bool": bool, "int": Integral, "float": Real, "str": str, "dict": dict, "None": type(None), "Array": np.ndarray,
    "Stats": Stats,
}  # fmt: skip
"""Types of values whose parts are not looked at, by their names in annotations."""

ATTRIBUTES = {
    "n_features_in_": "int", "settings_": "dict", "starts_": "list[Start]", "n_iter_": "int", "n_sweeps_": "int",
    "converged_": "bool", "stop_reason_": "str", "cut_short_": "bool", "collapses_": "list[Collapse]",
    "counts_": "Array", "noise_count_": "float", "ascent_": "Ascent",
    "summary_": "str", "remaining_gain_": "float", "history_": "History",
    "log_posterior_": "float", "loglik_": "float", "entropy_": "float", "n_parameters_": "int", "aic_": "float",
    "bic_": "float", "icl_": "float", "lower_bounds_": "list[float]", "lower_bound_": "float",
    "empty_components_": "Array", "feature_names_in_": "Array", "stats_": "Stats | None",
    "n_empty_rows_": "int", "held_out_": "float", "neighbours_": "list[int]",
    "trials_names_in_": "Array", "failures_names_in_": "Array", "missing_words_": "Array",
}  # fmt: skip
"""Types of the attributes of a fit or of `select`, other than parameters, as annotations name them."""


@cache
def values() -> dict[str, type]:
    """Return classes by their names in files, of all families; version 0.1 called Gaussian mixtures normal."""
    families = stored_families()
    of_families = chain.from_iterable((each.params_type, each.stats_type, each.prior_type) for each in families)
    found: dict[str, type] = {value.__name__: value for value in (Ascent, Collapse, History, Start, *of_families)}
    return found | {f"Normal{ending}": found[f"Gaussian{ending}"] for ending in ("Prior", "Params", "Stats")}


@own
def load(path: PathLike) -> Mixture:
    """Read a fitted mixture from a file that its method `save` wrote.

    The file is checked before it is used: its kind and layout, its sizes, and that its parameters are those of a
    mixture.  No code from the file is run.

    Parameters
    ----------
    path : path
        A file that `save` of an estimator has written, of this version of fastem or an earlier one.

    Returns
    -------
    Estimator
        The mixture, with the settings and attributes that it was saved with.

    Raises
    ------
    ValueError
        If the file is damaged, or is not such a file.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import fastem, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "mixture.npz"
    >>> fastem.GaussianMixture(1).fit([[1.0], [3.0]]).save(path)
    >>> fastem.load(path).means_
    array([[2.]])
    """
    header, arrays = read(as_path(path, "path"), MODEL, MODEL_LAYOUT)
    with undamaged(path):
        return restore(estimators()[header["class"]], decode(header["attributes"], arrays, values()))


@own
def load_stats(path: PathLike) -> Stats[Any]:
    """Read statistics, and the parameters at which they were taken, from a file that their method `save` wrote.

    The file is checked before it is used: its kind and layout, its shapes, that the parameters are those of a mixture,
    and that all sums are finite.  No code from the file is run.

    Parameters
    ----------
    path : path
        A file that `save` of statistics has written.

    Returns
    -------
    Statistics
        The statistics, with the same bits.

    Raises
    ------
    ValueError
        If the file is damaged, or is not such a file.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import fastem, numpy as np, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "sums.npz"
    >>> params = fastem.GaussianParams(np.array([1.0]), np.zeros((1, 1)), np.ones((1, 1, 1)))
    >>> fastem.accumulate(params, [[1.0], [3.0]]).save(path)
    >>> fastem.load_stats(path).maximize().means
    array([[2.]])
    """
    header, arrays = read(as_path(path, "path"), STATISTICS, STATISTICS_LAYOUT)
    with undamaged(path):
        ((name, _),) = header["statistics"].items()
        if not issubclass(values()[name], Stats):
            raise ValueError(f"{name} is not a class of statistics")
        stats: Stats[Any] = decode(header["statistics"], arrays, values())
        stats.check()
        return stats


def restore(kind: type[Mixture], attributes: dict[str, Any]) -> Mixture:
    """Make an estimator with these settings and attributes; ValueError unless they are those of a fitted one.

    Its `checkpoint` is None, even if that of the saved estimator was a path: a further fit is not the one whose state
    that file keeps.
    """
    settings = {name: attributes.pop(name) for name in kind().get_params(deep=False) if name in attributes}
    mixture = kind(**settings | {"checkpoint": None})
    for name, value in attributes.items():
        if not is_fitted_attribute(name):
            raise ValueError(f"{name!r} is no attribute of a {kind.__name__}")
        if name in ATTRIBUTES and not is_of_kind(value, ATTRIBUTES[name]):
            raise ValueError(f"{name} must be of kind {ATTRIBUTES[name]}, got {value!r}")
        set_attributes(mixture, {name: value})
    params: Params = mixture.params_  # checked as a user's are
    for name, expected in mixture.attribute_map.write(params).items():
        if name in attributes:
            as_array(attributes[name], name, expected.shape)
    check_settings(mixture)
    check_model(mixture, params.n_features)
    check_attributes(mixture, params)
    fitted_settings.note(mixture, getattr(mixture, "settings_", None))  # files of version 0.1 have no settings_
    return mixture


def check_attributes(mixture: Mixture, params: Params) -> None:
    """Raise ValueError where an attribute does not fit the parameters."""
    k, d = len(params.weights), params.n_features
    check_n_features_in(getattr(mixture, "n_features_in_", d), d)
    if hasattr(mixture, "counts_"):
        check_not(lambda block: block < 0, as_array(mixture.counts_, "counts_", (k,)), "counts_ below 0")
    if hasattr(mixture, "empty_components_") and not np.isin(mixture.empty_components_, np.arange(k)).all():
        raise ValueError(f"empty_components_ must be of 0 to {k - 1}, got {mixture.empty_components_}")
    if hasattr(mixture, "feature_names_in_"):
        check_shape(mixture.feature_names_in_, "feature_names_in_", (d,))
    if hasattr(mixture, "history_"):
        check_history(mixture.history_, getattr(mixture, "n_iter_", len(mixture.history_)))
    if getattr(mixture, "stats_", None) is not None:
        check_stats(mixture.stats_, params)


def check_history(history: History, n_iter: int) -> None:
    """Raise ValueError unless a history has one entry per iteration."""
    lengths = {len(series) for series in (history.loglik, history.q, history.entropy, history.step or range(n_iter))}
    if lengths != {n_iter}:
        raise ValueError(f"history_ must have n_iter_ = {n_iter} entries, got {sorted(lengths)}")


def check_stats(stats: Stats[Params], params: Params) -> None:
    """Raise ValueError unless a partial fit can go on from these statistics."""
    stats.check()
    if type(stats.params) is not type(params) or shapes(stats.params) != shapes(params):
        raise ValueError(f"stats_ must be of parameters as these are, got {shapes(stats.params)}")


def shapes(params: Params) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters, by name."""
    return {name: array.shape for name, array in arrays_of(params).items()}


def is_of_kind(value: object, kind: str) -> bool:
    """Return whether a value, and all that is in it, is of the kind that an annotation names."""
    if " | " in kind:
        return any(is_of_kind(value, option) for option in kind.split(" | "))
    if kind.startswith("list["):
        return isinstance(value, list) and all(is_of_kind(item, kind[5:-1]) for item in value)
    if kind == "tuple[str, ...]":
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    if kind in PLAIN:
        return isinstance(value, PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool))
    if type(value).__name__ != kind or not is_dataclass(value):
        return False
    return hasattr(value, "check") or all(is_of_kind(getattr(value, f.name), str(f.type)) for f in fields(value))
