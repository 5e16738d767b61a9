"""fastem's mixtures as subclasses of scikit-learn's classes of the same names, from when these are loaded."""

from __future__ import annotations

import sys
from abc import ABCMeta
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TypeVar

from fastem.estimators import sklearn_wanted

T = TypeVar("T")

MIXTURES = "sklearn.mixture"
OURS: dict[str, type] = {}
"""Classes of fastem that have a counterpart in scikit-learn, by the name of both."""
ORIGINALS: dict[type, type] = {}
"""scikit-learn's counterparts of these classes, once they are loaded."""
STANDING_IN: set[type] = set()
"""Those of these classes that stand where scikit-learn's have stood: see sklearn_patch."""


class Counterpart(ABCMeta):
    """The type of a class that may stand in for scikit-learn's, whose instances are then taken for its own."""

    def __instancecheck__(cls, instance: object) -> bool:
        return super().__instancecheck__(instance) or (cls in STANDING_IN and isinstance(instance, ORIGINALS[cls]))


def counterpart(kind: type[T]) -> type[T]:
    """Have scikit-learn take a class for a subclass of its own of the same name, now or when it is loaded."""
    OURS[kind.__name__] = kind
    if MIXTURES in sys.modules:
        register(import_module(MIXTURES))  # waits, where another thread is loading it
    elif sklearn_wanted.wanted and not any(isinstance(each, AfterLoading) for each in sys.meta_path):
        sys.meta_path.insert(0, AfterLoading())
    return kind


def register(mixtures: ModuleType) -> None:
    """Register the classes of fastem as virtual subclasses of scikit-learn's, each once."""
    for name, kind in OURS.items():
        if kind not in ORIGINALS:
            ORIGINALS[kind] = getattr(mixtures, name)
            ABCMeta.register(ORIGINALS[kind], kind)  # type: ignore[arg-type]  # mypy: an ABCMeta


def original(kind: type, why: str) -> type:
    """Return scikit-learn's counterpart of a class or of the one that it is derived from, whatever is patched.

    ImportError where scikit-learn is not installed says why it is needed.
    """
    try:
        register(import_module(MIXTURES))
    except ImportError as error:
        raise ImportError(f"{why} needs scikit-learn: pip install scikit-learn") from error
    return next(ORIGINALS[each] for each in kind.__mro__ if each in ORIGINALS)


class AfterLoading(MetaPathFinder):
    """Finds scikit-learn's mixtures as all other finders do, and has the classes registered once they are loaded.

    It goes when it has done so.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what another finder says of scikit-learn's mixtures, and None for all other modules."""
        if fullname != MIXTURES:
            return None
        others = [each for each in sys.meta_path if each is not self]
        spec = next(filter(None, (each.find_spec(fullname, path, target) for each in others)), None)
        if spec is not None and spec.loader is not None:
            spec.loader = RegisteringLoader(spec.loader, self)
        return spec


class RegisteringLoader(Loader):
    """Loads a module as its own loader does, which it leaves as the module's, and registers the classes then."""

    def __init__(self, own: Loader, finder: AfterLoading) -> None:
        self.own, self.finder = own, finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return what the module's own loader makes."""
        return self.own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, and register the classes."""
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self.own
        self.own.exec_module(module)
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
        register(module)
