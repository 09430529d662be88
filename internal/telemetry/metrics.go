package telemetry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Namespace is where the metrics are in CloudWatch.
const Namespace = "CronJobs"

// Metric names something that is measured.
type Metric string

// The metrics. Every name is billed once for each value of its dimension, so
// there are few, and only fixed values: jobs and categories are never among
// them.
const (
	// TickDuration is emitted when a tick has committed; no value, no tick.
	TickDuration       Metric = "TickDuration"
	OccurrencesClaimed Metric = "OccurrencesClaimed"
	// OutboxBacklog is how many executions should have been sent and were not.
	OutboxBacklog Metric = "OutboxBacklog"
	// Swept is how many executions were sent again, or taken over from a worker
	// that vanished.
	Swept Metric = "Swept"
	// Executions counts attempts by their outcome, and executions that ended
	// without one. Those that a person ends (who pauses, edits or deletes a job)
	// are in no metric: the summaries have them.
	Executions Metric = "Executions"
	// ExecutionLateness is how long after its instant a scheduled call began.
	ExecutionLateness Metric = "ExecutionLateness"
	ExecutionDuration Metric = "ExecutionDuration"
	// RequestDuration is of requests that do not wait on purpose: see LeaveOut.
	RequestDuration Metric = "RequestDuration"
	// ServerErrors counts requests that were answered by a status of 500 or more,
	// and is 0 for the others. The function's own errors tell of none of them.
	ServerErrors      Metric = "ServerErrors"
	MigrationDuration Metric = "MigrationDuration"
)

// Dimensions, beside that of the environment, which all have.
const (
	byLane    = "lane"
	byOutcome = "outcome"
)

// Definition is what CloudWatch is told of a metric.
type Definition struct {
	Unit      string // one of CloudWatch's
	Dimension string // beside environment; "" for none
}

// Definitions are those of all metrics.
var Definitions = map[Metric]Definition{
	TickDuration:       {Unit: "Milliseconds"},
	OccurrencesClaimed: {Unit: "Count"},
	OutboxBacklog:      {Unit: "Count"},
	Swept:              {Unit: "Count"},
	Executions:         {Unit: "Count", Dimension: byOutcome},
	ExecutionLateness:  {Unit: "Milliseconds", Dimension: byLane},
	ExecutionDuration:  {Unit: "Milliseconds", Dimension: byLane},
	RequestDuration:    {Unit: "Milliseconds"},
	ServerErrors:       {Unit: "Count"},
	MigrationDuration:  {Unit: "Milliseconds"},
}

// Values are those that a dimension may have; any other is counted as "other".
var Values = map[string][]string{
	byLane:    {"fast", "slow", Other},
	byOutcome: {"success", "failed", "retry", "skipped", "late", "missed", "abandoned", Other},
}

// Other stands for every value of a dimension that is not among its own.
const Other = "other"

// maxValues is how many values of a metric one line may hold.
const maxValues = 100

// Metrics is what one invocation measures. Nil measures nothing. It is safe for
// concurrent use.
type Metrics struct {
	mu      sync.Mutex
	values  map[series][]float64
	leftOut map[Metric]bool
}

type series struct {
	metric Metric
	value  string // of the metric's dimension
}

type metricsKey struct{}

// Measure returns a context by which metrics are collected.
func Measure(ctx context.Context) (context.Context, *Metrics) {
	m := &Metrics{values: map[series][]float64{}, leftOut: map[Metric]bool{}}
	return context.WithValue(ctx, metricsKey{}, m), m
}

// Observe adds a value of a metric to what the context's invocation measures.
// value is that of the metric's dimension, where it has one.
func Observe(ctx context.Context, metric Metric, value string, amount float64) {
	m, ok := ctx.Value(metricsKey{}).(*Metrics)
	if !ok {
		return
	}
	if dimension := Definitions[metric].Dimension; dimension == "" {
		value = ""
	} else if !slices.Contains(Values[dimension], value) {
		value = Other
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leftOut[metric] {
		return
	}
	s := series{metric, value}
	if have := m.values[s]; Definitions[metric].Unit == "Count" && len(have) > 0 {
		have[0] += amount // a sum is all that is asked of counts
		return
	}
	m.values[s] = append(m.values[s], amount)
}

// LeaveOut has the context's invocation observe no value of a metric from now on:
// one that would say nothing, such as how long a request took that waits for news.
func LeaveOut(ctx context.Context, metric Metric) {
	m, ok := ctx.Value(metricsKey{}).(*Metrics)
	if !ok {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leftOut[metric] = true
}

// Emitter writes metrics in CloudWatch's embedded metric format. Nil writes
// none.
type Emitter struct {
	w           io.Writer
	environment string
	function    string
	now         func() time.Time
}

// NewEmitter makes the emitter of a function in an environment.
func NewEmitter(w io.Writer, environment, function string, now func() time.Time) *Emitter {
	return &Emitter{w, environment, function, now}
}

// Emit writes what an invocation measured: one line, or more where a dimension
// has several values or a metric more than a hundred.
func (e *Emitter) Emit(ctx context.Context, m *Metrics) error {
	if e == nil {
		return nil
	}
	m.mu.Lock()
	left := maps.Clone(m.values)
	m.mu.Unlock()
	for len(left) > 0 {
		text, err := json.Marshal(e.line(ctx, left))
		if err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
		if _, err := e.w.Write(append(text, '\n')); err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
	}
	return nil
}

// directive and the types below are the format's own.
type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []described
}

type described struct {
	Name string
	Unit string
}

// line takes from left as much as one line holds: of each dimension one value,
// for a line has but one member of that name.
func (e *Emitter) line(ctx context.Context, left map[series][]float64) map[string]any {
	order := slices.SortedFunc(maps.Keys(left), func(a, b series) int {
		return slices.Compare([]string{string(a.metric), a.value}, []string{string(b.metric), b.value})
	})
	line := map[string]any{"environment": e.environment, "function": e.function, "service": Service}
	if invocation, ok := lambdacontext.FromContext(ctx); ok && invocation.AwsRequestID != "" {
		line["awsRequestId"] = invocation.AwsRequestID
	}
	if trace := TraceID(TraceHeader(ctx)); trace != "" {
		line["trace_id"] = trace
	}
	directives := map[string]*directive{}
	for _, s := range order {
		definition := Definitions[s.metric]
		if definition.Dimension != "" {
			if taken, ok := line[definition.Dimension]; ok && taken != s.value {
				continue
			}
		}
		if _, ok := line[string(s.metric)]; ok {
			continue
		}
		values := left[s]
		some := values[:min(len(values), maxValues)]
		if left[s] = values[len(some):]; len(left[s]) == 0 {
			delete(left, s)
		}
		dimensions := []string{"environment"}
		if definition.Dimension != "" {
			line[definition.Dimension] = s.value
			dimensions = append(dimensions, definition.Dimension)
		}
		line[string(s.metric)] = some
		if len(some) == 1 {
			line[string(s.metric)] = some[0]
		}
		d := directives[definition.Dimension]
		if d == nil {
			d = &directive{Namespace: Namespace, Dimensions: [][]string{dimensions}}
			directives[definition.Dimension] = d
		}
		d.Metrics = append(d.Metrics, described{string(s.metric), definition.Unit})
	}
	var all []*directive
	for _, dimension := range slices.Sorted(maps.Keys(directives)) {
		all = append(all, directives[dimension])
	}
	line["_aws"] = map[string]any{"Timestamp": e.now().UnixMilli(), "CloudWatchMetrics": all}
	return line
}

// Fit keeps those of the attributes, in order, that leave a line of JSON no
// longer than most bytes; a text that does not fit is cut where a useful part of
// it does. used is what the line has already.
func Fit(most, used int, attrs ...slog.Attr) []slog.Attr {
	const useful = 8
	var fitting []slog.Attr
	for _, attr := range attrs {
		overhead := len(attr.Key) + len(`"":"",`)
		room := most - used - overhead
		text := attr.Value.String()
		if length := encodedLength(text); length > room {
			if room < useful {
				continue
			}
			text = cutTo(text, room)
		}
		used += overhead + encodedLength(text)
		fitting = append(fitting, slog.String(attr.Key, text))
	}
	return fitting
}

// encodedLength is about how long a text is in JSON, and never less.
func encodedLength(text string) int {
	n := 0
	for _, r := range text {
		n += runeLength(r)
	}
	return n
}

func runeLength(r rune) int {
	switch {
	case r == '"', r == '\\':
		return 2
	case r < ' ', r == 0x7f, r == 0xFFFD, r == 0x2028, r == 0x2029:
		return 6
	default:
		return len(string(r))
	}
}

func cutTo(text string, room int) string {
	const mark = "…"
	n := len(mark)
	for i, r := range text {
		if n += runeLength(r); n > room {
			return text[:i] + mark
		}
	}
	return text
}
