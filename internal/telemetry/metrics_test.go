package telemetry_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/cronjobs/cronjobs/internal/telemetry"
	"github.com/cronjobs/cronjobs/internal/telemetry/emf"
)

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
		read, err := emf.Read(line, now())
		if err != nil {
			t.Errorf("%v: %s", err, line)
		}
		for _, value := range read.Values {
			if value.Namespace != telemetry.Namespace {
				t.Errorf("namespace %s", value.Namespace)
			}
			found[value.String()] += len(value.Amounts)
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
		"Executions,environment=dev,outcome=success": 1, "Executions,environment=dev,outcome=failed": 1, "Executions,environment=dev,outcome=other": 1,
		"ExecutionDuration,environment=dev,lane=fast": 250, "ExecutionLateness,environment=dev,lane=fast": 1, "TickDuration,environment=dev": 1,
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

func TestWhatIsLeftOutIsNotMeasured(t *testing.T) {
	t.Parallel()
	_, found := emitted(t, func(ctx context.Context) {
		telemetry.LeaveOut(ctx, telemetry.RequestDuration)
		telemetry.Observe(ctx, telemetry.RequestDuration, "", 10_000)
		telemetry.Observe(ctx, telemetry.ServerErrors, "", 1)
	})
	if len(found) != 1 || found["ServerErrors,environment=dev"] != 1 {
		t.Errorf("found %v", found)
	}
	telemetry.LeaveOut(t.Context(), telemetry.RequestDuration) // where nothing is measured
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
