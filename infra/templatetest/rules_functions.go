package templatetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cronjobs/cronjobs/internal/telemetry"
)

func (f *faults) httpAPI(t *Template) {
	for _, id := range t.ofType("AWS::Serverless::HttpApi") {
		// A named stage becomes a part of the path that the function sees.
		f.equal(id, "$default", t.Resources, id, "Properties", "StageName")
		if at(t.Resources, id, "Properties", "CorsConfiguration") != nil {
			f.add("%s: CORS is the application's alone", id)
		}
		for _, limit := range []string{"ThrottlingRateLimit", "ThrottlingBurstLimit"} {
			f.atLeast(id, 1, t.Resources, id, "Properties", "DefaultRouteSettings", limit)
		}
		access := at(t.Resources, id, "Properties", "AccessLogSettings")
		if t.Resources[target(at(access, "DestinationArn"))] == nil {
			f.add("%s: no access log", id)
		}
		// A query may hold what somebody searches for, and a stream's ticket.
		if format := fmt.Sprint(at(access, "Format")); strings.Contains(strings.ToLower(format), "query") {
			f.add("%s: the access log holds queries", id)
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
			// Elsewhere a trace costs more than the function does.
			f.equal(function, "Active", Object{"Tracing": t.property(function, "Tracing")}, "Tracing")
			f.canary(t, function)
			if timeout, ok := number(t.property(function, "Timeout")); !ok || timeout > 29 {
				f.add("%s: the gateway gives up at 30 s, before a timeout of %d s", function, timeout)
			}
		}
	}
	if routes != 1 {
		f.add("%d routes, not one", routes)
	}
}

// canary wants alarms on a function whose versions take over by and by: without
// one nothing is ever rolled back. One must watch what the API answers: a release
// that answers every request by a server error has no error of a function.
func (f *faults) canary(t *Template, function string) {
	preference := t.property(function, "DeploymentPreference")
	alarms, _ := at(preference, "Alarms").([]any)
	if at(preference, "Type") == "AllAtOnce" {
		// Nothing is left to roll back, and a deployment ends where an alarm is on
		// already: a remedy could not be deployed.
		if len(alarms) > 0 {
			f.add("%s: an alarm keeps a remedy from being deployed at once", function)
		}
		return
	}
	answers := false
	for _, alarm := range alarms {
		if at(t.Resources, target(alarm), "Type") != "AWS::CloudWatch::Alarm" {
			f.add("%s: a deployment watches %v, which is no alarm", function, alarm)
		}
		watched := at(t.Resources, target(alarm), "Properties")
		answers = answers || at(watched, "Namespace") == Namespace && at(watched, "MetricName") == string(telemetry.ServerErrors)
	}
	if !answers {
		f.add("%s: a deployment watches no answers", function)
	}
	if len(alarms) == 0 {
		f.add("%s: no alarm rolls a deployment back", function)
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
		f.equal(id, "JSON", t.property(id, "LoggingConfig"), "LogFormat")
		f.plainVariables(t, id)
	}
}

// plainVariables wants no secret in a function's variables, where everybody who
// may look at the function reads it: functions fetch theirs.
func (f *faults) plainVariables(t *Template, function string) {
	for _, variables := range []any{
		at(t.property(function, "Environment"), "Variables"), at(t.Globals, "Function", "Environment", "Variables"),
	} {
		object, _ := variables.(Object)
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if strings.Contains(fmt.Sprint(object[name]), "{{resolve:") {
				f.add("%s: %s would stand in the function's configuration", function, name)
			}
		}
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
