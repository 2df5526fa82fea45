# Two commands matter: `make run` and `make test`. `make help` names the others.

.DEFAULT_GOAL := help
PY := .venv/bin/python
# pytest's choice of tests, e.g. `make test ARGS=tests/unit`. Coverage is judged only when all run.
ARGS ?=
TEST_WORKERS ?= auto
export PYTHON
# Without its bytecode, every process of the hundreds that the tests start would compile Arcana anew.
unexport PYTHONDONTWRITEBYTECODE

# Makes the environment when it is missing or older than its lock; costs a few milliseconds otherwise.
.PHONY: environment-run environment-dev
environment-run:
	@sh requirements/install.sh run
environment-dev:
	@sh requirements/install.sh dev

.PHONY: run
run: environment-run ## Start everything on the embedded stores, with an admin; Ctrl-C stops it
	@exec $(PY) -m launcher.cli up $(ARGS)

.PHONY: test
test: environment-dev ## Run all tests, on real MySQL/MariaDB and Redis too, and judge coverage
	@rm -rf build/coverage && mkdir -p build/coverage
	@result=0; \
	$(PY) -m coverage run -m pytest -n $(TEST_WORKERS) $(ARGS) || result=$$?; \
	$(PY) -m coverage combine --quiet; \
	if [ -z "$(strip $(ARGS))" ]; then $(PY) .ci/coverage_gates.py || result=1; fi; \
	exit $$result

.PHONY: test-unit
test-unit: environment-dev ## Run the unit tests only: no socket, seconds
	@$(PY) -m pytest -n 0 tests/unit $(ARGS)

.PHONY: test-modes
test-modes: environment-dev ## Run all tests of the edge in each of the five wirings (WIRINGS=…)
	@result=0; \
	for wiring in $(WIRINGS); do \
	    echo "== $$wiring"; \
	    ARCANA_TEST_WIRING=$$wiring $(PY) -m pytest -n 0 $(EDGE_TESTS) $(ARGS) || result=1; \
	done; \
	exit $$result
WIRINGS ?= monolithic layered-grpc layered-http microservices-grpc microservices-http
EDGE_TESTS := $(patsubst %,tests/system/test_%.py,first_story edge_rows edge_errors races logs fuzz docs_page)

.PHONY: lint
lint: environment-dev ## Check format, style, the table of imports, the contracts and the generated code
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	.venv/bin/lint-imports --no-cache
	$(PY) shared_protos/generate.py --lint
	$(PY) shared_protos/generate.py --check

.PHONY: types
types: environment-dev ## Check types (mypy, strict)
	$(PY) -m mypy

.PHONY: fmt
fmt: environment-dev ## Format the code and mend what can be mended by itself
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

.PHONY: protos
protos: environment-dev ## Make the Python code of the contracts in shared_protos/
	$(PY) shared_protos/generate.py

.PHONY: openapi
openapi: environment-dev ## Write the OpenAPI document from the code
	$(PY) -m controller_tier.openapi > docs/openapi.json

.PHONY: docs
docs: environment-dev ## Write the generated pages of docs/
	$(PY) docs/generate.py

.PHONY: monitoring
monitoring: environment-dev ## Write the dashboards, the alert rules and their runbook from the code
	$(PY) -m monitoring.generate

.PHONY: docs-queries
docs-queries: environment-dev ## Write docs/queries.md: each query's plan in a full shop (--rows N; 100,000 take long)
	$(PY) docs/queries.py $(ARGS)

.PHONY: fuzz
fuzz: environment-dev ## Send generated requests for a long time (schemathesis)
	$(PY) -m pytest -n 0 -m fuzz --timeout 3600 tests/system $(ARGS)

.PHONY: stress
stress: environment-dev ## Orders, jobs, events and files under load and kill -9, at full size (about two hours)
	ARCANA_STRESS=full $(PY) -m pytest -n 0 --timeout 3600 $(STRESS_TESTS) $(ARGS)
STRESS_TESTS := tests/system/test_orders_under_load.py tests/system/test_shop_against_a_model.py \
    tests/chaos/test_orders_while_tiers_die.py tests/chaos/test_jobs_while_things_die.py \
    tests/chaos/test_lost_stores.py tests/system/test_files.py

.PHONY: bench bench-quick
bench: environment-dev ## Compare gRPC hops with REST hops, in about 12 minutes (ARGS=--docs: the committed report)
	@$(PY) -m benchmarks $(ARGS)
bench-quick: environment-dev ## The same in about 90 seconds: only what the headline is made of
	@$(PY) -m benchmarks --quick $(ARGS)

.PHONY: bench-scale
bench-scale: environment-dev ## A shop of 100,000 rows over one of 1,000 (ARGS=--docs: the committed figures)
	@$(PY) -m benchmarks.scale $(ARGS)

.PHONY: bench-events
bench-events: environment-dev ## How long after its commit an event reaches its handler, at 200 a second
	@$(PY) -m benchmarks.event_lag $(ARGS)

.PHONY: lock
lock: environment-dev ## Resolve the dependencies anew, keeping what still fits
	$(PY) -m uv pip compile pyproject.toml $(LOCK_OPTIONS) --group build -o requirements/run.lock
	$(PY) -m uv pip compile pyproject.toml $(LOCK_OPTIONS) --group build --group dev --group bench \
	    -c requirements/run.lock -o requirements/dev.lock
	for tier in controller service repository; do \
	    $(PY) -m uv pip compile pyproject.toml $(TIER_LOCK_OPTIONS) --extra $$tier --group build \
	        -c requirements/run.lock -o requirements/$$tier.lock || exit 1; \
	done
TIER_LOCK_OPTIONS := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-header
LOCK_OPTIONS := $(TIER_LOCK_OPTIONS) --all-extras

.PHONY: clean
clean: ## Remove the environment and everything made; .arcana/ (your data) stays
	rm -rf .venv build .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## Name the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
