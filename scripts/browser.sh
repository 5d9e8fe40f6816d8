#!/usr/bin/env bash
# Tests the page in a real browser, then writes docs/screenshots/. Installs what it needs where it is
# missing: redis-server and chromium by apt, playwright-core by npm below target/browser.
#
#   scripts/browser.sh [--no-screenshots]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/server.sh

command -v redis-server >/dev/null || install_server redis-server
command -v chromium >/dev/null || install_server chromium
command -v npm >/dev/null || install_server npm
if [ ! -e target/browser/node_modules/playwright-core ]; then
  mkdir -p target/browser
  cp tests/browser/package.json target/browser/
  npm install --prefix target/browser --no-audit --no-fund --silent
fi
cargo build --quiet --bin redeliver
node --test --test-concurrency=1 tests/browser/page.test.mjs
[ "${1:-}" = --no-screenshots ] || node tests/browser/screenshots.mjs
