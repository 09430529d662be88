package templatetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// Namespace is where the product's own metrics are.
const Namespace = telemetry.Namespace

// Metric is one of the product's own metrics as an alarm or the dashboard reads
// it. The environment's value is "${Environment}" wherever it stands.
type Metric struct {
	Name       string
	Dimensions map[string]string
}

// String writes the metric as one word, to compare and to print.
func (m Metric) String() string {
	text := m.Name
	for _, name := range slices.Sorted(maps.Keys(m.Dimensions)) {
		text += "," + name + "=" + m.Dimensions[name]
	}
	return text
}

// OwnMetrics lists the metrics of our own namespace that a template's alarms
// and dashboards read, each once. The template is taken as written: Resolve
// would put an environment's name in the place of its reference.
func OwnMetrics(t *Template) ([]Metric, error) {
	found := map[string]Metric{}
	for _, id := range t.ofType("AWS::CloudWatch::Alarm") {
		properties := at(t.Resources, id, "Properties")
		if at(properties, "Namespace") != Namespace {
			continue
		}
		metric := Metric{fmt.Sprint(at(properties, "MetricName")), map[string]string{}}
		for _, dimension := range list(at(properties, "Dimensions")) {
			value := fmt.Sprint(at(dimension, "Value"))
			if name, ok := at(dimension, "Value", "Ref").(string); ok {
				value = "${" + name + "}"
			}
			metric.Dimensions[fmt.Sprint(at(dimension, "Name"))] = value
		}
		found[metric.String()] = metric
	}
	for _, id := range t.ofType("AWS::CloudWatch::Dashboard") {
		board, err := dashboard(t, id)
		if err != nil {
			return nil, err
		}
		for _, widget := range board.Widgets {
			for _, line := range widget.Properties.Metrics {
				if line[0] != Namespace {
					continue
				}
				metric := Metric{fmt.Sprint(line[1]), map[string]string{}}
				pairs := line[2:]
				if _, options := pairs[len(pairs)-1].(Object); options {
					pairs = pairs[:len(pairs)-1]
				}
				for i := 0; i+1 < len(pairs); i += 2 {
					metric.Dimensions[fmt.Sprint(pairs[i])] = fmt.Sprint(pairs[i+1])
				}
				found[metric.String()] = metric
			}
		}
	}
	var metrics []Metric
	for _, key := range slices.Sorted(maps.Keys(found)) {
		metrics = append(metrics, found[key])
	}
	return metrics, nil
}

type board struct {
	Widgets []struct {
		Type                string
		X, Y, Width, Height int
		Properties          struct {
			Title   string
			Metrics [][]any
			Alarms  []string
		}
	}
}

func dashboard(t *Template, id string) (board, error) {
	text, _ := list(at(t.Resources, id, "Properties", "DashboardBody", "Fn::Sub"))[0].(string)
	var b board
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return b, fmt.Errorf("templatetest: %s: %w", id, err)
	}
	for _, widget := range b.Widgets {
		for _, line := range widget.Properties.Metrics {
			if len(line) < 3 {
				return b, fmt.Errorf("templatetest: %s: %q: %v is no metric", id, widget.Properties.Title, line)
			}
		}
	}
	return b, nil
}

// mostCombinations bounds the bill for metrics.
const mostCombinations = 30

// Observability lists what is wrong with a template's alarms, dashboards and
// saved queries; runbook is the text of docs/runbook.md.
func Observability(t *Template, runbook string) []string {
	var f faults
	for _, id := range t.ofType("AWS::CloudWatch::Alarm") {
		properties := at(t.Resources, id, "Properties")
		if !slices.Contains([]any{"breaching", "notBreaching", "missing", "ignore"}, at(properties, "TreatMissingData")) {
			f.add("%s: says not what missing data means", id)
		}
		if link := "docs/runbook.md#" + strings.ToLower(id); !strings.HasSuffix(fmt.Sprint(at(properties, "AlarmDescription")), link) {
			f.add("%s: its description does not end in %s", id, link)
		}
		if !strings.Contains(runbook, "\n## "+id+"\n") {
			f.add("%s: docs/runbook.md has no part on it", id)
		}
		// The alarm on a new version only stops a deployment.
		if at(properties, "AlarmActions") == nil && !strings.Contains(id, "Version") {
			f.add("%s: tells nobody", id)
		}
	}
	metrics, err := OwnMetrics(t)
	if err != nil {
		f.add("%v", err)
	}
	f.outcomes(metrics)
	if len(metrics) > mostCombinations {
		f.add("%d metrics, more than %d", len(metrics), mostCombinations)
	}
	for _, metric := range metrics {
		definition, known := telemetry.Definitions[telemetry.Metric(metric.Name)]
		want := []string{"environment"}
		if by := definition.Dimension; by != "" {
			want = append(want, by)
			if !slices.Contains(telemetry.Values[by], metric.Dimensions[by]) {
				f.add("%s: no function emits it with this %s", metric, by)
			}
		}
		if got := slices.Sorted(maps.Keys(metric.Dimensions)); !known || !slices.Equal(got, want) {
			f.add("%s: no such metric, by these dimensions", metric)
		}
		if metric.Dimensions["environment"] != "${Environment}" {
			f.add("%s: of another environment", metric)
		}
	}
	return f
}

// Shown lists what a template's alarms and those of the data stack watch and the
// template's dashboard does not show: the alarms themselves, their metrics, and
// those metrics of ours that none watches. The application's template is taken as
// written, the data stack's resolved.
func Shown(application, data *Template) []string {
	var f faults
	shown, alarms := map[string]bool{}, ""
	for _, id := range application.ofType("AWS::CloudWatch::Dashboard") {
		board, err := dashboard(application, id)
		if err != nil {
			f.add("%v", err)
		}
		for _, widget := range board.Widgets {
			alarms += strings.Join(widget.Properties.Alarms, " ")
			for _, line := range widget.Properties.Metrics {
				shown[fmt.Sprint(line[0], " ", line[1])] = true
			}
		}
	}
	if joined := at(application.Resources, "Dashboard", "Properties", "DashboardBody", "Fn::Sub"); strings.Contains(fmt.Sprint(joined), "Ref:DataAlarmArns") {
		alarms += fmt.Sprint(data.Outputs["DataAlarmArns"])
	}
	wanted := map[string]string{}
	for name := range telemetry.Definitions {
		wanted[fmt.Sprint(Namespace, " ", name)] = "the functions emit"
	}
	for _, t := range []*Template{application, data} {
		for _, id := range t.ofType("AWS::CloudWatch::Alarm") {
			if !strings.Contains(alarms, "${"+id+".Arn}") && !strings.Contains(alarms, "Fn::GetAtt:"+id+".Arn") {
				f.add("the dashboard does not show %s", id)
			}
			properties := at(t.Resources, id, "Properties")
			metrics := []any{properties}
			for _, query := range list(at(properties, "Metrics")) {
				metrics = append(metrics, at(query, "MetricStat", "Metric"))
			}
			for _, metric := range metrics {
				if name := at(metric, "MetricName"); name != nil {
					wanted[fmt.Sprint(at(metric, "Namespace"), " ", name)] = id + " watches"
				}
			}
		}
	}
	for _, metric := range slices.Sorted(maps.Keys(wanted)) {
		if !shown[metric] {
			f.add("the dashboard does not show %s, which %s", metric, wanted[metric])
		}
	}
	return f
}

// outcomes wants either every outcome that is emitted or none: one that is left
// out would look as if it never happened.
func (f *faults) outcomes(metrics []Metric) {
	const dimension = "outcome"
	shown := map[string]bool{}
	for _, metric := range metrics {
		if outcome, ok := metric.Dimensions[dimension]; ok {
			shown[outcome] = true
		}
	}
	if len(shown) == 0 {
		return
	}
	for _, outcome := range telemetry.Values[dimension] {
		if !shown[outcome] && outcome != telemetry.Other {
			f.add("no line of a dashboard shows the outcome %s", outcome)
		}
	}
}
