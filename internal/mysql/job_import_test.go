package mysql_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// items are so many jobs of a category for an import.
func (k *keeper) items(n int, categoryID int64, change func(i int, in *job.Input)) []job.ImportItem {
	items := make([]job.ImportItem, n)
	for i := range items {
		in := k.input(fmt.Sprintf("Job %d", i), categoryID)
		if change != nil {
			change(i, &in)
		}
		items[i] = job.ImportItem{Input: in, Place: fmt.Sprintf("jobs[%d]", i)}
	}
	return items
}

func (k *keeper) mustImport(items []job.ImportItem, options job.ImportOptions) []job.Imported {
	k.t.Helper()
	done, err := k.jobs.Import(k.t.Context(), items, options)
	if err != nil {
		k.t.Fatal(err)
	}
	return done
}

func TestImportStoresWhatCreatingStores(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("Reports")
	full := func(in *job.Input) {
		in.Headers = job.Nullable[map[string]string]{Given: true, Value: &map[string]string{"Authorization": "Bearer s", "X-Plain": "ä"}}
		in.Body = job.Nullable[json.RawMessage]{Given: true, Value: new(json.RawMessage("{ \"a\": 1.0, \"😀\":\"\\u0000'\\\\\" }"))}
		in.BodySecret, in.CronPattern = new(true), new("*/5 * * * *")
	}
	in := k.input("Created", category.ID)
	full(&in)
	want := k.opened(k.create(in).ID)
	done := k.mustImport(k.items(2, category.ID, func(_ int, in *job.Input) { full(in) }), job.ImportOptions{By: 5})
	for i, one := range done {
		got := k.opened(one.ID)
		if got.Name != fmt.Sprintf("Job %d", i) || got.Request.URL != fmt.Sprintf("https://example.com/Job-%d", i) {
			t.Errorf("item %d became %s, which calls %s", i, got.Name, got.Request.URL)
		}
		got.ID, got.Name, got.Request.URL = want.ID, want.Name, want.Request.URL
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestImportOfAThousand(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("Reports")
	body := json.RawMessage(`"` + strings.Repeat("x", 3000) + `"`)
	change := func(i int, in *job.Input) {
		if i%3 == 0 {
			in.CronPattern = new("* * * * *")
		}
		in.Body = job.Nullable[json.RawMessage]{Given: true, Value: &body}
	}
	done := k.mustImport(k.items(job.MaxImport, category.ID, change), job.ImportOptions{})
	if len(k.dispatched) != 334 {
		t.Errorf("%d dispatched", len(k.dispatched))
	}
	last := int64(0)
	for i, one := range done {
		if one.ID <= last || one.Name != fmt.Sprintf("Job %d", i) {
			t.Fatalf("item %d: %+v after id %d", i, one, last)
		}
		last = one.ID
	}
	if n := k.text("SELECT COUNT(*) FROM jobs j JOIN job_requests r ON r.job_id = j.id AND r.url = CONCAT('https://example.com/', REPLACE(j.name, ' ', '-'))"); n != "1000" {
		t.Errorf("%s jobs with their own request", n)
	}
	// Replaced: every third gets another schedule, the rest another text.
	k.dispatched = nil
	k.now = noon.Add(time.Second)
	done = k.mustImport(k.items(job.MaxImport, category.ID, func(i int, in *job.Input) {
		change(i, in)
		if in.Description = new("Another text, by an import"); i%3 == 1 {
			in.CronPattern = new("*/2 * * * *")
		}
	}), job.ImportOptions{OnConflict: job.ConflictUpdate})
	if done[999].Action != job.ImportUpdated || done[999].ID != last || len(k.dispatched) != 333 {
		t.Errorf("%+v, %d dispatched", done[999], len(k.dispatched))
	}
	if n := k.text("SELECT COUNT(*) FROM jobs WHERE version = 2 AND revision = 1 AND created_at < updated_at AND description LIKE 'Another%'"); n != "1000" {
		t.Errorf("%s jobs changed", n)
	}
	if n := k.text("SELECT COUNT(*) FROM jobs WHERE next_run_at = '2026-01-31 12:02:00'"); n != "333" {
		t.Errorf("%s jobs rescheduled", n)
	}
}

// What an import replaces behaves as an edit does.
func TestImportReplacesAsAnEditDoes(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("Reports")
	edited, replaced := k.create(k.input("Edited", category.ID)), k.create(k.input("Replaced", category.ID))
	for _, j := range []job.Job{edited, replaced} {
		for i, at := range []string{"2026-01-31 11:59:00", "2026-01-31 12:01:00", "2026-01-31 12:02:00"} {
			trigger := []string{"'schedule'", "'schedule'", "'manual'"}[i]
			occurrence := "'" + at + "'"
			if trigger == "'manual'" {
				occurrence = "NULL"
			}
			k.exec(`INSERT INTO executions (job_id, trigger_type, scheduled_for, occurrence_at, status, revision, not_before, created_at, updated_at)
				VALUES (?, `+trigger+`, ?, `+occurrence+`, 'pending', 1, ?, ?, ?)`, j.ID, at, at, at, at)
		}
		k.exec("UPDATE jobs SET status = 'failed', status_reason = 'x', next_run_at = NULL WHERE id = ?", j.ID)
		k.exec("UPDATE job_stats SET consecutive_failures = 7, first_failure_at = '2026-01-30' WHERE job_id = ?", j.ID)
	}
	change := func(name string) job.Input {
		in := k.input(name, category.ID)
		in.CronPattern, in.Timeout = new("*/7 * * * *"), new(int64(4000))
		return in
	}
	if _, err := k.jobs.Replace(t.Context(), edited.ID, change("Edited"), nil); err != nil {
		t.Fatal(err)
	}
	k.mustImport([]job.ImportItem{{Input: change("Replaced")}}, job.ImportOptions{OnConflict: job.ConflictUpdate})
	look := func(id int64) string {
		return k.text("SELECT CONCAT_WS(' ', j.status, j.status_reason, j.version, j.revision, j.next_run_at, j.updated_at, r.timeout_ms, s.consecutive_failures, s.first_failure_at) FROM jobs j JOIN job_requests r ON r.job_id = j.id AND r.revision = j.revision JOIN job_stats s ON s.job_id = j.id WHERE j.id = ?", id) +
			k.text("SELECT GROUP_CONCAT(CONCAT_WS(' ', status, reason, ended_at) ORDER BY id) FROM executions WHERE job_id = ?", id)
	}
	if diff := cmp.Diff(look(edited.ID), look(replaced.ID)); diff != "" {
		t.Error(diff)
	}
}

func TestImportClaimsWhatIsDueFirst(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("Reports")
	due := k.create(k.input("Due", category.ID))
	k.create(k.input("Not due", category.ID))
	k.exec("UPDATE jobs SET next_run_at = '2026-01-31 11:59:00' WHERE id = ?", due.ID)
	var items []job.ImportItem
	for _, name := range []string{"Due", "Not due"} {
		in := k.input(name, category.ID)
		in.CronPattern = new("0 5 * * *")
		items = append(items, job.ImportItem{Input: in})
	}
	k.mustImport(items, job.ImportOptions{OnConflict: job.ConflictUpdate})
	if diff := cmp.Diff([]int64{due.ID}, k.dispatched); diff != "" {
		t.Error(diff)
	}
	if next := k.nextRun(due.ID); next != "02-01 05:00" {
		t.Errorf("next run %s", next)
	}
}

func TestImportThatIsCutOffStoresNothing(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("Reports")
	k.create(k.input("Job 5", category.ID))
	before := k.text("SELECT GROUP_CONCAT(CONCAT(name, version)) FROM jobs")
	store := mysql.NewJobs(k.db).WithKeys(k.ring)
	name := "Made on the way"
	items := k.items(300, category.ID, func(i int, in *job.Input) { in.CronPattern = new("* * * * *") })
	for i := range items[:100] {
		items[i].Input.CategoryID, items[i].CategoryName = nil, &name
	}
	for at := range 12 { // the statement before which the client is gone
		ctx, cancel := context.WithCancel(t.Context())
		cut := &cutStore{Jobs: store, cancel: cancel, after: time.Duration(at) * 2 * time.Millisecond}
		service := job.NewService(cut, k, lookAhead, func() time.Time { return noon })
		_, err := service.Import(ctx, items, job.ImportOptions{OnConflict: job.ConflictUpdate, CreateCategories: true})
		cancel()
		if err == nil { // it was faster
			break
		}
		if !errors.Is(err, context.Canceled) && !apperr.Is(err, apperr.Unavailable) { // the driver may see the connection go first
			t.Fatalf("cut off after %v: %v", cut.after, err)
		}
		if after := k.text("SELECT GROUP_CONCAT(CONCAT(name, version)) FROM jobs"); after != before {
			t.Fatalf("cut off after %v, it left %s", cut.after, after)
		}
		if n := k.text("SELECT COUNT(*) FROM job_requests") + k.text("SELECT COUNT(*) FROM categories WHERE name = ?", name); n != "10" {
			t.Fatalf("cut off after %v, it left requests and categories: %s", cut.after, n)
		}
	}
}

// cutStore loses its client some time after an import has decided.
type cutStore struct {
	*mysql.Jobs
	cancel func()
	after  time.Duration
}

func (s *cutStore) ImportJobs(ctx context.Context, query job.ImportQuery, now time.Time, decide func(job.ImportFound) (*job.ImportPlan, error)) error {
	return s.Jobs.ImportJobs(ctx, query, now, func(found job.ImportFound) (*job.ImportPlan, error) {
		plan, err := decide(found)
		if s.after == 0 {
			s.cancel()
		} else {
			time.AfterFunc(s.after, s.cancel)
		}
		return plan, err
	})
}

// Imports, ticks, single edits and the deletion of categories go on at once.
func TestImportsWhileTicksRun(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category, other := k.category("Reports"), k.category("Others")
	executions := mysql.NewExecutions(k.db).WithKeys(k.ring)
	ctx := t.Context()
	stop := make(chan struct{})
	var ticks sync.WaitGroup
	for range 2 {
		ticks.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, err := executions.Claim(ctx, dispatch.ClaimRequest{
					Now: noon, Horizon: noon.Add(4 * time.Minute), MaxJobs: 100, MaxRows: 2000, ResendAfter: noon.Add(time.Minute),
					Plan: func(d dispatch.DueJob) dispatch.Plan {
						return dispatch.Plan{Runs: []time.Time{d.NextRunAt}, NextRunAt: new(d.NextRunAt.Add(time.Minute))}
					},
				})
				if err != nil && !apperr.Is(err, apperr.Unavailable) {
					t.Errorf("tick: %v", err)
					return
				}
			}
		})
	}
	service := job.NewService(mysql.NewJobs(k.db).WithKeys(k.ring), idle{}, lookAhead, func() time.Time { return noon })
	var writers sync.WaitGroup
	for n := range 3 {
		writers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 1))
			for round := range 3 {
				items := k.items(60, category.ID, func(i int, in *job.Input) {
					in.CronPattern, in.Timeout = new("* * * * *"), new(int64(1000+random.IntN(5)))
				})
				random.Shuffle(len(items), func(a, b int) { items[a], items[b] = items[b], items[a] })
				if _, err := service.Import(ctx, items, job.ImportOptions{OnConflict: job.ConflictUpdate}); err != nil && !apperr.Is(err, apperr.Unavailable) {
					t.Errorf("import %d of %d: %v", round, n, err)
				}
			}
		})
	}
	writers.Go(func() {
		for range 10 {
			page, _, err := service.List(ctx, job.Filter{Limit: 20})
			if err != nil {
				t.Error(err)
			}
			for _, j := range page {
				// Like a tick and an import, an edit may lose all of its tries where
				// claims never pause; its caller is told to try again.
				if _, err := service.Patch(ctx, j.ID, job.Input{CategoryID: &other.ID}, nil); err != nil && !apperr.Is(err, apperr.Unavailable) {
					t.Errorf("edit: %v", err)
				}
			}
		}
	})
	writers.Wait()
	close(stop)
	ticks.Wait()
	if n := k.text("SELECT COUNT(*) FROM jobs j JOIN job_requests r ON r.job_id = j.id AND r.revision = j.revision"); n != "60" {
		t.Errorf("%s jobs", n)
	}
	if n := k.text("SELECT COUNT(*) FROM executions e LEFT JOIN jobs j ON j.id = e.job_id WHERE j.id IS NULL OR e.status NOT IN ('pending', 'cancelled')"); n != "0" {
		t.Errorf("%s stray executions", n)
	}
}

// idle is a scheduler that leaves everything to the ticks.
type idle struct{}

func (idle) DispatchJobs(context.Context, []int64) error { return nil }

func (idle) SettleJobs(context.Context, []int64) error { return nil }

func TestExportReadsInOrder(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("Reports")
	k.mustImport(k.items(450, category.ID, nil), job.ImportOptions{})
	gone := k.create(k.input("Gone", category.ID))
	if err := k.jobs.Delete(t.Context(), gone.ID, nil); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{1, 199, 200, 201, 449, 450, 451, 1000} {
		var names []string
		more, err := k.jobs.Export(t.Context(), 0, 0, limit, func(j job.Job) (bool, error) {
			names = append(names, j.Name)
			if j.Category.Name != "Reports" || j.Request.Retry.Backoff != execution.Fixed {
				t.Errorf("%+v", j)
			}
			return true, nil
		})
		if err != nil || len(names) != min(limit, 450) || names[len(names)-1] != fmt.Sprintf("Job %d", min(limit, 450)-1) || more != (limit < 450) {
			t.Errorf("limit %d: %d jobs, more %t, %v", limit, len(names), more, err)
		}
	}
}
