"""Put fastem's mixtures where scikit-learn's are, in every module that has them, and take them back."""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Iterator
from types import ModuleType, TracebackType
from typing import Any, NamedTuple

from fastem.estimators.bayesian_mixture import BayesianGaussianMixture
from fastem.estimators.gaussian_mixture import GaussianMixture
from fastem.estimators.sklearn_counterparts import ORIGINALS, OURS, STANDING_IN, original

WHY = "patch_sklearn"


class Name(NamedTuple):
    """A name of a module that has been given another class."""

    namespace: dict[str, object]
    name: str
    original: type
    ours: type


REPLACED: list[Name] = []
"""The names that are patched now."""


class Patch:
    """A patch that has been made, and ends with the `with` statement in which it is used."""

    def __init__(self, is_new: bool) -> None:
        self.is_new = is_new

    def __enter__(self) -> None:
        """Do nothing: the patch is made when it is called for."""

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self.is_new:
            unpatch_sklearn()


def patch_sklearn() -> Patch:
    """Put fastem's mixtures in the place of scikit-learn's, for all code that imports those or has imported them.

    From this call on `sklearn.mixture.GaussianMixture` and `BayesianGaussianMixture` are fastem's, and so are the names
    by which loaded modules know them.  Objects and subclasses that are there already stay what they are.  A second call
    changes nothing.

    Returns
    -------
    context manager
        In a `with` statement the patch ends with it, unless it was made before.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.

    Examples
    --------
    >>> import fastem, sklearn.mixture
    >>> with fastem.patch_sklearn():
    ...     sklearn.mixture.GaussianMixture is fastem.GaussianMixture
    True
    >>> sklearn.mixture.GaussianMixture is fastem.GaussianMixture
    False
    """
    if REPLACED:
        return Patch(is_new=False)
    for ours in (GaussianMixture, BayesianGaussianMixture):
        theirs = original(ours, WHY)
        REPLACED.extend(names_of(theirs, ours))
        copyreg.pickle(theirs, reduced)  # type: ignore[arg-type]  # mypy: any class
        STANDING_IN.add(ours)
    for each in REPLACED:
        each.namespace[each.name] = each.ours
    return Patch(is_new=True)


def unpatch_sklearn() -> None:
    """Give all names back to scikit-learn's mixtures that `patch_sklearn` has taken; without a patch, do nothing.

    Modules that were first imported while the patch was there keep what they have imported.

    Examples
    --------
    >>> import fastem, sklearn.mixture
    >>> patch = fastem.patch_sklearn()
    >>> fastem.unpatch_sklearn()
    >>> sklearn.mixture.GaussianMixture is fastem.GaussianMixture
    False
    """
    for namespace, name, theirs, ours in REPLACED:
        if namespace.get(name) is ours:
            namespace[name] = theirs
    for ours in STANDING_IN:
        copyreg.dispatch_table.pop(ORIGINALS[ours], None)
    REPLACED.clear()
    STANDING_IN.clear()


def names_of(theirs: type, ours: type) -> Iterator[Name]:
    """Yield the names that loaded modules have for a class of scikit-learn."""
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):
            namespace = object.__getattribute__(module, "__dict__")  # loads no module that waits for its first use
            for name, value in list(namespace.items()):
                if value is theirs:
                    yield Name(namespace, name, theirs, ours)


def reduced(mixture: Any) -> tuple[object, ...]:
    """Return what a pickle of a mixture of scikit-learn's is made again from, while its name is that of ours."""
    return made_again, (type(mixture).__name__,), mixture.__getstate__()


def made_again(name: str) -> object:
    """Return an instance of scikit-learn's class of this name, without attributes."""
    theirs = original(OURS[name], "a mixture of scikit-learn")
    return object.__new__(theirs)
