#!/usr/bin/env bash
# Tries docs/monitoring/ on a real Prometheus, which it installs by apt where it is missing: the rules and
# their tests; that the dashboard and the rules name nothing that is not told; that no alert fires while
# all is well, and that one does in an incident that is staged. Takes some two minutes.
#
#   scripts/monitoring.sh             # REDELIVER=path tries that program instead of building one
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/server.sh

command -v redis-server >/dev/null || install_server redis-server
command -v prometheus >/dev/null || install_server prometheus
if [ -z "${REDELIVER:-}" ]; then
  cargo build --quiet --bin redeliver
  REDELIVER=${CARGO_TARGET_DIR:-target}/debug/redeliver
fi
dashboard=docs/monitoring/dashboard.json
rules=$PWD/docs/monitoring/alerts.yml

promtool check rules "$rules"
(cd docs/monitoring && promtool test rules alerts_test.yml)

dir=$(mktemp -d)
server= prometheus= serve=
end() {
  for pid in $serve $prometheus $server; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$dir"
}
trap end EXIT
trap 'exit 1' INT TERM

# up_to SECONDS WHAT COMMAND...: until the command succeeds.
up_to() {
  local until=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >"$dir/last" 2>&1; do
    if [ "$SECONDS" -ge "$until" ]; then
      echo "waited in vain for $what" >&2
      cat "$dir/last" >&2
      exit 1
    fi
    sleep 0.2
  done
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A port on which nobody listens now.
free_port() {
  local port
  while port=$((20000 + RANDOM)) && listens "$port"; do :; done
  echo "$port"
}

redis-server --port 0 --unixsocket "$dir/redis" --dir "$dir" --save '' --appendonly no \
  --maxmemory 256mb --maxmemory-policy noeviction >"$dir/redis.log" &
server=$!
export REDELIVER_URL=unix://$dir/redis
up_to 30 redis "$REDELIVER" -q counts

# start_serve ARGUMENTS...: the same port each time, so that Prometheus finds it again.
port=$(free_port)
start_serve() {
  "$REDELIVER" serve --listen "127.0.0.1:$port" "$@" 2>"$dir/serve.log" &
  serve=$!
  up_to 30 serve listens "$port"
}
start_serve

prometheus_port=$(free_port)
cat >"$dir/prometheus.yml" <<END
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ["$rules"]
scrape_configs:
  - job_name: redeliver
    static_configs: [{ targets: ["127.0.0.1:$port"] }]
END
prometheus --config.file "$dir/prometheus.yml" --storage.tsdb.path "$dir/tsdb" \
  --web.listen-address "127.0.0.1:$prometheus_port" 2>"$dir/prometheus.log" &
prometheus=$!

# ask PROMQL: what the API answers, and failure where that is nothing.
ask() {
  local answer
  answer=$(promtool query instant "http://127.0.0.1:$prometheus_port" "$1") && [ -n "$answer" ] &&
    echo "$answer"
}
firing() { ask "ALERTS{alertname=~\"$1\",alertstate=\"firing\"}"; }
is_quiet() { ! firing "$1"; }

# Some traffic: messages that work, fail and die, wait and lie.
seq 100 | "$REDELIVER" push emails --lines --max-attempts 2 --backoff fixed:10ms >"$dir/ids"
"$REDELIVER" work emails -q --until-empty --exec 'read n; [ "$n" -gt 5 ]'
seq 20 | "$REDELIVER" push emails --lines --delay 1s >"$dir/ids"
up_to 60 'messages that a poller of serve has moved' \
  ask 'redeliver_poller_moved_total{queue="emails",outcome="promoted"} >= 20'

names=$(grep -ohE 'redeliver_[a-z_]+' "$dashboard" "$rules" | sort -u)
for name in $names; do
  up_to 30 "$name" ask "count($name)"
done
echo "$(wc -w <<<"$names") names of metrics: each is told"

# Each panel's question, as Grafana would ask it.
sed -n 's/^ *"expr": "\(.*\)",\{0,1\}$/\1/p' "$dashboard" | sed 's/\\"/"/g' >"$dir/questions"
while read -r question; do
  question=${question//\$queue/.*}
  question=${question//\$__rate_interval/1m}
  promtool query instant "http://127.0.0.1:$prometheus_port" "$question" >"$dir/last"
done <"$dir/questions"
echo "$(wc -l <"$dir/questions") questions of the dashboard: each is understood"

if firing '.*'; then
  echo 'an alert fires although all is well' >&2
  exit 1
fi

# The incident: messages are due, and nobody polls.
kill "$serve"
wait "$serve" || true
start_serve --no-poller
"$REDELIVER" push emails late --delay 1s >"$dir/ids"
begun=$SECONDS
up_to 120 'the alert' firing RedeliverDueNotMoved
echo "no poller: $(firing RedeliverDueNotMoved)"
echo "  fired $((SECONDS - begun)) s after the push"

# It ends when somebody polls again.
kill "$serve"
wait "$serve" || true
start_serve
up_to 60 'the end of the alert' is_quiet RedeliverDueNotMoved
echo 'a poller again: the alert has ended'
