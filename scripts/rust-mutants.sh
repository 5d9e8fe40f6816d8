#!/usr/bin/env bash
# Changes the library in small ways, one at a time, and shows which changes no test notices. It fails on
# one that survives and that tests/mutants/rust-survivors.txt has no reason for.
#
#   scripts/rust-mutants.sh [K/N [GROUP...]]     every N-th mutant from the K-th on, over all files: 0/12, library agents engine
#
# A group of files is asked by the tests that are nearest to it, without the program; what these miss, the other
# tests and those of the program are asked too.
# What became of each mutant is in target/rust-mutants.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/server.sh

shard=${1:-0/12}
shift || true
groups=("$@")
[ ${#groups[@]} -gt 0 ] || groups=(library agents engine)

command -v redis-server >/dev/null || install_server redis-server
cargo mutants --version >/dev/null || cargo install --locked cargo-mutants

# A copy, so that nobody reads a mutant for the source; what it depends on is built once for both.
home=$PWD/target/rust-mutants
mkdir -p "$home/tree"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$home/tree"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target} RUST_TEST_THREADS=6 REDELIVER_ENGINE_CASES=60
host=$(rustc -vV | sed -n 's/^host: //p' | tr a-z- A-Z_)
export "CARGO_TARGET_${host}_RUNNER=$PWD/scripts/fail-fast.sh"

# What runs beside what it calls, and what nobody calls but tests and first looks.
agents=(agents batch claims context handling lease metrics poller redriver spans sweep unmetered waiter worker)
engine=(embedded/** testing)

# files GROUP: as arguments, one in a line.
files() {
  local name
  case $1 in
    library) for name in "${agents[@]}" "${engine[@]}"; do printf '%s\n' -e "src/$name.rs"; done ;;
    agents) for name in "${agents[@]}"; do printf '%s\n' -f "src/$name.rs"; done ;;
    engine) for name in "${engine[@]}"; do printf '%s\n' -f "src/$name.rs"; done ;;
  esac
}

slim=(--no-default-features --features embedded,metrics,otel)
whole=(--features otel)

# ask FOLDER SKIPPED TESTS ARGUMENT...: judges these mutants. One that survives is no failure yet.
ask() {
  local folder=$1 skipped=() tests=() name status=0
  # The first four are slow for what they kill.
  for name in unreadable::no_script crowd:: memory:: verdicts:: $2; do skipped+=(--skip "$name"); done
  for name in $3; do tests+=(-C "--test=$name"); done
  shift 3
  rm -rf "$folder" && mkdir -p "$folder"
  (cd "$home/tree" && cargo mutants --in-place --baseline skip --timeout 100 --no-times --colors never \
    -o "$folder" "$@" -C --lib "${tests[@]}" -- -- "${skipped[@]}") || status=$?
  [ "$status" -eq 0 ] || [ "$status" -eq 2 ] || [ "$status" -eq 3 ]
}

# judge GROUP SKIPPED NEAR FAR: by the tests that are nearest, then by all others.
judge() {
  local out="$home/$1-${shard/\//-of-}" chosen=() missed=()
  mapfile -t chosen < <(files "$1")
  ask "$out/near" "$2" "$3" "${slim[@]}" --shard "$shard" --sharding round-robin "${chosen[@]}"
  # Mutants of a struct's fields are found by their files alone, so both are named.
  mapfile -t missed < <(sed -E 's/^([^:]*):.*/-f\n\1/' "$out/near/mutants.out/missed.txt"
    sed -E 's/[][().*+?^$|{}\\]/\\&/g; s/.*/--re\n^&$/' "$out/near/mutants.out/missed.txt")
  mkdir -p "$out/far/mutants.out"
  [ ${#missed[@]} -eq 0 ] || ask "$out/far" "$2" "$4" "${whole[@]}" "${missed[@]}"
  touch "$out/far/mutants.out/"{missed,timeout}.txt
  tell "$1" "$out/near/mutants.out" "$out/far/mutants.out"
}

lines() {
  cat "$@" | wc -l
}

# Without line and column.
named() {
  sed -E 's/^([^:]*):[0-9:]+ /\1: /'
}

listed() {
  grep -v '^#' tests/mutants/rust-survivors.txt
}

# tell GROUP NEAR FAR: in figures, and which survive that have no reason to.
tell() {
  local survivors name reasoned=0 live=0
  survivors=$(grep -xFf "$3/missed.txt" "$2/missed.txt" | named) || true
  while IFS= read -r name; do
    if [ -z "$name" ]; then
      continue
    elif listed | grep -qxF -- "$name"; then
      reasoned=$((reasoned + 1))
    else
      live=$((live + 1))
      echo "survives: $name"
    fi
  done <<<"$survivors"
  all_live=$((all_live + live))
  echo "$1 $shard: judged $(lines "$2"/{caught,missed,timeout}.txt), hung $(lines {"$2","$3"}/timeout.txt)," \
    "listed $reasoned, live $live; unviable $(lines "$2/unviable.txt")"
}

stale=$(listed | grep -vxFf <(cd "$home/tree" && cargo mutants --list --colors never | named)) || true
if [ -n "$stale" ]; then
  printf 'is no mutant any more: %s\n' "$stale"
  exit 1
fi

all_live=0
for group in "${groups[@]}"; do
  case $group in
    library) judge library embedded:: ops "system telemetry cli" ;;
    agents) judge agents embedded:: "system telemetry" "ops cli" ;;
    engine) judge engine fuzz:: engine "cli simulation" ;;
  esac
done
[ "$all_live" -eq 0 ]
