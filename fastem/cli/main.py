"""The command line: what ends a command, and with which exit code.

Nothing is imported here that takes its time: commands.py is, where an interruption is told.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from fastem.cli.streams import FAULTS, keep_descriptors, message, sentence, standard_output

BAD_INPUT, INTERRUPTED, CLOSED_PIPE = 2, 130, 141
"""Exit codes; the last two are those of a shell for SIGINT and SIGPIPE."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command -> its exit code."""
    keep_descriptors()
    try:
        try:
            return int(import_module("fastem.cli.commands").run(arguments))
        finally:
            if sys.stdout is not None:
                with standard_output():
                    pass  # what argparse has written, too, has to arrive
    except BrokenPipeError:
        return CLOSED_PIPE
    except KeyboardInterrupt:
        message("interrupted")
        return INTERRUPTED
    except FAULTS as error:
        message(f"error: {sentence(error)}")
        return BAD_INPUT
