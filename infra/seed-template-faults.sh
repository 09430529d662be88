#!/usr/bin/env bash
# Shows that the check of the templates checks: faults are put into copies, one
# each, and expansion or linter must refuse every one. The faults that no linter
# knows are those of infra/templatetest.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$(infra/template-tools.sh)
export AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-us-east-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

accepted() {
  "$tools/bin/python" infra/expand_template.py "$1" --config samconfig.toml --environment dev >"$work/expanded.json" 2>"$work/says" &&
    "$tools/bin/cfn-lint" --ignore-checks W2001 --template "$work/expanded.json" >"$work/says" 2>&1
}

cp template.yaml "$work/sound.yaml"
accepted "$work/sound.yaml" || { cat "$work/says"; echo 'the template is refused as it is' >&2; exit 1; }

missed=0
fault() { # what, old, new
  local text
  text=$(<template.yaml)
  if [[ $text != *"$2"* ]]; then
    echo "template.yaml no longer contains: $2" >&2
    missed=1
    return
  fi
  printf '%s\n' "${text/"$2"/"$3"}" >"$work/faulty.yaml"
  if accepted "$work/faulty.yaml"; then
    echo "NOT CAUGHT: $1" >&2
    missed=1
  else
    echo "caught: $1"
  fi
}
fault 'a reference to nothing' '!Ref FastQueue' '!Ref QuickQueue'
fault 'an attribute that is none' '!GetAtt FastQueue.Arn' '!GetAtt FastQueue.Address'
fault 'an unknown property' 'SqsManagedSseEnabled: true' 'ManagedEncryption: true'
fault 'a number that is none' 'MessageRetentionPeriod: 28800' 'MessageRetentionPeriod: eight hours'
fault 'an unknown kind of event' 'Type: ScheduleV2' 'Type: ScheduleV9'
fault 'a value out of its list' 'TreatMissingData: breaching' 'TreatMissingData: panic'
fault 'one name for every environment' '            Name: !Sub ${AWS::StackName}-tick' ''
fault 'a queue of one name' 'QueueName: !Sub ${AWS::StackName}-fast' 'QueueName: cron-jobs-fast'
exit "$missed"
