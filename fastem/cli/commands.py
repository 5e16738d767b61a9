"""Run a command: the function of its name, in the module of its name."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from fastem.cli.streams import write_message


def run(args: argparse.Namespace) -> int:
    """Run a command, and return its exit code."""
    command = getattr(import_module(f"fastem.cli.{args.command}"), args.command)
    with warnings_as_messages():
        return int(command(args))


@contextmanager
def warnings_as_messages() -> Iterator[None]:
    """Write warnings to standard error, a line each, without the place in the code."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = lambda warning, *_, **__: write_message(f"warning: {' '.join(str(warning).split())}")
        yield
