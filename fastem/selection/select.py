"""How many components: mixtures of several sizes and covariance types on the same rows, in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastem._errstate import own
from fastem._typing import Array
from fastem.data.kmeans import START_ROWS, subsample
from fastem.data.row_source import RowSource
from fastem.estimators.base import Mixture
from fastem.estimators.gaussian_mixture import GaussianMixture
from fastem.estimators.model import check_model, check_settings, open_data
from fastem.exceptions import warn
from fastem.families.gaussian.structures import COVARIANCE_TYPES
from fastem.fitting.result import Start
from fastem.persistence import load
from fastem.selection.doubtful import blocks_of, in_blocks, n_distinct, rounding_step, with_doubts
from fastem.selection.folder import opened
from fastem.selection.held_out import Data, arrays_of, copied, held_out, of_all_rows, parts
from fastem.selection.split_merge import fit_neighbour
from fastem.selection.table import APART, VERY_STRONG, Candidate, Selection, is_screened_out
from fastem.validation.arrays import as_sizes
from fastem.validation.settings import (
    as_choices,
    as_integer,
    as_list,
    check_bool,
    check_callable,
    check_choice,
    check_instance,
    check_no_checkpoint,
    check_no_trials,
)

CRITERIA = ("bic", "icl", "aic", "cv")
Setting = dict[str, Any]
"""What is a candidate's own: n_components, and covariance_type if there are several."""
THOROUGH: dict[str, Any] = {
    "n_init": 5, "tol": 1e-6, "max_iter": 1000, "stopping": "aitken", "acceleration": "quasi-newton"
}  # fmt: skip
"""Likelihoods are compared: each fit shall be at its maximum, and a larger k not lose to a poor start."""


@own
def select(
    X: Any,
    n_components: Iterable[int] = range(1, 11),
    covariance_types: Iterable[str] | None = None,
    *,
    criterion: str = "bic",
    estimator: Any = None,
    trials: Any = None,
    sample_weight: Any = None,
    folds: int = 5,
    split_merge: bool = True,
    checkpoint: Any = None,
    on_candidate: Callable[[Candidate], None] | None = None,
) -> Selection:
    """Fit mixtures of several sizes and covariance types, and choose one by an information criterion.

    Parameters
    ----------
    X : array-like of shape (n, d)
        The rows, as for the fit of the estimator.
    n_components : iterable of ints, default=range(1, 11)
        Numbers of components k.  Those above the number of distinct rows are left out, with a warning.
    covariance_types : iterable of str, default=None
        Covariance types of a GaussianMixture; None is the one of the estimator.
    criterion : {"bic", "icl", "aic", "cv"}, default="bic"
        What the best has least of.  "bic" finds the number of components of a density, "icl" that of separate
        clusters (it adds 2 entropy); "cv" is -2 log likelihood of rows that were held out of the fit, where a row that
        no component expects counts as one of n that are spread as all rows are.
    estimator : GaussianMixture or BinomialMixture, default=None
        Its settings are those of all fits; it is not fitted itself.  None is ``GaussianMixture(n_init=5, tol=1e-6,
        max_iter=1000, stopping="aitken", acceleration="quasi-newton", reg_covar="auto", random_state=0)``.
    trials : default=None
        For a BinomialMixture, as for its fit.
    sample_weight : array-like of shape (n,), default=None
        Non-negative; a weight of w counts as w equal rows: their sum is the n of "bic" and "icl".
    folds : int, default=5
        Of "cv": parts that are held out in turn, always the same random ones.
    split_merge : bool, default=True
        Also fit each size from the fits of those beside it on the list that are one apart: from the best split of the
        smaller one's components, and from the larger one with its closest pair merged.  Where that ends higher it takes
        the place of what the starts of the estimator have found.  Not where anything is `fixed`, nor in folds.
    checkpoint : path, default=None
        A folder that keeps each mixture when it is fitted; it is made if need be.  Mixtures that are there are not
        fitted again.  ValueError where they are of other rows or settings.
    on_candidate : callable, default=None
        Called with each Candidate as soon as it is known, and again if the next size leads to a better one.

    Returns
    -------
    Selection
        candidates (n_components, covariance_type, loglik, n_parameters, aic, bic, icl, cv, entropy, n_sweeps, n_optima,
        n_suspect, doubtful, stop_reason of each), mixtures, best (the fitted mixture that is chosen), best_index.
        Printed, it is a table.  A candidate with components that `diagnose` has complaints about counts with that part
        of its log likelihood that is beyond doubt (see `Selection.assured`).  Where that passes one over which has a
        criterion lower by more than 10, a warning says which.

    Raises
    ------
    ValueError, TypeError
        On unusable data or settings.

    References
    ----------
    Fraley and Raftery (2002), Model-based clustering, discriminant analysis, and density estimation.
    Biernacki, Celeux and Govaert (2000), Assessing a mixture model for clustering with the integrated completed
    likelihood.
    Smyth (2000), Model selection for probabilistic clustering using cross-validated likelihood.
    Ueda, Nakano, Ghahramani and Hinton (2000), SMEM algorithm for mixture models.
    Runnalls (2007), Kullback-Leibler approach to Gaussian mixture reduction.

    Examples
    --------
    >>> import fastem
    >>> X = [[1.0], [2.0], [3.0], [4.0], [31.0], [32.0], [33.0], [34.0]]
    >>> selection = fastem.select(X, range(1, 4))
    >>> selection.best.n_components
    2
    """
    estimator = template(estimator)
    check_choice(criterion, "criterion", CRITERIA)
    folds = as_integer(folds, "folds", 2)
    check_bool(split_merge, "split_merge")
    check_callable(on_candidate, "on_candidate")
    settings = varied(estimator, n_components, covariance_types)
    data = {"X": X, "sample_weight": sample_weight} | tosses(estimator, trials)
    asked = folds if criterion == "cv" else 0
    settings, step = looked_at(estimator, settings, data, asked)
    folder = None if checkpoint is None else opened(checkpoint, estimator, data, folds, split_merge)
    fits = Fits(estimator, data, folder, asked, step, of_all_rows(estimator, data) if asked else None)
    mixtures = fits.along(settings, split_merge, on_candidate or (lambda candidate: None))
    selection = Selection(criterion, tuple(map(Candidate.of, mixtures)), tuple(mixtures))
    if doubts := selection.doubts():
        warn(doubts)
    return selection


def template(estimator: Any) -> Any:
    """Whose settings are those of several fits; the default if there is none."""
    if estimator is None:
        return GaussianMixture(reg_covar="auto", random_state=0, **THOROUGH)
    check_instance(estimator, "estimator", Mixture)
    check_no_checkpoint(estimator.checkpoint)
    return estimator


def varied(estimator: Any, n_components: Any, covariance_types: Any) -> list[Setting]:
    """The settings in which the candidates differ."""
    sizes = [as_integer(k, "n_components", 1) for k in as_list(n_components, "n_components")]
    if covariance_types is None:
        return [{"n_components": k} for k in sizes]
    check_instance(estimator, "estimator (covariance_types are given)", GaussianMixture)
    kinds = as_choices(covariance_types, "covariance_types", COVARIANCE_TYPES)
    return [{"n_components": k, "covariance_type": kind} for kind in kinds for k in sizes]


def tosses(estimator: Any, trials: Any) -> dict[str, Any]:
    """trials, as an argument of estimators that take any."""
    if estimator.family.row_kind.is_counts:
        return {"trials": trials}
    check_no_trials(trials, type(estimator).__name__)
    return {}


def opened_rows(estimator: Any, data: Data) -> RowSource:
    """As a fit reads them, in float64 arithmetic."""
    return open_data(estimator, data["X"], data.get("trials"), data["sample_weight"], dtype=np.float64)


def looked_at(estimator: Any, settings: list[Setting], data: Data, folds: int) -> tuple[list[Setting], Array]:
    """A look at all settings and rows before the first fit: the settings that the rows are enough for, and the step to
    which each feature was rounded."""
    mixtures = [copied(estimator, setting) for setting in settings]
    for mixture in mixtures:
        check_settings(mixture)
    sizes = list(dict.fromkeys(mixture.n_components for mixture in mixtures))
    with opened_rows(estimator, data) as rows:
        few = subsample(rows, START_ROWS, np.random.default_rng(0))
        most, of_what = n_distinct(in_blocks(rows, few), max(sizes)), "of X"
        d, step = rows.n_features, rounding_step(few.data[0])
    if folds:
        within = [n_distinct(blocks_of(inside), most) for inside, _ in parts(arrays_of(estimator, data), folds)]
        most, of_what = min(within), "in the least part of X that folds leave to a fit"
    fitting = as_sizes(sizes, most, of_what)
    for mixture in mixtures:
        check_model(mixture, d)
    return [setting for setting in settings if setting["n_components"] in fitting], step


@dataclass(frozen=True, eq=False)
class Fits:
    """Mixtures of the same rows in several settings; a folder keeps them, if there is one.

    Beside what a fit tells they have `suspect_` and `doubtful_`, `held_out_` where that is asked for, and
    `neighbours_`, the sizes of the fits from which they were also begun.
    """

    estimator: Any
    data: Data
    folder: Path | None
    folds: int  # 0 where no rows are held out
    step: Array  # to which the features were rounded
    whole: Any  # one component on all rows, where some are held out

    def along(self, settings: list[Setting], split_merge: bool, tell: Callable[[Candidate], None]) -> list[Any]:
        """The mixtures in their order, each also from the one before it and, on the way back, from the one behind."""
        mixtures: list[Any] = []
        for setting in settings:
            mixtures.append(self.first(setting))
            if split_merge and len(mixtures) > 1:
                mixtures[-1] = self.bettered(setting, mixtures[-1], mixtures[-2])
            tell(Candidate.of(mixtures[-1]))
        for i in reversed(range(len(mixtures) - 1 if split_merge else 0)):
            before, mixtures[i] = mixtures[i], self.bettered(settings[i], mixtures[i], mixtures[i + 1])
            if mixtures[i] is not before:
                tell(Candidate.of(mixtures[i]))
        return mixtures

    def first(self, setting: Setting) -> Any:
        """From the starts of the estimator, or what the folder has; with `held_out_`, if there are folds."""
        path = self._path(setting)
        known = path is not None and path.exists()
        mixture = load(path) if known else self._looked_at(copied(self.estimator, setting).fit(**self.data))
        if self.folds and not hasattr(mixture, "held_out_"):
            mixture.held_out_ = held_out(self.estimator, setting, self.data, self.folds, self.step, self.whole)
            known = False
        if not known:
            self._keep(setting, mixture)
        return mixture

    def bettered(self, setting: Setting, mixture: Any, neighbour: Any) -> Any:
        """The mixture, or the one that a split or a merge of its neighbour leads to, if that is a higher maximum."""
        size, tried = neighbour.n_components, getattr(mixture, "neighbours_", [])
        if size in tried or not adjoining(mixture, neighbour):
            return mixture
        other = self._looked_at(fit_neighbour(copied(self.estimator, setting), neighbour.params_, self.data))
        best, worse = (other, mixture) if outdoes(other, mixture) else (mixture, other)
        best.starts_ = ranked([*best.starts_, *worse.starts_])
        best.neighbours_ = [*tried, size]
        if hasattr(mixture, "held_out_"):
            best.held_out_ = mixture.held_out_
        self._keep(setting, best)
        return best

    def _looked_at(self, mixture: Any) -> Any:
        return with_doubts(mixture, lambda: opened_rows(mixture, self.data), self.step)

    def _path(self, setting: Setting) -> Path | None:
        return None if self.folder is None else self.folder / f"{'-'.join(map(str, setting.values()))}.npz"

    def _keep(self, setting: Setting, mixture: Any) -> None:
        path = self._path(setting)
        if path is not None:
            mixture.save(path)


def adjoining(mixture: Any, neighbour: Any) -> bool:
    """Does one lead to a start of the other?  A single component has no other maximum to find."""
    if mixture.n_components == 1 or len(mixture.fixed):
        return False
    one_apart = abs(mixture.n_components - len(neighbour.weights_)) == 1
    return one_apart and getattr(mixture, "covariance_type", "") == getattr(neighbour, "covariance_type", "")


def outdoes(other: Any, mixture: Any) -> bool:
    """Is it a higher maximum, beyond doubt (see `Selection.assured`), and not the same one again?"""
    return bool(assured(other) - assured(mixture) > APART * mixture.tol * mixture.counts_.sum())


def assured(mixture: Any) -> float:
    return float(mixture.log_posterior_ - mixture.doubtful_ - (VERY_STRONG / 2 if mixture.doubtful_ else 0.0))


def ranked(starts: list[Start]) -> list[Start]:
    """The best first, and behind them those that were screened out."""
    return sorted(starts, key=lambda start: (is_screened_out(start), -start.mean_loglik))
