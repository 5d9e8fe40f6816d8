#!/usr/bin/env bash
# Runs a test binary and ends it at its first failed test: cargo's `runner` for `rust-mutants.sh`.
exec 3< <(exec "$@")
tests=$!
while IFS= read -r line <&3; do
  printf '%s\n' "$line"
  if [[ $line == *" ... FAILED" ]]; then
    kill -9 "$tests"
    exit 101
  fi
done
wait "$tests"
