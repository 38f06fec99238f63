# The two commands of the README, and the checks behind them. `make` alone says what there is.

DATA_DIR ?= ./.pushvault
LISTEN ?= 127.0.0.1:8080
CREDENTIALS ?= 2000
SECONDS ?= 600
BENCH_SECONDS ?= 4
VERSIONS ?= 20000
FUZZ_SECONDS ?= 20
# Most tests wait more than they compute.
TEST_THREADS ?= $(shell expr 3 \* $$(getconf _NPROCESSORS_ONLN))
KILLS ?= 50

.DEFAULT_GOAL := help
.PHONY: help run test faults upgrade-test kms-test lint drill soak bench rotation-proof fuzz mutants sqlx postgres

help: ## Say what there is.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile

run: postgres ## Run the vault with a Postgres of its own and an account ready to use (DATA_DIR=…, LISTEN=…).
	cargo run --locked -- dev --data-dir "$(DATA_DIR)" --listen "$(LISTEN)"

test: postgres ## Run all tests, on a real Postgres.
	cargo test --workspace --locked -- --test-threads=$(TEST_THREADS)

faults: postgres ## Measure what faults cost, and write the table in docs/operations.md.
	PUSHVAULT_WRITE_TABLE=1 cargo test --locked --test it process::faults

upgrade-test: postgres ## Run the previous release and this one side by side, under load.
	tests/upgrade/run

kms-test: postgres ## Ask a real OpenBao and moto's AWS for keys; tests/kms/run installs both.
	tests/kms/run

lint: ## Formatting, clippy and documentation, as CI has them.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

drill: postgres ## Follow the runbooks: back a vault up under load, restore it, say how long it took (CREDENTIALS=…).
	PUSHVAULT_DRILL_CREDENTIALS="$(CREDENTIALS)" cargo test --locked --test it process::drill -- --nocapture --test-threads=1

soak: postgres ## Load a release build with everything at once, and see what it holds afterwards (SECONDS=…).
	cargo build --release --locked --bin pushvault
	PUSHVAULT_SOAK_SECONDS="$(SECONDS)" PUSHVAULT_SOAK_PROGRAM="$${CARGO_TARGET_DIR:-target}/release/pushvault" \
		cargo test --locked --test it process::soak -- --nocapture

bench: postgres ## Measure what the audit trail costs those who write, on a release build (BENCH_SECONDS=…).
	cargo build --release --locked --bin pushvault
	PUSHVAULT_BENCH_SECONDS="$(BENCH_SECONDS)" PUSHVAULT_BENCH_PROGRAM="$${CARGO_TARGET_DIR:-target}/release/pushvault" \
		cargo test --locked --test it process::bench -- --nocapture

rotation-proof: postgres ## Rotate every key under load and kills, on a release build (VERSIONS=…, KILLS=…).
	cargo build --release --locked --bin pushvault
	PUSHVAULT_PROOF_VERSIONS="$(VERSIONS)" PUSHVAULT_PROOF_KILLS="$(KILLS)" \
		PUSHVAULT_PROOF_PROGRAM="$${CARGO_TARGET_DIR:-target}/release/pushvault" \
		tests/kms/run process::rotation_proof

fuzz: ## Feed the parsers what nobody would send, each target for so many seconds (FUZZ_SECONDS=…).
	fuzz/run "$(FUZZ_SECONDS)"

mutants: ## Break the kernel in every small way there is, and see that a test notices each.
	.ci/mutants

sqlx: postgres ## Write the descriptions of the SQL queries again after a change to SQL or schema.
	scripts/sqlx-prepare

postgres:
	@scripts/install-postgres
