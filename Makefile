# Every target sets up what it needs in .venv, from a fresh clone with python3 (>= 3.11), make and a C compiler.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/ready

.PHONY: demo test test-slow torture conformance lint bench bench-quick bench-answers bench-check bench-peers clean

demo: $(READY)
	$(RUN) examples/demo.py

test: $(READY)
	$(RUN) -m pytest -q -m "not slow"

test-slow: $(READY)
	$(RUN) -m pytest -q -m slow

# Faults, really injected: sanitizers, bounds checks, Numba's modes, allocations that fail.  TORTURE=small is minutes.
torture: $(READY)
	$(RUN) tests/torture/run_all.py

conformance: $(READY)
	$(RUN) tests/conformance/run.py

lint: $(READY)
	$(RUN) -m ruff check .
	$(RUN) -m mypy

BENCH := $(RUN) -m pytest -q --benchmark-only --benchmark-columns=min,median,rounds

bench: $(READY)
	mkdir -p bench/output
	$(BENCH) bench/bench_kernels.py bench/bench_fit.py --benchmark-json=bench/output/bench.json

# A tenth of the rows, kernels only.
bench-quick: $(READY)
	mkdir -p bench/output
	$(BENCH) bench/bench_kernels.py --quick --benchmark-json=bench/output/bench-quick.json

# The answers alone: every benchmark compares before it times.
bench-answers: $(READY)
	$(RUN) -m pytest bench/bench_kernels.py bench/bench_fit.py -q --benchmark-disable

# Is a kernel slower than it was?  Instructions under valgrind, and times beside frozen kernels.
bench-check: $(READY)
	$(RUN) bench/instructions.py
	$(RUN) bench/ratio.py

# Peers in an environment of their own: daal4py needs an older scikit-learn.
bench-peers: $(READY) .venv-peers/ready
	$(RUN) bench/bench_peers.py .venv-peers/bin/python

.venv-peers/ready:
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check "daal4py==2024.7.0" "scikit-learn<1.6" packaging pandas
	touch $@

# The kernels are compiled in place, so that the tree at hand is what runs.
$(READY): pyproject.toml setup.py fastem/_kernels.pyx fastem/_simd.h
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) .venv-peers build dist *.egg-info fastem/*.so fastem/__pycache__ examples/output bench/output
