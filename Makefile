# The two commands: `make demo` sets everything up and runs the main job, `make test` sets everything
# up and passes the tests. Both need only Python 3.11 and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test prove bench soak fuzz lock proto docs clean

help:
	@echo "make demo    set up, run the whole loop on embedded servers, print where to look"
	@echo "make test    set up, then lint, types, import table, posture lint and all tests"
	@echo "make prove   apply every sabotage to a live twin and print the kill matrix"
	@echo "make bench   measure against raw limits and peers (see bench/README.md)"
	@echo "make soak    kill the pipeline and the ledger at random points, many times"
	@echo "make fuzz    mutated statements through the lint, mutated log records through the redaction"
	@echo "make lock    resolve pyproject.toml into the hashed requirements files"
	@echo "make proto   regenerate the gRPC code from its .proto file"
	@echo "make docs    regenerate the diagram and tables that are made from the code"

demo:
	@$(PYTHON) deploy/bootstrap.py run
	@$(BIN)/posture demo

test:
	@$(PYTHON) deploy/bootstrap.py dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/posture lint --strict .
	$(BIN)/pytest -n auto --dist loadgroup

prove:
	@$(PYTHON) deploy/bootstrap.py run
	@$(BIN)/posture prove

bench:
	@$(PYTHON) deploy/bootstrap.py dev
	@$(PYTHON) deploy/bootstrap.py peers
	@for bench in bench/*.py; do echo "== $$bench"; $(BIN)/python $$bench || exit 1; done

soak:
	@$(PYTHON) deploy/bootstrap.py dev
	$(BIN)/pytest -q -m soak --override-ini "addopts=--import-mode=importlib --strict-markers" tests

fuzz:
	@$(PYTHON) deploy/bootstrap.py dev
	$(BIN)/pytest -q -s -m soak --override-ini "addopts=--import-mode=importlib --strict-markers" \
		tests/lint/test_fuzz.py tests/core_platform/test_redaction_fuzz.py

lock:
	@$(PYTHON) deploy/bootstrap.py dev
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --python-version 3.11 \
	  --all-extras --group build pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --python-version 3.11 \
	  --all-extras --group build --group dev -c requirements/run.txt pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --python-version 3.11 \
	  --group peers -o requirements/peers.txt
	echo uv | $(BIN)/uv pip compile -q --universal --generate-hashes --no-header --python-version 3.11 \
	  - -o requirements/bootstrap.txt

proto:
	$(BIN)/python -m core_platform.ingress.proto

docs:
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv .posture .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
