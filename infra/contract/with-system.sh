#!/usr/bin/env bash
# Starts the whole system on this machine, with a database of its own and without
# rate limits, runs a command that finds it by API_URL, ADMIN_EMAIL and
# ADMIN_PASSWORD, and stops it: with-system.sh command…
#
# Everything stays on the loopback interface: jobs may call nothing else here.
# Needs Go, python3 and curl.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
finish() {
  [[ -z ${system:-} ]] || { kill "$system" 2>/dev/null && wait "$system"; } || true
  rm -rf "$work"
}
trap finish EXIT

go build -o "$work/system" ./infra/local

PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
API_URL=http://localhost:$PORT
ADMIN_EMAIL=admin@example.com ADMIN_PASSWORD=$(head -c 18 /dev/urandom | base64)
export PORT API_URL ADMIN_EMAIL ADMIN_PASSWORD

env -u DB_HOST -u EGRESS_ALLOW_CIDRS LOCAL_DATA_DIR="$work/data" LOG_LEVEL=error \
  RATE_LIMIT_IP=0 RATE_LIMIT_LOGIN=0 RATE_LIMIT_USER=0 \
  ALLOW_REGISTRATION=true JWT_ACCESS_EXPIRY=1d STREAM_WAIT=1s \
  "$work/system" >"$work/log" 2>&1 &
system=$!
for ((tries = 0; ; tries++)); do
  if curl -fs "$API_URL/health/ready" >/dev/null; then break; fi
  if ((tries == 600)) || ! kill -0 "$system" 2>/dev/null; then
    cat "$work/log"
    echo 'the system does not start' >&2
    exit 1
  fi
  sleep 0.2
done

status=0
"$@" || status=$?
if ! kill -0 "$system" 2>/dev/null; then
  echo 'the system did not survive' >&2
  status=1
fi
# As the local runner writes its log: the time, then the level.
if grep -E '^panic:|^fatal error:|^[0-9:.]{12} error: ' "$work/log" >&2; then
  echo 'the system logged errors' >&2
  status=1
fi
exit "$status"
