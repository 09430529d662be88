package mysql_test

import (
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
)

// works reads the executions that wait, the earliest first.
func (w *world) works(n int) []executor.Work {
	w.t.Helper()
	waiting, err := w.store.WaitingAfter(w.t.Context(), 0, n)
	if err != nil {
		w.t.Fatal(err)
	}
	refs := make([]execution.Ref, len(waiting))
	for i, one := range waiting {
		refs[i] = execution.Ref{ID: one.ID, Attempt: one.Attempt}
	}
	works, err := w.store.Load(w.t.Context(), refs)
	if err != nil || len(works) != n {
		w.t.Fatalf("%d works of %d: %v", len(works), n, err)
	}
	return works
}

var (
	ours   = executor.Ticket{Token: [16]byte{1}}
	again  = executor.Ticket{Token: [16]byte{1}, Again: true}
	theirs = executor.Ticket{Token: [16]byte{2}, Again: true}
)

// TestALostCommitOfAStartIsFoundAgain loses the answer to the commit of a start,
// and lets much happen before the next try.
func TestALostCommitOfAStartIsFoundAgain(t *testing.T) {
	t.Parallel()
	const later = 10 * time.Minute // long after the lease
	for name, tc := range map[string]struct {
		overlap string
		between func(w *world, work executor.Work)
		found   bool
	}{
		"at once":             {overlap: "allow", found: true},
		"that takes its slot": {overlap: "skip", found: true},
		"beside one without it": {overlap: "skip", found: true, between: func(w *world, work executor.Work) {
			w.exec("UPDATE executions SET status = 'running' WHERE job_id = ? AND id <> ? LIMIT 1", work.JobID, work.ID)
		}},
		"of an inactive category": {overlap: "allow", found: true, between: func(w *world, work executor.Work) {
			w.exec("UPDATE categories SET status = 'inactive' WHERE id = ?", work.CategoryID)
		}},
		"of a job that is paused": {overlap: "allow", found: true, between: func(w *world, work executor.Work) {
			if _, err := w.jobs.Pause(w.t.Context(), work.JobID, nil); err != nil {
				w.t.Fatal(err)
			}
		}},
		"at the limit of runs": {overlap: "allow", found: true, between: func(w *world, _ executor.Work) {
			w.store = w.store.WithLimits(execution.Limits{MaxRunning: 1})
		}},
		"that another has recovered": {overlap: "allow", between: func(w *world, work executor.Work) {
			w.exec("UPDATE executions SET status = 'pending', attempt = 2 WHERE id = ?", work.ID)
		}},
		"that another has started since": {overlap: "allow", between: func(w *world, work executor.Work) {
			w.exec("UPDATE executions SET fence = 2, attempt = 2, claim_token = REPEAT('3', 16) WHERE id = ?", work.ID)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.minutely("Lost", func(in *job.Input) { in.OverlapPolicy = &tc.overlap })
			w.exec("UPDATE jobs SET lane = 'slow'")
			h := w.hook()
			works := w.works(1)
			lost := &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
			h.set(nil, func() error { return lost })
			started, err := w.store.Start(t.Context(), works[0].NotBefore, ours, works)
			if !apperr.Is(err, apperr.Unavailable) || len(started) > 0 && started[0].Fence != 0 {
				t.Fatalf("the start whose answer is lost: %+v, %v", started, err)
			}
			h.set(nil, nil)
			if tc.between != nil {
				tc.between(w, works[0])
			}
			before := w.text("SELECT CONCAT_WS(' ', status, attempt, fence, lease_until) FROM executions WHERE id = ?", works[0].ID)
			now := works[0].NotBefore.Add(later)
			if started, err = w.store.Start(t.Context(), now, theirs, works); err != nil || started[0] != (executor.Started{}) {
				t.Fatalf("another worker has started it: %+v, %v", started, err)
			}
			if after := w.text("SELECT CONCAT_WS(' ', status, attempt, fence, lease_until) FROM executions WHERE id = ?", works[0].ID); after != before {
				t.Errorf("another worker has made of %q %q", before, after)
			}
			started, err = w.store.Start(t.Context(), now, again, works)
			if err != nil {
				t.Fatal(err)
			}
			if want := (executor.Started{Fence: 2}); tc.found && started[0] != want || !tc.found && started[0] != (executor.Started{}) {
				t.Errorf("the next try: %+v", started[0])
			}
			if !tc.found {
				return
			}
			lease := w.text("SELECT TIMESTAMPDIFF(SECOND, ?, lease_until) FROM executions WHERE id = ? AND status = 'running' AND fence = 2", now, works[0].ID)
			if want := strconv.Itoa(int((works[0].Request.Timeout + execution.LeaseSlack).Seconds())); lease != want {
				t.Errorf("the lease lasts another %s s, want %s", lease, want)
			}
			if slot := w.text("SELECT slot_job_id IS NOT NULL FROM executions WHERE id = ?", works[0].ID); (slot == "1") != (tc.overlap == "skip") {
				t.Errorf("the slot is held: %s", slot)
			}
		})
	}
}

// TestALostStartIsNobodysOutcome lets a sweep find the lease ended, and the worker
// that has waited for the database come back before the sweep has said so.
func TestALostStartIsNobodysOutcome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.minutely("Swept", nil)
	works := w.works(1)
	if _, err := w.store.Start(t.Context(), works[0].NotBefore, ours, works); err != nil {
		t.Fatal(err)
	}
	now := works[0].NotBefore.Add(time.Hour)
	lost, err := w.store.LostLeases(t.Context(), now, 10)
	if err != nil || len(lost) != 1 {
		t.Fatalf("lost: %+v, %v", lost, err)
	}
	if _, err := w.store.Start(t.Context(), now, again, works); err != nil {
		t.Fatal(err)
	}
	late := lost[0].Finish
	late.Status, late.Unknown, late.Attempt.EndedAt = execution.Abandoned, true, now
	finished, err := w.store.Finish(t.Context(), now, []execution.Finish{late})
	if err != nil || finished[0].Applied {
		t.Errorf("the sweep has ended it: %+v, %v", finished, err)
	}
	if got := w.text("SELECT CONCAT(status, ' ', fence) FROM executions WHERE id = ?", works[0].ID); got != "running 2" {
		t.Errorf("the execution: %s", got)
	}
}
