package templatetest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/infra/templatetest"
)

// When each alarm goes off. No linter knows the names of AWS's metrics and their
// dimensions, and one that is wrong never goes off; a new line is a decision.
var (
	applicationAlarms = strings.Split(strings.TrimSpace(`
AccountConcurrencyAlarm: 100 * running / ${AccountConcurrency}, running is Maximum of AWS/Lambda ConcurrentExecutions() in 60 s: GreaterThanThreshold 80, 3 of 3, silence: notBreaching
ApiAnswersAlarm: Sum of CronJobs ServerErrors(environment=Environment) in 60 s: GreaterThanThreshold 4, 1 of 2, silence: notBreaching
ApiErrorsAlarm: Sum of AWS/Lambda Errors(FunctionName=ApiFunction, Resource=${ApiFunction}:live) in 60 s: GreaterThanThreshold 0, 2 of 2, silence: notBreaching
ApiLatencyAlarm: p95 of CronJobs RequestDuration(environment=Environment) in 300 s: GreaterThanThreshold 2000, 3 of 3, silence: notBreaching
ApiServerErrorsAlarm: Sum of AWS/ApiGateway 5xx(ApiId=HttpApi) in 60 s: GreaterThanThreshold 4, 2 of 3, silence: notBreaching
ApiVersionErrorsAlarm: Sum of AWS/Lambda Errors(FunctionName=ApiFunction, Resource=${ApiFunction}:live, ExecutedVersion=ApiFunction.Version.Version) in 60 s: GreaterThanThreshold 0, 1 of 1, silence: notBreaching
DeadLetterAlarm: Maximum of AWS/SQS ApproximateNumberOfMessagesVisible(QueueName=DeadLetterQueue.QueueName) in 60 s: GreaterThanThreshold 0, 1 of 1, silence: notBreaching
ExecutorErrorsAlarm: Sum of AWS/Lambda Errors(FunctionName=ExecutorFunction) in 60 s: GreaterThanThreshold 0, 2 of 2, silence: notBreaching
ExecutorThrottlesAlarm: Sum of AWS/Lambda Throttles(FunctionName=ExecutorFunction) in 60 s: GreaterThanThreshold 0, 3 of 3, silence: notBreaching
FastQueueAgeAlarm: Maximum of AWS/SQS ApproximateAgeOfOldestMessage(QueueName=FastQueue.QueueName) in 60 s: GreaterThanThreshold 360, 5 of 5, silence: notBreaching
LatenessAlarm: p99 of CronJobs ExecutionLateness(environment=Environment, lane=fast) in 60 s: GreaterThanThreshold 5000, 3 of 5, silence: notBreaching
SlowQueueAgeAlarm: Maximum of AWS/SQS ApproximateAgeOfOldestMessage(QueueName=SlowQueue.QueueName) in 60 s: GreaterThanThreshold 900, 5 of 5, silence: notBreaching
TickMissedAlarm: SampleCount of CronJobs TickDuration(environment=Environment) in 60 s: LessThanThreshold 1, 3 of 3, silence: breaching
`), "\n")
	dataAlarms = strings.Split(strings.TrimSpace(`
ConnectionsAlarm: 100 * connections / ${DatabaseConnections}, connections is Maximum of AWS/RDS DatabaseConnections(DBInstanceIdentifier=Database) in 60 s: GreaterThanThreshold 70, 3 of 3, silence: missing
CpuCreditAlarm: Minimum of AWS/RDS CPUCreditBalance(DBInstanceIdentifier=Database) in 300 s: LessThanThreshold 30, 3 of 3, silence: notBreaching
NatAlarm: Maximum of AWS/EC2 StatusCheckFailed(AutoScalingGroupName=NatGroup) in 60 s: GreaterThanThreshold 0, 5 of 5, silence: breaching
StorageAlarm: Minimum of AWS/RDS FreeStorageSpace(DBInstanceIdentifier=Database) in 300 s: LessThanThreshold 3221225472, 3 of 3, silence: missing
`), "\n")
)

func TestAlarmsGoOffForThisAlone(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(applicationAlarms, templatetest.Alarms(application(t))); diff != "" {
		t.Errorf("template.yaml (-meant +written):\n%s", diff)
	}
	if diff := cmp.Diff(dataAlarms, templatetest.Alarms(data(t))); diff != "" {
		t.Errorf("infra/data.yaml (-meant +written):\n%s", diff)
	}
}

func TestAlarmsShowWhatIsChanged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new string }{
		"silence":      {"TreatMissingData: breaching", "TreatMissingData: notBreaching"},
		"an hour":      {"      EvaluationPeriods: 3\n      ComparisonOperator: LessThanThreshold", "      EvaluationPeriods: 60\n      ComparisonOperator: LessThanThreshold"},
		"a statistic":  {"Statistic: SampleCount", "Statistic: Average"},
		"a percentile": {"ExtendedStatistic: p99", "ExtendedStatistic: p50"},
		"a metric":     {"MetricName: 5xx", "MetricName: 5XXError"},
		"a dimension":  {"- {Name: ApiId, Value: !Ref HttpApi}", "- {Name: ApiName, Value: !Ref HttpApi}"},
		"a value":      {"{Name: QueueName, Value: !GetAtt DeadLetterQueue.QueueName}", "{Name: QueueName, Value: !GetAtt FastQueue.QueueName}"},
		"a threshold":  {"Threshold: 360", "Threshold: 3600"},
		"a comparison": {"ComparisonOperator: LessThanThreshold", "ComparisonOperator: GreaterThanThreshold"},
		"a sum":        {"100 * running / ${AccountConcurrency}", "running / ${AccountConcurrency}"},
		"its part":     {"MetricName: ConcurrentExecutions", "MetricName: UnreservedConcurrentExecutions"},
		"most of five": {"DatapointsToAlarm: 3", "DatapointsToAlarm: 5"},
		"its name":     {"  FastQueueAgeAlarm:", "  QueueAgeAlarm:"},
	} {
		if cmp.Diff(applicationAlarms, templatetest.Alarms(changed(t, "template.yaml", c.old, c.new))) == "" {
			t.Errorf("%s: no line has changed", name)
		}
	}
}
