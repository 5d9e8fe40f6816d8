#!/usr/bin/env bash
# Changes the scripts in small ways, one at a time, and shows which changes no test notices. It fails
# on a survivor that tests/mutants/survivors.txt has no reason for, and on a reason without one.
#
#   scripts/mutants.sh [--resume] [--jobs N] [--rounds N] [SCRIPT...]    push, prelude, …; all if none is given
#
# --resume judges only what it does not know: neither what was killed before, since only tests that are
# gone could let it live, nor what is listed. Two jobs are the default. --rounds stops after the cheapest
# tests: 1 asks only those of the mutant's own verb, 5 is all. What killed each mutant is in
# target/tmp/killed-mutants.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/server.sh

scripts=()
while [ $# -gt 0 ]; do
  case $1 in
    --resume) export REDELIVER_MUTANTS_RESUME=yes ;;
    --jobs) export REDELIVER_MUTANTS_JOBS=$2 && shift ;;
    --rounds) export REDELIVER_MUTANTS_ROUNDS=$2 && shift ;;
    -*) echo "there is no $1: see the head of $0" >&2 && exit 2 ;;
    *) scripts+=("$1") ;;
  esac
  shift
done
export REDELIVER_MUTANTS_OF="${scripts[*]:-}"

command -v redis-server >/dev/null || install_server redis-server
cargo test --quiet --test mutants every_mutant -- --nocapture
