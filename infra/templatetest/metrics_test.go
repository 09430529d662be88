package templatetest_test

import (
	"maps"
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

// The dashboard shows every metric of ours.
func TestDashboardShowsEveryMetric(t *testing.T) {
	t.Parallel()
	metrics, err := templatetest.OwnMetrics(application(t))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, metric := range metrics {
		shown[metric.Name] = true
	}
	want := []string{"ExecutionDuration", "ExecutionLateness", "Executions", "OccurrencesClaimed", "OutboxBacklog", "Swept", "TickDuration"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(shown))); diff != "" {
		t.Errorf("metrics (-want +shown):\n%s", diff)
	}
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
	text, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(string(text), c.old) {
				t.Fatalf("template.yaml no longer contains %q", c.old)
			}
			template, err := templatetest.Decode([]byte(strings.Replace(string(text), c.old, c.new, 1)))
			if err != nil {
				t.Fatal(err)
			}
			if faults := templatetest.Observability(template, runbook(t)); !strings.Contains(strings.Join(faults, "\n"), c.fault) {
				t.Errorf("no fault says %q, only %q", c.fault, faults)
			}
		})
	}
}
