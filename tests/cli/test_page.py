"""What the page of the command line shows below a command is what the command prints."""

import re
import shlex
import shutil
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHOWN = re.compile(r"^```shell\n(fastem .*)\n```\n\n(?:.+\n\n)?((?:    .*\n|\n)+)", re.MULTILINE)
"""A command, up to one paragraph, and what is indented below."""
FOUND = [match.groups() for match in SHOWN.finditer((ROOT / "docs" / "cli.md").read_text())]


def test_the_page_shows_what_commands_print():
    assert len(FOUND) >= 2


@pytest.mark.parametrize(("command", "shown"), FOUND)
def test_it_is_printed(command, shown, ran, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "examples" / "data", tmp_path / "examples" / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = ran(*shlex.split(command)[1:])
    assert code == 0
    assert textwrap.dedent(shown).strip() in out
