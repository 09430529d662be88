#!/usr/bin/env bash
# Lints the OpenAPI document by infra/contract/redocly.yaml, and sees that the
# linter would notice faults. Needs Go, Node.js (20.19 or later) and npm.
set -euo pipefail
cd "$(dirname "$0")/../.."
. infra/contract/tools.sh
node_tools

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
redocly() { "$tools/node/node_modules/.bin/redocly" lint --config infra/contract/redocly.yaml "$@"; }

go run ./infra/local/openapi >"$work/openapi.json"
redocly --format stylish "$work/openapi.json"

node infra/contract/seed-faults.mjs "$work/openapi.json" "$work/broken.json"
if redocly --format json --max-problems 1000 "$work/broken.json" >"$work/report.json" 2>/dev/null; then
  echo 'the linter finds a broken document sound' >&2
  exit 1
fi
node infra/contract/seed-faults.mjs "$work/openapi.json" "$work/report.json" --verify
