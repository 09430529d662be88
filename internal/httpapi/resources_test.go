package httpapi

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// desk is the API on a database of its own, with runs that the test decides.
type desk struct {
	t    *testing.T
	h    http.Handler
	db   *sql.DB
	runs *fakeRuns
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	return newDeskWith(t, func(*Deps) {})
}

func newDeskWith(t *testing.T, change func(*Deps)) *desk {
	t.Helper()
	db := mysqltest.New(t)
	clock := func() time.Time { return noon }
	keys := mysqltest.Keys(t)
	jobs := mysql.NewJobs(db).WithKeys(keys)
	settle := dispatch.New(mysql.NewExecutions(db), noQueue{}, noQueue{}, clock, slog.New(slog.DiscardHandler)).SettleJobs
	d := &desk{t: t, db: db, runs: &fakeRuns{settle: settle}}
	d.h = newTrial(t, func(deps *Deps) {
		deps.Categories = job.NewCategories(mysql.NewCategories(db), jobs, d.runs, clock)
		deps.Jobs = job.NewService(jobs, d.runs, 4*time.Minute, clock)
		deps.Secrets = job.NewSecrets(mysql.NewSecrets(db, keys), clock)
		deps.Runner, deps.History = d.runs, d.runs
		deps.Replies = mysql.NewReplies(db)
		deps.Audit = mysql.NewAudit(db)
		change(deps)
	}).handler()
	if _, err := db.ExecContext(t.Context(), "DELETE FROM categories"); err != nil {
		t.Fatal(err)
	}
	return d
}

// call sends a request as an operator.
func (d *desk) call(method, target, body string, headers ...string) reply {
	d.t.Helper()
	return send(d.t, d.h, method, target, body, append([]string{"Authorization", as(operator)}, headers...)...)
}

// want is call for a request that must answer with the status.
func (d *desk) want(status int, method, target, body string, headers ...string) reply {
	d.t.Helper()
	got := d.call(method, target, body, headers...)
	if got.StatusCode != status {
		d.t.Fatalf("%s %s: %d, want %d\n%s", method, target, got.StatusCode, status, got.raw)
	}
	return got
}

// data is the member data of an answer that holds one thing.
func (r reply) data() map[string]any {
	data, _ := r.body["data"].(map[string]any)
	return data
}

// items are the member data of a list.
func (r reply) items() []map[string]any {
	all, _ := r.body["data"].([]any)
	items := make([]map[string]any, len(all))
	for i, one := range all {
		items[i], _ = one.(map[string]any)
	}
	return items
}

func (r reply) id() string { return fmt.Sprintf("%.0f", r.data()["id"]) }

func (d *desk) category(name string) string {
	d.t.Helper()
	return d.want(201, "POST", "/categories", fmt.Sprintf(`{"name":%q,"color":"#123456"}`, name)).id()
}

// fakeRuns plays dispatcher and history: a run ends after so many looks.
type fakeRuns struct {
	mu         sync.Mutex
	refuse     error
	looks      int // until the run has ended
	failLooks  int // that answer an error first
	outcome    execution.Execution
	dispatched []int64
	by         int64
	asked      int // how often a run was asked for
	// settle is the real dispatcher's; nil takes it as done.
	settle func(ctx context.Context, ids []int64) error
}

func (f *fakeRuns) DispatchJobs(_ context.Context, ids []int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dispatched = append(f.dispatched, ids...)
	return nil
}

func (f *fakeRuns) SettleJobs(ctx context.Context, ids []int64) error {
	if f.settle == nil {
		return f.DispatchJobs(ctx, ids)
	}
	return f.settle(ctx, ids)
}

func (f *fakeRuns) FollowCategory(context.Context, int64) error { return nil }

func (f *fakeRuns) AskTick(context.Context) {}

func (f *fakeRuns) RunNow(_ context.Context, jobID, userID int64) (execution.Execution, error) {
	f.asked++
	if f.refuse != nil {
		return execution.Execution{}, f.refuse
	}
	f.outcome.ID, f.outcome.JobID, f.by = 77, jobID, userID
	recorded := f.outcome
	recorded.Status = execution.Pending
	return recorded, nil
}

// Replay is RunNow for the execution's job, whose id it shares.
func (f *fakeRuns) Replay(ctx context.Context, executionID, userID int64) (execution.Execution, error) {
	f.outcome.ReplayOf = executionID
	return f.RunNow(ctx, executionID, userID)
}

func (f *fakeRuns) List(context.Context, execution.Query) (execution.Page, error) {
	return execution.Page{}, nil
}

func (f *fakeRuns) News(context.Context, execution.Query, execution.Change) (execution.News, error) {
	return execution.News{}, nil
}

func (f *fakeRuns) Get(_ context.Context, id int64) (execution.Execution, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id != f.outcome.ID {
		return execution.Execution{}, apperr.New(apperr.NotFound, "There is no such execution.")
	}
	if f.failLooks > 0 {
		f.failLooks--
		return execution.Execution{}, apperr.New(apperr.Unavailable, "The database is away.")
	}
	run := f.outcome
	if f.looks--; f.looks >= 0 {
		run.Status = execution.Running
	}
	return run, nil
}
