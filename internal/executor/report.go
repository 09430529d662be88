package executor

import (
	"context"
	"log/slog"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

const (
	// maxLine is how long the line of an execution may be, in bytes: logs are
	// the dearest part of a call.
	maxLine = 300
	// everyLine is what a line has beside its own attributes: time, level,
	// message and service, with their names, and its end.
	everyLine = len(`{"time":"2026-01-31T12:00:00.000Z","level":"INFO","msg":"execution","service":"`+telemetry.Service+`"}`) + 1
)

// report tells of one attempt: a line, and what is measured of it.
func (e *Executor) report(ctx context.Context, work Work, f execution.Finish, done execution.Finished) {
	status := string(done.Status)
	switch {
	case !done.Applied:
		status = "late"
	case done.Status == execution.Pending:
		status = "retry"
	}
	duration := f.Attempt.EndedAt.Sub(f.Attempt.StartedAt).Milliseconds()
	lateness := f.FirstStartedAt.Sub(work.ScheduledFor).Milliseconds()
	telemetry.Observe(ctx, telemetry.Executions, status, 1)
	telemetry.Observe(ctx, telemetry.ExecutionDuration, string(work.Lane), float64(duration))
	if work.Attempt == 1 && work.Trigger == execution.Schedule && done.Applied {
		telemetry.Observe(ctx, telemetry.ExecutionLateness, string(work.Lane), float64(lateness))
	}
	attrs := []slog.Attr{
		slog.Int64("executionId", work.ID), slog.Int64("jobId", work.JobID), slog.String("status", status),
		slog.Int("attempt", work.Attempt), slog.Int64("durationMs", duration), slog.Int64("latenessMs", lateness),
	}
	if f.Attempt.Response != nil {
		attrs = append(attrs, slog.Int("responseStatus", f.Attempt.Response.Status))
	}
	if f.Attempt.Failure != nil {
		attrs = append(attrs, slog.String("error", string(f.Attempt.Failure.Kind)))
	}
	// A URL is logged by its host alone: paths and queries may hold secrets.
	e.line(ctx, attrs, slog.String("host", f.Host), slog.String("job", work.JobName))
}

// reportSkipped tells of an execution that a rule kept from running.
func (e *Executor) reportSkipped(ctx context.Context, work Work, reason string) {
	telemetry.Observe(ctx, telemetry.Executions, string(execution.Skipped), 1)
	e.line(ctx, []slog.Attr{
		slog.Int64("executionId", work.ID), slog.Int64("jobId", work.JobID), slog.String("status", string(execution.Skipped)),
	}, slog.String("reason", reason), slog.String("job", work.JobName))
}

// line logs what must be told of an execution, and of the rest what fits.
func (e *Executor) line(ctx context.Context, must []slog.Attr, rest ...slog.Attr) {
	used := everyLine
	for _, attr := range must {
		used += len(attr.Key) + len(`"":"",`) + len(attr.Value.String())
	}
	if trace := telemetry.TraceID(telemetry.TraceHeader(ctx)); trace != "" {
		rest = append([]slog.Attr{slog.String("trace_id", trace)}, rest...)
	}
	e.log.LogAttrs(telemetry.Brief(ctx), slog.LevelInfo, "execution", append(must, telemetry.Fit(maxLine, used, rest...)...)...)
}
