package executor

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

func TestTheLineOfAnExecutionIsShort(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	const trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	long := func(text string) string { return strings.Repeat(text, 255/len(text)) }
	for name, tc := range map[string]struct {
		id       int64
		name     string
		host     string
		duration time.Duration
		trace    string
		want     []string
	}{
		"usual":         {id: 12345, name: "Nightly report", host: "api.example.com", duration: 120 * time.Millisecond, want: []string{`"host":"api.example.com"`, `"job":"Nightly report"`}},
		"traced":        {id: 12345, name: "Nightly report", host: "api.example.com", duration: time.Second, trace: trace, want: []string{`"trace_id":"1-5759e988-bd862e3fe1be46a994272793"`, `"host":"api`}},
		"long names":    {id: 1 << 52, name: long("ä"), host: long("sub."), duration: 300 * time.Second, trace: trace},
		"quotes":        {id: 1 << 52, name: long(`"`), host: long(`\`), duration: 300 * time.Second},
		"control bytes": {id: 1, name: long("\x01"), host: long("\x7f"), duration: time.Second},
	} {
		var out bytes.Buffer
		e := &Executor{log: telemetry.NewJSON(&out, slog.LevelInfo)}
		ctx := lambdacontext.NewContext(context.Background(), &lambdacontext.LambdaContext{AwsRequestID: "8476a536-e9f4-11e8-9739-2dfe598c3fcd"})
		ctx = telemetry.WithTrace(ctx, tc.trace)
		work := Work{ID: tc.id, JobID: tc.id, JobName: tc.name, Attempt: 10, ScheduledFor: at, Lane: execution.Fast}
		finish := execution.Finish{Host: tc.host, FirstStartedAt: at.Add(time.Hour), Attempt: execution.Attempt{
			StartedAt: at, EndedAt: at.Add(tc.duration),
			Response: &execution.Response{Status: 503}, Failure: &execution.Failure{Kind: execution.ErrBlockedAddress},
		}}
		status := execution.Abandoned
		if tc.want != nil {
			finish.Attempt.Failure, status = nil, execution.Success
		}
		e.report(ctx, work, finish, execution.Finished{Applied: true, Status: status})
		e.reportSkipped(ctx, work, long("a reason "))
		for line := range bytes.Lines(out.Bytes()) {
			if len(line) > maxLine {
				t.Errorf("%s: %d bytes: %s", name, len(line), line)
			}
			var object map[string]any
			if err := json.Unmarshal(line, &object); err != nil {
				t.Errorf("%s: %v: %s", name, err, line)
			}
		}
		for _, part := range tc.want {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%s: no %s in %s", name, part, &out)
			}
		}
	}
}
