# `make run` and `make test` do all the set-up on a fresh machine with Python >= 3.11.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup run test check bench dashboards pictures lock prometheus-rule

setup: .venv/.complete

.venv/.complete: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "pyrometer needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup
	@$(BIN)/pyrometer demo

# Files run beside each other, and of each the tests in one process. An empty PYTHONDONTWRITEBYTECODE is none: the daemon is
# started a hundred times, and compiles itself only the first.
test: setup
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q -p no:randomly tests/unit/test_direction.py

bench: setup
	@$(BIN)/python -m tests.bench $(ONLY)

dashboards: setup
	@$(BIN)/python -m dashboards

# Needs prometheus and chromium.
pictures: setup
	@$(BIN)/python -m dashboards.pictures

# The rules stand once, in deploy/prometheus/rules; Kubernetes wants them inside an object of its own. The last group is about
# Prometheus and Alertmanager themselves, which in a cluster are called and watched otherwise.
prometheus-rule:
	{ cat deploy/kubernetes/prometheusrule.head; sed -e '/^groups:/d' -e '/- name: pyrometer-alerting-path/,$$d' -e '/./s/^/  /' deploy/prometheus/rules/recording.yml deploy/prometheus/rules/alerting.yml; } > deploy/kubernetes/prometheusrule.yaml

# The lock files name no package index; --universal keeps them valid for every platform.
lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o requirements.txt
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c requirements.txt -q -o requirements-dev.txt
	uv pip compile pyproject.toml --extra postgres --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c requirements-dev.txt -q -o requirements-postgres.txt
	echo 'setuptools>=77' | uv pip compile - --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c requirements-dev.txt -q -o requirements-build.txt
