"""Choose the number of components: fit mixtures of several sizes and covariance types to the same rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fastem._errstate import own
from fastem._typing import Array, ArrayLike, PathLike
from fastem.data.chunk_source import Chunkable
from fastem.data.kmeans import START_ROWS, subsample
from fastem.estimators.attributes import total_weight
from fastem.estimators.base import Mixture
from fastem.estimators.gaussian_mixture import GaussianMixture
from fastem.estimators.model import check_model, check_settings
from fastem.exceptions import CollapsedComponentWarning, warn
from fastem.fitting.result import Start
from fastem.persistence import load
from fastem.selection.criteria import CRITERIA, THOROUGH
from fastem.selection.data import Data, as_arrays, as_data, fit, open_float64, with_settings
from fastem.selection.doubtful import add_doubts, blocks_of_arrays, blocks_of_rows, n_distinct, rounding_step
from fastem.selection.folder import open_folder
from fastem.selection.held_out import fit_one_component, held_out_deviance
from fastem.selection.split_merge import fit_improved, fit_neighbour
from fastem.selection.table import APART, VERY_STRONG, Candidate, Selection, covariance_type_of, is_screened_out
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
)

Setting = dict[str, int | str]
"""The settings of one candidate: n_components, and covariance_type if there are several."""


@own
def select(
    X: ArrayLike | None = None,
    n_components: Iterable[int] = range(1, 11),
    covariance_types: Iterable[str] | None = None,
    *,
    criterion: str = "bic",
    estimator: Mixture | None = None,
    trials: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    folds: int = 5,
    split_merge: bool = True,
    checkpoint: PathLike | None = None,
    on_candidate: Callable[[Candidate], None] | None = None,
    chunks: Chunkable | None = None,
) -> Selection:
    """Fit mixtures of several sizes and covariance types, and choose one by an information criterion.

    Parameters
    ----------
    X : array-like of shape (n, d)
        The rows, as for the fit of the estimator.
    n_components : iterable of ints, default=range(1, 11)
        Numbers of components k.  Those above the number of distinct rows are left out, with a warning.
    covariance_types : iterable of str, default=None
        Covariance types of a GaussianMixture; None is that of the estimator.
    criterion : {"bic", "icl", "aic", "cv"}, default="bic"
        The mixture with the lowest criterion is chosen.  "bic" finds the number of components of a density, "icl" the
        number of separate clusters (it adds 2 entropy); "cv" is -2 log likelihood of rows that were held out of the
        fit, where a row that no component expects counts as one of n rows that are spread as all rows are.
    estimator : estimator of a mixture, default=None
        All fits have its settings; the estimator itself is not fitted.  None is ``GaussianMixture(init_params="kmeans",
        n_init=2, tol=1e-6, max_iter=1000, stopping="aitken", acceleration="quasi-newton", reg_covar="auto",
        random_state=0)``.
    trials : default=None
        The trials of rows that have any, as for the fit.
    sample_weight : array-like of shape (n,), default=None
        Non-negative weights; a weight of w counts as w equal rows: the sum of the weights is the n of "bic" and "icl".
    folds : int, default=5
        For "cv", the number of parts that are held out in turn; the parts are always the same random ones.
    split_merge : bool, default=True
        Whether each size is also fitted from the mixtures next to it in the list, if their sizes differ by one: from
        the smaller one with a component split, or with a small one added where all rows are denser than it says, and
        from the larger one with a pair merged.  Several of them run for some iterations on all rows, and the best goes
        on.  The largest size, for which there is no larger one, is fitted from where splits and merges at the same size
        lead.  The result replaces the mixture that the starts of the estimator led to, if it is a higher maximum.
        Nothing is split, added or merged if parameters are `fixed`, nor within folds.
    checkpoint : path, default=None
        A folder that keeps each fitted mixture; it is made if need be.  Mixtures that are in it are not fitted again.
        ValueError if they are of other rows or settings.
    on_candidate : callable, default=None
        A function that is called with each Candidate after its fit, and again if the next size leads to a better one.
    chunks : sequence, iterable or callable, default=None
        In the place of X, as for the fit; "cv" reads all of them to memory, to cut them into folds.

    Returns
    -------
    Selection
        candidates (n_components, covariance_type, loglik, n_parameters, aic, bic, icl, cv, entropy, n_sweeps, n_optima,
        n_suspect, doubtful, stop_reason of each), mixtures, best (the fitted mixture that is chosen), best_index.
        Printed, it is a table.  A candidate with components that `diagnose` has complaints about counts with the part
        of its log likelihood that is beyond doubt (see `Selection.assured`).  If such a candidate is passed over,
        although its criterion is lower by more than 10, a warning names it.

    Raises
    ------
    ValueError, TypeError
        If the data or settings cannot be used.

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
    check_rows_come_first(X)
    estimator = as_estimator(estimator)
    check_choice(criterion, "criterion", CRITERIA)
    folds = as_integer(folds, "folds", 2)
    check_bool(split_merge, "split_merge")
    check_callable(on_candidate, "on_candidate")
    settings = candidate_settings(estimator, n_components, covariance_types)
    data = as_data(estimator, X, trials, sample_weight, chunks)
    folds_of_criterion = folds if criterion == "cv" else 0
    settings, step = check_candidates(estimator, settings, data, folds_of_criterion)
    folder = None if checkpoint is None else open_folder(checkpoint, estimator, data, folds, split_merge)
    one_component = fit_one_component(estimator, data) if folds_of_criterion else None
    fits = Fits(estimator, data, folder, folds_of_criterion, step, one_component)
    report = (lambda mixture: on_candidate(Candidate.of(mixture))) if on_candidate else (lambda mixture: None)
    with warnings.catch_warnings():  # what such a component adds to a likelihood is told, and not counted
        warnings.simplefilter("ignore", CollapsedComponentWarning)
        mixtures = fits.fit_all(settings, split_merge, report)
    selection = Selection(criterion, tuple(map(Candidate.of, mixtures)), tuple(mixtures))
    if doubts := selection.doubts():
        warn(doubts)
    return selection


def check_rows_come_first(X: object) -> None:
    """Raise TypeError for an estimator in the place of the rows, where searches of other packages have it."""
    kind = X if isinstance(X, type) else type(X)
    if issubclass(kind, Mixture):
        name = kind.__name__
        raise TypeError(f"X must be the rows, got a {name}: call select(X, ..., estimator={name}(...))")


def check_has_criteria(estimator: Mixture) -> None:
    """Raise TypeError for an estimator whose fits are not maxima of a likelihood, which criteria compare."""
    if not hasattr(estimator, "bic"):
        raise TypeError(
            f"estimator must have information criteria, but a {type(estimator).__name__} has none: one fit of it, with "
            "the largest n_components, leaves components empty that the rows do not need"
        )


def as_estimator(estimator: Mixture | None) -> Mixture:
    """Return the estimator that has the settings of all fits: the default for None; check any other."""
    if estimator is None:
        return GaussianMixture(reg_covar="auto", random_state=0, **THOROUGH)
    check_instance(estimator, "estimator", Mixture)
    check_has_criteria(estimator)
    check_no_checkpoint(estimator.checkpoint)
    return estimator


def candidate_settings(
    estimator: Mixture, n_components: Iterable[int], covariance_types: Iterable[str] | None
) -> list[Setting]:
    """Return the settings of each candidate in which it differs from the others."""
    sizes = [as_integer(k, "n_components", 1) for k in as_list(n_components, "n_components")]
    if covariance_types is None:
        return [{"n_components": k} for k in sizes]
    options = estimator.family.covariance_types
    if not options:
        raise TypeError(f"covariance_types are given, but a {type(estimator).__name__} has no covariances: pass None")
    kinds = as_choices(covariance_types, "covariance_types", options)
    return [{"n_components": k, "covariance_type": kind} for kind in kinds for k in sizes]


def check_candidates(
    estimator: Mixture, settings: list[Setting], data: Data, folds: int
) -> tuple[list[Setting], Array]:
    """Check all settings and rows before the first fit.

    Returns the settings for which there are enough distinct rows, in each fold as well, and (d,) the step to which each
    feature was rounded.
    """
    mixtures = [with_settings(estimator, setting) for setting in settings]
    for mixture in mixtures:
        check_settings(mixture)
    sizes = list(dict.fromkeys(mixture.n_components for mixture in mixtures))
    with open_float64(estimator, data) as rows:
        sample = subsample(rows, START_ROWS, np.random.default_rng(0))
        distinct = rows.collapsed() if rows.row_kind.is_counts else rows
        most, of_what = n_distinct(blocks_of_rows(distinct, sample), max(sizes)), "of X"
        n_features, step = rows.n_features, rounding_step(sample.data[0])
    if folds:
        most = min(
            n_distinct(blocks_of_arrays(fold), most) for fold, _ in as_arrays(estimator, data).split_folds(folds)
        )
        of_what = "in the least part of X that folds leave to a fit"
    possible = as_sizes(sizes, most, of_what)
    for mixture in mixtures:
        check_model(mixture, n_features)
    return [setting for setting in settings if setting["n_components"] in possible], step


@dataclass(frozen=True, eq=False)
class Fits:
    """Fit mixtures to the same rows in several settings, and keep them in a folder, if there is one.

    They have the attributes of a fit, and `suspect_` and `doubtful_`, `held_out_` if there are folds, and
    `neighbours_`, the sizes of the mixtures that were split or merged for a start.
    """

    estimator: Mixture
    data: Data
    folder: Path | None
    folds: int  # 0 if no rows are held out
    step: Array  # (d,) to which the features were rounded
    one_component: Mixture | None  # fitted to all rows, if there are folds

    def fit_all(self, settings: list[Setting], split_merge: bool, report: Callable[[Mixture], object]) -> list[Mixture]:
        """Fit the mixtures in their order, each also from the one before; then, in reverse, from the one behind.

        Of the largest size no larger mixture is merged: there, splits and merges at the same size are tried.
        """
        mixtures: list[Mixture] = []
        for setting in settings:
            mixtures.append(self.fit_from_starts(setting))
            if split_merge and len(mixtures) > 1:
                mixtures[-1] = self.fit_from_neighbour(setting, mixtures[-1], mixtures[-2])
            report(mixtures[-1])
        for i in reversed(range(len(mixtures) if split_merge else 0)):
            before = mixtures[i]
            for neighbour in mixtures[i + 1 : i + 2]:
                mixtures[i] = self.fit_from_neighbour(settings[i], before, neighbour)
            if is_largest(mixtures, i):
                mixtures[i] = self.fit_improved(settings[i], mixtures[i])
            if mixtures[i] is not before:
                report(mixtures[i])
        return mixtures

    def fit_from_starts(self, setting: Setting) -> Mixture:
        """Fit from the starts of the estimator, or read what the folder has; add `held_out_`, if there are folds."""
        path = self._path(setting)
        is_saved = path is not None and path.exists()
        mixture = load(path) if path is not None and is_saved else self._fit(setting)
        if self.one_component is not None and not hasattr(mixture, "held_out_"):
            mixture.held_out_ = held_out_deviance(
                self.estimator, setting, self.data, self.folds, self.step, self.one_component
            )
            is_saved = False
        if not is_saved:
            self._save(setting, mixture)
        return mixture

    def fit_from_neighbour(self, setting: Setting, mixture: Mixture, neighbour: Mixture) -> Mixture:
        """Fit from a split or a merge of the neighbour; return this fit if it is a higher maximum, else the mixture."""
        size, sizes_before = neighbour.n_components, getattr(mixture, "neighbours_", [])
        if size in sizes_before or not are_neighbours(mixture, neighbour):
            return mixture
        other = fit_neighbour(with_settings(self.estimator, setting), neighbour.params_, self.data)
        return self._higher(setting, mixture, other, [*sizes_before, size])

    def fit_improved(self, setting: Setting, mixture: Mixture) -> Mixture:
        """Fit from where splits and merges lead at the same size; return this fit if it is a higher maximum."""
        size, sizes_before = mixture.n_components, getattr(mixture, "neighbours_", [])
        if size in sizes_before:
            return mixture
        other = fit_improved(with_settings(self.estimator, setting), mixture.params_, self.data)
        return self._higher(setting, mixture, other, [*sizes_before, size])

    def _higher(self, setting: Setting, mixture: Mixture, other: Mixture | None, sizes: list[int]) -> Mixture:
        """Return the higher maximum of two fits, and keep it; sizes are those that it was split or merged from."""
        best = mixture
        if other is not None:
            other.suspect_, other.doubtful_ = [], 0.0
            if is_higher(other, mixture):  # doubts only take from its log posterior
                self._add_doubts(other)
            best, worse = (other, mixture) if is_higher(other, mixture) else (mixture, other)
            best.starts_ = sort_starts([*best.starts_, *worse.starts_])
        best.neighbours_ = sizes
        if hasattr(mixture, "held_out_"):
            best.held_out_ = mixture.held_out_
        self._save(setting, best)
        return best

    def _fit(self, setting: Setting) -> Mixture:
        """Fit the mixture of a setting to all rows, with its doubtful log likelihood."""
        mixture = fit(with_settings(self.estimator, setting), self.data)
        self._add_doubts(mixture)
        return mixture

    def _add_doubts(self, mixture: Mixture) -> None:
        """Set which components of a mixture are suspect, and how much of its log likelihood is in doubt."""
        add_doubts(mixture, partial(open_float64, mixture, self.data), self.step)

    def _path(self, setting: Setting) -> Path | None:
        """Return the file of a setting; None if there is no folder."""
        return None if self.folder is None else self.folder / f"{'-'.join(map(str, setting.values()))}.npz"

    def _save(self, setting: Setting, mixture: Mixture) -> None:
        """Save a mixture to the file of its setting, if there is a folder."""
        path = self._path(setting)
        if path is not None:
            mixture.save(path)


def are_neighbours(mixture: Mixture, neighbour: Mixture) -> bool:
    """Return whether a split or a merge of the neighbour makes a start of the mixture.

    A mixture of one component has no other maximum to find.
    """
    if mixture.n_components == 1 or len(mixture.fixed):
        return False
    one_apart = abs(mixture.n_components - len(neighbour.weights_)) == 1
    return one_apart and covariance_type_of(mixture) == covariance_type_of(neighbour)


def is_largest(mixtures: list[Mixture], i: int) -> bool:
    """Return whether a mixture has neighbours in the list, and none that is larger."""
    beside = [each for each in (*mixtures[:i][-1:], *mixtures[i + 1 :][:1]) if are_neighbours(mixtures[i], each)]
    return bool(beside) and all(each.n_components < mixtures[i].n_components for each in beside)


def is_higher(other: Mixture, mixture: Mixture) -> bool:
    """Return whether the other is at a higher maximum beyond doubt (see `Selection.assured`), and not at the same."""
    return bool(assured(other) - assured(mixture) > APART * mixture.tol * total_weight(mixture))


def assured(mixture: Mixture) -> float:
    """Return the log posterior as far as it is beyond doubt."""
    return float(mixture.log_posterior_ - mixture.doubtful_ - (VERY_STRONG / 2 if mixture.doubtful_ else 0.0))


def sort_starts(starts: list[Start]) -> list[Start]:
    """Sort starts, the best first; those that were screened out stay in their order, behind all others."""
    return sorted(starts, key=lambda start: (1, 0.0) if is_screened_out(start) else (0, -start.mean_loglik))
