package templatetest

import (
	"cmp"
	"fmt"
	"strings"
)

// Alarms lists what sets off a template's alarms, a line each: what is watched,
// by which dimensions, against what, for how long, and what silence means. The
// template is taken as written.
func Alarms(t *Template) []string {
	var lines []string
	for _, id := range t.ofType("AWS::CloudWatch::Alarm") {
		properties := at(t.Resources, id, "Properties")
		text := func(value any, names ...string) string {
			for _, name := range names {
				if found := at(value, name); found != nil {
					return written(found)
				}
			}
			return ""
		}
		watched := func(metric, by any) string {
			var dimensions []string
			declared, _ := at(metric, "Dimensions").([]any)
			for _, dimension := range declared {
				dimensions = append(dimensions, text(dimension, "Name")+"="+text(dimension, "Value"))
			}
			return fmt.Sprintf("%s of %s %s(%s) in %s s", text(by, "Statistic", "ExtendedStatistic", "Stat"),
				text(metric, "Namespace"), text(metric, "MetricName"), strings.Join(dimensions, ", "), text(by, "Period"))
		}
		what := ""
		queries, _ := at(properties, "Metrics").([]any)
		for _, query := range queries {
			if stat := at(query, "MetricStat"); stat != nil {
				what += fmt.Sprintf(", %s is %s", text(query, "Id"), watched(at(stat, "Metric"), stat))
			} else {
				what += text(query, "Expression")
			}
		}
		what = cmp.Or(what, watched(properties, properties))
		lines = append(lines, fmt.Sprintf("%s: %s: %s %s, %s of %s, silence: %s", id, what,
			text(properties, "ComparisonOperator"), text(properties, "Threshold"),
			text(properties, "DatapointsToAlarm", "EvaluationPeriods"), text(properties, "EvaluationPeriods"), text(properties, "TreatMissingData")))
	}
	return lines
}
