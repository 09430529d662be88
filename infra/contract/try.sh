#!/usr/bin/env bash
# Sends the system at API_URL what schemathesis makes of its OpenAPI document:
# sound requests that must be taken, unsound ones that must be refused, and chains
# of both. Every answer must be as the document says. Arguments go to
# schemathesis. Needs python3 (3.11 or later); see with-system.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
. infra/contract/tools.sh
python_tools

# What the hooks send must stay sound: a date in them would pass.
if grep -nE '"20[0-9]{2}-[0-9]{2}-' infra/contract/hooks.py; then
  echo 'infra/contract/hooks.py names a date; count from now' >&2
  exit 1
fi

"$tools/python/bin/schemathesis" --config-file infra/contract/schemathesis.toml \
  run "$API_URL/api/docs-json" "$@"
