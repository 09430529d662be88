package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/telemetry"
	"github.com/cronjobs/cronjobs/internal/telemetry/emf"
)

// emits are the metrics that each function tells of what the journey asks it.
var emits = map[string][]telemetry.Metric{
	api.name:      {telemetry.RequestDuration, telemetry.ServerErrors},
	tick.name:     {telemetry.OccurrencesClaimed, telemetry.OutboxBacklog, telemetry.Swept, telemetry.TickDuration},
	executor.name: {telemetry.ExecutionDuration, telemetry.Executions},
	migrate.name:  {telemetry.MigrationDuration},
}

// checkMetrics reads what a function's processes wrote as CloudWatch does, and
// wants every metric of it, under the names and dimensions that are defined.
func checkMetrics(f function, log string) error {
	found := map[telemetry.Metric]bool{}
	var faults []error
	for line := range bytes.Lines([]byte(log)) {
		if !emf.Is(line) {
			continue
		}
		read, err := emf.Read(line, time.Now())
		if err != nil {
			faults = append(faults, fmt.Errorf("%w: %s", err, line))
		}
		for _, value := range read.Values {
			metric := telemetry.Metric(value.Name)
			found[metric] = true
			if !isDefined(value) {
				faults = append(faults, fmt.Errorf("no such metric, in %s of %s: %s", value.Unit, value.Namespace, value))
			}
		}
	}
	for _, metric := range emits[f.name] {
		if !found[metric] {
			faults = append(faults, fmt.Errorf("no %s", metric))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%s: metrics: %w; it logged:\n%s", f.name, errors.Join(faults...), strings.TrimSpace(log))
}

func isDefined(value emf.Value) bool {
	definition, ok := telemetry.Definitions[telemetry.Metric(value.Name)]
	dimensions := []string{"environment"}
	if by := definition.Dimension; by != "" {
		dimensions = append(dimensions, by)
		ok = ok && slices.Contains(telemetry.Values[by], value.Dimensions[by])
	}
	return ok && value.Namespace == telemetry.Namespace && value.Unit == definition.Unit && value.Dimensions["environment"] == environmentName &&
		slices.Equal(dimensions, slices.Sorted(maps.Keys(value.Dimensions)))
}
