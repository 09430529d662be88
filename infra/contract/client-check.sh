#!/usr/bin/env bash
# Generates the types of a TypeScript client from the OpenAPI document and
# compiles the sample that uses them. With API_URL, ADMIN_EMAIL and ADMIN_PASSWORD
# in the environment (with-system.sh) it also runs the sample. Needs Go, Node.js
# (20.19 or later) and npm.
set -euo pipefail
cd "$(dirname "$0")/../.."
. infra/contract/tools.sh
node_tools

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp infra/contract/client/* "$work"
echo '{"type": "module"}' >"$work/package.json"
ln -s "$tools/node/node_modules" "$work/node_modules"

go run ./infra/local/openapi >"$work/openapi.json"
"$tools/node/node_modules/.bin/openapi-typescript" "$work/openapi.json" --default-non-nullable false --output "$work/api.ts" >/dev/null
# The types must be worth something: a misspelt field is an error.
sed 's/cronPattern:/cronPatern:/' infra/contract/client/sample.ts >"$work/sample.ts"
if "$tools/node/node_modules/.bin/tsc" --project "$work" --noEmit >/dev/null; then
  echo 'a misspelt field compiles: the types are too loose' >&2
  exit 1
fi

cp infra/contract/client/sample.ts "$work"
"$tools/node/node_modules/.bin/tsc" --project "$work"
echo "the sample compiles against $(grep -c 'operations\["' "$work/api.ts") typed operations"

if [[ -n ${API_URL:-} ]]; then EMAIL=$ADMIN_EMAIL PASSWORD=$ADMIN_PASSWORD node "$work/sample.js"; fi
