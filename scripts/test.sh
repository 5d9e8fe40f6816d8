#!/usr/bin/env bash
# Runs all tests on a machine that has only Rust: installs what is missing, then tests.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/server.sh
cargo test --quiet "$@"
