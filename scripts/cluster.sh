#!/usr/bin/env bash
# A Cluster of three masters and three replicas to play with, in a temporary directory, until Ctrl-C.
# Usage: ./scripts/cluster.sh [FIRST_PORT]     default 7100: it takes twelve ports from there on
set -euo pipefail

first=${1:-7100}
server=${REDELIVER_TEST_SERVER:-redis-server}
command -v redis-cli >/dev/null || { echo "redis-cli is not on the PATH" >&2; exit 1; }
dir=$(mktemp -d)
pids=
stop() {
  trap - EXIT INT TERM
  # shellcheck disable=SC2086
  kill $pids 2>/dev/null || true
  wait
  rm -rf "$dir"
}
trap stop EXIT
trap 'exit 0' INT TERM

nodes=
for index in 0 1 2 3 4 5; do
  port=$((first + index))
  mkdir "$dir/$port"
  "$server" --port $port --cluster-port $((port + 6)) --bind 127.0.0.1 --dir "$dir/$port" \
    --cluster-enabled yes --cluster-node-timeout 2000 --cluster-require-full-coverage no \
    --appendonly yes --save '' >"$dir/$port/log" 2>&1 &
  pids="$pids $!"
  nodes="$nodes 127.0.0.1:$port"
  until redis-cli -p $port ping >/dev/null 2>&1; do
    kill -0 $! 2>/dev/null || { tail -n 3 "$dir/$port/log" >&2; exit 1; }
    sleep 0.1
  done
done
# shellcheck disable=SC2086
redis-cli --cluster create $nodes --cluster-replicas 1 --cluster-yes >"$dir/create" 2>&1 ||
  { cat "$dir/create" >&2; exit 1; }
# A node takes no commands before it knows that all slots are served.
for index in 0 1 2 3 4 5; do
  until redis-cli -p $((first + index)) cluster info | grep -q cluster_state:ok; do sleep 0.1; done
done

cat <<END
export REDELIVER_URL=redis+cluster://127.0.0.1:$first,127.0.0.1:$((first + 1))

  redeliver push emails hello; redeliver push orders hello    to queues on any nodes
  redeliver work emails --exec 'cat; echo'                    while you do one of these:
  redeliver queue ls; redeliver stats; redeliver doctor
  redeliver serve                                             and its page

  redis-cli -p $first cluster slots                  who serves what
  redis-cli -p $((first + 3)) cluster failover       a replica takes over
  redis-cli -p $first debug sleep 10                 a master hangs, and is replaced
  redis-cli --cluster reshard 127.0.0.1:$first       slots move

Ctrl-C stops all six, and removes $dir.
END
wait
