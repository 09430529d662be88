package templatetest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/infra/templatetest"
)

func runbook(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAlarmsAndDashboard(t *testing.T) {
	t.Parallel()
	report(t, templatetest.Observability(application(t), runbook(t)))
	report(t, templatetest.Observability(data(t), runbook(t)))
}

// A part of the runbook on an alarm that is gone misleads.
func TestRunbookHasNoOtherAlarms(t *testing.T) {
	t.Parallel()
	var alarms []string
	for _, template := range []*templatetest.Template{application(t), data(t)} {
		for id, resource := range template.Resources {
			if resource.(templatetest.Object)["Type"] == "AWS::CloudWatch::Alarm" {
				alarms = append(alarms, id)
			}
		}
	}
	var parts []string
	for _, heading := range regexp.MustCompile(`(?m)^## (\w+Alarm)$`).FindAllStringSubmatch(runbook(t), -1) {
		parts = append(parts, heading[1])
	}
	slices.Sort(alarms)
	slices.Sort(parts)
	if diff := cmp.Diff(alarms, parts); diff != "" {
		t.Errorf("alarms and the runbook's parts (-alarms +parts):\n%s", diff)
	}
}

func TestDashboardShowsEverything(t *testing.T) {
	t.Parallel()
	for _, egress := range []string{"instance", "gateway"} {
		report(t, templatetest.Shown(application(t), resolve(t, data(t), map[string]string{"Egress": egress})))
	}
}

func TestShownCatches(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ template, old, new, fault string }{
		"an alarm":              {"template.yaml", `"${DeadLetterAlarm.Arn}",`, ``, "does not show DeadLetterAlarm"},
		"an alarm of data":      {"infra/data.yaml", `!GetAtt StorageAlarm.Arn, `, ``, "does not show StorageAlarm"},
		"all alarms of data":    {"template.yaml", `!Ref DataAlarmArns]`, `!Ref FunctionSubnetIds]`, "does not show StorageAlarm"},
		"a metric of ours":      {"template.yaml", `"MigrationDuration"`, `"TickDuration"`, "CronJobs MigrationDuration, which the functions emit"},
		"a metric of an alarm":  {"template.yaml", `"CPUCreditBalance"`, `"FreeableMemory"`, "AWS/RDS CPUCreditBalance, which CpuCreditAlarm watches"},
		"a metric in its alarm": {"template.yaml", `"AWS/RDS","DatabaseConnections"`, `"AWS/RDS","FreeableMemory"`, "AWS/RDS DatabaseConnections, which ConnectionsAlarm watches"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			templates := map[string]*templatetest.Template{"template.yaml": application(t), "infra/data.yaml": data(t)}
			templates[c.template] = changed(t, c.template, c.old, c.new)
			faults := templatetest.Shown(templates["template.yaml"], resolve(t, templates["infra/data.yaml"], nil))
			if !strings.Contains(strings.Join(faults, "\n"), c.fault) {
				t.Errorf("no fault says %q, only %q", c.fault, faults)
			}
		})
	}
}

// changed is a template with one passage replaced.
func changed(t *testing.T, path, old, replacement string) *templatetest.Template {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s no longer contains %q", path, old)
	}
	template, err := templatetest.Decode([]byte(strings.Replace(string(text), old, replacement, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return template
}

func TestObservabilityCatches(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ old, new, fault string }{
		"silence unexplained": {"TreatMissingData: breaching", "Unit: None", "TickMissedAlarm: says not what missing data means"},
		"no link":             {"docs/runbook.md#tickmissedalarm", "the runbook", "TickMissedAlarm: its description"},
		"no part":             {"  TickMissedAlarm:", "  TickLostAlarm:", "TickLostAlarm: docs/runbook.md has no part"},
		"tells nobody":        {"      AlarmActions: [!Ref AlarmTopicArn]\n", "", "TickMissedAlarm: tells nobody"},
		"another name":        {"MetricName: TickDuration", "MetricName: TickTime", "TickTime,environment=${Environment}: no such metric"},
		"by job":              {"{Name: lane, Value: fast}", "{Name: jobId, Value: 1}", "ExecutionLateness,environment=${Environment},jobId=1: no such metric"},
		"on the dashboard": {
			`["CronJobs","Swept","environment","${Environment}"]`, `["CronJobs","Sweeps","environment","${Environment}"]`, "Sweeps,environment=${Environment}: no such metric",
		},
		"an outcome of none": {
			`"outcome","late",{`, `"outcome","cancelled",{`, "outcome=cancelled: no function emits it",
		},
		"an outcome unseen":   {`["CronJobs","Executions","environment","${Environment}","outcome","abandoned",{"label":"abandoned"}],`, ``, "no line of a dashboard shows the outcome abandoned"},
		"another environment": {`["CronJobs","Swept","environment","${Environment}"]`, `["CronJobs","Swept","environment","prod"]`, "of another environment"},
		"not JSON":            {`{"widgets":[`, `{"widgets":`, "Dashboard: "},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template := changed(t, "template.yaml", c.old, c.new)
			if faults := templatetest.Observability(template, runbook(t)); !strings.Contains(strings.Join(faults, "\n"), c.fault) {
				t.Errorf("no fault says %q, only %q", c.fault, faults)
			}
		})
	}
}
