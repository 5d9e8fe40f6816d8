#!/usr/bin/env bash
# Searches for inputs that break a property of src/fuzz.rs or src/bin/redeliver/fuzz.rs, guided by
# coverage (libFuzzer). What covers something new is kept in target/fuzz/ for the next search. What
# breaks a property is put into `crashes` beside the committed corpus, and `cargo test` replays both:
# shorten it, give it a name in the corpus, and mend the fault.
#
#   scripts/fuzz.sh [TARGET] [SECONDS]    all targets, for 60 s each, if nothing is given
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

seconds=${2:-60}
host=$(rustc -vV | sed -n 's/^host: //p')
# What `cargo bolero` sets for libFuzzer. With --target, only what is to be tested is instrumented.
export RUSTFLAGS="--cfg fuzzing --cfg fuzzing_libfuzzer -Cpasses=sancov-module
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
  -Cllvm-args=-sanitizer-coverage-stack-depth"
RUSTFLAGS=${RUSTFLAGS//$'\n'/ }
build=(cargo test --quiet --no-run --profile fuzz --target-dir target/fuzz --target "$host")
# The newest test binary, by the name of its crate or program.
binary() { "${build[@]}" "$@" --message-format json-render-diagnostics | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p'; }
library=$(binary --lib)
program=$(binary --bin redeliver)

# libfuzzer BINARY TARGET ARGUMENT...
libfuzzer() {
  local binary=$1 target=$2
  shift 2
  BOLERO_TEST_NAME=fuzz::$target BOLERO_LIBTEST_HARNESS=1 BOLERO_LIBFUZZER_ARGS="$*" \
    "$binary" "fuzz::$target" --exact --nocapture --quiet --test-threads 1
}

# search BINARY FOLDER: the target's folder has the corpus and the crashes.
search() {
  local binary=$1 folder=$2 target=${2##*/}
  local kept=$PWD/target/fuzz/corpus/$target
  echo "$target: $seconds s"
  mkdir -p "$kept" "$folder/crashes"
  # The engine's own words only: what the test harness would say does not come.
  libfuzzer "$binary" "$target" "$kept" "$folder/corpus" -max_total_time="$seconds" -timeout=10 \
    -artifact_prefix="$folder/crashes/" -print_final_stats=1 -verbosity=0 2>&1
  rmdir "$folder/crashes"
}

for folder in src/__fuzz__/*/ src/bin/redeliver/__fuzz__/*/; do
  folder=$PWD/${folder%/}
  [ -z "${1:-}" ] || [ "$1" = "${folder##*/}" ] || continue
  case $folder in
    */bin/*) search "$program" "$folder" ;;
    *) search "$library" "$folder" ;;
  esac
  found=yes
done
[ -n "${found:-}" ] || { echo "there is no target $1" >&2 && exit 2; }
