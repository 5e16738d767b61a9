"""What an estimator of a mixture is to the functions that fit it and read it: settings, attributes, a family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fastem._typing import Array
from fastem.estimators.settings import MixtureSettings
from fastem.families.base import Family
from fastem.families.params import Params
from fastem.families.stats import Stats
from fastem.fitting.result import Ascent, Collapse, Fit, History, Start

Attributes = Mapping[str, np.ndarray]
"""Arrays by the names of attributes, with the underscore behind."""


@dataclass(frozen=True)
class AttributeMap:
    """How the attributes of an estimator and the parameters of its family are made of each other."""

    read_from: tuple[str, ...]  # the attributes that the parameters are read from
    write: Callable[[Any], dict[str, Array]]  # params -> attributes
    read: Callable[[Attributes, set[str], Any], Any]  # attributes, those that a user has changed, family -> params
    # arrays that nobody may write: they are large, and what is made of them is kept
    read_only: frozenset[str] = frozenset()
    # of each tuple one attribute at least has to be there; () stands for all of read_from
    needed: tuple[tuple[str, ...], ...] = ()
    # sets the attributes by which a fit is judged; None for those of a maximum of a likelihood
    set_criteria: Callable[[Any, Fit[Any, Any]], None] | None = None


class MixtureState(MixtureSettings):
    """The settings of a mixture and, once it is fitted, its attributes."""

    attribute_map: ClassVar[AttributeMap]
    """How the attributes and the parameters of the family are made of each other."""

    if TYPE_CHECKING:  # the attributes of a fit, which are no fields of the settings
        weights_: np.ndarray
        n_features_in_: int
        settings_: dict[str, object]
        stats_: Stats[Any]  # of partial fits
        starts_: list[Start]
        n_iter_: int
        n_sweeps_: int
        converged_: bool
        stop_reason_: str
        cut_short_: bool
        collapses_: list[Collapse]
        counts_: Array
        noise_count_: float  # where there is a background
        ascent_: Ascent
        summary_: str
        remaining_gain_: float
        history_: History
        log_posterior_: float
        loglik_: float
        entropy_: float
        n_parameters_: int
        aic_: float
        bic_: float
        icl_: float
        lower_bounds_: list[float]
        lower_bound_: float
        empty_components_: np.ndarray
        n_empty_rows_: int
        get_params: Callable[..., dict[str, Any]]  # of scikit-learn's base class
        # those that `select` adds
        suspect_: list[int]  # components that are thinner than their rows prove
        doubtful_: float  # the part of loglik_ that these owe to it
        held_out_: float  # -2 log likelihood of rows that were held out
        neighbours_: list[int]  # sizes of the mixtures that were split or merged for a start, its own among them

    @property
    def family(self) -> Family[Any, Any]:
        """The family of the components, with the settings of its model."""
        raise NotImplementedError

    @property
    def params_(self) -> Any:
        """The fitted parameters as a value of the building blocks."""
        raise NotImplementedError

    def keep_params(self, params: Params) -> None:
        """Keep parameters that have been made of the attributes as they are."""
        raise NotImplementedError

    def count_parameters(self) -> int:
        """Count the parameters that were free in the fit."""
        raise NotImplementedError
