# Two commands: `make demo` and `make test`. Both set everything up on a fresh machine.
SHELL := /bin/sh
BOOT_PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
MINERS ?= 60
PATHS := agent cloud shared firmware_profiles deploy tests

.PHONY: help setup demo demo-clean test check format lock browser-deps browser clean chaos fault-matrix \
	bench-discovery bench-polling bench-outbox bench-backlog bench-ingest bench-redirect bench-pages

help:
	@echo "make demo            a simulated site, an agent and the cloud; prints the URL and the logins (MINERS=500 scales it)"
	@echo "make test            every test; make check: lint, format, types, architecture"
	@echo "make demo-clean      forget the demo's data; the next demo begins anew"
	@echo "make browser         the pages in a real browser; keeps screenshots and prints where"
	@echo "make chaos           kills, cuts, full disks and clock jumps, judged by an oracle; make fault-matrix for enforcement"
	@echo "make bench-...       discovery, polling, outbox, backlog, ingest, redirect, pages"
	@echo "make format          let ruff write; make lock: pin the newest allowed packages"

setup:
	@test -n "$(BOOT_PYTHON)" || { echo "Python 3.11 or later is needed (python3 on the PATH)."; exit 1; }
	@$(BOOT_PYTHON) deploy/bootstrap.py

demo: setup
	@$(BIN)/python -m hashyard_demo --miners $(MINERS)

# Browser tests need a Chromium; as root on Debian it is installed, elsewhere it is asked for.
browser-deps:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium fonts-inter >/dev/null; \
		else echo "The browser tests need Chromium: install your system's chromium package."; exit 1; fi; }

test: setup browser-deps
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile

browser: setup browser-deps
	@$(BIN)/python -m pytest -q -m browser && echo "Screenshots are in tests/screenshots."

check: setup
	@$(BIN)/ruff check $(PATHS)
	@$(BIN)/ruff format --check $(PATHS)
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry .

format: setup
	@$(BIN)/ruff check --fix $(PATHS)
	@$(BIN)/ruff format $(PATHS)

lock:
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile pyproject.toml --extra dev --python-version 3.11 --universal --generate-hashes \
		--no-emit-index-url --no-header --quiet -o requirements.lock

# -- long suites and benches: the last line of each is one JSON object -----------------------------------------

bench-discovery: setup
	@$(BIN)/python tests/bench/discovery/run_discovery.py

bench-polling: setup
	@$(BIN)/python tests/bench/polling/run_polling.py

bench-outbox: setup
	@$(BIN)/python tests/bench/outbox/run_outbox_bytes.py

bench-backlog: setup
	@cd tests && ../$(BIN)/python -m bench.backlog.run_backlog

bench-ingest: setup
	@cd tests && ../$(BIN)/python -m bench.ingest.run_ingest

bench-redirect: setup
	@$(BIN)/python tests/bench/redirect/run_redirect.py

bench-pages: setup
	@cd tests && ../$(BIN)/python -m bench.pages.run_pages $(PAGES)

chaos: setup
	@ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
			&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libfaketime >/dev/null; } \
		|| echo "chaos: libfaketime is missing, so no clock will jump (Debian: apt-get install libfaketime)" >&2
	@cd tests && ../$(BIN)/python -m chaos --kills 50

fault-matrix: setup
	@$(BIN)/python -m hashyard_support.matrix_command

demo-clean:
	@rm -rf var/demo

clean:
	@rm -rf .venv node_modules var cloud/hashyard_cloud/web/static/vendor .mypy_cache .ruff_cache .pytest_cache
