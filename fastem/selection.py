"""How many components: mixtures of several sizes and covariance types on the same rows, in one table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from fastem import checks, inputs
from fastem.arithmetic import own
from fastem.checkpoint import described
from fastem.gaussian import COVARIANCE_TYPES
from fastem.gaussian_mixture import GaussianMixture
from fastem.mixture import WITHOUT_EFFECT, Mixture
from fastem.models import load
from fastem.restarts import SCREENED_OUT, Start
from fastem.split_merge import go_on_from
from fastem.storage import read, write
from fastem.tables import aligned

CRITERIA = ("bic", "icl", "aic", "cv")
KIND, LAYOUT = "fastem selection", 1
IDENTITY = "identity.npz"

APART = 10.0
"""EM stops some tol from the maximum: ends that are closer than so many tol may be one."""


THOROUGH: dict[str, Any] = {
    "n_init": 5, "tol": 1e-6, "max_iter": 1000, "stopping": "aitken", "acceleration": "quasi-newton"
}  # fmt: skip
"""Likelihoods are compared: each fit shall be at its maximum, and a larger k not lose to a poor start."""


@dataclass(frozen=True)
class Candidate:
    """A fitted mixture in a line of the table; of the criteria, the lower the better."""

    n_components: int
    covariance_type: str  #: "" where the family has none
    loglik: float
    n_parameters: int
    aic: float
    bic: float
    icl: float
    cv: float  #: -2 log likelihood of rows that were held out; NaN where that is not asked for
    entropy: float
    n_sweeps: int
    n_optima: int  #: that its starts have led to, as far as they can be told apart
    n_suspect: int  #: components that `diagnose` has complaints about
    stop_reason: str

    @classmethod
    def of(cls, mixture: Any) -> Self:
        ends = [start.mean_loglik for start in mixture.starts_ if not is_screened_out(start)]
        return cls(
            mixture.n_components,
            getattr(mixture, "covariance_type", ""),
            mixture.loglik_,
            mixture.n_parameters_,
            mixture.aic_,
            mixture.bic_,
            mixture.icl_,
            getattr(mixture, "held_out_", math.nan),
            mixture.entropy_,
            mixture.n_sweeps_,
            1 + int((np.diff(np.sort(ends)) > APART * mixture.tol).sum()),
            len(mixture.diagnose().spurious),
            mixture.stop_reason_,
        )


@dataclass(frozen=True, eq=False)
class Selection:
    """The candidates in the order they were fitted in, and their mixtures.  ``str`` makes a table of it."""

    criterion: str
    candidates: tuple[Candidate, ...]
    mixtures: tuple[Any, ...]

    @property
    def values(self) -> np.ndarray:
        """The criterion of each candidate."""
        return np.array([getattr(each, self.criterion) for each in self.candidates])

    @property
    def best_index(self) -> int:
        """The lowest criterion, among candidates without suspect components if there are any: a spurious maximum, a
        component on a handful of rows, has as high a likelihood as one likes.
        """
        suspect = np.array([each.n_suspect > 0 for each in self.candidates])
        return int(np.where(suspect & ~suspect.all(), np.inf, self.values).argmin())

    @property
    def best(self) -> Any:
        """The fitted mixture that is chosen."""
        return self.mixtures[self.best_index]

    def __str__(self) -> str:
        names = [field.name for field in fields(Candidate)]
        shown = [i for i, name in enumerate(names) if name not in self._left_out()]
        rows = [[told(astuple(each)[i]) for i in shown] for each in self.candidates]
        marks = ["*" if i == self.best_index else "" for i in range(len(rows))]
        return aligned(["", *(names[i] for i in shown)], [[mark, *row] for mark, row in zip(marks, rows, strict=True)])

    def _left_out(self) -> set[str]:
        """Columns that say nothing."""
        has_type = any(each.covariance_type for each in self.candidates)
        return {name for name, said in {"covariance_type": has_type, "cv": self.criterion == "cv"}.items() if not said}


def is_screened_out(start: Start) -> bool:
    return start.stop_reason.startswith(SCREENED_OUT)


def told(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


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
        Numbers of components k.
    covariance_types : iterable of str, default=None
        Covariance types of a GaussianMixture; None is the one of the estimator.
    criterion : {"bic", "icl", "aic", "cv"}, default="bic"
        What the best has least of.  "bic" finds the number of components of a density, "icl" that of separate
        clusters (it adds 2 entropy); "cv" is -2 log likelihood of rows that were held out of the fit.
    estimator : GaussianMixture or BinomialMixture, default=None
        Its settings are those of all fits; it is not fitted itself.  None is ``GaussianMixture(n_init=5, tol=1e-6,
        max_iter=1000, stopping="aitken", acceleration="quasi-newton", random_state=0)``.
    trials : default=None
        For a BinomialMixture, as for its fit.
    sample_weight : array-like of shape (n,), default=None
        Non-negative; a weight of w counts as w equal rows.
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
        n_suspect, stop_reason of each), mixtures, best (the fitted mixture that is chosen), best_index.  Printed, it is
        a table.  Candidates that `diagnose` has complaints about, n_suspect of their components, are passed over unless
        there are no others.

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
    checks.choice(criterion, "criterion", CRITERIA)
    folds = checks.integer(folds, "folds", 2)
    checks.flag(split_merge, "split_merge")
    settings = varied(estimator, n_components, covariance_types)
    data = {"X": X, "sample_weight": sample_weight} | tosses(estimator, trials)
    folder = None if checkpoint is None else opened(checkpoint, estimator, data, folds, split_merge)
    fits = Fits(estimator, data, folder, folds if criterion == "cv" else 0)
    mixtures = fits.along(settings, split_merge, on_candidate or (lambda candidate: None))
    return Selection(criterion, tuple(map(Candidate.of, mixtures)), tuple(mixtures))


def template(estimator: Any) -> Any:
    """Whose settings are those of several fits; the default if there is none."""
    if estimator is None:
        return GaussianMixture(random_state=0, **THOROUGH)
    checks.instance(estimator, "estimator", Mixture)
    checks.no_checkpoint(estimator.checkpoint)
    return estimator


def varied(estimator: Any, n_components: Any, covariance_types: Any) -> list[dict[str, Any]]:
    """The settings in which the candidates differ."""
    sizes = [checks.integer(k, "n_components", 1) for k in checks.listed(n_components, "n_components")]
    if covariance_types is None:
        return [{"n_components": k} for k in sizes]
    checks.instance(estimator, "estimator (covariance_types are given)", GaussianMixture)
    names = checks.listed(covariance_types, "covariance_types")
    kinds = [checks.choice(kind, "covariance_types", COVARIANCE_TYPES) for kind in names]
    return [{"n_components": k, "covariance_type": kind} for kind in kinds for k in sizes]


def tosses(estimator: Any, trials: Any) -> dict[str, Any]:
    """trials, as an argument of estimators that take any."""
    if estimator._has_trials:
        return {"trials": trials}
    checks.no_trials(trials, type(estimator).__name__)
    return {}


def copied(estimator: Any, setting: dict[str, Any]) -> Any:
    return type(estimator)(**estimator.get_params(deep=False) | setting)


@dataclass(frozen=True, eq=False)
class Fits:
    """Mixtures of the same rows in several settings; a folder keeps them, if there is one."""

    estimator: Any
    data: dict[str, Any]
    folder: Path | None
    folds: int  # 0 where no rows are held out

    def along(self, settings: list[dict[str, Any]], split_merge: bool, tell: Callable[[Candidate], None]) -> list[Any]:
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

    def first(self, setting: dict[str, Any]) -> Any:
        """From the starts of the estimator, or what the folder has; with `held_out_`, if there are folds."""
        path = self._path(setting)
        known = path is not None and path.exists()
        mixture = load(path) if known else copied(self.estimator, setting).fit(**self.data)
        if self.folds and not hasattr(mixture, "held_out_"):
            mixture.held_out_ = held_out(self.estimator, setting, self.data, self.folds)
            known = False
        if not known:
            self._keep(setting, mixture)
        return mixture

    def bettered(self, setting: dict[str, Any], mixture: Any, neighbour: Any) -> Any:
        """The mixture, or the one that a split or a merge of its neighbour leads to, if that is a higher maximum."""
        size, tried = neighbour.n_components, getattr(mixture, "neighbours_", [])
        if size in tried or not adjoining(mixture, neighbour):
            return mixture
        other = go_on_from(copied(self.estimator, setting), neighbour.params_, self.data)
        best, worse = (other, mixture) if outdoes(other, mixture) else (mixture, other)
        best.starts_ = ranked([*best.starts_, *worse.starts_])
        best.neighbours_ = [*tried, size]
        if hasattr(mixture, "held_out_"):
            best.held_out_ = mixture.held_out_
        self._keep(setting, best)
        return best

    def _path(self, setting: dict[str, Any]) -> Path | None:
        return None if self.folder is None else self.folder / f"{'-'.join(map(str, setting.values()))}.npz"

    def _keep(self, setting: dict[str, Any], mixture: Any) -> None:
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
    """Is it a higher maximum, and not the same one again?  None with suspect components outdoes one without."""
    suspect, before = (len(each.diagnose().spurious) > 0 for each in (other, mixture))
    if suspect != before:
        return before
    return bool(other.log_posterior_ - mixture.log_posterior_ > APART * mixture.tol * mixture.counts_.sum())


def ranked(starts: list[Start]) -> list[Start]:
    """The best first, and behind them those that were screened out."""
    return sorted(starts, key=lambda start: (is_screened_out(start), -start.mean_loglik))


# ----------------------------------------------------------------------------------------------- rows that are held out


def held_out(estimator: Any, setting: dict[str, Any], data: dict[str, Any], folds: int) -> float:
    """-2 log likelihood of all rows, each under a fit without its fold."""
    deviance = 0.0
    for inside, outside in parts(arrays_of(estimator, data), folds):
        mixture = copied(estimator, setting).fit(**inside)
        weights = outside["sample_weight"]
        total = len(outside["X"]) if weights is None else weights.sum()
        deviance -= 2 * total * mixture.score(**outside)
    return float(deviance)


def arrays_of(estimator: Any, data: dict[str, Any]) -> dict[str, Any]:
    """The data as arrays with a place for each row."""
    X, weights = data["X"], data["sample_weight"]
    if "trials" in data:
        X, trials = inputs.counts(X, estimator._tosses(data["trials"]))
        arrays = {"X": X, "trials": trials}
    else:
        arrays = {"X": inputs.matrix(X, fitting=True)}
    return arrays | {"sample_weight": None if weights is None else inputs.sample_weights(weights, len(arrays["X"]))}


def parts(arrays: dict[str, Any], folds: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Rows to fit and rows to hold out, for each fold."""
    n = len(arrays["X"])
    inputs.enough_rows(n, folds)
    fold = np.random.default_rng(0).permutation(n) % folds
    for i in range(folds):
        yield taken(arrays, fold != i), taken(arrays, fold == i)


def taken(arrays: dict[str, Any], chosen: np.ndarray) -> dict[str, Any]:
    return {name: None if array is None else array[chosen] for name, array in arrays.items()}


# ------------------------------------------------------------------------------------------------------------ on disk


def opened(checkpoint: Any, estimator: Any, data: dict[str, Any], folds: int, split_merge: bool) -> Path:
    """The folder, if its mixtures are of these rows and settings."""
    folder = Path(checks.path(checkpoint, "checkpoint"))
    folder.mkdir(parents=True, exist_ok=True)
    identity, path = identity_of(estimator, data, folds) | {"split_merge": bool(split_merge)}, folder / IDENTITY
    if path.exists():
        checks.same_fit(read(path, KIND, LAYOUT)[0].get("identity"), identity, folder)
    else:
        write(path, KIND, LAYOUT, {"identity": identity}, {})
    return folder


def identity_of(estimator: Any, data: dict[str, Any], folds: int) -> dict[str, Any]:
    """Whose mixtures they are: what the candidates have in common."""
    without = WITHOUT_EFFECT - {"random_state"} | {"n_components"}
    settings = {name: value for name, value in estimator.get_params(deep=False).items() if name not in without}
    with estimator._open(data["X"], data.get("trials"), data["sample_weight"]) as rows:
        return {"class": type(estimator).__name__, **described(settings), "folds": folds, "data": rows.fingerprint()}
