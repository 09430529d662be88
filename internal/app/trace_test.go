package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/cronjobs/cronjobs/infra/local/sqspoller"
	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/sqsqueue"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

const (
	tickTrace = "1-67891233-abcdef012345678912345678"
	otherOne  = "Root=1-00000000-000000000000000000000000;Sampled=1"
)

// traced is a context as the Lambda runtime makes one for a traced invocation.
func traced(ctx context.Context, header string) context.Context {
	return context.WithValue(ctx, "x-amzn-trace-id", header) //nolint:revive,staticcheck // the runtime's own key
}

// A tick's trace goes on in whoever executes what it sent: not by the invocation,
// which is one of the queue's, but by the message.
func TestATickIsTracedIntoItsExecutions(t *testing.T) {
	t.Parallel()
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer target.Close()
	env := withQueues(t)
	env.Config.EgressAllow = Loopback
	storeDueJob(t, env, target.URL)

	tick, closeTick, err := NewTick(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closeTick() }()
	result, err := tick(traced(t.Context(), "Root="+tickTrace+";Parent=53995c3f42cd8ad8;Sampled=1"), TickEvent{})
	if err != nil || result.Claimed == 0 {
		t.Fatalf("%+v, %v", result, err)
	}

	event := receive(t, env)
	for _, record := range event.Records {
		if header := record.Attributes["AWSTraceHeader"]; !strings.Contains(header, tickTrace) {
			t.Errorf("a message bears the trace %q", header)
		}
	}
	var lines bytes.Buffer
	env.Log = telemetry.NewJSON(&lines, slog.LevelInfo)
	execute, closeExecutor, err := NewExecutor(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closeExecutor() }()
	ctx, cancel := context.WithTimeout(traced(t.Context(), otherOne), time.Minute)
	defer cancel()
	answer, err := execute(ctx, event)
	if err != nil || len(answer.BatchItemFailures) != 0 {
		t.Fatalf("%+v, %v", answer, err)
	}
	told := 0
	for line := range strings.Lines(lines.String()) {
		if !strings.Contains(line, `"msg":"execution"`) {
			continue
		}
		told++
		if !strings.Contains(line, `"trace_id":"`+tickTrace+`"`) || !strings.Contains(line, `"status":"success"`) {
			t.Errorf("a line of an execution: %s", line)
		}
	}
	if told == 0 {
		t.Errorf("no line of an execution in:\n%s", lines.String())
	}
}

// withQueues is an environment on a test's own schema, with queues of its own.
func withQueues(t *testing.T) Env {
	t.Helper()
	env, at := onServer(t)
	env.Config.DB.Username, env.Config.DB.Password = at.User, config.Secret(at.Password)
	server := sqsserver.New(sqsserver.Options{})
	for _, name := range []string{"fast", "slow"} {
		if err := server.CreateQueue(name, nil); err != nil {
			t.Fatal(err)
		}
	}
	served := httptest.NewServer(server)
	t.Cleanup(served.Close)
	env.Config.Queues = config.Queues{
		Endpoint: served.URL, FastURL: sqsserver.QueueURL(served.URL, "fast"), SlowURL: sqsserver.QueueURL(served.URL, "slow"),
	}
	env.MaxConns = 0 // each function's own
	return env
}

// storeDueJob stores a job that is due now and calls the URL.
func storeDueJob(t *testing.T, env Env, url string) {
	t.Helper()
	db, err := env.openDatabaseAs(mysql.Login{User: env.Config.DB.Username, Password: env.Config.DB.Password.Reveal()}, mysql.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	now := time.Now().UTC().Truncate(time.Second)
	for _, statement := range []struct {
		text string
		args []any
	}{
		{`INSERT INTO categories (name, name_key, color, status, created_at, updated_at) VALUES ('Traced', 'traced', '#000000', 'active', ?, ?)`, []any{now, now}},
		{`INSERT INTO jobs (name, name_key, description, cron_pattern, timezone, category_id, method, status, next_run_at, created_at, updated_at)
			SELECT 'Traced', 'traced', 'for the test', '* * * * * *', 'UTC', MAX(id), 'GET', 'active', ?, ?, ? FROM categories`, []any{now, now, now}},
		{`INSERT INTO job_requests (job_id, revision, method, url, body_secret, timeout_ms, max_redirects, retry_attempts,
			retry_delay_ms, retry_backoff, overlap_policy, created_at) SELECT id, 1, 'GET', ?, 0, 30000, 0, 0, 1000, 'fixed', 'allow', ? FROM jobs`, []any{url, now}},
	} {
		if _, err := db.ExecContext(t.Context(), statement.text, statement.args...); err != nil {
			t.Fatalf("%v: %s", err, statement.text)
		}
	}
}

// receive is the event that the fast queue's mapping makes of what waits in it.
func receive(t *testing.T, env Env) events.SQSEvent {
	t.Helper()
	return receiveFrom(t, env, env.Config.Queues.FastURL)
}

// receiveFrom is receive for any queue.
func receiveFrom(t *testing.T, env Env, queue string) events.SQSEvent {
	t.Helper()
	client, err := sqsqueue.NewClient(t.Context(), region(), env.Config.Queues.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeoutCause(t.Context(), 30*time.Second, fmt.Errorf("nothing was received"))
	defer stop()
	received := make(chan []byte, 1)
	poller, err := sqspoller.New(sqspoller.Config{
		Client: client, QueueURL: queue, QueueARN: "arn:aws:sqs:us-east-1:000000000000:fast",
		BatchSize: 10, MaxConcurrency: 1, Receivers: 1, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Invoke: func(_ context.Context, payload []byte) ([]byte, error) {
			select {
			case received <- payload:
				stop()
			default:
			}
			return []byte(`{}`), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := poller.Run(ctx); err != nil {
		t.Fatal(err)
	}
	var event events.SQSEvent
	select {
	case payload := <-received:
		if err := json.Unmarshal(payload, &event); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatal(context.Cause(ctx))
	}
	return event
}
