# `make demo` and `make test` need Python 3.11 or later and make, nothing else: each sets everything up first, and fabula is
# then .venv/bin/fabula until the environment is activated.
# Another interpreter: make test PYTHON=python3.12. Without make: README.md, "Without make".

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := torch==2.13.0
READY := $(VENV)/ready
# More than four at once gain little and ask for much memory: each loads torch.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

.PHONY: help setup demo test test-long test-slow test-crash lint fuzz bench bench-gpu docs lock clean

help:
	@echo "make setup      make the environment ($(VENV)): 1 to 2 minutes, needs the network; then: . $(BIN)/activate"
	@echo "make demo       compare four recipes on the built-in stories and write the report: 2 to 12 minutes"
	@echo "make test       the tests: some minutes"
	@echo "make test-long  them and those that take longer: browsers, processes, guides (some minutes more)"
	@echo "make test-slow  those that train for long"
	@echo "make lint       style, types, order of packages  make lock       renew requirements.lock"
	@echo "make fuzz       damaged logs, runs and recipes for everything that reads (ten minutes: FUZZ_SECONDS=600)"
	@echo "make test-crash kills, limits and flipped bits for everything that writes (ten minutes: CRASH_SECONDS=600)"
	@echo "make bench      how fast it is on this machine, against others (a quarter of an hour, needs STORIES=DIR)"
	@echo "make bench-gpu  the tests and the speed of a GPU, and what it reaches (8 minutes, needs STORIES=DIR)"
	@echo "make docs       the guides as a site: build/site/index.html"
	@echo "make clean      remove what make made"

setup: $(READY)
	@echo "ready. Type: . $(BIN)/activate, then: fabula prepare builtin (or without activating: $(BIN)/fabula prepare builtin)"

# torch comes first and alone: its wheel is chosen for the machine, so the lock leaves it and what only its CUDA builds need out.
# The stamp is written last: an interrupted set-up starts again, a finished one is not repeated until the lock changes.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "fabula needs Python 3.11 or later, and '$(PYTHON)' is not; name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "'$(PYTHON)' cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	@touch $@

demo: $(READY)
	$(BIN)/fabula demo --out demo

test: $(READY)
	$(PYTEST) -m "not slow and not long"

test-long: $(READY)
	$(PYTEST) -m "not slow" --durations=30

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Seeded: what fails comes again with --first NUMBER --inputs 1.
FUZZ_SECONDS ?= 600
FUZZ_SEED ?= 0

fuzz: $(READY)
	$(BIN)/python benchmarks/harm/fuzz.py --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED) --keep build/fuzz \
	  --out docs/measured/fuzz.json
	$(BIN)/python docs/reliability_page.py

# Kills, power cuts, limits, signals, two writers, flipped bits: a process is forked for each, so nothing is left behind.
# CRASH_SECONDS=900 CRASH_KILLS=1000: when the time is over, it goes on to kill until so many processes were killed.
CRASH_SECONDS ?= 600
CRASH_KILLS ?= 0
CRASH_SEED ?= 0

test-crash: $(READY)
	$(BIN)/python benchmarks/harm/crash.py --seconds $(CRASH_SECONDS) --kills $(CRASH_KILLS) --seed $(CRASH_SEED) \
	  --out docs/measured/crash.json
	$(BIN)/python docs/reliability_page.py

# Nothing else may run meanwhile. What it measures stands in docs/benchmarks and, as tables, in docs/performance.md.
BENCH := build/bench

bench: $(READY)
	@test -d "$(STORIES)" || { echo "make bench STORIES=DIR: a folder of stories, train.jsonl and validation.jsonl" >&2; exit 1; }
	for each in gpt2 gpt2-compact bpe:8192; do \
	  test -d "$(BENCH)/tokens/$$(echo $$each | tr : -)" || $(BIN)/fabula prepare "$(STORIES)" --tokenizer $$each --out $(BENCH) || exit 1; done
	$(BIN)/python benchmarks/training.py --data $(BENCH) --out docs/benchmarks/training.json
	$(BIN)/python benchmarks/starting.py "$(STORIES)" --data $(BENCH) --out docs/benchmarks/starting.json
	$(BIN)/python benchmarks/time_to_loss.py docs/runs --training docs/benchmarks/training.json --out docs/benchmarks/loss.json
	$(BIN)/python docs/performance_page.py

# On the machine with the GPU: with its own torch, make bench-gpu BIN=DIR, the folder of a python that has torch and fabula.
bench-gpu:
	@test -d "$(STORIES)" || { echo "make bench-gpu STORIES=DIR: a folder of stories, train.jsonl and validation.jsonl" >&2; exit 1; }
	for each in gpt2 bpe:8192; do \
	  test -d "$(BENCH)/tokens/$$(echo $$each | tr : -)" || $(BIN)/fabula prepare "$(STORIES)" --tokenizer $$each --out $(BENCH) || exit 1; done
	$(BIN)/python benchmarks/gpu.py --data $(BENCH) --out docs/benchmarks/gpu.json
	$(BIN)/python docs/gpu_page.py

docs: $(READY)
	$(BIN)/python docs/site.py

# One lock for Linux, macOS and Windows and all Pythons we support, with hashes, and without a registry's address.
LOCKED_EXTRAS := train hub gguf judge ray slurm serve docs tensorboard wandb trackio mlflow test dev
LEFT_OUT := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc \
  nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse \
  nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx

lock: $(READY)
	echo "$(TORCH)" | $(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --constraint - \
	  $(LOCKED_EXTRAS:%=--extra %) $(LEFT_OUT:%=--no-emit-package %) --output-file $(VENV)/new.lock
	sed '/^# The following packages were excluded/,$$d' $(VENV)/new.lock > requirements.lock

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
