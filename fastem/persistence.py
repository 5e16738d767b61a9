"""Fitted mixtures, and statistics, from disk."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from fastem._errstate import own
from fastem._storage import decode, read, undamaged
from fastem.estimators import fitted_settings
from fastem.estimators.attributes import is_fitted_attribute, set_attributes
from fastem.estimators.base import MODEL, MODEL_LAYOUT, Mixture
from fastem.estimators.model import check_model, check_settings
from fastem.estimators.registry import estimators
from fastem.families.registry import NAMES, family_type
from fastem.families.stats import STATISTICS, STATISTICS_LAYOUT, Stats
from fastem.fitting.checkpoint import arrays_of
from fastem.fitting.result import Ascent, Collapse, History, Start
from fastem.validation.arrays import check_not
from fastem.validation.parameters import as_array, check_n_features_in, check_shape
from fastem.validation.settings import as_path

PLAIN: dict[str, Any] = {
    "bool": bool, "int": Integral, "float": Real, "str": str, "dict": dict, "None": type(None), "Array": np.ndarray
}  # fmt: skip
"""Kinds of values, as annotations name them."""

FAMILIES = [family_type(name) for name in NAMES]
STATS_OR_NONE = " | ".join([*(family.stats_type.__name__ for family in FAMILIES), "None"])
ATTRIBUTES = {
    "n_features_in_": "int", "settings_": "dict", "starts_": "list[Start]", "n_iter_": "int", "n_sweeps_": "int",
    "converged_": "bool", "stop_reason_": "str", "cut_short_": "bool", "collapses_": "list[Collapse]",
    "counts_": "Array", "ascent_": "Ascent", "summary_": "str", "remaining_gain_": "float", "history_": "History",
    "log_posterior_": "float", "loglik_": "float", "entropy_": "float", "n_parameters_": "int", "aic_": "float",
    "bic_": "float", "icl_": "float", "lower_bounds_": "list[float]", "lower_bound_": "float",
    "empty_components_": "Array", "feature_names_in_": "Array", "stats_": STATS_OR_NONE,
    "held_out_": "float", "neighbours_": "list[int]",
}  # fmt: skip
"""What a fit, or `select`, tells beside the parameters, and of what kind it is."""

ESTIMATORS = estimators()
OF_FAMILIES: dict[str, type] = {
    each.__name__: each for family in FAMILIES for each in (family.params_type, family.stats_type, family.prior_type)
}
VALUES: dict[str, type] = {each.__name__: each for each in (Ascent, Collapse, History, Start)} | OF_FAMILIES
VALUES |= {f"Normal{kind}": VALUES[f"Gaussian{kind}"] for kind in ("Prior", "Params", "Stats")}
"""Classes by the names that they have in files; those of version 0.1 called Gaussian mixtures normal."""


@own
def load(path: Any) -> Any:
    """Read a fitted mixture that `save` has written.

    The file is checked before anything is made of it: its kind and layout, sizes, and that its parameters are those of
    a mixture.  No code of the file is run.

    Parameters
    ----------
    path : path
        A file of `GaussianMixture.save` or `BinomialMixture.save`, of this version of fastem or an earlier one.

    Returns
    -------
    GaussianMixture or BinomialMixture
        With the settings and attributes that it was saved with.

    Raises
    ------
    ValueError
        If the file is damaged, or no such file.
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
        return restored(ESTIMATORS[header["class"]], decode(header["attributes"], arrays, VALUES))


SUMS = {name: kind for name, kind in VALUES.items() if issubclass(kind, Stats)}


@own
def load_stats(path: Any) -> Any:
    """Read statistics that their `save` has written, with the parameters that they were taken at.

    The file is checked before anything is made of it: its kind and layout, shapes, that the parameters are those of a
    mixture and that all sums are finite.  No code of the file is run.

    Parameters
    ----------
    path : path
        A file of `GaussianStats.save` or `BinomialStats.save`.

    Returns
    -------
    GaussianStats or BinomialStats
        With the same bits.

    Raises
    ------
    ValueError
        If the file is damaged, or no such file.
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
        ((kind, _),) = header["statistics"].items()
        stats = decode(header["statistics"], arrays, VALUES | {kind: SUMS[kind]})
        stats.check()
        return stats


def restored(kind: type[Mixture], attributes: dict[str, Any]) -> Mixture:
    """An estimator with these settings and attributes; ValueError where they are not those of a fitted one.

    The file says where a fit was kept, if it was: a fit of this model is another one, on another machine maybe, and its
    `checkpoint` is None.
    """
    settings = {name: attributes.pop(name) for name in kind().get_params(deep=False) if name in attributes}
    mixture = kind(**settings | {"checkpoint": None})
    for name, value in attributes.items():
        if not is_fitted_attribute(name):
            raise ValueError(f"{name!r} is no attribute of a {kind.__name__}")
        if name in ATTRIBUTES and not is_a(value, ATTRIBUTES[name]):
            raise ValueError(f"{name} must be of kind {ATTRIBUTES[name]}, got {value!r}")
        set_attributes(mixture, {name: value})
    params = mixture.params_  # checked, as a user's
    found = mixture.attribute_map.write(params)
    for name in found.keys() & attributes.keys():
        as_array(attributes[name], name, found[name].shape)
    check_settings(mixture)
    check_model(mixture, params.n_features)
    check_attributes(attributes, params)
    fitted_settings.note(mixture, attributes.get("settings_"))  # none in files of version 0.1
    return mixture


def check_attributes(attributes: dict[str, Any], params: Any) -> None:
    """ValueError where one does not go with these parameters."""
    k, d = len(params.weights), params.n_features
    check_n_features_in(attributes.get("n_features_in_", d), d)
    if "counts_" in attributes:
        check_not(lambda block: block < 0, as_array(attributes["counts_"], "counts_", (k,)), "counts_ below 0")
    if "empty_components_" in attributes and not np.isin(attributes["empty_components_"], np.arange(k)).all():
        raise ValueError(f"empty_components_ must be of 0 to {k - 1}, got {attributes['empty_components_']}")
    if "feature_names_in_" in attributes:
        check_shape(attributes["feature_names_in_"], "feature_names_in_", (d,))
    if "history_" in attributes:
        check_history(attributes["history_"], attributes.get("n_iter_", len(attributes["history_"])))
    if attributes.get("stats_") is not None:
        check_stats(attributes["stats_"], params)


def check_history(history: History, n_iter: int) -> None:
    lengths = {len(each) for each in (history.loglik, history.q, history.entropy, history.step or range(n_iter))}
    if lengths != {n_iter}:
        raise ValueError(f"history_ must have n_iter_ = {n_iter} entries, got {sorted(lengths)}")


def check_stats(stats: Any, params: Any) -> None:
    """Sums that a partial fit can go on from."""
    stats.check()
    if type(stats.params) is not type(params) or shapes(stats.params) != shapes(params):
        raise ValueError(f"stats_ must be of parameters as these are, got {shapes(stats.params)}")


def shapes(params: Any) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays_of(params).items()}


def is_a(value: Any, kind: str) -> bool:
    """Is a value of the kind that an annotation names, and all that is in it?"""
    if " | " in kind:
        return any(is_a(value, each) for each in kind.split(" | "))
    if kind.startswith("list["):
        return isinstance(value, list) and all(is_a(each, kind[5:-1]) for each in value)
    if kind == "tuple[str, ...]":
        return isinstance(value, tuple) and all(isinstance(each, str) for each in value)
    if kind in PLAIN:
        return isinstance(value, PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool))
    if type(value).__name__ != kind or not is_dataclass(value):
        return False
    return hasattr(value, "check") or all(is_a(getattr(value, each.name), str(each.type)) for each in fields(value))
