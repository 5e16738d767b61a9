"""Text of a user's files as it may be shown: a terminal obeys control characters, and must get none of them."""

from __future__ import annotations

import re
from importlib import import_module

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, ends of lines and paragraphs, changes of the direction of writing, and bytes that are no text."""


def printable(text: str) -> str:
    r"""Return a text with control characters as Python writes them, such as \x1b, which begins escape sequences."""
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def in_html(text: str) -> str:
    """Return a text as HTML has it; what knows how takes its time to import, and is of no use but in notebooks."""
    return str(import_module("html").escape(text))
