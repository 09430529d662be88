package templatetest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/infra/templatetest"
)

// What each function may do, and why. A new line here is a decision.
var (
	applicationGrants = strings.Split(strings.TrimSpace(`
ApiRole: FunctionNetworkPolicyArn
ApiRole: assumed by lambda.amazonaws.com
ApiRole: kms:Decrypt on JobSecretsKeyArn
ApiRole: kms:GenerateDataKey on JobSecretsKeyArn
ApiRole: lambda:InvokeFunction on TickFunction.Arn
ApiRole: logs:CreateLogStream on ApiLogs.Arn
ApiRole: logs:PutLogEvents on ApiLogs.Arn
ApiRole: secretsmanager:GetSecretValue on DatabaseSecretArn
ApiRole: secretsmanager:GetSecretValue on JwtSecretArn
ApiRole: sqs:GetQueueAttributes on FastQueue.Arn
ApiRole: sqs:GetQueueAttributes on SlowQueue.Arn
ApiRole: sqs:SendMessage on FastQueue.Arn
ApiRole: sqs:SendMessage on SlowQueue.Arn
ApiRole: xray:PutTelemetryRecords on *
ApiRole: xray:PutTraceSegments on *
ExecutorRole: FunctionNetworkPolicyArn
ExecutorRole: assumed by lambda.amazonaws.com
ExecutorRole: kms:Decrypt on JobSecretsKeyArn
ExecutorRole: logs:CreateLogStream on ExecutorLogs.Arn
ExecutorRole: logs:PutLogEvents on ExecutorLogs.Arn
ExecutorRole: secretsmanager:GetSecretValue on DatabaseSecretArn
ExecutorRole: sqs:ChangeMessageVisibility on FastQueue.Arn
ExecutorRole: sqs:ChangeMessageVisibility on SlowQueue.Arn
ExecutorRole: sqs:DeleteMessage on FastQueue.Arn
ExecutorRole: sqs:DeleteMessage on SlowQueue.Arn
ExecutorRole: sqs:GetQueueAttributes on FastQueue.Arn
ExecutorRole: sqs:GetQueueAttributes on SlowQueue.Arn
ExecutorRole: sqs:ReceiveMessage on FastQueue.Arn
ExecutorRole: sqs:ReceiveMessage on SlowQueue.Arn
ExecutorRole: sqs:SendMessage on FastQueue.Arn
ExecutorRole: sqs:SendMessage on SlowQueue.Arn
ExecutorRole: xray:PutTelemetryRecords on *
ExecutorRole: xray:PutTraceSegments on *
ProxyRole: assumed by rds.amazonaws.com
ProxyRole: secretsmanager:GetSecretValue on DatabaseSecretArn
TickRole: FunctionNetworkPolicyArn
TickRole: assumed by lambda.amazonaws.com
TickRole: logs:CreateLogStream on TickLogs.Arn
TickRole: logs:PutLogEvents on TickLogs.Arn
TickRole: secretsmanager:GetSecretValue on DatabaseSecretArn
TickRole: sqs:GetQueueAttributes on FastQueue.Arn
TickRole: sqs:GetQueueAttributes on SlowQueue.Arn
TickRole: sqs:SendMessage on FastQueue.Arn
TickRole: sqs:SendMessage on SlowQueue.Arn
TickRole: xray:PutTelemetryRecords on *
TickRole: xray:PutTraceSegments on *
`), "\n")
	dataGrants = strings.Split(strings.TrimSpace(`
FunctionNetworkPolicy: ec2:AssignPrivateIpAddresses on *
FunctionNetworkPolicy: ec2:CreateNetworkInterface on *
FunctionNetworkPolicy: ec2:DeleteNetworkInterface on *
FunctionNetworkPolicy: ec2:DescribeNetworkInterfaces on *
FunctionNetworkPolicy: ec2:DescribeSubnets on *
FunctionNetworkPolicy: ec2:UnassignPrivateIpAddresses on *
MigrateRole: FunctionNetworkPolicy
MigrateRole: assumed by lambda.amazonaws.com
MigrateRole: kms:Decrypt on JobSecretsKey.Arn
MigrateRole: kms:GenerateDataKey on JobSecretsKey.Arn
MigrateRole: logs:CreateLogStream on MigrateLogs.Arn
MigrateRole: logs:PutLogEvents on MigrateLogs.Arn
MigrateRole: secretsmanager:GetSecretValue on AdminSecret
MigrateRole: secretsmanager:GetSecretValue on Database.MasterUserSecret.SecretArn
MigrateRole: secretsmanager:GetSecretValue on DatabaseSecret
`), "\n")
)

func TestEachRoleMayDoThisAlone(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(applicationGrants, templatetest.Grants(application(t))); diff != "" {
		t.Errorf("template.yaml (-meant +granted):\n%s", diff)
	}
	if diff := cmp.Diff(dataGrants, templatetest.Grants(data(t))); diff != "" {
		t.Errorf("infra/data.yaml (-meant +granted):\n%s", diff)
	}
}

func TestGrantsShowWhatIsAdded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, want string }{
		"an action": {
			"Action: kms:Decrypt", "Action: [kms:Decrypt, kms:Encrypt]", "ExecutorRole: kms:Encrypt on JobSecretsKeyArn",
		},
		"a resource": {
			"Resource: !GetAtt TickFunction.Arn", "Resource: [!GetAtt TickFunction.Arn, !GetAtt ExecutorFunction.Arn]",
			"ApiRole: lambda:InvokeFunction on ExecutorFunction.Arn",
		},
		"a resource made up": {
			"Resource: !GetAtt TickLogs.Arn", "Resource: !Sub 'arn:aws:logs:*:*:log-group:*'", "TickRole: logs:PutLogEvents on arn:aws:logs:*:*:log-group:*",
		},
		"a policy of AWS's": {
			"ManagedPolicyArns: [!Ref FunctionNetworkPolicyArn]", "ManagedPolicyArns: [!Ref FunctionNetworkPolicyArn, arn:aws:iam::aws:policy/AdministratorAccess]",
			"ApiRole: arn:aws:iam::aws:policy/AdministratorAccess",
		},
		"another to assume it": {
			"Principal: {Service: lambda.amazonaws.com}", "Principal: {Service: ec2.amazonaws.com}", "ApiRole: assumed by ec2.amazonaws.com",
		},
	} {
		template := changed(t, "template.yaml", c.old, c.new)
		if got := templatetest.Grants(template); !slices.Contains(got, c.want) || slices.Contains(applicationGrants, c.want) {
			t.Errorf("%s: no new line %q in %q", name, c.want, got)
		}
	}
}
