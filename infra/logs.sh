#!/usr/bin/env bash
# What an environment logs on AWS:
#   logs.sh dev [since]             follows all functions (since: 10m, 2h; 10m)
#   logs.sh dev execution ID        the story of one execution
# Needs the AWS CLI, signed in.
set -euo pipefail

environment=${1:-} id=
case $environment in dev | staging | prod) ;; *)
  echo 'name the environment: ENV=dev, staging or prod' >&2
  exit 2
  ;;
esac
since=${2:-10m}
if [[ $since == execution ]]; then
  id=${3:-} since=${4:-30d}
  [[ $id =~ ^[0-9]+$ ]] || { echo 'name the execution by its number: ID=42' >&2; exit 2; }
fi

group() {
  local stack=cron-jobs-$environment
  [[ $1 != migrate ]] || stack=cron-jobs-data-$environment
  echo "/cron-jobs/$stack/$1"
}

if [[ -n $id ]]; then
  found=
  for function in api tick executor; do
    lines=$(aws logs tail "$(group "$function")" --since "$since" --format short \
      --filter-pattern "{ \$.executionId = $id }")
    [[ -z $lines ]] || found+=$lines$'\n'
  done
  if [[ -z $found ]]; then
    echo "nothing is logged of execution $id within $since; GET /history/$id tells what is recorded" >&2
    exit 1
  fi
  sort <<<"${found%$'\n'}"
  exit
fi

tails=()
trap 'kill "${tails[@]}" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
for function in api tick executor migrate; do
  aws logs tail "$(group "$function")" --since "$since" --follow --format short |
    sed -u "s/^/$function /" &
  tails+=($!)
done
# The first that ends (signed out, no such environment) ends all.
wait -n
