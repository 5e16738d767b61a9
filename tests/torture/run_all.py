"""Every fault of this folder, one after the other; fails if one does.

python tests/torture/run_all.py                  all counts (half an hour)
TORTURE=small python tests/torture/run_all.py    smaller ones (minutes), as .ci/run does
"""

import subprocess
import sys
import time
from pathlib import Path


def main():
    failed = []
    for script in sorted(Path(__file__).parent.glob("fault_*.py")):
        begun = time.monotonic()
        code = subprocess.run([sys.executable, str(script)]).returncode
        sys.stdout.write(f"{script.stem}: {'failed' if code else 'passed'} in {time.monotonic() - begun:.0f} s\n")
        sys.stdout.flush()
        failed += [script.stem] * (code != 0)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
