"""``python -m fastem.patched script.py args...``: run a script, or -m and a module, on fastem's mixtures."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from fastem.estimators.sklearn_patch import patch_sklearn

USAGE = "usage: python -m fastem.patched (script.py | -m module) [args...]"


def main(arguments: list[str]) -> None:
    """Run what the arguments say as the main module, with scikit-learn's mixtures replaced."""
    is_module = arguments[:1] == ["-m"]
    sys.argv = arguments[is_module:]
    if not sys.argv or (sys.argv[0].startswith("-") and not is_module):
        raise SystemExit(USAGE)
    patch_sklearn()
    if is_module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return
    if not sys.flags.safe_path:
        sys.path[0] = str(Path(sys.argv[0]).resolve().parent)  # as of a script that Python itself runs
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
