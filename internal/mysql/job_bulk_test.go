package mysql_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// crowd makes n jobs that fire every minute.
func (k *keeper) crowd(n int, categoryID int64) []int64 {
	k.t.Helper()
	ids := make([]int64, n)
	for i := range ids {
		in := k.input(fmt.Sprintf("Crowd %03d", i), categoryID)
		in.CronPattern = new("* * * * *")
		ids[i] = k.create(in).ID
	}
	k.dispatched = nil
	return ids
}

func (k *keeper) many(action job.BulkAction, ids []int64, categoryID int64) map[int64]error {
	k.t.Helper()
	outcomes, err := k.jobs.ChangeMany(k.t.Context(), job.Bulk{Action: action, IDs: ids, CategoryID: categoryID})
	if err != nil {
		k.t.Fatal(err)
	}
	failed := map[int64]error{}
	for i, o := range outcomes {
		if o.ID != ids[i] {
			k.t.Fatalf("outcome %d is of job %d, want %d", i, o.ID, ids[i])
		}
		if o.Err != nil {
			failed[o.ID] = o.Err
		}
	}
	return failed
}

func TestManyAreChangedAsOneWouldBe(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	a, b := k.category("A"), k.category("B")
	ids := k.crowd(120, a.ID) // more than one transaction takes
	slices.Reverse(ids)
	state := func(want string) {
		t.Helper()
		got := k.text(`SELECT GROUP_CONCAT(DISTINCT CONCAT_WS(' ', status, version, IF(category_id = ?, 'A', 'B'),
			DATE_FORMAT(next_run_at, '%H:%i'), name_key IS NULL, status_reason)) FROM jobs`, a.ID)
		if got != want {
			t.Errorf("the jobs are %q, want %q", got, want)
		}
	}
	none := func(failed map[int64]error) {
		t.Helper()
		if len(failed) > 0 {
			t.Errorf("failed: %v", failed)
		}
	}
	state("active 1 A 12:01 0")
	none(k.many(job.BulkResume, ids, 0)) // they are
	state("active 1 A 12:01 0")
	none(k.many(job.BulkPause, ids, 0))
	state("inactive 2 A 0")
	k.now = k.now.Add(90 * time.Second)
	none(k.many(job.BulkResume, ids, 0))
	state("active 3 A 12:02 0")
	if len(k.dispatched) != len(ids) {
		t.Errorf("%d jobs were dispatched", len(k.dispatched))
	}
	k.exec("UPDATE jobs SET status = 'failed', status_reason = 'too many failures', next_run_at = NULL")
	none(k.many(job.BulkMove, ids, b.ID))
	state("failed 4 B 0 too many failures")
	k.exec("UPDATE job_stats SET consecutive_failures = 20")
	none(k.many(job.BulkResume, ids, 0))
	state("active 5 B 12:02 0")
	if got := k.text("SELECT SUM(consecutive_failures) FROM job_stats"); got != "0" {
		t.Errorf("%s failures are remembered", got)
	}
	none(k.many(job.BulkDelete, ids, 0))
	state("inactive 6 B 1")
	if failed := k.many(job.BulkDelete, ids, 0); len(failed) != len(ids) || !apperr.Is(failed[ids[0]], apperr.NotFound) {
		t.Errorf("%d of the deleted jobs failed to be deleted: %v", len(failed), failed[ids[0]])
	}
}

func TestMovingManyBetweenCategoriesThatDiffer(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	a, off := k.category("A"), k.category("Off")
	if _, err := k.categories.Patch(t.Context(), off.ID, job.CategoryInput{Status: new("inactive")}, nil); err != nil {
		t.Fatal(err)
	}
	ids := k.crowd(3, a.ID)
	k.many(job.BulkMove, ids, off.ID)
	if got := k.nextRun(ids[0]); got != "NULL" {
		t.Errorf("next run in an inactive category: %s", got)
	}
	k.many(job.BulkMove, ids, a.ID)
	if got := k.nextRun(ids[0]); got != "01-31 12:01" || len(k.dispatched) != 3 {
		t.Errorf("next run after moving back: %s; %d dispatched", got, len(k.dispatched))
	}
	_, err := k.jobs.ChangeMany(t.Context(), job.Bulk{Action: job.BulkMove, IDs: ids, CategoryID: 1 << 50})
	if !apperr.Is(err, apperr.Invalid) || k.text("SELECT COUNT(*) FROM jobs WHERE category_id = ?", a.ID) != "3" {
		t.Errorf("moving into no category: %v", err)
	}
}

func TestOneBadScheduleDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	ids := k.crowd(3, k.category("A").ID)
	k.many(job.BulkPause, ids, 0)
	k.exec("UPDATE jobs SET timezone = 'Mars/Olympus' WHERE id = ?", ids[1])
	failed := k.many(job.BulkResume, ids, 0)
	if len(failed) != 1 || !apperr.Is(failed[ids[1]], apperr.Invalid) {
		t.Errorf("failed: %v", failed)
	}
	if got := k.text("SELECT GROUP_CONCAT(status ORDER BY id) FROM jobs"); got != "active,inactive,active" {
		t.Errorf("the jobs are %s", got)
	}
}

// What a schedule already has behind it is claimed before a bulk change would
// drop it without a record.
func TestManyAfterAStandstillDropNothingThatWasDue(t *testing.T) {
	t.Parallel()
	for _, action := range []job.BulkAction{job.BulkPause, job.BulkDelete} {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.now = time.Date(2026, 1, 31, 12, 0, 30, 0, time.UTC)
			ids := []int64{w.minutely("One", nil).ID, w.minutely("Two", nil).ID}
			w.run(time.Second)
			w.pass(30 * time.Minute) // no tick
			if failed := w.many(action, ids, 0); len(failed) > 0 {
				t.Fatal(failed)
			}
			for _, id := range ids {
				if got := w.outcomes(id); got["missed"] != 1 {
					t.Errorf("job %d: %v", id, got)
				}
			}
		})
	}
}

// noScheduler is for services that several goroutines use.
type noScheduler struct{}

func (noScheduler) DispatchJobs(context.Context, []int64) error { return nil }

func (noScheduler) SettleJobs(context.Context, []int64) error { return nil }

// TestBulksAndEditsAtOnce lets bulks in every order meet edits, category changes
// and each other: nothing deadlocks for good, and every job counts its changes.
func TestBulksAndEditsAtOnce(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	ctx := t.Context()
	a, b := k.category("A"), k.category("B")
	ids := k.crowd(30, a.ID)
	for _, id := range ids {
		k.waitingRun(id, "schedule", "pending", 1, noon.Add(time.Minute))
	}
	jobs := job.NewService(mysql.NewJobs(k.db).WithKeys(k.ring), noScheduler{}, lookAhead, func() time.Time { return noon })
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			mine := slices.Clone(ids)
			if worker%2 == 1 {
				slices.Reverse(mine)
			}
			for round := range 6 {
				bulk := job.Bulk{Action: []job.BulkAction{job.BulkPause, job.BulkResume}[(round+worker)%2], IDs: mine}
				if round%3 == 2 {
					bulk = job.Bulk{Action: job.BulkMove, IDs: mine, CategoryID: []int64{a.ID, b.ID}[worker%2]}
				}
				text := fmt.Sprintf("Text %d of worker %d", round, worker)
				color := fmt.Sprintf("#%06d", worker*100+round)
				for _, change := range []func() error{
					func() error {
						outcomes, err := jobs.ChangeMany(ctx, bulk)
						for _, o := range outcomes {
							err = errors.Join(err, o.Err)
						}
						return err
					},
					func() error {
						_, err := jobs.Patch(ctx, mine[round], job.Input{Description: &text}, nil)
						return err
					},
					func() error {
						_, err := k.categories.Patch(ctx, a.ID, job.CategoryInput{Color: &color}, nil)
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
	if got := k.text(`SELECT COUNT(*) FROM jobs j JOIN executions e ON e.job_id = j.id
		WHERE j.status = 'inactive' AND e.status IN ('pending', 'queued')`); got != "0" {
		t.Errorf("%s runs of paused jobs wait", got)
	}
}

func TestDuplicate(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	in := k.input("Report", k.category("A").ID)
	in.Headers = job.Nullable[map[string]string]{Given: true, Value: &map[string]string{"Authorization": "Bearer sentinel", "X-Plain": "a"}}
	in.Body, in.BodySecret = job.Nullable[json.RawMessage]{Given: true, Value: new(json.RawMessage(`{"a": 1}`))}, new(true)
	in.Timezone, in.MisfirePolicy = new("Asia/Kolkata"), new("skip")
	source := k.create(in)
	k.waitingRun(source.ID, "schedule", "success", 1, noon)
	k.exec("UPDATE job_stats SET total_executions = 7 WHERE job_id = ?", source.ID)
	k.create(k.input("REPORT COPY 2", source.CategoryID)) // in another case
	k.dispatched = nil

	var names []string
	for range 3 {
		copied, err := k.jobs.Duplicate(t.Context(), source.ID, 9)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, copied.Name)
		want := source
		want.ID, want.Name, want.Status, want.NextRunAt, want.CreatedBy = copied.ID, copied.Name, job.Inactive, nil, 9
		want.Request, copied.Request = k.opened(source.ID).Request, k.opened(copied.ID).Request
		if diff := cmp.Diff(want, copied); diff != "" {
			t.Errorf("the copy (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff([]string{"Report copy", "Report copy 3", "Report copy 4"}, names); diff != "" {
		t.Error(diff)
	}
	if len(k.dispatched) > 0 {
		t.Error("a copy was dispatched")
	}
	if _, err := k.jobs.Duplicate(t.Context(), 1<<50, 9); !apperr.Is(err, apperr.NotFound) {
		t.Errorf("a copy of nothing: %v", err)
	}
}

func TestCopiesMadeAtOnceHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	// Two jobs whose copies want the same names, for both are cut.
	long := strings.Repeat("a", 95)
	sources := []job.Job{k.create(k.input(long+"b", k.category("A").ID))}
	sources = append(sources, k.create(k.input(long+"c", sources[0].CategoryID)))
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			if _, err := k.jobs.Duplicate(t.Context(), sources[i%2].ID, 1); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := k.text("SELECT CONCAT(COUNT(DISTINCT name_key), ' ', MAX(CHAR_LENGTH(name))) FROM jobs"); got != "14 100" {
		t.Errorf("names and the longest: %s", got)
	}
}
