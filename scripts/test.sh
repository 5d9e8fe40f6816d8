#!/usr/bin/env bash
# Runs all tests on a machine that has nothing but Rust: installs what they need where it is missing.
#
#   scripts/test.sh [arguments of cargo test]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/server.sh

command -v redis-server >/dev/null || install_server redis-server
command -v faketime >/dev/null || install_server faketime
command -v cc >/dev/null || install_server gcc
cargo test --features otel "$@"
