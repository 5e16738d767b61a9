# Every target sets up what it needs in .venv, and no more, from a fresh clone with python3 (>= 3.11), make and a C compiler.
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
RUN := $(VENV)/bin/python
READY := $(VENV)/ready
# Python compiles the modules that are imported, when they are.
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check --no-compile

# OpenBLAS shall choose its own kernels, here and in scikit-learn.
unexport OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

.PHONY: demo test test-fast test-numba test-slow every-set torture conformance lint docs wheel wheel-test wheel-suite kernels clean \
  bench bench-quick bench-answers bench-check bench-missing bench-peers bench-spark bench-keep keep bench-compare clients

# Processes that share the tests; tests/conftest.py says what runs in the same one.
WORKERS ?= 2
# Threads of other libraries that wait would take the cores from the other process: tests take up to ten times as long.
YIELDING := OMP_WAIT_POLICY=passive OPENBLAS_NUM_THREADS=1
PYTEST := $(YIELDING) $(RUN) -m pytest -q -n $(WORKERS)

demo: $(VENV)/demo.ready
	$(RUN) examples/demo.py

# Compiles the kernels of a sweep once for the Numba twin; `make test-numba` runs the other tests of that twin, and compiles
# the others.
test: $(VENV)/test.ready
	$(PYTEST) -m "not slow and not numba_again"

test-numba: $(VENV)/test.ready
	$(PYTEST) -m "numba_again and not slow"

# The loop of work: leaves out tests that take a second or start processes, those of the Numba twin, which is compiled when
# they run, and those of instruction sets that this machine would not choose.
test-fast: $(VENV)/test.ready
	$(PYTEST) -m "not slow and not seconds and not process and not numba and not other_set"

test-slow: $(VENV)/test.ready
	$(PYTEST) -m slow

# Faults, really injected: sanitizers, bounds checks, Numba's modes, allocations that fail.  TORTURE=small is minutes.
torture: $(VENV)/test.ready
	$(YIELDING) $(RUN) tests/torture/run_all.py

conformance: $(VENV)/test.ready
	$(YIELDING) $(RUN) tests/conformance/run.py

lint: $(VENV)/lint.ready
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	PATH="$(BIN):$$PATH" cython-lint fastem
	$(BIN)/codespell
	$(RUN) -m mypy
	$(RUN) tests/house/any_share.py
	$(BIN)/repo-review --show err .

# One wheel for Python 3.11 and all that follow, with every instruction set inside, made from the sdist beside it.
wheel: $(VENV)/wheel.ready
	rm -rf build/wheel dist
	FASTEM_BUILD=all $(RUN) -m build --outdir build/wheel
	PATH="$(BIN):$$PATH" $(RUN) -m auditwheel repair --strip --wheel-dir dist build/wheel/*.whl
	mv build/wheel/*.tar.gz dist
	$(BIN)/abi3audit --strict dist/*.whl

# It, in fresh environments of the Pythons that are here, without a compiler: a smoke test, or all tests.
wheel-test: $(RUN)
	$(RUN) tests/wheels/try_wheel.py

wheel-suite: $(RUN)
	$(RUN) tests/wheels/try_wheel.py --suite

# The site, in docs/_build/html; every warning is an error, and so is a name that leads nowhere.
docs: $(VENV)/docs.ready
	$(RUN) -m sphinx --quiet --nitpicky --fail-on-warning --keep-going docs docs/_build/html

BENCH := $(RUN) -m pytest -q --benchmark-only --benchmark-columns=min,median,rounds

bench: $(VENV)/bench.ready
	mkdir -p bench/output
	$(BENCH) bench/bench_kernels.py bench/bench_fit.py bench/bench_predict.py --benchmark-json=bench/output/bench.json

# A tenth of the rows, kernels only.
bench-quick: $(VENV)/bench.ready
	mkdir -p bench/output
	$(BENCH) bench/bench_kernels.py --quick --benchmark-json=bench/output/bench-quick.json

# The throughput of this commit, kept in bench/history and drawn; and how what is at hand compares with the last one kept.
KEEP := bench/bench_kernels.py -k "test_iteration and cython" --quick --alone --benchmark-storage=bench/history

bench-keep: $(VENV)/bench.ready keep
	$(RUN) bench/history.py draw

keep:
	$(BENCH) $(KEEP) --benchmark-save=$(shell git rev-parse --short HEAD)

bench-compare: $(VENV)/bench.ready
	$(BENCH) $(KEEP) --benchmark-compare

# The answers alone: every benchmark compares before it times.
bench-answers: $(VENV)/bench.ready
	$(RUN) -m pytest bench/bench_kernels.py bench/bench_fit.py bench/bench_predict.py -q --benchmark-disable

# Is a kernel slower than it was, does a fit take more memory than is promised?  Instructions under valgrind, times beside
# frozen kernels, peak memory beside its budget.
bench-check: $(VENV)/bench.ready every-set
	$(RUN) bench/memory.py
	$(RUN) bench/instructions.py
	$(RUN) bench/ratio.py

# Rows with gaps: sweeps beside those of complete rows, and what is missing filled in, beside gmr where it is installed.
bench-missing: $(VENV)/bench.ready
	$(RUN) bench/bench_missing.py
	$(RUN) bench/bench_conditional.py

# Other packages beside us; tables and picture in docs/benchmarks.md.  One that is missing takes no part, and the output
# says so.  Debian has r-cran-mclust, r-cran-mixtools, r-cran-flexmix, r-cran-mvtnorm, libarmadillo-dev, python3-torch.
bench-peers: $(VENV)/bench.ready .venv-peers/ready .venv-torch/ready bench/output/armadillo
	$(RUN) bench/bench_peers.py

# An environment of its own: scikit-learn-intelex brings daal4py, and the libraries of both are large.
.venv-peers/ready:
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check "scikit-learn-intelex==2026.2.0" packaging pandas
	touch $@

# pomegranate needs torch, whose wheel for Linux brings gigabytes for graphics cards: the one of the system, if there is one.
SYSTEM_PYTHON ?= /usr/bin/python3
.venv-torch/ready:
	-$(SYSTEM_PYTHON) -c "import torch" && $(SYSTEM_PYTHON) -m venv --system-site-packages .venv-torch \
	&& .venv-torch/bin/python -m pip install --quiet --disable-pip-version-check apricot-select networkx scikit-learn "numpy<2" \
	&& .venv-torch/bin/python -m pip install --quiet --disable-pip-version-check --no-deps "pomegranate==1.1.2"
	mkdir -p .venv-torch
	touch $@

# Other people's packages, on scikit-learn's mixtures and on ours; the table in docs/works_under.md.  One package that
# cannot be installed does not keep the others from it.
clients: $(READY) .venv-clients/ready
	$(RUN) bench/bench_clients.py

.venv-clients/ready: bench/clients/requirements.txt
	test -x .venv-clients/bin/python || $(PYTHON) -m venv .venv-clients
	-.venv-clients/bin/python -m pip install --quiet --disable-pip-version-check --requirement bench/clients/requirements.txt \
	|| grep "==" bench/clients/requirements.txt | xargs -n 1 .venv-clients/bin/python -m pip install --quiet --disable-pip-version-check
	touch $@

# Spark's MLlib beside us.  It needs Java: Debian has default-jre-headless.
bench-spark: $(VENV)/bench.ready .venv-spark/ready
	$(RUN) bench/bench_spark.py

.venv-spark/ready:
	test -x .venv-spark/bin/python || $(PYTHON) -m venv .venv-spark
	.venv-spark/bin/python -m pip install --quiet --disable-pip-version-check "pyspark>=4" numpy setuptools
	touch $@

bench/output/armadillo: bench/peers/armadillo.cpp
	mkdir -p bench/output
	-$(CXX) -O3 -march=native -fopenmp -o $@ $< -larmadillo

$(RUN):
	$(PYTHON) -m venv $(VENV)

# What setup.py compiles: "native" is the instruction set that this machine would pick, "all" is what wheels have.
FASTEM_BUILD ?= native

# The kernels are compiled in place, so that the tree at hand is what runs; those that have not changed are not compiled again.
$(READY): pyproject.toml setup.py $(wildcard fastem/*.pyx fastem/kernels/*.pxi fastem/kernels/*.h) | $(RUN)
	@echo "Compiling the kernels, once: about a minute"
	rm -f fastem/*.so  # one of another name, as for this Python alone, would be found first
	$(PIP) "cython>=3.1" "setuptools>=77"
	FASTEM_BUILD=$(FASTEM_BUILD) $(RUN) setup.py --quiet build_ext --inplace  # pip would compile on one core only
	FASTEM_BUILD=$(FASTEM_BUILD) $(PIP) --no-build-isolation --editable .
	touch $@

# What an extra of pyproject.toml asks for.
$(VENV)/%.ready: pyproject.toml | $(READY)
	@echo "Installing what $* needs"
	$(PIP) "fastem[$*]"
	touch $@

# Benchmarks measure sets that this machine would not pick.
every-set: $(READY)
	FASTEM_BUILD=all $(RUN) setup.py --quiet build_ext --inplace

# Alone: for a tree that runs in the environment of another (bench/history.py).
kernels:
	$(RUN) setup.py --quiet build_ext --inplace

clean:
	rm -rf $(VENV) .venv-clients .venv-peers .venv-spark .venv-torch build dist *.egg-info fastem/*.so fastem/__pycache__ examples/output bench/output \
	  docs/_build docs/pictures
