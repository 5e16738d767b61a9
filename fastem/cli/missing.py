"""Which cells of a table stand for missing values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

USUAL = ("", "na", "nan", "null")
"""Words that always stand for missing values, in capital letters or not."""
LIKELY = {*USUAL, "n/a", "none", "?", "-", "."}
"""Words that probably do, if they are not expected."""


@dataclass(frozen=True)
class Missing:
    """The words that stand for missing values, and whether such values are accepted."""

    words: frozenset[str] = field(default_factory=lambda: frozenset(USUAL))
    accepted: bool = False
    kept: bool = False
    """Whether rows count with what they have, and are not left out."""

    @classmethod
    def of(cls, words: Iterable[str], dropped: bool, kept: bool) -> Missing:
        """Add words to the usual ones."""
        return cls(frozenset(USUAL).union(word.strip().lower() for word in words), dropped or kept, kept)

    def __contains__(self, cell: str) -> bool:
        return cell.strip().lower() in self.words

    def is_likely(self, cell: str) -> bool:
        """Return whether a cell probably stands for a missing value."""
        return cell in self or cell.strip().lower() in LIKELY

    @property
    def numbers(self) -> list[float]:
        """Return the words that are numbers, such as -9."""
        return [number for word in self.words if (number := as_float(word)) is not None]

    @property
    def has_numbers(self) -> bool:
        """Whether a number may stand for a missing value."""
        return bool(self.numbers)


def as_float(word: str) -> float | None:
    """Convert a word to a number; None if it is none, or NaN."""
    try:
        number = float(word)
    except ValueError:
        return None
    return number if number == number else None
