"""Other people's packages on fastem: the same answers, and the time that they take.

    make clients                             writes the table into docs/works_under.md
    .venv/bin/python bench/bench_clients.py CLIENT ...  prints the lines of these

Each client (bench/clients/packages.py) is a process of its own.  One that cannot be installed, imported or run takes no
part, and its line says why.
"""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = HERE.parent / ".venv-clients" / "bin" / "python"
PAGE = HERE.parent / "docs" / "works_under.md"
BEGIN, END = "<!-- make clients writes from here -->", "<!-- to here -->"
PATIENCE = 600.0
"""Seconds for one client."""


def clients() -> dict[str, str]:
    """Return the package of each client, by the name of the client."""
    asked = "import json, packages; print(json.dumps({name: each.package for name, each in packages.CLIENTS.items()}))"
    found: dict[str, str] = json.loads(output(["-c", asked]).stdout)
    return found


def output(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run Python as the clients have it, with this tree's fastem."""
    paths = os.pathsep.join([str(HERE.parent), str(HERE / "clients")])
    return subprocess.run(
        [str(PYTHON), *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ | {"PYTHONPATH": paths, "PYTHONWARNINGS": "ignore"},
        check=False,
    )


def line(name: str, package: str) -> str:
    """Run a client; return its line of the table."""
    try:
        ran = output([str(HERE / "clients" / "packages.py"), name])
    except subprocess.TimeoutExpired:
        return absent(name, package, f"no answer in {PATIENCE:.0f} s")
    if ran.returncode:
        return absent(name, package, ran.stderr.strip().splitlines()[-1])
    found = json.loads(ran.stdout.splitlines()[-1])
    after = "-" if found["after"] is None else f"{found['after']:.2g}"
    return f"| {package} {found['version']} | {name} | {found['equal']} | {found['before']:.2g} | {after} |"


def absent(name: str, package: str, reason: str) -> str:
    """Return the line of a client that takes no part: why, without the paths of this machine."""
    told = reason.split(" (/")[0].replace("|", "/")
    return f"| {package} | {name} | takes no part: {told} | - | - |"


def write(lines: list[str]) -> None:
    """Put the table between the marks of the page."""
    before, rest = PAGE.read_text().split(BEGIN)
    head = ["| package | what is run | equal | before, s | after, s |", "|---|---|---|---|---|"]
    told = [f"Measured on {date.today():%d %B %Y}.", "", *head, *lines]
    PAGE.write_text(before + BEGIN + "\n\n" + "\n".join(told) + "\n\n" + END + rest.split(END)[1])


def main(names: list[str]) -> None:
    known, lines = clients(), []
    for name in names or known:
        lines.append(line(name, known[name]))
        print(lines[-1], flush=True)
    if not names:
        write(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
