package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// units are those that CloudWatch knows.
var units = strings.Fields(`Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits
	Gigabits Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second Bits/Second
	Kilobits/Second Megabits/Second Gigabits/Second Terabits/Second Count/Second None`)

// checkLine holds a line to the rules of the embedded metric format, and returns
// how many values it has of each metric and value of its dimension.
func checkLine(t *testing.T, text []byte) map[string]int {
	t.Helper()
	var line map[string]any
	if err := json.Unmarshal(text, &line); err != nil {
		t.Fatalf("not JSON: %v: %s", err, text)
	}
	var header struct {
		AWS struct {
			Timestamp         int64
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			}
		} `json:"_aws"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&header); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if at := time.UnixMilli(header.AWS.Timestamp); at.Year() != 2026 {
		t.Errorf("timestamp %s: not in milliseconds?", at)
	}
	if len(text) > 256<<10 {
		t.Errorf("a line of %d bytes", len(text))
	}
	found := map[string]int{}
	for _, d := range header.AWS.CloudWatchMetrics {
		if d.Namespace != telemetry.Namespace || len(d.Dimensions) == 0 || len(d.Dimensions) > 30 || len(d.Metrics) == 0 || len(d.Metrics) > 100 {
			t.Errorf("directive %+v", d)
		}
		key := ""
		for _, set := range d.Dimensions {
			if len(set) == 0 || len(set) > 30 {
				t.Errorf("a set of %d dimensions", len(set))
			}
			for _, dimension := range set {
				value, ok := line[dimension].(string)
				if !ok || value == "" || len(value) > 1024 {
					t.Errorf("dimension %s is no member: %v", dimension, line[dimension])
				}
				key += " " + dimension + "=" + value
			}
		}
		for _, m := range d.Metrics {
			if !slices.Contains(units, m.Unit) {
				t.Errorf("%s: unit %q", m.Name, m.Unit)
			}
			switch value := line[m.Name].(type) {
			case float64:
				found[m.Name+key]++
			case []any:
				if len(value) == 0 || len(value) > 100 {
					t.Errorf("%s has %d values", m.Name, len(value))
				}
				for _, one := range value {
					if _, ok := one.(float64); !ok {
						t.Errorf("%s holds %v", m.Name, one)
					}
				}
				found[m.Name+key] += len(value)
			default:
				t.Errorf("%s is no member that is a number: %v", m.Name, value)
			}
		}
	}
	return found
}

func emitted(t *testing.T, observe func(ctx context.Context)) (lines [][]byte, found map[string]int) {
	t.Helper()
	var out bytes.Buffer
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "aws-1"})
	ctx, metrics := telemetry.Measure(ctx)
	observe(ctx)
	now := func() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) }
	if err := telemetry.NewEmitter(&out, "dev", "executor", now).Emit(ctx, metrics); err != nil {
		t.Fatal(err)
	}
	found = map[string]int{}
	for line := range bytes.Lines(out.Bytes()) {
		for name, n := range checkLine(t, line) {
			found[name] += n
		}
		lines = append(lines, bytes.Clone(line))
	}
	return lines, found
}

func TestMetricsAreInTheEmbeddedFormat(t *testing.T) {
	t.Parallel()
	lines, found := emitted(t, func(ctx context.Context) {
		for i := range 250 {
			telemetry.Observe(ctx, telemetry.Executions, "success", 1)
			telemetry.Observe(ctx, telemetry.ExecutionDuration, "fast", float64(i))
		}
		telemetry.Observe(ctx, telemetry.Executions, "failed", 1)
		telemetry.Observe(ctx, telemetry.ExecutionLateness, "fast", 12)
		telemetry.Observe(ctx, telemetry.TickDuration, "ignored", 12.5)
		telemetry.Observe(ctx, telemetry.Executions, "made up by a user", 1)
	})
	for name, want := range map[string]int{
		"Executions environment=dev outcome=success": 1, "Executions environment=dev outcome=failed": 1, "Executions environment=dev outcome=other": 1,
		"ExecutionDuration environment=dev lane=fast": 250, "ExecutionLateness environment=dev lane=fast": 1, "TickDuration environment=dev": 1,
	} {
		if found[name] != want {
			t.Errorf("%s: %d values, want %d", name, found[name], want)
		}
	}
	if len(lines) != 3 {
		t.Errorf("%d lines", len(lines))
	}
	if !bytes.Contains(bytes.Join(lines, nil), []byte(`"Executions":250`)) {
		t.Errorf("counts are not summed up: %s", lines)
	}
}

func TestAnInvocationIsUsuallyOneLine(t *testing.T) {
	t.Parallel()
	lines, _ := emitted(t, func(ctx context.Context) {
		for range 50 {
			telemetry.Observe(ctx, telemetry.Executions, "success", 1)
			telemetry.Observe(ctx, telemetry.ExecutionDuration, "fast", 5)
			telemetry.Observe(ctx, telemetry.ExecutionLateness, "fast", 5)
		}
	})
	if len(lines) != 1 || !bytes.Contains(lines[0], []byte(`"awsRequestId":"aws-1"`)) {
		t.Errorf("lines: %s", lines)
	}
	if lines, _ := emitted(t, func(context.Context) {}); len(lines) != 0 {
		t.Errorf("nothing measured, and written: %s", lines)
	}
}

// Each name with each value is billed by itself.
func TestMetricsAreFew(t *testing.T) {
	t.Parallel()
	billed := 0
	for metric, definition := range telemetry.Definitions {
		values := 1
		if definition.Dimension != "" {
			values = len(telemetry.Values[definition.Dimension])
		}
		if values == 0 || definition.Unit == "" {
			t.Errorf("%s is not defined whole", metric)
		}
		billed += values
	}
	if billed > 30 {
		t.Errorf("%d metrics are billed for an environment, of 30 at most", billed)
	}
}

func TestMeasuringNothingIsNoFault(t *testing.T) {
	t.Parallel()
	telemetry.Observe(t.Context(), telemetry.Executions, "success", 1)
	var nowhere *telemetry.Emitter
	if err := nowhere.Emit(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestTraceIDs(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"": "", "nonsense": "", "Root=1-a-b": "", "Root=1-a-b;Parent=c;Sampled=0": "",
		"Root=1-a-b;Parent=c;Sampled=1": "1-a-b", "Sampled=1; Root=1-a-b;Lineage=x:1": "1-a-b",
	} {
		if got := telemetry.TraceID(header); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

func TestWhatDoesNotFitIsCut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		room int // beside the fixed part
		want string
	}{
		"all":        {100, "host=api.example.com job=Nightly \"report\""},
		"second cut": {35, "host=api.example.com"},
		"first cut":  {19, "host=api.ex…"},
		"none":       {10, ""},
	} {
		got := ""
		for _, attr := range telemetry.Fit(tc.room, 0, slog.String("host", "api.example.com"), slog.String("job", `Nightly "report"`)) {
			got = strings.TrimSpace(fmt.Sprintf("%s %s=%s", got, attr.Key, attr.Value))
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
