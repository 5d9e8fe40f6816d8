#!/bin/sh
# Installs the peers, runs each through the same workloads, writes results/. See README.md; --help lists the options.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec python3 "$here/harness" "$@"
