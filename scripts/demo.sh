#!/usr/bin/env bash
# Runs the demo on a machine that has nothing but Rust: installs a server where none is, and starts
# it privately, so that no system service is used or needed.
#
#   scripts/demo.sh [--json] [--seed N]
set -euo pipefail
cd "$(dirname "$0")/.."

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

install_server() {
  if ! command -v apt-get >/dev/null; then
    echo "Install valkey-server or redis-server first (macOS: brew install valkey)." >&2
    exit 3
  fi
  as_root apt-get update -qq >&2
  # The package would start a service on port 6379, which the demo does not need. 101 forbids it;
  # a policy that is already there is left alone.
  local policy=/usr/sbin/policy-rc.d ours=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod +x "$policy"
    ours=yes
  fi
  local status=0
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server >&2 || status=$?
  if [ -n "$ours" ]; then
    as_root rm -f "$policy"
  fi
  return "$status"
}

if [ -z "${REDELIVER_URL:-}" ] &&
  ! command -v valkey-server >/dev/null && ! command -v redis-server >/dev/null; then
  install_server
fi
exec cargo run --release --quiet -- demo "$@"
