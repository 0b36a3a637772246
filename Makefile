# Thin: every target is one command. PYTHON chooses the interpreter (3.11 or newer) the virtual environment is made from.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Tiers that need more than this checkout; `make check` leaves them out. SERVERS start servers of their own, so that they run side by side.
SERVERS := control_plane or postgres or alertmanager
TIERS := cluster or ui or faults or $(SERVERS)

.PHONY: demo up down status ui check test test-faults bench

demo: $(READY)
	$(BIN)/python -m gsv_sandbox.demo

up: $(READY)
	$(BIN)/gsv-sandbox up

down: $(READY)
	$(BIN)/python -m gsv_sandbox.desk down
	$(BIN)/gsv-sandbox down

status: $(READY)
	$(BIN)/gsv-sandbox status
	$(BIN)/python -m gsv_sandbox.desk status

ui: $(READY)
	$(BIN)/python -m gsv_sandbox.desk up

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n auto -m "not ($(TIERS))"

test: check
	$(BIN)/python -m gsv_sandbox.packages
	$(BIN)/gsv-sandbox up --provider native
	$(BIN)/pytest -q -n 4 --dist worksteal -m "($(SERVERS)) and not (cluster or ui or faults)"
	$(BIN)/pytest -m "(cluster or ui) and not faults"

test-faults: $(READY)
	$(BIN)/gsv-sandbox up --provider native
	$(BIN)/pytest -m "fault or faults" --faults-report docs/faults.md

bench: $(READY)
	$(BIN)/gsv-sandbox up --provider native
	$(BIN)/python -m benchmarks $(ONLY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	touch $@
