"""Estimators with parameters that a user gives, in the place of a fit."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import fields
from typing import Any, Self

import numpy as np

from fastem._errstate import own
from fastem.estimators.attributes import set_params
from fastem.estimators.model import check_model, check_settings
from fastem.estimators.state import MixtureState
from fastem.families.params import Params
from fastem.validation.settings import check_kind, check_told


class GivenParams(MixtureState):
    """What makes a mixture of parameters."""

    @classmethod
    @own
    def from_params(cls, params: Any, **settings: Any) -> Self:
        """Return a mixture with these parameters, as if they had been fitted.

        It predicts, samples, scores and is saved; with ``warm_start=True`` a fit begins at them.

        Parameters
        ----------
        params : GaussianParams, BinomialParams, PoissonParams
            Parameters of the family of the estimator; they are copied.
        **settings : settings of the estimator
            Those that the parameters tell, such as n_components, can be left out.

        Returns
        -------
        estimator
            With the attributes of the parameters, and none of those that tell how a fit went.

        Raises
        ------
        ValueError, TypeError
            Where the parameters are not those of a mixture, or settings are others than theirs.

        Examples
        --------
        >>> import numpy as np, fastem
        >>> params = fastem.PoissonParams(np.array([0.5, 0.5]), np.array([[1.0], [9.0]]))
        >>> fastem.PoissonMixture.from_params(params, random_state=0).predict([0, 8])
        array([0, 1])
        """
        check_kind(params, "params", cls().family.params_type)
        params.check()
        told = settings_told_by(params, cls)
        for name in told.keys() & settings.keys():
            check_told(settings[name], name, told[name])
        mixture = cls(**settings | told)
        check_settings(mixture)
        check_model(mixture, params.n_features)
        set_params(mixture, deepcopy(params), np.float64)
        mixture.n_features_in_ = params.n_features
        return mixture


def settings_told_by(params: Params, kind: type[MixtureState]) -> dict[str, object]:
    """Return the settings of an estimator that parameters tell: their number, and fields of the same name."""
    shared = {each.name for each in fields(params)} & {each.name for each in fields(kind)}
    return {"n_components": len(params.weights)} | {name: getattr(params, name) for name in sorted(shared)}
