package templatetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// migrateConnections are the connections that the migrate function holds while
// the application still runs: one changes the schema, the other holds the lock.
const migrateConnections = 2

// A tick marks what it has sent while it claims.
const (
	tickFunction    = "TickFunction"
	tickConnections = 2
)

// pollerInvocations are the concurrent invocations that one provisioned poller
// carries.
const pollerInvocations = 10

// Application lists what is wrong with the application's template, resolved for
// an environment; connections is what the environment's database is planned
// with.
func Application(t *Template, connections int) []string {
	var f faults
	f.queues(t)
	f.mappings(t)
	f.schedules(t)
	f.httpAPI(t)
	f.functions(t)
	f.policies(t)
	f.proxy(t)
	f.connections(t, connections)
	return f
}

// Data lists what is wrong with the data stack's template, resolved for an
// environment.
func Data(t *Template) []string {
	var f faults
	f.functions(t)
	f.policies(t)
	f.database(t)
	f.network(t)
	return f
}

// Joint lists what keeps the application from being deployed with the outputs
// of the data stack.
func Joint(application, data *Template) []string {
	const group = "Outputs of the data stack"
	var f faults
	var names []any
	groups, _ := at(application.Metadata, "AWS::CloudFormation::Interface", "ParameterGroups").([]any)
	for _, g := range groups {
		if at(g, "Label", "default") == group {
			names, _ = at(g, "Parameters").([]any)
		}
	}
	if len(names) == 0 {
		f.add("no parameter group %q", group)
	}
	for _, name := range names {
		if _, ok := data.Outputs[fmt.Sprint(name)]; !ok {
			f.add("parameter %v is no output of the data stack", name)
		}
	}
	for name := range application.Parameters {
		_, isOutput := data.Outputs[name]
		if isOutput && !slices.Contains(names, any(name)) {
			f.add("parameter %s is an output of the data stack and not in the group %q", name, group)
		}
	}
	return f
}

type faults []string

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// atLeast adds a fault unless the number at the path is there and large enough.
func (f *faults) atLeast(what string, least int, value any, path ...string) {
	if n, ok := number(value, path...); !ok || n < least {
		f.add("%s: %s is %v, less than %d", what, strings.Join(path, "."), at(value, path...), least)
	}
}

func (f *faults) equal(what string, want, value any, path ...string) {
	if got := at(value, path...); fmt.Sprint(got) != fmt.Sprint(want) {
		f.add("%s: %s is %v, not %v", what, strings.Join(path, "."), got, want)
	}
}

// mapping is a queue that feeds a function.
type mapping struct {
	name, function, queue string
	properties            any
}

func mappings(t *Template) []mapping {
	var found []mapping
	for _, function := range t.ofType("AWS::Serverless::Function") {
		events, _ := at(t.Resources, function, "Properties", "Events").(Object)
		for _, name := range slices.Sorted(maps.Keys(events)) {
			if at(events, name, "Type") == "SQS" {
				properties := at(events, name, "Properties")
				found = append(found, mapping{function + "." + name, function, target(at(properties, "Queue")), properties})
			}
		}
	}
	return found
}

func (f *faults) queues(t *Template) {
	fed := mappings(t)
	if len(fed) != 2 {
		f.add("%d queues feed functions, not the two lanes", len(fed))
	}
	for _, m := range fed {
		queue := at(t.Resources, m.queue, "Properties")
		if queue == nil {
			f.add("%s: no queue %q", m.name, m.queue)
			continue
		}
		timeout, _ := number(t.property(m.function, "Timeout"))
		// Lambda retries a throttled batch meanwhile; a shorter time would
		// deliver the message twice.
		f.atLeast(m.queue, 6*timeout, queue, "VisibilityTimeout")
		f.atLeast(m.queue, 5, queue, "RedrivePolicy", "maxReceiveCount")
		f.equal(m.queue, true, queue, "SqsManagedSseEnabled")
		retention, _ := number(queue, "MessageRetentionPeriod")
		dead := target(at(queue, "RedrivePolicy", "deadLetterTargetArn"))
		// A message keeps its first age in the dead-letter queue.
		f.atLeast(dead, retention+1, t.Resources, dead, "Properties", "MessageRetentionPeriod")
	}
}

func (f *faults) mappings(t *Template) {
	for _, m := range mappings(t) {
		responses, _ := at(m.properties, "FunctionResponseTypes").([]any)
		if !slices.Contains(responses, any("ReportBatchItemFailures")) {
			f.add("%s: one failed message would repeat its whole batch (ReportBatchItemFailures)", m.name)
		}
		if window := at(m.properties, "MaximumBatchingWindowInSeconds"); window != nil {
			f.add("%s: a batching window makes calls late", m.name)
		}
		f.equal(m.name, 10, m.properties, "BatchSize")
		pollers, capped := at(m.properties, "ProvisionedPollerConfig"), at(m.properties, "ScalingConfig", "MaximumConcurrency")
		switch {
		case pollers != nil && capped != nil:
			f.add("%s: MaximumConcurrency and provisioned pollers exclude each other", m.name)
		case pollers != nil:
			f.atLeast(m.name, 2, pollers, "MinimumPollers")
			least, _ := number(pollers, "MinimumPollers")
			f.atLeast(m.name, least, pollers, "MaximumPollers")
		default:
			f.atLeast(m.name, 2, m.properties, "ScalingConfig", "MaximumConcurrency")
		}
		if t.property(m.function, "ReservedConcurrentExecutions") != nil {
			f.add("%s: reserved concurrency would send messages to the dead-letter queue", m.function)
		}
	}
}

func (f *faults) schedules(t *Template) {
	count := 0
	for _, function := range t.ofType("AWS::Serverless::Function") {
		events, _ := at(t.Resources, function, "Properties", "Events").(Object)
		for name, event := range events {
			if at(event, "Type") != "ScheduleV2" {
				continue
			}
			count++
			what, properties := function+"."+name, at(event, "Properties")
			// SAM would give it the same name in every stack of an account.
			if name := fmt.Sprint(at(properties, "Name")); !strings.Contains(name, "AWS::StackName") {
				f.add("%s: one name, %s, for all environments", what, name)
			}
			f.equal(what, "rate(1 minute)", properties, "ScheduleExpression")
			f.equal(what, "OFF", properties, "FlexibleTimeWindow", "Mode")
			f.equal(what, 2, properties, "RetryPolicy", "MaximumRetryAttempts")
			f.equal(what, 60, properties, "RetryPolicy", "MaximumEventAgeInSeconds")
			// Without this Lambda itself repeats a failed tick for six hours.
			f.equal(function, 0, t.property(function, "EventInvokeConfig"), "MaximumRetryAttempts")
			f.equal(function, 60, t.property(function, "EventInvokeConfig"), "MaximumEventAgeInSeconds")
			if timeout, ok := number(t.property(function, "Timeout")); !ok || timeout >= 60 {
				f.add("%s: a timeout of %d s reaches into the next tick", function, timeout)
			}
		}
	}
	if count != 1 {
		f.add("%d schedules, not the one of the tick", count)
	}
}

// list is a value that may stand alone or in a list.
func list(value any) []any {
	if many, ok := value.([]any); ok {
		return many
	}
	return []any{value}
}

// connections adds up the connections of the function instances that may run at
// once: each holds one, and a tick two.
func (f *faults) connections(t *Template, planned int) {
	sum := migrateConnections
	for _, m := range mappings(t) {
		if pollers, ok := number(m.properties, "ProvisionedPollerConfig", "MaximumPollers"); ok {
			sum += pollers * pollerInvocations
			continue
		}
		capped, _ := number(m.properties, "ScalingConfig", "MaximumConcurrency")
		sum += capped
	}
	for _, id := range t.ofType("AWS::Serverless::Function") {
		if slices.ContainsFunc(mappings(t), func(m mapping) bool { return m.function == id }) {
			continue
		}
		reserved, ok := number(t.property(id, "ReservedConcurrentExecutions"))
		if !ok {
			f.add("%s: nothing bounds its instances, and so its connections", id)
		}
		if id == tickFunction {
			reserved *= tickConnections
		}
		sum += reserved
	}
	if sum > planned {
		f.add("%d connections may be made to a database planned with %d", sum, planned)
	}
}
