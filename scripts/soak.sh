#!/usr/bin/env bash
# Many rounds of chaos with different seeds, and their totals.
#
#   scripts/soak.sh [ROUNDS] [SECONDS]        20 rounds of 600 s
#
#   START_SEED=N    the first seed; a random one is told. Rounds count up from it.
#   PARALLEL=N      so many rounds at once (1)
#   RATE=N          messages a second in each (4000; 1000 on a topology)
#   TOPOLOGY=NAME   cluster or sentinel, in place of one server
#
# The last line of each round is appended to target/soak.ndjson. Histories of a round that failed are
# kept below target/soak/, those of the others are not. Exits with 1 if any round failed.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/server.sh
command -v redis-server >/dev/null || install_server redis-server
command -v jq >/dev/null || install_server jq

rounds=${1:-20} seconds=${2:-600}
topology=${TOPOLOGY:-one}
if [ "$topology" = one ]; then usual=4000; else usual=1000; fi
parallel=${PARALLEL:-1} rate=${RATE:-$usual} first=${START_SEED:-$((RANDOM * 32768 + RANDOM))}
out=$PWD/target/soak.ndjson
mkdir -p target/soak
cargo build --release --example chaos
# A copy: a build that comes later must not change the program between two rounds.
chaos=$(mktemp target/soak/chaos.XXXXXX)
cp target/release/examples/chaos "$chaos"
chmod +x "$chaos"
session=$(date +%s)-$first
trap 'rm -f "$chaos"' EXIT

# round SEED: its last line, even if the round broke off, goes to the file.
round() {
  local seed=$1 fsync=always line
  if [ $((seed % 2)) -eq 1 ]; then fsync=everysec; fi
  line=$(TMPDIR=$PWD/target/soak "$chaos" --topology "$topology" --seconds "$seconds" --seed "$seed" \
    --rate "$rate" --appendfsync $fsync -o json 2>"target/soak/$seed.log" | tail -n 1) || true
  if [ -z "$line" ]; then line="{\"seed\":$seed,\"verdict\":\"broken\"}"; fi
  jq -c --arg session "$session" '. + {session: $session}' <<<"$line" >>"$out"
  if jq -e '.verdict == "pass"' <<<"$line" >/dev/null; then
    rm -f "target/soak/$seed.log"
  else
    echo "seed $seed failed, see target/soak/$seed.log" >&2
  fi
  total
}

# All rounds of this session, on one line.
total() {
  jq -sc --arg session "$session" 'map(select(.session == $session)) | {
    rounds: length, failed: map(select(.verdict != "pass")) | length,
    seeds: map(.seed) | sort | "\(first)..\(last)"
  } + (. as $all | ["messages", "process_kills", "server_kills", "failovers", "migrations", "faults",
    "proven", "proven_lost", "unproven", "unproven_lost", "memory_pushed", "memory_lost",
    "unreplicated", "undone", "clock_stepped", "lost", "overlap", "stale_accept", "late", "law_broken",
    "law_samples"]
    | map({(.): (. as $name | $all | map(.[$name] // 0) | add)}) | add)' "$out"
}

echo "$rounds rounds of $seconds s on ${topology}, $parallel at a time, seeds from $first; lines go to $out"
for ((number = 0; number < rounds; number++)); do
  while [ "$(jobs -rp | wc -l)" -ge "$parallel" ]; do wait -n || true; done
  round $((first + number)) &
done
wait
total | jq -e '.failed == 0' >/dev/null
