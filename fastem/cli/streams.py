"""What a command tells, on standard output and error as they may be: closed, full, or a pipe that nobody reads."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

FAULTS = (
    ValueError, TypeError, OSError, ImportError, MemoryError, ArithmeticError, LookupError, RuntimeError
)  # fmt: skip
"""What input or the system may be at fault for.  Any other error is fastem's own, and is shown with its traceback."""


def keep_descriptors() -> None:
    """Have 0, 1 and 2 taken, so that no file that is opened later becomes what libraries write their errors to."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the life of the process


def message(text: str) -> None:
    """A line on standard error, if it can be written: no message is worth a fit."""
    try:
        sys.stderr.write(f"fastem: {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        let_go(sys.stderr)


def result(text: str) -> None:
    """A line on standard output."""
    with standard_output() as file:
        encoding = getattr(file, "encoding", None) or "utf-8"
        file.write(f"{text}\n".encode(encoding, "backslashreplace").decode(encoding))


@contextmanager
def standard_output() -> Iterator[IO[str]]:
    """To be written to; OSError where what was written does not arrive."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "it is closed", "standard output")
    try:
        yield sys.stdout
        sys.stdout.flush()
    except OSError as error:
        let_go(sys.stdout)
        if error.filename is None:
            error.filename = "standard output"
        raise


def let_go(stream: IO[str]) -> None:
    """What could not be written is dropped: Python would try once more when it ends, and fail."""
    with suppress(OSError, ValueError, io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def sentence(error: BaseException) -> str:
    """An error in one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split())
    if isinstance(error, (LookupError, RuntimeError)) or not text:  # whose words alone say little
        return f"{type(error).__name__}: {text}".removesuffix(": ")
    return text
