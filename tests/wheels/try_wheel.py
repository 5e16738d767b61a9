"""The wheel in dist, in a fresh environment of every Python that is here, with no compiler on the path.

python tests/wheels/try_wheel.py            fastem doctor and a smoke test; on the oldest Python the oldest NumPy too
python tests/wheels/try_wheel.py --suite    every test that is not slow, and the examples of the docstrings
"""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
SMOKE = Path(__file__).with_name("smoke.py")
ENVIRONMENTS = ROOT / "build" / "wheels"
PYTHONS = ("3.11", "3.12", "3.13")
OLDEST = ("numpy==1.26.*",)
"""What pyproject.toml says of them."""
INSTRUCTION_SETS = "3"
LARGEST = 4_000_000
"""Bytes of a wheel: a tenth of scikit-learn's and its SciPy's."""
OF_THE_REPOSITORY_ALONE = (".ci/", ".github/", ".gitignore", ".pre-commit-config.yaml")
SUITE = ("pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow")


def interpreters():
    """Version -> a Python that answers: on the path, or one of pyenv's, whose stand-ins on the path often do not."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in PYTHONS:
        candidates = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
        found = next((each for each in filter(None, candidates) if answers(each, version)), None)
        if found is None:
            print(f"Python {version} is not here: the wheel is not tried on it")
        else:
            yield version, found


def answers(python, version):
    told = subprocess.run([python, "-c", "import sys; print(*sys.version_info[:2], sep='.')"], capture_output=True)
    return told.stdout.decode().strip() == version


def only(pattern):
    [found] = (ROOT / "dist").glob(pattern)
    return found


def check_size(wheel):
    size = wheel.stat().st_size
    print(f"{wheel.name}: {size / 1e6:.2f} MB")
    assert size <= LARGEST, f"over {LARGEST / 1e6} MB"


def check_contents(sdist):
    """Whoever has the sdist has what the repository has."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    with tarfile.open(sdist) as archive:
        shipped = {name.partition("/")[2] for name in archive.getnames()}
    missing = [name for name in tracked if name not in shipped and not name.startswith(OF_THE_REPOSITORY_ALONE)]
    assert not missing, f"not in the sdist: {missing}"


def environment(version, python, *requirements):
    """The commands of a fresh one that has these."""
    folder = ENVIRONMENTS / version
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python, "-m", "venv", folder], check=True)
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    run(folder / "bin", "python", *pip, *requirements)
    return folder / "bin"


def run(commands, name, *arguments, path=()):
    """One of these commands: with nothing on the path but them and `path`, and the sources out of sight."""
    alone = {"PATH": os.pathsep.join([str(commands), *path]), "PYTHONSAFEPATH": "1"}
    subprocess.run([commands / name, *arguments], cwd=ROOT, env=os.environ | alone, check=True)


def smoke(version, python, *requirements):
    commands = environment(version, python, *requirements)
    run(commands, "fastem", "doctor")
    run(commands, "python", SMOKE, INSTRUCTION_SETS)


def suite(version, python, wheel):
    commands = environment(version, python, f"{wheel}[test]", "cython", "setuptools")
    for tests in (["tests"], ["--pyargs", "fastem"]):
        run(commands, *SUITE, *tests, path=[os.environ["PATH"]])  # scikit-learn's joblib asks for lscpu


def main():
    wheel = only("*.whl")
    check_size(wheel)
    check_contents(only("*.tar.gz"))
    for version, python in interpreters():
        (suite if "--suite" in sys.argv else smoke)(version, python, wheel)
        if version == PYTHONS[0]:
            smoke(version, python, wheel, *OLDEST)


if __name__ == "__main__":
    main()
