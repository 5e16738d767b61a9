"""Files of models that are damaged, or were made to harm: each is a ValueError."""

import io
import re
import tracemalloc
import zipfile

import numpy as np
import pandas as pd
import pytest
from support.saved_models import HEADS, X, fitted, mutants_refused

import fastem
from fastem._storage import read, write
from fastem.estimators.base import MODEL, MODEL_LAYOUT
from fastem.persistence import ATTRIBUTES

pytestmark = pytest.mark.filterwarnings("ignore::fastem.EmptyComponentWarning")


@pytest.fixture
def saved(tmp_path):
    """A file, and its header and arrays to be changed."""
    path = tmp_path / "model.npz"
    fitted("full").save(path)
    return path, *read(path, MODEL, MODEL_LAYOUT)


@pytest.mark.parametrize("name", ["full", "counts"])
@pytest.mark.seconds
def test_mutants_are_refused(name, tmp_path):
    """make torture does 10,000."""
    mixture = fitted(name)
    mixture.save(tmp_path / "model.npz")
    tracemalloc.start()
    refused = mutants_refused(tmp_path / "model.npz", mixture, 300, np.random.default_rng(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused > 250
    assert peak < 1 << 24


def npz(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


def array_bytes(header):
    text = header.encode().ljust(118 - 11) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<U1000000000', 'fortran_order': False, 'shape': (0,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': __import__('os').getcwd(), }",
    ],
)
def test_no_array_is_made_that_is_larger_than_its_bytes_or_holds_objects(header, tmp_path):
    path = tmp_path / "model.npz"
    npz(path, header=array_bytes(header))
    tracemalloc.start()
    with pytest.raises(ValueError, match="is damaged or not a file of fastem"):
        fastem.load(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "model.npz"
    content = io.BytesIO()
    np.save(content, np.zeros(1 << 24, np.uint8))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.npy", content.getvalue())
    tracemalloc.start()
    with pytest.raises(ValueError, match="its parts are larger than the file"):
        fastem.load(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()


def where(header, name):
    """The array of this attribute in the file."""
    return header["attributes"]["dict"][name]["array"]


def without_a_mean(header, arrays):
    arrays[where(header, "means_")] = arrays[where(header, "means_")][:1]


def not_a_number(header, arrays):
    arrays[where(header, "means_")][0, 0] = np.nan


def indefinite(header, arrays):
    arrays[where(header, "covariances_")][1] = [[1.0, 2.0], [2.0, 1.0]]


def too_heavy(header, arrays):
    arrays[where(header, "weights_")][:] = 0.9


def unknown_class(header, arrays):
    header["class"] = "Popen"


def unknown_value(header, arrays):
    header["attributes"]["dict"]["history_"] = {"Popen": {"args": "ls"}}


def private(header, arrays):
    header["attributes"]["dict"]["__class__"] = 3


def not_an_attribute(header, arrays):
    header["attributes"]["dict"]["fit"] = 3


def without_weights(header, arrays):
    del header["attributes"]["dict"]["weights_"]


def too_many_features(header, arrays):
    header["attributes"]["dict"]["n_features_in_"] = 7


def wrong_factors(header, arrays):
    arrays[where(header, "precisions_cholesky_")] = np.zeros(3)


def no_attributes(header, arrays):
    header["attributes"] = None


def set_to(name, value):
    def change(header, arrays):
        header["attributes"]["dict"][name] = value

    change.__name__ = f"{name}={value!r}"
    return change


def array_to(name, change_of):
    def change(header, arrays):
        arrays[where(header, name)] = change_of(arrays[where(header, name)])

    change.__name__ = f"{name} changed"
    return change


BAD_SETTINGS = {
    "fixed": -1, "n_components": 0, "tol": "small", "reg_covar": -1.0, "max_iter": 1.5, "init_params": "best",
    "weights_init": [0.5, 0.6], "means_init": [[1.0]], "precisions_init": [[1.0]], "prior": 3, "order_by": "size",
    "stopping": "never", "acceleration": "warp", "warm_sweeps": 2, "on_collapse": "ignore", "max_time": -1,
    "on_interrupt": "stop", "checkpoint_every": -1, "warm_start": 1, "verbose": -1, "verbose_interval": 0,
    "backend": "fortran", "n_threads": 0, "random_state": "now", "covariance_type": "diag", "noise": -1.0,
    "missing": "drop",
}  # fmt: skip
BAD_ATTRIBUTES = [
    set_to("counts_", 3), set_to("counts_", [1.0, 2.0]), array_to("counts_", lambda a: a[:1]),
    array_to("counts_", lambda a: -a), array_to("counts_", lambda a: a * np.nan),
    set_to("collapses_", None), set_to("collapses_", [3]), set_to("starts_", {"tuple": []}),
    set_to("collapses_", [{"Collapse": {"component": "a", "iteration": 1, "count": 1.0, "smallest_eigenvalue": 1.0,
                                        "action": "floor"}}]),
    set_to("starts_", [{"Start": {"mean_loglik": "x", "n_iter": 1, "stop_reason": ""}}]),
    set_to("n_iter_", "3"), set_to("n_sweeps_", 1.5), set_to("converged_", 1), set_to("stop_reason_", None),
    set_to("cut_short_", None), set_to("ascent_", 1.0), set_to("summary_", 3), set_to("remaining_gain_", None),
    set_to("history_", {"Start": {"mean_loglik": 1.0, "n_iter": 1, "stop_reason": ""}}), set_to("log_posterior_", "1"),
    set_to("loglik_", True), set_to("entropy_", []), set_to("n_parameters_", 1.0), set_to("aic_", None),
    set_to("bic_", "x"), set_to("icl_", [1.0]), set_to("lower_bounds_", 1.0), set_to("lower_bounds_", ["a"]),
    set_to("lower_bound_", None), array_to("empty_components_", lambda a: np.array([7])), set_to("settings_", 3),
    set_to("feature_names_in_", {"strings": ["one"]}), set_to("stats_", 3), set_to("n_features_in_", "2"),
    set_to("n_features_in_", True), set_to("n_iter_", 1000), set_to("held_out_", "x"), set_to("neighbours_", 3),
]  # fmt: skip


@pytest.mark.parametrize("setting", BAD_SETTINGS)
@pytest.mark.seconds
def test_settings_that_a_fit_would_refuse_are_refused_in_a_file_and_kept_out_of_one(setting, saved, tmp_path):
    path, header, arrays = saved
    header["attributes"]["dict"][setting] = BAD_SETTINGS[setting]
    write(path, MODEL, MODEL_LAYOUT, {name: header[name] for name in ("class", "attributes")}, arrays)
    named = {"weights_init": "weights", "means_init": "means", "precisions_init": "precision"}.get(setting, setting)
    with pytest.raises(ValueError, match=rf"model\.npz is damaged: .*{named}"):
        fastem.load(path)
    mixture = fastem.GaussianMixture(2, random_state=0).fit(X).set_params(**{setting: BAD_SETTINGS[setting]})
    with pytest.raises((ValueError, TypeError), match=named):
        mixture.save(tmp_path / "other.npz")
    assert not (tmp_path / "other.npz").exists()


def test_every_setting_is_tried():
    tried = set(BAD_SETTINGS) | {"n_init", "checkpoint", "callback"}
    assert tried == set(fastem.GaussianMixture().get_params(deep=False))


@pytest.mark.parametrize("change", BAD_ATTRIBUTES, ids=lambda change: change.__name__)
@pytest.mark.seconds
def test_an_attribute_is_of_the_kind_and_shape_it_must_have(change, saved):
    path, header, arrays = saved
    change(header, arrays)
    write(path, MODEL, MODEL_LAYOUT, {name: header[name] for name in ("class", "attributes")}, arrays)
    with pytest.raises(ValueError, match=rf"model\.npz is damaged: .*{re.split('[= ]', change.__name__)[0]}"):
        fastem.load(path)


def test_every_attribute_of_a_fit_has_its_kind():
    frame = pd.DataFrame(X, columns=["height", "weight"])
    names = {name for name in vars(fastem.GaussianMixture(2, random_state=0).fit(frame)) if name.endswith("_")}
    names |= {name for name in vars(fastem.GaussianMixture(2, random_state=0).partial_fit(X)) if name.endswith("_")}
    assert names - {"weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"} <= set(ATTRIBUTES)


def test_counts_that_are_swapped_are_named(tmp_path):
    fastem.BinomialMixture(2, n_trials=10).fit(HEADS).save(tmp_path / "model.npz")
    header, arrays = read(tmp_path / "model.npz", MODEL, MODEL_LAYOUT)
    counts, empty = where(header, "counts_"), where(header, "empty_components_")
    arrays[counts], arrays[empty] = arrays[empty], arrays[counts]
    write(tmp_path / "model.npz", MODEL, MODEL_LAYOUT, {name: header[name] for name in ("class", "attributes")}, arrays)
    with pytest.raises(ValueError, match=r"counts_.* should have the shape of \(2,\)"):
        fastem.load(tmp_path / "model.npz")


def test_sums_of_another_mixture_are_refused(tmp_path):
    mixture = fastem.GaussianMixture(2, random_state=0).partial_fit(X)
    mixture.stats_ = fastem.GaussianMixture(3, random_state=0).partial_fit(X).stats_
    mixture.save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match="stats_ must be of parameters as these are"):
        fastem.load(tmp_path / "model.npz")


@pytest.mark.parametrize(
    "change",
    [
        without_a_mean, not_a_number, indefinite, too_heavy, unknown_class, unknown_value, private,
        not_an_attribute, without_weights, too_many_features, wrong_factors, no_attributes,
    ],
    ids=lambda change: change.__name__,
)  # fmt: skip
def test_a_whole_file_of_what_is_no_model_is_refused(change, saved):
    path, header, arrays = saved
    change(header, arrays)
    write(path, MODEL, MODEL_LAYOUT, {name: header[name] for name in ("class", "attributes")}, arrays)
    with pytest.raises(ValueError, match=r"model\.npz is damaged"):
        fastem.load(path)


def test_a_file_of_another_kind_or_layout_says_which(saved):
    path, _, arrays = saved
    write(path, "fastem checkpoint", 1, {}, arrays)
    with pytest.raises(ValueError, match="is a 'fastem checkpoint', not a 'fastem model'"):
        fastem.load(path)
    write(path, MODEL, 99, {}, arrays)
    with pytest.raises(ValueError, match="has layout 99 of a fastem model, written by fastem"):
        fastem.load(path)
