# Sourced: makes sure that a server is on PATH, by apt where none is.

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

# install_server PACKAGE: without starting the service that the package brings.
install_server() {
  if ! command -v apt-get >/dev/null; then
    echo "Install valkey-server or redis-server first (macOS: brew install valkey)." >&2
    exit 3
  fi
  as_root apt-get update -qq >&2
  # The package would start a service on port 6379, which nothing here needs. 101 forbids it;
  # a policy that is already there is left alone.
  local policy=/usr/sbin/policy-rc.d ours=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod +x "$policy"
    ours=yes
  fi
  local status=0
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$1" >&2 || status=$?
  if [ -n "$ours" ]; then
    as_root rm -f "$policy"
  fi
  return "$status"
}
