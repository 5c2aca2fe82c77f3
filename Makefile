# `make` alone lists the targets. The first use of one sets up what it needs: the Python environment (.venv, by pipenv
# from Pipfile.lock), the cdktf command (node_modules, from package-lock.json), pipenv and checkov themselves (.tools).

SHELL := bash
.SHELLFLAGS := -Eeuo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

PYTHON ?= $(or $(shell command -v python3.11),python3)
PIPENV := .tools/pipenv-2026.10.3

# More arguments for cdktf or pytest: `make deploy ARGS=--auto-approve`, `make test-unit ARGS='-k price -x'`.
ARGS ?=

# A program that validates, plans, applies, plans again and destroys a synthesized stack with no cloud, given
# `--cycle FOLDER`. If there is none, the tests that need it are skipped and say so.
TF_OFFLINE ?=

export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/$(PIPENV)/bin:$(CURDIR)/node_modules/.bin:$(PATH)
export PIPENV_VENV_IN_PROJECT := 1
export PIPENV_IGNORE_VIRTUALENVS := 1
unexport VIRTUAL_ENV
# Terraform and cdktf would each ask their maker for a newer version.
export CHECKPOINT_DISABLE := 1
# cdktf 0.21 runs on Node 20 and 22 only: jsii need not repeat that 20 is past its end of life.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20

.PHONY: help
help: ## this list
	@grep -hE '^[a-z -]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 38

# --- the app -----------------------------------------------------------------------------------------------------

.PHONY: synth diff deploy output destroy
synth: setup ## write the Terraform JSON of main.py to cdktf.out; no AWS account and no Terraform needed
	cdktf synth $(ARGS)

diff: setup ## what a deploy would change
	cdktf diff $(ARGS)

deploy: setup ## make the cluster of main.py in your own AWS account
	cdktf deploy $(ARGS)

output: setup ## the outputs of the deployed cluster, its ready commands among them
	cdktf output $(ARGS)

destroy: setup ## destroy the cluster
	cdktf destroy $(ARGS)

# --- the deployed cluster ----------------------------------------------------------------------------------------

# `yes` for the cluster that `make demo ARGS=--keep` left running on this machine.
DEMO ?=
ON_MASTER = python $(if $(DEMO),-m lab.demo on-master,tools/on_master.py)

.PHONY: shell ui connect submit status wait
shell: setup ## open a shell on the master of the deployed cluster
	$(ON_MASTER) shell

ui: setup ## forward the one port of all pages to http://localhost:8080; the history is at /history/
	$(ON_MASTER) ui

connect: setup ## forward the port of Spark Connect, if the cluster has it, to sc://localhost:15002
	$(ON_MASTER) connect

# As they were typed: make would take a $ in them for a variable of its own.
submit: export JOB_AS_GIVEN := $(value JOB)
submit: export ARGS_AS_GIVEN := $(value ARGS)
submit: export OPTIONS_AS_GIVEN := $(value OPTIONS)
submit: export REQUIREMENTS_AS_GIVEN := $(value REQUIREMENTS)
unexport JOB ARGS OPTIONS REQUIREMENTS
submit: setup ## run JOB=job.py on it with ARGS='2026-01-01' (OPTIONS, REQUIREMENTS=FILE), and end with the job's status
	$(ON_MASTER) submit

status: setup ## show the cluster's state on one screen
	$(ON_MASTER) status

wait: setup ## wait until all wanted workers are ready
	$(ON_MASTER) wait

# --- a cluster on this machine -----------------------------------------------------------------------------------

.PHONY: demo lab-packages
demo: setup ## a cluster of real hosts on this machine, with no AWS account; needs root, Debian and Terraform
	python -m lab.demo $(ARGS)

lab-packages: setup ## install the Debian packages that test-lab needs
	python -m lab.demo packages

# --- checks ------------------------------------------------------------------------------------------------------

.PHONY: test test-all lint format test-unit test-synth test-userdata test-bindings test-deploy test-lab test-long checkov bench
test: lint ## linters, types, and the tests that need neither root nor Terraform
	pytest --numprocesses=auto --dist=worksteal tests/unit tests/synth tests/userdata $(ARGS)

test-all: test ## all that CI runs
	tools/beside.sh '$(MAKE) test-bindings checkov test-deploy' '$(MAKE) test-lab'

# Those with a shebang, and those that others source and that say so.
SHELL_FILES = $$(shfmt --find .ci userdata lab tests tools; grep -rl '^\# shellcheck shell=bash' userdata || true)

# Not the jobs that somebody tries here.
PYTHON_FILES = main.py spark_cluster userdata examples bench lab tests tools

lint: setup ## ruff, mypy, shellcheck, shfmt
	pipenv verify
	ruff check $(PYTHON_FILES)
	ruff format --check $(PYTHON_FILES)
	mypy
	shellcheck --external-sources $(SHELL_FILES)
	shfmt -d -i 2 -ci $(SHELL_FILES)

format: setup ## write what ruff and shfmt want
	ruff check --fix $(PYTHON_FILES)
	ruff format $(PYTHON_FILES)
	shfmt -w -i 2 -ci $(SHELL_FILES)

test-unit test-synth test-userdata: test-%: setup ## one tier of tests
	pytest tests/$* $(ARGS)

test-deploy: setup ## real deploys into an emulated AWS; needs Terraform, and its AWS provider from the registry or a mirror
	APPLY_OFFLINE='$(if $(TF_OFFLINE),$(TF_OFFLINE) --cycle)' pytest tests/deploy $(ARGS)

test-lab: setup ## real deploys into an AWS on this machine that boots real hosts; needs root, Debian and Terraform
	pytest tests/lab $(ARGS)

test-long: setup ## all cases of test-deploy and test-lab, which leave some out
	LONG=yes $(MAKE) test-deploy test-lab

.PHONY: chaos
chaos: setup ## interrupt twenty workers in a row under jobs that never pause, in the lab, within some twenty minutes
	python -m lab.chaos $(ARGS)

# The locked bindings of the AWS provider are the newest; these are others that pyproject.toml allows.
BINDINGS := $(patsubst tests/bindings/%.txt,.tools/bindings-%/.made,$(wildcard tests/bindings/*.txt))

test-bindings: setup $(BINDINGS) ## older bindings of the AWS provider make the same JSON
	pytest tests/bindings $(ARGS)

checkov: setup .tools/checkov/.made ## static analysis of the Terraform JSON of main.py
	cdktf synth
	python tools/for_checkov.py cdktf.out/stacks .checkov/stacks
	.tools/checkov/bin/checkov --config-file .checkov.yaml | tee .tools/checkov/report
	@grep -qE 'Passed checks: [1-9][0-9]*, Failed checks: 0, Skipped checks: [0-9]+$$' .tools/checkov/report \
	  || { echo 'checkov could not read the JSON, and calls that a success'; exit 1; }

bench: setup ## how long synthesis takes, a boot and a drain of a worker, what S3A costs, and a tick of the master
	python bench/synthesis.py
	python -m bench.boot
	python -m bench.s3a
	python -m bench.drain
	python -m bench.tick

.PHONY: docs
docs: setup ## rewrite the tables in docs/ from the code
	python tools/tables.py

# --- environments ------------------------------------------------------------------------------------------------

.PHONY: setup lock clean
setup: .venv/.made node_modules/.made ## the environments; a second time this does nothing

$(PIPENV)/.made:
	$(PYTHON) tools/check_python.py
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check $(subst -,==,$(notdir $(@D)))
	touch $@

.venv/.made: Pipfile.lock $(PIPENV)/.made
	pipenv sync --dev
	touch $@

# Compiling their 2,212 modules would take most of the time, and few are imported.
.tools/bindings-%/.made: tests/bindings/%.txt .venv/.made
	rm -rf $(@D)
	pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes --target $(@D) --requirement $<
	touch $@

# checkov pins its dependencies to old releases, which would not go together with the tests' ones.
.tools/checkov/.made: Pipfile.lock $(PIPENV)/.made
	rm -rf $(@D)
	$(PYTHON) -m venv --without-pip $(@D)
	env -u PIPENV_IGNORE_VIRTUALENVS PIPENV_VERBOSITY=-1 VIRTUAL_ENV=$(CURDIR)/$(@D) pipenv sync --categories checkov
	touch $@

node_modules/.made: package-lock.json
	node tools/check_node.mjs
	npm ci
	touch $@

# To be run with an early Python 3.11 (the locked versions are those that it can use), from an environment made with it.
# What came from which registry is that machine's affair: neither lock file names one.
lock: $(PIPENV)/.made ## lock the newest versions that Pipfile, pyproject.toml and package.json allow
	pipenv lock --categories 'packages dev-packages checkov'
	$(PYTHON) tools/lock_without_sources.py
	npm install --package-lock-only

clean: ## remove all that make made; the state of a deployed cluster stays
	rm -rf .venv .tools node_modules cdktf.out .mypy_cache .pytest_cache .ruff_cache
	find spark_cluster userdata lab tests tools bench examples -name __pycache__ -prune -exec rm -rf {} +
