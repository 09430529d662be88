package mysql_test

import (
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
)

func answering(status int, took time.Duration) func(executor.Work) execution.Attempt {
	return func(executor.Work) execution.Attempt {
		a := execution.Attempt{Response: &execution.Response{Status: status}, EndedAt: time.Time{}.Add(took)}
		if status > 299 {
			a.Failure = &execution.Failure{Kind: execution.ErrHTTPStatus, Message: "It failed."}
		}
		return a
	}
}

func TestAJobThatFailsForADayIsStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answer = answering(404, 0)
	j := w.minutely("Failing", func(in *job.Input) { in.CronPattern = new("0 * * * *") })
	for hour := range 26 {
		w.pass(time.Duration(60-w.Now().Minute())*time.Minute - 30*time.Second)
		w.tick()
		w.run(35 * time.Second)
		if hour == 22 {
			if got := w.text("SELECT status FROM jobs WHERE id = ?", j.ID); got != "active" {
				t.Errorf("stopped before a day was over: %s", got)
			}
		}
	}
	if got := w.text("SELECT CONCAT(status, ' ', next_run_at IS NULL, ' ', status_reason LIKE 'stopped after %') FROM jobs WHERE id = ?", j.ID); got != "failed 1 1" {
		t.Errorf("the job: %s", got)
	}
	calls := len(w.calls)
	if calls != 25 {
		t.Errorf("%d calls, want 25: from the first failure to the one a day later", calls)
	}
	// Resuming starts the count anew.
	if _, err := w.jobs.Resume(t.Context(), j.ID, nil); err != nil {
		t.Fatal(err)
	}
	w.pass(59 * time.Minute)
	w.tick()
	w.run(2 * time.Minute)
	if got := w.text("SELECT CONCAT(j.status, ' ', s.consecutive_failures) FROM jobs j JOIN job_stats s ON s.job_id = j.id WHERE j.id = ?", j.ID); got != "active 1" {
		t.Errorf("after resuming: %s", got)
	}
}

func TestATargetThatIsGoneStopsItsJobAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answer = answering(410, 0)
	j := w.minutely("Gone", nil)
	w.run(3 * time.Minute)
	w.want(j.ID, map[string]int{"failed": 1, "cancelled": 3}, 1)
	if got := w.text("SELECT CONCAT(status, ': ', status_reason) FROM jobs WHERE id = ?", j.ID); got != "failed: "+execution.StoppedByTarget {
		t.Errorf("the job: %s", got)
	}
}

func TestJobsChangeLanesByTheirPace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answer = answering(200, 3*time.Second)
	j := w.minutely("Slow", nil)
	lane := func() string { return w.text("SELECT lane FROM jobs WHERE id = ?", j.ID) }
	w.run(2*time.Minute + 5*time.Second)
	if got := lane(); got != "fast" {
		t.Errorf("after two slow calls: %s", got)
	}
	w.run(time.Minute)
	if got := lane(); got != "slow" {
		t.Errorf("after three slow calls: %s", got)
	}
	w.answer = answering(200, 0)
	for range 8 {
		w.tick()
		w.run(time.Minute)
	}
	if got := lane(); got != "fast" {
		t.Errorf("after quick calls: %s", got)
	}
	if got := w.text("SELECT COUNT(*) > 0 FROM executions WHERE job_id = ? AND lane = 'slow' AND status = 'success'", j.ID); got != "1" {
		t.Error("nothing went through the slow lane")
	}
}

func TestMarkSlowForgetsQuickCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j, other := w.minutely("Hangs now", nil), w.minutely("Quick", nil)
	w.run(4*time.Minute + 5*time.Second)
	if err := w.store.MarkSlow(t.Context(), []int64{j.ID, 1 << 40}); err != nil {
		t.Fatal(err)
	}
	lanes := func() string {
		return w.text("SELECT GROUP_CONCAT(lane ORDER BY id) FROM jobs WHERE id IN (?, ?)", j.ID, other.ID)
	}
	if got := lanes(); got != "slow,fast" {
		t.Fatalf("lanes after the mark: %s", got)
	}
	w.tick()
	w.run(time.Minute)
	if got := lanes(); got != "slow,fast" {
		t.Errorf("lanes after one more quick call: %s", got)
	}
}

func TestTheSlowLaneLimitsConcurrentRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	limits := execution.DefaultLimits
	limits.MaxRunning = 2
	w.store = w.store.WithLimits(limits)
	j := w.minutely("Hanging", nil)
	w.exec("UPDATE executions SET lane = 'slow' WHERE job_id = ?", j.ID)
	for range 2 {
		w.startOne(j.ID)
	}
	waiting, err := w.store.WaitingAfter(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	works, err := w.store.Load(t.Context(), []execution.Ref{{ID: waiting[0].ID, Attempt: 1}})
	if err != nil {
		t.Fatal(err)
	}
	started, err := w.store.Start(t.Context(), works[0].NotBefore, executor.Ticket{Token: [16]byte{1}}, works)
	if err != nil || started[0].Skipped != execution.LimitOfRuns || started[0].Fence != 0 {
		t.Fatalf("a third run: %+v, %v", started, err)
	}
	w.want(j.ID, map[string]int{"running": 2, "skipped": 1, "queued": 1}, 0)
}
