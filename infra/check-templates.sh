#!/usr/bin/env bash
# Checks both templates as far as that is possible without an AWS account:
# the SAM CLI's two validations, then a linter over what each environment of
# samconfig.toml would deploy. Needs python3 (3.11 or later) and nothing of AWS.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$(infra/template-tools.sh)

# The checks are offline; a region is part of the form all the same.
export AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-us-east-1}
export SAM_CLI_TELEMETRY=0

expanded=$(mktemp -d)
trap 'rm -rf "$expanded"' EXIT

check() { # template, prefix of its environments
  local template=$1 prefix=$2 environment
  # Each finds what the other does not.
  "$tools/bin/sam" validate --template "$template"
  "$tools/bin/sam" validate --lint --template "$template"
  for environment in dev staging prod; do
    local out=$expanded/$prefix$environment.json
    "$tools/bin/python" infra/expand_template.py "$template" \
      --config samconfig.toml --environment "$prefix$environment" >"$out"
    # W2001, a parameter without use: the expansion uses some up. The
    # unexpanded template was searched for those above.
    "$tools/bin/cfn-lint" --ignore-checks W2001 --template "$out"
    echo "$template: what $prefix$environment deploys is sound"
  done
}

check template.yaml ''
check infra/data.yaml data-
