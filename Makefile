# Every target does its own set-up on a fresh Debian 12 or Ubuntu machine; a second run finds it done.

VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= $(firstword $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p; done; true) python3)
JOBS ?= 2
SECONDS ?= 900

ARCH := $(shell uname -m)
CROSS := $(if $(filter aarch64,$(ARCH)),gcc libc6-dev,gcc-aarch64-linux-gnu libc6-dev-arm64-cross) \
	$(if $(filter riscv64,$(ARCH)),gcc libc6-dev,gcc-riscv64-linux-gnu libc6-dev-riscv64-cross) qemu-user
X86 := $(if $(filter x86_64,$(ARCH)),gcc libc6-dev clang)

help:
	@echo 'make demo       translate a shipped x86-64 object to both targets, link it, run it, compare what it prints'
	@echo 'make test       lint and all tests (JOBS=$(JOBS) at a time)'
	@echo 'make test-page  the page of translate --html in Chromium (installs 0.4 GB)'
	@echo 'make fuzz       each entry of tests/fuzz/hostile.py under a coverage-guided fuzzer, SECONDS=$(SECONDS) each'
	@echo 'make lint       ruff, mypy, and deptry (what is imported against what is required)'
	@echo 'make hooks      have git run them before each commit'
	@echo 'make docs       write docs/commands.md anew'
	@echo 'make clean      remove what these made, the virtual environment included'

test: lint $(VENV)/.cross
	$(PY) -m pytest -q -n $(JOBS)

# Chromium is 24 Debian packages, 124 MB to fetch and 414 MB on disk: too much for every `make test`, which skips these.
test-page: $(VENV)/.installed
	.ci/apt chromium
	$(PY) -m pip install --quiet -e '.[page]'
	$(PY) -m pytest -q -s tests/guesssketch/test_page_in_browser.py

# Goes on from what earlier runs left in build/fuzz; what breaks something is put into build/fuzz/found.
fuzz: $(VENV)/.installed
	$(PY) -m pip install --quiet -e '.[nightly]'
	for entry in object code text arguments; do PYTHONPATH=. nice $(PY) tests/fuzz/fuzz.py $$entry $(SECONDS) build/fuzz \
		tests/fuzz/corpus examples/objects || exit; done

lint: $(VENV)/.installed
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m deptry --no-ansi . benchmarks datasets/pairs examples tests/fuzz

hooks: $(VENV)/.installed
	$(PY) -m pre_commit install

docs: $(VENV)/.installed
	$(PY) docs/commands.py

# Without the cross compilers (no right to install them) the demo links by ziglang, and says what it could not run.
demo: $(VENV)/.installed
	@.ci/apt $(CROSS) || echo 'going on without them'
	$(PY) examples/demo.py

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || .ci/apt python3-venv
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	@touch $@

# PyTorch comes first, so that a CPU build which pip has been told of (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL) is the one that stays: 0.2 GB
# to fetch, where PyPI's is some 3 GB with what it requires.
$(VENV)/.torch: $(VENV)/.made
	@echo 'installing PyTorch into $(VENV)'
	$(PY) -m pip install --quiet torch==2.13.0 || $(PY) -m pip install --quiet 'torch>=2.5,<3'
	@touch $@

$(VENV)/.installed: $(VENV)/.torch pyproject.toml
	@echo 'installing guesssketch and what it requires into $(VENV)'
	@$(PY) -m pip install --quiet -e '.[dev]'
	@touch $@

$(VENV)/.cross: $(VENV)/.made
	@.ci/apt $(sort $(CROSS) $(X86)) && touch $@ || echo 'going on without them: the tests that need them are skipped'

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache *.egg-info

.PHONY: help test test-page fuzz lint hooks docs demo clean
