# The two commands of the README, and the few that a developer repeats.

# A toolchain that scripts/install-build has just installed is not on this shell's PATH yet.
export PATH := $(HOME)/.cargo/bin:$(PATH)

.PHONY: run test interop town check fmt sim policy-table clean

run: ## build (quickly: the linker of a release takes minutes more), start the lab, print what to do next
	@scripts/install-build
	@cargo build --profile quick --quiet --bin throughline
	@exec target/quick/throughline run

test: ## install what tests need, run everything
	@scripts/install-build
	@scripts/install-test
	@scripts/test

interop: ## install peers of other makers, place calls among them through the edge
	@scripts/install-build
	@scripts/install-test
	@scripts/install-interop
	@cargo build --release --quiet --bin throughline
	@scripts/interop
	@scripts/check-api

town: ## a hundred thousand phones at the edge, killed and in a power cut: make town PHONES=100000 RATE=1000 EXPIRES=600
	@scripts/install-build
	@cargo build --release --quiet --bin throughline
	@cargo run --release --quiet -p interop --example town -- $(or $(PHONES),100000) $(or $(RATE),1000) $(or $(EXPIRES),600)

check: ## what is fast: format, lints, unit tests
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- -D warnings
	@cargo test --workspace --lib --quiet

fmt:
	@cargo fmt --all

sim: ## replay one seed: make sim SEED=42
	@cargo run --release --quiet --bin throughline -- simulate --seeds 1 --from $(or $(SEED),0)

policy-table: ## keep the policy table as it has become
	@cargo run --release --quiet --bin throughline -- simulate --table > target/policy_table.txt
	@mv target/policy_table.txt crates/sim/tests/policy_table.txt

clean:
	@cargo clean
