# One name for each task, the same here and in CI. `make help` lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PY := .venv/bin/python
BIN := .venv/bin
# Test processes side by side; each has a platform of its own (about 1 GB of memory).
WORKERS ?= 2

# A platform with Trino needs about 2.5 GB.
LAKE_WORKERS ?= 2

# Parts of docker-compose.yml; every other one needs core. docs/compose.md tells what is in them.
PROFILES ?= core lake
TRACES = $(if $(filter observability,$(PROFILES)),http://jaeger:4318/v1/traces)
COMPOSE = IOT_TRACE__ENDPOINT=$(TRACES) docker compose $(addprefix --profile ,$(PROFILES))

# Folders of tests that have targets of their own.
ELSEWHERE = $(addprefix --ignore=tests/,lake platform containers compatibility)

# Tests whose servers may be containers; the others start or are the embedded platform.
IN_CONTAINERS = tests/containers $(addprefix tests/integration/,operate pipelines proof reading writers)

# Without byte code every short-lived process would compile all its imports again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Make .venv from pinned versions; nothing to do when it is up to date
	@scripts/setup.sh

.PHONY: demo
demo: setup ## The whole pipeline on this machine with 500,000 readings, and the proof
	@exec $(PY) -m demo $(ARGS)

.PHONY: test
test: setup ## Every test, on real servers, without containers; ARGS="tests/unit" for some
	@exec $(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not chaos" $(ELSEWHERE) $(ARGS)

.PHONY: chaos
chaos: setup ## Every crash and fault that the tests know; make test has a short form of it
	@exec $(BIN)/pytest -n $(WORKERS) --dist worksteal -m "chaos or short" $(ELSEWHERE) $(ARGS)

.PHONY: model
model: setup ## Search every state of both protocols' models; ARGS=--small for seconds
	@exec $(PY) -m tests.model $(ARGS)

.PHONY: test-lake
test-lake: setup ## The tests that need Trino (fetched once, 0.8 GB) and Chromium
	$(BIN)/devstack trino fetch
	@scripts/browser.sh >/dev/null
	@exec $(BIN)/pytest -n $(LAKE_WORKERS) --dist worksteal -o faulthandler_timeout=300 tests/lake $(ARGS)

.PHONY: test-containers
test-containers: setup ## The integration tests on the servers in containers; needs Docker, or Debian and root
	@scripts/docker_daemon.sh start
	@tests/images/build.sh
	@exec $(BIN)/pytest --platform=containers -n $(WORKERS) --dist worksteal $(IN_CONTAINERS) $(ARGS)

.PHONY: test-compatibility
test-compatibility: setup ## The pipeline on servers in other versions and of other makers; ARGS="-k minio"
	@scripts/compatibility.sh $(ARGS)

.PHONY: compatibility
compatibility: setup ## Run all of test-compatibility and write what came of it into docs/compatibility.md
	-@scripts/compatibility.sh --record $(ARGS)
	$(PY) -m tests.compatibility.table

.PHONY: platform-check
platform-check: setup ## Whether platform/ is sound: no cluster needed
	@exec $(PY) -m tests.platform.gate $(ARGS)

.PHONY: platform-verify
platform-verify: ## Test all components of a live cluster, as ~/.kube/homelab reaches it
	@exec platform/scripts/verify $(ARGS)

.PHONY: platform-docs
platform-docs: setup ## Write platform/components.md from the manifests
	@exec $(PY) -m tests.platform.components

.PHONY: test-platform
test-platform: setup ## The gate's own tests, with promtool and Go tools where they can be had
	@scripts/platform_tools.sh >/dev/null
	@exec $(BIN)/pytest -n $(WORKERS) --dist worksteal tests/platform $(ARGS)

.PHONY: lint
lint: setup ## Format, style, types, dependency rules, generated documents
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy scripts/claims.py scripts/dev.py scripts/env.py
	$(BIN)/mypy -p tests.platform.gate -p tests.platform.components -p tests.images -p tests.compatibility -p tests.model
	$(BIN)/lint-imports
	$(PY) scripts/claims.py --check

.PHONY: format
format: setup ## Format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: bench
bench: setup ## Run one benchmark: make bench NAME=hot_path
	@test -n "$(NAME)" && test -f "benchmarks/$(NAME)/run.py" || { \
	  echo "make bench NAME=...: choose one of $$(ls benchmarks/*/run.py | cut -d/ -f2 | tr '\n' ' ')" >&2; exit 2; }
	$(PY) -m benchmarks.$(NAME).run $(ARGS)
	$(PY) scripts/claims.py

.PHONY: bench-peers-install
bench-peers-install: setup ## Install the clients that the benchmark peers compares with; needs Go
	@exec $(PY) -m benchmarks.peers.install

.PHONY: bench-check
bench-check: setup ## What a message costs in CPU against the stored figure; ARGS=--record stores it
	@exec $(PY) -m benchmarks.cpu.check $(ARGS)

.PHONY: dev
dev: setup ## The embedded platform with Trino, and Dagster over it, until Ctrl-C
	@exec $(PY) -m scripts.dev $(ARGS)

.PHONY: env
env: ## Passwords of docker-compose.yml in .env; what is there stays
	@python3 scripts/env.py

.PHONY: up
up: env ## The pipeline on real servers in containers; PROFILES="core lake orchestration observability"
	$(COMPOSE) build
	$(COMPOSE) up --detach $(ARGS)

.PHONY: down
down: ## Stop the containers; ARGS=--volumes deletes their data too
	docker compose --profile '*' down $(ARGS)

.PHONY: logs
logs: ## What the containers say, until Ctrl-C; ARGS=ingest-hot for one
	$(COMPOSE) logs --follow --tail 100 $(ARGS)

.PHONY: docs-generate
docs-generate: setup ## Write the generated documents again
	$(PY) -m ingest.reference docs
	$(PY) -m pipelines.reference docs
	$(PY) scripts/claims.py

.PHONY: constraints
constraints: ## Resolve constraints.txt again to the newest versions (needs uv)
	scripts/constraints.sh

.PHONY: clean
clean: ## Remove .venv, caches and the demo's data; data of `make dev` stays
	rm -rf .venv .demo dist build .pytest_cache .mypy_cache .ruff_cache \
	  .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
