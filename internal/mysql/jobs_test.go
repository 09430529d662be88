package mysql_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
	"github.com/cronjobs/cronjobs/internal/secret"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

const lookAhead = 4 * time.Minute

// keeper is the services for jobs and categories on a database of their own,
// with a clock that stands still and a scheduler that only takes notes.
type keeper struct {
	t          *testing.T
	db         *sql.DB
	ring       *secret.Ring
	jobs       *job.Service
	categories *job.Categories
	now        time.Time
	dispatched []int64
	fail       error // of every dispatch
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	k := &keeper{t: t, db: mysqltest.New(t), ring: mysqltest.Keys(t), now: noon}
	clock := func() time.Time { return k.now }
	store := mysql.NewJobs(k.db).WithKeys(k.ring)
	k.jobs = job.NewService(store, k, lookAhead, clock)
	k.categories = job.NewCategories(mysql.NewCategories(k.db), store, k, clock)
	return k
}

func (k *keeper) DispatchJobs(_ context.Context, ids []int64) error {
	k.dispatched = append(k.dispatched, ids...)
	if k.fail == nil {
		for _, id := range ids { // a claim moves the next run past what is due
			k.exec("UPDATE jobs SET next_run_at = ? WHERE id = ? AND next_run_at <= ?", noon.Add(5*time.Minute), id, noon)
		}
	}
	return k.fail
}

func (k *keeper) SettleJobs(ctx context.Context, ids []int64) error { return k.DispatchJobs(ctx, ids) }

func (k *keeper) FollowCategory(context.Context, int64) error { return nil }

func (k *keeper) AskTick(context.Context) {}

func (k *keeper) category(name string) job.Category {
	k.t.Helper()
	c, err := k.categories.Create(k.t.Context(), job.CategoryInput{Name: &name, Color: new("#123456")})
	if err != nil {
		k.t.Fatal(err)
	}
	return c
}

// input is that of a job that fires once a day.
func (k *keeper) input(name string, categoryID int64) job.Input {
	return job.Input{
		Name: &name, Description: new("A job of the tests"), CronPattern: new("@daily"),
		CategoryID: &categoryID, URL: new("https://example.com/" + strings.ReplaceAll(name, " ", "-")),
	}
}

func (k *keeper) create(in job.Input) job.Job {
	k.t.Helper()
	created, err := k.jobs.Create(k.t.Context(), in, 5)
	if err != nil {
		k.t.Fatal(err)
	}
	return created
}

func (k *keeper) exec(query string, args ...any) {
	k.t.Helper()
	if _, err := k.db.ExecContext(k.t.Context(), query, args...); err != nil {
		k.t.Fatalf("%s: %v", query, err)
	}
}

// text reads one value as a string; "NULL" for null.
func (k *keeper) text(query string, args ...any) string {
	k.t.Helper()
	var value sql.NullString
	if err := k.db.QueryRowContext(k.t.Context(), query, args...).Scan(&value); err != nil {
		k.t.Fatalf("%s: %v", query, err)
	}
	if !value.Valid {
		return "NULL"
	}
	return value.String
}

func (k *keeper) nextRun(id int64) string {
	k.t.Helper()
	return k.text("SELECT DATE_FORMAT(next_run_at, '%m-%d %H:%i') FROM jobs WHERE id = ?", id)
}

func TestCreateAndReadBack(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	k.now = noon.Add(123456 * time.Microsecond)
	category := k.category("Reports")
	in := k.input("Full job", category.ID)
	in.Timezone, in.Method = new("Europe/Berlin"), new("POST")
	in.Headers = job.Nullable[map[string]string]{Given: true, Value: &map[string]string{
		"Authorization": "Bearer s", "X-Plain": "ä", "X-Mine": "m",
	}}
	in.SecretHeaders, in.BodySecret = &[]string{"X-Mine"}, new(true)
	in.Body = job.Nullable[json.RawMessage]{Given: true, Value: new(json.RawMessage("{ \"a\": 1.0, \"😀\":\"\\u0000'\\\\\" }"))}
	in.Timeout, in.RetryAttempts, in.RetryDelay = new(int64(1500)), new(int64(0)), new(int64(250))
	in.RetryBackoff, in.OverlapPolicy = new("exponential"), new("skip")
	in.MisfirePolicy, in.MaxRedirects = new("fire_all"), new(int64(5))

	created := k.create(in)
	want := job.Job{
		ID: created.ID, Name: "Full job", Description: "A job of the tests", CronPattern: "@daily",
		Timezone: "Europe/Berlin", CategoryID: category.ID,
		Request: job.Request{
			Method: "POST", URL: "https://example.com/Full-job",
			Headers:       map[string]string{"Authorization": "Bearer s", "X-Plain": "ä", "X-Mine": "m"},
			SecretHeaders: []string{"X-Mine"}, Body: *in.Body.Value, BodySecret: true,
			Timeout: 1500 * time.Millisecond, MaxRedirects: 5,
			Retry:         execution.RetryPolicy{Attempts: 0, Delay: 250 * time.Millisecond, Backoff: execution.Exponential},
			OverlapPolicy: job.OverlapSkip,
		},
		MisfirePolicy: job.MisfireFireAll, Status: job.Active, Revision: 1, Version: 1,
		NextRunAt: new(time.Date(2026, 1, 31, 23, 0, 0, 0, time.UTC)),
		CreatedBy: 5, CreatedAt: noon.Add(123 * time.Millisecond), UpdatedAt: noon.Add(123 * time.Millisecond),
		Category: job.CategoryRef{ID: category.ID, Name: "Reports", Color: "#123456", Status: job.CategoryActive},
	}
	if diff := cmp.Diff(want, k.opened(created.ID)); diff != "" {
		t.Error(diff)
	}
	read, err := k.jobs.Get(t.Context(), created.ID)
	if diff := cmp.Diff(created, read); diff != "" || err != nil {
		t.Error(diff, err)
	}
	page, total, err := k.jobs.List(t.Context(), job.Filter{Limit: 10})
	if diff := cmp.Diff([]job.Job{created}, page); diff != "" || err != nil || total != 1 {
		t.Error(diff, err, total)
	}
	// Nothing secret stands where plain values are.
	if stored := k.text("SELECT headers FROM job_requests WHERE job_id = ?", created.ID); stored != `{"X-Plain":"ä"}` {
		t.Errorf("plain headers: %s", stored)
	}
}

func TestCreateFaults(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("Reports")
	k.create(k.input("Taken", category.ID))

	_, err := k.jobs.Create(t.Context(), k.input("tAKEN", category.ID), 5)
	if !apperr.Is(err, apperr.Conflict) || fieldsOf(err) != "name" {
		t.Errorf("a name in another case: %v", err)
	}
	in := k.input("Other", category.ID+1)
	in.URL = new("x")
	_, err = k.jobs.Create(t.Context(), in, 5)
	if !apperr.Is(err, apperr.Invalid) || fieldsOf(err) != "categoryId url" {
		t.Errorf("an unknown category: %v", err)
	}
	if n := k.text("SELECT COUNT(*) FROM jobs"); n != "1" {
		t.Errorf("%s jobs", n)
	}
	if n := k.text("SELECT COUNT(*) FROM job_requests"); n != "1" {
		t.Errorf("%s requests", n)
	}
}

func fieldsOf(err error) string {
	var e *apperr.Error
	if !errors.As(err, &e) {
		return ""
	}
	var names []string
	for _, field := range e.Fields {
		names = append(names, field.Name)
	}
	return strings.Join(names, " ")
}

func TestUnknownAndDeletedJobs(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("Reports")
	deleted := k.create(k.input("Gone", category.ID))
	if err := k.jobs.Delete(t.Context(), deleted.ID, nil); err != nil {
		t.Fatal(err)
	}
	for _, id := range []int64{deleted.ID, deleted.ID + 1} {
		_, get := k.jobs.Get(t.Context(), id)
		_, patch := k.jobs.Patch(t.Context(), id, job.Input{Name: new("x")}, nil)
		_, replace := k.jobs.Replace(t.Context(), id, k.input("x", category.ID), nil)
		_, pause := k.jobs.Pause(t.Context(), id, nil)
		for i, err := range []error{get, patch, replace, pause, k.jobs.Delete(t.Context(), id, nil)} {
			if !apperr.Is(err, apperr.NotFound) {
				t.Errorf("%d: %v", i, err)
			}
		}
	}
	if _, total, _ := k.jobs.List(t.Context(), job.Filter{Limit: 10}); total != 0 {
		t.Errorf("%d in the list", total)
	}
	again := k.create(k.input("Gone", category.ID))
	if again.ID == deleted.ID {
		t.Error("the deleted job came back")
	}
	if got := k.text("SELECT CONCAT(name, ' ', status, ' ', version, ' ', COALESCE(next_run_at, 'idle')) FROM jobs WHERE id = ?", deleted.ID); got != "Gone inactive 2 idle" {
		t.Errorf("deleted row: %s", got)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("Reports")
	j := k.create(k.input("Versioned", category.ID))
	ctx := t.Context()

	if _, err := k.jobs.Patch(ctx, j.ID, job.Input{Description: new("Another text")}, []int{2, 3}); !apperr.Is(err, apperr.PreconditionFailed) {
		t.Errorf("patch of another version: %v", err)
	}
	if _, err := k.jobs.Replace(ctx, j.ID, k.input("Versioned", category.ID), []int{}); !apperr.Is(err, apperr.PreconditionFailed) {
		t.Errorf("replace of no version: %v", err)
	}
	if err := k.jobs.Delete(ctx, j.ID, []int{9}); !apperr.Is(err, apperr.PreconditionFailed) {
		t.Errorf("delete of another version: %v", err)
	}
	patched, err := k.jobs.Patch(ctx, j.ID, job.Input{Description: new("Another text")}, []int{1})
	if err != nil || patched.Version != 2 || patched.Revision != 1 {
		t.Errorf("version %d, revision %d, %v", patched.Version, patched.Revision, err)
	}
	same, err := k.jobs.Patch(ctx, j.ID, job.Input{Description: new("Another text")}, nil)
	if err != nil || same.Version != 2 {
		t.Errorf("a patch that changes nothing: version %d, %v", same.Version, err)
	}
	if err := k.jobs.Delete(ctx, j.ID, []int{1, 2}); err != nil {
		t.Error(err)
	}
}

func TestReplaceSetsDefaults(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("Reports")
	in := k.input("Replaced", category.ID)
	in.Method, in.Status, in.Timeout = new("PUT"), new("inactive"), new(int64(5000))
	in.Headers = job.Nullable[map[string]string]{Given: true, Value: &map[string]string{"Accept": "x"}}
	in.Body = job.Nullable[json.RawMessage]{Given: true, Value: new(json.RawMessage(`1`))}
	before := k.create(in)
	k.now = noon.Add(time.Hour)
	after, err := k.jobs.Replace(t.Context(), before.ID, k.input("Replaced", category.ID), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := before
	want.Request.Method, want.Request.Timeout = "GET", 30*time.Second
	want.Request.Headers, want.Request.Body = nil, nil
	want.Status, want.Version, want.Revision = job.Active, 2, 2
	want.NextRunAt, want.UpdatedAt = new(noon.Add(12*time.Hour)), k.now
	if diff := cmp.Diff(want, after); diff != "" {
		t.Error(diff)
	}
	if old := k.text("SELECT CONCAT(method, ' ', timeout_ms) FROM job_requests WHERE job_id = ? AND revision = 1", before.ID); old != "PUT 5000" {
		t.Errorf("the first revision was changed: %s", old)
	}
}

// waitingRun adds an execution and returns its id.
func (k *keeper) waitingRun(jobID int64, trigger, status string, attempt int, occurrence time.Time) int64 {
	k.t.Helper()
	var at, slot any
	if trigger == "schedule" {
		at = occurrence
	}
	if status == "running" {
		slot = jobID
	}
	result, err := k.db.ExecContext(k.t.Context(), `INSERT INTO executions
		(job_id, trigger_type, scheduled_for, occurrence_at, status, revision, attempt, slot_job_id, not_before, resend_after, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)`,
		jobID, trigger, occurrence, at, status, attempt, slot, occurrence, occurrence, noon.Add(-time.Hour), noon.Add(-time.Hour))
	if err != nil {
		k.t.Fatal(err)
	}
	id, err := result.LastInsertId()
	if err != nil {
		k.t.Fatal(err)
	}
	return id
}

func TestChangesCancelWaitingRuns(t *testing.T) {
	t.Parallel()
	edit := func(in job.Input) func(*keeper, int64) error {
		return func(k *keeper, id int64) error {
			_, err := k.jobs.Patch(k.t.Context(), id, in, nil)
			return err
		}
	}
	many := func(action job.BulkAction) func(*keeper, int64) error {
		return func(k *keeper, id int64) error {
			outcomes, err := k.jobs.ChangeMany(k.t.Context(), job.Bulk{Action: action, IDs: []int64{1 << 50, id}})
			if err != nil {
				return err
			}
			return outcomes[1].Err
		}
	}
	all := []string{"due", "future", "future queued", "retry", "retry ahead", "manual", "replay", "running", "success"}
	tests := []struct {
		name   string
		change func(*keeper, int64) error
		ends   []string
		reason string
	}{
		{
			"pause", func(k *keeper, id int64) error { _, err := k.jobs.Pause(k.t.Context(), id, nil); return err },
			[]string{"due", "future", "future queued", "retry", "retry ahead"},
			"job paused",
		},
		{
			"pause of many", many(job.BulkPause),
			[]string{"due", "future", "future queued", "retry", "retry ahead"},
			"job paused",
		},
		{
			"deletion of many", many(job.BulkDelete),
			[]string{"due", "future", "future queued", "retry", "retry ahead", "manual", "replay"},
			"job deleted",
		},
		{"resumption of many that are active", many(job.BulkResume), nil, ""},
		{
			"status inactive", edit(job.Input{Status: new("inactive")}),
			[]string{"due", "future", "future queued", "retry", "retry ahead"},
			"job paused",
		},
		{
			"delete", func(k *keeper, id int64) error { return k.jobs.Delete(k.t.Context(), id, nil) },
			[]string{"due", "future", "future queued", "retry", "retry ahead", "manual", "replay"},
			"job deleted",
		},
		{"pattern", edit(job.Input{CronPattern: new("@hourly")}), []string{"future", "future queued"}, "job edited"},
		{"zone", edit(job.Input{Timezone: new("Asia/Kolkata")}), []string{"future", "future queued"}, "job edited"},
		{"request", edit(job.Input{URL: new("https://example.com/other")}), []string{"future", "future queued"}, "job edited"},
		{"retry", edit(job.Input{RetryDelay: new(int64(5))}), []string{"future", "future queued"}, "job edited"},
		{"overlap", edit(job.Input{OverlapPolicy: new("skip")}), []string{"future", "future queued"}, "job edited"},
		{"name", edit(job.Input{Name: new("Other name")}), nil, ""},
		{"description", edit(job.Input{Description: new("Another text")}), nil, ""},
		{"misfire", edit(job.Input{MisfirePolicy: new("skip")}), nil, ""},
		{"nothing", edit(job.Input{}), nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			k := newKeeper(t)
			j := k.create(k.input("Busy", k.category("Reports").ID))
			other := k.create(k.input("Other", j.CategoryID))
			minute := time.Minute
			ids := map[string]int64{
				"due":           k.waitingRun(j.ID, "schedule", "queued", 1, noon),
				"future":        k.waitingRun(j.ID, "schedule", "pending", 1, noon.Add(minute)),
				"future queued": k.waitingRun(j.ID, "schedule", "queued", 1, noon.Add(2*minute)),
				"retry":         k.waitingRun(j.ID, "schedule", "pending", 2, noon.Add(-minute)),
				"retry ahead":   k.waitingRun(j.ID, "schedule", "pending", 2, noon.Add(3*minute)),
				"manual":        k.waitingRun(j.ID, "manual", "pending", 1, noon.Add(minute)),
				"replay":        k.waitingRun(j.ID, "replay", "queued", 1, noon.Add(minute)),
				"running":       k.waitingRun(j.ID, "schedule", "running", 1, noon.Add(-2*minute)),
				"success":       k.waitingRun(j.ID, "schedule", "success", 1, noon.Add(-3*minute)),
			}
			bystander := k.waitingRun(other.ID, "schedule", "pending", 1, noon.Add(minute))
			if err := test.change(k, j.ID); err != nil {
				t.Fatal(err)
			}
			for _, name := range all {
				got := k.text(`SELECT IF(status = 'cancelled',
					CONCAT_WS(' ', reason, DATE_FORMAT(ended_at, '%H:%i'), slot_job_id, resend_after), 'untouched')
					FROM executions WHERE id = ?`, ids[name])
				want := "untouched"
				if slices.Contains(test.ends, name) {
					want = test.reason + " 12:00"
				}
				if got != want {
					t.Errorf("%s: %s, want %s", name, got, want)
				}
			}
			if got := k.text("SELECT status FROM executions WHERE id = ?", bystander); got != "pending" {
				t.Errorf("another job's run is %s", got)
			}
		})
	}
}

func TestNextRun(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	ctx := t.Context()
	active := k.category("Active")
	inactive := k.category("Inactive")
	if _, err := k.categories.Patch(ctx, inactive.ID, job.CategoryInput{Status: new("inactive")}, nil); err != nil {
		t.Fatal(err)
	}
	idle := k.input("In an inactive category", inactive.ID)
	if j := k.create(idle); j.NextRunAt != nil {
		t.Errorf("scheduled in an inactive category: %s", j.NextRunAt)
	}
	paused := k.input("Paused from the start", active.ID)
	paused.Status = new("inactive")
	if j := k.create(paused); j.NextRunAt != nil {
		t.Errorf("scheduled though inactive: %s", j.NextRunAt)
	}
	j := k.create(k.input("Scheduled", active.ID))
	steps := []struct {
		name string
		in   job.Input
		want string
	}{
		{"another name leaves it", job.Input{Name: new("Renamed")}, "02-01 00:00"},
		{"another pattern", job.Input{CronPattern: new("30 12 * * *")}, "01-31 12:30"},
		{"into an inactive category", job.Input{CategoryID: &inactive.ID}, "NULL"},
		{"edited there", job.Input{CronPattern: new("45 12 * * *")}, "NULL"},
		{"back into an active one", job.Input{CategoryID: &active.ID}, "01-31 12:45"},
		{"paused", job.Input{Status: new("inactive")}, "NULL"},
		{"edited while paused", job.Input{CronPattern: new("50 12 * * *")}, "NULL"},
		{"resumed", job.Input{Status: new("active")}, "01-31 12:50"},
	}
	for _, step := range steps {
		if _, err := k.jobs.Patch(ctx, j.ID, step.in, nil); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := k.nextRun(j.ID); got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
	}
	// A rename must not undo what a claim has done since the job was read.
	k.exec("UPDATE jobs SET next_run_at = ? WHERE id = ?", noon.Add(48*time.Hour), j.ID)
	if _, err := k.jobs.Patch(ctx, j.ID, job.Input{Name: new("Again")}, nil); err != nil {
		t.Fatal(err)
	}
	if got := k.nextRun(j.ID); got != "02-02 12:00" {
		t.Errorf("after a claim: %s", got)
	}
}

func TestNextRunShownIsTheFirstThatHasNotBegun(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	j := k.create(k.input("Claimed", k.category("Reports").ID))
	k.waitingRun(j.ID, "schedule", "queued", 1, noon)
	k.waitingRun(j.ID, "schedule", "cancelled", 1, noon.Add(time.Minute))
	k.waitingRun(j.ID, "manual", "pending", 1, noon.Add(time.Minute))
	k.waitingRun(j.ID, "schedule", "queued", 1, noon.Add(3*time.Minute))
	k.waitingRun(j.ID, "schedule", "queued", 1, noon.Add(2*time.Minute))
	read, err := k.jobs.Get(t.Context(), j.ID)
	if err != nil || read.NextRunAt == nil || !read.NextRunAt.Equal(noon.Add(2*time.Minute)) {
		t.Errorf("%v, %v", read.NextRunAt, err)
	}
	k.exec("UPDATE jobs SET next_run_at = NULL WHERE id = ?", j.ID)
	if read, err = k.jobs.Get(t.Context(), j.ID); err != nil || read.NextRunAt != nil {
		t.Errorf("not scheduled: %v, %v", read.NextRunAt, err)
	}
}

func TestRestartOfAFailedJob(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	j := k.create(k.input("Failing", k.category("Reports").ID))
	k.exec("UPDATE jobs SET status = 'failed', status_reason = '20 failures in a row', next_run_at = NULL, version = 2 WHERE id = ?", j.ID)
	k.exec(`UPDATE job_stats SET total_executions = 30, success_count = 10, failed_count = 20, consecutive_failures = 20, first_failure_at = ?, last_run_at = ?,
		last_status = 'failed' WHERE job_id = ?`, noon, noon, j.ID)
	if read, err := k.jobs.Get(t.Context(), j.ID); err != nil || read.StatusReason != "20 failures in a row" ||
		!cmp.Equal(read.Stats, job.Stats{TotalExecutions: 30, SuccessCount: 10, ConsecutiveFailures: 20, LastRunAt: &noon, LastStatus: "failed"}) {
		t.Errorf("before: %+v, %v", read, err)
	}
	resumed, err := k.jobs.Resume(t.Context(), j.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resumed.Status != job.Active || resumed.StatusReason != "" || resumed.NextRunAt == nil || resumed.Version != 3 ||
		resumed.Stats.ConsecutiveFailures != 0 || resumed.Stats.TotalExecutions != 30 {
		t.Errorf("after: %+v", resumed)
	}
	if got := k.text("SELECT first_failure_at FROM job_stats WHERE job_id = ?", j.ID); got != "NULL" {
		t.Errorf("first failure %s", got)
	}
}

func TestDispatchInLine(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	ctx := t.Context()
	category := k.category("Reports")
	k.fail = errors.New("the queue is away")

	near := k.input("Near", category.ID)
	near.CronPattern = new("4 12 * * *") // at the very end of the look-ahead
	nearID := k.create(near).ID
	far := k.input("Far", category.ID)
	far.CronPattern = new("5 12 * * *")
	farID := k.create(far).ID
	expect := func(step string, want ...int64) {
		t.Helper()
		if diff := cmp.Diff(want, k.dispatched, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", step, diff)
		}
		k.dispatched = nil
	}
	patch := func(id int64, in job.Input) {
		t.Helper()
		if _, err := k.jobs.Patch(ctx, id, in, nil); err != nil {
			t.Error(err)
		}
	}
	expect("creation", nearID)
	patch(nearID, job.Input{Name: new("Nearby")})
	expect("another name")
	patch(nearID, job.Input{Status: new("inactive")})
	expect("pause")
	patch(nearID, job.Input{Status: new("active")})
	expect("resume", nearID)
	patch(farID, job.Input{CronPattern: new("2 12 * * *")})
	expect("edit", farID)
	if err := k.jobs.Delete(ctx, farID, nil); err != nil {
		t.Error(err)
	}
	expect("deletion")
}

// TestConcurrentEdits lets people edit one job, and create and move jobs, at
// once: nothing is lost, and nobody sees a deadlock.
// patiently does what a client does that is told to try again: a transaction may
// lose against others more often than it is repeated for.
func patiently(do func() error) error {
	for {
		if err := do(); !apperr.Is(err, apperr.Unavailable) {
			return err
		}
	}
}

func TestConcurrentEdits(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	ctx := t.Context()
	a, b := k.category("A"), k.category("B")
	j := k.create(k.input("Contended", a.ID))
	k.waitingRun(j.ID, "schedule", "pending", 1, noon.Add(time.Minute))
	const people, rounds = 4, 10
	var wg sync.WaitGroup
	for person := range people {
		wg.Go(func() {
			for round := range rounds {
				text := fmt.Sprintf("Text %d of person %d", round, person)
				move := []int64{a.ID, b.ID}[round%2]
				color := fmt.Sprintf("#%06d", person*100+round)
				for _, change := range []func() error{
					func() error {
						_, err := k.jobs.Patch(ctx, j.ID, job.Input{Description: &text, RetryDelay: new(int64(person*100 + round)), CategoryID: &move}, nil)
						return err
					},
					func() error {
						_, err := k.jobs.Create(ctx, k.input(fmt.Sprintf("Job %d %d", person, round), move), 1)
						return err
					},
					func() error {
						_, err := k.categories.Patch(ctx, move, job.CategoryInput{Color: &color}, nil)
						return err
					},
				} {
					if err := patiently(change); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	after, err := k.jobs.Get(ctx, j.ID)
	if err != nil || after.Version != 1+people*rounds {
		t.Errorf("version %d, %v", after.Version, err)
	}
	if got := k.text("SELECT COUNT(*) FROM job_requests WHERE job_id = ?", j.ID); got != fmt.Sprint(after.Revision) {
		t.Errorf("%s requests at revision %d", got, after.Revision)
	}
}

// opened reads a job with its secrets, as whoever changes it finds it.
func (k *keeper) opened(id int64) (found job.Job) {
	k.t.Helper()
	_, err := mysql.NewJobs(k.db).WithKeys(k.ring).UpdateJob(k.t.Context(), id, 0, k.now, func(current job.Job, _ *job.CategoryRef) (job.Change, error) {
		found = current
		return job.Change{Job: current, Nothing: true}, nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return found
}
