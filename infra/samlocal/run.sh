#!/usr/bin/env bash
# Builds the functions for both processors by the SAM CLI and runs them in
# containers (functions_test.go), with nothing but Debian's packages and PyPI:
# no registry of images, no account, no credentials. ENGINE= is the database, as
# for make test.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=$(infra/template-tools.sh)
SAM=$tools/bin/sam
SAM_SITE=$("$tools/bin/python" -c 'import pathlib, samcli; print(pathlib.Path(samcli.__file__).parent.parent)')
export SAM SAM_SITE SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-us-east-1}

source infra/samlocal/within.sh

build() { # Lambda's name of the processor, Go's
  local stack
  for stack in app:template.yaml data:infra/data.yaml; do
    LAMBDA_ARCH=$2 within 300 "sam build of ${stack#*:} for $1" "$SAM" build --template "${stack#*:}" \
      --config-file "$PWD/samconfig.toml" --build-dir ".build/sam/$1/${stack%%:*}" \
      --parameter-overrides "Architecture=$1" >/dev/null
  done
  echo "built for $1 ($SECONDS s)"
}
build x86_64 amd64
build arm64 arm64

go run ./infra/local/testdb -engine "${ENGINE:-auto}" -- \
  infra/samlocal/docker.sh go test -count=1 -timeout 6m -v "$@" ./infra/samlocal
