"""A fit is killed with SIGKILL at random moments and gone on with: the bits are those of one that was not stopped."""

import sys
import tempfile
from pathlib import Path

from builds import ROOT, SMALL

sys.path.append(str(ROOT / "tests"))

from support.stopping import killed_and_resumed

KILLS = 10 if SMALL else 50
AT_A_TIME = 10
"""Kills of one fit, which then ends: so that they meet its beginning, its starts and its end."""
ITERATIONS = 700
"""Of each of its starts: the fit takes about as long as the kills leave it."""


def main():
    met = 0
    for seed in range(KILLS // AT_A_TIME):
        with tempfile.TemporaryDirectory() as place:
            met += killed_and_resumed(Path(place), AT_A_TIME, seed, ITERATIONS)
    assert met > KILLS // 2, "most kills came when the fit had ended: they are of no use"
    sys.stdout.write(f"{KILLS} kills, {met} of them in a fit: the same bits each time\n")


if __name__ == "__main__":
    main()
