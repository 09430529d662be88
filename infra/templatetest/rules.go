package templatetest

import (
	"fmt"
	"maps"
	"net/netip"
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

func (f *faults) httpAPI(t *Template) {
	for _, id := range t.ofType("AWS::Serverless::HttpApi") {
		// A named stage becomes a part of the path that the function sees.
		f.equal(id, "$default", t.Resources, id, "Properties", "StageName")
		if at(t.Resources, id, "Properties", "CorsConfiguration") != nil {
			f.add("%s: CORS is the application's alone", id)
		}
	}
	routes := 0
	for _, function := range t.ofType("AWS::Serverless::Function") {
		events, _ := at(t.Resources, function, "Properties", "Events").(Object)
		for name, event := range events {
			if at(event, "Type") != "HttpApi" {
				continue
			}
			routes++
			properties := at(event, "Properties")
			if at(properties, "Path") != nil || at(properties, "Method") != nil {
				f.add("%s.%s: only the $default route serves every path and method", function, name)
			}
			f.equal(function+"."+name, "2.0", properties, "PayloadFormatVersion")
			if timeout, ok := number(t.property(function, "Timeout")); !ok || timeout > 29 {
				f.add("%s: the gateway gives up at 30 s, before a timeout of %d s", function, timeout)
			}
		}
	}
	if routes != 1 {
		f.add("%d routes, not one", routes)
	}
}

func (f *faults) functions(t *Template) {
	for _, id := range t.ofType("AWS::Serverless::Function") {
		f.equal(id, "makefile", t.Resources, id, "Metadata", "BuildMethod")
		for property, want := range map[string]string{"Handler": "bootstrap", "Runtime": "provided.al2023"} {
			if got := t.property(id, property); got != want {
				f.add("%s: %s is %v, not %s", id, property, got, want)
			}
		}
		if t.Resources[target(t.property(id, "Role"))] == nil {
			f.add("%s: no role of its own", id)
		}
		// These would add to a role what no list shows.
		for _, property := range []string{"Policies", "Connectors"} {
			if t.property(id, property) != nil {
				f.add("%s: %s: what it may do belongs to its role", id, property)
			}
		}
		logs := target(t.property(id, "LoggingConfig", "LogGroup"))
		if _, ok := number(t.Resources, logs, "Properties", "RetentionInDays"); !ok {
			f.add("%s: no log group of its own that forgets", id)
		}
		// The default, INFO, would swallow what LOG_LEVEL=debug asks for.
		f.equal(id, "DEBUG", t.property(id, "LoggingConfig"), "ApplicationLogLevel")
	}
}

// unbounded are the actions that AWS allows on no named resource, and those by
// which Lambda itself, before a function has a network interface, makes one.
var unbounded = []string{
	"xray:PutTraceSegments", "xray:PutTelemetryRecords",
	"ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
	"ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
}

func (f *faults) policies(t *Template) {
	documents := map[string]any{}
	for _, id := range t.ofType("AWS::IAM::Role") {
		policies, _ := at(t.Resources, id, "Properties", "Policies").([]any)
		for _, policy := range policies {
			documents[fmt.Sprintf("%s.%v", id, at(policy, "PolicyName"))] = at(policy, "PolicyDocument")
		}
	}
	for _, id := range t.ofType("AWS::IAM::ManagedPolicy") {
		documents[id] = at(t.Resources, id, "Properties", "PolicyDocument")
	}
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		statements, _ := at(documents[name], "Statement").([]any)
		for _, statement := range statements {
			if at(statement, "Effect") == "Allow" {
				f.statement(name, statement)
			}
		}
	}
}

func (f *faults) statement(name string, statement any) {
	anywhere := slices.Contains(list(at(statement, "Resource")), any("*"))
	for _, action := range list(at(statement, "Action")) {
		text := fmt.Sprint(action)
		if strings.Contains(text, "*") {
			f.add("%s: allows %s", name, text)
		}
		if anywhere && !slices.Contains(unbounded, text) {
			f.add("%s: allows %s on every resource", name, text)
		}
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

func (f *faults) database(t *Template) {
	ids := t.ofType("AWS::RDS::DBInstance")
	if len(ids) != 1 {
		f.add("%d databases, not one", len(ids))
	}
	for _, id := range ids {
		for _, policy := range []string{"DeletionPolicy", "UpdateReplacePolicy"} {
			f.equal(id, "Retain", t.Resources, id, policy)
		}
		f.kept(t, id)
		properties := at(t.Resources, id, "Properties")
		f.equal(id, "8.4", properties, "EngineVersion")
		f.equal(id, false, properties, "PubliclyAccessible")
		f.equal(id, true, properties, "StorageEncrypted")
		f.equal(id, "open-source-rds-extended-support-disabled", properties, "EngineLifecycleSupport")
		f.atLeast(id, 7, properties, "BackupRetentionPeriod")
		group := at(t.Resources, target(at(properties, "DBParameterGroupName")), "Properties")
		f.equal(id, "mysql8.4", group, "Family")
		for name, want := range map[string]string{
			"transaction_isolation": "READ-COMMITTED", "time_zone": "UTC", "require_secure_transport": "1",
			"wait_timeout": "120", "innodb_lock_wait_timeout": "5", "collation_server": "utf8mb4_0900_ai_ci",
		} {
			f.equal(id, want, group, "Parameters", name)
		}
	}
}

// kept wants that what a kept resource stands on is kept as well: it is in use
// when the stack goes, so that deleting it would fail, and the stack with it.
func (f *faults) kept(t *Template, id string) {
	for _, below := range references(at(t.Resources, id, "Properties")) {
		if t.Resources[below] == nil {
			continue
		}
		if policy := at(t.Resources, below, "DeletionPolicy"); policy != "Retain" {
			f.add("%s stands on %s, which is not kept", id, below)
		}
		f.kept(t, below)
	}
}

// references are the logical ids that a value names, as far as they are whole
// values.
func references(value any) []string {
	if id := target(value); id != "" {
		return []string{id}
	}
	var ids []string
	switch value := value.(type) {
	case Object:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			ids = append(ids, references(value[key])...)
		}
	case []any:
		for _, item := range value {
			ids = append(ids, references(item)...)
		}
	}
	return ids
}

// private are the ranges that a network of ours, or one joined to it, can have.
var private = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"),
}

// network checks that the functions' way out leads to public addresses alone.
func (f *faults) network(t *Template) {
	lists := map[string]int{}
	for _, id := range t.ofType("AWS::EC2::PrefixList") {
		entries, _ := at(t.Resources, id, "Properties", "Entries").([]any)
		lists[id], _ = number(t.Resources, id, "Properties", "MaxEntries")
		f.atLeast(id, len(entries), t.Resources, id, "Properties", "MaxEntries")
		for _, entry := range entries {
			prefix, err := netip.ParsePrefix(fmt.Sprint(at(entry, "Cidr")))
			if err != nil {
				f.add("%s: %v", id, err)
				continue
			}
			for _, own := range private {
				if prefix.Overlaps(own) {
					f.add("%s: %s reaches into %s", id, prefix, own)
				}
			}
		}
	}
	for _, id := range []string{"FunctionSecurityGroup", "ExecutorSecurityGroup"} {
		rules, _ := at(t.Resources, id, "Properties", "SecurityGroupEgress").([]any)
		if len(rules) == 0 {
			f.add("%s: without a rule, everything may go out", id)
		}
		// Room for the rules that stand outside: database, endpoints, a network.
		total := 3
		for _, rule := range rules {
			entries, known := lists[target(at(rule, "DestinationPrefixListId"))]
			if !known {
				f.add("%s: a way out that is not the list of public addresses", id)
			}
			total += max(entries, 1)
		}
		if total > 60 {
			f.add("%s: %d rules, over the quota of 60", id, total)
		}
	}
}
