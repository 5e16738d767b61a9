"""The rules of the house, kept by the build."""

import ast
import graphlib
import re
import runpy
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from fastem.families.registry import NAMES

PACKAGE = Path(__file__).parents[2] / "fastem"
KERNELS = PACKAGE / "kernels"
TESTS = Path(__file__).parents[1]
LAYERS = (
    {"__main__", "patched", *NAMES},
    {"cli"},
    {"selection", "plotting"},
    {"persistence"},
    {"estimators"},
    {"fitting"},
    {"search"},
    {"inference"},
    {"families"},
    {"data", "config"},
    {"validation"},
    {"kernels"},
    {"exceptions", "_storage", "_errstate", "_table"},
    {"_typing", "_public", "_printable"},
)
"""From the top: what is in a layer imports from its own package, and from layers below it."""
LAYER_OF = {name: number for number, layer in enumerate(LAYERS) for name in layer}
SOURCES = sorted(PACKAGE.rglob("*.py"))


@cache
def tree_of(path):
    return ast.parse(path.read_text())


def module_of(path):
    """fastem/data/rows.py -> ("data", "rows")"""
    return path.relative_to(PACKAGE).with_suffix("").parts


MODULES = {module_of(path): path for path in SOURCES if path.stem != "__init__"}


def imported(path):
    """The modules of fastem that a module imports, as their parts."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module, alias.name) for alias in node.names]
        else:
            continue
        for module, name in names:
            package, *parts = module.split(".")
            if package == "fastem":
                found = (*parts, name)
                yield found if found in MODULES else tuple(parts)


def code_words(tree):
    """Identifiers and string constants, without docstrings."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def name_of(path):
    return ".".join(module_of(path))


def test_every_module_is_in_a_layer():
    assert {parts[0] for parts in MODULES} == set(LAYER_OF)


@pytest.mark.parametrize("path", MODULES.values(), ids=name_of)
def test_imports_only_go_down(path):
    own = module_of(path)[0]
    for parts in imported(path):
        assert parts[0] == own or LAYER_OF[parts[0]] > LAYER_OF[own], f"{name_of(path)} imports {'.'.join(parts)}"


@pytest.mark.parametrize("path", [path for path in SOURCES if "families" in path.parts], ids=name_of)
def test_families_know_nothing_of_each_other(path):
    own = module_of(path)[1:2]
    for parts in imported(path):
        assert parts[0] != "families" or len(parts) == 2 or parts[1:2] == own or own == ("registry",)


OF_ONE_FAMILY = (
    "{}",
    "estimators.{}_mixture",
    "estimators.{}_features",
    "estimators.{}_overlap",
    "estimators.many_{}",
    "plotting.{}",
)
ONE_FAMILY = {"estimators.bayesian_mixture", "estimators.fit_many", "selection.select", "cli.doctor"}
ONE_FAMILY |= {pattern.format(name) for pattern in OF_ONE_FAMILY for name in NAMES}
"""Modules outside families/ that import one of them; all others take what every family has."""


@pytest.mark.parametrize("path", [path for path in MODULES.values() if "families" not in path.parts], ids=name_of)
def test_all_others_take_any_family(path):
    if name_of(path) not in ONE_FAMILY:
        assert not [parts for parts in imported(path) if parts[0] == "families" and len(parts) > 2]
    families = "|".join(name.capitalize() for name in NAMES)
    assert not re.search(rf'isinstance\([^()]*({families})(Params|Stats)|getattr\(params, "', path.read_text())


def test_imports_make_no_circle():
    graph = {parts: set(imported(path)) for parts, path in MODULES.items()}
    tuple(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_kernels_know_what_compiles_them(path):
    if module_of(path)[0] == "kernels":
        return
    assert not [word for word in code_words(tree_of(path)) if re.search("cython|numba", word, re.IGNORECASE)]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_print_exec_bare_except_or_wildcard(path):
    for node in ast.walk(tree_of(path)):
        assert not (isinstance(node, ast.Name) and node.id in ("print", "exec", "eval"))
        assert not (isinstance(node, ast.ExceptHandler) and node.type is None)
        assert not (isinstance(node, ast.ImportFrom) and node.names[0].name == "*")


def test_jit_policy_stands_in_one_place():
    """Numba's decorators are called in jit.py, once for each kind of function, and nowhere else."""
    sources = {path.stem: path.read_text() for path in (KERNELS / "numba").glob("*.py")}
    assert len(re.findall(r"\bnjit\(", sources.pop("jit"))) == 4
    assert not [name for name, source in sources.items() if re.search("njit|fastmath=|parallel=", source)]


KERNEL_NAMES = "accumulate|posterior|iterate|nearest|fit_many|fit_groups"


def arguments_in_python(tree):
    """name -> argument names of the kernels."""
    return {
        node.name: [argument.arg for argument in node.args.args]
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and re.match(KERNEL_NAMES, node.name)
        if not any(isinstance(inner, ast.FunctionDef) for inner in node.body)
    }


def arguments_in_cython(text):
    """name -> argument names of the kernels."""
    text = re.sub(r"#[^\n]*", "", text)
    found = re.findall(rf"^def ((?:{KERNEL_NAMES})\w*)\((.*?)\):", text, re.DOTALL | re.MULTILINE)
    plain = {name: re.sub(r"\[.*?\]", "", body).split(",") for name, body in found}
    return {name: [argument.split()[-1] for argument in arguments] for name, arguments in plain.items()}


def test_twins_have_equal_kernels_and_arguments():
    sources = sorted(KERNELS.glob("*.pxi"))
    ahead = {path.stem: arguments_in_cython(path.read_text()) for path in sources}
    ahead = {stem: kernels for stem, kernels in ahead.items() if kernels}
    of_a_family = 4 * len(NAMES)  # sums, posterior, iterations, many small fits
    of_the_gaussian = 10  # the first three of diagonal and of full covariances, two of tied ones, of natural parameters
    of_missing = 10  # sums and posteriors of diagonal and full covariances, twice, and of Poisson counts
    of_all = 2  # nearest, and many small fits of rows of several columns
    assert sum(map(len, ahead.values())) == of_a_family + of_the_gaussian + of_missing + of_all
    for stem, kernels in ahead.items():
        in_python = arguments_in_python(tree_of(KERNELS / "numba" / f"{stem}.py"))
        assert {name: in_python.get(name) for name in kernels} == {
            name: [*arguments, "tiles"] for name, arguments in kernels.items()
        }


@pytest.mark.parametrize("file", ["naive.py", "loops.py"])
def test_naive_imports_nothing_of_ours(file):
    modules = {
        name.split(".")[0]
        for node in ast.walk(tree_of(TESTS / "support" / file))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module])
    }
    assert modules <= {"math", "numpy"} | (set(sys.stdlib_module_names) - {"importlib"})


def test_no_fast_math():
    setup = runpy.run_path(str(PACKAGE.parent / "setup.py"))
    flags = {*setup["OPTIMISE"], *(flag for variant in setup["VARIANTS"].values() for flag in variant)}
    assert "-O3" in flags
    assert not flags & (setup["FAST_MATH"] | {"-fopenmp"})


BLAS = {"dot", "vdot", "inner", "tensordot", "matmul", "matvec", "vecmat", "vecdot", "multi_dot"}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_blas(path):
    """It has threads of its own, whatever n_threads says, and bits by their number: `linear.py` has what takes its
    place."""
    for node in ast.walk(tree_of(path)):
        assert not isinstance(node, ast.MatMult), "@ is BLAS"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np":
            assert node.attr not in BLAS
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            assert node.value.attr != "linalg" or node.attr == "LinAlgError"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_cached_property(path):
    """Before Python 3.12 it has a lock, which a fork leaves taken: `kept` in families/params.py has none."""
    assert "cached_property" not in set(code_words(tree_of(path)))


def test_one_version_everywhere():
    root = PACKAGE.parent
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (root / "CITATION.cff").read_text()
    assert re.search(r"^## (\S+)", (root / "CHANGELOG.md").read_text(), re.MULTILINE)[1] == version


WRITTEN = sorted({*SOURCES, *PACKAGE.rglob("*.pxi"), *TESTS.rglob("*.py")})


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_no_file_is_long(path):
    most = 350 if path.suffix == ".pxi" else 400
    assert len(path.read_text().splitlines()) <= most
