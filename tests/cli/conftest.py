"""Fixtures of the tests of this folder."""

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from support.command_line import COLUMNS, X, as_csv

from fastem.cli import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The same rows in all formats; it is the current folder."""
    (tmp_path / "rows.csv").write_text(as_csv(COLUMNS))
    pyarrow.parquet.write_table(pyarrow.table(COLUMNS), tmp_path / "rows.parquet")
    np.save(tmp_path / "rows.npy", X)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ran(capsys):
    """Run a command -> exit code, standard output, lines of standard error."""

    def run(*arguments):
        code = main.main(arguments)
        out, err = capsys.readouterr()
        return code, out, err.splitlines()

    return run
