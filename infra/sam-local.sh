#!/usr/bin/env bash
# Runs functions in containers, beside a MySQL server and a stand-in for SQS
# (infra/compose.yaml): sam-local.sh build | start-api | invoke Function event.
# Needs Docker with compose, and the SAM CLI on the PATH or in SAM.
#
# Variables are in .local/env.json, made from infra/env.json.example.
set -euo pipefail
cd "$(dirname "$0")/.."

export SAM_CLI_TELEMETRY=0
sam=${SAM:-sam}
go_arch=$(go env GOARCH)
lambda_arch=${go_arch/amd64/x86_64}
builds=.build/sam/$lambda_arch

usage() { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }

build() {
  local stack template
  for stack in app:template.yaml data:infra/data.yaml; do
    template=${stack#*:}
    LAMBDA_ARCH=$go_arch "$sam" build --template "$template" --config-file "$PWD/samconfig.toml" \
      --build-dir "$builds/${stack%%:*}" --parameter-overrides "Architecture=$lambda_arch"
  done
}

# local_sam runs `sam local` on a stack: local_sam command stack arguments…
local_sam() {
  local command=$1 stack=$2
  shift 2
  "$sam" local "$command" --template "$builds/$stack/template.yaml" --env-vars .local/env.json \
    --docker-network cron-jobs --parameter-overrides "Architecture=$lambda_arch" "$@"
}

prepare() {
  [[ -e $builds/app/template.yaml && -e $builds/data/template.yaml ]] || build
  mkdir -p .local
  [[ -e .local/env.json ]] || { cp infra/env.json.example .local/env.json; chmod 600 .local/env.json; }
  docker compose -f infra/compose.yaml up --detach --wait
}

case ${1:-} in
build) build ;;
start-api)
  build
  prepare
  # Its exit code says nothing, so what it answers is looked at.
  answer=$(local_sam invoke data MigrateFunction --event functions/migrate/events/migrate.json)
  echo "$answer"
  [[ $answer == *'"version":'* && $answer != *'"errorMessage"'* ]] || { echo 'the schema could not be brought up to date' >&2; exit 1; }
  local_sam start-api app --port "${PORT:-3000}" --warm-containers LAZY
  ;;
invoke)
  function=${2:-} event=${3:-}
  [[ -n $function ]] || usage
  function=${function%Function}Function
  stack=app directory=${function%Function}
  directory=${directory,,}
  [[ $function != MigrateFunction ]] || stack=data
  if [[ -n $event && ! -e $event ]]; then event=functions/$directory/events/${event%.json}.json; fi
  if [[ -z $event ]]; then
    samples=(functions/"$directory"/events/*.json)
    event=${samples[0]}
  fi
  [[ -e $event ]] || { echo "no event $event; there are: $(ls functions/"$directory"/events)" >&2; exit 2; }
  prepare
  answer=$(local_sam invoke "$stack" "$function" --event "$event")
  echo "$answer"
  # sam itself ends with 0 whatever happens.
  last=${answer##*$'\n'}
  [[ -n $last && $last != *'"errorMessage"'* ]] || { echo "$function failed" >&2; exit 1; }
  ;;
*) usage ;;
esac
