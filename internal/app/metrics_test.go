package app

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/infra/templatetest"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/telemetry"
	"github.com/cronjobs/cronjobs/internal/telemetry/emf"
)

// emittedBy are the series that each function emits, all that there are.
var emittedBy = map[config.Program][]string{
	config.API:     {"OccurrencesClaimed", "RequestDuration", "ServerErrors"},
	config.Migrate: {"MigrationDuration"},
	config.Tick: {
		"Executions,outcome=abandoned", "Executions,outcome=missed", "Executions,outcome=retry",
		"OccurrencesClaimed", "OutboxBacklog", "Swept", "TickDuration",
	},
	config.Executor: {
		"ExecutionDuration,lane=fast", "ExecutionDuration,lane=slow", "ExecutionLateness,lane=fast", "ExecutionLateness,lane=slow",
		"Executions,outcome=failed", "Executions,outcome=late", "Executions,outcome=retry", "Executions,outcome=skipped", "Executions,outcome=success",
	},
}

// What alarms and the dashboard read is what the functions write, in lines that
// CloudWatch takes: a day in the life of all four, with everything that is counted.
func TestAlarmsAndDashboardReadWhatTheFunctionsEmit(t *testing.T) {
	t.Parallel()
	day := newDay(t)
	day.migrate(t)
	day.tick(t)
	day.execute(t)
	day.requests(t)

	emitted := map[string]bool{}
	for program, want := range emittedBy {
		got := day.series(t, program)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +emitted):\n%s", program, diff)
		}
		for _, series := range got {
			emitted[series] = true
		}
	}
	template, err := templatetest.Load(filepath.Join("..", "..", "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	read, err := templatetest.OwnMetrics(template)
	if err != nil {
		t.Fatal(err)
	}
	if len(read) < 10 {
		t.Fatalf("alarms and dashboard read %v alone", read)
	}
	for _, metric := range read {
		if metric.Dimensions["environment"] != "${Environment}" {
			t.Errorf("%s is of another environment", metric)
		}
		delete(metric.Dimensions, "environment")
		if !emitted[metric.String()] {
			t.Errorf("%s is read, and no function emits it", metric)
		}
	}
}

// An answer of 500 and above is counted, whoever made it, and the others are not.
func TestServerErrorsAreCounted(t *testing.T) {
	t.Parallel()
	cfg := localConfig(t, config.API)
	cfg.DB.Port = 1 // nobody is there
	lines := new(record)
	handler, closeAll, err := NewAPI(t.Context(), Env{
		Config: cfg, Log: slog.New(slog.DiscardHandler), Metrics: telemetry.NewEmitter(lines, "dev", "api", time.Now),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closeAll() }()
	for name, tc := range map[string]struct {
		event  events.APIGatewayV2HTTPRequest
		status int
		errors float64
	}{
		"a good one":            {requestTo("GET", "/api/docs-json", nil), 200, 0},
		"a fault of the client": {requestTo("GET", "/jobs", nil), 401, 0},
		"without its database":  {requestTo("GET", "/health", nil), 503, 1},
	} {
		lines.take()
		if got, err := handler(t.Context(), tc.event); err != nil || got.StatusCode != tc.status {
			t.Errorf("%s: status %d, %v", name, got.StatusCode, err)
		}
		counted := map[string][]float64{}
		for _, line := range lines.take() {
			read, err := emf.Read(line, time.Now())
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, value := range read.Values {
				counted[value.Name] = append(counted[value.Name], value.Amounts...)
			}
		}
		if diff := cmp.Diff([]float64{tc.errors}, counted["ServerErrors"]); diff != "" || len(counted["RequestDuration"]) != 1 {
			t.Errorf("%s: counted %v", name, counted)
		}
	}
}

// record keeps what is written. Each write is a line, or several.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(text []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(text)
}

func (r *record) take() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := slices.Collect(bytes.Lines(bytes.Clone(r.text.Bytes())))
	r.text.Reset()
	return lines
}

// localConfig is a program's configuration on this machine, without a queue.
func localConfig(t *testing.T, program config.Program) config.Config {
	t.Helper()
	cfg, err := config.Parse(program, []string{
		"ENVIRONMENT=dev", "DB_HOST=127.0.0.1", "DB_USERNAME=u", "DB_PASSWORD=p", "DB_TLS_CA=" + config.TLSOff, "AWS_SAM_LOCAL=true",
		"JWT_SECRET=" + strings.Repeat("k", config.MinKeyBytes), "ADMIN_EMAIL=admin@example.com", "ADMIN_PASSWORD=change-me-please",
		"QUEUE_FAST_URL=http://127.0.0.1:1/fast", "QUEUE_SLOW_URL=http://127.0.0.1:1/slow", "QUEUE_ENDPOINT=http://127.0.0.1:1",
	})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// day is the four functions with a database, queues, a target, and a log.
type day struct {
	env    Env
	lines  *record
	db     *sql.DB
	target string
}

func newDay(t *testing.T) *day {
	t.Helper()
	d := &day{env: withQueues(t), lines: new(record)}
	d.env.Config.EgressAllow = Loopback
	db, err := d.env.openDatabaseAs(mysql.Login{User: d.env.Config.DB.Username, Password: d.env.Config.DB.Password.Reveal()}, mysql.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	d.db = db
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fails":
			w.WriteHeader(http.StatusInternalServerError)
		case "/late":
			// Another worker takes the run over meanwhile.
			d.exec(t, "UPDATE executions SET fence = fence + 1 WHERE job_id IN (SELECT id FROM jobs WHERE name = 'late')")
		}
	}))
	t.Cleanup(served.Close)
	d.target = served.URL
	return d
}

func (d *day) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := d.db.ExecContext(context.WithoutCancel(t.Context()), statement, args...); err != nil {
		t.Errorf("%v: %s", err, statement)
	}
}

// as is the environment of a function: its own configuration where the tests'
// does not say otherwise, and lines that bear its name.
func (d *day) as(t *testing.T, program config.Program) Env {
	t.Helper()
	env, local := d.env, localConfig(t, program)
	local.DB, local.Queues, local.EgressAllow = env.Config.DB, env.Config.Queues, env.Config.EgressAllow
	local.StreamWait = time.Millisecond
	env.Config = local
	env.Metrics = telemetry.NewEmitter(d.lines, local.Environment, string(program), time.Now)
	return env
}

func (d *day) migrate(t *testing.T) {
	t.Helper()
	migrate, closeAll, err := NewMigrate(t.Context(), d.as(t, config.Migrate))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closeAll() }()
	if result, err := migrate(t.Context(), MigrateEvent{}); err != nil || !result.AdminCreated {
		t.Fatalf("%+v, %v", result, err)
	}
}

// tick lets a tick pass over jobs that are due, one that was due an hour ago, and
// runs whose workers are gone.
func (d *day) tick(t *testing.T) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	for _, j := range []struct {
		name, path, lane, overlap, misfire string
		retries                            int
		due                                time.Time
	}{
		{name: "succeeds", due: now},
		{name: "slow", lane: "slow", due: now},
		{name: "fails", path: "/fails", due: now},
		{name: "retries", path: "/fails", retries: 1, due: now},
		{name: "late", path: "/late", due: now},
		{name: "overlaps", overlap: "skip", due: now},
		{name: "missed", misfire: "skip", due: now.Add(-time.Hour)},
		{name: "lost", due: now.AddDate(1, 0, 0)},
		{name: "lost and retried", retries: 1, due: now.AddDate(1, 0, 0)},
	} {
		d.exec(t, `INSERT INTO jobs (name, name_key, description, cron_pattern, timezone, category_id, method, misfire_policy, lane, status, next_run_at, created_at, updated_at)
			SELECT ?, ?, 'for the test', ?, 'UTC', MIN(id), 'GET', ?, ?, 'active', ?, ?, ? FROM categories`,
			j.name, j.name, j.due.Format("5 4 15 2 1 *"), or(j.misfire, "fire_once"), or(j.lane, "fast"), j.due, now, now)
		d.exec(t, `INSERT INTO job_requests (job_id, revision, method, url, body_secret, timeout_ms, max_redirects, retry_attempts,
			retry_delay_ms, retry_backoff, overlap_policy, created_at) SELECT id, 1, 'GET', ?, 0, 30000, 0, ?, 60000, 'fixed', ?, ? FROM jobs WHERE name = ?`,
			d.target+j.path, j.retries, or(j.overlap, "allow"), now, j.name)
	}
	running := func(job, slot string, lease time.Time) {
		began := now.Add(-30 * time.Minute)
		d.exec(t, `INSERT INTO executions (job_id, trigger_type, scheduled_for, status, revision, fence, slot_job_id, not_before, lease_until, started_at, created_at, updated_at)
			SELECT id, 'manual', ?, 'running', 1, 1, `+slot+`, ?, ?, ?, ?, ? FROM jobs WHERE name = ?`, began, began, lease, began, began, began, job)
	}
	running("overlaps", "id", now.Add(time.Hour))
	running("lost", "NULL", now.Add(-10*time.Minute))
	running("lost and retried", "NULL", now.Add(-10*time.Minute))

	tick, closeAll, err := NewTick(t.Context(), d.as(t, config.Tick))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closeAll() }()
	if result, err := tick(t.Context(), TickEvent{}); err != nil || result.Claimed < 6 || result.Missed != 1 || result.Recovered != 2 {
		t.Fatalf("%+v, %v", result, err)
	}
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// execute lets the queues invoke the executor until every due run has had its turn.
func (d *day) execute(t *testing.T) {
	t.Helper()
	execute, closeAll, err := NewExecutor(t.Context(), d.as(t, config.Executor))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closeAll() }()
	for _, queue := range []string{d.env.Config.Queues.FastURL, d.env.Config.Queues.SlowURL} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		answer, err := execute(ctx, receiveFrom(t, d.env, queue))
		cancel()
		if err != nil || len(answer.BatchItemFailures) != 0 {
			t.Fatalf("%+v, %v", answer, err)
		}
	}
}

// requests asks the API for things, some of which wait on purpose.
func (d *day) requests(t *testing.T) {
	t.Helper()
	ask, closeAll, err := NewAPI(t.Context(), d.as(t, config.API))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closeAll() }()
	token := ""
	// send returns the answer's data, and which series the request added.
	send := func(method, path, body string, status int) (data map[string]any, series []string) {
		t.Helper()
		before := len(d.lines.peek())
		event := requestTo(method, path, map[string]string{"content-type": "application/json", "authorization": "Bearer " + token})
		event.RawPath, event.RawQueryString, _ = strings.Cut(path, "?")
		event.RequestContext.HTTP.Path, event.Body = event.RawPath, body
		got, err := ask(t.Context(), event)
		if err != nil || got.StatusCode != status {
			t.Fatalf("%s %s: status %d, %v: %s", method, path, got.StatusCode, err, got.Body)
		}
		for _, line := range d.lines.peek()[before:] {
			read, _ := emf.Read(line, time.Now()) // faults are told at the end
			for _, value := range read.Values {
				series = append(series, value.Name)
			}
		}
		var envelope struct{ Data map[string]any }
		_ = json.Unmarshal([]byte(got.Body), &envelope) // a stream is none
		return envelope.Data, series
	}
	data, _ := send("POST", "/auth/login", `{"email":"admin@example.com","password":"change-me-please"}`, 200)
	token = fmt.Sprint(data["accessToken"])
	job, series := send("POST", "/jobs", `{"name":"Often","description":"for the test","cronPattern":"* * * * *","timezone":"UTC","categoryId":1,"url":"https://example.com"}`, 201)
	if want := []string{"OccurrencesClaimed", "RequestDuration", "ServerErrors"}; !slices.Equal(want, slices.Sorted(slices.Values(series))) {
		t.Errorf("a new job is measured by %v", series)
	}
	run := fmt.Sprintf("/jobs/%v/execute?wait=", job["id"])
	for path, measured := range map[string]bool{run + "0": true, run + "1": false} {
		if _, series := send("POST", path, "", 202); slices.Contains(series, "RequestDuration") != measured {
			t.Errorf("%s is measured by %v", path, series)
		}
	}
	if _, series := send("GET", "/history/stream", "", 200); slices.Contains(series, "RequestDuration") || !slices.Contains(series, "ServerErrors") {
		t.Errorf("the stream is measured by %v", series)
	}
}

// peek is what was written, which stays.
func (r *record) peek() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(bytes.Lines(bytes.Clone(r.text.Bytes())))
}

// series are those that a function has emitted, by their names and dimensions
// beside the environment. Each line is held to the format.
func (d *day) series(t *testing.T, program config.Program) []string {
	t.Helper()
	all := map[string]bool{}
	for _, line := range d.lines.peek() {
		read, err := emf.Read(line, time.Now())
		if err != nil {
			t.Errorf("%v: %s", err, line)
		}
		if read.Members["function"] != string(program) {
			continue
		}
		for _, value := range read.Values {
			definition := telemetry.Definitions[telemetry.Metric(value.Name)]
			if value.Namespace != telemetry.Namespace || value.Unit != definition.Unit || value.Dimensions["environment"] != "dev" {
				t.Errorf("%s: %+v", program, value)
			}
			delete(value.Dimensions, "environment")
			all[value.String()] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
