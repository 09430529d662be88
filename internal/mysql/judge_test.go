package mysql_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/dispatch"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// TestAnEditIsNotStoppedByAnEarlierTarget edits or resumes a job after its outcome
// was judged, and before the job is stopped for it.
func TestAnEditIsNotStoppedByAnEarlierTarget(t *testing.T) {
	t.Parallel()
	edit := func(w *world, id int64) {
		if _, err := w.jobs.Patch(w.t.Context(), id, job.Input{URL: new("https://example.com/moved")}, nil); err != nil {
			w.t.Errorf("edit: %v", err)
		}
	}
	resume := func(w *world, id int64) {
		if _, err := w.jobs.Pause(w.t.Context(), id, nil); err != nil {
			w.t.Errorf("pause: %v", err)
		}
		if _, err := w.jobs.Resume(w.t.Context(), id, nil); err != nil {
			w.t.Errorf("resume: %v", err)
		}
	}
	for name, tc := range map[string]struct {
		status int
		change func(*world, int64)
	}{
		"gone, and edited":            {410, edit},
		"failed too often and edited": {404, edit},
		"failed too often, resumed":   {404, resume},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			h := w.hook()
			w.store = w.store.WithLimits(execution.Limits{FailedAfter: 1, StopWhenGone: true})
			w.executor = executor.New(w.store, w.dispatcher, w, w, slog.New(slog.DiscardHandler))
			w.answer = answering(tc.status, 0)
			j := w.minutely("Judged", nil)
			changed := 0
			h.set(func(query string) {
				if strings.HasPrefix(query, "UPDATE jobs FORCE INDEX (PRIMARY) SET status = 'failed'") {
					changed++
					tc.change(w, j.ID)
				}
			}, nil)
			w.run(time.Minute + time.Second)
			if changed != 1 {
				t.Errorf("the job was to be stopped %d times", changed)
			}
			if got := w.text("SELECT CONCAT(status, ' ', next_run_at IS NOT NULL) FROM jobs WHERE id = ?", j.ID); got != "active 1" {
				t.Errorf("the job: %s", got)
			}
			if got := w.outcomes(j.ID); got["queued"] != 4 || got["cancelled"] > 0 {
				t.Errorf("its executions: %v", got)
			}
		})
	}
}

// TestOurOwnFailuresStopNoJob counts only what the target did.
func TestOurOwnFailuresStopNoJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	limits := execution.Limits{FailedAfter: 2}
	w.store = w.store.WithLimits(limits)
	w.dispatcher = dispatch.New(w.store, w, w, func() time.Time { return w.Now() }, slog.New(slog.DiscardHandler))
	w.executor = executor.New(w.store, w.dispatcher, w, w, slog.New(slog.DiscardHandler))
	j := w.minutely("Unlucky", func(in *job.Input) { in.RetryAttempts = new(int64(0)) })
	stands := func() string {
		return w.text(`SELECT CONCAT_WS(' ', j.status, s.failed_count, s.consecutive_failures) FROM jobs j
			JOIN job_stats s ON s.job_id = j.id WHERE j.id = ?`, j.ID)
	}
	var got []string
	for _, answer := range []func(executor.Work) execution.Attempt{
		failing(execution.ErrCancelled), failing(execution.ErrInternal), failing(execution.ErrHTTPStatus), failing(execution.ErrInternal),
	} {
		w.answer = answer
		w.run(time.Minute)
		got = append(got, stands())
	}
	// A worker vanishes.
	w.tick()
	w.messages = nil
	work, _ := w.startOne(j.ID)
	w.pass(work.NotBefore.Sub(w.Now()) + work.Request.Timeout + execution.LeaseSlack + time.Second)
	w.recover()
	got = append(got, stands())
	w.answer = failing(execution.ErrHTTPStatus)
	for range 6 { // the messages are lost
		w.tick()
		w.run(time.Minute)
	}
	got = append(got, w.text("SELECT status FROM jobs WHERE id = ?", j.ID))
	want := []string{"active 1 0", "active 2 0", "active 3 1", "active 4 1", "active 5 1", "failed"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after each run (-want +got):\n%s", diff)
	}
}

// onTime is a store whose database has the tests' clock: a tick judges no lease by
// another.
type onTime struct {
	*mysql.Executions
	w *world
}

func (o onTime) Now(context.Context) (time.Time, error) { return o.w.Now(), nil }

// recover lets a tick end what runs beyond its lease.
func (w *world) recover() {
	w.t.Helper()
	d := dispatch.New(onTime{w.store, w}, w, w, func() time.Time { return w.Now() }, slog.New(slog.DiscardHandler))
	if report, err := d.Tick(w.t.Context()); err != nil || report.Recovered == 0 {
		w.t.Fatalf("%+v, %v", report, err)
	}
}

func TestALostLeaseOfAStoppedJobIsAbandoned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.minutely("Vanished", func(in *job.Input) { in.RetryAttempts = new(int64(3)) })
	work, _ := w.startOne(j.ID)
	if _, err := w.jobs.Pause(t.Context(), j.ID, nil); err != nil {
		t.Fatal(err)
	}
	w.pass(work.NotBefore.Sub(w.Now()) + work.Request.Timeout + execution.LeaseSlack + time.Second)
	w.recover()
	if got := w.text("SELECT CONCAT(status, ' ', reason) FROM executions WHERE id = ?", work.ID); got != "abandoned job stopped" {
		t.Errorf("it ended as %q", got)
	}
}

// TestRetriesOfAStoppedJobEndByWhatIsKnown keeps apart what the target did and what
// nobody knows.
func TestRetriesOfAStoppedJobEndByWhatIsKnown(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		unknown bool
		kind    execution.ErrorKind
		want    string
	}{
		"a worker that had to stop":  {true, execution.ErrCancelled, "abandoned job stopped"},
		"a request that is unusable": {false, execution.ErrInternal, "failed job stopped"},
		"a target that failed":       {false, execution.ErrReset, "failed job stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			j := w.minutely("Stopped", func(in *job.Input) { in.RetryAttempts = new(int64(3)) })
			work, fence := w.startOne(j.ID)
			if _, err := w.jobs.Pause(t.Context(), j.ID, nil); err != nil {
				t.Fatal(err)
			}
			f := execution.Finish{
				ID: work.ID, JobID: j.ID, CategoryID: work.CategoryID, ScheduledFor: work.ScheduledFor, Fence: fence, Trigger: work.Trigger,
				Status: execution.Pending, Unknown: tc.unknown, NotBefore: w.Now().Add(time.Minute), FirstStartedAt: work.NotBefore,
				Attempt: execution.Attempt{
					ExecutionID: work.ID, Attempt: 1, Fence: fence, StartedAt: work.NotBefore, EndedAt: work.NotBefore.Add(time.Second),
					Failure: &execution.Failure{Kind: tc.kind, Message: "It failed."},
				},
			}
			if _, err := w.store.Finish(t.Context(), w.Now(), []execution.Finish{f}); err != nil {
				t.Fatal(err)
			}
			if got := w.text("SELECT CONCAT(status, ' ', reason) FROM executions WHERE id = ?", work.ID); got != tc.want {
				t.Errorf("it ended as %q, want %q", got, tc.want)
			}
		})
	}
}
