# Two targets matter to a newcomer: `make run` brings up a show, `make test` runs every test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := .ci/requirements.lock
PYTEST_ARGS ?=
# Registries behind a company's own certificate authority: believe whom the system believes.
export UV_SYSTEM_CERTS ?= true
export UV_NATIVE_TLS ?= true
# A show and its tests start dozens of Python processes: each module is compiled once, whatever the shell that calls us says.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help screenshots run reset test test-python test-web lint format types load bench-hub bench-overload bench-hostile bench-compression bench-sale chaos bench-page bench-video browser lock clean

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: $(VENV)/.run ## bring up a show with a sample room, and print its links
	@exec $(BIN)/flashroom dev

reset: $(VENV)/.run ## forget all data of the development show
	@$(BIN)/flashroom reset

test: $(VENV)/.dev browser test-web test-python ## run every test

test-python: $(VENV)/.dev
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -q $(PYTEST_ARGS)

test-web: $(VENV)/.dev
	@$(BIN)/python -m live.pages_build types test build

lint: $(VENV)/.dev ## formatting, lint, import contracts
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

format: $(VENV)/.dev ## format all Python
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format .

types: $(VENV)/.dev ## mypy --strict
	@$(BIN)/mypy

load: $(VENV)/.dev ## locust against a running show (LOAD_ARGS='--users 200 --run-time 60s'; LOAD_UI=1 for its web page)
	@$(BIN)/python -m loadtests.run_load $(if $(LOAD_UI),--ui) $(LOAD_ARGS)

bench-hub: $(VENV)/.dev ## what a delivered message costs, beside Nchan and other peers (BENCH_ARGS='--full')
	@$(BIN)/python -m loadtests.bench_hub $(BENCH_ARGS)

bench-overload: $(VENV)/.dev ## what a hub leaves out as the load rises, and that stock and personal messages do not wait with it
	@$(BIN)/python -m loadtests.bench_overload $(BENCH_ARGS)

bench-hostile: $(VENV)/.dev ## what readers that stop, floods and broken frames cost everybody else, and the hub's memory
	@$(BIN)/python -m loadtests.bench_hostile $(BENCH_ARGS)

bench-compression: $(VENV)/.dev ## what compressing a room's frames once is worth in bytes, and costs in CPU
	@$(BIN)/python -m loadtests.bench_compression $(BENCH_ARGS)

bench-sale: $(VENV)/.dev ## hold decisions and durable checkouts, beside plain ways of doing them (BENCH_ARGS='--quick')
	@$(BIN)/python -m loadtests.bench_sale $(BENCH_ARGS)

chaos: $(VENV)/.dev ## kill, freeze and empty everything under shopping load (CHAOS_ARGS='--seconds 60 --seed 7')
	@$(BIN)/python -m loadtests.chaos $(CHAOS_ARGS)

bench-page: $(VENV)/.dev browser test-web ## what the viewer's page costs a cheap phone: first load, and a busy room's frames per second
	@$(BIN)/python -m loadtests.bench_page $(BENCH_ARGS)

bench-video: $(VENV)/.dev test-web ## what a video viewer costs: forwarding beside decode-and-encode, join, delay from glass to glass (BENCH_ARGS=--viewers=80)
	@$(BIN)/python -m loadtests.bench_video $(BENCH_ARGS)

screenshots: $(VENV)/.dev browser test-web ## both pages, phone and desktop, English and Chinese, into screenshots/
	@$(BIN)/python -m loadtests.screenshots $(SCREENSHOT_ARGS)

lock: $(VENV)/.dev ## pin what the tests run with
	@$(BIN)/uv pip compile -q --all-extras --no-header --no-annotate pyproject.toml -o $(LOCK)

clean: ## remove environment, builds and caches (not data)
	rm -rf $(VENV) live/web/node_modules live/web/dist .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis

# uv installs from the lock in seconds; it comes from the same registry as everything else.
$(VENV)/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit("Flashroom needs Python 3.11 or newer; run make PYTHON=/path/to/python3.11") if sys.version_info < (3, 11) else None'
	@echo "flashroom: making the Python environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv

$(VENV)/.run: pyproject.toml $(LOCK) | $(VENV)/bin/uv
	@echo "flashroom: installing Python packages"
	@UV_SYSTEM_CERTS=1 VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install -q -c $(LOCK) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml $(LOCK) | $(VENV)/bin/uv
	@echo "flashroom: installing Python packages, with those for tests"
	@UV_SYSTEM_CERTS=1 VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install -q -c $(LOCK) -e '.[dev]'
	@touch $@ $(VENV)/.run

# The browser tests need a Chromium. As root on Debian we can fetch it; elsewhere we say what to do.
browser:
	@if command -v chromium >/dev/null || command -v google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "flashroom: installing Chromium for the browser tests"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null; \
	else echo "flashroom: no Chromium on PATH: install one (apt install chromium) to run the browser tests"; exit 1; fi
