package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/cronjobs/cronjobs/infra/local/sqspoller"
	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
	"github.com/cronjobs/cronjobs/internal/sqsqueue"
)

// journey starts each function as often as asked, each time in a new process,
// and looks at what it answers: the schema is made, a person signs in, reads and
// makes a job, a tick passes, and the job's runs are executed, each by a fresh
// executor that the queue invokes.
type journey struct {
	*stage
	starts   int
	commands func(name string) []string // how a function is started
	root     string                     // of the repository
	results  map[string][]measurement   // by function
}

func (j *journey) run(ctx context.Context) error {
	j.results = map[string][]measurement{}
	if err := j.migrations(ctx); err != nil {
		return err
	}
	if err := j.requests(ctx); err != nil {
		return err
	}
	if err := j.ticks(ctx); err != nil {
		return err
	}
	return j.executions(ctx)
}

// sample is a sample event of the repository.
func (j *journey) sample(path string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(j.root, "functions", path))
	if err != nil {
		return nil, fmt.Errorf("sample event: %w", err)
	}
	return text, nil
}

func (j *journey) start(ctx context.Context, f function) (*instance, error) {
	return start(ctx, f, j.commands(f.name), j.environment(f))
}

// once starts a function for one event, keeps what it took, and looks at what it
// measured.
func (j *journey) once(ctx context.Context, f function, event []byte) (answer []byte, log string, err error) {
	i, err := j.start(ctx, f)
	if err != nil {
		return nil, "", err
	}
	answer, took, err := i.first(ctx, event)
	if err != nil {
		return nil, "", err
	}
	j.results[f.name] = append(j.results[f.name], took)
	log = i.stop()
	return answer, log, checkMetrics(f, log)
}

func (j *journey) migrations(ctx context.Context) error {
	event, err := j.sample("migrate/events/migrate.json")
	if err != nil {
		return err
	}
	// The first one makes the tables; those after it, which are measured, find
	// nothing to do, as in most releases.
	for n := range j.starts + 1 {
		text, _, err := j.once(ctx, migrate, event)
		if err != nil {
			return err
		}
		var answer struct {
			Version, Applied int
			AdminCreated     bool
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			return fmt.Errorf("migrate answered %s: %w", text, err)
		}
		first := n == 0
		if answer.Version == 0 || (answer.Applied > 0) != first || answer.AdminCreated != first {
			return fmt.Errorf("start %d of migrate answered %s", n+1, text)
		}
	}
	j.results[migrate.name] = j.results[migrate.name][1:]
	return nil
}

func (j *journey) ticks(ctx context.Context) error {
	event, err := j.sample("tick/events/minute.json")
	if err != nil {
		return err
	}
	for range j.starts {
		text, _, err := j.once(ctx, tick, event)
		if err != nil {
			return err
		}
		var answer struct {
			Claimed, DurationMs *int
			Cut                 bool
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			return fmt.Errorf("tick answered %s: %w", text, err)
		}
		if answer.Claimed == nil || answer.DurationMs == nil || answer.Cut {
			return fmt.Errorf("tick answered %s", text)
		}
	}
	return nil
}

func (j *journey) requests(ctx context.Context) error {
	health, err := j.sample("api/events/health.json")
	if err != nil {
		return err
	}
	for range j.starts {
		text, _, err := j.once(ctx, api, health)
		if err != nil {
			return err
		}
		if err := readAnswer(text, 200, nil); err != nil {
			return fmt.Errorf("health: %w", err)
		}
	}
	return nil
}

// executions makes a job, runs it, and lets the queue invoke executors.
func (j *journey) executions(ctx context.Context) (err error) {
	i, err := j.start(ctx, api)
	if err != nil {
		return err
	}
	defer func() {
		if log := i.stop(); err == nil {
			err = checkMetrics(api, log)
		}
	}()
	client := caller{j, i, ""}
	var signedIn struct{ AccessToken string }
	if err := client.send(ctx, "login", 200, &signedIn); err != nil {
		return err
	}
	client.token = signedIn.AccessToken
	if err := client.send(ctx, "list-jobs", 200, new([]any)); err != nil {
		return err
	}
	var job struct{ ID int64 }
	if err := client.post(ctx, "/jobs", map[string]any{
		"name": "Yearly", "description": "A job of the start", "cronPattern": "0 0 1 1 *", "timezone": "UTC", "categoryId": 1, "url": j.target + "/yearly",
	}, 201, &job); err != nil {
		return err
	}

	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	executed := make(chan struct{})
	poller, err := j.poller(func(ctx context.Context, event []byte) ([]byte, error) {
		text, err := j.executed(ctx, event)
		if err != nil {
			stop(err)
			return nil, err
		}
		select {
		case executed <- struct{}{}:
		case <-work.Done():
		}
		return text, nil
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- poller.Run(work) }()
	for n := range j.starts {
		var run struct{ ID int64 }
		if err := client.post(ctx, fmt.Sprintf("/jobs/%d/execute?wait=0", job.ID), nil, 202, &run); err != nil {
			return err
		}
		select {
		case <-executed:
		case <-work.Done():
			return context.Cause(work)
		case <-time.After(instanceTime):
			return fmt.Errorf("no message came for execution %d within %s", run.ID, instanceTime)
		}
		calls := j.received()
		if len(calls) != n+1 || calls[n].Get("X-Cron-Execution-Id") != fmt.Sprint(run.ID) {
			return fmt.Errorf("the target received %d calls, the last one %v, for execution %d", len(calls), calls, run.ID)
		}
		var kept struct{ Status string }
		if err := client.get(ctx, fmt.Sprintf("/history/%d", run.ID), 200, &kept); err != nil {
			return err
		}
		if kept.Status != "success" {
			return fmt.Errorf("execution %d is %q after its call", run.ID, kept.Status)
		}
	}
	stop(nil)
	return <-ended
}

// executed starts an executor for the messages of an event, as the mapping of the
// queue does.
func (j *journey) executed(ctx context.Context, event []byte) ([]byte, error) {
	text, log, err := j.once(ctx, executor, event)
	if err != nil {
		return nil, err
	}
	var answer struct{ BatchItemFailures []any }
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("executor answered %s: %w", text, err)
	}
	if answer.BatchItemFailures == nil || len(answer.BatchItemFailures) > 0 {
		return nil, fmt.Errorf("executor answered %s to %s", text, event)
	}
	// The request's trace came with the message.
	if !strings.Contains(string(event), traceID) || !strings.Contains(log, `"trace_id":"`+traceID+`"`) {
		return nil, fmt.Errorf("the trace of the request is not in the message, or not in the executor's lines:\n%s\n%s", event, log)
	}
	return text, nil
}

func (j *journey) poller(invoke func(context.Context, []byte) ([]byte, error)) (*sqspoller.Poller, error) {
	client, err := sqsqueue.NewClient(context.Background(), region, j.queueURL)
	if err != nil {
		return nil, err
	}
	return sqspoller.New(sqspoller.Config{
		Client: client, QueueURL: sqsserver.QueueURL(j.queueURL, fastQueue), QueueARN: j.queue.QueueARN(fastQueue),
		BatchSize: 10, MaxConcurrency: 1, Receivers: 1, FunctionTimeout: executor.timeout,
		Invoke: invoke, Logger: slog.New(slog.DiscardHandler),
	})
}

// caller asks a running API by events, as the gateway does.
type caller struct {
	*journey
	api   *instance
	token string
}

// send sends a sample event, wants a status, and reads the envelope's data into
// out.
func (c caller) send(ctx context.Context, name string, status int, out any) error {
	return c.ask(ctx, name, func(*events.APIGatewayV2HTTPRequest) {}, status, out)
}

func (c caller) get(ctx context.Context, path string, status int, out any) error {
	return c.ask(ctx, "health", func(event *events.APIGatewayV2HTTPRequest) {
		event.RawPath, event.RequestContext.HTTP.Path = path, path
	}, status, out)
}

func (c caller) post(ctx context.Context, path string, body any, status int, out any) error {
	text := []byte{}
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("body: %w", err)
		}
	}
	return c.ask(ctx, "login", func(event *events.APIGatewayV2HTTPRequest) {
		event.RawPath, event.RawQueryString, _ = strings.Cut(path, "?")
		event.RequestContext.HTTP.Path, event.Body = event.RawPath, string(text)
	}, status, out)
}

func (c caller) ask(ctx context.Context, sample string, change func(*events.APIGatewayV2HTTPRequest), status int, out any) error {
	text, err := c.sample("api/events/" + sample + ".json")
	if err != nil {
		return err
	}
	var event events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(text, &event); err != nil {
		return fmt.Errorf("%s: %w", sample, err)
	}
	change(&event)
	if c.token != "" {
		event.Headers["authorization"] = "Bearer " + c.token
	}
	if text, err = json.Marshal(event); err != nil {
		return fmt.Errorf("%s: %w", sample, err)
	}
	answer, err := c.api.invoke(ctx, text)
	if err != nil {
		return err
	}
	if err := readAnswer(answer, status, out); err != nil {
		return fmt.Errorf("%s %s: %w", event.RequestContext.HTTP.Method, event.RawPath, err)
	}
	return nil
}

// readAnswer wants an answer of a status to the gateway, in the API's envelope,
// and reads its data into out.
func readAnswer(text []byte, status int, out any) error {
	var answer events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("no answer for the gateway: %s: %w", text, err)
	}
	envelope := struct {
		Success bool
		Data    any
	}{Data: out}
	err := json.Unmarshal([]byte(answer.Body), &envelope)
	if err != nil || answer.StatusCode != status || !envelope.Success {
		return errors.Join(fmt.Errorf("answered %d, not %d: %s", answer.StatusCode, status, answer.Body), err)
	}
	return nil
}
