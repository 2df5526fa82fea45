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

.PHONY: k8s-validate k8s-policy k8s-rules
k8s-validate: environment-dev ## Check the Kubernetes manifests without a cluster
	@$(PY) -m k8s.checks
k8s-policy: environment-dev ## Check them against checkov's policies too, which has an environment of its own
	@$(PY) -m k8s.policies
k8s-rules: environment-dev ## Write the alert rules of Kubernetes from monitoring/prometheus/alerts.yml
	@$(PY) -m k8s.alert_rules

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

.PHONY: bench-capacity
bench-capacity: environment-dev ## What a request costs each tier (ARGS=--docs: the figures of `arcana capacity`)
	@$(PY) -m benchmarks.capacity $(ARGS)

.PHONY: bench-events
bench-events: environment-dev ## How long after its commit an event reaches its handler, at 200 a second
	@$(PY) -m benchmarks.event_lag $(ARGS)

# What the images say of themselves. The time is the commit's, so that labels tell of the source and not of
# the build. Only these targets ask git: what is exported for all is worked out anew for each line of each.
BUILDING := images compose-up compose-test
$(BUILDING): export ARCANA_REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
$(BUILDING): export ARCANA_CREATED ?= $(shell git log -1 --format=%cI 2>/dev/null || echo 1970-01-01T00:00:00Z)
# layered, microservices or monolithic. `compose-test` has all of them, unless LAYOUTS names some.
LAYOUT ?= layered
COMPOSE_FILES_layered := docker-compose.layered.yml
COMPOSE_FILES_microservices := docker-compose.layered.yml:docker-compose.microservices.yml
COMPOSE_FILES_monolithic := docker-compose.monolithic.yml
COMPOSE := COMPOSE_FILE=$(COMPOSE_FILES_$(LAYOUT)) docker compose

.PHONY: images
images: ## Build the container images of all tiers (ARCANA_VERSION=dev)
	@COMPOSE_FILE=docker-compose.layered.yml docker compose build $(ARGS)

.PHONY: sbom
sbom: ## Write what is in each image to build/sbom/, as CycloneDX JSON
	@docker build --target sbom --output build/sbom .

.PHONY: compose-up
compose-up: ## Build and start everything in containers, and say how to log in (LAYOUT=…)
	@$(COMPOSE) up --build --detach --wait $(ARGS)
	@COMPOSE_FILE=$(COMPOSE_FILES_$(LAYOUT)) sh containers/addresses.sh
	@$(COMPOSE) run --rm --no-deps --quiet-pull --entrypoint python admin -c \
	    "print('The first admin is $${ARCANA_ADMIN_EMAIL:-admin@arcana.local} with the password', \
	        open('/secrets/admin/password').read())"

.PHONY: compose-down
compose-down: ## Stop and remove the containers; the data stays (ARGS=--volumes: it does not)
	@$(COMPOSE) down --remove-orphans $(ARGS)

.PHONY: compose-roll
compose-roll: ## Replace the containers of a tier one by one: make compose-roll TIER=service
	@COMPOSE_FILE=$(COMPOSE_FILES_$(LAYOUT)) sh containers/roll.sh $(TIER)

# A system of its own, from nothing, and nothing of it is left.
.PHONY: compose-test
compose-test: environment-dev ## Start a system in containers in each layout, test and remove it (LAYOUTS=…)
	@exec $(PY) -m tests.containers $(LAYOUTS) -- $(ARGS)
LAYOUTS ?= layered microservices monolithic

.PHONY: lock
lock: environment-dev ## Resolve the dependencies anew, keeping what still fits
	$(PY) -m uv pip compile pyproject.toml $(LOCK_OPTIONS) --group build -o requirements/run.lock
	$(PY) -m uv pip compile pyproject.toml $(LOCK_OPTIONS) --group build --group dev --group bench \
	    -c requirements/run.lock -o requirements/dev.lock
	for tier in controller service "repository --extra s3"; do \
	    $(PY) -m uv pip compile pyproject.toml $(TIER_LOCK_OPTIONS) --extra $$tier --group build \
	        -c requirements/run.lock -o requirements/$${tier%% *}.lock || exit 1; \
	done
	echo cyclonedx-bom | $(PY) -m uv pip compile - $(HASHES) --python-version 3.14 -o requirements/sbom.lock
HASHES := --quiet --universal --generate-hashes --no-emit-index-url --no-header
TIER_LOCK_OPTIONS := $(HASHES) --python-version 3.11
LOCK_OPTIONS := $(TIER_LOCK_OPTIONS) --all-extras

.PHONY: lock-checkov
lock-checkov: environment-dev ## Resolve the dependencies of `make k8s-policy` anew
	echo checkov | $(PY) -m uv pip compile - $(TIER_LOCK_OPTIONS) -o requirements/checkov.lock

.PHONY: clean
clean: ## Remove the environment and everything made; .arcana/ (your data) stays
	rm -rf .venv build .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## Name the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
