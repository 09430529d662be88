package mysql_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/job"
)

// setCategory changes a category's status.
func (w *world) setCategory(id int64, status job.CategoryStatus) {
	w.t.Helper()
	if _, err := w.categories.Patch(w.t.Context(), id, job.CategoryInput{Status: new(string(status))}, nil); err != nil {
		w.t.Fatal(err)
	}
}

// at moves the clock on to so long after noon; nothing else happens meanwhile.
func (w *world) at(sinceNoon time.Duration) {
	w.t.Helper()
	w.pass(noon.Add(sinceNoon).Sub(w.Now()))
}

// recorded lists a job's executions: their minute, or range of minutes, and what
// became of each.
func (w *world) recorded(jobID int64) []string {
	w.t.Helper()
	rows, err := w.db.QueryContext(w.t.Context(), `SELECT CONCAT(DATE_FORMAT(scheduled_for, '%H:%i'),
		COALESCE(CONCAT('-', DATE_FORMAT(missed_until, '%H:%i')), ''), ' ', status) FROM executions WHERE job_id = ? ORDER BY scheduled_for`, jobID)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return all
}

func (w *world) wantRecorded(jobID int64, want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.recorded(jobID)); diff != "" {
		w.t.Errorf("executions of job %d (-want +got):\n%s", jobID, diff)
	}
}

const (
	minute = time.Minute
	second = time.Second
)

// The category says from when on its jobs count, and the tick comes when it can.
func TestACategoryThatBecomesActiveLosesNoInstant(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		tick time.Duration
		want []string
	}{
		"a tick comes in its minute": {11*minute + 31*second, []string{"12:11 queued", "12:12 queued", "12:13 queued", "12:14 queued", "12:15 queued"}},
		"ticks are away": {21*minute + 31*second, []string{
			"12:11-12:19 missed", "12:20 queued", "12:21 queued", "12:22 queued", "12:23 queued", "12:24 queued", "12:25 queued",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setCategory(w.work.ID, job.CategoryInactive)
			j := w.minutely("Follower", nil)
			w.tick()
			w.at(10 * minute) // an instant itself, which is not after the change
			w.setCategory(w.work.ID, job.CategoryActive)
			w.at(tc.tick)
			w.tick()
			w.wantRecorded(j.ID, tc.want...)
		})
	}
}

// What was due while the category was active is recorded, whenever ticks come.
func TestACategoryThatBecomesInactiveDropsNothingThatWasDue(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		tick time.Duration
		want []string
	}{
		"soon": {22 * minute, []string{"12:05-12:15 missed", "12:20 cancelled"}},
		"late": {52 * minute, []string{"12:05-12:20 missed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			j := w.minutely("Stopped", func(in *job.Input) { in.CronPattern = new("*/5 * * * *") })
			w.at(21*minute + 30*second) // no tick came
			w.setCategory(w.work.ID, job.CategoryInactive)
			w.at(tc.tick)
			w.tick()
			w.wantRecorded(j.ID, tc.want...)
			if got := w.nextRun(j.ID); got != "NULL" {
				t.Errorf("next run: %s", got)
			}
			w.at(61 * minute)
			w.setCategory(w.work.ID, job.CategoryActive)
			w.tick()
			w.wantRecorded(j.ID, append(tc.want, "13:05 queued")...)
			if len(w.calls) > 0 {
				t.Errorf("%d calls", len(w.calls))
			}
		})
	}
}

// Changes that come before the jobs have followed the one before are not lost.
func TestACategoryChangesBackBeforeItsJobsHaveFollowed(t *testing.T) {
	t.Parallel()
	t.Run("inactive again", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.setCategory(w.work.ID, job.CategoryInactive)
		j := w.minutely("Shortly active", nil)
		w.at(10*minute + 10*second)
		w.setCategory(w.work.ID, job.CategoryActive)
		w.at(13*minute + 30*second)
		w.setCategory(w.work.ID, job.CategoryInactive)
		w.at(20 * minute)
		w.tick()
		w.wantRecorded(j.ID, "12:11-12:11 missed", "12:12 cancelled", "12:13 cancelled", "12:14 cancelled", "12:15 cancelled", "12:16 cancelled", "12:17 cancelled")
	})
	t.Run("active again", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		j := w.minutely("Shortly inactive", func(in *job.Input) { in.CronPattern = new("*/5 * * * *") })
		w.at(11 * minute)
		w.setCategory(w.work.ID, job.CategoryInactive)
		w.at(27 * minute)
		w.setCategory(w.work.ID, job.CategoryActive)
		w.at(31 * minute)
		w.tick()
		w.wantRecorded(j.ID, "12:05-12:10 missed", "12:30 queued", "12:35 queued")
	})
	t.Run("active again at once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		j := w.minutely("Hardly inactive", nil)
		w.setCategory(w.work.ID, job.CategoryInactive)
		w.setCategory(w.work.ID, job.CategoryActive)
		w.run(61 * second)
		w.want(j.ID, map[string]int{"success": 1, "queued": 3}, 1)
	})
}

// A change of a job that has yet to follow its category starts from there.
func TestAJobIsChangedBeforeItHasFollowedItsCategory(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*world, int64) error{
		"renamed": func(w *world, id int64) error {
			_, err := w.jobs.Patch(w.t.Context(), id, job.Input{Description: new("Another description")}, nil)
			return err
		},
		"edited": func(w *world, id int64) error {
			_, err := w.jobs.Patch(w.t.Context(), id, job.Input{CronPattern: new("0 0 * * *")}, nil)
			return err
		},
		"paused with others": func(w *world, id int64) error {
			_, err := w.jobs.ChangeMany(w.t.Context(), job.Bulk{Action: job.BulkPause, IDs: []int64{id}})
			return err
		},
		"moved with its category": func(w *world, _ int64) error {
			return w.categories.Delete(w.t.Context(), w.work.ID, w.category("Other").ID, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setCategory(w.work.ID, job.CategoryInactive)
			j := w.minutely("Changed", nil)
			w.at(10*minute + 10*second)
			w.setCategory(w.work.ID, job.CategoryActive)
			w.at(11*minute + 30*second)
			if err := change(w, j.ID); err != nil {
				t.Fatal(err)
			}
			w.tick()
			if got := w.recorded(j.ID); len(got) == 0 || got[0] != "12:11 queued" && got[0] != "12:11 cancelled" {
				t.Errorf("12:11 has no record: %v", got)
			}
		})
	}
}

// Jobs that move with a category that is deleted count up to then, or from then.
func TestJobsMoveToACategoryOfAnotherStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	on, off := w.category("On"), w.category("Off")
	w.setCategory(off.ID, job.CategoryInactive)
	asleep := w.minutely("Asleep", func(in *job.Input) { in.CategoryID, in.CronPattern = &off.ID, new("*/5 * * * *") })
	awake := w.minutely("Awake", func(in *job.Input) { in.CronPattern = new("*/5 * * * *") })
	end := w.category("End")
	w.setCategory(end.ID, job.CategoryInactive)
	w.at(21 * minute)
	if err := w.categories.Delete(t.Context(), off.ID, on.ID, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.categories.Delete(t.Context(), w.work.ID, end.ID, nil); err != nil {
		t.Fatal(err)
	}
	w.at(26 * minute)
	w.tick()
	w.wantRecorded(asleep.ID, "12:25 queued", "12:30 queued")
	w.wantRecorded(awake.ID, "12:05-12:15 missed", "12:20 cancelled", "12:25 cancelled")
}

func TestAChangeOfACategoryAsksForATick(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked := 0
	w.dispatcher.AskTickBy(func(context.Context) error { asked++; return nil })
	other := w.category("Other")
	for _, step := range []struct {
		name string
		do   func() error
		want int
	}{
		{"inactive", func() error { w.setCategory(other.ID, job.CategoryInactive); return nil }, 1},
		{"the same again", func() error { w.setCategory(other.ID, job.CategoryInactive); return nil }, 1},
		{"active", func() error { w.setCategory(other.ID, job.CategoryActive); return nil }, 2},
		{"renamed", func() error {
			_, err := w.categories.Patch(t.Context(), other.ID, job.CategoryInput{Name: new("Another")}, nil)
			return err
		}, 2},
		{"deleted, its jobs move", func() error { return w.categories.Delete(t.Context(), other.ID, w.work.ID, nil) }, 3},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if asked != step.want {
			t.Errorf("%s: a tick was asked for %d times so far, want %d", step.name, asked, step.want)
		}
	}
}

// The claim leaves jobs of inactive categories to what makes them follow, so that
// a large one costs the others nothing; and that is done in bounded parts.
func TestAnInactiveCategoryDoesNotHoldUpTheClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.category("Large")
	for i := range 3 {
		w.minutely(fmt.Sprint("Every second ", i), func(in *job.Input) { in.CronPattern, in.CategoryID = new("* * * * * *"), &other.ID })
	}
	healthy := w.minutely("Healthy", nil)
	w.setCategory(other.ID, job.CategoryInactive)
	w.at(2 * minute)
	now := w.Now()
	request := dispatch.ClaimRequest{
		Now: now, Horizon: now.Add(dispatch.LookAhead), MaxJobs: 100, MaxRows: 100, ResendAfter: now,
		Plan: func(due dispatch.DueJob) dispatch.Plan {
			return dispatch.PlanJob(due, now, now.Add(dispatch.LookAhead))
		},
	}
	claimed, err := w.store.Claim(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{other.ID}, claimed.Inactive); diff != "" || claimed.Jobs != 1 || len(claimed.Waiting) != 2 {
		t.Errorf("claimed %d jobs, %d rows; inactive categories (-want +got):\n%s", claimed.Jobs, len(claimed.Waiting), diff)
	}
	request.Except = claimed.Inactive
	if again, err := w.store.Claim(t.Context(), request); err != nil || again.Jobs != 0 || again.Inactive != nil {
		t.Errorf("once more, without them: %+v, %v", again, err)
	}
	if n, err := w.store.CountDue(t.Context(), request.Horizon, request.Except); err != nil || n != 0 {
		t.Errorf("%d are due without them, %v", n, err)
	}
	w.want(healthy.ID, map[string]int{"queued": 4, "pending": 2}, 0)

	var parts []int
	for {
		follow := dispatch.FollowRequest{ClaimRequest: request, CategoryID: other.ID, MaxCancelled: 300}
		result, err := w.store.Follow(t.Context(), follow)
		if err != nil {
			t.Fatal(err)
		}
		if result.Jobs+result.Cancelled == 0 {
			break
		}
		parts = append(parts, result.Cancelled)
	}
	if diff := cmp.Diff([]int{300, 300, 120}, parts); diff != "" {
		t.Errorf("runs cancelled in one transaction (-want +got):\n%s", diff)
	}
	if got := w.text("SELECT COUNT(*) FROM jobs WHERE category_id = ? AND next_run_at IS NOT NULL", other.ID); got != "0" {
		t.Errorf("%s jobs still have a next run", got)
	}
}
