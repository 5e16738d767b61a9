"""Any input: the laws of tests/properties on as many random inputs as there is patience for, new ones each time.

With TORTURE=small they are always the same ones: what CI says of a commit depends on the commit alone.
"""

import subprocess
import sys

from builds import PYTEST, ROOT, SMALL

PROFILE = "torture-small" if SMALL else "torture"


def main():
    laws = sorted((ROOT / "tests" / "properties").glob("test_fuzz*.py"))
    subprocess.run([sys.executable, *PYTEST, *laws, f"--hypothesis-profile={PROFILE}"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
