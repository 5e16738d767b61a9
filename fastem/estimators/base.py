"""What the estimators share: settings become a fit, a fit becomes attributes, and predictions are read from these."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, cast

import numpy as np

from fastem._errstate import own_methods
from fastem._storage import encode, write
from fastem._typing import ArrayLike, PathLike
from fastem.data.chunk_source import Chunkable
from fastem.data.dask_predict import DaskArray, having_values, is_dask, lazy_posterior, mean_of
from fastem.data.one_pass import as_chunks, described_by, named_rows
from fastem.data.rows import Rows
from fastem.estimators import fitted_settings, hooks
from fastem.estimators.attributes import (
    MadeOf,
    as_constant,
    check_complete,
    is_constant,
    is_fitted_attribute,
    set_attributes,
    snapshot,
)
from fastem.estimators.given_params import GivenParams
from fastem.estimators.model import check_model, check_settings, is_fitted, open_data, open_in_memory, trials_of
from fastem.estimators.predictions import mean_of_chunks, predict_chunks, write_predictions
from fastem.estimators.sklearn_compat import (
    BaseEstimator,
    DensityMixin,
    NotFittedError,
    html_of_settings,
    same_features,
)
from fastem.estimators.summary import MixtureSummary, diagnosis_of, html_of_fit, summary_of
from fastem.families.diagnosis import Diagnosis
from fastem.families.fixed import Fixed
from fastem.families.params import Params
from fastem.fitting.checkpoint import arrays_of
from fastem.inference.standard_errors import METHODS, StandardErrors, Summed, standard_errors
from fastem.kernels.linear import dot
from fastem.validation.arrays import check_only_chunks, check_total_weight
from fastem.validation.parameters import check_n_features_in
from fastem.validation.settings import as_path, check_can_be_saved, check_choice, check_n_samples, check_no_prior

MODEL, MODEL_LAYOUT = "fastem model", 1
NOT_FITTED = "This {} instance is not fitted yet. Call 'fit' with appropriate arguments before using this estimator."


@own_methods
class Mixture(DensityMixin, BaseEstimator, GivenParams):
    """What every estimator of a mixture can do, whatever its family."""

    # ---- parameters

    @property
    def params_(self) -> Any:
        """The fitted parameters as a value of the building blocks; NotFittedError before a fit.

        Reading it raises ValueError where they, or the settings that they are read with, have been changed to something
        else than a mixture of this fit.

        It is made once: with it are kept inverse factors and tables.  It is made again when attributes have changed.
        """
        if not is_fitted(self):
            raise NotFittedError(NOT_FITTED.format(type(self).__name__))
        fitted_settings.require(self, "parameters")
        arrays, made = self._arrays(), self.__dict__.get("_made")
        changed = made.changed(arrays) if made is not None else set()
        if made is None or changed:
            check_complete(self)
            params = self.attribute_map.read(snapshot(arrays), changed, self.family)
            params.check()
            check_n_features_in(getattr(self, "n_features_in_", params.n_features), params.n_features)
            self._follow(params, changed)
            self.keep_params(params)
            made = self._made
        return made.value

    def _follow(self, params: Params, changed: set[str]) -> None:
        """Have other attributes follow those that a user has changed, or has set where there was no fit."""
        derived = self.attribute_map.read_only
        if others := derived - (changed if changed & derived else vars(self).keys()):
            set_attributes(self, {k: v for k, v in self.attribute_map.write(params).items() if k in others})

    def keep_params(self, params: Params) -> None:
        """Keep these parameters, made of the attributes as they are: nobody shall write them any more."""
        for array in arrays_of(params).values():
            array.flags.writeable = False
        self._made = MadeOf.of(params, self._arrays())

    def _arrays(self) -> dict[str, np.ndarray]:
        """Return the attributes that the parameters are read from."""
        return {name: vars(self)[name] for name in self.attribute_map.read_from if name in vars(self)}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made of attributes; name the read-only arrays, since pickles and copies forget it."""
        self._make_agree()
        state = dict(super().__getstate__())
        state.pop("_made", None)
        names = self.attribute_map.read_only & state.keys()
        return state | {"_constants": [name for name in names if is_constant(state[name])]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        constants = state.pop("_constants", ())
        super().__setstate__(state) if hasattr(super(), "__setstate__") else self.__dict__.update(state)
        for name in constants:
            setattr(self, name, as_constant(vars(self)[name]))
        self._make_agree()

    def _make_agree(self) -> None:
        """Have all attributes describe one model; those of which a user has replaced some stay as they are."""
        if is_fitted(self):
            with suppress(ValueError, TypeError, AttributeError, KeyError):
                self.params_  # noqa: B018

    def _become(self, fitted: Self) -> Self:
        """Take all attributes of a copy that has been fitted."""
        self.__dict__ = fitted.__dict__
        return self

    def diagnose(self) -> Diagnosis:
        """Find what tells a spurious maximum: components on few rows, on equal rows, or much thinner than the others.

        Returns
        -------
        Diagnosis
            weights, counts, thinnest and widest (k,): the smallest and the largest variance of a component in any
            direction, over the pooled one; complaints (k) tuples of sentences; spurious, the components that have any;
            overlap (k, k), how often they are confused, which is no complaint.  Printed, it is a table.

        Raises
        ------
        NotFittedError
            Before a fit.

        References
        ----------
        McLachlan and Peel (2000), Finite mixture models, section 3.10.
        Hathaway (1985), A constrained formulation of maximum-likelihood estimation for normal mixture distributions.

        Examples
        --------
        >>> import numpy as np, fastem
        >>> X = np.concatenate([np.arange(50.0), [99.0, 99.01, 99.02]])[:, np.newaxis]
        >>> fastem.GaussianMixture(2, random_state=0).fit(X).diagnose().complaints
        ((), ('is thinner than 0.0001 of the pooled variance',))
        """
        self.params_  # noqa: B018 - raises before a fit
        if not hasattr(self, "counts_"):  # parameters of a user's, without a fit
            raise NotFittedError(NOT_FITTED.format(type(self).__name__))
        return diagnosis_of(self)

    def summary(self, errors: StandardErrors | None = None) -> MixtureSummary:
        """Return a table of the components, how the fit ended, and its criteria: to print, or to show in a notebook.

        Parameters
        ----------
        errors : StandardErrors, default=None
            The result of `standard_errors`, to be told with the weights and the means, probabilities or rates.

        Returns
        -------
        MixtureSummary
            Printed, it is the table; `to_frame` makes a data frame of the components.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            Where errors are not those of such a mixture.

        Examples
        --------
        >>> import fastem
        >>> rows = [[1.0], [2.0], [3.0], [11.0], [12.0], [13.0]]
        >>> mixture = fastem.GaussianMixture(2, random_state=0, order_by="means").fit(rows)
        >>> mixture.summary().to_frame()["mean x0"].tolist()
        [2.0, 12.0]
        """
        return summary_of(self, errors)

    def _repr_html_inner(self) -> str:
        """Return the fit, and below it the settings, as scikit-learn shows them where it is installed."""
        try:
            settings = str(super()._repr_html_inner())
        except ValueError:  # attributes that do not fit each other: scikit-learn's box reads all of them
            settings = html_of_settings(self)
        return html_of_fit(self) + settings

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, str]:
        html = {"text/html": self._repr_html_inner()} if hasattr(self, "_repr_html_") else {}
        return {"text/plain": repr(self)} | html

    def save(self, path: PathLike) -> None:
        """Write the fitted mixture to a file, with its settings and all attributes; `fastem.load` reads it.

        No pickle: arrays and a header in NumPy's npz, written whole or not at all.  A random number generator and a
        callback among the settings are not kept, nor are attributes that are neither settings nor end in an underscore.

        Parameters
        ----------
        path : path
            Where to write.  A file that is there is replaced.

        Raises
        ------
        NotFittedError
            Before a fit.
        TypeError
            If this is a subclass, or an attribute is nothing that a file can keep.
        OSError
            Where the file cannot be written; one that is there stays as it was.
        """
        check_settings(self)
        check_model(self, self.params_.n_features)
        arrays: dict[str, np.ndarray] = {}
        check_can_be_saved(type(self))
        settings = self.get_params(deep=False)
        kept = {
            name: value
            for name, value in vars(self).items()
            if (name in settings and not callable(value)) or is_fitted_attribute(name)
        }
        header = {"class": type(self).__name__, "attributes": encode(kept, arrays)}
        write(Path(as_path(path, "path")), MODEL, MODEL_LAYOUT, header, arrays)

    def __sklearn_tags__(self) -> Any:
        """Return the tags of an estimator that may take NaN."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "marginalize"
        return tags

    # ---- predictions

    def _named(self, X: ArrayLike | None, chunks: Chunkable | None) -> tuple[ArrayLike | None, Chunkable | None]:
        """Return X and chunks, one of which is None; complain where the names of columns are others than in the fit.

        Chunks are arrays without names, but for rows of Arrow, whose columns are compared where the fit had names.
        """
        hooks.refuse(self, hooks.OF_PREDICTIONS)
        array, read = as_chunks(X, chunks)
        named = named_rows(X, chunks)
        if read is None or (named is read and hasattr(self, "feature_names_in_")):
            same_features(self, described_by(named))
        return array, read

    def _posterior(
        self,
        X: ArrayLike | None,
        trials: ArrayLike | None,
        wanted: str,
        precision: type[np.floating] | None = None,
        *,
        chunks: Chunkable | None = None,
    ) -> np.ndarray:
        """Return one of the predictions of `Rows.predict` for each row."""
        params = self.params_
        X, chunks = self._named(X, chunks)
        if chunks is not None:
            check_only_chunks(X, trials, None)
            return predict_chunks(self, trials, chunks, wanted, precision)
        if is_dask(X):
            options: dict[str, Any] = {"owner": type(self).__name__, "backend": self.backend, "missing": self.missing}
            options["precision"] = precision
            return cast(np.ndarray, lazy_posterior(params, X, trials_of(self, trials), wanted, **options))
        with self._opened(X, trials) as rows:
            return rows.predict(params, wanted, precision)

    def _opened(self, X: ArrayLike | None, trials: ArrayLike | None, sample_weight: ArrayLike | None = None) -> Rows:
        """Open rows in memory for predictions."""
        X = cast(ArrayLike, X)
        return open_in_memory(self, X, trials, sample_weight, n_features=self.params_.n_features)

    def _predict_to(
        self, path: PathLike, X: ArrayLike | None, trials: ArrayLike | None, chunks: Chunkable | None
    ) -> int:
        """Write predictions to a file, and return the number of rows."""
        self.params_  # noqa: B018 - raises before a fit
        return write_predictions(self, path, *self._named(X, chunks), trials)

    def _mean_log_prob(
        self,
        X: ArrayLike | None,
        trials: ArrayLike | None,
        sample_weight: ArrayLike | None,
        chunks: Chunkable | None = None,
    ) -> float:
        """Return the mean log density of the rows.

        Of unweighted float32 rows in memory it is the mean of float32, as scikit-learn's, where that is finite.
        """
        in_memory = not is_dask(X) and as_chunks(X, chunks)[1] is None
        if sample_weight is None and in_memory and self.missing == "raise":
            with np.errstate(over="ignore"):  # float32 cannot add two rows that are far out
                mean = float(self._posterior(X, trials, "log_prob").mean())
            if math.isfinite(mean):
                return mean
        return self._score(X, trials, sample_weight, chunks)[0]

    def _score(
        self,
        X: ArrayLike | None,
        trials: ArrayLike | None,
        sample_weight: ArrayLike | None,
        chunks: Chunkable | None = None,
    ) -> tuple[float, float]:
        """Return the mean log density, a sum in float64 whatever the precision of the rows, and the total weight."""
        if as_chunks(X, chunks)[1] is not None:
            X, chunks = self._named(X, chunks)
            check_only_chunks(X, trials, sample_weight)
            return mean_of_chunks(self, trials, cast(Chunkable, chunks))
        log_prob = self._posterior(X, trials, "log_prob", np.float64)
        if is_dask(X):
            present = having_values(X, self.family.row_kind) if self.missing == "marginalize" else None
            return mean_of(cast(DaskArray, log_prob), sample_weight, present)
        if sample_weight is None and self.missing == "raise":
            return float(log_prob.mean()), len(log_prob)
        with self._opened(X, trials, sample_weight) as rows:
            weights = rows.weight_of_values
        total = float(weights.sum())
        check_total_weight(total, missing=self.missing == "marginalize")
        return dot(weights / total, log_prob), total

    def _criterion(self, score: tuple[float, float], penalty: Callable[[float], float]) -> float:
        """Return -2 log likelihood + parameters times penalty(n), of the mean log density and the total weight n."""
        mean, total = score
        return -2 * mean * total + self._n_parameters() * penalty(total)

    def _standard_errors(
        self,
        X: ArrayLike | None,
        trials: ArrayLike | None,
        sample_weight: ArrayLike | None,
        method: str,
        chunks: Chunkable | None = None,
    ) -> StandardErrors:
        """Return the standard errors of the fitted parameters; equal rows count as one where that is exact."""
        check_choice(method, "method", METHODS)
        params, fixed = self.params_, self._fixed_in_fit()
        X, chunks = self._named(X, chunks)
        check_no_prior(self.prior)
        fitted_settings.require(self, "standard errors")
        with open_data(self, X, trials, sample_weight, chunks=chunks, n_features=params.n_features) as rows:
            # squares of weights are those of rows, not of equal rows together
            collapse = self.family.row_kind.is_counts and method != "sandwich"
            summed = cast(Summed, rows.collapsed() if collapse else rows)
            return standard_errors(summed, params, fixed=fixed, method=method)

    def _fixed_in_fit(self) -> Fixed:
        """Return which parameters the fit held fixed; ValueError if the setting `fixed` has changed since."""
        fixed: Fixed = self.params_.as_fixed(self.fixed)
        fitted_settings.require(self, "free parameters")
        return fixed

    def count_parameters(self) -> int:
        """Count the parameters that were free in the fit: the number in AIC and BIC.

        Returns
        -------
        int
            Weights count k - 1, and what was `fixed` counts 0.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError
            If the setting `fixed` has changed since.
        """
        return self._n_parameters()

    def _n_parameters(self) -> int:
        """Count the free parameters, by the name that subclasses of scikit-learn's mixtures know."""
        return int(self.params_.n_free(self._fixed_in_fit()))

    def _draw_labels(self, n_samples: int, rng: np.random.Generator) -> np.ndarray:
        """Draw how many rows each component has; return the component (n_samples,) of each row, in order."""
        params = self.params_
        weights = params.all_weights
        check_n_samples(n_samples)
        return np.repeat(params.labels, rng.multinomial(n_samples, weights / weights.sum()))
