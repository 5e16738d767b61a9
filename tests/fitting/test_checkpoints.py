"""A fit that goes on from its checkpoint has the bits of one that was never stopped."""

import errno
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from support.asserts import same_fit
from support.stopping import CLOSE, SETTINGS, binomial, killed_and_resumed, normal

import fastem
from fastem._storage import read, write
from fastem.fitting.checkpoint import KIND, LAYOUT

pytestmark = pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning")
ACCELERATIONS = (None, "anderson", "squarem", "quasi-newton")


def gone_on_with(fit, path, **settings):
    """The fit in as many parts as it takes, each with the file of the one before; -> its end, and how many."""
    for parts in range(1, 1_000):
        found = fit(checkpoint=path, checkpoint_every=0, **settings)
        if not found.cut_short_:
            return found, parts
    raise AssertionError("it never ends")


@pytest.mark.parametrize("acceleration", ACCELERATIONS)
@pytest.mark.parametrize("fit", [normal, binomial])
@pytest.mark.seconds
def test_a_fit_of_one_iteration_at_a_time_has_the_bits_of_one(fit, acceleration, tmp_path):
    settings = {"acceleration": acceleration, "max_iter": 20}
    whole = fit(**settings)
    found, parts = gone_on_with(fit, tmp_path / "fit.npz", max_time=0.0, **settings)
    same_fit(found, whole)
    assert parts >= whole.n_iter_ > 3
    again = fit(checkpoint=tmp_path / "fit.npz", max_time=0.0, **settings)
    same_fit(again, whole)  # the file of a fit that has ended: nothing is left to do


@pytest.mark.parametrize(
    "settings",
    [
        {"n_init": 5},
        {"n_init": 5, "random_state": np.random.default_rng(0)},
        {"n_init": 2, "random_state": None},
        {"warm_sweeps": "auto", "acceleration": "anderson"},
        {"on_collapse": "reseed", "n_components": 5},
        {"prior": fastem.GaussianPrior(concentration=2.0)},
        {"covariance_type": "tied", "stopping": "aitken", "tol": 1e-4},
        {"order_by": "means", "reg_covar": "auto", "stopping": "gradient", "max_iter": 2_000},
    ],
    ids=lambda settings: "-".join(settings),
)
@pytest.mark.seconds
@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")
def test_restarts_random_numbers_and_history_go_on_too(settings, tmp_path):
    """20,000 rows: more than a start looks at, so that there are parts and screening."""
    settings = {"n_components": 3, "n_threads": 1} | SETTINGS | {"max_iter": 30} | settings
    X = np.concatenate([CLOSE, CLOSE[:2_000] + 4.0, np.full((12_000, 2), 3.0), CLOSE[:3_000] * [[1.0, 9.0]]])
    first = tmp_path / "fit.npz"

    def fit(**more):
        return fastem.GaussianMixture(**(settings | more)).fit(X)

    if settings["random_state"] is None:
        fit(checkpoint=first, max_time=0.0)  # the random numbers are those of the file
    drawn = first.read_bytes() if first.exists() else None
    whole = fit(checkpoint=first) if drawn else fit(random_state=fresh(settings["random_state"]))
    if drawn:
        first.write_bytes(drawn)
    found, _ = gone_on_with(fit, first, max_time=0.15)
    same_fit(found, whole)


@pytest.mark.parametrize("settings", [{"acceleration": "anderson"}, {"n_init": 5, "covariance_type": "diag"}], ids=str)
@pytest.mark.seconds
def test_a_fit_of_chunks_goes_on_and_so_does_one_of_the_same_rows_in_memory(settings, tmp_path):
    settings = {"n_components": 3} | SETTINGS | {"max_iter": 10} | settings
    X = np.concatenate([CLOSE + i for i in range(4)])
    whole = fastem.GaussianMixture(**settings).fit(X)
    cuts = (np.array_split(X, pieces) for pieces in itertools.cycle((1, 7, 100)))

    def fit(**more):
        mixture = fastem.GaussianMixture(**(settings | more))
        return mixture.fit(X) if (chunks := next(cuts))[0].shape == X.shape else mixture.fit(chunks=chunks)

    found, parts = gone_on_with(fit, tmp_path / "fit.npz", max_time=0.0)
    same_fit(found, whole)
    assert parts > 6


def fresh(random_state):
    return np.random.default_rng(0) if isinstance(random_state, np.random.Generator) else random_state


@pytest.mark.process
@pytest.mark.slow
def test_a_killed_fit_goes_on_and_ends_with_the_same_bits(tmp_path):
    """Killed with SIGKILL, that is; make torture does it 50 times."""
    assert killed_and_resumed(tmp_path, kills=3, seed=0, iterations=60) >= 2


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"n_components": 4}, "n_components"),
        ({"covariance_type": "diag"}, "covariance_type"),
        ({"random_state": 4}, "random_state"),
        ({"means_init": np.zeros((3, 2))}, "means_init"),
        ({"prior": fastem.GaussianPrior(concentration=2.0)}, "prior"),
    ],
)
def test_the_file_of_another_model_is_refused(changes, name, tmp_path):
    path = tmp_path / "fit.npz"
    normal(checkpoint=path, max_time=0.0)
    before = path.read_bytes()
    settings = {"n_components": 3} | SETTINGS | changes
    with pytest.raises(ValueError, match=f"fit.npz was written by another fit: {name} was"):
        fastem.GaussianMixture(checkpoint=path, **settings).fit(CLOSE)
    assert path.read_bytes() == before


def test_the_file_of_other_rows_weights_or_version_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "fit.npz"
    normal(checkpoint=path, max_time=0.0)
    mixture = fastem.GaussianMixture(3, checkpoint=path, **SETTINGS)
    other = CLOSE.copy()
    other[2_999, 1] = np.nextafter(other[2_999, 1], 9)
    for X, sample_weight in ((other, None), (CLOSE, np.full(3_000, 2.0)), (CLOSE.astype(np.float32), None)):
        with pytest.raises(ValueError, match="was written by another fit: data was"):
            mixture.fit(X, sample_weight=sample_weight)
    with pytest.raises(ValueError, match="was written by another fit: rows was 3000, and is now 2999"):
        mixture.fit(CLOSE[:-1])
    monkeypatch.setattr("fastem.fitting.checkpoint.own_version", lambda: "0.0.1")
    with pytest.raises(ValueError, match=r"was written by another fit: fastem was '.*', and is now '0.0.1'"):
        mixture.fit(CLOSE)
    assert not hasattr(mixture, "weights_")


@pytest.mark.parametrize("links", [True, False])
def test_of_fits_that_begin_one_file_at_once_one_has_it(links, tmp_path, monkeypatch):
    """Another fit is refused, and the same one goes on from it; where there are no links this is not known in time."""
    path, others, link = tmp_path / "fit.npz", [], os.link

    def late(own, target):
        monkeypatch.setattr(os, "link", link)
        others.append(normal(checkpoint=path, max_time=0.0))  # between the look for the file and its first writing
        if not links:
            raise OSError(errno.ENOTSUP, "no links")
        link(own, target)

    monkeypatch.setattr(os, "link", late)
    mixture = fastem.GaussianMixture(3, checkpoint=path, **SETTINGS)
    if links:
        with pytest.raises(ValueError, match="was written by another fit: data was"):
            mixture.fit(CLOSE + 1)
        assert not hasattr(mixture, "means_")
        same_fit(normal(checkpoint=path), normal())
    else:
        mixture.fit(CLOSE + 1)
    assert len(others) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["fit.npz"]


BEGUN = """
import sys, numpy as np, fastem
rows = np.random.default_rng(0).normal(size=(5000, 2)) + float(sys.argv[2])
sys.stdin.readline()
try:
    fastem.GaussianMixture(3, random_state=0, checkpoint=sys.argv[1], checkpoint_every=0.0).fit(rows)
    print("fitted")
except ValueError as error:
    print("refused" if "was written by another fit: data was" in str(error) else error)
"""


@pytest.mark.process
@pytest.mark.slow
def test_of_processes_that_begin_one_file_at_once_one_goes_on(tmp_path):
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-W", "ignore", "-c", BEGUN, str(tmp_path / "fit.npz")]
    begun = [subprocess.Popen([*command, str(shift)], **streams) for shift in range(3)]
    for process in begun:
        process.stdin.write("\n")
        process.stdin.flush()
    assert sorted(process.communicate(timeout=120)[0].strip() for process in begun) == ["fitted", "refused", "refused"]


def test_threads_verbosity_and_time_are_no_other_model(tmp_path):
    normal(checkpoint=tmp_path / "fit.npz", max_time=0.0, n_threads=1, on_interrupt="return")
    normal(checkpoint=tmp_path / "fit.npz", n_threads=2, checkpoint_every=5)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"x" * 1_000, None], ids=["empty", "zip", "text", "model"])
def test_a_damaged_file_or_one_of_something_else_is_refused(content, tmp_path):
    path = tmp_path / "fit.npz"
    if content is None:
        normal().save(path)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged or not a file of fastem|not a 'fastem checkpoint'"):
        normal(checkpoint=path)


@pytest.mark.parametrize("folder", ["missing", "file", "/proc"])
def test_a_folder_that_takes_no_files_is_an_error_before_the_first_sweep(folder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    mixture = fastem.GaussianMixture(3, checkpoint=tmp_path / folder / "fit.npz", **SETTINGS)
    monkeypatch.setattr(fastem.Rows, "sweep", None)
    with pytest.raises(OSError, match=r"fit\.npz"):
        mixture.fit(CLOSE)
    assert not hasattr(mixture, "weights_")


FULL = """
import resource, signal, sys
import numpy as np, fastem
X = np.random.default_rng(0).normal(size=(3_000, 2))
mixture = fastem.GaussianMixture(3, tol=0.0, max_iter=50, random_state=3, acceleration="quasi-newton",
                                 checkpoint=sys.argv[1], checkpoint_every=0.0)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))
try:
    mixture.fit(X)
except OSError as error:
    print(error.strerror, hasattr(mixture, "weights_"))
"""


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="a limit to the size of files, as POSIX has it")
def test_a_full_disk_is_an_error_and_leaves_the_last_good_file(tmp_path):
    """The file grows with the memory of the acceleration until it is over the limit."""
    path = tmp_path / "fit.npz"
    command = [sys.executable, "-c", FULL, str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout == "File too large False\n"
    assert [each.name for each in tmp_path.iterdir()] == ["fit.npz"]
    X = np.random.default_rng(0).normal(size=(3_000, 2))
    settings = {"tol": 0.0, "max_iter": 50, "random_state": 3, "acceleration": "quasi-newton"}
    found = fastem.GaussianMixture(3, checkpoint=path, checkpoint_every=0.0, **settings).fit(X)
    same_fit(found, fastem.GaussianMixture(3, **settings).fit(X))


def test_settings_that_are_equal_are_those_of_the_same_fit(tmp_path):
    """Objects that hold the same numbers, and NumPy's booleans."""
    for warm in (True, np.True_):
        means = np.array([[0.1, 0], [1, 1.5], [2, 2]], object)
        normal(checkpoint=tmp_path / "fit.npz", max_time=0.0, means_init=means, warm_start=warm)


@pytest.mark.parametrize("entry", ["0/trace", "0/steps", "0/params/means", "runs", "random_state"])
def test_a_whole_file_that_lacks_something_is_refused(entry, tmp_path):
    path = tmp_path / "fit.npz"
    normal(checkpoint=path, max_time=0.0)
    header, arrays = read(path, KIND, LAYOUT)
    header = {name: value for name, value in header.items() if name not in ("kind", "layout", "fastem", entry)}
    arrays = {name: value for name, value in arrays.items() if name != entry}
    write(path, KIND, LAYOUT, header, arrays)
    if entry in ("0/params/means", "runs"):
        normal(checkpoint=path)  # begins anew, or where the start was
        return
    with pytest.raises(ValueError, match=r"fit\.npz is damaged"):
        normal(checkpoint=path)


def test_a_relative_path_stays_where_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()

    passes = itertools.count()

    def chunks():
        if next(passes) > 2:  # the rows have been checked and told apart, and the start is found
            monkeypatch.chdir(tmp_path / "elsewhere")
        return iter([CLOSE])

    fastem.GaussianMixture(2, random_state=0, checkpoint="fit.npz", checkpoint_every=0).fit(chunks=chunks)
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["fit.npz"]


def test_a_warm_start_after_partial_fits_or_dropped_components_goes_on():
    warm = fastem.GaussianMixture(2, random_state=0, warm_start=True)
    assert warm.partial_fit(CLOSE).fit(CLOSE).converged_
    X = np.concatenate([CLOSE, np.full((5, 2), 50.0)])
    dropped = fastem.GaussianMixture(3, random_state=0, warm_start=True, on_collapse="drop").fit(X)
    assert len(dropped.weights_) < 3
    assert len(dropped.fit(X).weights_) == len(dropped.weights_)
