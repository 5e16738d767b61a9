"""The parameters of a mixture: what those of every family answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array, RowKind, State, SweepKernels
from fastem.families.fixed import Fixed, FixedLike
from fastem.families.weights import n_free_weights
from fastem.kernels.linear import dot

EQUAL = 1e-6
"""Components are equal where their parameters differ by less than this share of a standard deviation or a variance."""


class Chart(NamedTuple):
    """Coordinates of one parameter about a fit, in which the information of a row is the identity.

    They are the family's natural ones, scaled so that the information of a row that is known to be of a component is
    the identity on them (of a count, its trials).
    """

    name: str
    jacobians: Array  #              (k, m, m) parameters by coordinates; (1, m, m) where all components share them
    places: NDArray[np.intp]  #      shaped as the parameters: which of the coordinates' parameters each is
    inside: NDArray[np.bool_]  #     (k, m) or (1, m): off the boundary


@dataclass(frozen=True, eq=False)
class Params(ABC):
    """The parameters of a mixture of k components: an immutable value."""

    weights: Array  #: (k,)

    parameter_names: ClassVar[tuple[str, ...]]
    row_kind: ClassVar[RowKind]

    @classmethod
    def unchecked(cls, **values: object) -> Self:
        """Return parameters whose arrays need no check, since an M-step has made them."""
        found = object.__new__(cls)
        found.__dict__.update(values)
        return found

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError or TypeError where the values are not those of a mixture."""

    @property
    @abstractmethod
    def n_features(self) -> int:
        """The number of columns of a row."""

    @property
    def all_weights(self) -> Array:
        """The mixing weights (k,), and behind them that of a background, if there is one."""
        return self.weights

    @property
    def has_background(self) -> bool:
        """Whether there is a component of constant density, for rows that belong to no other."""
        return len(self.all_weights) > len(self.weights)

    def background_arrays(self) -> dict[str, Array]:
        """Return the arrays of a background, by name; none where there is no background."""
        return {}

    @property
    def weight_places(self) -> dict[str, NDArray[np.intp]]:
        """Return where each of the weights is among all of them, by the name that it has as a parameter."""
        return {"weights": np.arange(len(self.weights))}

    @property
    def labels(self) -> NDArray[np.intp]:
        """Return what the components are called that rows belong to: 0 .. k - 1, and -1 for a background."""
        return np.arange(len(self.weights))

    # ---- the sweep

    @property
    @abstractmethod
    def kernel(self) -> SweepKernels:
        """The kernels that read rows with these parameters."""

    def one_by_one(self) -> Self:
        """Return equal parameters as rows with gaps need them: a sweep shares nothing between components."""
        return self

    @abstractmethod
    def tables(self) -> tuple[Array, ...]:
        """Return what the kernels read."""

    def tables_of_component(self, c: int) -> tuple[Array, ...]:
        """Return the tables of a mixture that has this component alone, with its weight."""
        return tuple(table[c : c + 1] for table in self.tables())

    @property
    @abstractmethod
    def sums_length(self) -> int:
        """The number of sums of a sweep."""

    @abstractmethod
    def stats(self, sums: Array, single: bool = False) -> Any:
        """Return the statistics that these sums (sums_length,) of a kernel are; `single` where tiles are in float32."""

    @abstractmethod
    def float32_is_sufficient(self, tables: tuple[Array, ...]) -> bool:
        """Return whether sums over float32 rows may be taken in float32, a tile at a time."""

    def in_float32(self) -> Self:
        """Return equal parameters, with the kernels that are faster for float32 rows."""
        return self

    @abstractmethod
    def rounded_to_float32(self) -> Self:
        """Return these parameters rounded to float32 or, where that would be another model, as they are."""

    @abstractmethod
    def log_base_measure(self, *data: np.ndarray) -> Array | None:
        """Return (n,) the part of log p(x) that no parameter enters; None where there is none."""

    # ---- EM in a kernel

    def state(self) -> State:
        """Return copies of the parameters, for a kernel to write to: here of a family with one beside the weights."""
        (name,) = self.parameter_names[1:]
        return self.weights.copy(), np.array(getattr(self, name), np.float64, order="C"), np.empty(0)

    def with_state(self, weights: Array, location: Array, spread: Array) -> Self:
        """Return the parameters that a kernel has reached from this state."""
        (name,) = self.parameter_names[1:]
        return self.unchecked(weights=weights, **{name: location})

    def expected_log_weights(self) -> Array:
        """Return the logarithms of all mixing weights; minus infinity of a weight of 0."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.all_weights))

    # ---- coordinates

    @abstractmethod
    def to_vector(self, at: Self, fixed: FixedLike = ()) -> Array:
        """Return what is free as a vector without constraints, in the units of `at`."""

    def n_coordinates(self, fixed: Fixed) -> int:
        """Count the elements of `to_vector`."""
        return int(fixed.free("weights").sum()) + self._n_free(fixed)

    @abstractmethod
    def from_vector(self, vector: Array, fixed: FixedLike = ()) -> Self:
        """Return the parameters of which to_vector(self, fixed) is `vector`; what is fixed is that of self."""

    @abstractmethod
    def charts(self) -> tuple[Chart, ...]:
        """Return the coordinates of `standard_errors`, for each parameter but the weights."""

    @abstractmethod
    def scores(self, c: int, *data: np.ndarray) -> tuple[Array, Array]:
        """Return (n, m) slopes of component c's log density by the coordinates of the charts, and the information.

        The information (n, m) is what each row has on each coordinate.  Of a row that lacks values, slopes are what
        they are expected to be, given the values that are there.
        """

    def missing_information(self, c: int, shares: Array, *data: np.ndarray) -> Array | float:
        """Return (m, m) the information that `scores` ascribes to rows of these shares (n,), but that they lack.

        It is the covariance of the slopes, given the values that are there.
        """
        return 0.0

    @abstractmethod
    def sample(
        self, labels: np.ndarray, rng: np.random.Generator, trials: np.ndarray | int | None = None
    ) -> np.ndarray:
        """Draw a row (d,) from the component of each of labels (n,); trials are those of rows that have any."""

    # ---- free parameters

    def as_fixed(self, fixed: FixedLike) -> Fixed:
        """Parse what is fixed of these parameters."""
        return Fixed.parse(fixed, self.parameter_names, len(self.weights))

    @property
    def n_parameters(self) -> int:
        """The number of free parameters of the model."""
        return self.n_free()

    def n_free(self, fixed: FixedLike = ()) -> int:
        """Count the parameters that are not fixed; the sum of the weights is given."""
        parsed = self.as_fixed(fixed)
        return n_free_weights(parsed.free("weights")) + self._n_free(parsed)

    @abstractmethod
    def _n_free(self, fixed: Fixed) -> int:
        """Count the free parameters beside the weights."""

    @property
    def own_parameters(self) -> tuple[str, ...]:
        """The parameters that each component has of its own, beside its weight."""
        return self.parameter_names[1:]

    @property
    def n_own_parameters(self) -> int:
        """The number of parameters of one component, without its weight and without what all components share."""
        shared = [name for name in self.parameter_names if name not in self.own_parameters]
        return self.n_free(shared) // len(self.weights)

    # ---- components

    def order(self, by: str) -> NDArray[np.intp]:
        """Return the indices of the components in ascending order of a parameter.

        Vectors are ordered by their first element, then the second.
        """
        values: Array = getattr(self, by)
        return np.lexsort(values.reshape(len(values), -1).T[::-1])

    @abstractmethod
    def select(self, components: NDArray[np.intp]) -> Self:
        """Return these components, in this order, with the weights that they have."""

    def alone(self, component: int) -> Self:
        """Return a component as a mixture, with its weight: that of the rows which are known to be its own."""
        return self.select(np.array([component]))

    def without(self, component: int) -> Self:
        """Return the other components; their weights are scaled up."""
        rest = self.select(np.delete(np.arange(len(self.weights)), component))
        return rest.with_weights(rest.weights / rest.weights.sum())

    def split(self, donor: int, place: int | None = None) -> Self:
        """Return a mixture in which two halves of the donor take its place and that of another component.

        None for a place adds a component behind the last.
        """
        if place is not None:
            return self._split(donor, place)
        k = len(self.weights)
        longer = self.select(np.append(np.arange(k), donor))
        return longer.with_weights(np.append(self.weights, 0.0)).split(donor, k)

    @abstractmethod
    def _split(self, donor: int, place: int) -> Self:
        """Split the donor; the halves leave it the mean and the covariance that it had."""

    def merge(self, i: int, j: int) -> Self:
        """Return a mixture with one component, which has the moments of both, where i was, and none where j was.

        What all components share stays as it is.
        """
        one, weights = self._pair(i, j).pooled(), self.weights.copy()
        weights[i] += weights[j]
        values = {name: getattr(self, name).copy() for name in self.own_parameters}
        for name, value in values.items():
            value[i] = getattr(one, name)[0]
        merged = self._with(weights=weights, **values)
        return merged.select(np.delete(np.arange(len(weights)), j))

    def merge_loss(self, i: int, j: int) -> float:
        """Return what the mean log likelihood loses, at the most, where two components are merged (Runnalls 2007)."""
        pair, weights = self._pair(i, j), self.weights[[i, j]]
        return float(weights.sum() * pair.pooled().entropies()[0] - dot(weights, pair.entropies()))

    def merge_losses(self) -> Array:
        """Return (k, k), above the diagonal, the losses of all merges; infinite elsewhere, and of empty components."""
        losses = np.full((len(self.weights), len(self.weights)), np.inf)
        for i, j in combinations(np.flatnonzero(self.weights > 0).tolist(), 2):
            losses[i, j] = self.merge_loss(i, j)
        return losses

    def with_pair(self, donor: int, pair: Params) -> Self:
        """Return a mixture with one component more: the pair shares the weight of the donor, whose place it takes.

        The second of the pair comes behind the last; what all components share stays as it is.
        """
        k = len(self.weights)
        longer = self.select(np.append(np.arange(k), donor))
        return longer.with_weights(np.append(self.weights, 0.0)).with_components([donor, k], pair)

    def with_components(self, places: list[int], others: Params) -> Self:
        """Return a mixture in which others take these places, and share the weight that is there.

        What all components share stays as it is.
        """
        values = {name: np.array(getattr(self, name)) for name in ("weights", *self.own_parameters)}
        for name, value in values.items():
            value[places] = getattr(others, name)
        values["weights"][places] *= self.weights[places].sum()
        return self._with(**values)

    def joined(self, others: Params, share: float) -> Self:
        """Return a mixture of both, in which the others have this share of the weight.

        What all components share stays as it is.
        """
        weights = np.append((1 - share) * self.weights, share * others.weights)
        values = {
            name: np.concatenate([getattr(each, name) for each in (self, others)]) for name in self.own_parameters
        }
        return self._with(weights=weights, **values)

    def with_weights(self, weights: Array) -> Self:
        """Return the same components with other weights (k,)."""
        return self._with(weights=weights)

    def _with(self, **values: Array) -> Self:
        """Return the same with other values, which are parts of parameters and need no check."""
        return self.unchecked(**({each.name: getattr(self, each.name) for each in fields(self)} | values))

    def _pair(self, i: int, j: int) -> Self:
        """Return the mixture of two of the components."""
        pair = self.select(np.array([i, j]))
        return pair.with_weights(pair.weights / pair.weights.sum())

    @abstractmethod
    def pooled(self) -> Params:
        """Return one component that has the moments of the mixture."""

    @abstractmethod
    def entropies(self) -> Array:
        """Return (k,) the entropies of the components, up to a constant; of counts that of one trial."""

    def overlaps(self) -> Array | None:
        """Return (k, k) how probably a row of each component is taken for another's; None where no formula tells."""
        return None

    def equal_to_earlier(self) -> NDArray[np.bool_]:
        """Return (k,) whether a component before this one has the same parameters but for its weight.

        EM never separates such components: their responsibilities are the same but for a factor.
        """
        found, parameters = np.zeros(len(self.weights), np.bool_), self._in_units()
        for i in range(1, len(found)):
            near = np.arange(i)
            for own, unit in parameters:
                close = np.abs(own[near] - own[i]) <= EQUAL * np.maximum(unit[near], unit[i])
                near = near[close.reshape(len(near), -1).all(axis=1)]
                if not len(near):
                    break
            found[i] = len(near) > 0
        return found

    @abstractmethod
    def _in_units(self) -> list[tuple[Array, Array]]:
        """Return the parameters (k, ...) that each component has of its own, and the unit of each element."""

    def described(self) -> dict[str, Array]:
        """Return what a table of components shows of each feature (k, d): "mean", say, and "sd" if there is any."""
        name, variances = self.parameter_names[1], self.variances()
        location = {name.removesuffix("s"): np.asarray(getattr(self, name))}
        return location if variances is None else location | {"sd": np.sqrt(variances)}

    # ---- variances: of families that have any

    def variances(self) -> Array | None:
        """Return (k, d) the variances of the features; None where they follow from the other parameter."""
        return None

    def smallest_eigenvalue(self, component: int) -> float:
        """Return the smallest eigenvalue of the component's covariance; NaN where the family has none."""
        return float("nan")

    def relative_variances(self) -> tuple[Array, Array] | None:
        """Return the smallest and the largest variance (k,) of each component in any direction.

        They are relative to the mean variance in that direction; NaN where numbers do not reach.  None where the family
        has no variances.
        """
        return None

    def narrower_than(self, widths: Array) -> NDArray[np.bool_] | None:
        """Return (k,) whether a standard deviation of a component is below widths (d,).

        None where the likelihood has a bound without that.
        """
        return None

    def with_proven_variances(self, counts: Array, components: list[int], widths: Array) -> Self:
        """Return these parameters, with no more precision of some components than their rows prove.

        counts (k,) are the rows of the components, which have been rounded to `widths` (d,).
        """
        return self


def same(a: Params, b: Params) -> bool:
    """Return whether two params values are equal, bit for bit."""
    return a is b or (
        type(a) is type(b) and all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    )
