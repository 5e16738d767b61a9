"""The command line and the system: what it writes is whole or not there, and what it reads is not lost."""

import os
import subprocess
import sys

import numpy as np
import pytest

import fastem
from fastem import _storage
from fastem.cli import fit as fit_command
from fastem.cli import main, writing
from fastem.cli import predict as predict_command
from fastem.cli.destinations import check_destinations

posix = pytest.mark.skipif(os.name != "posix", reason="other systems have no such files")
ROWS = "a,b\n" + "".join(f"{i % 7},{i % 5}\n" for i in range(70))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder: a table and a model of it."""
    (tmp_path / "rows.csv").write_text(ROWS)
    fastem.GaussianMixture(1).fit(np.loadtxt(ROWS.splitlines()[1:], delimiter=",")).save(tmp_path / "model.npz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ran(capsys):
    """Run a command -> exit code, standard output, standard error."""

    def run(*arguments):
        return (main.main(arguments), *capsys.readouterr())

    return run


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def no_fit(*_, **__):
    raise AssertionError("a fit that cannot be kept has begun")


# ------------------------------------------------------------------------------------------------------- destinations


@pytest.mark.parametrize("name", ["rows.csv", "./rows.csv", "symbolic.csv", "hard.csv"])
@pytest.mark.parametrize("option", ["--out", "--plot"])
def test_a_table_is_not_written_over(option, name, folder, ran, monkeypatch):
    monkeypatch.setattr(fit_command, "select", no_fit)
    (folder / "symbolic.csv").symlink_to("rows.csv")
    (folder / "hard.csv").hardlink_to("rows.csv")
    assert ran("fit", "rows.csv", option, name) == (
        2, "", f"fastem: error: {name} cannot be written: it is read, and would be lost\n"
    )  # fmt: skip
    assert (folder / "rows.csv").read_text() == ROWS


@pytest.mark.parametrize("name", ["model.npz", "rows.csv"])
def test_predictions_are_not_written_over_what_they_are_of(name, folder, ran):
    before = contents(folder)
    code, _, err = ran("predict", "model.npz", "rows.csv", "--out", name)
    assert (code, err) == (2, f"fastem: error: {name} cannot be written: it is read, and would be lost\n")
    assert contents(folder) == before


def test_nothing_is_written_into_a_folder_that_is_read(folder):
    (folder / "rows").mkdir()
    (folder / "link").symlink_to("rows")
    with pytest.raises(ValueError, match="it is read, and would be lost"):
        check_destinations(["rows"], "link/model.npz")


def test_a_model_and_its_picture_are_two_files(folder, ran, monkeypatch):
    monkeypatch.setattr(fit_command, "select", no_fit)
    code, _, err = ran("fit", "rows.csv", "--out", "x.png", "--plot", "./x.png")
    assert (code, err) == (2, "fastem: error: two results cannot be written to the same file, x.png\n")


def full(*_):
    raise OSError(28, "No space left on device")


@posix
@pytest.mark.parametrize("command", [["fit", "rows.csv"], ["predict", "model.npz", "rows.csv"]])
@pytest.mark.parametrize("name", ["loop", "/proc/model.npz", "x.npz"])
def test_a_destination_is_tried_before_the_fit(name, command, folder, ran, monkeypatch):
    monkeypatch.setattr(fit_command, "select", no_fit)
    monkeypatch.setattr(predict_command, "load", no_fit)
    (folder / "loop").symlink_to("loop")
    if name == "x.npz":
        monkeypatch.setattr(_storage.os, "fsync", full)
    before = contents(folder)
    code, out, err = ran(*command, "--out", name)
    assert (code, out) == (2, "")
    assert err.startswith(f"fastem: error: {name}: ")
    assert contents(folder) == before


def test_a_disk_that_fills_during_the_fit_does_not_cost_it(folder, ran, monkeypatch):
    fit = fit_command.select

    def filling(*args, **options):
        monkeypatch.setattr(_storage.os, "fsync", full)
        return fit(*args, **options)

    code, expected, _ = ran("fit", "rows.csv", "-k", "1")
    before = contents(folder)
    monkeypatch.setattr(fit_command, "select", filling)
    code, out, err = ran("fit", "rows.csv", "-k", "1", "--out", "model.npz", "--plot", "x.png")
    assert (code, out) == (2, expected)
    assert err.splitlines() == [f"fastem: error: {name}: No space left on device" for name in ("model.npz", "x.png")]
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["found.csv", "found.json", "found.parquet"])
def test_predictions_are_written_whole_or_not_at_all(name, folder, ran, monkeypatch):
    assert ran("predict", "model.npz", "rows.csv", "--out", name)[0] == 0
    before = contents(folder)

    def stopped(file, columns, *_):
        file.write(b"half of it" if name.endswith("parquet") else "half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, f"write_{name.split('.')[1]}", stopped)
    assert ran("predict", "model.npz", "rows.csv", "--out", name) == (130, "", "fastem: interrupted\n")
    assert contents(folder) == before


@pytest.mark.process
@posix
def test_predictions_go_into_pipes_and_devices(folder, ran):
    _, expected, _ = ran("predict", "model.npz", "rows.csv")
    assert ran("predict", "model.npz", "rows.csv", "--out", "/dev/null") == (0, "", "")
    os.mkfifo("pipe")
    with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE, text=True) as cat:
        assert ran("predict", "model.npz", "rows.csv", "--out", "pipe") == (0, "", "")
        assert cat.communicate()[0] == expected


# ------------------------------------------------------------------------------------------------------------- models


@posix
@pytest.mark.parametrize("read", [fastem.load, fastem.load_stats, lambda path: checkpointed(path)])
@pytest.mark.parametrize("name", ["/dev/zero", "rows.csv", "empty", "sparse"])
def test_what_is_no_model_is_refused_by_its_first_bytes(name, read, folder):
    (folder / "empty").touch()
    with open("sparse", "wb") as file:
        file.truncate(1 << 42)  # four terabytes, which no disk has to hold
    with pytest.raises(ValueError, match="not a file of fastem"):
        read(name)


def checkpointed(path):
    return fastem.GaussianMixture(1, checkpoint=path).fit([[1.0], [2.0]])


@posix
def test_a_loop_of_links_is_an_error_of_the_system(folder):
    (folder / "loop").symlink_to("loop")
    mixture = fastem.GaussianMixture(1).fit([[1.0], [2.0]])
    for use in (mixture.save, fastem.load, checkpointed):
        with pytest.raises(OSError, match="loop"):
            use("loop")


def test_a_name_may_be_as_long_as_the_system_allows(folder):
    name = "\u5b57" * 83 + ".npz"  # of three bytes each
    fastem.GaussianMixture(1).fit([[1.0], [2.0]]).save(name)
    assert fastem.load(name).means_ == 1.5


# ------------------------------------------------------------------------------------------------------------ columns


def test_a_wrong_name_of_many_is_told_with_those_like_it(folder, ran):
    names = [f"column{i}" for i in range(5000)]
    (folder / "wide.csv").write_text(f"{','.join(names)}\n{','.join('1' * 5000)}\n")
    code, _, err = ran("fit", "wide.csv", "--columns", "colum17")
    assert code == 2
    assert err.startswith(
        "fastem: error: wide.csv has no column 'colum17'; it has 5000 columns; similar names: column17, "
    )
    assert len(err) < 200


def test_columns_of_one_name_are_chosen_by_number_and_found_again(folder, ran):
    (folder / "twice.csv").write_text(ROWS.replace("b", "a", 1))
    code, out, _ = ran("fit", "twice.csv", "--columns", "0,1", "-k", "1", "--out", "twice.npz")
    assert code == 0
    expected = ran("fit", "rows.csv", "-k", "1", "--out", "one.npz")[1].splitlines()[-1:]
    assert out.splitlines()[-1:] == expected
    assert ran("predict", "twice.npz", "twice.csv") == ran("predict", "one.npz", "rows.csv")


def test_what_is_not_plain_is_told_beside_the_result(folder, ran):
    (folder / "half.csv").write_text("a;b\n" + "".join(f"{i % 7},5;{i % 5}\n" for i in range(70)))
    code, out, err = ran("fit", "half.csv", "-k", "1")
    assert (code, out.splitlines()[0]) == (0, "GaussianMixture: 1 component, full covariances; 70 rows")
    assert err.splitlines() == [
        "fastem: half.csv: its columns are separated by semicolons",
        "fastem: half.csv: the commas in its numbers are taken for decimal marks",
    ]


# ------------------------------------------------------------------------------------------------------------ streams


@pytest.mark.process
@posix
@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full", ">&-", ">/dev/full", "<&- >&- 2>&-"])
def test_a_stream_that_cannot_be_written_costs_no_fit(streams, folder):
    """Standard error is of no importance; where standard output is lost the model is kept, and the exit code tells."""
    command = f"{sys.executable} -m fastem fit rows.csv -k 1..2 --out kept.npz {streams}"
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=300)
    kept = fastem.load("kept.npz")
    assert "Traceback" not in run.stderr
    assert "Exception" not in run.stderr
    if streams.startswith("2"):
        assert (run.returncode, run.stderr) == (0, "")
        assert kept.summary_ in " ".join(run.stdout.split())
    else:
        assert (run.returncode, run.stdout) == (2, "")
        assert ("fastem: error: standard output: " in run.stderr) == ("2>" not in streams)


def test_an_interruption_while_modules_are_loaded_is_told(ran, monkeypatch):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "import_module", interrupted)
    assert ran("fit", "rows.csv") == (130, "", "fastem: interrupted\n")


@pytest.mark.process
def test_the_entry_loads_nothing_that_takes_time():
    code = "import sys, fastem.__main__; raise SystemExit('numpy' in sys.modules or 'fastem.commands' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=300, check=False).returncode == 0


@pytest.mark.process
def test_a_command_does_without_scikit_learn(folder):
    """Its import takes longer than most fits."""
    code = "import sys, fastem.cli.main as m; m.main(['fit', 'rows.csv', '-k1']); sys.exit('sklearn' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=300, check=False)
    assert (run.returncode, run.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (KeyError("a"), "KeyError: 'a'"),
        (np.linalg.LinAlgError("SVD did not converge"), "SVD did not converge"),
        (RuntimeError("can't start new thread"), "RuntimeError: can't start new thread"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_an_error_of_input_or_system_is_one_sentence(error, sentence, folder, ran, monkeypatch):
    def failing(*_, **__):
        raise error

    monkeypatch.setattr(fit_command, "select", failing)
    assert ran("fit", "rows.csv") == (2, "", f"fastem: error: {sentence}\n")
