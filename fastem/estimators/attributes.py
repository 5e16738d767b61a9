"""The attributes of a fitted estimator: those of its parameters, and what a fit tells of itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastem.estimators import fitted_settings
from fastem.estimators.sklearn_compat import ConvergenceWarning, NotFittedError
from fastem.estimators.state import Attributes, MixtureState
from fastem.exceptions import CollapsedComponentWarning, EmptyComponentWarning, EqualComponentWarning, warn
from fastem.families.base import P, S
from fastem.families.params import Params
from fastem.families.stats import Stats
from fastem.fitting.checkpoint import arrays_of
from fastem.fitting.collapse import renumbered
from fastem.fitting.result import Fit, still_to_go
from fastem.validation.parameters import float_type_for


@dataclass(frozen=True)
class MadeOf:
    """A value, and the arrays that it was made of.

    Arrays that nobody can write are known again by their identity, at no cost.  Of others there is a copy, and they are
    compared element by element: a change in place is seen.
    """

    value: Params
    copies: Attributes

    @classmethod
    def of(cls, value: Params, arrays: Attributes) -> MadeOf:
        """Keep a value with the arrays as they are now."""
        return cls(value, snapshot(arrays))

    def changed(self, now: Attributes) -> set[str]:
        """Return the names of the arrays that are others now."""
        return {name for name in self.copies.keys() | now.keys() if not same(self.copies.get(name), now.get(name))}


def same(before: np.ndarray | None, now: np.ndarray | None) -> bool:
    """Return whether two arrays are one that is constant, or equal."""
    if before is None or now is None:
        return before is now
    return (now is before and is_constant(now)) or np.array_equal(now, before)


def snapshot(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays that nobody can write, as they are, and copies of others."""
    return {name: array if is_constant(array) else np.array(array) for name, array in arrays.items()}


def is_constant(array: object) -> bool:
    """Return whether neither an array nor what it is a view of can be written."""
    while isinstance(array, np.ndarray) and not array.flags.writeable:
        array = array.base
    return array is None


def as_constant(array: np.ndarray) -> np.ndarray:
    """Return the array, which owns its values, or a copy of what does not; read-only from now on."""
    array = array if array.base is None else array.copy()
    array.flags.writeable = False
    return array


def check_complete(mixture: MixtureState) -> None:
    """Raise NotFittedError where a user has set some of the attributes of the parameters, and others are missing."""
    found, made = vars(mixture), mixture.attribute_map
    for names in made.needed or tuple((name,) for name in made.read_from):
        if not found.keys() & set(names):
            raise NotFittedError(
                f"This {type(mixture).__name__} instance has weights_ and no {' or '.join(names)}: call 'fit', or set "
                "all attributes that the parameters consist of"
            )


def is_fitted_attribute(name: str) -> bool:
    """Return whether a name is one of a result, by the custom of scikit-learn."""
    return name.endswith("_") and not name.startswith("_")


def set_attributes(mixture: MixtureState, attributes: Attributes) -> None:
    """Set attributes of parameters; some are read-only arrays, and a single number is a float."""
    for name, value in attributes.items():
        setattr(mixture, name, as_constant(value) if name in mixture.attribute_map.read_only else plain(value))


def plain(value: object) -> object:
    """Return an array as it is, and a single number as a float."""
    return float(value) if isinstance(value, (np.number, np.ndarray)) and np.ndim(value) == 0 else value


def set_params(mixture: MixtureState, params: Params, dtype: type[np.floating]) -> None:
    """Set the attributes of these parameters: in `dtype` where it can hold them, else in float64."""
    attributes = mixture.attribute_map.write(params)
    for name in set(mixture.attribute_map.read_from) - attributes.keys():  # of a fit with other settings
        vars(mixture).pop(name, None)
    dtype = float_type_for(dtype, arrays_of(params).values(), attributes.values())
    read_only = mixture.attribute_map.read_only
    set_attributes(mixture, {name: each.astype(dtype, copy=name not in read_only) for name, each in attributes.items()})
    fitted_settings.note(mixture)
    if dtype is np.float64:
        mixture.keep_params(params)
    else:
        vars(mixture).pop("_made", None)
        mixture.params_  # noqa: B018 - made once, now


def set_fit(mixture: MixtureState, fit: Fit[P, S], dtype: type[np.floating]) -> None:
    """Set every attribute of a fit that has succeeded; parameters in the precision of the rows."""
    params, live, counts, total = fit.params, fit.stats.live, fit.stats.row_counts, fit.stats.total
    collapses = list(fit.collapses)
    if mixture.order_by:
        order = params.order(mixture.order_by)
        params, live, counts = params.select(order), live[order], counts[order]
        collapses = [renumbered(each, order) if each.action == "floor" else each for each in collapses]
    mixture.__dict__.pop("stats_", None)  # of partial fits before
    set_params(mixture, params, dtype)
    mixture.starts_ = list(fit.starts)
    mixture.n_iter_ = fit.n_iter
    mixture.n_sweeps_ = fit.n_sweeps
    mixture.converged_ = fit.converged
    mixture.stop_reason_ = fit.stop_reason
    mixture.cut_short_ = fit.cut_short
    mixture.collapses_ = collapses
    mixture.counts_ = counts
    set_noise_count(mixture, fit.stats)
    mixture.ascent_ = fit.ascent
    mixture.summary_ = fit.summary
    mixture.remaining_gain_ = fit.remaining_gain / total
    mixture.history_ = fit.history
    mixture.entropy_ = fit.stats.entropy
    mixture.empty_components_ = np.flatnonzero(~live)
    (mixture.attribute_map.set_criteria or set_likelihood)(mixture, fit)
    warn_of(mixture, fit, np.flatnonzero(params.equal_to_earlier() & live))


def set_noise_count(mixture: MixtureState, stats: Stats[Any]) -> None:
    """Set the weight of the rows of a background, if there is one."""
    vars(mixture).pop("noise_count_", None)
    for count in stats.all_counts[len(stats.row_counts) :].tolist():
        mixture.noise_count_ = count


def feature_names(mixture: MixtureState) -> list[str]:
    """Return the names of the features: x0, x1, ... if the fit had none."""
    return list(getattr(mixture, "feature_names_in_", [f"x{i}" for i in range(mixture.params_.n_features)]))


def total_weight(mixture: MixtureState) -> float:
    """Return the weight of the rows of a fit, those of a background included."""
    return float(mixture.counts_.sum()) + getattr(mixture, "noise_count_", 0.0)


def set_likelihood(mixture: MixtureState, fit: Fit[P, S]) -> None:
    """Set the attributes of a fit that is a maximum of a likelihood, or the mode of a posterior."""
    total = fit.stats.total
    mixture.log_posterior_ = fit.loglik
    mixture.loglik_ = fit.loglik - (mixture.prior.stats(fit.params).loglik if mixture.prior is not None else 0.0)
    mixture.n_parameters_ = mixture.count_parameters()
    mixture.aic_ = 2 * mixture.n_parameters_ - 2 * mixture.loglik_
    mixture.bic_ = math.log(total) * mixture.n_parameters_ - 2 * mixture.loglik_
    mixture.icl_ = mixture.bic_ + 2 * mixture.entropy_
    mixture.lower_bounds_ = (fit.history.loglik / total).tolist()
    mixture.lower_bound_ = mixture.lower_bounds_[-1] if fit.n_iter else -math.inf


def warn_of(mixture: MixtureState, fit: Fit[P, S], equal: np.ndarray) -> None:
    """Warn of a fit that has not reached its maximum, and of components that are of no use."""
    if fit.cut_short:
        warn(f"The fit was cut short in its start {len(fit.starts)}; the best one: {fit.summary}.", ConvergenceWarning)
    elif not fit.converged and mixture.max_iter > 0:
        warn(
            "Best performing initialization did not converge. Try different init parameters, or increase "
            f"max_iter, tol, or check for degenerate data. Mean {fit.criterion}: "
            f"{still_to_go(mixture.remaining_gain_)}.",
            ConvergenceWarning,
        )
    if mixture.family.may_be_empty:
        return
    if len(mixture.empty_components_):
        warn(
            f"components {mixture.empty_components_.tolist()} lost all their points and "
            + ("have what the prior gives them" if mixture.prior else "keep their last parameters at weight 0")
            + "; fewer components would do",
            EmptyComponentWarning,
        )
    if len(equal):
        warn(
            f"components {equal.tolist()} equal others before them. EM never separates equal components, although a "
            "mixture of different ones may be far more likely: use another start or fewer components",
            EqualComponentWarning,
        )
    warn_of_collapsed(mixture)


def warn_of_collapsed(mixture: MixtureState) -> None:
    """Warn of the components of a fit that have rows, and no extent of their own."""
    collapsed = {each.component for each in mixture.collapses_ if each.action == "floor"}
    if found := sorted(collapsed - {*mixture.empty_components_.tolist()}):
        warn(
            f"components {found} collapsed onto few rows, or onto rows that are equal in some direction: the floor of "
            "their variances, not the rows, decides the likelihood and its criteria. Fewer components or a simpler "
            "covariance_type would do",
            CollapsedComponentWarning,
        )
