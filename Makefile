# The two commands of a fresh machine are `make run` and `make test`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One set of features for everything that `make test` builds, so that nothing is built twice.
TESTED := --workspace --bins --tests --locked
TARGET := $(or $(CARGO_TARGET_DIR),target)
GATEWAY := $(TARGET)/debug/rack-gateway-api

.PHONY: help
help: ## Show the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

.PHONY: run
run: ## Start a gateway with a development rack and identity provider on this machine.
	cargo run --locked --bin rack-gateway-api -- dev

.PHONY: test
test: ## Install what the tests need, then check and test everything.
	@.ci/step 'install' .ci/install
	@.ci/step 'formatting' cargo fmt --all --check
	@.ci/step 'lints' cargo clippy --workspace --all-targets --locked -- -D warnings
	@.ci/step 'lints of the shipped gateway' cargo clippy --package rack-gateway --bin rack-gateway-api \
	  --no-default-features --features server --locked -- -D warnings
	@.ci/step 'lints of the shipped client' cargo clippy --package rack-gateway --bin rack-gateway \
	  --no-default-features --features cli --locked -- -D warnings
	@.ci/step 'documentation' env RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --quiet
	@.ci/step 'build' cargo build $(TESTED)
	@.ci/step 'policies: valid' $(GATEWAY) policy check
	@.ci/step 'policies: tests' $(GATEWAY) policy test
	@.ci/step 'generated files are current' .ci/generated $(GATEWAY)
	@.ci/step 'tests' cargo test --workspace --locked

.PHONY: policy
policy: ## Check the policies and run their tests.
	cargo build $(TESTED)
	$(GATEWAY) policy check
	$(GATEWAY) policy test

.PHONY: generate
generate: ## Write the generated files again.
	cargo build $(TESTED)
	.ci/generated --write $(GATEWAY)

.PHONY: fmt
fmt: ## Format the code.
	cargo fmt --all

.PHONY: lint
lint: ## Check formatting and lints.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: bench
bench: ## Measure: the hot path, then the whole server beside nginx.
	@.ci/step 'install' .ci/install nginx:nginx-light wrk
	@.ci/step 'measure' benches/load/run.sh
