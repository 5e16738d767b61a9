"""Every fault of this folder, two at a time; fails if one does.

python tests/torture/run_all.py                  all counts (half an hour)
TORTURE=small python tests/torture/run_all.py    smaller ones (minutes), as .ci/run does
"""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SCRIPTS = sorted(Path(__file__).parent.glob("fault_*.py"), reverse=True)
"""Sanitizers take longest, and are first."""
AT_ONCE = 2


def run(script):
    """Exit code, output, seconds."""
    begun = time.monotonic()
    run = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return run.returncode, run.stdout, time.monotonic() - begun


def main():
    failed = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for script, (code, output, seconds) in zip(SCRIPTS, pool.map(run, SCRIPTS), strict=True):
            sys.stdout.write(f"{output}{script.stem}: {'failed' if code else 'passed'} in {seconds:.0f} s\n")
            sys.stdout.flush()
            failed += [script.stem] * (code != 0)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
