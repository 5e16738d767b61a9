"""Write to standard output and standard error, even if they are closed, full, or a pipe that nobody reads."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from fastem._printable import printable

STANDARD = "-"
"""The name that stands for standard input and output."""
SUCCESS, FAULT = 0, 1
"""Exit codes."""
EXPECTED_ERRORS = (
    ValueError, TypeError, OSError, ImportError, MemoryError, ArithmeticError, LookupError, RuntimeError
)  # fmt: skip
"""Errors of the input or the system.  Any other error is a fault of fastem, and is shown with its traceback."""


def keep_descriptors() -> None:
    """Open the descriptors 0, 1 and 2 if they are closed, lest a file gets one of them and with it error messages."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the life of the process


def write_message(text: str) -> None:
    """Write a line to standard error if that is possible; a failure must not end a fit."""
    try:
        sys.stderr.write(f"fastem: {printable(text)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        discard(sys.stderr)


def write_result(text: str) -> None:
    """Write a line to standard output."""
    with standard_output() as file:
        encoding = getattr(file, "encoding", None) or "utf-8"
        file.write(f"{text}\n".encode(encoding, "backslashreplace").decode(encoding))


@contextmanager
def standard_output() -> Iterator[IO[str]]:
    """Return standard output, and flush it at the end; OSError if it cannot be written."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "it is closed", "standard output")
    try:
        yield sys.stdout
        sys.stdout.flush()
    except OSError as error:
        discard(sys.stdout)
        if error.filename is None:
            error.filename = "standard output"
        raise


def discard(stream: IO[str]) -> None:
    """Discard what could not be written; Python would try again, and fail, when it ends."""
    with suppress(OSError, ValueError, io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split())
    if isinstance(error, (LookupError, RuntimeError)) or not text:  # the message alone says little
        return f"{type(error).__name__}: {text}".removesuffix(": ")
    return text
