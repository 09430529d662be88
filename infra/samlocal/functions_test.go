package samlocal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/sqspoller"
	"github.com/cronjobs/cronjobs/infra/local/sqsserver"
	"github.com/cronjobs/cronjobs/internal/sqsqueue"
	"github.com/cronjobs/cronjobs/migrations"
)

// native is the processor that this machine has, as Lambda calls it.
func native(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "uname", "-m").Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(out)) == "aarch64" {
		return "arm64"
	}
	return "x86_64"
}

type migrated struct {
	Version      int
	Applied      int
	AdminCreated bool
}

type ticked struct {
	Claimed    *int
	Jobs       int
	Resent     int
	DurationMs *int
}

// TestFunctionsInTheirContainers lives through a small day: the schema is made,
// a person signs in, makes a job, runs it and reads its history, and a tick
// claims what is due.
func TestFunctionsInTheirContainers(t *testing.T) {
	s, here := newStage(t), native(t)
	ctx := t.Context()

	var schema migrated
	s.step(t, "the schema is made")
	must(t, s.invoke(ctx, here, "data", "MigrateFunction", sample(t, "migrate/events/migrate.json"), &schema))
	files, err := migrations.FS.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	steps, newest := 0, 0
	for _, file := range files {
		if prefix, _, _ := strings.Cut(file.Name(), "_"); strings.HasSuffix(file.Name(), ".sql") {
			version, err := strconv.Atoi(prefix)
			must(t, err)
			steps, newest = steps+1, max(newest, version)
		}
	}
	if schema.Version != newest || schema.Applied != steps || !schema.AdminCreated {
		t.Fatalf("migrate answered %+v, with %d migrations up to %d", schema, steps, newest)
	}
	if n := s.count(t, "SELECT COUNT(*) FROM users WHERE role = 'admin'"); n != 1 {
		t.Fatalf("%d admins", n)
	}
	// What follows would prove nothing if a failure passed for an answer.
	if err := s.invoke(ctx, here, "data", "MigrateFunction", []byte(`{"command":"nonsense"}`), &schema); err == nil || !strings.Contains(err.Error(), "command: must be") {
		t.Fatalf("a function that failed: %v", err)
	}

	s.step(t, "start-api starts")
	api := s.startAPI(t, here)
	s.step(t, "a person signs in")
	var signedIn struct{ AccessToken string }
	api.do(t, "POST", "/auth/login", map[string]string{"email": "admin@example.com", "password": password}, 200, &signedIn)
	api.token = signedIn.AccessToken
	api.do(t, "GET", "/jobs/no-such", nil, 400, nil)

	s.step(t, "a job runs")
	stopPolling := s.poll(t, here)
	yearly := api.create(t, "Yearly", "0 0 1 1 *", s.target.URL+"/yearly")
	var run struct {
		ID     int64
		Status string
	}
	api.do(t, "POST", fmt.Sprintf("/jobs/%d/execute?wait=0", yearly), nil, 202, &run)
	eventually(t, "the run in the history", 2*time.Minute, func() bool {
		var history []struct {
			ID     int64
			Status string
		}
		api.do(t, "GET", fmt.Sprintf("/history?jobId=%d", yearly), nil, 200, &history)
		if len(history) != 1 || history[0].ID != run.ID {
			t.Fatalf("history %+v, not execution %d", history, run.ID)
		}
		return history[0].Status == "success"
	})
	s.step(t, "it has run")
	stopPolling()
	s.step(t, "the poller has stopped")
	calls := s.target.received()
	if len(calls) != 1 || calls[0].Get("X-Cron-Execution-Id") != fmt.Sprint(run.ID) || calls[0].Get("Idempotency-Key") == "" {
		t.Errorf("the target received %v", calls)
	}
	if n := s.count(t, "SELECT COUNT(*) FROM attempts WHERE execution_id = ?", run.ID); n != 1 {
		t.Errorf("%d attempts are recorded", n)
	}
	if n := s.messages(t, fast) + s.messages(t, slow); n != 0 {
		t.Errorf("%d messages are left", n)
	}

	s.step(t, "a tick claims")
	s.tickClaims(t, here, api.create(t, "Minutely", "* * * * *", s.target.URL+"/minutely"))
	if s.arm64 && here != "arm64" {
		s.step(t, "the artefact for arm64 runs")
		s.deployedArtefactRuns(t)
		s.step(t, "all is done")
	} else if here != "arm64" {
		t.Error("the arm64 artefact was NOT run: this machine cannot emulate it")
	}
}

// tickClaims sets a job back as if nobody had claimed its next minutes, and lets
// a tick do it.
func (s *stage) tickClaims(t *testing.T, architecture string, job int64) {
	t.Helper()
	for _, statement := range []string{
		"DELETE FROM executions WHERE job_id = ?",
		"UPDATE jobs SET next_run_at = DATE_FORMAT(UTC_TIMESTAMP() + INTERVAL 1 MINUTE, '%Y-%m-%d %H:%i:00') WHERE id = ?",
	} {
		if _, err := s.db.ExecContext(t.Context(), statement, job); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	before := s.messages(t, fast)
	var tick ticked
	must(t, s.invoke(t.Context(), architecture, "app", "TickFunction", sample(t, "tick/events/minute.json"), &tick))
	if tick.Claimed == nil || *tick.Claimed < 3 || tick.Jobs != 1 {
		t.Fatalf("the tick answered %+v, with four minutes ahead", tick)
	}
	if n := s.count(t, "SELECT COUNT(*) FROM executions WHERE job_id = ? AND status = 'queued'", job); n != *tick.Claimed {
		t.Errorf("%d rows are queued, %d were claimed", n, *tick.Claimed)
	}
	if n := s.messages(t, fast) - before; n != *tick.Claimed {
		t.Errorf("%d messages for %d instants", n, *tick.Claimed)
	}
}

// deployedArtefactRuns runs, by emulation, what a deployment would upload, under
// the runtime interface that Lambda gives it.
func (s *stage) deployedArtefactRuns(t *testing.T) {
	t.Helper()
	at := s.free(t)
	directory := filepath.Join(filepath.Dir(built("arm64", "app")), "TickFunction")
	command := exec.CommandContext(t.Context(), os.Getenv("SAM_SITE")+"/samcli/local/rapid/aws-lambda-rie-arm64",
		"--runtime-interface-emulator-address", at, "--runtime-api-address", s.free(t), "./bootstrap")
	command.Dir = directory
	command.Env = append(environ(), "AWS_LAMBDA_FUNCTION_TIMEOUT=55", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512", "AWS_SAM_LOCAL=true")
	for name, value := range s.values {
		command.Env = append(command.Env, name+"="+value)
	}
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.WaitDelay = time.Second
	must(t, command.Start())
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
		if t.Failed() {
			t.Logf("the emulator of arm64 said:\n%s", log.String())
		}
	})
	eventually(t, "the emulator of arm64", 30*time.Second, func() bool {
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", at)
		if err != nil {
			return false
		}
		_ = connection.Close()
		return true
	})
	answer, err := client.Post("http://"+at+"/2015-03-31/functions/function/invocations", "application/json",
		bytes.NewReader(sample(t, "tick/events/minute.json")))
	must(t, err)
	defer func() { _ = answer.Body.Close() }()
	payload, err := io.ReadAll(answer.Body)
	must(t, err)
	var tick ticked
	must(t, understand(payload, &tick))
	if tick.Claimed == nil || tick.DurationMs == nil {
		t.Errorf("the tick for arm64 answered %s", payload)
	}
}

// free is an address that nobody listens on.
func (s *stage) free(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// poll takes messages to the executor as AWS's mapping does, until stop.
func (s *stage) poll(t *testing.T, architecture string) (stop func()) {
	t.Helper()
	client, err := sqsqueue.NewClient(t.Context(), "us-east-1", s.queue)
	if err != nil {
		t.Fatal(err)
	}
	poller, err := sqspoller.New(sqspoller.Config{
		Client: client, QueueURL: sqsserver.QueueURL(s.queue, fast), QueueARN: "arn:aws:sqs:us-east-1:000000000000:fast",
		BatchSize: 10, MaxConcurrency: 1, Logger: slog.New(slog.DiscardHandler),
		Invoke: func(ctx context.Context, payload []byte) ([]byte, error) {
			var answer json.RawMessage
			err := s.invoke(ctx, architecture, "app", "ExecutorFunction", payload, &answer)
			var failed struct {
				BatchItemFailures *[]any `json:"batchItemFailures"`
			}
			switch {
			case err != nil:
			case json.Unmarshal(answer, &failed) != nil:
				err = fmt.Errorf("the executor answered %s", answer)
			case failed.BatchItemFailures != nil && len(*failed.BatchItemFailures) > 0:
				err = fmt.Errorf("the executor leaves messages to the queue: %s", answer)
			}
			if err != nil {
				t.Error(err)
			}
			return answer, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { _ = poller.Run(ctx) })
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); work.Wait() }) }
	t.Cleanup(stop)
	return stop
}

// client waits for an answer as long as for an invocation.
var client = http.Client{Timeout: invocationTime}

// api is `sam local start-api`, and a client of it.
type api struct{ url, token string }

func (s *stage) startAPI(t *testing.T, architecture string) *api {
	t.Helper()
	address := s.free(t)
	_, port, err := net.SplitHostPort(address)
	must(t, err)
	command := exec.CommandContext(t.Context(), s.command, s.arguments("start-api", architecture, "app",
		"--port", port, "--warm-containers", "LAZY")...)
	command.Env = environ()
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGINT) }
	command.WaitDelay = 20 * time.Second
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGINT)
		_ = command.Wait()
		if t.Failed() {
			t.Logf("start-api said:\n%s", log.String())
		}
	})
	a := &api{url: "http://" + address}
	eventually(t, "an answer of start-api", 90*time.Second, func() bool {
		answer, err := client.Get(a.url + "/health")
		if err != nil {
			return false
		}
		defer func() { _ = answer.Body.Close() }()
		return answer.StatusCode == http.StatusOK
	})
	return a
}

// do asks the API, wants a status, and reads the envelope's data into out.
func (a *api) do(t *testing.T, method, path string, body any, status int, out any) {
	t.Helper()
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		payload = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, a.url+path, payload)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != status {
		t.Fatalf("%s %s: status %d, not %d: %s", method, path, answer.StatusCode, status, text)
	}
	if out == nil {
		return
	}
	envelope := struct{ Data any }{out}
	if err := json.Unmarshal(text, &envelope); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, text)
	}
}

// create makes a job and returns its id.
func (a *api) create(t *testing.T, name, pattern, url string) int64 {
	t.Helper()
	var job struct{ ID int64 }
	a.do(t, "POST", "/jobs", map[string]any{
		"name": name, "description": "A job of the containers' test",
		"cronPattern": pattern, "timezone": "UTC", "categoryId": 1, "url": url,
	}, 201, &job)
	if job.ID == 0 {
		t.Fatal("the new job has no id")
	}
	return job.ID
}

// sample is a sample event of the repository.
func sample(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(root + "/functions/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
