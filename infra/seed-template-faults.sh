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

accepted() { # template, environment
  "$tools/bin/python" infra/expand_template.py "$1" --config samconfig.toml --environment "$2" >"$work/expanded.json" 2>"$work/says" &&
    "$tools/bin/cfn-lint" --ignore-checks W2001 --template "$work/expanded.json" >"$work/says" 2>&1
}

template='' environment='' missed=0
sound() { # template, environment: those that the faults below are put into
  template=$1 environment=$2
  accepted "$template" "$environment" || { cat "$work/says"; echo "$template is refused as it is" >&2; exit 1; }
}
fault() { # what, old, new
  local text
  text=$(<"$template")
  if [[ $text != *"$2"* ]]; then
    echo "$template no longer contains: $2" >&2
    missed=1
    return
  fi
  printf '%s\n' "${text/"$2"/"$3"}" >"$work/faulty.yaml"
  if accepted "$work/faulty.yaml" "$environment"; then
    echo "NOT CAUGHT: $1" >&2
    missed=1
  else
    echo "caught in $template: $1: $(head -n1 "$work/says" | cut -c1-80)"
  fi
}

sound template.yaml dev
fault 'a reference to nothing' '!Ref FastQueue' '!Ref QuickQueue'
fault 'an attribute that is none' '!GetAtt FastQueue.Arn' '!GetAtt FastQueue.Address'
fault 'an unknown property' 'SqsManagedSseEnabled: true' 'ManagedEncryption: true'
fault 'a number that is none' 'MessageRetentionPeriod: 28800' 'MessageRetentionPeriod: eight hours'
fault 'an unknown kind of event' 'Type: ScheduleV2' 'Type: ScheduleV9'
fault 'a value out of its list' 'TreatMissingData: breaching' 'TreatMissingData: panic'
fault 'one name for every environment' '            Name: !Sub ${AWS::StackName}-tick' ''
fault 'a queue of one name' 'QueueName: !Sub ${AWS::StackName}-fast' 'QueueName: cron-jobs-fast'
fault 'a required property missing' '            ScheduleExpression: rate(1 minute)' ''
fault 'a parameter of no environment' '  FastConcurrency:
    Type: Number' '  QuickConcurrency:
    Type: Number'
fault 'a circle' '        RATE_LIMIT_IP: ' '        API: !Ref HttpApi
          RATE_LIMIT_IP: '

sound infra/data.yaml data-dev
fault 'a circle' '      # An empty list would mean' '      Tags:
        - {Key: database, Value: !Ref Database}
      # An empty list would mean'
fault 'a subnet without a network' '      VpcId: !Ref Vpc
      AvailabilityZone:' '      AvailabilityZone:'
fault 'a family of addresses that is none' 'AddressFamily: IPv4' 'AddressFamily: IPv5'
fault 'a condition that is none' 'Condition: UseNatInstance' 'Condition: UseNat'
fault 'an output of nothing' 'Value: !Ref AlarmTopic' 'Value: !Ref AlarmTopics'
fault 'one alias for every environment' 'AliasName: !Sub alias/${AWS::StackName}-job-secrets' 'AliasName: alias/cron-jobs-job-secrets'
exit "$missed"
