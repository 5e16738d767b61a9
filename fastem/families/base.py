"""What a mixture is made of: the contract of a family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastem._typing import Array, MStep, RowKind
from fastem.data.base import Posterior
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.families.fixed import Fixed
from fastem.families.params import Params
from fastem.families.stats import Stats
from fastem.validation.settings import check_instance

P = TypeVar("P", bound=Params)
S = TypeVar("S", bound=Stats[Any])
P_contra = TypeVar("P_contra", bound=Params, contravariant=True)
S_co = TypeVar("S_co", bound=Stats[Any], covariant=True)


class Prior(Protocol[P_contra, S_co]):
    """A prior of the parameters of a family, as statistics of rows that nobody has seen."""

    def stats(self, params: P_contra) -> S_co:
        """Return what the prior adds to the statistics of the rows at these parameters; loglik is its log density."""

    def terms(self, params: P_contra) -> Array:
        """Return the prior of parameters like these as numbers, which an `iterate` kernel reads."""


class Family(ABC, Generic[P, S]):
    """What a mixture is made of: an immutable value, with the settings of its model.

    It joins the three values of a family: parameters, their sufficient statistics, and a prior.  `fitting` asks it for
    starts and M-steps, and never which family it is.

    Examples
    --------
    >>> import numpy as np
    >>> from fastem.families.gaussian.family import GaussianFamily
    >>> from fastem.data.open import open_rows
    >>> family = GaussianFamily(covariance_type="diag")
    >>> rows = open_rows(np.array([[0.0], [1.0], [9.0], [10.0]]), fitting=True)
    >>> start = family.start(rows, 2, method="kmeans", rng=np.random.default_rng(0))
    >>> family.maximize(rows.sweep(start)).means.ravel().round(3)
    array([0.5, 9.5])
    """

    name: ClassVar[str]
    """The name by which users choose it, and the registry finds it."""
    params_type: ClassVar[type[Params]]
    stats_type: ClassVar[type[Stats[Any]]]
    prior_type: ClassVar[type[Prior[Any, Any]]]
    row_kind: ClassVar[RowKind]
    parameter_names: ClassVar[tuple[str, ...]]
    """Fields of `params_type`, the weights first."""
    init_names: ClassVar[tuple[str, ...]]
    """What a start may be given: settings {name}_init of the estimator."""
    start_methods: ClassVar[tuple[str, ...]]
    """Values of init_params."""
    covariance_types: ClassVar[tuple[str, ...]] = ()
    """Values of covariance_type; none where components have no covariances."""

    may_be_empty: ClassVar[bool] = False
    """Whether a good fit may leave components without rows."""
    has_iterate: ClassVar[bool] = True
    """Whether the kernels of small fits know its M-step."""

    def for_rows(self, rows: RowSource, rng: np.random.Generator) -> Self:
        """Return the family with settings that depend on the rows as numbers."""
        return self

    def prior_of(self, prior: Prior[P, S] | None) -> Prior[P, S] | None:
        """Return the prior of a fit: that of its settings, unless the family has its own."""
        return prior

    @abstractmethod
    def check_init(self, init: Mapping[str, ArrayLike], k: int, n_features: int) -> None:
        """Raise ValueError or TypeError where values by `init_names` are none that k components can start from."""

    def check_prior(self, prior: object, k: int, n_features: int) -> None:
        """Raise ValueError or TypeError where this is no prior of a mixture of this family."""
        check_instance(prior, "prior", self.prior_type)

    def init_of_prior(self, prior: object) -> Mapping[str, Array]:
        """Return where a prior that tells components apart has them begin, by `init_names`; nothing of others."""
        return {}

    @abstractmethod
    def start(
        self,
        rows: RowSource,
        k: int,
        *,
        method: str,
        rng: np.random.Generator,
        first: bool = True,
        init: Mapping[str, ArrayLike] | None = None,
    ) -> P:
        """Return the parameters that a fit of k components begins with.

        Parameters
        ----------
        rows : rows of the fit
            Some of them are drawn, where there are many.
        k : int
        method : str
            One of `start_methods`.
        rng : Generator
        first : bool, default=True
            Whether this is the first of several starts: a method that draws nothing finds one start only.
        init : mapping of str to array-like, default=None
            Values by `init_names`, which the start takes as they are; rows of NaN in them are found by `method`.
        """

    def params_of(self, arrays: Mapping[str, Array]) -> P:
        """Return parameters of these arrays, by the names of their fields."""
        found: Any = self.params_type(**arrays)
        return cast(P, found)

    def beginnings(self, rows: Rows, k: int, rng: np.random.Generator) -> Iterator[P]:
        """Yield the parameters that a search for k components begins with, from the quickest on."""
        yield self.start(rows, k, method="auto", rng=rng)
        yield self.start(rows, k, method="random", rng=rng)

    def clusters(self, rows: Rows, m: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return labels (n,) of rows that are cut into m clusters, roughly."""
        centers = self.start(rows, m, method="kmeans", rng=rng)
        return rows.posterior(centers, "labels").labels.astype(np.intp)

    def of_one_component(self) -> Family[Any, Any]:
        """Return the family of mixtures of the rows of one component: none of their parameters are shared."""
        return self

    @abstractmethod
    def of_parts(self, rows: Rows, labels: NDArray[np.intp], k: int) -> P:
        """Return the M-step on rows that are each of one component (n,), 0 .. k - 1; near it, at a border."""

    def splits(
        self,
        rows: Rows,
        params: P,
        labels: NDArray[np.int32],
        components: list[int],
        rng: np.random.Generator,
        *,
        least: int,
        most: int,
        trial: int,
        iterations: int,
    ) -> list[tuple[float, P]] | None:
        """Return the best split of each component: the gain of the log likelihood of its rows, and the pair.

        labels (n,) are the components of the rows.  One with less than `least` rows has gain -inf; at most `most` rows
        of each are looked at.  EM runs for `trial` iterations from each beginning, and so many in all from the best.
        None where no kernel does it: then try `pairs`.
        """
        return None

    def partial_runs(
        self,
        rows: Rows,
        known: Posterior,
        mixture: P,
        starts: list[tuple[list[int], P]],
        *,
        foreign: float,
        iterations: int,
    ) -> list[tuple[float, P]] | None:
        """Run EM of a few components from each start, on the rows with what the rest of a mixture leaves of them.

        A start has the places of these components in the mixture, of which `known` are resp and log_prob of the rows.
        Returns what the log likelihood gains, and where EM leads.  A row of which the components have no more than
        `foreign` is not looked at.  None where no kernel does it.
        """
        return None

    def pairs(self, rows: Rows, one: P, rng: np.random.Generator) -> Iterator[P]:
        """Yield pairs of components that may take the place of one, with the rows of this one."""
        yield one.split(0)

    def warn_of_rows(self, rows: RowSource, k: int) -> None:
        """Warn where rows cannot tell k components apart, whatever they hold."""

    def begun(self, params: P) -> P:
        """Return where a fit begins after an M-step on labels, which know no background."""
        return params

    @abstractmethod
    def maximize(self, stats: S, fixed: Fixed | None = None) -> P:
        """Return the parameters that the M-step reaches."""

    def m_step(self, params: P, fixed: Fixed, prior: Prior[P, S] | None = None) -> MStep:
        """Return what the M-step must know that a kernel takes, in the units of these parameters."""
        masks = [fixed.mask(name) for name in self.parameter_names] if fixed else np.empty((0, len(params.weights)))
        terms = np.empty(0) if prior is None else prior.terms(params)
        return MStep(np.empty(0), np.asarray(masks, np.int8), 0, np.empty((0, 0)), terms)

    def apply_floor(self, proposal: P, reached: P, fixed: Fixed | None = None, *, has_missing: bool = False) -> P:
        """Return extrapolated parameters with no variance below what the M-step that led to `reached` leaves one.

        has_missing says that rows lack values.
        """
        return proposal

    def collapsed(self, params: P) -> NDArray[np.bool_]:
        """Return (k,) which components have no extent of their own.  Components of counts always have."""
        return np.zeros(len(params.weights), np.bool_)
