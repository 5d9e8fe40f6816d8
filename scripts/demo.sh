#!/usr/bin/env bash
# Runs the demo on a machine that has nothing but Rust: installs a server where none is, and starts
# it privately, so that no system service is used or needed.
#
#   scripts/demo.sh [--json] [--seed N]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/server.sh

if [ -z "${REDELIVER_URL:-}" ] &&
  ! command -v valkey-server >/dev/null && ! command -v redis-server >/dev/null; then
  install_server redis-server
fi
exec cargo run --release --quiet -- demo "$@"
