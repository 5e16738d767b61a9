"""Run the command line, and end the process with an exit code and without a traceback.

What takes long to import is imported by `main`, so that an interruption during the imports is reported, too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from fastem.cli.streams import EXPECTED_ERRORS, keep_descriptors, one_line, standard_output, write_message
from fastem.estimators import sklearn_wanted

BAD_INPUT, INTERRUPTED, CLOSED_PIPE = 2, 130, 141
"""Exit codes; the last two are those of a shell for SIGINT and SIGPIPE."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code."""
    keep_descriptors()
    try:
        try:
            return run(arguments)
        finally:
            if sys.stdout is not None:
                with standard_output():
                    pass  # flush what argparse has written
    except BrokenPipeError:
        return CLOSED_PIPE
    except KeyboardInterrupt:
        write_message("interrupted")
        return INTERRUPTED
    except EXPECTED_ERRORS as error:
        write_message(f"error: {one_line(error)}")
        return BAD_INPUT


def run(arguments: Sequence[str] | None) -> int:
    """Parse the arguments, and run the command, whose modules are loaded only then."""
    args = import_module("fastem.cli.arguments").parse(arguments)
    sklearn_wanted.wanted = "sklearn" in sys.modules
    if args.command != "bench" and "numpy" not in sys.modules:  # bench times scikit-learn, whose arithmetic is BLAS
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # fastem calls no BLAS; its threads take 0.1 s to start
    return int(import_module("fastem.cli.commands").run(args))
