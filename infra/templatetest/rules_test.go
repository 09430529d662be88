package templatetest_test

import (
	"strings"
	"testing"

	"github.com/cronjobs/cronjobs/infra/templatetest"
)

// Every rule fails on a template that breaks it: the templates as they are,
// with one passage changed.
func TestRulesCatch(t *testing.T) {
	t.Parallel()
	const app, base = "template.yaml", "infra/data.yaml"
	fastMapping := "          Properties:\n            Queue: !GetAtt FastQueue.Arn\n"
	cases := map[string]struct {
		template, old, new, fault string
		values                    map[string]string
	}{
		"short visibility": {
			template: app, old: "VisibilityTimeout: 5400", new: "VisibilityTimeout: 5399", fault: "FastQueue: VisibilityTimeout is 5399",
		},
		"longer timeout alone": {
			template: app, old: "Timeout: 900", new: "Timeout: 901", fault: "less than 5406",
		},
		"few receives": {
			template: app, old: "maxReceiveCount: 5", new: "maxReceiveCount: 4", fault: "maxReceiveCount is 4",
		},
		"dead letters forgotten first": {
			template: app, old: "MessageRetentionPeriod: 1209600", new: "MessageRetentionPeriod: 14400", fault: "DeadLetterQueue",
		},
		"whole batches repeat": {
			template: app, old: "FunctionResponseTypes: [ReportBatchItemFailures]", new: "Enabled: true", fault: "ReportBatchItemFailures",
		},
		"batching window": {
			template: app, old: fastMapping, new: fastMapping + "            MaximumBatchingWindowInSeconds: 1\n", fault: "batching window",
		},
		"both caps": {
			template: app, old: "            ScalingConfig: !If\n              - ProvisionFast\n              - !Ref AWS::NoValue\n",
			new:    "            ScalingConfig: !If\n              - ProvisionFast\n              - {MaximumConcurrency: 20}\n",
			values: map[string]string{"FastPollers": "2"}, fault: "exclude each other",
		},
		"one poller": {
			template: app, old: "{MinimumPollers: !Ref FastPollers,", new: "{MinimumPollers: 1,",
			values: map[string]string{"FastPollers": "2"}, fault: "MinimumPollers is 1",
		},
		"reserved executor": {
			template: app, old: "Timeout: 900", new: "Timeout: 900\n      ReservedConcurrentExecutions: 5", fault: "dead-letter queue",
		},
		"another rate": {
			template: app, old: "rate(1 minute)", new: "rate(5 minute)", fault: "ScheduleExpression is rate(5 minute)",
		},
		"one name for all environments": {
			template: app, old: "Name: !Sub ${AWS::StackName}-tick\n            Desc", new: "Desc", fault: "TickFunction.EveryMinute: one name, <nil>",
		},
		"flexible window": {
			template: app, old: "{Mode: 'OFF'}", new: "{Mode: FLEXIBLE, MaximumWindowInMinutes: 5}", fault: "FlexibleTimeWindow.Mode is FLEXIBLE",
		},
		"tick repeated by Lambda": {
			template: app, old: "EventInvokeConfig:", new: "Unknown:", fault: "TickFunction: MaximumRetryAttempts is <nil>",
		},
		"overlapping ticks": {
			template: app, old: "Timeout: 55", new: "Timeout: 60", fault: "reaches into the next tick",
		},
		"API outlives the gateway": {
			template: app, old: "Timeout: 29", new: "Timeout: 30", fault: "the gateway gives up",
		},
		"named stage": {
			template: app, old: "StageName: $default", new: "StageName: prod", fault: "StageName is prod",
		},
		"one method alone": {
			template: app, old: "PayloadFormatVersion: '2.0'", new: "PayloadFormatVersion: '2.0'\n            Path: /{proxy+}\n            Method: ANY",
			fault: "$default route",
		},
		"old payload": {
			template: app, old: "PayloadFormatVersion: '2.0'", new: "PayloadFormatVersion: '1.0'", fault: "PayloadFormatVersion is 1.0",
		},
		"CORS twice": {
			template: app, old: "StageName: $default", new: "StageName: $default\n      CorsConfiguration: true", fault: "CORS",
		},
		"too many instances": {
			template: app, old: "Default: 20\n    MinValue: 2\n", new: "Default: 42\n    MinValue: 2\n", fault: "64 connections",
		},
		"too many pollers": {
			template: app, values: map[string]string{"FastPollers": "5"}, fault: "72 connections",
		},
		"unbounded API": {
			template: app, values: map[string]string{"ApiReservedConcurrency": "0"}, fault: "nothing bounds its instances",
		},
		"filtered debug lines": {
			template: app, old: "ApplicationLogLevel: DEBUG", new: "ApplicationLogLevel: INFO", fault: "ApplicationLogLevel is INFO",
		},
		"logs kept for ever": {
			template: app, old: "LogGroup: !Ref TickLogs", new: "LogGroup: unnamed", fault: "TickFunction: no log group",
		},
		"any secret": {
			template: app, old: "Resource: [!Ref DatabaseSecretArn, !Ref JwtSecretArn]", new: "Resource: '*'",
			fault: "allows secretsmanager:GetSecretValue on every resource",
		},
		"any action": {
			template: app, old: "Action: kms:Decrypt", new: "Action: kms:*", fault: "allows kms:*",
		},
		"an action that can be bound": {
			template: app, old: "xray:PutTraceSegments", new: "xray:GetTraceSummaries", fault: "allows xray:GetTraceSummaries on every resource",
		},
		"a policy beside the role": {
			template: app, old: "      Role: !GetAtt TickRole.Arn", new: "      Role: !GetAtt TickRole.Arn\n      Policies: AmazonSQSFullAccess",
			fault: "TickFunction: Policies",
		},
		"a canary that nothing stops": {
			template: app, old: "          - - !Ref ApiVersionErrorsAlarm\n            - !Ref ApiErrorsAlarm\n            - !Ref ApiAnswersAlarm\n", new: "          - []\n",
			values: map[string]string{"ApiDeployment": "Canary10Percent5Minutes"}, fault: "no alarm rolls a deployment back",
		},
		"a canary that sees no answers": {
			template: app, old: "            - !Ref ApiAnswersAlarm\n", new: "",
			values: map[string]string{"ApiDeployment": "Canary10Percent5Minutes"}, fault: "a deployment watches no answers",
		},
		"a canary that watches a log": {
			template: app, old: "- !Ref ApiVersionErrorsAlarm\n", new: "- !Ref ApiLogs\n",
			values: map[string]string{"ApiDeployment": "Canary10Percent5Minutes"}, fault: "which is no alarm",
		},
		"a remedy that an alarm keeps out": {
			template: app, old: "[!Equals [!Ref ApiDeployment, AllAtOnce]]", new: "[!Equals [!Ref ApiDeployment, '']]", fault: "an alarm keeps a remedy",
		},
		"no throttle": {
			template: app, old: "ThrottlingBurstLimit: !Ref ApiThrottleBurst", new: "DetailedMetricsEnabled: true", fault: "ThrottlingBurstLimit is <nil>",
		},
		"no access log": {
			template: app, old: "DestinationArn: !GetAtt AccessLogs.Arn", new: "DestinationArn: !GetAtt NoLogs.Arn", fault: "HttpApi: no access log",
		},
		"queries in the access log": {
			template: app, old: `"path":"$context.path"`, new: `"path":"$context.path?$context.queryString"`, fault: "the access log holds queries",
		},
		"an API without traces": {
			template: app, old: "Tracing: Active", new: "Tracing: PassThrough", fault: "ApiFunction: Tracing is PassThrough",
		},
		"logs as text": {
			template: app, old: "LogFormat: JSON\n        LogGroup: !Ref ExecutorLogs", new: "LogFormat: Text\n        LogGroup: !Ref ExecutorLogs", fault: "ExecutorFunction: LogFormat is Text",
		},
		"a secret to be read by everybody": {
			template: app, old: "          JWT_SECRET: ''", new: "          JWT_SECRET: '{{resolve:secretsmanager:jwt}}'", fault: "ApiFunction: JWT_SECRET would stand",
		},
		"a secret for all": {
			template: app, old: "        DB_PASSWORD: ''", new: "        DB_PASSWORD: '{{resolve:secretsmanager:db}}'", fault: "TickFunction: DB_PASSWORD would stand",
		},
		"a proxy that cannot sign in yet": {
			template: app, old: "${Proxy.Endpoint}|${ProxyTargets}", new: "${Proxy.Endpoint}", values: map[string]string{"DatabaseProxy": "true"},
			fault: "ProxyTargets: functions use the proxy",
		},
		"a proxy beside the database": {
			template: base, old: "Type: AWS::SNS::Topic", new: "Type: AWS::RDS::DBProxy", fault: "AlarmTopic: a new data stack",
		},
		"a way to the database": {
			template: base, old: "SourceSecurityGroupId: !GetAtt ExecutorSecurityGroup.GroupId\n  DatabaseFromProxy:", new: "CidrIp: 10.0.0.0/8\n  DatabaseFromProxy:",
			fault: "DatabaseFromExecutor: a way to the database from",
		},
		"another build": {
			template: base, old: "BuildMethod: makefile", new: "BuildMethod: go1.x", fault: "BuildMethod is go1.x",
		},
		"database goes with the stack": {
			template: base, old: "    Type: AWS::RDS::DBInstance\n    DeletionPolicy: RetainExceptOnCreate", new: "    Type: AWS::RDS::DBInstance\n    DeletionPolicy: Delete",
			fault: "DeletionPolicy is Delete",
		},
		"the ground goes from under the database": {
			template: base, old: "    Type: AWS::EC2::VPC\n    Condition: CreateNetwork\n    DeletionPolicy: RetainExceptOnCreate", new: "    Type: AWS::EC2::VPC\n    Condition: CreateNetwork\n    DeletionPolicy: Delete",
			fault: "DatabaseSecurityGroup stands on Vpc, which is not kept",
		},
		"a key that goes with the stack": {
			template: base, old: "    Type: AWS::KMS::Key\n    DeletionPolicy: RetainExceptOnCreate\n    UpdateReplacePolicy: Retain\n", new: "    Type: AWS::KMS::Key\n",
			fault: "JobSecretsKey: JobSecretsKey.DeletionPolicy is <nil>",
		},
		"what a failed deployment leaves behind": {
			template: base, old: "    Type: AWS::RDS::DBInstance\n    DeletionPolicy: RetainExceptOnCreate", new: "    Type: AWS::RDS::DBInstance\n    DeletionPolicy: Retain",
			fault: "Database.DeletionPolicy is Retain,",
		},
		"default isolation": {
			template: base, old: "transaction_isolation: READ-COMMITTED", new: "autocommit: '1'", fault: "transaction_isolation is <nil>",
		},
		"plain connections": {
			template: base, old: "require_secure_transport: '1'", new: "require_secure_transport: '0'", fault: "require_secure_transport is 0",
		},
		"public database": {
			template: base, old: "PubliclyAccessible: false", new: "PubliclyAccessible: true", fault: "PubliclyAccessible is true",
		},
		"paid old version": {
			template: base, old: "open-source-rds-extended-support-disabled", new: "open-source-rds-extended-support", fault: "EngineLifecycleSupport",
		},
		"a NAT that nobody waits for": {
			template: base, old: "    CreationPolicy:\n      ResourceSignal: {Timeout: PT10M}\n", new: "", fault: "NatGroup: the stack does not wait",
		},
		"a new NAT that nobody waits for": {
			template: base, old: "        WaitOnResourceSignals: true\n", new: "", fault: "WaitOnResourceSignals is <nil>",
		},
		"a NAT that never says that it is ready": {
			template: base, old: "--resource NatGroup", new: "--resource Nat", fault: "NatGroup: its instances do not tell",
		},
		"way into the network": {
			template: base, old: "{Cidr: 11.0.0.0/8}", new: "{Cidr: 10.0.0.0/7}", fault: "reaches into 10.0.0.0/8",
		},
		"anywhere at all": {
			template: base, old: "DestinationPrefixListId: !Ref PublicAddresses", new: "CidrIp: 0.0.0.0/0", fault: "not the list of public addresses",
		},
		"too many rules": {
			template: base, old: "MaxEntries: 37", new: "MaxEntries: 58", fault: "over the quota",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template := changed(t, c.template, c.old, c.new)
			values := map[string]string{}
			if c.template == app {
				values = map[string]string{"ApiReservedConcurrency": "10", "TickReservedConcurrency": "2"}
			}
			for parameter, value := range c.values {
				values[parameter] = value
			}
			resolved := resolve(t, template, values)
			var faults []string
			if c.template == app {
				faults = templatetest.Application(resolved, 60)
			} else {
				faults = templatetest.Data(resolved)
			}
			if !strings.Contains(strings.Join(faults, "\n"), c.fault) {
				t.Errorf("no fault says %q, only %q", c.fault, faults)
			}
		})
	}
}

func TestJointCatchesARenamedOutput(t *testing.T) {
	t.Parallel()
	stack := data(t)
	delete(stack.Outputs, "JwtSecretArn")
	faults := templatetest.Joint(application(t), stack)
	if want := "parameter JwtSecretArn is no output"; !strings.Contains(strings.Join(faults, "\n"), want) {
		t.Errorf("no fault says %q, only %q", want, faults)
	}
}
