# Firstlight's commands. `make help` lists them.
#
# Whatever needs the machine set up goes through deploy/setup, which compares hashes (of the locks, not dates of files)
# and looks for the programs themselves, so it is done in a moment when nothing is missing and right when something is.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

# Of the tests. They wait now and then, and those of killed workers more often, so more than a small machine has cores.
WORKERS ?= 4
SWEEPERS ?= 5
# What is compiled once is not compiled again for each of the many processes that tests and the demo start.
unexport PYTHONDONTWRITEBYTECODE
export TICKET CUSTOMERS STEPS RATE SECONDS PROCESSES DATABASE_URL QUICK RUNS DATABASE ONLY ROWS CPES TASKS DEVICES

.PHONY: help demo test turns durability bench bench-ipam bench-radius bench-acs bench-console check lint types imports lock docs picture pictures mails clean ready-demo ready-test

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

demo: ready-demo ## set this machine up, then turn an installation ticket into a live subscriber (TICKET=file.json for your own)
	@.venv/bin/firstlight demo --once --json $${TICKET:+--ticket "$$TICKET"}

test: ready-test ## set this machine up, then run the tests on SQLite and PostgreSQL (ARGS="-k word" for some of them)
	@.venv/bin/pytest -n $(WORKERS) --dist worksteal -m "not durability_sweep and not second_half" $(ARGS)

turns: ready-test ## what make test leaves out: tests that go by turns on the other database, and dear variants
	@.venv/bin/pytest -n $(WORKERS) --dist worksteal -m "second_half and not durability_sweep" $(ARGS)

durability: ready-test ## a kill at every point of every journey, and in allocations, logins and all that is asked of an ACS, on both databases
	@.venv/bin/pytest -n $(SWEEPERS) --dist worksteal -m durability_sweep $(ARGS)

bench: ready-test ## how fast the API's reading routes answer, as JSON lines (CUSTOMERS, STEPS, RATE, SECONDS, PROCESSES, DATABASE=postgresql, DATABASE_URL, ONLY=pools)
	@.venv/bin/python -m tests.bench.reading

bench-ipam: ready-test ## what an allocation costs beside a bare INSERT, as JSON lines (QUICK=1, RUNS, SECONDS, DATABASE=sqlite)
	@.venv/bin/python -m tests.bench.allocating

bench-radius: ready-test ## imports, logins, sessions and CoA beside their floors, as JSON lines (QUICK=1, RUNS, SECONDS, ONLY=radius.auth, ROWS)
	@.venv/bin/python -m tests.bench.radius

bench-acs: ready-test ## enqueueing, converging and sweeping CPEs through a GenieACS, as JSON lines (QUICK=1, CPES, ONLY=acs.sweep)
	@.venv/bin/python -m tests.bench.acs

bench-console: ready-test ## searches, looks at what needs a person and pages with lists, as JSON lines (QUICK=1, CUSTOMERS, ROWS, DATABASE=sqlite, ONLY=console.search)
	@.venv/bin/python -m tests.bench.console

check: lint types imports test ## everything that must hold before a change is handed in

lint: ready-test ## style and likely mistakes
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .

types: ready-test ## types, strictly
	@.venv/bin/mypy

imports: ready-test ## folders are floors: nobody imports upward or sideways
	@.venv/bin/lint-imports

lock: ready-test ## lock the requirements anew (UPGRADE=1 for the newest versions)
	@deploy/lock $(if $(UPGRADE),--upgrade)

docs: ready-test ## renew the tables in docs/ that are made from the code
	@PYTHONPATH=. .venv/bin/python deploy/renew_docs.py

picture: ready-test ## renew docs/demo.svg from a real run of the demo
	@.venv/bin/python deploy/renew_demo_picture.py

pictures: ready-test ## renew docs/console-*.png from a browser's walk over the console
	@mkdir -p .npm/pictures
	@FIRSTLIGHT_TEST_PICTURES=$$PWD/.npm/pictures .venv/bin/pytest -q tests/browser -k "preview_and_seen_to_be_live or rolled_back"
	@for name in queue run-held preview-roll-back; do cp .npm/pictures/$$name.png docs/console-$$name.png; done

mails: ready-test ## render the sample of every mail anew, for the tests to compare (look at the difference)
	@.venv/bin/python -m tests.support.golden_mails

clean: ## remove what the commands above left, .venv excepted
	@rm -rf .lab .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

ready-demo:
	@deploy/setup demo

ready-test:
	@deploy/setup test
