package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/cronjobs/cronjobs/internal/telemetry"
)

func TestJSONBearsServiceAndIDs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	ctx := lambdacontext.NewContext(context.Background(), &lambdacontext.LambdaContext{AwsRequestID: "aws-1"})
	ctx = telemetry.With(ctx, slog.String("requestId", "r-1"))
	ctx = telemetry.With(ctx, slog.Int64("executionId", 7))
	telemetry.NewJSON(&out, slog.LevelInfo).InfoContext(ctx, "done", "jobId", 3)

	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("not JSON: %v: %s", err, &out)
	}
	for key, want := range map[string]any{
		"service": "cron-jobs-api", "awsRequestId": "aws-1", "requestId": "r-1", "executionId": 7.0, "jobId": 3.0, "msg": "done",
	} {
		if line[key] != want {
			t.Errorf("%s = %v, want %v", key, line[key], want)
		}
	}
}

func TestConsoleWritesOneLineAndHidesNothingInIt(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := telemetry.NewConsole(&out, telemetry.ParseLevel("warn")).With("part", "tick")
	log.Info("below the level")
	log.Warn("forged\nline", "err", errors.New("two\nlines"), slog.Group("job", "id", 5))
	got := out.String()
	if strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
		t.Errorf("not exactly one line: %q", got)
	}
	for _, part := range []string{"warn: ", `forged\nline`, "part=tick", `err="two\nlines"`, "job.id=5"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q lacks %q", got, part)
		}
	}
}
