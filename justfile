# `cargo test` and `cargo run --release -- demo` need none of this.

# Everything that CI runs
ci:
    .ci/run

# The emulator driven by python-gitlab and @gitbeaker/rest, and read by Backstage's own reader
test-clients:
    tests/clients/run

# The jobs of init --ci under gitlab-ci-local, which needs rsync
test-ci-local:
    tests/ci-local/run

# What we write, read by rops, a second implementation of SOPS
test-rops:
    tests/rops/run

# Format and lint
check:
    cargo fmt --check
    cargo clippy --all-targets --all-features -- -D warnings

# Accept changed snapshots after reading them
accept:
    TRYCMD=overwrite INSTA_UPDATE=always cargo test

# Speed and memory beside the stock sops, as ratios of one run
bench:
    cargo bench --bench files

# Random documents in all formats both ways with the stock sops, this many times as many as in `cargo test`
random FACTOR SEED=`od -An -N4 -tu4 /dev/urandom`:
    @echo "again: just random {{FACTOR}} {{trim(SEED)}}"
    PROPTEST_RNG_SEED={{trim(SEED)}} PROVISION_TEST_FACTOR={{FACTOR}} cargo test --test it -- sops::random

# Every pair of deaths, of the run and of its recovery, where `cargo test` tries one of so many; takes about an hour
crash:
    CRASH_STRIDE=1 cargo test --test it -- broken_again_during_recovery

# Kill the program at random moments and try random documents, for this many seconds in all
soak SECONDS="600":
    tests/soak {{SECONDS}}

# Run every fuzz target for this many seconds
fuzz SECONDS:
    fuzz/run {{SECONDS}}
