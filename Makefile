# Two commands: `make run` and `make test`. Each works from a bare checkout with Python 3.11 or newer.

PYTHON ?= python3
PORT ?= 8000
# More than cores: much of the suite waits, for sound at the pace of speech and for other processes.
TEST_PROCESSES ?= 4
BIN := .venv/bin
UV := $(BIN)/uv

# The command line from wherever it is called: the checkout is found from the script, not the shell.
define COMMAND
#!/bin/sh
here=$$(dirname "$$(readlink -f "$$0")")
PYTHONPATH="$$here/../.." exec "$$here/python" -P -m botsconfig "$$@"
endef
export COMMAND

.PHONY: run test install install-dev install-clients lock check format schema clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

run: install .env ## install what is missing, then serve on 127.0.0.1:$(PORT)
	@PORT=$(PORT) $(BIN)/python manage.py start --port $(PORT)

test: install-dev ## the whole suite, on SQLite or on DATABASE_URL and REDIS_URL
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal $(PYTEST_ARGS)

install: .venv/.run $(BIN)/botsconfig ## the environment of `make run`
install-dev: .venv/.dev $(BIN)/botsconfig ## the environment of `make test`
install-clients: .venv/clients/.done ## the environment of .ci/clients

extra-%: install ## a vendor's SDK or a local model: extra-aws, extra-google, extra-gguf, extra-s3
	@$(UV) pip install --quiet --python $(BIN)/python -c requirements-dev.lock -r pyproject.toml --extra $*

.env:
	@umask 077; $(BIN)/python -m botsconfig.environment > $@

# uv comes by pip with its hash checked; everything else by uv, from the hashed lock.
$(UV): requirements-uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "botsconfig needs Python 3.11 or newer; PYTHON= names another.")'
	@$(PYTHON) -m venv .venv || { echo "Python lacks its venv module (Debian: apt install python3-venv)." >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

.venv/.run: requirements.lock $(UV)
	@test -e .venv/.dev && test .venv/.dev -nt requirements-dev.lock \
		|| $(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@touch $@

.venv/.dev: requirements-dev.lock $(UV)
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

# Apart from the rest: what reads the OpenAPI document shares no package with what writes it.
.venv/clients/.done: requirements-clients.lock $(UV)
	@$(UV) venv --quiet --clear --python $(BIN)/python .venv/clients
	@$(UV) pip install --quiet --python .venv/clients/bin/python --require-hashes -r requirements-clients.lock
	@touch $@

$(BIN)/botsconfig: Makefile $(UV)
	@printf '%s\n' "$$COMMAND" > $@
	@chmod +x $@

LOCK := $(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11
lock: $(UV) ## resolve the dependencies anew (UPGRADE=1 takes the newest)
	@$(LOCK) $(if $(UPGRADE),--upgrade) pyproject.toml --extra local --extra openai --extra anthropic -o requirements.lock
	@$(LOCK) $(if $(UPGRADE),--upgrade) pyproject.toml --extra local --extra openai --extra anthropic --extra aws --extra google --extra s3 --group dev -c requirements.lock -o requirements-dev.lock
	@$(LOCK) $(if $(UPGRADE),--upgrade) --group clients -c requirements-dev.lock -o requirements-clients.lock
	@grep -E '^uv==' requirements-dev.lock | sed 's/ .*//' > .venv/uv.in
	@$(LOCK) .venv/uv.in -o requirements-uv.lock

check: install-dev ## format, lint, types, imports, migrations, deployment
	@.ci/check

format: install-dev ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean: ## remove the environment; data in var/ and .env stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
