# make demo   the whole grid on synthetic data, in minutes
# make test   linters, types, import rules, all tests but those of make long, chaos and cluster
# make long   tests that take most of a minute each and show on Ray or a server what a shorter test shows
# make docs   the documentation site, into docs/site
# make quick  the tests that are neither slow nor start a Ray
# make methods  published systems and baselines on the same ten folds (STRESS=FOLDER: of Stress-Predict, too); hours, resumable
# Needs Python 3.11 (3.11.5 or later; PYTHON=python3.12 or python3.13 takes another), git and make; everything else goes into .venv.

PYTHON ?= python3.11
BIN := .venv/bin
TESTS := python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
PYTEST := $(BIN)/$(TESTS)
unexport PYTHONDONTWRITEBYTECODE  # every process that a test starts would compile its modules again

.PHONY: help demo test quick check docs bench methods long chaos cluster audit pythons resolve clean

help:
	@sed -n 's/^# //p' Makefile

.venv/.complete: pyproject.toml constraints.txt
	@echo "installing the pinned dependencies into .venv (about 7 GB, some minutes)"
	.ci/install $(PYTHON)
	@touch $@

demo: .venv/.complete
	$(BIN)/python -m grid.launch --all

check: .venv/.complete
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry .

test: .venv/.complete
	$(MAKE) --no-print-directory --jobs 2 check docs
	$(PYTEST)

quick: .venv/.complete
	$(PYTEST) -m 'not slow and not ray and not chaos and not cluster and not long'

docs: .venv/.complete
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file docs/mkdocs.yml

bench: .venv/.complete
	for b in tests/benchmarks/*.py; do $(BIN)/python $$b; done

METHODS := runs/methods
STRESS ?=
LAUNCH := $(BIN)/python -m grid.launch --all --methods all --experiment methods-demo

methods: .venv/.complete
	for signal in all none; do test -d $(METHODS)/data-$$signal || $(BIN)/python -m dataprep.synthetic $(METHODS)/data-$$signal \
	  --subjects 20 --trials 2 --size 320x240 --signal $$signal || exit 1; done
	$(LAUNCH) --data $(METHODS)/data-all --out $(METHODS)/all
	$(LAUNCH) --data $(METHODS)/data-none --out $(METHODS)/none --seeds 0-2
	test -z "$(STRESS)" || $(LAUNCH) --data "$(STRESS)" --out $(METHODS)/stress-predict

# Slow, and not part of `make test`: nodes, drivers and servers are killed; a real `ray up` on machines made of namespaces (root).
long: .venv/.complete
	$(BIN)/python -m pytest -m long

chaos: .venv/.complete
	$(BIN)/python -m pytest -m chaos

cluster: .venv/.complete
	$(BIN)/python -m pytest -m cluster tests/cluster

# Known vulnerabilities of the pinned versions. Error 1: there are some; error 3: the service could not be asked about all of them.
audit: .venv/.complete
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pip-audit
	$(BIN)/python .ci/audit

# The quick tests on every Python of these that is here, each in an environment of its own (7 GB each, removed by `make clean`).
pythons:
	@for python in python3.11 python3.12 python3.13; do \
	    $$python -c '' 2>/dev/null || { echo "$$python: not here"; continue; }; \
	    test -d .venvs/$$python || $$python -m venv .venvs/$$python; \
	    .venvs/$$python/bin/python -m pip install -qq --retries 10 --constraint constraints.txt --editable '.[dev]' \
	    && .venvs/$$python/bin/$(TESTS) -m 'not slow and not ray and not chaos and not cluster and not long' \
	    && echo "$$python: passed" || echo "$$python: FAILED"; \
	done

# Whether the pinned packages can be had for Linux on x86-64 and ARM and for macOS on ARM: pip's dry run, with network.
resolve: .venv/.complete
	$(BIN)/python .ci/resolve

clean:
	rm -rf .venv .venvs runs build *.egg-info
