"""Public classes say that they are of `fastem`, wherever they are written."""

from typing import TypeVar

T = TypeVar("T")


def public(kind: type[T]) -> type[T]:
    """Name the package as the module of a class, so that pickles and tracebacks do not depend on the layout."""
    kind.__module__ = "fastem"
    return kind
